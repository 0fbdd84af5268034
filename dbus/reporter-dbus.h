/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus.h"

/* guestbusd's view of the reporter: its objects are shown below our root while it is on the bus, and its
 * methods are forwarded once polkit has allowed them. Neither process ever waits for the other. */
typedef struct ReporterMirror ReporterMirror;

int reporter_dbus_export(Bus *bus, ReporterMirror **ret_mirror);
void reporter_dbus_free(ReporterMirror *mirror);
