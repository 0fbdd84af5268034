/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <glib.h>

#include "service/reporter/http.h"

/* What an entitlement server's answers mean: Candlepin's own, and Satellite's, which passes Candlepin's
 * errors on as text/plain. So answers are read by what is in them, whatever the Content-Type says. */

/* Bytes of a message of the server's that we repeat, and hosts that are named one by one in a job's result.
 */
#define CANDLEPIN_MESSAGE_MAX 400
#define CANDLEPIN_FAILED_MAX 100

typedef enum CandlepinOutcome {
    CANDLEPIN_OK,
    CANDLEPIN_LATER,    /* the server asks to wait: 429, 503 */
    CANDLEPIN_TROUBLE,  /* no answer, nonsense, or 5xx: may pass by itself */
    CANDLEPIN_REJECTED, /* what was sent: the same again makes no sense */
    CANDLEPIN_DENIED,   /* who we are or where we ask: needs an administrator */
    CANDLEPIN_MISSING,  /* 404: no such owner, job or consumer */
    CANDLEPIN_GONE,     /* 410: this system's registration was deleted */
} CandlepinOutcome;

typedef enum JobState {
    JOB_CREATED,
    JOB_RUNNING,
    JOB_FINISHED,
    JOB_FAILED,
    JOB_CANCELED,
    JOB_BLOCKED, /* was not queued at all, because another job of the same owner is not over */
} JobState;

typedef struct CandlepinJob {
    char *id; /* NULL when the answer has none */
    JobState state;
    char *message; /* the result where it is plain text, else NULL */
    unsigned created, updated, unchanged, failed;
    GPtrArray *failures; /* of char *: "<host>: why", at most CANDLEPIN_FAILED_MAX */
} CandlepinJob;

typedef struct CandlepinServer {
    bool up;
    char *mode_reason; /* why it is not up, or NULL */
    bool has_async_check_in;
    bool has_heartbeat;
} CandlepinServer;

/* Sorts an answer, or the lack of one, by what to do about it. `ret_message` is one clean line for a person,
 * NULL when all went well. */
CandlepinOutcome candlepin_judge(const HttpResponse *response, char **ret_message);

/* -EBADMSG: not the JSON object that was asked for. */
int candlepin_parse_server(const char *body, size_t size, CandlepinServer **ret);
int candlepin_parse_job(const char *body, size_t size, CandlepinJob **ret);
/* Whether the list of the server's resources names one. -EBADMSG as above. */
int candlepin_parse_resources(const char *body, size_t size, const char *name, bool *ret_found);

/* Candlepin's word for a state, also what virt-who's status shows. */
const char *job_state_to_string(JobState state);
/* True when nothing more will come of the job. */
bool job_state_is_over(JobState state);

void candlepin_server_free(CandlepinServer *server);
void candlepin_job_free(CandlepinJob *job);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CandlepinServer, candlepin_server_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CandlepinJob, candlepin_job_free)
