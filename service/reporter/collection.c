// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/collection.h"

#include <errno.h>
#include <string.h>

struct Collection {
    CollectionFinished finished;
    void *userdata;
    sd_event_source *ending; /* tells that it is over, from the loop */
    Source **sources;        /* NULL where it could not be opened */
    CollectionResult *results;
    unsigned count;
    unsigned done;
};

static int on_ending(sd_event_source *event_source, void *userdata)
{
    Collection *collection = userdata;

    collection->ending = sd_event_source_disable_unref(collection->ending);
    collection->finished(collection, collection->userdata);
    return 0;
}

static void note_result(Collection *collection, unsigned index, Association *association,
                        const SourceFailure *failure)
{
    CollectionResult *result = &collection->results[index];

    result->done = true;
    result->association = association ? association_ref(association) : NULL;
    if (failure)
        result->failure = *failure;
    if (++collection->done == collection->count)
        sd_event_source_set_enabled(collection->ending, SD_EVENT_ONESHOT);
}

static void on_collected(Source *source, Association *association, const SourceFailure *failure,
                         void *userdata)
{
    Collection *collection = userdata;

    for (unsigned i = 0; i < collection->count; i++)
        if (collection->sources[i] == source)
            note_result(collection, i, association, failure);
}

static void start_source(Collection *collection, sd_event *event, unsigned index, uint64_t deadline_usec)
{
    SourceFailure failure = {};
    int r = source_new(event, collection->results[index].mapping, &failure, &collection->sources[index]);

    if (r >= 0)
        r = source_collect(collection->sources[index], deadline_usec, on_collected, collection);
    if (r >= 0)
        return;
    if (!failure.error)
        source_failure_set(&failure, SOURCE_ERROR_UNREACHABLE, "cannot collect: %s", strerror(-r));
    note_result(collection, index, NULL, &failure);
}

int collection_new(sd_event *event, const Settings *settings, const Mapping *only, uint64_t deadline_usec,
                   CollectionFinished finished, void *userdata, Collection **ret_collection)
{
    g_autoptr(Collection) collection = g_new0(Collection, 1);
    unsigned all = settings->mappings->len;

    collection->finished = finished;
    collection->userdata = userdata;
    collection->sources = g_new0(Source *, all);
    collection->results = g_new0(CollectionResult, all);
    for (unsigned i = 0; i < all; i++)
        if (!only || settings->mappings->pdata[i] == only)
            collection->results[collection->count++].mapping = settings->mappings->pdata[i];
    int r = sd_event_add_defer(event, &collection->ending, on_ending, collection);

    if (r < 0)
        return r;
    if (collection->count > 0)
        sd_event_source_set_enabled(collection->ending, SD_EVENT_OFF);
    for (unsigned i = 0; i < collection->count; i++)
        start_source(collection, event, i, deadline_usec);
    *ret_collection = g_steal_pointer(&collection);
    return 0;
}

void collection_free(Collection *collection)
{
    if (!collection)
        return;
    sd_event_source_disable_unref(collection->ending);
    for (unsigned i = 0; i < collection->count; i++) {
        source_free(collection->sources[i]);
        association_unref(collection->results[i].association);
    }
    g_free(collection->sources);
    g_free(collection->results);
    g_free(collection);
}

const CollectionResult *collection_results(const Collection *collection, unsigned *ret_count)
{
    *ret_count = collection->count;
    return collection->results;
}

unsigned collection_count_done(const Collection *collection)
{
    return collection->done;
}

unsigned collection_write(const Collection *collection, FILE *stream)
{
    g_autofree Association **associations = g_new0(Association *, collection->count + 1);
    unsigned there = 0;

    for (unsigned i = 0; i < collection->count; i++)
        if (collection->results[i].association)
            associations[there++] = collection->results[i].association;
    association_write_print(associations, there, stream);
    return collection->count - there;
}
