/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The floor: a bare sd-bus service with as many objects and properties as guestbusd, whose values are
 * constants in memory. What it needs, sd-bus itself needs. It takes the vtables' shape and values from a
 * running guestbusd, so that both send the same bytes: floor SOURCE-NAME OWN-NAME. */

#include "service/cleanup.h"

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-bus.h>

#define PROPERTIES_MAX 48

/* One object's values of one interface, in the order of the vtable: sd-bus reads texts and numbers there
 * itself; what is made of several is kept as a message. */
typedef union Slot {
    char *text;
    uint64_t number64;
    uint32_t number32;
    sd_bus_message *message;
} Slot;

typedef struct Interface {
    char *name;
    sd_bus_vtable *vtable;
    GHashTable *objects; /* path -> Slot[PROPERTIES_MAX] */
} Interface;

static GHashTable *interfaces; /* name -> Interface */
static GPtrArray *paths;

static int get_message(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    sd_bus_message *value = ((Slot *)userdata)->message;

    (void)sd_bus_message_rewind(value, true);
    return sd_bus_message_copy(reply, value, true);
}

static int find(sd_bus *bus, const char *path, const char *name, void *userdata, void **found,
                sd_bus_error *error)
{
    *found = g_hash_table_lookup(((Interface *)userdata)->objects, path);
    return *found ? 1 : 0;
}

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
    char **nodes = calloc(paths->len + 1, sizeof *nodes);

    for (guint i = 0; i < paths->len; i++)
        nodes[i] = strdup(paths->pdata[i]);
    *ret = nodes;
    return 0;
}

static sd_bus_message *keep(sd_bus *bus, sd_bus_message *from)
{
    sd_bus_message *value = NULL;

    (void)sd_bus_message_new_signal(bus, &value, "/", "org.example.Value", "Value");
    (void)sd_bus_message_copy(value, from, true);
    (void)sd_bus_message_seal(value, 1, 0);
    return value;
}

static void take_value(sd_bus *bus, sd_bus_message *from, const char *contents, Slot *slot)
{
    const char *text;

    if (strchr("so", contents[0])) {
        (void)sd_bus_message_read_basic(from, contents[0], &text);
        slot->text = g_strdup(text);
    } else if (strchr("tuib", contents[0]))
        (void)sd_bus_message_read_basic(from, contents[0], slot);
    else
        slot->message = keep(bus, from);
}

static void take_property(sd_bus *bus, sd_bus_message *from, Slot *slots, unsigned index, GArray *vtable)
{
    const char *name, *contents;
    char type;

    (void)sd_bus_message_read(from, "s", &name);
    (void)sd_bus_message_peek_type(from, &type, &contents);
    if (vtable) {
        bool basic = !contents[1] && strchr("sotuib", contents[0]);
        sd_bus_vtable entry = SD_BUS_PROPERTY(g_strdup(name), g_strdup(contents), basic ? NULL : get_message,
                                              index * sizeof(Slot), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE);

        g_array_append_val(vtable, entry);
    }
    (void)sd_bus_message_enter_container(from, 'v', contents);
    take_value(bus, from, contents, &slots[index]);
    (void)sd_bus_message_exit_container(from);
}

static Interface *interface_get(const char *name, GArray **ret_vtable)
{
    Interface *interface = g_hash_table_lookup(interfaces, name);
    const sd_bus_vtable start = SD_BUS_VTABLE_START(0);

    *ret_vtable = NULL;
    if (interface)
        return interface;
    interface = g_new0(Interface, 1);
    interface->name = g_strdup(name);
    interface->objects = g_hash_table_new(g_str_hash, g_str_equal);
    g_hash_table_insert(interfaces, interface->name, interface);
    *ret_vtable = g_array_new(FALSE, TRUE, sizeof(sd_bus_vtable));
    g_array_append_val(*ret_vtable, start);
    return interface;
}

static void take_interface(sd_bus *bus, sd_bus_message *from, const char *name, const char *path)
{
    const sd_bus_vtable end = SD_BUS_VTABLE_END;
    Slot *slots = g_new0(Slot, PROPERTIES_MAX);
    unsigned index = 0;
    GArray *vtable;
    Interface *interface = interface_get(name, &vtable);

    (void)sd_bus_message_enter_container(from, 'a', "{sv}");
    while (index < PROPERTIES_MAX && sd_bus_message_enter_container(from, 'e', "sv") > 0) {
        take_property(bus, from, slots, index++, vtable);
        (void)sd_bus_message_exit_container(from);
    }
    (void)sd_bus_message_exit_container(from);
    if (vtable) {
        g_array_append_val(vtable, end);
        interface->vtable = (sd_bus_vtable *)(void *)g_array_free(vtable, FALSE);
    }
    g_hash_table_insert(interface->objects, (char *)path, slots);
}

static void take_object(sd_bus *bus, sd_bus_message *from, const char *path)
{
    const char *name;

    while (sd_bus_message_enter_container(from, 'e', "sa{sv}") > 0) {
        (void)sd_bus_message_read(from, "s", &name);
        if (g_str_has_prefix(name, "org.guestbus1."))
            take_interface(bus, from, name, path);
        else
            (void)sd_bus_message_skip(from, "a{sv}");
        (void)sd_bus_message_exit_container(from);
    }
}

static void take_everything(sd_bus *bus, sd_bus_message *from)
{
    (void)sd_bus_message_enter_container(from, 'a', "{oa{sa{sv}}}");
    while (sd_bus_message_enter_container(from, 'e', "oa{sa{sv}}") > 0) {
        const char *path;

        (void)sd_bus_message_read(from, "o", &path);
        if (g_str_has_prefix(path, "/org/guestbus1/vm/")) {
            g_ptr_array_add(paths, g_strdup(path));
            (void)sd_bus_message_enter_container(from, 'a', "{sa{sv}}");
            take_object(bus, from, paths->pdata[paths->len - 1]);
            (void)sd_bus_message_exit_container(from);
        } else
            (void)sd_bus_message_skip(from, "a{sa{sv}}");
        (void)sd_bus_message_exit_container(from);
    }
}

int main(int argc, char *argv[])
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *all = NULL;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    GHashTableIter iter;
    gpointer value;

    if (argc != 3 || sd_bus_open_system(&bus) < 0)
        return EXIT_FAILURE;
    interfaces = g_hash_table_new(g_str_hash, g_str_equal);
    paths = g_ptr_array_new();
    if (sd_bus_call_method(bus, argv[1], "/org/guestbus1", "org.freedesktop.DBus.ObjectManager",
                           "GetManagedObjects", &error, &all, NULL) < 0) {
        fprintf(stderr, "floor: %s\n", error.message);
        return EXIT_FAILURE;
    }
    take_everything(bus, all);
    g_hash_table_iter_init(&iter, interfaces);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Interface *interface = value;

        if (sd_bus_add_fallback_vtable(bus, NULL, "/org/guestbus1/vm", interface->name, interface->vtable,
                                       find, interface) < 0)
            return EXIT_FAILURE;
    }
    (void)sd_bus_add_node_enumerator(bus, NULL, "/org/guestbus1/vm", enumerate, NULL);
    (void)sd_bus_add_object_manager(bus, NULL, "/org/guestbus1");
    if (sd_bus_request_name(bus, argv[2], 0) < 0)
        return EXIT_FAILURE;
    fprintf(stderr, "floor: %u objects\n", paths->len);
    for (;;) {
        int r = sd_bus_process(bus, NULL);

        if (r == 0)
            r = sd_bus_wait(bus, UINT64_MAX);
        if (r < 0)
            return EXIT_FAILURE;
    }
}
