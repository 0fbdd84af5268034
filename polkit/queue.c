/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>

/* One user who has tickets. */
typedef struct Caller {
    uid_t uid;
    GQueue waiting[QUEUE_KINDS];
    unsigned n_waiting;
    unsigned n_flying[QUEUE_KINDS];
    GList turn[QUEUE_KINDS]; /* place in the ring of that kind while something of that kind waits */
} Caller;

struct Queue {
    GHashTable *callers;      /* uid → Caller, only those with tickets */
    GQueue ring[QUEUE_KINDS]; /* of Caller: the head is served next and goes to the tail */
    unsigned n_waiting;
    unsigned n_flying[QUEUE_KINDS];
};

static const unsigned flying_max[QUEUE_KINDS] = {
    [QUEUE_PLAIN] = QUEUE_FLYING_PLAIN_MAX,
    [QUEUE_INTERACTIVE] = QUEUE_FLYING_INTERACTIVE_MAX,
};

static const unsigned flying_per_uid[QUEUE_KINDS] = {
    [QUEUE_PLAIN] = QUEUE_FLYING_PLAIN_MAX,
    [QUEUE_INTERACTIVE] = QUEUE_FLYING_INTERACTIVE_PER_UID,
};

Queue *queue_new(void)
{
    Queue *q = g_new0(Queue, 1);

    q->callers = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    return q;
}

Queue *queue_free(Queue *q)
{
    if (!q)
        return NULL;
    assert(g_hash_table_size(q->callers) == 0);
    g_hash_table_unref(q->callers);
    g_free(q);
    return NULL;
}

static gpointer uid_key(uid_t uid)
{
    return (gpointer)(uintptr_t)uid;
}

static Caller *caller_get(Queue *q, uid_t uid)
{
    Caller *c = g_hash_table_lookup(q->callers, uid_key(uid));

    if (c)
        return c;
    c = g_new0(Caller, 1);
    c->uid = uid;
    for (int kind = 0; kind < QUEUE_KINDS; kind++)
        c->turn[kind].data = c;
    g_hash_table_insert(q->callers, uid_key(uid), c);
    return c;
}

static void caller_release_if_unused(Queue *q, Caller *c)
{
    if (c->n_waiting == 0 && c->n_flying[QUEUE_PLAIN] == 0 && c->n_flying[QUEUE_INTERACTIVE] == 0)
        g_hash_table_remove(q->callers, uid_key(c->uid));
}

int queue_put(Queue *q, QueueTicket *t)
{
    Caller *c;

    assert(!t->waiting && !t->flying);
    c = g_hash_table_lookup(q->callers, uid_key(t->uid));
    if (c && c->n_waiting >= QUEUE_WAITING_PER_UID)
        return -EDQUOT;
    if (q->n_waiting >= QUEUE_WAITING_MAX)
        return -ENOBUFS;

    c = caller_get(q, t->uid);
    if (g_queue_is_empty(&c->waiting[t->kind]))
        g_queue_push_tail_link(&q->ring[t->kind], &c->turn[t->kind]);
    t->link = (GList){.data = t};
    g_queue_push_tail_link(&c->waiting[t->kind], &t->link);
    t->waiting = true;
    c->n_waiting++;
    q->n_waiting++;
    return 0;
}

/* Takes a ticket out of its user's line; the user leaves the ring with the last one. */
static void waiting_remove(Queue *q, Caller *c, QueueTicket *t)
{
    g_queue_unlink(&c->waiting[t->kind], &t->link);
    if (g_queue_is_empty(&c->waiting[t->kind]))
        g_queue_unlink(&q->ring[t->kind], &c->turn[t->kind]);
    t->waiting = false;
    c->n_waiting--;
    q->n_waiting--;
}

static QueueTicket *ring_next(Queue *q, QueueKind kind)
{
    if (q->n_flying[kind] >= flying_max[kind])
        return NULL;
    /* One round at most: a user at their own limit is passed over and keeps their place. */
    for (guint left = q->ring[kind].length; left > 0; left--) {
        GList *turn = g_queue_pop_head_link(&q->ring[kind]);
        Caller *c = turn->data;
        QueueTicket *t;

        g_queue_push_tail_link(&q->ring[kind], turn);
        if (c->n_flying[kind] >= flying_per_uid[kind])
            continue;
        t = g_queue_peek_head(&c->waiting[kind]);
        waiting_remove(q, c, t);
        t->flying = true;
        c->n_flying[kind]++;
        q->n_flying[kind]++;
        return t;
    }
    return NULL;
}

QueueTicket *queue_next(Queue *q)
{
    QueueTicket *t = ring_next(q, QUEUE_PLAIN);

    return t ? t : ring_next(q, QUEUE_INTERACTIVE);
}

void queue_leave(Queue *q, QueueTicket *t)
{
    Caller *c;

    if (!t->waiting && !t->flying)
        return;
    c = g_hash_table_lookup(q->callers, uid_key(t->uid));
    assert(c);
    if (t->waiting)
        waiting_remove(q, c, t);
    else {
        t->flying = false;
        c->n_flying[t->kind]--;
        q->n_flying[t->kind]--;
    }
    caller_release_if_unused(q, c);
}
