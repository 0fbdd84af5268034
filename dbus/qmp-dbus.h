/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus.h"
#include "service/qmp/event.h"

/* org.guestbus1.QMP, on the VMs of sources that have QMP events. */
int qmp_dbus_export(Bus *bus);

/* Sends the signals of one event: `Event`, and the typed one where there is one. */
void qmp_dbus_event(Bus *bus, VM *vm, const QMPEvent *event);
