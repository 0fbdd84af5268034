/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <systemd/sd-event.h>

#include "service/reporter/settings.h"
#include "service/reporter/state.h"

/* The reporter at work: when each source is asked, and what its answer is handed to. One schedule serves all
 * mappings of the settings, either for ever or for a single run. */

/* Changes of a source are waited for this long and then collected together. */
#define SCHEDULE_DEBOUNCE_USEC (1 * USEC_PER_SECOND)
/* A source that failed is asked again after this, doubled each time up to the interval. */
#define SCHEDULE_RETRY_USEC (15 * USEC_PER_SECOND)

typedef struct Schedule Schedule;

/* Told from the loop or from inside schedule_start(); the schedule must not be freed in them. */
typedef struct ScheduleObserver {
    /* for the log; priority as in syslog, no secrets */
    void (*log)(int priority, const char *message, void *userdata);
    /* schedule_get_status() says something else of this mapping */
    void (*changed)(const Mapping *mapping, void *userdata);
    /* a server took a report with this mapping in it; the job is "" where there is none */
    void (*sent)(const Mapping *mapping, const char *job, void *userdata);
    /* stage is "collect", "connect", "send" or "job" */
    void (*failed)(const Mapping *mapping, const char *stage, const char *message, void *userdata);
    /* a single run is over; all went well only if every source answered and every report was accepted */
    void (*finished)(bool all_well, void *userdata);
} ScheduleObserver;

/* What is known of a mapping; the text lives until the loop runs again. Times are microseconds since the
 * epoch. */
typedef struct MappingStatus {
    const char *source_connection; /* NULL: nothing to show */
    bool source_asked;             /* it answered or failed in this run */
    const char *source_problem;    /* NULL: it answered last time */
    uint64_t last_retrieve;
    bool counted; /* hypervisors and guests mean something */
    unsigned hypervisors;
    unsigned guests;
    const char *destination_connection; /* the server's host name */
    bool destination_asked;
    const char *destination_problem;
    uint64_t last_send;
    const char *last_job_status; /* as Candlepin says, or UNKNOWN; NULL: none */
} MappingStatus;

/* Settings, state and observer are borrowed. With `once` the schedule collects and sends one time. */
int schedule_new(sd_event *event, const Settings *settings, State *state, bool once,
                 const ScheduleObserver *observer, void *userdata, Schedule **ret);
/* Ends everything at once, whatever is under way. NULL is fine. */
void schedule_free(Schedule *schedule);

void schedule_start(Schedule *schedule);
/* Collects now and reports what comes; NULL means all mappings. With `force` also what is not new. */
void schedule_report(Schedule *schedule, const Mapping *mapping, bool force);
void schedule_get_status(Schedule *schedule, const Mapping *mapping, MappingStatus *ret);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Schedule, schedule_free)
