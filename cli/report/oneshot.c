// SPDX-License-Identifier: LGPL-2.1-or-later
/* -o: report once. */
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

int oneshot_run(Mode *mode)
{
    g_autoptr(State) state = NULL;
    g_autoptr(Schedule) schedule = NULL;

    if (state_directory_open(mode->options->paths, &state) < 0)
        return EXIT_CANNOT_START;
    int r = schedule_new(mode->event, mode->settings, state, true, &observer, mode, &schedule);

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
