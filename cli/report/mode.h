/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "service/reporter/settings.h"

/* How the program ends. Scripts rely on these: see the manual page. */
typedef enum ExitStatus {
    EXIT_ALL_WELL = 0,
    EXIT_CANNOT_START = 1,  /* no usable configuration, or another one is at work */
    EXIT_BAD_OPTION = 2,    /* an option that does not exist, or a value that is none */
    EXIT_INCOMPLETE = 3,    /* a source, a server or a section failed, or a signal came first */
    EXIT_CONTRADICTION = 64 /* options that exclude each other */
} ExitStatus;

/* What every mode of the program is given. */
typedef struct Mode {
    sd_event *event;
    const SettingsOptions *options; /* to read the settings again */
    Settings *settings;
    uint64_t deadline_usec; /* of each source; 0: the usual one */
    bool json;
} Mode;

/* Each runs the loop to its end and gives the exit status. */
int print_run(Mode *mode);
int status_run(Mode *mode);
int oneshot_run(Mode *mode);
int interval_run(Mode *mode);
/* --service: interval mode on the bus. Takes the settings over. */
int service_run(Mode *mode);
/* --encrypt-password: needs no settings. */
int encrypt_run(const SettingsPaths *paths);
