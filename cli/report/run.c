// SPDX-License-Identifier: LGPL-2.1-or-later
/* -o, and without any mode's option: report once, or for ever in the foreground. */
#include "cli/report/mode.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "cli/report/state-directory.h"
#include "service/reporter/report-log.h"
#include "service/reporter/schedule.h"

static void on_changed(const Mapping *mapping, void *userdata)
{
}

static void on_sent(const Mapping *mapping, const char *job, void *userdata)
{
    report_log(LOG_INFO, "%s: reported%s%s", mapping->name, *job ? ", job " : "", job);
}

static void on_failed(const Mapping *mapping, const char *stage, const char *message, void *userdata)
{
    /* The schedule has logged it. */
}

static void on_finished(bool all_well, void *userdata)
{
    Mode *mode = userdata;

    sd_event_exit(mode->event, all_well ? EXIT_ALL_WELL : EXIT_INCOMPLETE);
}

static const ScheduleObserver observer = {
    .log = report_log_message,
    .changed = on_changed,
    .sent = on_sent,
    .failed = on_failed,
    .finished = on_finished,
};

/* Without a directory that can be written, as for an ordinary user, nothing is remembered: then the next run
 * sends again what has not changed. */
static int open_state(const SettingsPaths *paths, State **ret_state)
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

static int run(Mode *mode, bool once)
{
    g_autoptr(State) state = NULL;
    g_autoptr(Schedule) schedule = NULL;

    if (open_state(mode->options->paths, &state) < 0)
        return EXIT_CANNOT_START;
    int r = schedule_new(mode->event, mode->settings, state, once, &observer, mode, &schedule);

    if (r >= 0) {
        schedule_start(schedule);
        r = sd_event_loop(mode->event);
    }
    if (r < 0) {
        report_log(LOG_ERR, "cannot report: %s", strerror(-r));
        return EXIT_INCOMPLETE;
    }
    return r;
}

int oneshot_run(Mode *mode)
{
    return run(mode, true);
}

int interval_run(Mode *mode)
{
    /* Ended by a signal, as it should be. */
    int status = run(mode, false);

    return status == EXIT_CANNOT_START ? status : EXIT_ALL_WELL;
}
