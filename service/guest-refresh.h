/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/guest-poll.h"

/* The callers who wait for a fresh answer of one VM's agent. A caller who comes while a question is under way
 * waits for the next one, for that answer may be older than his call. */

/* Adds a caller, with a deadline. -1 with `failure` set: too many wait already. */
int guest_refreshes_add(VM *vm, GList **refreshes, GuestRefreshDone done, void *userdata, Failure *failure);

/* The question that starts now answers all of them. */
void guest_refreshes_asked(GList *refreshes);

/* Answers those whose question was asked (`asked`), or all. */
void guest_refreshes_end(GList **refreshes, bool asked, const Failure *failure);
