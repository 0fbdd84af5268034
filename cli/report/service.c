// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reporting for ever: in the foreground, and with --service as guestbus-reporter.service on the bus. */
#include "cli/report/mode.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <syslog.h>

#include <systemd/sd-daemon.h>

#include "cli/report/state-directory.h"
#include "dbus/guestbus-source.h"
#include "dbus/reporter-face.h"
#include "service/cleanup.h"
#include "service/reporter/report-log.h"
#include "service/reporter/reporter.h"

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    g_autofree char *message = NULL;

    (void)sd_notify(false, "RELOADING=1");
    (void)reporter_reload(userdata, &message);
    return sd_notify(false, "READY=1");
}

/* Runs until a signal ends it, which is as it should be, or the bus does. */
static int run_loop(Mode *mode, Reporter *reporter)
{
    int r = sd_event_add_signal(mode->event, NULL, SIGHUP, on_hangup, reporter);

    if (r >= 0)
        r = reporter_start(reporter);
    if (r >= 0)
        r = sd_event_loop(mode->event);
    (void)sd_notify(false, "STOPPING=1");
    if (r >= 0)
        return EXIT_ALL_WELL;
    if (r != -ENOTCONN && r != -EPERM) /* which were told */
        report_log(LOG_ERR, "cannot report: %s", strerror(-r));
    return EXIT_CANNOT_START;
}

int interval_run(Mode *mode)
{
    g_autoptr(State) state = NULL;

    if (state_directory_open(mode->options->paths, &state) < 0)
        return EXIT_CANNOT_START;
    g_autoptr(Reporter) reporter = reporter_new(mode->event, mode->options, TAKE_PTR(mode->settings), state);

    return run_loop(mode, reporter);
}

int service_run(Mode *mode)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    g_autoptr(State) state = NULL;
    int r = sd_bus_open_system_with_description(&bus, "guestbus-report");

    if (r >= 0)
        r = sd_bus_attach_event(bus, mode->event, SD_EVENT_PRIORITY_NORMAL);
    if (r < 0) {
        report_log(LOG_ERR, "cannot connect to the bus: %s", strerror(-r));
        return EXIT_CANNOT_START;
    }
    if (state_directory_open(mode->options->paths, &state) < 0)
        return EXIT_CANNOT_START;
    (void)sd_event_set_watchdog(mode->event, true);
    guestbus_source_install(bus);
    g_autoptr(Reporter) reporter = reporter_new(mode->event, mode->options, TAKE_PTR(mode->settings), state);
    g_autoptr(ReporterFace) face = NULL;

    r = reporter_face_new(bus, reporter, &face);
    if (r < 0) {
        report_log(LOG_ERR, "cannot offer the objects on the bus: %s", strerror(-r));
        return EXIT_CANNOT_START;
    }
    return run_loop(mode, reporter);
}
