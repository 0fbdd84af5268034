/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Cuts the bytes of an oVirt agent's channel into lines: one message is one line, ended by LF. A line that is
 * too long costs itself only: what follows the next LF is read again. */

enum { OVIRT_LINE_MAX = 1024 * 1024 }; /* bytes, the LF not counted; the agents' own limit is the same */

typedef struct OvirtLine {
    GString *buffer;  /* NULL while nothing is held: most channels are idle most of the time */
    size_t start;     /* of what is not handed out yet */
    size_t searched;  /* up to here there is no LF */
    bool skipping;    /* inside a line that is given up */
    uint64_t dropped; /* lines given up so far */
} OvirtLine;

void ovirt_line_clear(OvirtLine *line);

/* Takes bytes as they came. At most OVIRT_LINE_MAX and what came last are held. */
void ovirt_line_push(OvirtLine *line, const char *data, size_t length);

/* Says that bytes were lost here: the line around the gap is given up. */
void ovirt_line_gap(OvirtLine *line);

/* The next whole line without its LF, not terminated by zero; valid until the next call. False when there is
 * none. */
bool ovirt_line_next(OvirtLine *line, const char **ret_text, size_t *ret_length);

/* Whether a whole line may be waiting. */
bool ovirt_line_pending(const OvirtLine *line);
