/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit/authorize.h"

#include <assert.h>
#include <errno.h>

#include "polkit/actions.h"
#include "polkit/authority.h"
#include "polkit/inquiry.h"

/* Calls of one connection that may wait for the bus daemon to say who it is: known users have the queue's
 * limits. */
#define UNKNOWN_PER_SENDER_MAX 256u
/* An object that is renamed between question and answer is asked about anew, this often. */
#define RESTARTS_MAX 3u

static void sender_resolved(Sender *s, void *userdata)
{
    Authority *a = userdata;

    for (GList *i = s->questions.head, *next; i; i = next) {
        Question *q = i->data;

        next = i->next;
        if (!s->known) {
            inquiry_leave_sender(q); /* which is forgotten next; its second run brings the refusal */
            question_refuse(q, SD_BUS_ERROR_ACCESS_DENIED, "the bus does not tell who the caller is");
            inquiry_deliver(q);
        } else if (s->uid == 0) {
            question_set_answer(q, CHECK_ALLOWED, NULL);
            inquiry_deliver(q);
        } else if (inquiry_queue(q, QUEUE_PLAIN) < 0)
            inquiry_rate_limit(q);
        else
            inquiry_pump(
                a); /* now, or the crowd of a new connection would count as waiting while slots are free */
    }
}

static void sender_gone(Sender *s, void *userdata)
{
    GList *i;

    while ((i = s->questions.head))
        inquiry_end(i->data);
    inquiry_pump(userdata);
}

int authority_new(sd_bus *bus, Authority **ret)
{
    Authority *a = g_new0(Authority, 1);
    int r = -EINVAL;

    a->bus = sd_bus_ref(bus);
    a->event = sd_event_ref(sd_bus_get_event(bus));
    a->queue = queue_new();
    a->questions = g_hash_table_new(NULL, NULL);
    a->checks = g_hash_table_new(NULL, NULL);
    a->swept = g_ptr_array_new();
    if (a->event)
        r = sd_event_add_defer(a->event, &a->sweep, inquiry_sweep, a);
    if (r >= 0)
        r = sd_event_source_set_enabled(a->sweep, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_source_set_priority(a->sweep, SD_EVENT_PRIORITY_IDLE);
    if (r >= 0)
        r = sender_table_new(bus, sender_resolved, sender_gone, a, &a->senders);
    if (r < 0) {
        authority_free(a);
        return r;
    }
    *ret = a;
    return 0;
}

Authority *authority_free(Authority *a)
{
    GHashTableIter i;
    gpointer c;

    if (!a)
        return NULL;
    a->senders = sender_table_free(a->senders);
    (void)inquiry_sweep(NULL, a);
    assert(g_hash_table_size(a->questions) == 0);
    g_hash_table_iter_init(&i, a->checks);
    while (g_hash_table_iter_next(&i, &c, NULL)) {
        queue_leave(a->queue, &((Check *)c)->ticket);
        check_free(c);
    }
    g_hash_table_unref(a->checks);
    g_hash_table_unref(a->questions);
    g_ptr_array_unref(a->swept);
    queue_free(a->queue);
    sd_event_source_disable_unref(a->sweep);
    sd_event_unref(a->event);
    sd_bus_unref(a->bus);
    g_free(a);
    return NULL;
}

unsigned authority_pending(const Authority *a)
{
    return g_hash_table_size(a->questions);
}

/* First run: the question starts on its way. */
static int question_start(Question *q, sd_bus_error *error)
{
    Authority *a = q->authority;
    Sender *s = q->sender;
    int r;

    if (inquiry_start_clock(q) < 0)
        return sd_bus_error_set(error, SD_BUS_ERROR_NO_MEMORY, "No timer for the authorization");
    if (!s->known)
        r = s->questions.length > UNKNOWN_PER_SENDER_MAX ? -EDQUOT : 0;
    else
        r = inquiry_queue(q, QUEUE_PLAIN);
    if (r < 0)
        return sd_bus_error_set(error, ERROR_RATE_LIMITED, "Too many calls wait for authorization");
    inquiry_pump(a);
    return 0;
}

static int call_ask(Authority *a, sd_bus_message *call, const char *action, const AuthorityDetails *d,
                    sd_bus_error *error)
{
    const char *name = sd_bus_message_get_sender(call);
    Question *q;
    Sender *s;
    int r;

    if (!name || sender_table_get(a->senders, name, &s) < 0)
        return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "The caller is unknown");
    if (s->known && s->uid == 0)
        return 1;

    q = question_new(a, call, action, d);
    q->sender = s;
    g_queue_push_tail_link(&s->questions, &q->sender_link);
    g_hash_table_insert(a->questions, q->call, q);
    r = question_start(q, error);
    if (r < 0)
        inquiry_end(q);
    return r;
}

/* Second run: the answer is used up, unless the object has become another one meanwhile. */
static int question_fetch(Question *q, const char *action, const AuthorityDetails *d, sd_bus_error *error)
{
    bool fits = question_is_about(q, action, d) || (q->sender && q->sender->known && q->sender->uid == 0);
    int r;

    g_ptr_array_remove_fast(q->authority->swept, q);
    if (!q->allowed)
        r = sd_bus_error_copy(error, &q->refusal);
    else if (fits)
        r = 1;
    else if (!q->sender || q->restarts >= RESTARTS_MAX)
        r = sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "What was asked for changes all the time");
    else {
        question_set_about(q, action, d);
        q->restarts++;
        r = question_start(q, error);
        if (r >= 0)
            return 0;
    }
    inquiry_end(q);
    return r;
}

int authority_check(Authority *a, sd_bus_message *call, const AuthorityDetails *d, sd_bus_error *error)
{
    const char *interface = sd_bus_message_get_interface(call), *member = sd_bus_message_get_member(call);
    const char *action = action_for_method(interface, member);
    Question *q;

    if (!action)
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "Nobody may call %s",
                                 member ? member : "this");
    if (action[0] == '\0')
        return 1;
    q = g_hash_table_lookup(a->questions, call);
    if (!q)
        return call_ask(a, call, action, d, error);
    if (!q->answered)
        return 0;
    return question_fetch(q, action, d, error);
}

int authority_caller(Authority *a, sd_bus_message *call, uid_t *ret)
{
    const char *name = sd_bus_message_get_sender(call);
    Sender *s;

    if (!name || sender_table_get(a->senders, name, &s) < 0 || !s->known)
        return -ENXIO;
    *ret = s->uid;
    return 0;
}
