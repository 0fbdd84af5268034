/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <glib.h>

/* Walks over a JSON document of any size without building a tree of it: a list of 10,000 guests would take
 * json-c 16 MB. The caller says what it expects next; the first mistake ends the walk, and every later call
 * fails too.
 *
 *     json_reader_begin(&reader, '{');
 *     while (json_reader_member(&reader, &name)) ...read or skip the value...
 */

#define JSON_READER_DEPTH_MAX 32

typedef struct JsonReader {
    const char *at;
    const char *end;
    const char *start;
    unsigned depth;
    bool first;        /* no member of the present object or array was read */
    const char *error; /* NULL: none so far */
} JsonReader;

void json_reader_init(JsonReader *reader, const char *text, size_t size);

/* The first character of the next value: '{' '[' '"' '-' or a digit, 't' 'f' 'n'; 0 when there is none. */
char json_reader_peek(JsonReader *reader);
/* Enters an object ('{') or an array ('['). */
bool json_reader_begin(JsonReader *reader, char bracket);
/* Goes to the next member of an object and reads its name into the string; false at its end and after an
 * error. */
bool json_reader_member(JsonReader *reader, GString *name);
/* Goes to the next item of an array; false at its end and after an error. */
bool json_reader_item(JsonReader *reader);
/* Reads a string, decoded; a character U+0000 is an error. */
bool json_reader_string(JsonReader *reader, GString *text);
/* Reads a whole number. */
bool json_reader_integer(JsonReader *reader, long *ret_number);
/* Skips any value. */
bool json_reader_skip(JsonReader *reader);
/* Copies any value as JSON text without needless white space, its strings in ASCII. */
bool json_reader_copy(JsonReader *reader, GString *json);
/* True when nothing but white space is left and no error was met. */
bool json_reader_finish(JsonReader *reader);
/* Fails with a message of the caller's, which must stay. Returns false. */
bool json_reader_fail(JsonReader *reader, const char *error);
/* The line of the present position, from 1. */
unsigned json_reader_line(const JsonReader *reader);
