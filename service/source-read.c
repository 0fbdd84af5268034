/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/source-read.h"

#include "service/figures.h"
#include "service/manager.h"
#include "service/source-job.h"
#include "service/vm-guest.h"

#include <libvirt/virterror.h>
#include <stdlib.h>

/* Reads of single VMs at once; the control connection's other places are for callers. */
#define READS_MAX 2
/* What has no event (autostart, vCPUs, memory of a stopped VM) is at most this old. */
#define SWEEP_USEC (300 * 1000000ULL)
/* A driver without events is asked this often instead. */
#define SWEEP_WITHOUT_EVENTS_USEC (60 * 1000000ULL)

/* One VM that is to be read, or is being read. */
typedef struct PendingRead {
    bool running;
    bool wanted; /* once more: an event came while it ran */
} PendingRead;

typedef struct ReadJob {
    SourceJob job;
    char uuid[VIR_UUID_STRING_BUFLEN];
    unsigned agent_events; /* of the VM, when the question was asked */
    /* The answer. */
    bool gone, failed;
    virDomainPtr domain;
    char *name;
    VMFigures figures;
    VMDetails *details;
} ReadJob;

/* The definition as it runs now, or the inactive one; with neither, an empty one. */
static VMDetails *read_details(virDomainPtr domain)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    VMDetails *details;

    if (!xml)
        return NULL;
    details = vm_details_parse(xml);
    free(xml);
    return details;
}

static void read_work(SourceJob *job)
{
    ReadJob *read = (ReadJob *)job;

    read->domain = virDomainLookupByUUIDString(job->connection, read->uuid);
    if (read->domain && figures_read(read->domain, &read->figures) == 0) {
        read->details = read_details(read->domain);
        read->name = g_strdup(virDomainGetName(read->domain));
    } else {
        read->gone = virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
        read->failed = !read->gone;
    }
}

static void start_reads(Source *source);

static void apply_read(Source *source, ReadJob *read, bool figures_are_fresh)
{
    VM *vm = source_find_vm(source, read->uuid);

    if (read->gone) {
        if (vm && figures_are_fresh)
            source_remove_vm(source, vm);
        return;
    }
    if (read->failed)
        return;
    if (!vm) {
        vm = source_add_vm(source, read->uuid, read->name, &read->figures, g_steal_pointer(&read->details));
        vm_set_domain(vm, read->domain);
        vm->heard = ++source->serial;
        return;
    }
    vm_set_domain(vm, read->domain);
    vm->heard = ++source->serial;
    if (figures_are_fresh) {
        vm_set_name(vm, read->name);
        vm_set_figures(vm, &read->figures, manager_now());
    }
    if (read->details && read->agent_events != vm->agent_events)
        vm_guest_keep_agent(vm, read->details);
    if (read->details)
        vm_set_details(vm, g_steal_pointer(&read->details));
}

static void read_done(SourceJob *job, Source *source)
{
    ReadJob *read = (ReadJob *)job;
    PendingRead *pending;
    bool again;

    if (!source)
        return;
    source->reads_running--;
    pending = g_hash_table_lookup(source->reads, read->uuid);
    again = pending && pending->wanted;
    /* An event that came meanwhile is newer than these figures; its own read follows. */
    apply_read(source, read, !again);
    if (again) {
        pending->running = false;
        g_queue_push_tail(source->read_queue, g_strdup(read->uuid));
    } else
        g_hash_table_remove(source->reads, read->uuid);
    start_reads(source);
}

static void read_free(SourceJob *job)
{
    ReadJob *read = (ReadJob *)job;

    if (read->domain)
        virDomainFree(read->domain);
    vm_details_free(read->details);
    g_free(read->name);
    g_free(read);
}

static const SourceJobKind read_kind = {read_work, read_done, read_free};

static void start_read(Source *source, const char *uuid)
{
    ReadJob *read = g_new0(ReadJob, 1);
    const VM *vm = source_find_vm(source, uuid);

    read->agent_events = vm ? vm->agent_events : 0;
    g_strlcpy(read->uuid, uuid, sizeof read->uuid);
    source->reads_running++;
    source_job_submit(source, source->control_lane, &read->job, &read_kind, false, NULL);
}

static void start_reads(Source *source)
{
    while (source->connected && source->reads_running < READS_MAX && !g_queue_is_empty(source->read_queue)) {
        g_autofree char *uuid = g_queue_pop_head(source->read_queue);
        PendingRead *pending = g_hash_table_lookup(source->reads, uuid);

        if (!pending)
            continue;
        pending->running = true;
        pending->wanted = false;
        start_read(source, uuid);
    }
}

void source_read_overtaken(Source *source, VM *vm)
{
    PendingRead *pending = g_hash_table_lookup(source->reads, vm->uuid);

    vm->heard = ++source->serial;
    if (pending)
        pending->wanted = pending->running;
}

void source_read_vm(Source *source, const char *uuid)
{
    PendingRead *pending = g_hash_table_lookup(source->reads, uuid);
    VM *vm = source_find_vm(source, uuid);

    if (!source->connected)
        return;
    if (vm)
        vm->heard = ++source->serial;
    if (pending) {
        pending->wanted = pending->running;
        return;
    }
    g_hash_table_insert(source->reads, g_strdup(uuid), g_new0(PendingRead, 1));
    g_queue_push_tail(source->read_queue, g_strdup(uuid));
    start_reads(source);
}

void source_reads_clear(Source *source)
{
    char *uuid;

    while ((uuid = g_queue_pop_head(source->read_queue)))
        g_free(uuid);
    g_hash_table_remove_all(source->reads);
    source->reads_running = 0;
}

static void apply_listed(Source *source, const Listed *listed, uint64_t since)
{
    VM *vm = source_find_vm(source, listed->uuid);

    if (!vm) {
        vm = source_add_vm(source, listed->uuid, listed->name, &listed->figures, NULL);
        source_read_vm(source, listed->uuid);
    } else if (vm->heard <= since && !g_hash_table_contains(source->reads, listed->uuid)) {
        vm_set_name(vm, listed->name);
        vm_set_figures(vm, &listed->figures, manager_now());
        if (!listed->figures.memory_known) /* the driver's bulk query does not tell */
            source_read_vm(source, listed->uuid);
    }
    if (!vm->domain) { /* the connection is new: the definition may have changed unseen */
        vm_set_domain(vm, listed->domain);
        source_read_vm(source, listed->uuid);
    }
}

void source_apply_listing(Source *source, GPtrArray *listing, uint64_t since)
{
    g_autoptr(GHashTable) present = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GList) known = NULL;

    for (guint i = 0; i < listing->len; i++) {
        Listed *listed = listing->pdata[i];

        g_hash_table_add(present, listed->uuid);
        apply_listed(source, listed, since);
    }
    known = g_hash_table_get_values(source->vms);
    for (GList *item = known; item; item = item->next) {
        VM *vm = item->data;

        if (!g_hash_table_contains(present, vm->uuid) && vm->heard <= since &&
            !g_hash_table_contains(source->reads, vm->uuid))
            source_remove_vm(source, vm);
    }
}

void source_read_early(Source *source)
{
    GHashTableIter iter;
    gpointer uuid;

    g_hash_table_iter_init(&iter, source->early);
    while (g_hash_table_iter_next(&iter, &uuid, NULL))
        source_read_vm(source, uuid);
    g_hash_table_remove_all(source->early);
}

typedef struct SweepJob {
    SourceJob job;
    uint64_t since;
    GPtrArray *listing;
} SweepJob;

static void sweep_work(SourceJob *job)
{
    SweepJob *sweep = (SweepJob *)job;

    (void)figures_list(job->connection, &sweep->listing);
}

static void sweep_done(SourceJob *job, Source *source)
{
    SweepJob *sweep = (SweepJob *)job;

    if (source && sweep->listing)
        source_apply_listing(source, sweep->listing, sweep->since);
}

static void sweep_free(SourceJob *job)
{
    SweepJob *sweep = (SweepJob *)job;

    g_clear_pointer(&sweep->listing, g_ptr_array_unref);
    g_free(sweep);
}

static const SourceJobKind sweep_kind = {sweep_work, sweep_done, sweep_free};

void source_sweep(Source *source)
{
    SweepJob *sweep;

    if (!source->connected)
        return;
    sweep = g_new0(SweepJob, 1);
    sweep->since = source->serial;
    source_job_submit(source, source->control_lane, &sweep->job, &sweep_kind, false, NULL);
}

void source_resync(Source *source)
{
    GHashTableIter iter;
    gpointer uuid;

    source_sweep(source);
    g_hash_table_iter_init(&iter, source->vms);
    while (g_hash_table_iter_next(&iter, &uuid, NULL))
        source_read_vm(source, uuid);
}

static int on_sweep(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Source *source = userdata;

    source_sweep(source);
    source_sweep_start(source);
    return 0;
}

void source_sweep_start(Source *source)
{
    uint64_t period = source->has_lifecycle_events ? SWEEP_USEC : SWEEP_WITHOUT_EVENTS_USEC;

    source->sweep_timer = sd_event_source_disable_unref(source->sweep_timer);
    (void)sd_event_add_time_relative(source->manager->event, &source->sweep_timer, CLOCK_MONOTONIC, period,
                                     period / 10, on_sweep, source);
}
