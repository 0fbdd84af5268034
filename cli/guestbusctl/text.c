/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/guestbusctl/text.h"

#define USEC_PER_SEC UINT64_C(1000000)

static void escape_append(GString *out, gunichar c)
{
    if (c == '\n')
        g_string_append(out, "\\n");
    else if (c == '\t')
        g_string_append(out, "\\t");
    else if (c < 0x100)
        g_string_append_printf(out, "\\x%02x", c);
    else if (c < 0x10000)
        g_string_append_printf(out, "\\u%04x", c);
    else
        g_string_append_printf(out, "\\U%08x", c);
}

char *text_escape(const char *text)
{
    GString *out = g_string_sized_new(strlen(text) + 1);

    while (*text) {
        gunichar c = g_utf8_get_char_validated(text, -1);

        if (c == (gunichar)-1 || c == (gunichar)-2) {
            escape_append(out, (unsigned char)*text++);
            continue;
        }
        /* Not printable: control characters, both ranges of them, and those that reorder or hide text. */
        if (g_unichar_isprint(c))
            g_string_append_unichar(out, c);
        else
            escape_append(out, c);
        text = g_utf8_next_char(text);
    }
    return g_string_free(out, FALSE);
}

size_t text_width(const char *text)
{
    size_t width = 0;

    for (; *text; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);

        if (!g_unichar_iszerowidth(c))
            width += g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

char *text_size(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;

    for (; value >= 1024 && unit + 1 < G_N_ELEMENTS(units); unit++)
        value /= 1024;
    if (value == floor(value))
        return g_strdup_printf("%.0f %s", value, units[unit]);
    return g_strdup_printf("%.1f %s", value, units[unit]);
}

int text_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const char letters[] = "KMGTPE";
    char *end;
    double value;
    const char *unit;

    if (!g_ascii_isdigit(*text))
        return -EINVAL;
    value = g_ascii_strtod(text, &end);
    if (*end) {
        unit = strchr(letters, g_ascii_toupper(*end));
        if (!unit ||
            (end[1] && g_ascii_strcasecmp(end + 1, "iB") != 0 && g_ascii_strcasecmp(end + 1, "B") != 0))
            return -EINVAL;
        value *= pow(1024, (double)(unit - letters + 1));
    }
    /* Also refuses what strtod reads as infinite; doubles are exact up to 8 PiB. */
    if (!(value < (double)(UINT64_C(1) << 53)))
        return -ERANGE;
    *ret_bytes = (uint64_t)value;
    return 0;
}

char *text_time(uint64_t usec, bool milliseconds)
{
    time_t seconds = (time_t)(usec / USEC_PER_SEC);
    struct tm local;
    char text[64];

    if (usec == 0)
        return g_strdup("never");
    if (!localtime_r(&seconds, &local) || strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local) == 0)
        return g_strdup("?");
    if (!milliseconds)
        return g_strdup(text);
    return g_strdup_printf("%s.%03u", text, (unsigned)(usec % USEC_PER_SEC / 1000));
}

char *text_age(uint64_t usec, uint64_t now_usec)
{
    bool future = usec > now_usec;
    uint64_t seconds = (future ? usec - now_usec : now_usec - usec) / USEC_PER_SEC;
    g_autofree char *span = NULL;

    if (usec == 0)
        return g_strdup("never");
    if (seconds < 120)
        span = g_strdup_printf("%" G_GUINT64_FORMAT " s", seconds);
    else if (seconds < 2 * 3600)
        span = g_strdup_printf("%" G_GUINT64_FORMAT " min", seconds / 60);
    else if (seconds < 2 * 86400)
        span = g_strdup_printf("%" G_GUINT64_FORMAT " h", seconds / 3600);
    else
        span = g_strdup_printf("%" G_GUINT64_FORMAT " days", seconds / 86400);
    return future ? g_strdup_printf("in %s", span) : g_strdup_printf("%s ago", span);
}

uint64_t text_now(void)
{
    return (uint64_t)g_get_real_time();
}
