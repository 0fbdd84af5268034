/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "service/reporter/schedule.h"
#include "service/reporter/settings.h"
#include "service/reporter/state.h"

/* The reporter as a process that stays: settings, schedule and state, and how they are replaced by a reload.
 * Who shows it on the bus observes it. */
typedef struct Reporter Reporter;

/* Told from the loop. The reporter must not be reloaded or freed in them, except in wants_reload. */
typedef struct ReporterObserver {
    void (*changed)(const Mapping *mapping, void *userdata);
    void (*sent)(const Mapping *mapping, const char *job, void *userdata);
    void (*failed)(const Mapping *mapping, const char *stage, const char *message, void *userdata);
    /* The settings are others now; mappings of before are not valid any more. */
    void (*replaced)(void *userdata);
    /* The settings are about to go: let go of everything that uses them. */
    void (*replacing)(void *userdata);
} ReporterObserver;

/* Options, settings and state are borrowed; the settings are taken over. */
Reporter *reporter_new(sd_event *event, const SettingsOptions *options, Settings *settings, State *state);
void reporter_free(Reporter *reporter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reporter, reporter_free)

/* Before reporter_start(). */
void reporter_observe(Reporter *reporter, const ReporterObserver *observer, void *userdata);
int reporter_start(Reporter *reporter);
/* Reads the configuration again. When it cannot be used everything stays as it is, and *ret_message says why,
 * with file and line; the caller frees it. */
int reporter_reload(Reporter *reporter, char **ret_message);

const Settings *reporter_settings(const Reporter *reporter);
Schedule *reporter_schedule(const Reporter *reporter);
State *reporter_state(const Reporter *reporter);
sd_event *reporter_event(const Reporter *reporter);
