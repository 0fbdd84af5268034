/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service/qmp/event.h"

/* The events that have a signal of their own. Everything else goes out as the generic `Event` alone. */

typedef enum QMPFieldKind {
    QMP_FIELD_TEXT,   /* s: "" when QEMU left the member out */
    QMP_FIELD_NUMBER, /* t */
    QMP_FIELD_OBJECT, /* a{sv}: empty when QEMU left the member out */
    QMP_FIELD_INFO,   /* a{sv}: the member, or the whole data where it comes without that wrapper */
} QMPFieldKind;

enum {
    QMP_FIELDS_MAX = 5,
    QMP_SPELLINGS_MAX = 2,
};

typedef struct QMPField {
    const char *argument; /* its name on the bus */
    QMPFieldKind kind;
    const char *members[QMP_SPELLINGS_MAX]; /* its name in the data: the first one that is there counts */
} QMPField;

typedef struct QMPSignal {
    const char *event;     /* "BALLOON_CHANGE" */
    const char *signal;    /* "BalloonChange" */
    const char *signature; /* without the leading timestamp, which all have: "t" */
    QMPField fields[QMP_FIELDS_MAX];
} QMPSignal;

/* All rows; *ret_count says how many. */
const QMPSignal *qmp_table(size_t *ret_count);

/* The row of an event, NULL when it has none. */
const QMPSignal *qmp_table_find(const char *event);

size_t qmp_signal_count_fields(const QMPSignal *signal);

/* Whether the data carry all that the signal cannot do without: its numbers, and members of the right type.
 * A typed signal that made something up would be worse than none; `Event` still goes out. */
bool qmp_signal_fits(const QMPSignal *signal, struct json_object *details);

/* The values of a field, after qmp_signal_fits(). They belong to `details`. */
const char *qmp_field_text(const QMPField *field, struct json_object *details);
uint64_t qmp_field_number(const QMPField *field, struct json_object *details);
/* NULL stands for an empty object. */
struct json_object *qmp_field_object(const QMPField *field, struct json_object *details);
