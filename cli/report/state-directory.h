/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/reporter/settings.h"
#include "service/reporter/state.h"

/* Where the reporter's state is kept: what systemd says, else /var/lib/guestbus-reporter (below the root of
 * the paths, if they have one). The caller frees. */
char *state_directory(const SettingsPaths *paths);

/* Opens the state there. Without a directory that can be written, as for an ordinary user, nothing is
 * remembered, which is told: then the next run sends again what has not changed. -EBUSY, told too, when
 * another reporter is at work. */
int state_directory_open(const SettingsPaths *paths, State **ret_state);
