// SPDX-License-Identifier: LGPL-2.1-or-later
#include "dbus/reporter-objects.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct ReporterObjects {
    sd_bus *bus;
    sd_bus_slot *reporter_slot;
    sd_bus_slot *mapping_slot;
    sd_bus_slot *nodes_slot;
    sd_bus_message_handler_t handler;
    void *userdata;
    bool shown;
    ReporterValues values;
    GHashTable *mappings; /* path -> MappingValues */
};

static int method_any(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    ReporterObjects *objects = userdata;

    return objects->handler(call, objects->userdata, error);
}

static int get_mappings(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error);

/* Values stand in the struct itself; methods are given the struct too. */
static const sd_bus_vtable reporter_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("Report", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("ao", mappings),
                            method_any, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("GetAssociation", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", association),
                            method_any, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("TestConnections", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("s", result),
                            method_any, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, method_any,
                            SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_PROPERTY("Interval", "u", NULL, offsetof(ReporterObjects, values.interval),
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("ReporterID", "s", NULL, offsetof(ReporterObjects, values.reporter_id),
                    SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Mappings", "ao", get_mappings, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END,
};

#define MAPPING_PROPERTY(name, type, member, flags)                                                          \
    SD_BUS_PROPERTY(name, type, NULL, offsetof(MappingValues, member), flags)

static const sd_bus_vtable mapping_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_SIGNAL_WITH_ARGS("Sent", SD_BUS_ARGS("s", job), 0),
    SD_BUS_SIGNAL_WITH_ARGS("Failed", SD_BUS_ARGS("s", stage, "s", message), 0),
    MAPPING_PROPERTY("Name", "s", name, SD_BUS_VTABLE_PROPERTY_CONST),
    MAPPING_PROPERTY("SourceConnection", "s", source_connection, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    MAPPING_PROPERTY("SourceStatus", "s", source_status, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    MAPPING_PROPERTY("SourceMessage", "s", source_message, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    MAPPING_PROPERTY("DestinationConnection", "s", destination_connection,
                     SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    MAPPING_PROPERTY("DestinationStatus", "s", destination_status, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    MAPPING_PROPERTY("DestinationMessage", "s", destination_message, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    MAPPING_PROPERTY("LastRetrieve", "t", last_retrieve, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    MAPPING_PROPERTY("LastSend", "t", last_send, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    MAPPING_PROPERTY("LastJobStatus", "s", last_job_status, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    MAPPING_PROPERTY("Hypervisors", "u", hypervisors, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    MAPPING_PROPERTY("Guests", "u", guests, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_VTABLE_END,
};

/* The same once more, for copying, comparing and reading. */
typedef struct Field {
    const char *name;
    char type;
    size_t offset;
} Field;

static const Field reporter_fields[] = {
    {"Interval", 'u', offsetof(ReporterValues, interval)},
    {"ReporterID", 's', offsetof(ReporterValues, reporter_id)},
    {NULL},
};

static const Field mapping_fields[] = {
    {"Name", 's', offsetof(MappingValues, name)},
    {"SourceConnection", 's', offsetof(MappingValues, source_connection)},
    {"SourceStatus", 's', offsetof(MappingValues, source_status)},
    {"SourceMessage", 's', offsetof(MappingValues, source_message)},
    {"DestinationConnection", 's', offsetof(MappingValues, destination_connection)},
    {"DestinationStatus", 's', offsetof(MappingValues, destination_status)},
    {"DestinationMessage", 's', offsetof(MappingValues, destination_message)},
    {"LastRetrieve", 't', offsetof(MappingValues, last_retrieve)},
    {"LastSend", 't', offsetof(MappingValues, last_send)},
    {"LastJobStatus", 's', offsetof(MappingValues, last_job_status)},
    {"Hypervisors", 'u', offsetof(MappingValues, hypervisors)},
    {"Guests", 'u', offsetof(MappingValues, guests)},
    {NULL},
};

static void *at(const void *values, const Field *field)
{
    return (char *)values + field->offset;
}

static char **text_at(const void *values, const Field *field)
{
    return at(values, field);
}

static size_t number_size(const Field *field)
{
    return field->type == 't' ? sizeof(uint64_t) : sizeof(uint32_t);
}

static void clear_fields(void *values, const Field *fields)
{
    for (const Field *field = fields; field->name; field++)
        if (field->type == 's')
            g_clear_pointer(text_at(values, field), g_free);
}

static void copy_fields(const void *from, void *to, const Field *fields)
{
    for (const Field *field = fields; field->name; field++)
        if (field->type == 's')
            *text_at(to, field) = g_strdup(*text_at(from, field) ?: "");
        else
            memcpy(at(to, field), at(from, field), number_size(field));
}

static bool field_differs(const void *a, const void *b, const Field *field)
{
    return field->type == 's' ? g_strcmp0(*text_at(a, field), *text_at(b, field)) != 0
                              : memcmp(at(a, field), at(b, field), number_size(field)) != 0;
}

/* Texts that nobody set are empty on the bus. */
static void fill_texts(void *values, const Field *fields)
{
    for (const Field *field = fields; field->name; field++)
        if (field->type == 's' && !*text_at(values, field))
            *text_at(values, field) = g_strdup("");
}

/* Moves the new values in and signals those that differ, all in one signal. */
static void replace_fields(ReporterObjects *objects, const char *path, const char *interface, void *values,
                           void *update, size_t size, const Field *fields)
{
    const char *names[G_N_ELEMENTS(mapping_fields)];
    size_t count = 0;

    fill_texts(update, fields);
    for (const Field *field = fields; field->name; field++)
        if (field_differs(values, update, field) && strcmp(field->name, "Name") != 0)
            names[count++] = field->name;
    names[count] = NULL;
    clear_fields(values, fields);
    memcpy(values, update, size);
    memset(update, 0, size);
    if (count > 0)
        (void)sd_bus_emit_properties_changed_strv(objects->bus, path, interface, (char **)names);
}

void reporter_values_clear(ReporterValues *values)
{
    clear_fields(values, reporter_fields);
}

void mapping_values_clear(MappingValues *values)
{
    clear_fields(values, mapping_fields);
}

void mapping_values_copy(const MappingValues *from, MappingValues *to)
{
    copy_fields(from, to, mapping_fields);
}

void reporter_values_copy(const ReporterValues *from, ReporterValues *to)
{
    copy_fields(from, to, reporter_fields);
}

static void mapping_free(void *data)
{
    mapping_values_clear(data);
    g_free(data);
}

/* --- reading a{sv} --- */

static const Field *find_field(const Field *fields, const char *name, const char *type)
{
    for (const Field *field = fields; field->name; field++)
        if (strcmp(field->name, name) == 0 && type[0] == field->type && !type[1])
            return field;
    return NULL;
}

static int read_entry(sd_bus_message *message, void *values, const Field *fields)
{
    const char *name, *type, *text;
    int r = sd_bus_message_read(message, "s", &name);

    if (r >= 0)
        r = sd_bus_message_peek_type(message, NULL, &type);
    if (r < 0)
        return r;
    const Field *field = find_field(fields, name, type);

    if (!field)
        return sd_bus_message_skip(message, "v");
    if (field->type != 's')
        return sd_bus_message_read(message, "v", type, at(values, field));
    r = sd_bus_message_read(message, "v", type, &text);
    if (r < 0)
        return r;
    g_free(*text_at(values, field));
    *text_at(values, field) = g_strdup(text);
    return 0;
}

static int read_fields(sd_bus_message *message, void *values, const Field *fields)
{
    int r = sd_bus_message_enter_container(message, 'a', "{sv}");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        r = read_entry(message, values, fields);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

int reporter_values_read(sd_bus_message *message, ReporterValues *values)
{
    return read_fields(message, values, reporter_fields);
}

int mapping_values_read(sd_bus_message *message, MappingValues *values)
{
    return read_fields(message, values, mapping_fields);
}

/* --- the objects --- */

static int find_reporter(sd_bus *bus, const char *path, const char *interface, void *userdata,
                         void **ret_found, sd_bus_error *error)
{
    ReporterObjects *objects = userdata;

    *ret_found = objects;
    return objects->shown && strcmp(path, REPORTER_PATH) == 0;
}

static int find_mapping(sd_bus *bus, const char *path, const char *interface, void *userdata,
                        void **ret_found, sd_bus_error *error)
{
    ReporterObjects *objects = userdata;

    *ret_found = g_hash_table_lookup(objects->mappings, path);
    return *ret_found != NULL;
}

static int compare_paths(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* In order, and so that sd-bus can free it. */
char **reporter_objects_list_mappings(const ReporterObjects *objects)
{
    size_t count = g_hash_table_size(objects->mappings), n = 0;
    char **paths = calloc(count + 2, sizeof(*paths));
    GHashTableIter iter;
    void *path;

    if (!paths)
        return NULL;
    g_hash_table_iter_init(&iter, objects->mappings);
    while (g_hash_table_iter_next(&iter, &path, NULL))
        paths[n++] = strdup(path);
    qsort(paths, n, sizeof(*paths), compare_paths);
    return paths;
}

void reporter_objects_free_list(char **paths)
{
    for (char **path = paths; path && *path; path++)
        free(*path);
    free(paths);
}

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *error)
{
    ReporterObjects *objects = userdata;
    char **paths = reporter_objects_list_mappings(objects);

    if (!paths)
        return -ENOMEM;
    paths[g_hash_table_size(objects->mappings)] = strdup(REPORTER_PATH);
    *ret_nodes = paths;
    return 0;
}

static int get_mappings(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    char **paths = reporter_objects_list_mappings(userdata);
    int r = sd_bus_message_open_container(reply, 'a', "o");

    for (char **mapping = paths; r >= 0 && mapping && *mapping; mapping++)
        r = sd_bus_message_append(reply, "o", *mapping);
    reporter_objects_free_list(paths);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

int reporter_objects_new(sd_bus *bus, sd_bus_message_handler_t handler, void *userdata,
                         ReporterObjects **ret_objects)
{
    g_autoptr(ReporterObjects) objects = g_new0(ReporterObjects, 1);
    int r;

    objects->bus = sd_bus_ref(bus);
    objects->handler = handler;
    objects->userdata = userdata;
    objects->mappings = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, mapping_free);
    r = sd_bus_add_fallback_vtable(bus, &objects->reporter_slot, REPORTER_PATH, REPORTER_INTERFACE,
                                   reporter_vtable, find_reporter, objects);
    if (r >= 0)
        r = sd_bus_add_fallback_vtable(bus, &objects->mapping_slot, REPORTER_PATH, MAPPING_INTERFACE,
                                       mapping_vtable, find_mapping, objects);
    if (r < 0)
        return r;
    *ret_objects = g_steal_pointer(&objects);
    return 0;
}

void reporter_objects_free(ReporterObjects *objects)
{
    if (!objects)
        return;
    sd_bus_slot_unref(objects->reporter_slot);
    sd_bus_slot_unref(objects->mapping_slot);
    sd_bus_slot_unref(objects->nodes_slot);
    sd_bus_unref(objects->bus);
    reporter_values_clear(&objects->values);
    g_hash_table_unref(objects->mappings);
    g_free(objects);
}

static void emit_mappings_changed(ReporterObjects *objects)
{
    if (objects->shown)
        (void)sd_bus_emit_properties_changed(objects->bus, REPORTER_PATH, REPORTER_INTERFACE, "Mappings",
                                             NULL);
}

void reporter_objects_set_reporter(ReporterObjects *objects, ReporterValues *values)
{
    if (objects->shown) {
        replace_fields(objects, REPORTER_PATH, REPORTER_INTERFACE, &objects->values, values, sizeof(*values),
                       reporter_fields);
        return;
    }
    fill_texts(values, reporter_fields);
    objects->values = *values;
    *values = (ReporterValues){};
    objects->shown = true;
    /* A path with an enumerator exists for sd-bus: without a reporter calls must get UnknownObject. */
    (void)sd_bus_add_node_enumerator(objects->bus, &objects->nodes_slot, REPORTER_PATH, enumerate, objects);
    (void)sd_bus_emit_object_added(objects->bus, REPORTER_PATH);
}

void reporter_objects_set_mapping(ReporterObjects *objects, const char *path, MappingValues *values)
{
    MappingValues *known = g_hash_table_lookup(objects->mappings, path);

    if (known) {
        replace_fields(objects, path, MAPPING_INTERFACE, known, values, sizeof(*values), mapping_fields);
        return;
    }
    fill_texts(values, mapping_fields);
    g_hash_table_insert(objects->mappings, g_strdup(path), g_memdup2(values, sizeof(*values)));
    *values = (MappingValues){};
    (void)sd_bus_emit_object_added(objects->bus, path);
    emit_mappings_changed(objects);
}

void reporter_objects_remove_mapping(ReporterObjects *objects, const char *path)
{
    if (!g_hash_table_contains(objects->mappings, path))
        return;
    /* Told while the object can still be found: sd-bus lists its interfaces in the signal. */
    (void)sd_bus_emit_object_removed(objects->bus, path);
    g_hash_table_remove(objects->mappings, path);
    emit_mappings_changed(objects);
}

void reporter_objects_hide(ReporterObjects *objects)
{
    char **paths = reporter_objects_list_mappings(objects);

    for (char **path = paths; path && *path; path++) {
        (void)sd_bus_emit_object_removed(objects->bus, *path);
        g_hash_table_remove(objects->mappings, *path);
    }
    reporter_objects_free_list(paths);
    if (!objects->shown)
        return;
    (void)sd_bus_emit_object_removed(objects->bus, REPORTER_PATH);
    objects->shown = false;
    objects->nodes_slot = sd_bus_slot_unref(objects->nodes_slot);
    reporter_values_clear(&objects->values);
}

const MappingValues *reporter_objects_get_mapping(const ReporterObjects *objects, const char *path)
{
    return g_hash_table_lookup(objects->mappings, path);
}

const ReporterValues *reporter_objects_get_reporter(const ReporterObjects *objects)
{
    return objects->shown ? &objects->values : NULL;
}

void reporter_objects_emit_sent(ReporterObjects *objects, const char *path, const char *job)
{
    if (g_hash_table_contains(objects->mappings, path))
        (void)sd_bus_emit_signal(objects->bus, path, MAPPING_INTERFACE, "Sent", "s", job);
}

void reporter_objects_emit_failed(ReporterObjects *objects, const char *path, const char *stage,
                                  const char *message)
{
    if (g_hash_table_contains(objects->mappings, path))
        (void)sd_bus_emit_signal(objects->bus, path, MAPPING_INTERFACE, "Failed", "ss", stage, message);
}

char *reporter_mapping_path(const char *name)
{
    char *encoded = NULL;

    if (sd_bus_path_encode(REPORTER_PATH, name, &encoded) < 0)
        g_error("out of memory");
    char *path = g_strdup(encoded);

    free(encoded);
    return path;
}
