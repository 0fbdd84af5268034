/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>

#include "polkit/queue.h"

typedef enum CheckAnswer {
    CHECK_ALLOWED,
    CHECK_CHALLENGE, /* a human would have to be asked, and was not */
    CHECK_DENIED,
    CHECK_DISMISSED, /* the human closed the dialog */
    CHECK_NO_POLKIT, /* polkit is not there, or ended before it answered */
    CHECK_UNDECIDED, /* polkit, or the bus daemon in its place, answered with an error */
} CheckAnswer;

/* One CheckAuthorization call. It lives from the wait for its slot until polkit answered, which can be longer
 * than anybody is interested: the bus daemon counts an open call until then, so the slot is not free earlier.
 */
typedef struct Check {
    QueueTicket ticket; /* first member */
    void *authority;    /* who sent it, for the reply's handler */
    void *question;     /* who wants to know; NULL: nobody any more */
    uint64_t id;        /* names the call to CancelCheckAuthorization */
    sd_bus_slot *slot;
} Check;

/* What polkit is asked. details: pairs of key and value, NULL at the end. */
typedef struct CheckSubject {
    const char *sender;
    const char *action;
    const char *const *details;
} CheckSubject;

Check *check_new(uid_t uid, QueueKind kind, void *authority, void *question);
Check *check_free(Check *c);

/* Sends the call; done() gets the reply and reads it with check_read_answer(). There is no time-out here: a
 * deadline is the question's, and polkit's death is an error from the bus daemon. */
int check_ask(Check *c, sd_bus *bus, const CheckSubject *subject, sd_bus_message_handler_t done);

/* Asks polkit to close the dialog and answer now. For a caller that is still there: see inquiry_end(). */
void check_cancel(const Check *c, sd_bus *bus);

/* What a reply means; *ret_text is polkit's own text for CHECK_UNDECIDED, owned by the reply, else NULL. */
CheckAnswer check_read_answer(sd_bus_message *reply, const char **ret_text);
