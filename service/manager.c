/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/manager.h"

#include "service/guest/power.h"
#include "service/log.h"
#include "service/qmp/feed.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* How long a slow local source may delay the service's appearance on the bus. */
#define READY_PATIENCE_USEC (2 * 1000000ULL)

/* Tells `observer->member` if somebody is there who wants it. */
#define TELL(manager, member, ...)                                                                           \
    do {                                                                                                     \
        if ((manager)->observer && (manager)->observer->member)                                              \
            (manager)->observer->member(__VA_ARGS__, (manager)->observer_userdata);                          \
    } while (0)

uint64_t manager_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int on_flush(sd_event_source *source, void *userdata)
{
    manager_flush(userdata);
    return 0;
}

int manager_new(sd_event *event, const ConfigOrigin *origin, Manager **ret)
{
    Manager *manager = g_new0(Manager, 1);
    int r;

    manager->event = sd_event_ref(event);
    manager->origin = *origin;
    manager->sources = g_ptr_array_new();
    manager->consoles = g_ptr_array_new();
    manager->changed_vms = g_ptr_array_new();
    manager->changed_sources = g_ptr_array_new();
    r = inbox_new(event, &manager->inbox);
    if (r >= 0)
        r = sd_event_add_defer(event, &manager->flush_source, on_flush, manager);
    if (r >= 0)
        r = sd_event_source_set_enabled(manager->flush_source, SD_EVENT_OFF);
    if (r < 0) {
        manager_free(manager);
        return r;
    }
    manager->power = power_new(manager);
    (void)sd_event_source_set_description(manager->flush_source, "tell-observers");
    *ret = manager;
    return 0;
}

void manager_observe(Manager *manager, const ManagerObserver *observer, void *userdata)
{
    manager->observer = observer;
    manager->observer_userdata = userdata;
}

static void remove_source(Manager *manager, Source *source)
{
    g_ptr_array_remove(manager->sources, source);
    source_drop_vms(source);
    TELL(manager, source_removed, source);
    g_ptr_array_remove(manager->changed_sources, source);
    source_free(source);
    manager_changed(manager, MANAGER_CHANGED_SOURCES);
}

void manager_stop(Manager *manager)
{
    manager->observer = NULL;
    while (manager->sources->len > 0)
        remove_source(manager, manager->sources->pdata[0]);
}

Manager *manager_free(Manager *manager)
{
    if (!manager)
        return NULL;
    manager_stop(manager);
    power_free(manager->power);
    sd_event_source_disable_unref(manager->patience);
    sd_event_source_disable_unref(manager->flush_source);
    g_ptr_array_unref(manager->sources);
    g_ptr_array_unref(manager->consoles);
    g_ptr_array_unref(manager->changed_vms);
    g_ptr_array_unref(manager->changed_sources);
    config_free(manager->config);
    if (manager->inbox)
        inbox_close(manager->inbox);
    inbox_unref(manager->inbox);
    sd_event_unref(manager->event);
    g_free(manager);
    return NULL;
}

static void add_source(Manager *manager, const SourceConfig *config)
{
    Source *source = source_new(manager, config);

    g_ptr_array_add(manager->sources, source);
    TELL(manager, source_added, source);
    manager_changed(manager, MANAGER_CHANGED_SOURCES);
    source_connect(source);
}

static void announce(Manager *manager)
{
    if (manager->announced)
        return;
    manager->announced = true;
    manager->patience = sd_event_source_disable_unref(manager->patience);
    TELL(manager, ready, manager);
}

static int on_patience_over(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *manager = userdata;

    log_notice("Not every local hypervisor has answered yet; the service appears on the bus without it");
    announce(manager);
    return 0;
}

void manager_source_settled(Manager *manager)
{
    if (manager->ready)
        return;
    for (guint i = 0; i < manager->sources->len; i++) {
        const Source *source = manager->sources->pdata[i];

        if (source->local && !source->settled)
            return;
    }
    manager->ready = true;
    manager_changed(manager, MANAGER_CHANGED_READY);
    announce(manager);
}

static void log_problems(const Config *config)
{
    for (guint i = 0; i < config->problems->len; i++)
        log_warning("%s", (const char *)config->problems->pdata[i]);
}

static void apply_service_config(Manager *manager)
{
    if (manager->config->service.log_level >= 0)
        log_set_level(manager->config->service.log_level);
    for (guint i = 0; i < manager->sources->len; i++)
        qmp_feed_apply_rate(((Source *)manager->sources->pdata[i])->qmp);
}

void manager_start(Manager *manager)
{
    manager->config = config_read(&manager->origin);
    log_problems(manager->config);
    apply_service_config(manager);
    if (sd_event_add_time_relative(manager->event, &manager->patience, CLOCK_MONOTONIC, READY_PATIENCE_USEC,
                                   0, on_patience_over, manager) < 0)
        log_warning("No timer for slow sources; start-up waits for them");
    for (guint i = 0; i < manager->config->sources->len; i++)
        add_source(manager, manager->config->sources->pdata[i]);
    manager_source_settled(manager);
}

static SourceConfig *find_config(const Config *config, const char *label)
{
    for (guint i = 0; i < config->sources->len; i++) {
        SourceConfig *source = config->sources->pdata[i];

        if (g_str_equal(source->label, label))
            return source;
    }
    return NULL;
}

int manager_reload(Manager *manager, char **ret_problems)
{
    g_autoptr(Config) config = config_read(&manager->origin);

    log_problems(config);
    if (config->problems->len > 0) {
        g_ptr_array_add(config->problems, NULL);
        *ret_problems = g_strjoinv("; ", (char **)config->problems->pdata);
        return -EINVAL;
    }
    for (guint i = manager->sources->len; i > 0; i--) {
        Source *source = manager->sources->pdata[i - 1];
        const SourceConfig *same = find_config(config, source->config->label);

        if (!same || !source_config_equal(source->config, same))
            remove_source(manager, source);
    }
    for (guint i = 0; i < config->sources->len; i++) {
        const SourceConfig *wanted = config->sources->pdata[i];

        if (!manager_find_source(manager, wanted->label))
            add_source(manager, wanted);
    }
    config_free(manager->config);
    manager->config = g_steal_pointer(&config);
    apply_service_config(manager);
    log_info("Configuration read again: %u sources", manager->sources->len);
    return 0;
}

Source *manager_find_source(const Manager *manager, const char *label)
{
    for (guint i = 0; i < manager->sources->len; i++) {
        Source *source = manager->sources->pdata[i];

        if (g_str_equal(source->config->label, label))
            return source;
    }
    return NULL;
}

static int note_match(VM *vm, VM **found)
{
    if (*found)
        return -ENOTUNIQ;
    *found = vm;
    return 0;
}

static int find_by_uuid(const Manager *manager, const char *uuid, VM **ret)
{
    int r = 0;

    for (guint i = 0; i < manager->sources->len && r == 0; i++) {
        VM *vm = source_find_vm(manager->sources->pdata[i], uuid);

        if (vm)
            r = note_match(vm, ret);
    }
    return r;
}

static int find_by_name(const Manager *manager, const char *name, VM **ret)
{
    for (guint i = 0; i < manager->sources->len; i++) {
        const Source *source = manager->sources->pdata[i];
        GHashTableIter iter;
        gpointer value;

        g_hash_table_iter_init(&iter, source->vms);
        while (g_hash_table_iter_next(&iter, NULL, &value)) {
            VM *vm = value;

            if (g_str_equal(vm->name, name) && note_match(vm, ret) < 0)
                return -ENOTUNIQ;
        }
    }
    return 0;
}

int manager_find_vm(const Manager *manager, const char *name_or_uuid, VM **ret)
{
    g_autofree char *uuid = g_ascii_strdown(name_or_uuid, -1);
    VM *found = NULL;
    int r;

    r = find_by_uuid(manager, uuid, &found);
    if (r == 0 && !found)
        r = find_by_name(manager, name_or_uuid, &found);
    if (r < 0)
        return r;
    if (!found)
        return -ENOENT;
    *ret = found;
    return 0;
}

static void want_flush(Manager *manager)
{
    (void)sd_event_source_set_enabled(manager->flush_source, SD_EVENT_ONESHOT);
}

void manager_queue_change(Manager *manager, VM *vm)
{
    if (vm->change_queued || !vm->published)
        return;
    vm->change_queued = true;
    g_ptr_array_add(manager->changed_vms, vm);
    want_flush(manager);
}

void manager_queue_source(Manager *manager, Source *source)
{
    if (!g_ptr_array_find(manager->changed_sources, source, NULL))
        g_ptr_array_add(manager->changed_sources, source);
    want_flush(manager);
}

void manager_changed(Manager *manager, unsigned changes)
{
    manager->changes |= changes;
    want_flush(manager);
}

static void count_changed(Manager *manager, VM *vm)
{
    manager_changed(manager, MANAGER_CHANGED_VM_COUNT);
    source_changed(vm->source, SOURCE_CHANGED_VM_COUNT);
}

void manager_vm_added(Manager *manager, VM *vm)
{
    manager->vm_count++;
    vm->published = true;
    vm->changes = 0; /* who learns of the VM reads its present values */
    vm->guest_changes = 0;
    TELL(manager, vm_added, vm);
    count_changed(manager, vm);
}

void manager_vm_removed(Manager *manager, VM *vm)
{
    if (!vm->published)
        return;
    manager->vm_count--;
    vm->published = false;
    g_ptr_array_remove(manager->changed_vms, vm);
    TELL(manager, vm_removed, vm);
    count_changed(manager, vm);
}

void manager_qmp_event(Manager *manager, VM *vm, const QMPEvent *event)
{
    TELL(manager, qmp_event, vm, event);
}

static void flush_vms(Manager *manager)
{
    for (guint i = 0; i < manager->changed_vms->len; i++) {
        VM *vm = manager->changed_vms->pdata[i];
        unsigned changes = vm->changes;
        uint32_t guest_changes = vm->guest_changes;

        vm->change_queued = false;
        vm->changes = 0;
        vm->guest_changes = 0;
        if (changes)
            TELL(manager, vm_changed, vm, changes);
        if (guest_changes)
            TELL(manager, guest_changed, vm, guest_changes);
    }
    g_ptr_array_set_size(manager->changed_vms, 0);
}

void manager_flush(Manager *manager)
{
    unsigned changes = manager->changes;

    flush_vms(manager);
    for (guint i = 0; i < manager->changed_sources->len; i++) {
        Source *source = manager->changed_sources->pdata[i];
        unsigned source_changes = source->changes;

        source->changes = 0;
        TELL(manager, source_changed, source, source_changes);
    }
    g_ptr_array_set_size(manager->changed_sources, 0);
    manager->changes = 0;
    if (changes)
        TELL(manager, manager_changed, manager, changes);
    (void)sd_event_source_set_enabled(manager->flush_source, SD_EVENT_OFF);
}
