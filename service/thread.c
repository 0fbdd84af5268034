/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/thread.h"

#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

/* Plenty for libvirt and its in-process drivers; only the pages that are touched cost memory. */
#define THREAD_STACK_BYTES (1024 * 1024)

typedef struct Start {
    void *(*function)(void *);
    void *userdata;
} Start;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
static unsigned count;

static void change_count(int difference)
{
    pthread_mutex_lock(&lock);
    count += (unsigned)difference;
    if (count == 0)
        pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
}

static void *thread_main(void *userdata)
{
    Start start = *(Start *)userdata;

    g_free(userdata);
    start.function(start.userdata);
    change_count(-1);
    return NULL;
}

int thread_start(void *(*function)(void *), void *userdata)
{
    Start *start = g_new(Start, 1);
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    int r;

    *start = (Start){function, userdata};
    change_count(1);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    r = pthread_create(&thread, &attr, thread_main, start);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0) {
        g_free(start);
        change_count(-1);
    }
    return -r;
}

bool threads_wait(uint64_t usec)
{
    struct timespec until;
    bool done;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(usec / 1000000);
    pthread_mutex_lock(&lock);
    while (count > 0 && pthread_cond_timedwait(&ended, &lock, &until) == 0)
        ;
    done = count == 0;
    pthread_mutex_unlock(&lock);
    return done;
}
