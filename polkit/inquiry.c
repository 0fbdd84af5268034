/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit/inquiry.h"

#include <stdint.h>

#include "polkit/check.h"
#include "service/cleanup.h"
#include "service/log.h"

/* What polkit decides by itself takes milliseconds; past this it is stopped. A rule that hangs gets 15 s from
 * polkit, which answers nobody else meanwhile: their calls shall outlast that, and still be answered before
 * the 25 s at which most clients give up. The time counts from the call on, so waiting for a slot is in it.
 */
#define PLAIN_DEADLINE_USEC (20 * UINT64_C(1000000))
/* How long a human may take, from the moment that one has to be asked. */
#define INTERACTIVE_DEADLINE_USEC (300 * UINT64_C(1000000))

static void check_forget(Authority *a, Check *c)
{
    queue_leave(a->queue, &c->ticket);
    g_hash_table_remove(a->checks, c);
    check_free(c);
}

/* The question needs its check no longer. One that polkit is working on keeps its slot until the answer, and
 * nobody waits for that. */
static void drop_check(Question *q)
{
    Check *c = TAKE_PTR(q->check);

    if (!c)
        return;
    if (c->ticket.flying)
        c->question = NULL;
    else
        check_forget(q->authority, c);
}

void inquiry_leave_sender(Question *q)
{
    if (q->sender)
        g_queue_unlink(&TAKE_PTR(q->sender)->questions, &q->sender_link);
}

void inquiry_end(Question *q)
{
    Authority *a = q->authority;

    drop_check(q);
    inquiry_leave_sender(q);
    g_ptr_array_remove_fast(a->swept, q);
    g_hash_table_remove(a->questions, q->call);
    question_free(q);
}

int inquiry_sweep(sd_event_source *source, void *userdata)
{
    Authority *a = userdata;

    while (a->swept->len > 0)
        inquiry_end(g_ptr_array_index(a->swept, a->swept->len - 1));
    return 0;
}

void inquiry_deliver(Question *q)
{
    Authority *a = q->authority;
    int r;

    drop_check(q);
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
    bool human = q->check && q->check->ticket.kind == QUEUE_INTERACTIVE;

    if (human && q->check->ticket.flying)
        check_cancel(q->check, a->bus);
    question_refuse(q, SD_BUS_ERROR_ACCESS_DENIED,
                    human ? "nobody authenticated in time" : "polkit does not answer");
    inquiry_deliver(q);
    inquiry_pump(a);
    return 0;
}

static int set_deadline(Question *q, uint64_t usec)
{
    int r;

    if (!q->deadline)
        return sd_event_add_time_relative(q->authority->event, &q->deadline, CLOCK_MONOTONIC, usec, 0,
                                          deadline_passed, q);
    r = sd_event_source_set_time_relative(q->deadline, usec);
    return r < 0 ? r : sd_event_source_set_enabled(q->deadline, SD_EVENT_ONESHOT);
}

int inquiry_start_clock(Question *q)
{
    return set_deadline(q, PLAIN_DEADLINE_USEC);
}

int inquiry_queue(Question *q, QueueKind kind)
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

void inquiry_rate_limit(Question *q)
{
    question_refuse(q, ERROR_RATE_LIMITED, "too many calls wait for authorization");
    inquiry_deliver(q);
}

/* A human has to be asked. Only now the check takes one of the few slots for that, so that what is allowed
 * anyway never waits behind open dialogs, not even behind the caller's own. */
static void ask_human(Question *q)
{
    if (inquiry_queue(q, QUEUE_INTERACTIVE) < 0)
        inquiry_rate_limit(q);
    else
        (void)set_deadline(q, INTERACTIVE_DEADLINE_USEC);
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
            ask_human(q);
        else {
            question_set_answer(q, answer, text);
            inquiry_deliver(q);
        }
    } else
        check_forget(a, c);
    inquiry_pump(a);
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
    inquiry_deliver(q);
}

void inquiry_pump(Authority *a)
{
    QueueTicket *t;

    while ((t = queue_next(a->queue)))
        check_start(a, (Check *)t);
}
