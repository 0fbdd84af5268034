/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>
#include <systemd/sd-event.h>

#include "service/reporter/association.h"
#include "service/reporter/settings.h"

/* Where associations come from: one for each mapping. The same interface serves every kind of hypervisor.
 * Everything here runs on the event loop and returns at once; an implementation whose library blocks brings a
 * thread of its own, and answers by posting back to the loop. */

/* Microseconds after which a collection, or a test of the connection, is given up. */
#define SOURCE_COLLECT_USEC (60U * 1000000ULL)
#define SOURCE_TEST_USEC (10U * 1000000ULL)
/* Bytes of a failure's message. */
#define SOURCE_MESSAGE_MAX 512

typedef enum SourceError {
    SOURCE_ERROR_NONE = 0,
    SOURCE_ERROR_CONFIGURATION,  /* cannot work as configured: trying again is useless until a reload */
    SOURCE_ERROR_UNREACHABLE,    /* no connection */
    SOURCE_ERROR_AUTHENTICATION, /* refused: wrong user or password */
    SOURCE_ERROR_DATA,           /* an answer that makes no sense; nothing of it is used */
    SOURCE_ERROR_TIMEOUT,        /* not within the deadline */
    SOURCE_ERROR_CANCELED,       /* source_free() came first */
} SourceError;

typedef struct Source Source;
typedef struct SourceFailure {
    SourceError error;
    char message[SOURCE_MESSAGE_MAX]; /* one line for people, no secret in it */
} SourceFailure;

/* The end of a collection: either an association (sorted, filtered; borrowed: take a reference to keep it),
 * or NULL and the failure. Called exactly once for each source_collect(), never before that has returned, and
 * not after source_free(). */
typedef void (*SourceCollected)(Source *source, Association *association, const SourceFailure *failure,
                                void *userdata);
/* The end of a test: failure is NULL when the source can be used. */
typedef void (*SourceTested)(Source *source, const SourceFailure *failure, void *userdata);
/* Something changed: collect again. May be called in bursts; who listens debounces. */
typedef void (*SourceChanged)(Source *source, void *userdata);

/* One kind of hypervisor. Functions return 0, or -errno when not even the try could be made. */
typedef struct SourceType {
    const char *name; /* the value of the key "type" */
    /* Prepares; must not wait. May set source->data. */
    int (*open)(Source *source, SourceFailure *ret_failure);
    /* Starts a collection and ends it with source_finish_collect(). One at a time. */
    int (*collect)(Source *source);
    /* Starts a test and ends it with source_finish_test(). One at a time, maybe beside a collection. */
    int (*test)(Source *source);
    /* Begins to call source_changed() when something changes; NULL: this kind is polled. */
    int (*watch)(Source *source);
    /* Gives up what is under way (after the deadline, or before free). The answer of an abandoned try is
     * dropped. */
    void (*cancel)(Source *source);
    void (*free)(Source *source);
} SourceType;

struct Source {
    const SourceType *type;
    const Mapping *mapping; /* borrowed: settings outlive their sources */
    sd_event *event;
    char *connection; /* what status shows: the URI without secrets; NULL when there is nothing to show */
    void *data;       /* of the implementation */

    /* Private to source.c. */
    SourceCollected collected;
    void *collected_userdata;
    SourceTested tested;
    void *tested_userdata;
    SourceChanged changed;
    void *changed_userdata;
    sd_event_source *collect_timer;
    sd_event_source *test_timer;
};

/* Finds the implementation for mapping->type and opens the source. -EOPNOTSUPP with a failure filled in when
 * there is none. */
int source_new(sd_event *event, const Mapping *mapping, SourceFailure *ret_failure, Source **ret_source);
/* Cancels what is under way without calling back, and frees. */
void source_free(Source *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Source, source_free)

/* Collects within deadline_usec (0: SOURCE_COLLECT_USEC). -EBUSY while a collection is under way. */
int source_collect(Source *source, uint64_t deadline_usec, SourceCollected collected, void *userdata);
/* Tests the connection within deadline_usec (0: SOURCE_TEST_USEC). -EBUSY while a test is under way. */
int source_test(Source *source, uint64_t deadline_usec, SourceTested tested, void *userdata);
/* Asks for changes. -EOPNOTSUPP when this kind can only be polled. */
int source_watch(Source *source, SourceChanged changed, void *userdata);
/* True when the kind of the mapping exists. */
bool source_type_known(const char *type);

/* Makes this the implementation for the local libvirt (type libvirt without a server) from now on. */
void source_set_local_type(const SourceType *type);

/* For implementations. The association is filtered and sorted here; its reference is taken over. */
void source_finish_collect(Source *source, Association *association, const SourceFailure *failure);
void source_finish_test(Source *source, const SourceFailure *failure);
void source_changed(Source *source);
void source_failure_set(SourceFailure *failure, SourceError error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
