/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <systemd/sd-event.h>

#include "service/reporter/association.h"
#include "service/reporter/backoff.h"
#include "service/reporter/http.h"
#include "service/reporter/settings.h"
#include "service/reporter/state.h"

/* Keeps one destination told what its sources say. It is handed what they collect; it decides when something
 * is sent, follows the server's job, waits as the server asks, and remembers in the state what was accepted.
 * One call to the server at a time; nothing in it blocks. */

/* How long a report waits for sources that are still collecting. */
#define SENDER_GATHER_USEC (5 * USEC_PER_SECOND)
/* After trouble with the server: the first wait and the longest one. */
#define SENDER_RETRY_USEC (2 * USEC_PER_SECOND)
#define SENDER_RETRY_MAX_USEC (15 * 60 * USEC_PER_SECOND)
/* The longest wait for another report of the same owner. */
#define SENDER_BLOCKED_MAX_USEC (60 * USEC_PER_SECOND)
/* The longest wait that a server may ask for. */
#define SENDER_RETRY_AFTER_MAX_USEC (3600 * USEC_PER_SECOND)
/* Between two looks at a job; the server keeps jobs for days, we do not. */
#define SENDER_POLL_USEC (USEC_PER_SECOND / 2)
#define SENDER_POLL_MAX_USEC (30 * USEC_PER_SECOND)
#define SENDER_JOB_DEADLINE_USEC (2 * 3600 * USEC_PER_SECOND)
/* After a report the server rests as long as it worked on it, but not longer than this. */
#define SENDER_REST_MAX_USEC (60 * USEC_PER_SECOND)
/* What the server refused is tried again after an interval, then two, four, ...; at the most after this. */
#define SENDER_REFUSAL_MAX_USEC (24 * 3600 * USEC_PER_SECOND)
/* The answer to "what can you do" is good for so long. */
#define SENDER_SERVER_AGE_USEC (10 * 60 * USEC_PER_SECOND)
/* In a single run: tries, the longest wait between them, and how long the job is followed. */
#define SENDER_ONCE_TRIES 3
#define SENDER_ONCE_WAIT_USEC (10 * USEC_PER_SECOND)
#define SENDER_ONCE_JOB_USEC (120 * USEC_PER_SECOND)

typedef struct Sender Sender;

/* Told from the loop or from inside the functions below; the sender must not be freed in them. */
typedef struct SenderObserver {
    /* for the log; priority as in syslog */
    void (*log)(Sender *sender, int priority, const char *message, void *userdata);
    /* the server took a report, as this job */
    void (*sent)(Sender *sender, const char *job, void *userdata);
    /* stage is "connect", "send" or "job" */
    void (*failed)(Sender *sender, const char *stage, const char *message, void *userdata);
    /* something that status shows is different */
    void (*changed)(Sender *sender, void *userdata);
    /* nothing is left to do for now */
    void (*settled)(Sender *sender, void *userdata);
} SenderObserver;

typedef struct SenderOptions {
    const Destination *destination; /* borrowed, as all of these */
    const char *reporter_id;
    unsigned interval; /* seconds */
    bool once;         /* a single run: gives up soon */
    State *state;
    const SenderObserver *observer;
    void *userdata;
} SenderOptions;

Sender *sender_new(sd_event *event, HttpEngine *engine, const SenderOptions *options);
/* Drops what is under way; what the state has is followed up by the next sender. NULL is fine. */
void sender_free(Sender *sender);
const Destination *sender_get_destination(const Sender *sender);

/* A source has begun to collect: a report waits a little for it. */
void sender_expect(Sender *sender, const char *source);
/* What a source says now; NULL when it failed, which leaves what the server knows of it alone. */
void sender_take(Sender *sender, const char *source, Association *association);
/* The interval is over: without anything to report a heartbeat is due. */
void sender_tick(Sender *sender);
/* Report as soon as the sources have answered, also what is not new and what was refused. A wait that the
 * server asked for is kept. */
void sender_force(Sender *sender);
/* Begins: follows up the job that the state has open. */
void sender_start(Sender *sender);

/* Nothing is under way and nothing waits. */
bool sender_is_settled(const Sender *sender);
/* Why the last exchange, or the last report, did not go well; NULL when it did. */
const char *sender_get_problem(const Sender *sender);
/* True once the server has answered as it should, in this run. */
bool sender_was_answered(const Sender *sender);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sender, sender_free)
