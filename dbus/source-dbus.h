/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus.h"

/* org.guestbus1.Source. */
int source_dbus_export(Bus *bus);
void source_dbus_added(Bus *bus, Source *source);
void source_dbus_removed(Bus *bus, Source *source);
void source_dbus_changed(Bus *bus, Source *source, unsigned changes);
