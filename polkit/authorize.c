/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit/authorize.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>

#include "polkit/actions.h"
#include "polkit/question.h"
#include "polkit/queue.h"
#include "polkit/sender.h"
#include "service/cleanup.h"
#include "service/log.h"

/* What polkit decides by itself takes milliseconds; past this it is stopped or its rules hang. The time
 * counts from the call on, so waiting for a slot is in it. */
#define PLAIN_DEADLINE_USEC (10 * UINT64_C(1000000))
/* How long a human may take, from the moment that one has to be asked. */
#define INTERACTIVE_DEADLINE_USEC (300 * UINT64_C(1000000))
/* Calls of one connection that may wait for the bus daemon to say who it is: known users have the queue's
 * limits. */
#define UNKNOWN_PER_SENDER_MAX 256u
/* An object that is renamed between question and answer is asked about anew, this often. */
#define RESTARTS_MAX 3u

#define ERROR_RATE_LIMITED "org.guestbus1.Error.RateLimited"

struct Authority {
    sd_bus *bus;
    sd_event *event;
    SenderTable *senders;
    Queue *queue;
    GHashTable *questions;  /* sd_bus_message → Question */
    GHashTable *checks;     /* of Check: those that polkit owes an answer, wanted or not */
    sd_event_source *sweep; /* after the second run of handlers, frees what these did not fetch */
    GPtrArray *swept;       /* of Question, answered and queued for the second run */
    bool told_absent;       /* the log says that polkit is not there */
};

static void pump(Authority *a);

static void check_forget(Authority *a, Check *c)
{
    queue_leave(a->queue, &c->ticket);
    g_hash_table_remove(a->checks, c);
    check_free(c);
}

/* The question needs its check no longer. One that polkit is working on keeps its slot until the answer. */
static void question_drop_check(Question *q)
{
    Authority *a = q->authority;
    Check *c = TAKE_PTR(q->check);

    if (!c)
        return;
    if (c->ticket.flying) {
        c->question = NULL;
        check_cancel(c, a->bus);
    } else
        check_forget(a, c);
}

static void question_leave_sender(Question *q)
{
    if (q->sender)
        g_queue_unlink(&TAKE_PTR(q->sender)->questions, &q->sender_link);
}

static void question_end(Question *q)
{
    Authority *a = q->authority;

    question_drop_check(q);
    question_leave_sender(q);
    g_ptr_array_remove_fast(a->swept, q);
    g_hash_table_remove(a->questions, q->call);
    question_free(q);
}

static int sweep(sd_event_source *source, void *userdata)
{
    Authority *a = userdata;

    while (a->swept->len > 0)
        question_end(g_ptr_array_index(a->swept, a->swept->len - 1));
    return 0;
}

/* The answer is in q: lets the handler run again. Frees nothing, so callers may walk lists. */
static void question_deliver(Question *q)
{
    Authority *a = q->authority;
    int r;

    question_drop_check(q);
    sd_event_source_set_enabled(q->deadline, SD_EVENT_OFF);
    r = sd_bus_message_rewind(q->call, true);
    if (r >= 0)
        r = sd_bus_enqueue_for_read(a->bus, q->call);
    if (r < 0)
        (void)sd_bus_reply_method_errnof(q->call, r, "The authorized call cannot be run");
    /* The sweep is idle work: the loop has run all messages that are queued now before it comes to it. */
    g_ptr_array_add(a->swept, q);
    sd_event_source_set_enabled(a->sweep, SD_EVENT_ONESHOT);
}

static int deadline_passed(sd_event_source *source, uint64_t usec, void *userdata)
{
    Question *q = userdata;
    Authority *a = q->authority;

    question_refuse(q, SD_BUS_ERROR_ACCESS_DENIED,
                    q->check && q->check->ticket.kind == QUEUE_INTERACTIVE ? "nobody authenticated in time"
                                                                           : "polkit does not answer");
    question_deliver(q);
    pump(a);
    return 0;
}

static int question_set_deadline(Question *q, uint64_t usec)
{
    int r;

    if (!q->deadline)
        return sd_event_add_time_relative(q->authority->event, &q->deadline, CLOCK_MONOTONIC, usec, 0,
                                          deadline_passed, q);
    r = sd_event_source_set_time_relative(q->deadline, usec);
    return r < 0 ? r : sd_event_source_set_enabled(q->deadline, SD_EVENT_ONESHOT);
}

/* Gives the question a place among its user's. -EDQUOT, -ENOBUFS: there is none. */
static int question_queue(Question *q, QueueKind kind)
{
    Authority *a = q->authority;
    int r;

    q->check = check_new(q->sender->uid, kind, a, q);
    g_hash_table_add(a->checks, q->check);
    r = queue_put(a->queue, &q->check->ticket);
    if (r < 0)
        check_forget(a, TAKE_PTR(q->check));
    return r;
}

static void question_rate_limit(Question *q)
{
    question_refuse(q, ERROR_RATE_LIMITED, "too many calls wait for authorization");
    question_deliver(q);
}

/* A human has to be asked. Only now the check takes one of the few slots for that, so that what is allowed
 * anyway never waits behind open dialogs, not even behind the caller's own. */
static void question_escalate(Question *q)
{
    if (question_queue(q, QUEUE_INTERACTIVE) < 0)
        question_rate_limit(q);
    else
        (void)question_set_deadline(q, INTERACTIVE_DEADLINE_USEC);
}

/* Callers get an error each; the log gets a line when it begins and one when it is over. */
static void tell_of_trouble(Authority *a, const Question *q, CheckAnswer answer, const char *text)
{
    if (answer == CHECK_UNDECIDED)
        log_warning("polkit could not decide %s: %s", q->action, text ? text : "no reason given");
    else if ((answer == CHECK_NO_POLKIT) != a->told_absent) {
        a->told_absent = !a->told_absent;
        if (a->told_absent)
            log_warning("polkit is not available: only root may act until it is");
        else
            log_notice("polkit is available again");
    }
}

static int check_done(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Check *c = userdata;
    Question *q = c->question;
    Authority *a = c->authority;
    const char *text;
    CheckAnswer answer;

    answer = check_read_answer(reply, &text);
    if (q) {
        bool escalate = answer == CHECK_CHALLENGE && q->interactive && c->ticket.kind == QUEUE_PLAIN;

        tell_of_trouble(a, q, answer, text);
        q->check = NULL;
        check_forget(a, c);
        if (escalate)
            question_escalate(q);
        else {
            question_set_answer(q, answer, text);
            question_deliver(q);
        }
    } else
        check_forget(a, c);
    pump(a);
    return 1;
}

static void check_start(Authority *a, Check *c)
{
    Question *q = c->question;
    const CheckSubject subject = {
        .sender = q->sender->name,
        .action = q->action,
        .details = (const char *const *)q->details,
    };
    int r = check_ask(c, a->bus, &subject, check_done);

    if (r >= 0)
        return;
    q->check = NULL;
    check_forget(a, c);
    question_set_answer(q, CHECK_UNDECIDED, "the question cannot be sent");
    question_deliver(q);
}

/* Sends what has its turn. */
static void pump(Authority *a)
{
    QueueTicket *t;

    while ((t = queue_next(a->queue)))
        check_start(a, (Check *)t);
}

static void sender_resolved(Sender *s, void *userdata)
{
    Authority *a = userdata;

    for (GList *i = s->questions.head, *next; i; i = next) {
        Question *q = i->data;

        next = i->next;
        if (!s->known) {
            question_leave_sender(q); /* which is forgotten next; its second run brings the refusal */
            question_refuse(q, SD_BUS_ERROR_ACCESS_DENIED, "the bus does not tell who the caller is");
            question_deliver(q);
        } else if (s->uid == 0) {
            question_set_answer(q, CHECK_ALLOWED, NULL);
            question_deliver(q);
        } else if (question_queue(q, QUEUE_PLAIN) < 0)
            question_rate_limit(q);
        else
            pump(a); /* now, or the crowd of a new connection would count as waiting while slots are free */
    }
}

static void sender_gone(Sender *s, void *userdata)
{
    GList *i;

    while ((i = s->questions.head))
        question_end(i->data);
    pump(userdata);
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
        r = sd_event_add_defer(a->event, &a->sweep, sweep, a);
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
    sweep(NULL, a);
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

    if (question_set_deadline(q, PLAIN_DEADLINE_USEC) < 0)
        return sd_bus_error_set(error, SD_BUS_ERROR_NO_MEMORY, "No timer for the authorization");
    if (!s->known)
        r = s->questions.length > UNKNOWN_PER_SENDER_MAX ? -EDQUOT : 0;
    else
        r = question_queue(q, QUEUE_PLAIN);
    if (r < 0)
        return sd_bus_error_set(error, ERROR_RATE_LIMITED, "Too many calls wait for authorization");
    pump(a);
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
        question_end(q);
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
    question_end(q);
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
