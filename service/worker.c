/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/worker.h"

#include "service/log.h"
#include "service/thread.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

struct Lane {
    Inbox *inbox;
    char *name;
    unsigned threads_max, per_key;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    Job *first, **last;
    GHashTable *running; /* key -> number of jobs that run */
    unsigned threads, idle, active, waiting;
    bool closed;
};

static unsigned running_count(Lane *lane, const void *key)
{
    return key ? GPOINTER_TO_UINT(g_hash_table_lookup(lane->running, key)) : 0;
}

static void running_set(Lane *lane, const void *key, unsigned count)
{
    if (!key)
        return;
    if (count > 0)
        g_hash_table_insert(lane->running, (void *)key, GUINT_TO_POINTER(count));
    else
        g_hash_table_remove(lane->running, key);
}

/* The first job whose key has a free place: a VM that hangs holds its own share and no more. */
static Job *take_job(Lane *lane)
{
    for (Job **slot = &lane->first; *slot; slot = &(*slot)->next) {
        Job *job = *slot;

        if (lane->per_key > 0 && running_count(lane, job->key) >= lane->per_key)
            continue;
        *slot = job->next;
        if (lane->last == &job->next)
            lane->last = slot;
        job->next = NULL;
        lane->waiting--;
        return job;
    }
    return NULL;
}

static void lane_destroy(Lane *lane)
{
    inbox_unref(lane->inbox);
    g_hash_table_unref(lane->running);
    pthread_cond_destroy(&lane->wake);
    pthread_mutex_destroy(&lane->lock);
    g_free(lane->name);
    g_free(lane);
}

/* Waits for a job. Returns NULL when the thread shall end. Called and returns with the lock held. */
static Job *wait_for_job(Lane *lane)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LANE_IDLE_SECONDS;
    for (;;) {
        Job *job = lane->closed ? NULL : take_job(lane);
        int r;

        if (job || lane->closed)
            return job;
        lane->idle++;
        r = pthread_cond_timedwait(&lane->wake, &lane->lock, &until);
        lane->idle--;
        if (r == ETIMEDOUT) /* a job may have come since, for which this thread was taken for a waiting one */
            return lane->closed ? NULL : take_job(lane);
    }
}

static void run_job(Lane *lane, Job *job)
{
    const void *key = job->key;

    lane->active++;
    running_set(lane, key, running_count(lane, key) + 1);
    pthread_mutex_unlock(&lane->lock);

    job->work(job);
    /* From here on the job belongs to the loop, which may have freed it before the next line runs. */
    inbox_post(lane->inbox, &job->item);

    pthread_mutex_lock(&lane->lock);
    lane->active--;
    running_set(lane, key, running_count(lane, key) - 1);
    if (lane->waiting > 0)
        pthread_cond_signal(&lane->wake); /* a job of the same key may have waited for this place */
}

static void *worker_main(void *userdata)
{
    Lane *lane = userdata;
    bool last;
    Job *job;

    pthread_mutex_lock(&lane->lock);
    while ((job = wait_for_job(lane)))
        run_job(lane, job);
    lane->threads--;
    last = lane->closed && lane->threads == 0;
    pthread_mutex_unlock(&lane->lock);
    if (last)
        lane_destroy(lane);
    return NULL;
}

static void run_done(InboxItem *item)
{
    Job *job = (Job *)item;

    job->done(job);
}

static void free_done(InboxItem *item)
{
    Job *job = (Job *)item;

    job->free(job);
}

Lane *lane_new(Inbox *inbox, const char *name, unsigned threads, unsigned per_key)
{
    Lane *lane = g_new0(Lane, 1);
    pthread_condattr_t attr;

    lane->inbox = inbox_ref(inbox);
    lane->name = g_strdup(name);
    lane->threads_max = threads;
    lane->per_key = per_key;
    lane->last = &lane->first;
    lane->running = g_hash_table_new(NULL, NULL);
    pthread_mutex_init(&lane->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&lane->wake, &attr);
    pthread_condattr_destroy(&attr);
    return lane;
}

static void start_worker(Lane *lane)
{
    int r = thread_start(worker_main, lane);

    if (r < 0)
        log_error("Cannot start a thread for %s: %s", lane->name, g_strerror(-r));
    else
        lane->threads++;
}

void lane_submit(Lane *lane, Job *job)
{
    job->item.run = run_done;
    job->item.free = free_done;
    job->lane = lane;
    job->next = NULL;
    pthread_mutex_lock(&lane->lock);
    *lane->last = job;
    lane->last = &job->next;
    lane->waiting++;
    if (lane->idle >= lane->waiting)
        pthread_cond_signal(&lane->wake);
    else if (lane->threads < lane->threads_max)
        start_worker(lane);
    else
        pthread_cond_signal(&lane->wake);
    pthread_mutex_unlock(&lane->lock);
}

unsigned lane_load(Lane *lane)
{
    unsigned load;

    pthread_mutex_lock(&lane->lock);
    load = lane->waiting + lane->active;
    pthread_mutex_unlock(&lane->lock);
    return load;
}

void lane_close(Lane *lane)
{
    Inbox *inbox;
    Job *dropped;
    bool last;

    if (!lane)
        return;
    pthread_mutex_lock(&lane->lock);
    lane->closed = true;
    inbox = inbox_ref(lane->inbox);
    dropped = lane->first;
    lane->first = NULL;
    lane->last = &lane->first;
    lane->waiting = 0;
    last = lane->threads == 0;
    pthread_cond_broadcast(&lane->wake);
    pthread_mutex_unlock(&lane->lock);
    /* With threads left, the last of them frees the lane, which may be at once. */
    if (last)
        lane_destroy(lane);
    while (dropped) {
        Job *next = dropped->next;

        dropped->cancelled = true;
        inbox_post(inbox, &dropped->item);
        dropped = next;
    }
    inbox_unref(inbox);
}
