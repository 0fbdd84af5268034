/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/cleanup.h"
#include "service/libvirt-loop.h"
#include "service/log.h"
#include "service/manager.h"
#include "service/options.h"
#include "service/thread.h"

#include "dbus/bus.h"

#include <errno.h>
#include <libxml/parser.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>

/* How long the end waits for hypervisors to say goodbye. */
#define GOODBYE_USEC (2 * 1000000ULL)

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    Manager *manager = userdata;
    g_autofree char *problems = NULL;

    (void)sd_notify(false, "RELOADING=1");
    if (manager_reload(manager, &problems) < 0)
        log_error("The configuration was not taken over: %s", problems);
    (void)sd_notifyf(false, "READY=1\nSTATUS=%u sources, %u VMs", manager->sources->len, manager->vm_count);
    return 0;
}

/* SIGTERM and SIGINT end the loop; SIGHUP reads the configuration again. */
static int watch_signals(sd_event *event, Manager *manager)
{
    sigset_t set;
    int r;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, manager);
    return r;
}

/* Passwords are in this memory for moments: no core file, no ptrace by the same user. */
static void protect_memory(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0);
    /* Workers allocate little and briefly; an arena for each would keep what they touched. */
    (void)mallopt(M_ARENA_MAX, 2);
}

static int run(const Options *options)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    Manager *manager = NULL;
    Bus *bus = NULL;
    int r;

    r = sd_event_default(&event);
    if (r >= 0)
        r = manager_new(event, &options->origin, &manager);
    if (r >= 0)
        r = watch_signals(event, manager);
    if (r >= 0)
        r = libvirt_loop_start();
    if (r < 0) {
        log_error("Cannot start: %s", g_strerror(-r));
        manager_free(manager);
        return EXIT_FAILURE;
    }
    r = bus_open(manager, &bus);
    if (r >= 0) {
        (void)sd_event_set_watchdog(event, true);
        manager_start(manager);
        r = sd_event_loop(event);
    }
    (void)sd_notify(false, "STOPPING=1\nSTATUS=Stopping");
    bus_close(bus);
    manager_stop(manager);
    /* A call that hangs in a dead hypervisor is left behind, and must not meet what is torn down below. */
    if (!threads_wait(GOODBYE_USEC))
        _exit(r == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
    libvirt_loop_stop();
    manager_free(manager);
    /* A connection that was made too late to be used is closed in a thread, too. */
    (void)threads_wait(GOODBYE_USEC);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
    Options options;
    int r;

    log_open("guestbusd");
    xmlInitParser();
    r = options_parse(argc, argv, &options);
    if (r <= 0)
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    if (options.check_config)
        return options_check_config(&options);
    protect_memory();
    r = run(&options);
    options_clear(&options);
    return r;
}
