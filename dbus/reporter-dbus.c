// SPDX-License-Identifier: LGPL-2.1-or-later
#include "dbus/reporter-dbus.h"

#include <errno.h>
#include <string.h>

#include "dbus/error.h"
#include "dbus/options.h"
#include "dbus/reporter-objects.h"
#include "service/cleanup.h"
#include "service/log.h"

/* A forwarded call: less than the 25 s after which most callers give up. TestConnections takes 15. */
#define FORWARD_DEADLINE_USEC (20 * 1000000ULL)
#define SNAPSHOT_DEADLINE_USEC (10 * 1000000ULL)
/* Calls under way to a reporter that may be slow. */
#define FORWARDS_MAX 16U
/* Mappings that are shown, whatever the reporter says. */
#define MAPPINGS_MAX 4096U

struct ReporterMirror {
    Bus *bus;
    ReporterObjects *objects;
    char *owner; /* the reporter's unique name; NULL while it does not run */
    sd_bus_slot *owner_match;
    sd_bus_slot *signal_match;
    sd_bus_slot *owner_query;
    sd_bus_slot *snapshot; /* the call for everything, while it is under way */
    GHashTable *forwards;  /* of Forward */
};

typedef struct Forward {
    ReporterMirror *mirror;
    sd_bus_message *call;
    sd_bus_slot *slot;
} Forward;

/* --- methods: checked here, done there --- */

static void forward_free(void *data)
{
    Forward *forward = data;

    sd_bus_slot_unref(forward->slot);
    sd_bus_message_unref(forward->call);
    g_free(forward);
}

/* The reporter's error names are ours; that it did not answer in time has one too. */
static int answer_error(sd_bus_message *call, const sd_bus_error *error)
{
    _cleanup_(sd_bus_error_free) sd_bus_error own = SD_BUS_ERROR_NULL;

    if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
        (void)error_set(&own, FAILURE_TIMEOUT, "the reporter does not answer");
    else
        (void)sd_bus_error_copy(&own, error);
    return sd_bus_reply_method_error(call, &own);
}

static int answer(sd_bus_message *call, sd_bus_message *from)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const sd_bus_error *error = sd_bus_message_get_error(from);

    if (error)
        return answer_error(call, error);
    int r = sd_bus_message_new_method_return(call, &reply);

    if (r >= 0)
        r = sd_bus_message_copy(reply, from, true);
    return r < 0 ? sd_bus_reply_method_errno(call, r, NULL) : sd_bus_send(NULL, reply, NULL);
}

static int on_forwarded(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    Forward *forward = userdata;

    (void)answer(forward->call, message);
    g_hash_table_remove(forward->mirror->forwards, forward);
    return 0;
}

static int forward_call(ReporterMirror *mirror, sd_bus_message *call, const char *mapping)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    sd_bus *bus = mirror->bus->bus;
    int r = sd_bus_message_new_method_call(bus, &message, mirror->owner, REPORTER_PATH, REPORTER_INTERFACE,
                                           sd_bus_message_get_member(call));

    if (r >= 0)
        r = mapping ? sd_bus_message_append(message, "a{sv}", 1, "mapping", "s", mapping)
                    : sd_bus_message_append(message, "a{sv}", 0);
    if (r < 0)
        return r;
    Forward *forward = g_new0(Forward, 1);

    forward->mirror = mirror;
    forward->call = sd_bus_message_ref(call);
    g_hash_table_add(mirror->forwards, forward);
    r = sd_bus_call_async(bus, &forward->slot, message, on_forwarded, forward, FORWARD_DEADLINE_USEC);
    if (r < 0)
        g_hash_table_remove(mirror->forwards, forward);
    return r;
}

static const char *verb_of(const char *member)
{
    if (strcmp(member, "GetAssociation") == 0)
        return "show";
    if (strcmp(member, "TestConnections") == 0)
        return "test";
    return strcmp(member, "Reload") == 0 ? "reload" : "report";
}

static int read_options(sd_bus_message *call, const char **ret_mapping, sd_bus_error *error)
{
    const MethodOption options[] = {{"mapping", SD_BUS_TYPE_STRING, ret_mapping}};
    size_t count = strcmp(sd_bus_message_get_member(call), "Reload") == 0 ? 0 : G_N_ELEMENTS(options);

    return options_read(call, options, count, error);
}

static int check_mapping(ReporterMirror *mirror, const char *mapping, sd_bus_error *error)
{
    g_autofree char *path = mapping ? reporter_mapping_path(mapping) : NULL;

    if (path && !reporter_objects_get_mapping(mirror->objects, path))
        return error_set(error, FAILURE_INVALID_ARGUMENT, "there is no mapping \"%.64s\"", mapping);
    return 0;
}

static int on_method(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    ReporterMirror *mirror = userdata;
    const char *mapping = NULL;
    int r = read_options(call, &mapping, error);

    if (r >= 0)
        r = check_mapping(mirror, mapping, error);
    if (r < 0)
        return r;
    const AuthorityDetails details = {.name = mapping, .verb = verb_of(sd_bus_message_get_member(call))};

    r = authority_check(mirror->bus->authority, call, &details, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    if (!mirror->owner)
        return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "the reporter does not run");
    if (g_hash_table_size(mirror->forwards) >= FORWARDS_MAX)
        return error_set(error, FAILURE_BUSY, "too many calls wait for the reporter");
    r = forward_call(mirror, call, mapping);
    return r < 0 ? r : 1;
}

/* --- what the reporter tells --- */

static void set_mapping(ReporterMirror *mirror, const char *path, MappingValues *values)
{
    if (g_str_has_prefix(path, REPORTER_PATH "/"))
        reporter_objects_set_mapping(mirror->objects, path, values);
    mapping_values_clear(values);
}

/* One interface of one object: {s a{sv}}. */
static int read_interface(ReporterMirror *mirror, sd_bus_message *message, const char *path)
{
    const char *interface;
    int r = sd_bus_message_read(message, "s", &interface);

    if (r < 0)
        return r;
    if (strcmp(interface, REPORTER_INTERFACE) == 0) {
        ReporterValues values = {};

        r = reporter_values_read(message, &values);
        if (r >= 0)
            reporter_objects_set_reporter(mirror->objects, &values);
        reporter_values_clear(&values);
        return r;
    }
    if (strcmp(interface, MAPPING_INTERFACE) != 0)
        return sd_bus_message_skip(message, "a{sv}");
    MappingValues values = {};

    r = mapping_values_read(message, &values);
    if (r >= 0)
        set_mapping(mirror, path, &values);
    mapping_values_clear(&values);
    return r;
}

/* a{sa{sv}}: the interfaces of one object. */
static int read_interfaces(ReporterMirror *mirror, sd_bus_message *message, const char *path)
{
    int r = sd_bus_message_enter_container(message, 'a', "{sa{sv}}");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'e', "sa{sv}")) > 0) {
        r = read_interface(mirror, message, path);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_objects(ReporterMirror *mirror, sd_bus_message *message)
{
    unsigned count = 0;
    int r = sd_bus_message_enter_container(message, 'a', "{oa{sa{sv}}}");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_enter_container(message, 'e', "oa{sa{sv}}")) > 0) {
        const char *path;

        r = sd_bus_message_read(message, "o", &path);
        if (r >= 0)
            r = ++count > MAPPINGS_MAX ? sd_bus_message_skip(message, "a{sa{sv}}")
                                       : read_interfaces(mirror, message, path);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
        if (r < 0)
            return r;
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int on_snapshot(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    ReporterMirror *mirror = userdata;
    const sd_bus_error *failure = sd_bus_message_get_error(message);

    mirror->snapshot = sd_bus_slot_unref(mirror->snapshot);
    if (failure)
        log_warning("The reporter does not list its objects: %s", failure->message ?: failure->name);
    else if (read_objects(mirror, message) < 0)
        log_warning("The reporter's list of objects cannot be read");
    return 0;
}

static int ask_snapshot(ReporterMirror *mirror)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    sd_bus *bus = mirror->bus->bus;
    int r = sd_bus_message_new_method_call(bus, &message, mirror->owner, REPORTER_PATH,
                                           "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");

    if (r < 0)
        return r;
    mirror->snapshot = sd_bus_slot_unref(mirror->snapshot);
    return sd_bus_call_async(bus, &mirror->snapshot, message, on_snapshot, mirror, SNAPSHOT_DEADLINE_USEC);
}

static int on_properties_changed(ReporterMirror *mirror, sd_bus_message *message)
{
    const char *path = sd_bus_message_get_path(message), *interface;
    const MappingValues *mapping = reporter_objects_get_mapping(mirror->objects, path);
    const ReporterValues *reporter = reporter_objects_get_reporter(mirror->objects);
    int r = sd_bus_message_read(message, "s", &interface);

    if (r < 0)
        return r;
    if (mapping && strcmp(interface, MAPPING_INTERFACE) == 0) {
        MappingValues values = {};

        mapping_values_copy(mapping, &values);
        r = mapping_values_read(message, &values);
        if (r >= 0)
            reporter_objects_set_mapping(mirror->objects, path, &values);
        mapping_values_clear(&values);
    } else if (reporter && strcmp(interface, REPORTER_INTERFACE) == 0 && strcmp(path, REPORTER_PATH) == 0) {
        ReporterValues values = {};

        reporter_values_copy(reporter, &values);
        r = reporter_values_read(message, &values);
        if (r >= 0)
            reporter_objects_set_reporter(mirror->objects, &values);
        reporter_values_clear(&values);
    }
    return r;
}

static int on_interfaces_added(ReporterMirror *mirror, sd_bus_message *message)
{
    const char *path;
    int r = sd_bus_message_read(message, "o", &path);

    return r < 0 ? r : read_interfaces(mirror, message, path);
}

static int on_interfaces_removed(ReporterMirror *mirror, sd_bus_message *message)
{
    const char *path;
    int r = sd_bus_message_read(message, "o", &path);

    if (r >= 0)
        reporter_objects_remove_mapping(mirror->objects, path);
    return r;
}

static int on_mapping_signal(ReporterMirror *mirror, sd_bus_message *message)
{
    const char *path = sd_bus_message_get_path(message), *first, *second;

    if (sd_bus_message_is_signal(message, MAPPING_INTERFACE, "Sent") &&
        sd_bus_message_read(message, "s", &first) >= 0)
        reporter_objects_emit_sent(mirror->objects, path, first);
    else if (sd_bus_message_is_signal(message, MAPPING_INTERFACE, "Failed") &&
             sd_bus_message_read(message, "ss", &first, &second) >= 0)
        reporter_objects_emit_failed(mirror->objects, path, first, second);
    return 0;
}

/* Everything that the owner of the reporter's name signals; the bus delivers nobody else's here. */
static int on_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    ReporterMirror *mirror = userdata;
    const char *path = sd_bus_message_get_path(message);
    int r;

    if (!mirror->owner || strcmp(sd_bus_message_get_sender(message), mirror->owner) != 0 ||
        !g_str_has_prefix(path, REPORTER_PATH))
        return 0;
    if (sd_bus_message_is_signal(message, "org.freedesktop.DBus.Properties", "PropertiesChanged"))
        r = on_properties_changed(mirror, message);
    else if (sd_bus_message_is_signal(message, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded"))
        r = on_interfaces_added(mirror, message);
    else if (sd_bus_message_is_signal(message, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved"))
        r = on_interfaces_removed(mirror, message);
    else
        r = on_mapping_signal(mirror, message);
    if (r < 0)
        log_warning("A signal of the reporter cannot be read: %s", g_strerror(-r));
    return 0;
}

/* --- whether it is there --- */

static void set_owner(ReporterMirror *mirror, const char *owner)
{
    if (g_strcmp0(mirror->owner, owner) == 0)
        return;
    mirror->snapshot = sd_bus_slot_unref(mirror->snapshot);
    reporter_objects_hide(mirror->objects);
    g_free(mirror->owner);
    mirror->owner = g_strdup(owner);
    log_debug("The reporter is %s", owner ? "there" : "gone");
    if (owner && ask_snapshot(mirror) < 0)
        log_warning("The reporter cannot be asked for its objects");
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    const char *name, *before, *after;

    if (sd_bus_message_read(message, "sss", &name, &before, &after) >= 0 &&
        strcmp(name, REPORTER_BUS_NAME) == 0)
        set_owner(userdata, *after ? after : NULL);
    return 0;
}

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    const char *owner;

    if (!sd_bus_message_get_error(message) && sd_bus_message_read(message, "s", &owner) >= 0)
        set_owner(userdata, owner);
    return 0;
}

static int watch_reporter(ReporterMirror *mirror)
{
    static const char owner_rule[] =
        "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
        "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
        "arg0='" REPORTER_BUS_NAME "'";
    static const char signal_rule[] =
        "type='signal',sender='" REPORTER_BUS_NAME "',path_namespace='" REPORTER_PATH "'";
    sd_bus *bus = mirror->bus->bus;
    int r = sd_bus_add_match_async(bus, &mirror->owner_match, owner_rule, on_owner_changed, NULL, mirror);

    if (r >= 0)
        r = sd_bus_add_match_async(bus, &mirror->signal_match, signal_rule, on_signal, NULL, mirror);
    if (r >= 0)
        r = sd_bus_call_method_async(bus, &mirror->owner_query, "org.freedesktop.DBus",
                                     "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner",
                                     on_owner, mirror, "s", REPORTER_BUS_NAME);
    return r;
}

int reporter_dbus_export(Bus *bus, ReporterMirror **ret_mirror)
{
    ReporterMirror *mirror = g_new0(ReporterMirror, 1);
    int r;

    mirror->bus = bus;
    mirror->forwards = g_hash_table_new_full(NULL, NULL, forward_free, NULL);
    *ret_mirror = mirror;
    r = reporter_objects_new(bus->bus, on_method, mirror, &mirror->objects);
    return r < 0 ? r : watch_reporter(mirror);
}

void reporter_dbus_free(ReporterMirror *mirror)
{
    if (!mirror)
        return;
    sd_bus_slot_unref(mirror->owner_match);
    sd_bus_slot_unref(mirror->signal_match);
    sd_bus_slot_unref(mirror->owner_query);
    sd_bus_slot_unref(mirror->snapshot);
    g_hash_table_unref(mirror->forwards);
    reporter_objects_free(mirror->objects);
    g_free(mirror->owner);
    g_free(mirror);
}
