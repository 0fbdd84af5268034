/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* What guestbusctl can be told to do. */
typedef struct Verb {
    const char *name;
    int min_arguments;
    int max_arguments; /* -1 for any number */
    unsigned options;  /* the CtlOptions that make sense with it */
    bool opens_itself; /* does without a bus connection, or makes its own */
    int (*run)(Ctl *ctl, int argc, char **argv);
    const char *arguments; /* for the help */
    const char *help;      /* one line; NULL for a verb that is not shown */
} Verb;

/* The verb of that name, or NULL. */
const Verb *verb_find(const char *name);

/* Prints the verbs and what they do. */
void verb_help(void);
