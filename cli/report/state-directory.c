// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/report/state-directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "service/reporter/report-log.h"

#define DEFAULT_DIRECTORY "/var/lib/guestbus-reporter"

char *state_directory(const SettingsPaths *paths)
{
    const char *systemd = getenv("STATE_DIRECTORY");

    if (systemd && *systemd)
        return g_strdup(systemd);
    return g_build_filename(paths->root ?: "/", DEFAULT_DIRECTORY, NULL);
}

int state_directory_open(const SettingsPaths *paths, State **ret_state)
{
    g_autofree char *directory = state_directory(paths);

    (void)g_mkdir_with_parents(directory, 0700);
    int r = state_open(directory, report_log_message, NULL, ret_state);

    if (r == -EBUSY) {
        report_log(LOG_ERR, "%s: another reporter is at work (guestbusctl report send makes it report now)",
                   directory);
        return r;
    }
    if (r < 0) {
        report_log(LOG_WARNING, "%s: %s: what was sent will not be remembered", directory, strerror(-r));
        *ret_state = state_new();
    }
    return 0;
}
