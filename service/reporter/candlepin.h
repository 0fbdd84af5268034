/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "service/reporter/candlepin-answer.h"
#include "service/reporter/http.h"
#include "service/reporter/settings.h"

/* The calls to an entitlement server that a reporter makes: one destination, one call at a time. */
typedef struct Candlepin Candlepin;

typedef struct CandlepinReply {
    CandlepinOutcome outcome;
    long status;                   /* HTTP's, 0 without an answer */
    const char *message;           /* for a person, without secrets; NULL when the outcome is OK */
    uint64_t retry_after_usec;     /* what the server asked for; 0: nothing */
    const CandlepinServer *server; /* of candlepin_get_server(), when OK */
    const CandlepinJob *job;       /* of a check-in or a job, when OK */
    bool found;                    /* of candlepin_find_resource(), when OK */
} CandlepinReply;

/* Called once for each call, from the loop; a call that cannot even be made ends this way too. The next call
 * may be made inside it, but the Candlepin must not be freed there. */
typedef void (*CandlepinCallback)(const CandlepinReply *reply, void *userdata);

/* Destination and reporter id are borrowed. */
Candlepin *candlepin_new(HttpEngine *engine, sd_event *event, const Destination *destination,
                         const char *reporter_id);
/* Drops the call under way without calling back. NULL is fine. */
void candlepin_free(Candlepin *candlepin);
/* Drops the call under way without calling back. */
void candlepin_cancel(Candlepin *candlepin);
/* A deadline for each call from now on, instead of the destination's. */
void candlepin_set_deadline(Candlepin *candlepin, uint64_t usec);

/* GET /status: is it up, and what does it know? */
void candlepin_get_server(Candlepin *candlepin, CandlepinCallback callback, void *userdata);
/* GET /: does the server have this resource? */
void candlepin_find_resource(Candlepin *candlepin, const char *name, CandlepinCallback callback,
                             void *userdata);
/* POST /hypervisors/{owner}: reports hosts and guests. The state of the job is in the reply already. `body`
 * is taken over and freed with g_free(). */
void candlepin_check_in(Candlepin *candlepin, char *body, CandlepinCallback callback, void *userdata);
/* PUT /hypervisors/{owner}/heartbeat: what was reported is still true. NULL: our own reporter id. */
void candlepin_send_heartbeat(Candlepin *candlepin, const char *reporter_id, CandlepinCallback callback,
                              void *userdata);
/* GET /jobs/{id} */
void candlepin_get_job(Candlepin *candlepin, const char *id, CandlepinCallback callback, void *userdata);
/* PUT /consumers/{uuid}: the guests of this very host. `body` as above. */
void candlepin_put_guests(Candlepin *candlepin, const char *uuid, char *body, CandlepinCallback callback,
                          void *userdata);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Candlepin, candlepin_free)
