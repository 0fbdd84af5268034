/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/json.h"

/* Reads every object of the service in one call: an object of paths, each an object of interfaces (by the
 * last part of their names: "VM", "Guest"), each an object of properties.
 * Returns 0, or an exit status with the reason printed. */
int snapshot_read(Ctl *ctl, json_object **ret_snapshot);

/* One object of the service in the same form: its interfaces. Properties that are not read together with
 * the others (Applications, Filesystems) are in it too. */
int snapshot_read_object(Ctl *ctl, const char *path, json_object **ret_interfaces);

/* Renames interfaces to their last part: "org.guestbus1.VM" to "VM". Takes over the object given. */
json_object *snapshot_short_names(json_object *interfaces);
