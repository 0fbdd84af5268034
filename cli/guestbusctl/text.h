/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The text with everything that a terminal would act upon written as an escape (\n, \x1b, \u202e): guests
 * and definitions choose their names and must not choose what the terminal does. What is not UTF-8 is
 * escaped byte by byte. */
char *text_escape(const char *text);

/* How many columns a text takes on a terminal. */
size_t text_width(const char *text);

/* A number of bytes for people: "512 MiB", "1.5 GiB". */
char *text_size(uint64_t bytes);

/* Reads a size: a number with an optional K, M, G or T (of 1024), as in "2G", "1.5GiB", "512M".
 * Returns 0, or -EINVAL, or -ERANGE. */
int text_parse_size(const char *text, uint64_t *ret_bytes);

/* Local date and time of microseconds since the epoch, with milliseconds when asked for. */
char *text_time(uint64_t usec, bool milliseconds);

/* How long ago that was, seen from now: "4 s ago", "3 min ago", "in 2 min". */
char *text_age(uint64_t usec, uint64_t now_usec);

/* Microseconds since the epoch. */
uint64_t text_now(void);
