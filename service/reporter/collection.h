/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include <systemd/sd-event.h>

#include "service/reporter/association.h"
#include "service/reporter/settings.h"
#include "service/reporter/source.h"

/* Every source asked once, all at the same time, each within its deadline: what print shows and the bus hands
 * out. Nothing of it is sent. */

typedef struct CollectionResult {
    const Mapping *mapping;
    bool done;
    Association *association; /* NULL: the failure counts */
    SourceFailure failure;
} CollectionResult;

typedef struct Collection Collection;

/* Called once, from the loop, when every source has answered or was given up. The collection must not be
 * freed in it. */
typedef void (*CollectionFinished)(Collection *collection, void *userdata);

/* Collects from one mapping, or with NULL from all. deadline_usec as source_collect() has it. The settings
 * are borrowed. */
int collection_new(sd_event *event, const Settings *settings, const Mapping *only, uint64_t deadline_usec,
                   CollectionFinished finished, void *userdata, Collection **ret_collection);
/* Gives up what is under way. */
void collection_free(Collection *collection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Collection, collection_free)

/* The results, in the order of the configuration. */
const CollectionResult *collection_results(const Collection *collection, unsigned *ret_count);
unsigned collection_count_done(const Collection *collection);
/* Writes what was collected as print does, and gives the number of sources that are missing in it. */
unsigned collection_write(const Collection *collection, FILE *stream);
