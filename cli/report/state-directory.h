/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/reporter/settings.h"

/* Where the reporter's state is kept: what systemd says, else /var/lib/guestbus-reporter (below the root of
 * the paths, if they have one). The caller frees. */
char *state_directory(const SettingsPaths *paths);
