/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <glib.h>

#include "service/reporter/association.h"
#include "service/reporter/filter.h"
#include "service/reporter/state.h"

/* What to tell a server, given what it accepted last and what the sources say now. */

typedef struct PlanSource {
    const char *name;
    Association *association; /* NULL: failed, or not collected yet; its hosts are left alone */
    char hash[ASSOCIATION_HASH_SIZE];
    const Filter *filter; /* of the source's hosts, as configured now; NULL: none */
} PlanSource;

typedef struct Plan {
    GPtrArray *associations;          /* of Association: all that go into the report */
    GHashTable *deliveries;           /* source name -> Delivery: to be remembered once accepted */
    char hash[ASSOCIATION_HASH_SIZE]; /* of the report as a whole */
    unsigned gone;                    /* hosts that no source has any more, reported without guests */
    GPtrArray *warnings;              /* of char *: hosts that a server would take for one another */
} Plan;

/* True when some source of that kind says something else than what the server accepted. */
bool plan_is_needed(const PlanSource *sources, size_t count, const DestinationRecord *record);

/* One report of all sources of kind ASSOCIATION_HOSTS that are known. A host that the server has from one of
 * them and that none has now goes in without guests: a server forgets neither hosts nor guests that a report
 * leaves out. */
Plan *plan_new(const PlanSource *sources, size_t count, const DestinationRecord *record);
void plan_free(Plan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Plan, plan_free)

/* What is remembered of one source's association. */
Delivery *plan_describe(const PlanSource *source);
