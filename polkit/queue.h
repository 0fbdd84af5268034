/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <glib.h>

/* The bus daemon lets one connection wait for 128 replies; past that it answers every further call with an
 * error, whoever it is for. The gate keeps to 100, and part of these is never given to interactive checks,
 * which stay open for as long as a human looks at a dialog. */
#define QUEUE_FLYING_MAX 100u
#define QUEUE_FLYING_PLAIN_MAX 32u
#define QUEUE_FLYING_INTERACTIVE_MAX (QUEUE_FLYING_MAX - QUEUE_FLYING_PLAIN_MAX)
#define QUEUE_FLYING_INTERACTIVE_PER_UID 8u
#define QUEUE_WAITING_PER_UID 32u
#define QUEUE_WAITING_MAX 1024u

typedef enum QueueKind {
    QUEUE_PLAIN,       /* polkit answers by itself, in milliseconds */
    QUEUE_INTERACTIVE, /* polkit may ask a human */
    QUEUE_KINDS,
} QueueKind;

/* A place in the queue, embedded in what waits there. All but uid and kind belongs to the queue. */
typedef struct QueueTicket {
    uid_t uid;
    QueueKind kind;
    bool waiting;
    bool flying;
    GList link;
} QueueTicket;

/* Decides who asks next: users take turns, however many tickets each of them has. */
typedef struct Queue Queue;

Queue *queue_new(void);
/* Every ticket must have left. */
Queue *queue_free(Queue *q);

/* Lets a ticket (uid and kind set, not in the queue) wait for its turn. -EDQUOT: the user has too many
 * waiting already; -ENOBUFS: all users together have. */
int queue_put(Queue *q, QueueTicket *t);

/* The next ticket whose turn it is, which holds a slot from now on; NULL when all slots it may have are
 * taken. */
QueueTicket *queue_next(Queue *q);

/* Takes a ticket out, be it waiting, holding a slot or neither. */
void queue_leave(Queue *q, QueueTicket *t);
