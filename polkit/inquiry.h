/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "polkit/authority.h"
#include "polkit/question.h"

/* The way of a question: a place in the queue, the call to polkit, perhaps a second one that may ask a human,
 * and back to the handler. */

/* Starts the clock of a question that polkit can answer by itself. */
int inquiry_start_clock(Question *q);

/* Gives the question a place among its user's; inquiry_pump() sends it when it has its turn. -EDQUOT,
 * -ENOBUFS: there is none. */
int inquiry_queue(Question *q, QueueKind kind);
void inquiry_pump(Authority *a);

/* The answer is in q: lets the handler run again. Frees nothing, so callers may walk lists. */
void inquiry_deliver(Question *q);
/* The same for a question that found no place. */
void inquiry_rate_limit(Question *q);

/* The caller's departure ends the question no more. */
void inquiry_leave_sender(Question *q);

/* Forgets the question wherever it is, and frees it. A dialog is not withdrawn here: questions end early
 * because their caller has left the bus, or we do, and polkit follows both by itself. To cancel the check
 * beside that makes polkitd (122, with GLib 2.74) cancel it twice at the same moment, on which it can lock up
 * for good. */
void inquiry_end(Question *q);

/* Event handler, userdata Authority: ends what handlers did not fetch in their second run. */
int inquiry_sweep(sd_event_source *source, void *userdata);
