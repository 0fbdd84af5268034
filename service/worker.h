/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/inbox.h"

/* Blocking calls run here, never in the loop. A lane is a queue of jobs with a few threads of its own:
 * each source has its own lanes, so a source that hangs holds nobody else's threads, and the sum of a
 * source's threads stays below the five requests that libvirtd serves for one client at a time. */
typedef struct Lane Lane;
typedef struct Job Job;

/* Embedded as the first member of a job. `work` runs in a thread, then `done` in the loop, then `free`.
 * A job that its lane drops unstarted has `cancelled` set when `done` runs. */
struct Job {
    InboxItem item;
    void (*work)(Job *job);
    void (*done)(Job *job);
    void (*free)(Job *job);
    const void *key; /* jobs with the same key, as those of one VM, share `per_key` threads; NULL: no limit */
    bool cancelled;
    Job *next;
    Lane *lane;
};

/* Threads end after this time without work; they start again on demand. */
#define LANE_IDLE_SECONDS 90

/* threads: how many jobs may run at once; per_key: how many of these for one key (0: no limit). */
Lane *lane_new(Inbox *inbox, const char *name, unsigned threads, unsigned per_key);

/* Queues a job, which then belongs to the lane. Only the loop's thread calls it. */
void lane_submit(Lane *lane, Job *job);

/* Jobs that wait or run. */
unsigned lane_load(Lane *lane);

/* Drops what has not started. Threads that hang in a call are left alone: they keep the lane's memory until
 * they return, and nothing waits for them. */
void lane_close(Lane *lane);
