/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/manager-dbus.h"

#include "dbus/error.h"
#include "dbus/getter.h"
#include "dbus/object.h"
#include "dbus/options.h"
#include "service/cleanup.h"

#include <errno.h>

static int method_list_vms(sd_bus_message *call, void *userdata, sd_bus_error *error);
static int method_get_vm(sd_bus_message *call, void *userdata, sd_bus_error *error);
static int method_reload(sd_bus_message *call, void *userdata, sd_bus_error *error);
GETTER(get_version);
GETTER(get_ready);
GETTER(get_vm_count);
GETTER(get_sources);

#define INTERFACE "org.guestbus1.Manager"

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("Ready", "b", get_ready, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("VMCount", "u", get_vm_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Sources", "ao", get_sources, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_METHOD_WITH_ARGS("ListVMs", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sssso)", vms), method_list_vms,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("GetVM", SD_BUS_ARGS("s", name_or_uuid), SD_BUS_RESULT("o", vm), method_get_vm,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, method_reload,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

int manager_dbus_export(Bus *bus)
{
    return sd_bus_add_object_vtable(bus->bus, NULL, BUS_ROOT, INTERFACE, vtable, bus);
}

void manager_dbus_changed(Bus *bus, unsigned changes)
{
    const char *names[4];
    size_t n = 0;

    if (!bus->manager->announced)
        return;
    if (changes & MANAGER_CHANGED_READY)
        names[n++] = "Ready";
    if (changes & MANAGER_CHANGED_VM_COUNT)
        names[n++] = "VMCount";
    if (changes & MANAGER_CHANGED_SOURCES)
        names[n++] = "Sources";
    names[n] = NULL;
    (void)sd_bus_emit_properties_changed_strv(bus->bus, BUS_ROOT, INTERFACE, (char **)names);
}

GETTER(get_version)
{
    return sd_bus_message_append(reply, "s", GUESTBUS_VERSION);
}

GETTER(get_ready)
{
    Bus *bus = userdata;

    return sd_bus_message_append(reply, "b", bus->manager->ready);
}

GETTER(get_vm_count)
{
    Bus *bus = userdata;

    return sd_bus_message_append(reply, "u", bus->manager->vm_count);
}

GETTER(get_sources)
{
    Bus *bus = userdata;
    int r = sd_bus_message_open_container(reply, 'a', "o");

    for (guint i = 0; r >= 0 && i < bus->manager->sources->len; i++) {
        const Source *source = bus->manager->sources->pdata[i];
        g_autofree char *source_path = object_source_path(source->config->label);

        r = sd_bus_message_append(reply, "o", source_path);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_vm(sd_bus_message *reply, const VM *vm)
{
    return sd_bus_message_append(reply, "(sssso)", vm->name, vm->uuid, vm->source->config->label,
                                 vm_state_name(vm->state), vm_face(vm)->path);
}

static int method_list_vms(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    Bus *bus = userdata;
    GHashTableIter iter;
    gpointer vm;
    int r;

    r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(sssso)");
    g_hash_table_iter_init(&iter, bus->vms);
    while (r >= 0 && g_hash_table_iter_next(&iter, NULL, &vm))
        r = append_vm(reply, vm);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r < 0)
        return r;
    return sd_bus_message_send(reply);
}

static int method_get_vm(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    const char *wanted;
    VM *vm;
    int r;

    r = sd_bus_message_read(call, "s", &wanted);
    if (r < 0)
        return r;
    r = manager_find_vm(bus->manager, wanted, &vm);
    if (r == -ENOTUNIQ)
        return error_set(error, FAILURE_AMBIGUOUS_NAME,
                         "There is more than one VM \"%.255s\"; name it by its object path", wanted);
    if (r < 0)
        return error_set(error, FAILURE_NO_SUCH_VM, "There is no VM \"%.255s\"", wanted);
    return sd_bus_reply_method_return(call, "o", vm_face(vm)->path);
}

static int method_reload(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    Bus *bus = userdata;
    const AuthorityDetails details = {.verb = "reload"};
    g_autofree char *problems = NULL;
    int r;

    r = options_none(call, error);
    if (r < 0)
        return r;
    r = authority_check(bus->authority, call, &details, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    if (manager_reload(bus->manager, &problems) < 0)
        return error_set(error, FAILURE_INVALID_ARGUMENT, "The configuration was not taken over: %s",
                         problems);
    manager_flush(bus->manager);
    return sd_bus_reply_method_return(call, NULL);
}
