/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/source-events.h"

#include "service/log.h"
#include "service/manager.h"
#include "service/source-read.h"
#include "service/vm-guest.h"

#include <string.h>

/* One event on its way from libvirt's thread to the loop. */
typedef struct SourceEvent {
    InboxItem item;
    SourceLink *link;
    unsigned generation;
    int id; /* VIR_DOMAIN_EVENT_ID_* */
    char uuid[VIR_UUID_STRING_BUFLEN];
    char *name;
    int domain_id;
    int event, detail;
    unsigned long long number;
} SourceEvent;

/* What a registration carries; libvirt frees it when it lets the callback go. */
typedef struct EventWatch {
    SourceLink *link;
    unsigned generation;
    int id;
} EventWatch;

static void apply_event(Source *source, const SourceEvent *event);

static void event_run(InboxItem *item)
{
    SourceEvent *event = (SourceEvent *)item;
    Source *source = event->link->source;

    if (!source || source->generation != event->generation)
        return;
    if (source->connected)
        apply_event(source, event);
    else /* the listing is still under way, and may be older than this */
        g_hash_table_add(source->early, g_strdup(event->uuid));
}

/* Says that events were lost; there is one of these at a time for each source. */
typedef struct Overflow {
    InboxItem item;
    SourceLink *link;
} Overflow;

static void overflow_run(InboxItem *item)
{
    Overflow *overflow = (Overflow *)item;
    Source *source = overflow->link->source;

    atomic_store(&overflow->link->overflown, false);
    if (!source)
        return;
    log_about(LOG_WARNING, &(LogSubject){.source = source->config->label},
              "Events came faster than they could be taken; reading all VMs again");
    source_resync(source);
}

static void overflow_free(InboxItem *item)
{
    Overflow *overflow = (Overflow *)item;

    source_link_unref(overflow->link);
    g_free(overflow);
}

static void post_overflow(SourceLink *link)
{
    Overflow *overflow;

    if (atomic_exchange(&link->overflown, true))
        return;
    overflow = g_new0(Overflow, 1);
    overflow->item.run = overflow_run;
    overflow->item.free = overflow_free;
    overflow->link = source_link_ref(link);
    inbox_post(link->inbox, &overflow->item);
}

static void event_free(InboxItem *item)
{
    SourceEvent *event = (SourceEvent *)item;

    source_link_unref(event->link);
    g_free(event->name);
    g_free(event);
}

/* Runs in libvirt's thread: copies, posts, never waits. The id comes from the event's own domain pointer. */
static void post(const EventWatch *watch, virDomainPtr domain, int event_number, int detail,
                 unsigned long long number)
{
    SourceEvent *event = g_new0(SourceEvent, 1);
    unsigned id = virDomainGetID(domain);

    event->item.run = event_run;
    event->item.free = event_free;
    event->link = source_link_ref(watch->link);
    event->generation = watch->generation;
    event->id = watch->id;
    event->name = g_strdup(virDomainGetName(domain));
    event->domain_id = id == (unsigned)-1 ? -1 : (int)id;
    event->event = event_number;
    event->detail = detail;
    event->number = number;
    if (virDomainGetUUIDString(domain, event->uuid) == 0 &&
        inbox_post_event(watch->link->inbox, &event->item))
        return;
    post_overflow(watch->link);
    event_free(&event->item);
}

static int on_lifecycle(virConnectPtr c, virDomainPtr domain, int event, int detail, void *userdata)
{
    post(userdata, domain, event, detail, 0);
    return 0;
}

static void on_plain(virConnectPtr c, virDomainPtr domain, void *userdata)
{
    post(userdata, domain, 0, 0, 0);
}

static void on_balloon(virConnectPtr c, virDomainPtr domain, unsigned long long actual, void *userdata)
{
    post(userdata, domain, 0, 0, actual);
}

static void on_metadata(virConnectPtr c, virDomainPtr domain, int type, const char *ns, void *userdata)
{
    post(userdata, domain, type, 0, 0);
}

static void on_device(virConnectPtr c, virDomainPtr domain, const char *alias, void *userdata)
{
    post(userdata, domain, 0, 0, 0);
}

static void on_graphics(virConnectPtr c, virDomainPtr domain, int phase,
                        const virDomainEventGraphicsAddress *local,
                        const virDomainEventGraphicsAddress *remote, const char *scheme,
                        const virDomainEventGraphicsSubject *subject, void *userdata)
{
    post(userdata, domain, phase, 0, 0);
}

static void on_agent(virConnectPtr c, virDomainPtr domain, int state, int reason, void *userdata)
{
    post(userdata, domain, state, reason, 0);
}

static void free_watch(void *userdata)
{
    EventWatch *watch = userdata;

    source_link_unref(watch->link);
    g_free(watch);
}

static const struct {
    int id;
    virConnectDomainEventGenericCallback callback;
} registrations[] = {
    {VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)},
    {VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_plain)},
    {VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon)},
    {VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
    {VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device)},
    {VIR_DOMAIN_EVENT_ID_GRAPHICS, VIR_DOMAIN_EVENT_CALLBACK(on_graphics)},
    {VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent)},
};

void source_events_register(ConnectResult *result)
{
    for (size_t i = 0; i < G_N_ELEMENTS(registrations); i++) {
        EventWatch *watch = g_new0(EventWatch, 1);
        int callback;

        watch->link = source_link_ref(result->link);
        watch->generation = result->generation;
        watch->id = registrations[i].id;
        callback = virConnectDomainEventRegisterAny(result->control, NULL, watch->id,
                                                    registrations[i].callback, watch, free_watch);
        if (callback < 0) { /* this driver does not have it */
            free_watch(watch);
            continue;
        }
        result->callbacks[result->callback_count++] = callback;
        if (watch->id == VIR_DOMAIN_EVENT_ID_LIFECYCLE)
            result->has_lifecycle_events = true;
    }
}

/* What a lifecycle event says of the state, so that it is on the bus before anybody was asked: event and
 * detail to state and reason. A detail of -1 stands for all. What is not here is learned from the read that
 * follows. */
static const struct LifecycleRow {
    int event, detail;
    VMState state;
    int reason;
} lifecycle_table[] = {
    {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_BOOTED, VM_RUNNING, VIR_DOMAIN_RUNNING_BOOTED},
    {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_MIGRATED, VM_RUNNING, VIR_DOMAIN_RUNNING_MIGRATED},
    {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_RESTORED, VM_RUNNING, VIR_DOMAIN_RUNNING_RESTORED},
    {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_FROM_SNAPSHOT, VM_RUNNING,
     VIR_DOMAIN_RUNNING_FROM_SNAPSHOT},
    {VIR_DOMAIN_EVENT_STARTED, VIR_DOMAIN_EVENT_STARTED_WAKEUP, VM_RUNNING, VIR_DOMAIN_RUNNING_WAKEUP},
    {VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_PAUSED, VM_PAUSED, VIR_DOMAIN_PAUSED_USER},
    {VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED, VM_PAUSED, VIR_DOMAIN_PAUSED_MIGRATION},
    {VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_IOERROR, VM_PAUSED, VIR_DOMAIN_PAUSED_IOERROR},
    {VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG, VM_PAUSED, VIR_DOMAIN_PAUSED_WATCHDOG},
    {VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT, VM_PAUSED,
     VIR_DOMAIN_PAUSED_FROM_SNAPSHOT},
    {VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY, VM_PAUSED, VIR_DOMAIN_PAUSED_POSTCOPY},
    {VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_UNPAUSED, VM_RUNNING, VIR_DOMAIN_RUNNING_UNPAUSED},
    {VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_MIGRATED, VM_RUNNING, VIR_DOMAIN_RUNNING_MIGRATED},
    {VIR_DOMAIN_EVENT_RESUMED, VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT, VM_RUNNING,
     VIR_DOMAIN_RUNNING_FROM_SNAPSHOT},
    {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN, VM_SHUT_OFF, VIR_DOMAIN_SHUTOFF_SHUTDOWN},
    {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_DESTROYED, VM_SHUT_OFF, VIR_DOMAIN_SHUTOFF_DESTROYED},
    {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_CRASHED, VM_SHUT_OFF, VIR_DOMAIN_SHUTOFF_CRASHED},
    {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_MIGRATED, VM_SHUT_OFF, VIR_DOMAIN_SHUTOFF_MIGRATED},
    {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_SAVED, VM_SHUT_OFF, VIR_DOMAIN_SHUTOFF_SAVED},
    {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_FAILED, VM_SHUT_OFF, VIR_DOMAIN_SHUTOFF_FAILED},
    {VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT, VM_SHUT_OFF,
     VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT},
    {VIR_DOMAIN_EVENT_SHUTDOWN, -1, VM_SHUTTING_DOWN, VIR_DOMAIN_SHUTDOWN_UNKNOWN},
    {VIR_DOMAIN_EVENT_PMSUSPENDED, -1, VM_PM_SUSPENDED, VIR_DOMAIN_PMSUSPENDED_UNKNOWN},
    {VIR_DOMAIN_EVENT_CRASHED, VIR_DOMAIN_EVENT_CRASHED_PANICKED, VM_CRASHED, VIR_DOMAIN_CRASHED_PANICKED},
    {VIR_DOMAIN_EVENT_CRASHED, -1, VM_CRASHED, VIR_DOMAIN_CRASHED_UNKNOWN},
    {VIR_DOMAIN_EVENT_STARTED, -1, VM_RUNNING, VIR_DOMAIN_RUNNING_UNKNOWN},
    {VIR_DOMAIN_EVENT_SUSPENDED, -1, VM_PAUSED, VIR_DOMAIN_PAUSED_UNKNOWN},
    {VIR_DOMAIN_EVENT_RESUMED, -1, VM_RUNNING, VIR_DOMAIN_RUNNING_UNKNOWN},
    {VIR_DOMAIN_EVENT_STOPPED, -1, VM_SHUT_OFF, VIR_DOMAIN_SHUTOFF_UNKNOWN},
};

/* libvirtd sends its events from another thread than its answers: that of a Pause may come when the Resume
 * after it was already answered. */
#define LATE_EVENT_USEC (5 * UINT64_C(1000000))

static bool may_be_late(const VM *vm, VMState state)
{
    return vm->left_at && state == vm->left && manager_now() - vm->left_at < LATE_EVENT_USEC;
}

static void apply_state(VM *vm, const SourceEvent *event)
{
    for (size_t i = 0; i < G_N_ELEMENTS(lifecycle_table); i++) {
        const struct LifecycleRow *row = &lifecycle_table[i];

        if (row->event != event->event || (row->detail != -1 && row->detail != event->detail))
            continue;
        if (may_be_late(vm, row->state))
            return; /* the read that follows knows */
        vm_set_id(vm, row->state == VM_SHUT_OFF ? -1 : event->domain_id);
        vm_set_state(vm, row->state, vm_reason_name(row->state, row->reason), manager_now());
        return;
    }
}

/* A rename comes as undefined plus defined, of one UUID: it is the same object with another name. */
static void apply_lifecycle(Source *source, VM *vm, const SourceEvent *event)
{
    if (event->event == VIR_DOMAIN_EVENT_DEFINED) {
        vm_set_name(vm, event->name);
        return;
    }
    if (event->event != VIR_DOMAIN_EVENT_UNDEFINED) {
        apply_state(vm, event);
        return;
    }
    /* A running VM that loses its definition goes on as a transient one. */
    if (event->detail != VIR_DOMAIN_EVENT_UNDEFINED_RENAMED && !vm_is_active(vm))
        source_remove_vm(source, vm);
}

static void apply_event(Source *source, const SourceEvent *event)
{
    VM *vm = source_find_vm(source, event->uuid);

    /* The definition, or a figure that has no event, may have changed with it. For a VM that we don't know
     * this read is what makes it known. */
    if (!vm ||
        (event->id != VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE && event->id != VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE))
        source_read_vm(source, event->uuid);
    if (!vm)
        return;
    switch (event->id) {
    case VIR_DOMAIN_EVENT_ID_LIFECYCLE:
        apply_lifecycle(source, vm, event);
        break;
    case VIR_DOMAIN_EVENT_ID_REBOOT:
        vm_guest_rebooted(vm);
        break;
    case VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE:
        source_read_overtaken(source, vm);
        vm_set_memory_actual(vm, event->number * 1024);
        break;
    case VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE:
        vm_guest_agent_event(vm, event->event, event->detail);
        break;
    }
}
