// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/json-text.h"

#include <string.h>

#define REPLACEMENT_CHARACTER 0xfffdU
#define INDENT 4

static void append_unit(GString *to, unsigned unit)
{
    g_string_append_printf(to, "\\u%04x", unit);
}

static void append_code_point(GString *to, gunichar c)
{
    if (c < 0x10000) {
        append_unit(to, c);
        return;
    }
    c -= 0x10000;
    append_unit(to, 0xd800 + (c >> 10));
    append_unit(to, 0xdc00 + (c & 0x3ff));
}

/* The letter after the backslash for what has a short escape, else 0. */
static char short_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\f':
        return 'f';
    case '\b':
        return 'b';
    default:
        return 0;
    }
}

void json_text_append_string(GString *to, const char *text)
{
    g_string_append_c(to, '"');
    for (const char *at = text; *at;) {
        char escape = short_escape(*at);

        if (escape) {
            g_string_append_c(to, '\\');
            g_string_append_c(to, escape);
            at++;
        } else if (*at >= ' ' && *at <= '~') {
            g_string_append_c(to, *at++);
        } else {
            gunichar c = g_utf8_get_char_validated(at, -1);
            bool valid = c != (gunichar)-1 && c != (gunichar)-2;

            append_code_point(to, valid ? c : REPLACEMENT_CHARACTER);
            at = valid ? g_utf8_next_char(at) : at + 1;
        }
    }
    g_string_append_c(to, '"');
}

static bool needs_escape(const char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~' || *text == '"' || *text == '\\')
            return true;
    return false;
}

void json_text_write_string(FILE *stream, const char *text)
{
    if (!needs_escape(text)) {
        putc_unlocked('"', stream);
        fputs_unlocked(text, stream);
        putc_unlocked('"', stream);
        return;
    }
    g_autoptr(GString) escaped = g_string_new(NULL);

    json_text_append_string(escaped, text);
    fputs_unlocked(escaped->str, stream);
}

static void break_line(FILE *stream, unsigned depth)
{
    fprintf(stream, "\n%*s", (int)(depth * INDENT), "");
}

/* Copies a string with its quotes and returns what follows it. */
static const char *write_string_token(FILE *stream, const char *at)
{
    putc_unlocked(*at++, stream);
    while (*at && *at != '"') {
        if (*at == '\\' && at[1])
            putc_unlocked(*at++, stream);
        putc_unlocked(*at++, stream);
    }
    if (*at)
        putc_unlocked(*at++, stream);
    return at;
}

void json_text_write_indented(FILE *stream, const char *json, unsigned depth)
{
    for (const char *at = json; *at;) {
        switch (*at) {
        case '"':
            at = write_string_token(stream, at);
            continue;
        case '{':
        case '[':
            putc_unlocked(*at, stream);
            if (at[1] == '}' || at[1] == ']')
                putc_unlocked(*++at, stream);
            else
                break_line(stream, ++depth);
            break;
        case '}':
        case ']':
            break_line(stream, --depth);
            putc_unlocked(*at, stream);
            break;
        case ',':
            putc_unlocked(',', stream);
            break_line(stream, depth);
            break;
        case ':':
            fputs_unlocked(": ", stream);
            break;
        default:
            putc_unlocked(*at, stream);
        }
        at++;
    }
}
