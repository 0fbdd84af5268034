/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/qmp/gate.h"
#include "service/source.h"

/* Registers for every QMP event of every VM of a connection. What comes is posted to the loop, as far as the
 * gate lets it pass. Returns the callback's number, or -1: the driver has no QMP events, or the connection
 * may only read. Any thread. */
int qmp_monitor_register(virConnectPtr connection, SourceLink *link, unsigned generation, QMPGate *gate);
