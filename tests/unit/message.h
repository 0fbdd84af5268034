/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <systemd/sd-bus.h>

/* For tests of what goes into a D-Bus message, without a bus. */

/* A connection that never gets an answer; messages can be made for it. Aborts when that fails. */
sd_bus *message_bus_new(void);

/* Seals the message and writes its body as text, every value with its type: `s"NAME" t17 {s"a" <x-1>}`.
 * `ret_nesting`, which may be NULL, gets how many containers are inside each other at the deepest place. */
char *message_to_text(sd_bus_message *message, unsigned int *ret_nesting);
