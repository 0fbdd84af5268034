/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/vm-dbus.h"

#include "dbus/getter.h"
#include "dbus/object.h"

#include <stddef.h>

GETTER(get_uuid);
GETTER(get_source);
GETTER(get_title);
GETTER(get_description);
GETTER(get_state);
GETTER(get_persistent);
GETTER(get_autostart);
GETTER(get_os_id);
GETTER(get_graphics);
GETTER(get_last_job);
GETTER(get_truncated);

#define INTERFACE "org.guestbus1.VM"
#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define OPTIONS SD_BUS_PARAM(options)
/* Everybody may call; what acts asks polkit first, in its handler. */
#define METHOD(name, in, in_names, out, out_names, handler)                                                  \
    SD_BUS_METHOD_WITH_NAMES(name, in, in_names, out, out_names, handler, SD_BUS_VTABLE_UNPRIVILEGED)

/* Texts and numbers without a getter are read by sd-bus itself, where they stand in the struct. */
static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Name", "s", NULL, offsetof(VM, name), CHANGES),
    SD_BUS_PROPERTY("UUID", "s", get_uuid, 0, CONSTANT),
    SD_BUS_PROPERTY("Source", "o", get_source, 0, CONSTANT),
    SD_BUS_PROPERTY("Title", "s", get_title, 0, CHANGES),
    SD_BUS_PROPERTY("Description", "s", get_description, 0, CHANGES),
    SD_BUS_PROPERTY("State", "s", get_state, 0, CHANGES),
    SD_BUS_PROPERTY("StateReason", "s", NULL, offsetof(VM, state_reason), CHANGES),
    SD_BUS_PROPERTY("StateSince", "t", NULL, offsetof(VM, state_since), CHANGES),
    SD_BUS_PROPERTY("Id", "i", NULL, offsetof(VM, id), CHANGES),
    SD_BUS_PROPERTY("Persistent", "b", get_persistent, 0, CHANGES),
    SD_BUS_PROPERTY("Autostart", "b", get_autostart, 0, CHANGES),
    SD_BUS_PROPERTY("VCPUs", "u", NULL, offsetof(VM, vcpus), CHANGES),
    SD_BUS_PROPERTY("MemoryMaximum", "t", NULL, offsetof(VM, memory_maximum), CHANGES),
    SD_BUS_PROPERTY("MemoryActual", "t", NULL, offsetof(VM, memory_actual), CHANGES),
    SD_BUS_PROPERTY("OSID", "s", get_os_id, 0, CHANGES),
    SD_BUS_PROPERTY("Graphics", "aa{sv}", get_graphics, 0, CHANGES),
    SD_BUS_PROPERTY("LastJob", "(sss)", get_last_job, 0, CHANGES),
    SD_BUS_PROPERTY("Truncated", "b", get_truncated, 0, CHANGES),
    METHOD("Start", "a{sv}", OPTIONS, NULL, , vm_method_start),
    METHOD("Shutdown", "sa{sv}", SD_BUS_PARAM(mode) OPTIONS, NULL, , vm_method_shutdown),
    METHOD("Reboot", "sa{sv}", SD_BUS_PARAM(mode) OPTIONS, NULL, , vm_method_reboot),
    METHOD("Reset", "a{sv}", OPTIONS, NULL, , vm_method_reset),
    METHOD("ForceOff", "a{sv}", OPTIONS, NULL, , vm_method_force_off),
    METHOD("Pause", "a{sv}", OPTIONS, NULL, , vm_method_pause),
    METHOD("Resume", "a{sv}", OPTIONS, NULL, , vm_method_resume),
    METHOD("Wakeup", "a{sv}", OPTIONS, NULL, , vm_method_wakeup),
    METHOD("Save", "a{sv}", OPTIONS, NULL, , vm_method_save),
    METHOD("SetMemory", "ta{sv}", SD_BUS_PARAM(bytes) OPTIONS, NULL, , vm_method_set_memory),
    METHOD("SetAutostart", "ba{sv}", SD_BUS_PARAM(enabled) OPTIONS, NULL, , vm_method_set_autostart),
    METHOD("OpenGraphics", "ua{sv}", SD_BUS_PARAM(index) OPTIONS, "h", SD_BUS_PARAM(fd),
           vm_method_open_graphics),
    METHOD("OpenConsole", "sa{sv}", SD_BUS_PARAM(device) OPTIONS, "h", SD_BUS_PARAM(fd),
           vm_method_open_console),
    METHOD("GetXML", "a{sv}", OPTIONS, "s", SD_BUS_PARAM(xml), vm_method_get_xml),
    SD_BUS_VTABLE_END,
};

/* Which property a change stands for. */
static const struct {
    VMChange change;
    const char *property;
} changed_properties[] = {
    {VM_CHANGED_NAME, "Name"},
    {VM_CHANGED_TITLE, "Title"},
    {VM_CHANGED_DESCRIPTION, "Description"},
    {VM_CHANGED_STATE, "State"},
    {VM_CHANGED_STATE_REASON, "StateReason"},
    {VM_CHANGED_STATE_SINCE, "StateSince"},
    {VM_CHANGED_ID, "Id"},
    {VM_CHANGED_PERSISTENT, "Persistent"},
    {VM_CHANGED_AUTOSTART, "Autostart"},
    {VM_CHANGED_VCPUS, "VCPUs"},
    {VM_CHANGED_MEMORY_MAXIMUM, "MemoryMaximum"},
    {VM_CHANGED_MEMORY_ACTUAL, "MemoryActual"},
    {VM_CHANGED_OS_ID, "OSID"},
    {VM_CHANGED_GRAPHICS, "Graphics"},
    {VM_CHANGED_LAST_JOB, "LastJob"},
    {VM_CHANGED_TRUNCATED, "Truncated"},
};

int vm_dbus_export(Bus *bus)
{
    int r = sd_bus_add_fallback_vtable(bus->bus, NULL, BUS_VM_PREFIX, INTERFACE, vtable, object_find_vm, bus);

    return r < 0 ? r : sd_bus_add_node_enumerator(bus->bus, NULL, BUS_VM_PREFIX, object_enumerate_vms, bus);
}

void vm_dbus_added(Bus *bus, VM *vm)
{
    object_add_vm(bus, vm);
    /* Before the name is taken nobody can follow us: who comes then reads everything. And nobody may: the bus
     * knows by the name alone whose signals it keeps from strangers. */
    if (bus->manager->announced)
        (void)sd_bus_emit_object_added(bus->bus, vm_face(vm)->path);
}

/* Told while the object can still be found: sd-bus lists its interfaces in the signal. */
void vm_dbus_removed(Bus *bus, VM *vm)
{
    if (bus->manager->announced)
        (void)sd_bus_emit_object_removed(bus->bus, vm_face(vm)->path);
    object_remove_vm(bus, vm);
}

void vm_dbus_changed(Bus *bus, VM *vm, unsigned changes)
{
    const char *names[G_N_ELEMENTS(changed_properties) + 1];
    size_t n = 0;

    if (!bus->manager->announced)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(changed_properties); i++)
        if (changes & changed_properties[i].change)
            names[n++] = changed_properties[i].property;
    names[n] = NULL;
    (void)sd_bus_emit_properties_changed_strv(bus->bus, vm_face(vm)->path, INTERFACE, (char **)names);
}

GETTER(get_uuid)
{
    return sd_bus_message_append(reply, "s", ((VM *)userdata)->uuid);
}

GETTER(get_source)
{
    return sd_bus_message_append(reply, "o", vm_face(userdata)->source_path);
}

GETTER(get_title)
{
    return sd_bus_message_append(reply, "s", ((VM *)userdata)->details->title);
}

GETTER(get_description)
{
    return sd_bus_message_append(reply, "s", ((VM *)userdata)->details->description);
}

GETTER(get_state)
{
    return sd_bus_message_append(reply, "s", vm_state_name(((VM *)userdata)->state));
}

GETTER(get_persistent)
{
    return sd_bus_message_append(reply, "b", ((VM *)userdata)->persistent);
}

GETTER(get_autostart)
{
    return sd_bus_message_append(reply, "b", ((VM *)userdata)->autostart);
}

GETTER(get_os_id)
{
    return sd_bus_message_append(reply, "s", ((VM *)userdata)->details->os_id);
}

static int append_text(sd_bus_message *reply, const char *key, const char *text)
{
    return *text ? sd_bus_message_append(reply, "{sv}", key, "s", text) : 0;
}

static int append_port(sd_bus_message *reply, const char *key, uint16_t port)
{
    return port ? sd_bus_message_append(reply, "{sv}", key, "q", port) : 0;
}

/* What a display does not have is left out. */
static int append_graphics(sd_bus_message *reply, const VMGraphics *graphics)
{
    int r = sd_bus_message_open_container(reply, 'a', "{sv}");

    if (r >= 0)
        r = append_text(reply, "type", graphics->type);
    if (r >= 0)
        r = append_text(reply, "address", graphics->address);
    if (r >= 0)
        r = append_port(reply, "port", graphics->port);
    if (r >= 0)
        r = append_port(reply, "tls-port", graphics->tls_port);
    if (r >= 0)
        r = append_port(reply, "websocket", graphics->websocket);
    if (r >= 0)
        r = append_text(reply, "socket", graphics->socket);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_graphics)
{
    const GPtrArray *graphics = ((VM *)userdata)->details->graphics;
    int r = sd_bus_message_open_container(reply, 'a', "a{sv}");

    for (guint i = 0; r >= 0 && i < graphics->len; i++)
        r = append_graphics(reply, graphics->pdata[i]);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_last_job)
{
    const VM *vm = userdata;

    return sd_bus_message_append(reply, "(sss)", vm->last_job_verb, vm->last_job_result,
                                 vm->last_job_message);
}

GETTER(get_truncated)
{
    return sd_bus_message_append(reply, "b", vm_truncated(userdata));
}
