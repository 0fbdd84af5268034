/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/reporter/candlepin.h"
#include "service/reporter/plan.h"
#include "service/reporter/sender.h"

/* Shared by the halves of the sender: sender.c decides what comes next, sender-answer.c makes the calls and
 * reads what they bring. */

typedef struct SenderSource {
    PlanSource plan;
    bool collecting;
    bool late;   /* a report went without it */
    bool forced; /* a guest list that is to be sent even if it is not new */
} SenderSource;

typedef enum SenderStep {
    STEP_NONE,
    STEP_SERVER,
    STEP_CHECK_IN,
    STEP_JOB,
    STEP_HEARTBEAT,
    STEP_RESOURCES,
    STEP_GUESTS,
} SenderStep;

struct Sender {
    sd_event *event;
    Candlepin *candlepin;
    const Destination *destination;
    State *state;
    DestinationRecord *record; /* of the state */
    const SenderObserver *observer;
    void *userdata;
    uint64_t interval_usec;
    bool once;
    GPtrArray *sources; /* of SenderSource */
    sd_event_source *timer;
    bool started;
    uint64_t started_at;

    /* what is to be done */
    Plan *plan;       /* of what the sources say now; NULL: to be made anew */
    bool plan_needed; /* and the server does not have it */
    bool forced;
    bool heartbeat_due;

    /* the call under way */
    SenderStep step;
    SenderSource *guest_list; /* whose turn it is */
    GHashTable *deliveries;   /* that the check-in under way carries */
    char hash[ASSOCIATION_HASH_SIZE];

    /* when the next one may be made, on the monotonic clock */
    uint64_t not_before;
    uint64_t gather_until;
    uint64_t poll_at;
    uint64_t server_until; /* what is known of the server is good until then */
    bool server_has_heartbeat;
    bool guest_ids_known; /* whether the server takes guests with attributes was asked */
    bool guest_ids_plain;
    unsigned failures; /* in a row that may pass by themselves */
    unsigned denials;  /* in a row that need an administrator */
    unsigned blocks;   /* in a row by other reports of the owner */
    unsigned polls;    /* of the open job */

    /* what to tell */
    char *problem;
    const char *problem_stage;
    bool answered;
    bool settled;
    bool given_up; /* in a single run */
};

uint64_t sender_now(const Sender *sender);
void sender_log(Sender *sender, int priority, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Writes the state and tells the observer. */
void sender_save(Sender *sender);
/* Does the next thing, now or when its time comes. */
void sender_decide(Sender *sender);
const Plan *sender_get_plan(Sender *sender);
void sender_forget_plan(Sender *sender);

/* The report is one that the server refused in an earlier run. */
void sender_tell_refusal(Sender *sender);
void sender_ask_server(Sender *sender);
void sender_check_in(Sender *sender);
void sender_ask_job(Sender *sender);
void sender_send_heartbeat(Sender *sender);
void sender_put_guest_list(Sender *sender, SenderSource *source);
