/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Makes a guest's words fit for the bus: valid UTF-8, illegal characters replaced by U+FFFD, at most `max`
 * bytes, cut at a character. `length` may be -1 for a terminated string. `ret_cut` (may be NULL) is set to 1
 * when something was cut and left alone else. Never NULL, also for NULL. */
char *text_clean(const char *text, long length, size_t max, unsigned *ret_cut);
