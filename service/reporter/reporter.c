// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/reporter.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include <systemd/sd-daemon.h>

#include "service/reporter/report-log.h"

struct Reporter {
    sd_event *event;
    const SettingsOptions *options;
    Settings *settings;
    State *state;
    Schedule *schedule;
    const ReporterObserver *observer;
    void *userdata;
};

static void on_changed(const Mapping *mapping, void *userdata)
{
    Reporter *reporter = userdata;

    if (reporter->observer)
        reporter->observer->changed(mapping, reporter->userdata);
}

static void on_sent(const Mapping *mapping, const char *job, void *userdata)
{
    Reporter *reporter = userdata;

    report_log(LOG_INFO, "%s: reported%s%s", mapping->name, *job ? ", job " : "", job);
    if (reporter->observer)
        reporter->observer->sent(mapping, job, reporter->userdata);
}

static void on_failed(const Mapping *mapping, const char *stage, const char *message, void *userdata)
{
    Reporter *reporter = userdata;

    if (reporter->observer)
        reporter->observer->failed(mapping, stage, message, reporter->userdata);
}

static const ScheduleObserver schedule_observer = {
    .log = report_log_message,
    .changed = on_changed,
    .sent = on_sent,
    .failed = on_failed,
};

Reporter *reporter_new(sd_event *event, const SettingsOptions *options, Settings *settings, State *state)
{
    Reporter *reporter = g_new0(Reporter, 1);

    reporter->event = sd_event_ref(event);
    reporter->options = options;
    reporter->settings = settings;
    reporter->state = state;
    return reporter;
}

void reporter_free(Reporter *reporter)
{
    if (!reporter)
        return;
    schedule_free(reporter->schedule);
    settings_free(reporter->settings);
    sd_event_unref(reporter->event);
    g_free(reporter);
}

void reporter_observe(Reporter *reporter, const ReporterObserver *observer, void *userdata)
{
    reporter->observer = observer;
    reporter->userdata = userdata;
}

static void tell_systemd(const Reporter *reporter)
{
    const Settings *settings = reporter->settings;

    (void)sd_notifyf(false, "STATUS=%u sources, %u destinations, every %u s", settings->mappings->len,
                     settings->destinations->len, settings->interval);
}

int reporter_start(Reporter *reporter)
{
    int r = schedule_new(reporter->event, reporter->settings, reporter->state, false, &schedule_observer,
                         reporter, &reporter->schedule);

    if (r < 0)
        return r;
    report_log(LOG_INFO, "%u sources and %u destinations, every %u seconds, as %s",
               reporter->settings->mappings->len, reporter->settings->destinations->len,
               reporter->settings->interval, reporter->settings->reporter_id);
    tell_systemd(reporter);
    if (reporter->observer)
        reporter->observer->replaced(reporter->userdata);
    schedule_start(reporter->schedule);
    return 0;
}

/* Logs each message and keeps the errors for who asked for the reload. */
static void tell(int priority, const char *message, void *userdata)
{
    GString *errors = userdata;

    report_log_message(priority, message, NULL);
    if (priority <= LOG_ERR)
        g_string_append_printf(errors, "%s%s", errors->len ? "; " : "", message);
}

int reporter_reload(Reporter *reporter, char **ret_message)
{
    g_autoptr(GString) errors = g_string_new(NULL);
    Settings *settings = NULL;
    int r = settings_read(reporter->options, tell, errors, &settings);

    if (r < 0) {
        report_log(LOG_ERR, "the configuration cannot be used; the one before stays");
        *ret_message = g_string_free(g_steal_pointer(&errors), FALSE);
        return r;
    }
    if (reporter->observer)
        reporter->observer->replacing(reporter->userdata);
    g_clear_pointer(&reporter->schedule, schedule_free);
    settings_free(reporter->settings);
    reporter->settings = settings;
    report_log_set_debug(settings->debug);
    report_log(LOG_INFO, "the configuration was read again");
    r = reporter_start(reporter);
    /* Some sections may be used and others not: who asked must hear of those. */
    if (r >= 0 && errors->len > 0)
        r = -EINVAL;
    *ret_message = r < 0 ? g_strdup(errors->len ? errors->str : strerror(-r)) : NULL;
    return r;
}

const Settings *reporter_settings(const Reporter *reporter)
{
    return reporter->settings;
}

Schedule *reporter_schedule(const Reporter *reporter)
{
    return reporter->schedule;
}

State *reporter_state(const Reporter *reporter)
{
    return reporter->state;
}

sd_event *reporter_event(const Reporter *reporter)
{
    return reporter->event;
}
