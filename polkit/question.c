/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit/question.h"

#include <string.h>

#include "service/cleanup.h"

static const char *detail_value(const AuthorityDetails *d, int i)
{
    switch (i) {
    case 0:
        return d->name;
    case 1:
        return d->uuid;
    case 2:
        return d->source;
    default:
        return d->verb;
    }
}

static const char *const detail_keys[QUESTION_DETAILS] = {"name", "uuid", "source", "verb"};

static void clear_details(Question *q)
{
    for (size_t i = 0; i < G_N_ELEMENTS(q->details); i++)
        g_clear_pointer(&q->details[i], g_free);
}

static void clear_answer(Question *q)
{
    q->answered = q->allowed = false;
    sd_bus_error_free(&q->refusal);
}

void question_set_about(Question *q, const char *action, const AuthorityDetails *d)
{
    size_t n = 0;

    clear_answer(q);
    clear_details(q);
    q->action = action;
    for (int i = 0; d && i < QUESTION_DETAILS; i++) {
        if (!detail_value(d, i))
            continue;
        q->details[n++] = g_strdup(detail_keys[i]);
        q->details[n++] = g_strdup(detail_value(d, i));
    }
}

bool question_is_about(const Question *q, const char *action, const AuthorityDetails *d)
{
    size_t n = 0;

    if (strcmp(q->action, action) != 0)
        return false;
    for (int i = 0; d && i < QUESTION_DETAILS; i++) {
        if (!detail_value(d, i))
            continue;
        if (g_strcmp0(q->details[n], detail_keys[i]) != 0 ||
            g_strcmp0(q->details[n + 1], detail_value(d, i)) != 0)
            return false;
        n += 2;
    }
    return q->details[n] == NULL;
}

Question *question_new(Authority *a, sd_bus_message *call, const char *action, const AuthorityDetails *d)
{
    Question *q = g_new0(Question, 1);

    q->authority = a;
    q->call = sd_bus_message_ref(call);
    q->interactive = sd_bus_message_get_allow_interactive_authorization(call) > 0;
    q->sender_link.data = q;
    question_set_about(q, action, d);
    return q;
}

Question *question_free(Question *q)
{
    if (!q)
        return NULL;
    sd_event_source_disable_unref(q->deadline);
    clear_answer(q);
    clear_details(q);
    sd_bus_message_unref(q->call);
    g_free(q);
    return NULL;
}

void question_refuse(Question *q, const char *error_name, const char *text)
{
    clear_answer(q);
    sd_bus_error_setf(&q->refusal, error_name, "%s: %s", q->action, text);
    q->answered = true;
}

void question_set_answer(Question *q, CheckAnswer answer, const char *text)
{
    g_autofree char *full = NULL;

    switch (answer) {
    case CHECK_ALLOWED:
        clear_answer(q);
        q->answered = q->allowed = true;
        break;
    case CHECK_CHALLENGE:
        question_refuse(q, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                        q->interactive
                            ? "authentication is required, and the caller has no authentication agent"
                            : "authentication is required, and the call does not allow a question");
        break;
    case CHECK_DENIED:
        question_refuse(q, SD_BUS_ERROR_ACCESS_DENIED, "denied by polkit");
        break;
    case CHECK_DISMISSED:
        question_refuse(q, SD_BUS_ERROR_ACCESS_DENIED, "the authentication was dismissed");
        break;
    case CHECK_NO_POLKIT:
        question_refuse(q, SD_BUS_ERROR_ACCESS_DENIED, "polkit is not available, only root may do this now");
        break;
    case CHECK_UNDECIDED:
        full = g_strdup_printf("polkit could not decide: %s", text ? text : "no reason given");
        question_refuse(q, SD_BUS_ERROR_ACCESS_DENIED, full);
        break;
    }
}
