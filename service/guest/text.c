/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/text.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* The oVirt protocol's own list of illegal characters (control characters but TAB, LF, CR and NEL), plus the
 * noncharacters of Unicode: sd-bus takes a message that contains one for damaged, so a single guest could
 * make GetManagedObjects unreadable for everybody. */
static bool char_is_illegal(gunichar c)
{
    if (c < 0x20)
        return c != '\t' && c != '\n' && c != '\r';
    if (c >= 0x7f && c <= 0x9f)
        return c != 0x85;
    if (c >= 0xfdd0 && c <= 0xfdef)
        return true;
    return (c & 0xfffe) == 0xfffe;
}

char *text_clean(const char *text, long length, size_t max, unsigned *ret_cut)
{
    size_t left = !text ? 0 : length < 0 ? strlen(text) : (size_t)length;
    GString *out = g_string_sized_new(MIN(left, max));

    while (left > 0) {
        gunichar c = *text ? g_utf8_get_char_validated(text, (gssize)left) : 0;
        /* g_utf8_get_char_validated() answers -1 or -2 for what is no character: one byte is given up then,
         * so that the text behind it is found again. */
        bool invalid = c == (gunichar)-1 || c == (gunichar)-2;
        size_t in = invalid || c == 0 ? 1 : (size_t)(g_utf8_next_char(text) - text);
        bool replaced = invalid || char_is_illegal(c);
        size_t size = replaced ? strlen(replacement) : in;

        if (out->len + size > max) {
            if (ret_cut)
                *ret_cut = 1;
            break;
        }
        g_string_append_len(out, replaced ? replacement : text, (gssize)size);
        text += in;
        left -= in;
    }
    return g_string_free(out, FALSE);
}
