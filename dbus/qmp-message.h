/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "service/qmp/event.h"
#include "service/qmp/table.h"

#define QMP_INTERFACE "org.guestbus1.QMP"

/* Makes the signal `Event` for any event. Returns 0 or sd-bus's -errno. */
int qmp_message_new_event(sd_bus *bus, const char *path, const QMPEvent *event, sd_bus_message **ret);

/* Makes the signal that an event of the table has besides; the event must pass qmp_signal_fits(). */
int qmp_message_new_typed(sd_bus *bus, const char *path, const QMPSignal *signal, const QMPEvent *event,
                          sd_bus_message **ret);
