// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/report/state-directory.h"

#include <stdlib.h>

#define DEFAULT_DIRECTORY "/var/lib/guestbus-reporter"

char *state_directory(const SettingsPaths *paths)
{
    const char *systemd = getenv("STATE_DIRECTORY");

    if (systemd && *systemd)
        return g_strdup(systemd);
    return g_build_filename(paths->root ?: "/", DEFAULT_DIRECTORY, NULL);
}
