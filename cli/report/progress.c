// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/report/progress.h"

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

/* The first line comes after so long, the next ones as often. */
#define STEP_USEC 1000000U
#define CLEAR_LINE "\r\033[K"

struct Progress {
    const char *verb;
    ProgressCount count;
    const void *userdata;
    sd_event_source *timer;
    unsigned seconds;
};

static int on_step(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Progress *progress = userdata;
    unsigned done, all;

    progress->count(progress->userdata, &done, &all);
    fprintf(stderr, CLEAR_LINE "%s: %u of %u, %u s", progress->verb, done, all, ++progress->seconds);
    fflush(stderr);
    (void)sd_event_source_set_time_relative(timer, STEP_USEC);
    return sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

Progress *progress_new(sd_event *event, const char *verb, ProgressCount count, const void *userdata)
{
    if (!isatty(STDERR_FILENO))
        return NULL;
    Progress *progress = g_new0(Progress, 1);

    progress->verb = verb;
    progress->count = count;
    progress->userdata = userdata;
    (void)sd_event_add_time_relative(event, &progress->timer, CLOCK_MONOTONIC, STEP_USEC, 0, on_step,
                                     progress);
    return progress;
}

void progress_free(Progress *progress)
{
    if (!progress)
        return;
    if (progress->seconds > 0)
        fputs(CLEAR_LINE, stderr);
    sd_event_source_disable_unref(progress->timer);
    g_free(progress);
}
