/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* Runs a verb on the host of -H itself, through ssh, with the options that it was given. The arguments may
 * end early with NULL. Does not return when ssh could be started; else an exit status, with the reason
 * printed. */
int remote_run(const Ctl *ctl, const char *verb, const char *vm, const char *argument);
