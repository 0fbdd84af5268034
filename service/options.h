/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/config.h"

/* guestbusd's command line. */
typedef struct Options {
    ConfigOrigin origin;
    GPtrArray *sources; /* char *, NULL-terminated: what origin.arguments points to */
    bool check_config;
} Options;

/* Returns 1 to go on, 0 when all is done (--help, --version), negative when the command line was wrong and
 * said so. */
int options_parse(int argc, char *argv[], Options *ret);
void options_clear(Options *options);

/* Prints what is wrong with the configuration; the exit status. */
int options_check_config(const Options *options);
