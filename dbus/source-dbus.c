/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/source-dbus.h"

#include "dbus/error.h"
#include "dbus/getter.h"
#include "dbus/object.h"
#include "dbus/options.h"

#include <stddef.h>

static int method_reconnect(sd_bus_message *call, void *userdata, sd_bus_error *error);
GETTER(get_label);
GETTER(get_connected);
GETTER(get_read_only);
GETTER(get_vm_count);

#define INTERFACE "org.guestbus1.Source"

/* Texts and numbers are read by sd-bus itself, where they stand in the struct. */
static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Label", "s", get_label, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("URI", "s", NULL, offsetof(Source, public_uri), SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Connected", "b", get_connected, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Type", "s", NULL, offsetof(Source, type), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("HostName", "s", NULL, offsetof(Source, host_name), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("HostUUID", "s", NULL, offsetof(Source, host_uuid), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("HypervisorVersion", "s", NULL, offsetof(Source, hypervisor_version),
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("LibraryVersion", "s", NULL, offsetof(Source, library_version),
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("LastError", "s", NULL, offsetof(Source, last_error),
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Since", "t", NULL, offsetof(Source, since), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("ReadOnly", "b", get_read_only, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("VMCount", "u", get_vm_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_METHOD_WITH_ARGS("Reconnect", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, method_reconnect,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

/* Which properties a change stands for. */
static const struct {
    unsigned change;
    const char *property;
} changed_properties[] = {
    {SOURCE_CHANGED_CONNECTED, "Connected"},
    {SOURCE_CHANGED_SINCE, "Since"},
    {SOURCE_CHANGED_LAST_ERROR, "LastError"},
    {SOURCE_CHANGED_VM_COUNT, "VMCount"},
    {SOURCE_CHANGED_HOST, "Type"},
    {SOURCE_CHANGED_HOST, "HostName"},
    {SOURCE_CHANGED_HOST, "HostUUID"},
    {SOURCE_CHANGED_HOST, "HypervisorVersion"},
    {SOURCE_CHANGED_HOST, "LibraryVersion"},
};

int source_dbus_export(Bus *bus)
{
    int r = sd_bus_add_fallback_vtable(bus->bus, NULL, BUS_SOURCE_PREFIX, INTERFACE, vtable,
                                       object_find_source, bus);

    return r < 0
               ? r
               : sd_bus_add_node_enumerator(bus->bus, NULL, BUS_SOURCE_PREFIX, object_enumerate_sources, bus);
}

void source_dbus_added(Bus *bus, Source *source)
{
    g_autofree char *path = object_source_path(source->config->label);

    object_add_source(bus, source);
    if (bus->manager->announced)
        (void)sd_bus_emit_object_added(bus->bus, path);
}

/* Told while the object can still be found: sd-bus lists its interfaces in the signal. */
void source_dbus_removed(Bus *bus, Source *source)
{
    g_autofree char *path = object_source_path(source->config->label);

    if (bus->manager->announced)
        (void)sd_bus_emit_object_removed(bus->bus, path);
    object_remove_source(bus, source);
}

void source_dbus_changed(Bus *bus, Source *source, unsigned changes)
{
    g_autofree char *path = object_source_path(source->config->label);
    const char *names[G_N_ELEMENTS(changed_properties) + 1];
    size_t n = 0;

    if (!bus->manager->announced)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(changed_properties); i++)
        if (changes & changed_properties[i].change)
            names[n++] = changed_properties[i].property;
    names[n] = NULL;
    (void)sd_bus_emit_properties_changed_strv(bus->bus, path, INTERFACE, (char **)names);
}

GETTER(get_label)
{
    return sd_bus_message_append(reply, "s", ((Source *)userdata)->config->label);
}

GETTER(get_connected)
{
    return sd_bus_message_append(reply, "b", ((Source *)userdata)->connected);
}

GETTER(get_read_only)
{
    return sd_bus_message_append(reply, "b", ((Source *)userdata)->config->read_only);
}

GETTER(get_vm_count)
{
    return sd_bus_message_append(reply, "u", g_hash_table_size(((Source *)userdata)->vms));
}

static int method_reconnect(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    Source *source = userdata;
    const AuthorityDetails details = {.source = source->config->label, .verb = "reconnect"};
    Bus *bus = source->face;
    int r;

    r = options_none(call, error);
    if (r < 0)
        return r;
    r = authority_check(bus->authority, call, &details, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    source_reconnect(source);
    manager_flush(source->manager);
    return sd_bus_reply_method_return(call, NULL);
}
