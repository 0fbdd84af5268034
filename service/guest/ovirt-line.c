/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/ovirt-line.h"

#include <string.h>

/* What an emptied buffer may keep: the refresh burst of an agent comes in lines of this order. */
enum { BUFFER_KEEP = 4096 };

void ovirt_line_clear(OvirtLine *line)
{
    if (line->buffer)
        g_string_free(line->buffer, TRUE);
    *line = (OvirtLine){.dropped = line->dropped};
}

/* Forgets what was handed out. */
static void buffer_compact(OvirtLine *line)
{
    if (line->start == line->buffer->len && line->buffer->allocated_len > BUFFER_KEEP) {
        g_string_free(line->buffer, TRUE);
        line->buffer = NULL;
    } else
        g_string_erase(line->buffer, 0, (gssize)line->start);
    line->searched = line->searched > line->start ? line->searched - line->start : 0;
    line->start = 0;
}

/* Gives up the unfinished line at the end of the buffer. */
static void line_give_up(OvirtLine *line)
{
    g_string_truncate(line->buffer, line->start);
    line->searched = line->start;
    line->skipping = true;
    line->dropped++;
}

void ovirt_line_push(OvirtLine *line, const char *data, size_t length)
{
    if (line->skipping) {
        const char *end = memchr(data, '\n', length);

        if (!end)
            return;
        length -= (size_t)(end + 1 - data);
        data = end + 1;
        line->skipping = false;
    }
    if (length == 0)
        return;
    if (!line->buffer)
        line->buffer = g_string_new(NULL);
    else if (line->start > 0)
        buffer_compact(line);
    if (!line->buffer)
        line->buffer = g_string_new(NULL);
    g_string_append_len(line->buffer, data, (gssize)length);
}

void ovirt_line_gap(OvirtLine *line)
{
    const char *last = NULL;

    if (line->skipping)
        return;
    /* Whole lines that wait are good: only the part behind the last LF belongs to the gap. */
    if (line->buffer)
        last = memrchr(line->buffer->str + line->start, '\n', line->buffer->len - line->start);
    if (last)
        g_string_truncate(line->buffer, (gsize)(last + 1 - line->buffer->str));
    else if (line->buffer)
        g_string_truncate(line->buffer, line->start);
    if (line->buffer)
        line->searched = MIN(line->searched, line->buffer->len);
    line->skipping = true;
    line->dropped++;
}

bool ovirt_line_next(OvirtLine *line, const char **ret_text, size_t *ret_length)
{
    while (line->buffer) {
        const char *from = line->buffer->str + line->searched;
        const char *end = memchr(from, '\n', line->buffer->len - line->searched);
        size_t length;

        if (!end) {
            line->searched = line->buffer->len;
            if (line->searched - line->start > OVIRT_LINE_MAX)
                line_give_up(line);
            if (line->start > 0)
                buffer_compact(line);
            return false;
        }
        *ret_text = line->buffer->str + line->start;
        length = (size_t)(end - *ret_text);
        line->start += length + 1;
        line->searched = line->start;
        if (length <= OVIRT_LINE_MAX) {
            *ret_length = length;
            return true;
        }
        line->dropped++;
    }
    return false;
}

bool ovirt_line_pending(const OvirtLine *line)
{
    return line->buffer &&
           memchr(line->buffer->str + line->searched, '\n', line->buffer->len - line->searched);
}
