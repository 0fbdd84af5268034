/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/bus.h"

#include "dbus/guest-dbus.h"
#include "dbus/log-control.h"
#include "dbus/manager-dbus.h"
#include "dbus/object.h"
#include "dbus/qmp-dbus.h"
#include "dbus/reporter-dbus.h"
#include "dbus/source-dbus.h"
#include "dbus/vm-dbus.h"
#include "service/cleanup.h"
#include "service/log.h"

#include <errno.h>
#include <malloc.h>
#include <systemd/sd-daemon.h>

/* A reply with everything in it leaves megabytes behind; they go back to the system once it is sent. */
#define TRIM_USEC (5 * 1000000ULL)

static void on_vm_added(VM *vm, void *userdata)
{
    vm_dbus_added(userdata, vm);
}

static void on_vm_removed(VM *vm, void *userdata)
{
    vm_dbus_removed(userdata, vm);
}

static void on_vm_changed(VM *vm, unsigned changes, void *userdata)
{
    vm_dbus_changed(userdata, vm, changes);
}

static void on_qmp_event(VM *vm, const QMPEvent *event, void *userdata)
{
    qmp_dbus_event(userdata, vm, event);
}

static void on_guest_changed(VM *vm, uint32_t changes, void *userdata)
{
    guest_dbus_changed(userdata, vm, changes);
}

static void on_guest_signal(VM *vm, GuestSignal signal, const char *text, uint64_t number, void *userdata)
{
    guest_dbus_signal(userdata, vm, signal, text, number);
}

static void on_source_added(Source *source, void *userdata)
{
    source_dbus_added(userdata, source);
}

static void on_source_removed(Source *source, void *userdata)
{
    source_dbus_removed(userdata, source);
}

static void on_source_changed(Source *source, unsigned changes, void *userdata)
{
    source_dbus_changed(userdata, source, changes);
}

static void tell_systemd(const Manager *manager)
{
    (void)sd_notifyf(false, "STATUS=%u sources, %u VMs", manager->sources->len, manager->vm_count);
}

static void on_manager_changed(Manager *manager, unsigned changes, void *userdata)
{
    manager_dbus_changed(userdata, changes);
    tell_systemd(manager);
}

static int on_name_acquired(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
    Bus *bus = userdata;
    const sd_bus_error *error = sd_bus_message_get_error(reply);
    unsigned answer = 0;

    if (!error && sd_bus_message_read(reply, "u", &answer) >= 0 && answer == 1) { /* primary owner */
        log_info("On the bus as %s with %u VMs", BUS_NAME, bus->manager->vm_count);
        (void)sd_notify(false, "READY=1");
        tell_systemd(bus->manager);
        return 0;
    }
    log_error("Cannot own the bus name %s: %s", BUS_NAME,
              error ? error->message : "another process owns it; is guestbusd running already?");
    return sd_event_exit(bus->manager->event, -EPERM);
}

static void on_ready(Manager *manager, void *userdata)
{
    Bus *bus = userdata;

    if (sd_bus_request_name_async(bus->bus, NULL, BUS_NAME, 0, on_name_acquired, bus) < 0)
        (void)sd_event_exit(manager->event, -ENOTCONN);
}

static const ManagerObserver observer = {
    .vm_added = on_vm_added,
    .vm_removed = on_vm_removed,
    .vm_changed = on_vm_changed,
    .qmp_event = on_qmp_event,
    .guest_changed = on_guest_changed,
    .guest_signal = on_guest_signal,
    .source_added = on_source_added,
    .source_removed = on_source_removed,
    .source_changed = on_source_changed,
    .manager_changed = on_manager_changed,
    .ready = on_ready,
};

/* sd-bus makes this signal up itself when the connection ends. Nothing of ours survives that: the unit
 * restarts us. */
static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;

    log_error("The bus is gone");
    return sd_event_exit(bus->manager->event, -ENOTCONN);
}

static int on_trim(sd_event_source *timer, uint64_t usec, void *userdata)
{
    (void)malloc_trim(0);
    return 0;
}

static int on_any_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;

    if (sd_bus_message_is_method_call(message, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")) {
        (void)sd_event_source_set_time_relative(bus->trim_timer, TRIM_USEC);
        (void)sd_event_source_set_enabled(bus->trim_timer, SD_EVENT_ONESHOT);
    }
    return 0;
}

static int export_objects(Bus *bus)
{
    int r;

    r = manager_dbus_export(bus);
    if (r >= 0)
        r = source_dbus_export(bus);
    if (r >= 0)
        r = vm_dbus_export(bus);
    if (r >= 0)
        r = qmp_dbus_export(bus);
    if (r >= 0)
        r = guest_dbus_export(bus);
    if (r >= 0)
        r = reporter_dbus_export(bus, &bus->reporter);
    if (r >= 0)
        r = sd_bus_add_object_manager(bus->bus, NULL, BUS_ROOT);
    if (r >= 0)
        r = log_control_export(bus->bus);
    return r;
}

static int watch_bus(Bus *bus)
{
    sd_event *event = bus->manager->event;
    int r;

    r = sd_bus_match_signal(bus->bus, NULL, "org.freedesktop.DBus.Local", "/org/freedesktop/DBus/Local",
                            "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, bus);
    if (r >= 0)
        r = sd_bus_add_filter(bus->bus, NULL, on_any_message, bus);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &bus->trim_timer, CLOCK_MONOTONIC, TRIM_USEC, 0, on_trim, bus);
    if (r >= 0)
        r = sd_event_source_set_enabled(bus->trim_timer, SD_EVENT_OFF);
    return r;
}

int bus_open(Manager *manager, Bus **ret)
{
    Bus *bus = g_new0(Bus, 1);
    int r;

    bus->manager = manager;
    bus->vms = g_hash_table_new(g_str_hash, g_str_equal);
    bus->sources = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    *ret = bus;
    r = sd_bus_open_system_with_description(&bus->bus, "guestbusd");
    if (r < 0) {
        log_error("Cannot connect to the system bus: %s", g_strerror(-r));
        return r;
    }
    r = sd_bus_attach_event(bus->bus, manager->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = authority_new(bus->bus, &bus->authority);
    if (r >= 0)
        r = export_objects(bus);
    if (r >= 0)
        r = watch_bus(bus);
    if (r < 0) {
        log_error("Cannot offer the objects: %s", g_strerror(-r));
        return r;
    }
    manager_observe(manager, &observer, bus);
    return 0;
}

void bus_close(Bus *bus)
{
    GHashTableIter iter;
    gpointer vm;

    if (!bus)
        return;
    manager_observe(bus->manager, NULL, NULL);
    authority_free(bus->authority);
    reporter_dbus_free(bus->reporter);
    g_hash_table_iter_init(&iter, bus->vms);
    while (g_hash_table_iter_next(&iter, NULL, &vm)) {
        VMFace *face = vm_face(vm);

        g_free(face->path);
        g_free(face->source_path);
        g_free(face);
    }
    g_hash_table_unref(bus->vms);
    g_hash_table_unref(bus->sources);
    sd_event_source_disable_unref(bus->trim_timer);
    sd_bus_flush_close_unref(bus->bus);
    g_free(bus);
}
