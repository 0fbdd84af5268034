/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/error.h"
#include "service/guest/observation.h"
#include "service/guest/pace.h"
#include "service/source-job.h"

/* One round of questions about the inside of one VM: to its qemu-ga, and where wanted to the host. The
 * worker's side; who asks when is guest-poll.c's. */

typedef enum QueryOutcome {
    QUERY_ANSWERED,   /* the agent said something, be it that it refuses */
    QUERY_MUTE,       /* it did not answer in time */
    QUERY_IMPOSSIBLE, /* nobody's fault: the VM went, the connection broke, the driver knows no agents */
} QueryOutcome;

typedef struct GuestQuery {
    SourceJob job;
    char uuid[VIR_UUID_STRING_BUFLEN];
    unsigned topics;        /* PACE_BITs: what to ask the agent for */
    bool memory;            /* the balloon's figures as well */
    unsigned agent_timeout; /* seconds */
    uint64_t run;           /* the asker's own: which run of the guest it belongs to */
    bool suspect;           /* the same: it takes a suspect's place */

    /* Filled by the worker. */
    bool worked;
    QueryOutcome outcome;
    unsigned answered; /* PACE_BITs: what the agent answered about, be it with a refusal */
    Observation *agent, *balloon;
    char *error; /* the last one, NULL for none; may quote the guest */
} GuestQuery;

GuestQuery *guest_query_new(const char *uuid, unsigned topics, unsigned agent_timeout);

/* The work and the release of its SourceJobKind. */
void guest_query_work(SourceJob *job);
void guest_query_free(SourceJob *job);

/* Asks the agent of the VM `name` something cheap and says whether it answered; else sets `failure`. The
 * caller has set the response timeout. */
bool guest_query_alive(virDomainPtr domain, const char *name, Failure *failure);
