// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/json-reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/reporter/json-text.h"

/* Bytes of the longest number. */
#define NUMBER_MAX 64

void json_reader_init(JsonReader *reader, const char *text, size_t size)
{
    *reader = (JsonReader){.at = text, .start = text, .end = text + size};
}

bool json_reader_fail(JsonReader *reader, const char *error)
{
    if (!reader->error)
        reader->error = error;
    return false;
}

unsigned json_reader_line(const JsonReader *reader)
{
    unsigned line = 1;

    for (const char *at = reader->start; at < reader->at; at++)
        line += *at == '\n';
    return line;
}

char json_reader_peek(JsonReader *reader)
{
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at)
        reader->at++;
    return !reader->error && reader->at < reader->end ? *reader->at : 0;
}

static bool expect(JsonReader *reader, char c)
{
    if (json_reader_peek(reader) != c)
        return json_reader_fail(reader, "is not the JSON that is expected here");
    reader->at++;
    return true;
}

bool json_reader_begin(JsonReader *reader, char bracket)
{
    if (!expect(reader, bracket))
        return false;
    if (++reader->depth > JSON_READER_DEPTH_MAX)
        return json_reader_fail(reader, "is nested too deeply");
    reader->first = true;
    return true;
}

/* Goes to the next member or item: false at the closing bracket, which is then behind us. */
static bool next(JsonReader *reader, char bracket)
{
    if (json_reader_peek(reader) == bracket) {
        reader->at++;
        reader->depth--;
        reader->first = false;
        return false;
    }
    if (!reader->first && !expect(reader, ','))
        return false;
    reader->first = false;
    return !reader->error;
}

bool json_reader_member(JsonReader *reader, GString *name)
{
    return next(reader, '}') && json_reader_string(reader, name) && expect(reader, ':');
}

bool json_reader_item(JsonReader *reader)
{
    return next(reader, ']');
}

/* Four hexadecimal digits, or -1. */
static int read_unit(JsonReader *reader)
{
    int unit = 0;

    if (reader->end - reader->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = g_ascii_xdigit_value(reader->at[i]);

        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    reader->at += 4;
    return unit;
}

/* What follows "\u": a code point, of two halves if it is above U+FFFF. A half alone becomes U+FFFD. */
static bool read_code_point(JsonReader *reader, GString *text)
{
    int unit = read_unit(reader);

    if (unit < 0)
        return json_reader_fail(reader, "has a \\u without four digits");
    if (unit == 0)
        return json_reader_fail(reader, "has a zero character");
    if (unit >= 0xd800 && unit < 0xdc00 && reader->end - reader->at >= 6 &&
        memcmp(reader->at, "\\u", 2) == 0) {
        const char *before = reader->at;

        reader->at += 2;
        int low = read_unit(reader);

        if (low >= 0xdc00 && low < 0xe000) {
            g_string_append_unichar(text, 0x10000U + (((gunichar)unit - 0xd800U) << 10) +
                                              ((gunichar)low - 0xdc00U));
            return true;
        }
        reader->at = before;
    }
    g_string_append_unichar(text, unit >= 0xd800 && unit < 0xe000 ? 0xfffd : (gunichar)unit);
    return true;
}

static bool read_escape(JsonReader *reader, GString *text)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char c = reader->at < reader->end ? *reader->at++ : 0;
    const char *letter = c ? strchr(letters, c) : NULL;

    if (c == 'u')
        return read_code_point(reader, text);
    if (!letter)
        return json_reader_fail(reader, "has a \\ with nothing that may follow it");
    g_string_append_c(text, values[letter - letters]);
    return true;
}

bool json_reader_string(JsonReader *reader, GString *text)
{
    g_string_truncate(text, 0);
    if (!expect(reader, '"'))
        return false;
    while (reader->at < reader->end) {
        const char *from = reader->at;

        while (reader->at < reader->end && *reader->at != '"' && *reader->at != '\\' &&
               (unsigned char)*reader->at >= ' ')
            reader->at++;
        g_string_append_len(text, from, reader->at - from);
        if (reader->at == reader->end)
            break;
        char c = *reader->at++;

        if (c == '"')
            return g_utf8_validate(text->str, (gssize)text->len, NULL) ||
                   json_reader_fail(reader, "is not UTF-8");
        if (c != '\\')
            return json_reader_fail(reader, "has a control character in a string");
        if (!read_escape(reader, text))
            return false;
    }
    return json_reader_fail(reader, "has a string without an end");
}

static size_t count_digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* A number as JSON has them: no leading zero, no bare point. */
static bool is_number(const char *text)
{
    text += *text == '-';
    size_t digits = count_digits(text);

    if (digits == 0 || (digits > 1 && *text == '0'))
        return false;
    text += digits;
    if (*text == '.') {
        digits = count_digits(++text);
        text += digits;
        if (digits == 0)
            return false;
    }
    if (*text == 'e' || *text == 'E') {
        text += 1 + (text[1] == '+' || text[1] == '-');
        digits = count_digits(text);
        text += digits;
        if (digits == 0)
            return false;
    }
    return !*text;
}

/* Copies the characters of a number or of true, false, null. */
static bool read_word(JsonReader *reader, char ret_word[NUMBER_MAX])
{
    size_t size = 0;

    (void)json_reader_peek(reader);
    while (reader->at < reader->end && (g_ascii_isalnum(*reader->at) || strchr("+-.", *reader->at)) &&
           *reader->at && size < NUMBER_MAX - 1)
        ret_word[size++] = *reader->at++;
    ret_word[size] = '\0';
    if (reader->error)
        return false;
    return is_number(ret_word) || strcmp(ret_word, "true") == 0 || strcmp(ret_word, "false") == 0 ||
           strcmp(ret_word, "null") == 0 || json_reader_fail(reader, "has something that is no JSON value");
}

bool json_reader_integer(JsonReader *reader, long *ret_number)
{
    char word[NUMBER_MAX], *end;

    if (!read_word(reader, word))
        return false;
    errno = 0;
    *ret_number = strtol(word, &end, 10);
    return (*end == '\0' && end > word && errno == 0) || json_reader_fail(reader, "has no whole number here");
}

static bool copy_value(JsonReader *reader, GString *json, GString *text);

static bool copy_object(JsonReader *reader, GString *json, GString *text)
{
    if (!json_reader_begin(reader, '{'))
        return false;
    g_string_append_c(json, '{');
    for (bool any = false; json_reader_member(reader, text); any = true) {
        if (any)
            g_string_append_c(json, ',');
        json_text_append_string(json, text->str);
        g_string_append_c(json, ':');
        if (!copy_value(reader, json, text))
            return false;
    }
    g_string_append_c(json, '}');
    return !reader->error;
}

static bool copy_array(JsonReader *reader, GString *json, GString *text)
{
    if (!json_reader_begin(reader, '['))
        return false;
    g_string_append_c(json, '[');
    for (bool any = false; json_reader_item(reader); any = true) {
        if (any)
            g_string_append_c(json, ',');
        if (!copy_value(reader, json, text))
            return false;
    }
    g_string_append_c(json, ']');
    return !reader->error;
}

static bool copy_value(JsonReader *reader, GString *json, GString *text)
{
    char word[NUMBER_MAX];

    switch (json_reader_peek(reader)) {
    case '{':
        return copy_object(reader, json, text);
    case '[':
        return copy_array(reader, json, text);
    case '"':
        if (!json_reader_string(reader, text))
            return false;
        json_text_append_string(json, text->str);
        return true;
    default:
        if (!read_word(reader, word))
            return false;
        g_string_append(json, word);
        return true;
    }
}

bool json_reader_copy(JsonReader *reader, GString *json)
{
    g_autoptr(GString) text = g_string_new(NULL);

    return copy_value(reader, json, text);
}

bool json_reader_skip(JsonReader *reader)
{
    g_autoptr(GString) json = g_string_new(NULL);

    return json_reader_copy(reader, json);
}

bool json_reader_finish(JsonReader *reader)
{
    if (json_reader_peek(reader))
        return json_reader_fail(reader, "has something behind its end");
    return !reader->error;
}
