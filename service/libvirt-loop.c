/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/libvirt-loop.h"

#include "service/log.h"

#include <errno.h>
#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static pthread_t thread;
static atomic_bool stopping;
static int wake_timer = -1;

/* libvirt prints every error to stderr by itself unless somebody takes them. */
static void ignore_error(void *userdata, virErrorPtr error)
{
}

static void on_wake(int timer, void *userdata)
{
    virEventUpdateTimeout(timer, -1);
}

static void *loop_main(void *userdata)
{
    while (!atomic_load(&stopping))
        if (virEventRunDefaultImpl() < 0)
            log_error("libvirt's event loop failed: %s", virGetLastErrorMessage());
    return NULL;
}

int libvirt_loop_start(void)
{
    sigset_t all, old;
    int r;

    virSetErrorFunc(NULL, ignore_error);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
        return -EIO;
    /* Something to wake the loop with, and something to wait for before the first connection. */
    wake_timer = virEventAddTimeout(-1, on_wake, NULL, NULL);
    if (wake_timer < 0)
        return -ENOMEM;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    r = pthread_create(&thread, NULL, loop_main, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -r;
}

void libvirt_loop_stop(void)
{
    atomic_store(&stopping, true);
    virEventUpdateTimeout(wake_timer, 0);
    pthread_join(thread, NULL);
}
