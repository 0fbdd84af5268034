/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "polkit/authorize.h"
#include "polkit/check.h"
#include "polkit/sender.h"

#define QUESTION_DETAILS 4

/* A method call that waits for permission: from the first run of its handler to the second. */
typedef struct Question {
    Authority *authority;
    sd_bus_message *call;
    const char *action;                      /* from the table */
    char *details[2 * QUESTION_DETAILS + 1]; /* key, value, ..., NULL */
    bool interactive;                        /* the caller's client is ready for a dialog */
    Sender *sender; /* this question is in its list, at sender_link; NULL afterwards */
    GList sender_link;
    Check *check;              /* waiting for a slot or for polkit */
    sd_event_source *deadline; /* of the present stage */
    unsigned restarts;         /* how often the object changed its name under the question */
    bool answered;             /* the two below are the answer */
    bool allowed;
    sd_bus_error refusal;
} Question;

Question *question_new(Authority *a, sd_bus_message *call, const char *action, const AuthorityDetails *d);
Question *question_free(Question *q);

/* True when the question was about exactly this. */
bool question_is_about(const Question *q, const char *action, const AuthorityDetails *d);
/* Makes it a question about something else, without an answer. */
void question_set_about(Question *q, const char *action, const AuthorityDetails *d);

/* Stores the answer. text: what polkit said of an error, or NULL. */
void question_set_answer(Question *q, CheckAnswer answer, const char *text);
void question_refuse(Question *q, const char *error_name, const char *text);
