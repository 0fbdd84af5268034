/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <glib.h>

/* JSON as text, in the one spelling that the reporter uses for output and for hashes: ASCII only, everything
 * else as \uXXXX with lower-case digits (which is what Python's json module writes). */

/* Appends text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void json_text_append_string(GString *to, const char *text);
/* The same, to a stream. */
void json_text_write_string(FILE *stream, const char *text);

/* Writes a JSON value (which must be valid and without needless white space outside strings) with line breaks
 * and an indentation of 4 for each level; depth is the level at which it stands. */
void json_text_write_indented(FILE *stream, const char *json, unsigned depth);
