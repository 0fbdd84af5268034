/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* Prints one line to standard error, cleaned for the terminal, with the program's name in front. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* Says why the bus cannot be reached, and what to do. Returns the exit status. */
int complain_connection(const Ctl *ctl, int r);

/* Says why a call failed, and what to do: subject is what it was about (a VM, a source) or NULL.
 * Returns the exit status. */
int complain_call(const Ctl *ctl, const char *subject, const sd_bus_error *error, int r);

/* Says that something that cannot happen with a sound service did: no memory, a reply of another form. */
int complain_internal(int r);
