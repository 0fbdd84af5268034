// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "service/reporter/fake-source.h"
#include "service/reporter/libvirt-source.h"

/* Every kind of hypervisor that can be read. */
static const SourceType *const types[] = {&libvirt_source, &fake_source};

/* Where this process has a better way to the VMs of this host than libvirt itself; NULL: it has none. */
static const SourceType *local_type;

static const SourceType *find_type(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}

bool source_type_known(const char *type)
{
    return find_type(type);
}

void source_set_local_type(const SourceType *type)
{
    local_type = type;
}

void source_failure_set(SourceFailure *failure, SourceError error, const char *format, ...)
{
    va_list arguments;

    failure->error = error;
    va_start(arguments, format);
    vsnprintf(failure->message, sizeof(failure->message), format, arguments);
    va_end(arguments);
}

int source_new(sd_event *event, const Mapping *mapping, SourceFailure *ret_failure, Source **ret_source)
{
    g_autoptr(Source) source = g_new0(Source, 1);

    source->type = mapping->local && local_type ? local_type : find_type(mapping->type);
    source->mapping = mapping;
    source->event = sd_event_ref(event);
    if (!source->type) {
        source_failure_set(ret_failure, SOURCE_ERROR_CONFIGURATION, "type \"%s\" is not supported",
                           mapping->type);
        return -EOPNOTSUPP;
    }
    int r = source->type->open ? source->type->open(source, ret_failure) : 0;

    if (r < 0)
        return r;
    *ret_source = g_steal_pointer(&source);
    return 0;
}

void source_free(Source *source)
{
    if (!source)
        return;
    /* Gone first, so that nothing that the implementation still says reaches anybody. */
    source->collected = NULL;
    source->tested = NULL;
    source->changed = NULL;
    sd_event_source_disable_unref(source->collect_timer);
    sd_event_source_disable_unref(source->test_timer);
    if (source->type && source->type->free)
        source->type->free(source);
    sd_event_unref(source->event);
    g_free(source->connection);
    g_free(source);
}

static int on_collect_late(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Source *source = userdata;
    SourceFailure failure;

    source_failure_set(&failure, SOURCE_ERROR_TIMEOUT, "no answer in time");
    if (source->type->cancel)
        source->type->cancel(source);
    source_finish_collect(source, NULL, &failure);
    return 0;
}

static int on_test_late(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Source *source = userdata;
    SourceFailure failure;

    source_failure_set(&failure, SOURCE_ERROR_TIMEOUT, "no answer in time");
    source_finish_test(source, &failure);
    return 0;
}

static int arm(Source *source, sd_event_source **timer, uint64_t usec, sd_event_time_handler_t handler)
{
    *timer = sd_event_source_disable_unref(*timer);
    return sd_event_add_time_relative(source->event, timer, CLOCK_BOOTTIME, usec, 0, handler, source);
}

int source_collect(Source *source, uint64_t deadline_usec, SourceCollected collected, void *userdata)
{
    if (source->collected)
        return -EBUSY;
    int r = arm(source, &source->collect_timer, deadline_usec ?: SOURCE_COLLECT_USEC, on_collect_late);

    if (r < 0)
        return r;
    source->collected = collected;
    source->collected_userdata = userdata;
    r = source->type->collect(source);
    if (r < 0) {
        source->collected = NULL;
        source->collect_timer = sd_event_source_disable_unref(source->collect_timer);
    }
    return r;
}

int source_test(Source *source, uint64_t deadline_usec, SourceTested tested, void *userdata)
{
    if (source->tested)
        return -EBUSY;
    int r = arm(source, &source->test_timer, deadline_usec ?: SOURCE_TEST_USEC, on_test_late);

    if (r < 0)
        return r;
    source->tested = tested;
    source->tested_userdata = userdata;
    r = source->type->test(source);
    if (r < 0) {
        source->tested = NULL;
        source->test_timer = sd_event_source_disable_unref(source->test_timer);
    }
    return r;
}

int source_watch(Source *source, SourceChanged changed, void *userdata)
{
    if (!source->type->watch)
        return -EOPNOTSUPP;
    source->changed = changed;
    source->changed_userdata = userdata;
    return source->type->watch(source);
}

/* Takes out the hosts that the filters of the section keep back. A guest list is about this host and has no
 * filter. */
static void apply_filter(const Source *source, Association *association)
{
    if (association->kind != ASSOCIATION_HOSTS || !source->mapping->hosts)
        return;
    for (unsigned i = association->hosts->len; i-- > 0;) {
        const AssociationHost *host = association->hosts->pdata[i];

        if (!filter_matches(source->mapping->hosts, host->id))
            g_ptr_array_remove_index(association->hosts, i);
    }
}

void source_finish_collect(Source *source, Association *association, const SourceFailure *failure)
{
    g_autoptr(Association) owned = association;
    SourceCollected collected = source->collected;

    source->collected = NULL;
    source->collect_timer = sd_event_source_disable_unref(source->collect_timer);
    if (!collected)
        return;
    if (owned)
        apply_filter(source, owned);
    collected(source, owned, failure, source->collected_userdata);
}

void source_finish_test(Source *source, const SourceFailure *failure)
{
    SourceTested tested = source->tested;

    source->tested = NULL;
    source->test_timer = sd_event_source_disable_unref(source->test_timer);
    if (tested)
        tested(source, failure, source->tested_userdata);
}

void source_changed(Source *source)
{
    if (source->changed)
        source->changed(source, source->changed_userdata);
}
