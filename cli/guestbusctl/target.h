/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* The object of a VM that the user named by its name, UUID, SOURCE/NAME, SOURCE/UUID or object path.
 * Returns 0, or an exit status with the reason printed. */
int target_vm(Ctl *ctl, const char *argument, char **ret_path);

/* The object of the source with this label. Returns 0, or an exit status with the reason printed. */
int target_source(const char *label, char **ret_path);

/* The label of the source that an object path belongs to (of a VM, a source), or NULL. To be freed. */
char *target_path_source(const char *path);

/* Hidden verb for shell completion: "vms" or "sources", one name per line. Never complains. */
int target_complete(Ctl *ctl, int argc, char **argv);
