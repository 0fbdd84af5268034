/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/source.h"

#include "service/guest-balloon.h"
#include "service/guest-poll.h"
#include "service/guest/text.h"
#include "service/log.h"
#include "service/manager.h"
#include "service/qmp/feed.h"
#include "service/source-connect.h"
#include "service/source-probe.h"
#include "service/source-read.h"
#include "service/vm-guest.h"

#include <stdlib.h>

#define RETRY_FIRST_USEC (1 * 1000000ULL)
#define RETRY_LAST_USEC (60 * 1000000ULL)
/* virConnectOpen() has no deadline. A try that takes longer is reported, and left alone. */
#define TRY_PATIENCE_USEC (30 * 1000000ULL)

#define SOURCE_ERROR_BYTES_MAX 1024
#define READ_ONLY_NOTE "connected read-only: no guest agent data, no QMP events, no actions"

SourceLink *source_link_ref(SourceLink *link)
{
    atomic_fetch_add(&link->references, 1);
    return link;
}

SourceLink *source_link_unref(SourceLink *link)
{
    if (!link || atomic_fetch_sub(&link->references, 1) != 1)
        return NULL;
    inbox_unref(link->inbox);
    g_free(link);
    return NULL;
}

static SourceLink *link_new(Source *source)
{
    SourceLink *link = g_new0(SourceLink, 1);

    atomic_init(&link->references, 1);
    link->inbox = inbox_ref(source->manager->inbox);
    link->source = source;
    return link;
}

static void free_vm(gpointer vm)
{
    vm_free(vm);
}

/* Nobody has checked the characters of a URI from the command line. */
static char *published_uri(const char *uri)
{
    g_autofree char *public = uri_without_secrets(uri);

    return text_clean(public, -1, SOURCE_ERROR_BYTES_MAX, NULL);
}

Source *source_new(Manager *manager, const SourceConfig *config)
{
    Source *source = g_new0(Source, 1);

    source->manager = manager;
    source->config = source_config_copy(config);
    source->link = link_new(source);
    source->local = uri_is_local(config->uri);
    source->public_uri = published_uri(config->uri);
    source->since = manager_now();
    source->type = g_strdup("");
    source->host_name = g_strdup("");
    source->host_uuid = g_strdup("");
    source->hypervisor_version = g_strdup("");
    source->library_version = g_strdup("");
    source->last_error = g_strdup("");
    source->vms = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_vm);
    source->qmp_callback = -1;
    source->qmp = qmp_feed_new(source);
    source->early = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    source->reads = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    source->read_queue = g_queue_new();
    return source;
}

/* Lets go of everything that belongs to the present connection. The order matters: domain pointers hold the
 * connection, and the last holder closes it, which must not be the loop. */
static void drop_connection(Source *source)
{
    GHashTableIter iter;
    gpointer vm;

    source_reads_clear(source);
    guest_balloons_drop(source);
    source->sweep_timer = sd_event_source_disable_unref(source->sweep_timer);
    source_probe_stop(source);
    g_hash_table_iter_init(&iter, source->vms);
    while (g_hash_table_iter_next(&iter, NULL, &vm))
        vm_set_domain(vm, NULL);
    lane_close(g_steal_pointer(&source->control_lane));
    lane_close(g_steal_pointer(&source->slow_lane));
    lane_close(g_steal_pointer(&source->agent_lane));
    source_connections_close(source);
}

Source *source_free(Source *source)
{
    if (!source)
        return NULL;
    source->link->source = NULL; /* what is under way finds nobody */
    drop_connection(source);
    source->retry_timer = sd_event_source_disable_unref(source->retry_timer);
    source->try_deadline = sd_event_source_disable_unref(source->try_deadline);
    qmp_feed_free(source->qmp);
    g_hash_table_unref(source->vms);
    g_hash_table_unref(source->early);
    g_hash_table_unref(source->reads);
    g_queue_free_full(source->read_queue, g_free);
    source_config_free(source->config);
    source_link_unref(source->link);
    g_free(source->public_uri);
    g_free(source->type);
    g_free(source->host_name);
    g_free(source->host_uuid);
    g_free(source->hypervisor_version);
    g_free(source->library_version);
    g_free(source->last_error);
    g_free(source);
    return NULL;
}

void source_changed(Source *source, unsigned changes)
{
    source->changes |= changes;
    manager_queue_source(source->manager, source);
}

void source_set_error(Source *source, const char *text)
{
    g_autofree char *cleaned = text_clean(text, -1, SOURCE_ERROR_BYTES_MAX, NULL);

    if (g_str_equal(source->last_error, cleaned))
        return;
    g_free(source->last_error);
    source->last_error = g_steal_pointer(&cleaned);
    source_changed(source, SOURCE_CHANGED_LAST_ERROR);
}

static void set_connected(Source *source, bool connected)
{
    if (source->connected == connected)
        return;
    source->connected = connected;
    source->since = manager_now();
    source_changed(source, SOURCE_CHANGED_CONNECTED | SOURCE_CHANGED_SINCE);
}

static void settle(Source *source)
{
    if (source->settled)
        return;
    source->settled = true;
    manager_source_settled(source->manager);
}

static int on_retry(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Source *source = userdata;

    source->retry_timer = sd_event_source_disable_unref(source->retry_timer);
    source_connect(source);
    return 0;
}

/* 1 s, 2 s, 4 s ... 60 s, each a fifth more or less, so that many sources do not return in one instant. */
static uint64_t backoff_usec(unsigned attempt)
{
    uint64_t usec = RETRY_FIRST_USEC << MIN(attempt, 6u);

    usec = MIN(usec, RETRY_LAST_USEC);
    return usec * (uint64_t)g_random_int_range(80, 121) / 100;
}

static void retry_later(Source *source)
{
    uint64_t usec = backoff_usec(source->attempt++);

    source->retry_timer = sd_event_source_disable_unref(source->retry_timer);
    if (sd_event_add_time_relative(source->manager->event, &source->retry_timer, CLOCK_MONOTONIC, usec, 0,
                                   on_retry, source) < 0)
        log_about(LOG_ERR, &(LogSubject){.source = source->config->label},
                  "No timer: the source stays disconnected until Reconnect()");
}

static int on_try_too_long(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Source *source = userdata;

    log_about(LOG_WARNING, &(LogSubject){.source = source->config->label},
              "Connecting to %s takes longer than %d s; it goes on", source->public_uri,
              (int)(TRY_PATIENCE_USEC / 1000000));
    source_set_error(source, "connecting takes longer than 30 s; the try goes on");
    settle(source);
    return 0;
}

void source_connect(Source *source)
{
    int r;

    if (source->connecting || source->connected)
        return;
    source->connecting = true;
    g_hash_table_remove_all(source->early);
    source->generation++;
    r = source_connect_start(source);
    if (r < 0) {
        source_connect_failed(source, g_strerror(-r));
        return;
    }
    source->try_deadline = sd_event_source_disable_unref(source->try_deadline);
    (void)sd_event_add_time_relative(source->manager->event, &source->try_deadline, CLOCK_MONOTONIC,
                                     TRY_PATIENCE_USEC, 0, on_try_too_long, source);
}

void source_reconnect(Source *source)
{
    source->attempt = 0;
    source->retry_timer = sd_event_source_disable_unref(source->retry_timer);
    if (source->connected)
        source_disconnected(source, "reconnecting, as asked for");
    source->retry_timer = sd_event_source_disable_unref(source->retry_timer);
    source_connect(source);
}

static void end_try(Source *source)
{
    source->connecting = false;
    source->try_deadline = sd_event_source_disable_unref(source->try_deadline);
}

void source_connect_failed(Source *source, const char *message)
{
    end_try(source);
    /* Said once for each reason, not at every try. */
    if (!g_str_equal(source->last_error, message))
        log_about(LOG_WARNING, &(LogSubject){.source = source->config->label}, "Cannot connect to %s: %s",
                  source->public_uri, message);
    source_set_error(source, message);
    settle(source);
    retry_later(source);
}

static void open_lanes(Source *source)
{
    Inbox *inbox = source->manager->inbox;

    source->control_lane = lane_new(inbox, source->config->label, CONTROL_THREADS, CONTROL_PER_VM);
    source->slow_lane = lane_new(inbox, source->config->label, SLOW_THREADS, 1);
    source->agent_lane = lane_new(inbox, source->config->label, AGENT_THREADS, 1);
}

void source_connected(Source *source, ConnectResult *result)
{
    end_try(source);
    source->attempt = 0;
    source->control = g_steal_pointer(&result->control);
    source->agent = g_steal_pointer(&result->agent);
    source->has_lifecycle_events = result->has_lifecycle_events;
    source->callback_count = result->callback_count;
    for (unsigned i = 0; i < result->callback_count; i++)
        source->callbacks[i] = result->callbacks[i];
    source->qmp_callback = result->qmp_callback;
    source->has_qmp = result->qmp_callback >= 0;
    open_lanes(source);
    set_connected(source, true);
    source_set_error(source, source->config->read_only ? READ_ONLY_NOTE : "");
    source_apply_listing(source, result->listing, UINT64_MAX);
    source_read_early(source);
    log_about(LOG_INFO, &(LogSubject){.source = source->config->label}, "Connected to %s: %u VMs",
              source->public_uri, g_hash_table_size(source->vms));
    source_read_host(source);
    source_sweep_start(source);
    if (result->remote)
        source_probe_start(source);
    settle(source);
}

static void lose_guests(Source *source)
{
    GHashTableIter iter;
    gpointer vm;

    g_hash_table_iter_init(&iter, source->vms);
    while (g_hash_table_iter_next(&iter, NULL, &vm))
        vm_guest_lost(vm);
}

void source_disconnected(Source *source, const char *reason)
{
    log_about(LOG_WARNING, &(LogSubject){.source = source->config->label},
              "Lost %s: %s; its VMs stay with their last state", source->public_uri, reason);
    drop_connection(source);
    source->generation++;
    set_connected(source, false);
    lose_guests(source);
    guest_polls_drop(source);
    source_set_error(source, reason);
    retry_later(source);
}

VM *source_find_vm(const Source *source, const char *uuid)
{
    return g_hash_table_lookup(source->vms, uuid);
}

VM *source_add_vm(Source *source, const char *uuid, const char *name, const VMFigures *figures,
                  VMDetails *details)
{
    VM *vm = vm_new(source, uuid, name);

    g_hash_table_insert(source->vms, vm->uuid, vm);
    vm_set_figures(vm, figures, 0);
    if (details)
        vm_set_details(vm, details);
    manager_vm_added(source->manager, vm);
    qmp_feed_welcome(source->qmp, vm);
    return vm;
}

void source_remove_vm(Source *source, VM *vm)
{
    manager_vm_removed(source->manager, vm);
    g_hash_table_remove(source->vms, vm->uuid);
}

void source_drop_vms(Source *source)
{
    g_autoptr(GList) all = g_hash_table_get_values(source->vms);

    for (GList *item = all; item; item = item->next)
        source_remove_vm(source, item->data);
}
