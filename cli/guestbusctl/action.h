/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* The verbs that act on VMs and their guests: start, shutdown, reboot, reset, force-off, pause, resume,
 * wakeup, save, lock, logoff, guest-shutdown, guest-reboot, cancel-shutdown, refresh. Each takes any number
 * of VMs, and goes on with the next one when one fails; the status is that of the first failure. */
int action_verb(Ctl *ctl, int argc, char **argv);

/* set-memory VM SIZE */
int action_set_memory_verb(Ctl *ctl, int argc, char **argv);

/* autostart VM on|off */
int action_autostart_verb(Ctl *ctl, int argc, char **argv);

/* login VM USER: the password comes from the terminal or standard input. */
int action_login_verb(Ctl *ctl, int argc, char **argv);

/* reload */
int action_reload_verb(Ctl *ctl, int argc, char **argv);

/* reconnect SOURCE */
int action_reconnect_verb(Ctl *ctl, int argc, char **argv);
