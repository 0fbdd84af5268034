/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus.h"

/* org.guestbus1.Manager at the root. */
int manager_dbus_export(Bus *bus);
void manager_dbus_changed(Bus *bus, unsigned changes);
