/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/events.h"
#include "cli/guestbusctl/phrase.h"
#include "cli/guestbusctl/snapshot.h"
#include "cli/guestbusctl/target.h"
#include "cli/guestbusctl/text.h"
#include "service/cleanup.h"

#define MATCH_OBJECTS "type='signal',sender='" BUS_NAME "',path_namespace='" BUS_ROOT "'"
#define MATCH_OWNER                                                                                          \
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" BUS_NAME "'"

/* One run of "events": who is watched, and the names of objects that signals tell only the paths of. */
typedef struct Events {
    Ctl *ctl;
    sd_event *loop;
    GHashTable *names;     /* path → name of the VM or label */
    GHashTable *watched;   /* set of paths, NULL for all */
    GHashTable *qmp_names; /* set of event names, NULL for all */
    int status;
} Events;

static const char *event_name(const Events *events, const char *path)
{
    const char *name = g_hash_table_lookup(events->names, path);

    return name ? name : path;
}

static void name_learn(Events *events, const char *path, json_object *properties)
{
    const char *name = json_member_string(properties, "Name");

    if (!*name)
        name = json_member_string(properties, "Label");
    if (*name)
        g_hash_table_replace(events->names, g_strdup(path), g_strdup(name));
}

static void names_learn(Events *events, json_object *snapshot)
{
    json_object_object_foreach(snapshot, path, interfaces)
    {
        json_object_object_foreach(interfaces, interface, properties)
        {
            (void)interface;
            name_learn(events, path, properties);
        }
    }
}

static json_object *event_new(const Events *events, uint64_t time, const char *path, const char *event)
{
    json_object *object = json_object_new_object();
    g_autofree char *source = target_path_source(path);

    json_object_object_add(object, "time", json_object_new_uint64(time));
    json_object_object_add(object, "path", json_object_new_string(path));
    json_object_object_add(object, "name", json_object_new_string(event_name(events, path)));
    if (source)
        json_object_object_add(object, "source", json_object_new_string(source));
    json_object_object_add(object, "event", json_object_new_string(event));
    return object;
}

/* One line for each event, whether in words or in JSON, and at once: a reader behind a pipe waits for it. */
static void event_print(const Events *events, json_object *event)
{
    g_autofree char *words = NULL, *time = NULL, *name = NULL;

    if (events->ctl->json != JSON_OFF) {
        json_print(JSON_SHORT, event);
    } else {
        words = phrase_event(event);
        if (!words)
            return;
        time = text_time(json_member_number(event, "time"), true);
        name = text_escape(json_member_string(event, "name"));
        printf("%s%s%s  %s: %s\n", colour_on(events->ctl->colour, COLOUR_FAINT), time,
               colour_off(events->ctl->colour, COLOUR_FAINT), name, words);
    }
    fflush(stdout);
    if (ferror(stdout))
        sd_event_exit(events->loop, 0);
}

/* With --qmp the events of QEMU are all that is printed, so that they can be piped to another program. */
static bool events_are_qmp(const Events *events)
{
    return events->ctl->options & OPTION_QMP;
}

static bool event_is_watched(const Events *events, const char *path)
{
    return !events->watched || g_hash_table_contains(events->watched, path);
}

/* org.guestbus1.QMP.Event carries all of them; its typed siblings would only say the same again. */
static void qmp_event(const Events *events, const char *path, json_object *arguments)
{
    const char *name = json_element_string(arguments, 0);
    uint64_t time = json_object_get_uint64(json_object_array_get_idx(arguments, 1));
    _cleanup_(json_object_putp) json_object *event = NULL;

    if (events->qmp_names && !g_hash_table_contains(events->qmp_names, name))
        return;
    event = event_new(events, time, path, name);
    json_object_object_add(event, "interface", json_object_new_string("QMP"));
    json_object_object_add(event, "data", json_object_get(json_object_array_get_idx(arguments, 2)));
    event_print(events, event);
}

static void interfaces_added(Events *events, json_object *arguments)
{
    const char *path = json_element_string(arguments, 0);
    _cleanup_(json_object_putp) json_object *event = NULL;
    json_object *interfaces = snapshot_short_names(json_object_get(json_object_array_get_idx(arguments, 1)));

    json_object_object_foreach(interfaces, interface, properties)
    {
        (void)interface;
        name_learn(events, path, properties);
    }
    event = event_new(events, text_now(), path, "InterfacesAdded");
    json_object_object_add(event, "interfaces", interfaces);
    if (event_is_watched(events, path) && !events_are_qmp(events))
        event_print(events, event);
}

static void interfaces_removed(Events *events, json_object *arguments)
{
    const char *path = json_element_string(arguments, 0);
    _cleanup_(json_object_putp) json_object *event = event_new(events, text_now(), path, "InterfacesRemoved");

    json_object_object_add(event, "interfaces", json_object_get(json_object_array_get_idx(arguments, 1)));
    if (event_is_watched(events, path) && !events_are_qmp(events))
        event_print(events, event);
    g_hash_table_remove(events->names, path);
}

static void properties_changed(Events *events, const char *path, json_object *arguments)
{
    const char *interface = json_element_string(arguments, 0);
    json_object *changed = json_object_array_get_idx(arguments, 1);
    _cleanup_(json_object_putp) json_object *event = NULL;

    if (!g_str_has_prefix(interface, BUS_INTERFACE("")))
        return;
    /* Before the name is learnt: the line of a rename begins with the name that people know. */
    event = event_new(events, text_now(), path, "PropertiesChanged");
    json_object_object_add(event, "interface", json_object_new_string(interface + strlen(BUS_INTERFACE(""))));
    json_object_object_add(event, "changed", json_object_get(changed));
    json_object_object_add(event, "invalidated", json_object_get(json_object_array_get_idx(arguments, 2)));
    name_learn(events, path, changed);
    event_print(events, event);
}

static void signal_came(const Events *events, const char *path, const char *interface, const char *member,
                        json_object *arguments)
{
    _cleanup_(json_object_putp) json_object *event = event_new(events, text_now(), path, member);

    json_object_object_add(event, "interface", json_object_new_string(interface));
    json_object_object_add(event, "arguments", phrase_name_arguments(interface, member, arguments));
    event_print(events, event);
}

static json_object *arguments_read(sd_bus_message *message)
{
    json_object *arguments = json_object_new_array(), *value;

    while (json_read_value(message, &value) >= 0 && !sd_bus_message_at_end(message, true)) {
        json_object_array_add(arguments, value);
        value = NULL;
    }
    if (value)
        json_object_array_add(arguments, value);
    return arguments;
}

static int message_came(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    Events *events = userdata;
    const char *path = sd_bus_message_get_path(message), *member = sd_bus_message_get_member(message);
    const char *interface = sd_bus_message_get_interface(message);
    bool is_qmp = g_str_equal(interface, BUS_INTERFACE("QMP"));
    _cleanup_(json_object_putp) json_object *arguments = arguments_read(message);

    if (g_str_equal(interface, "org.freedesktop.DBus.ObjectManager")) {
        if (g_str_equal(member, "InterfacesAdded"))
            interfaces_added(events, arguments);
        else if (g_str_equal(member, "InterfacesRemoved"))
            interfaces_removed(events, arguments);
        return 0;
    }
    if (!event_is_watched(events, path) || is_qmp != events_are_qmp(events))
        return 0;
    if (is_qmp && g_str_equal(member, "Event"))
        qmp_event(events, path, arguments);
    else if (g_str_equal(member, "PropertiesChanged"))
        properties_changed(events, path, arguments);
    else if (g_str_has_prefix(interface, BUS_INTERFACE("")) && !is_qmp)
        signal_came(events, path, interface + strlen(BUS_INTERFACE("")), member, arguments);
    return 0;
}

static int owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    Events *events = userdata;
    _cleanup_(json_object_putp) json_object *arguments = arguments_read(message), *event = NULL;
    _cleanup_(json_object_putp) json_object *snapshot = NULL;
    bool present = *json_element_string(arguments, 2);

    /* The VMs that a new service begins with are not announced: their names have to be read. */
    if (present && snapshot_read(events->ctl, &snapshot) == CTL_OK)
        names_learn(events, snapshot);
    if (events_are_qmp(events))
        return 0;
    event = event_new(events, text_now(), BUS_ROOT, present ? "ServiceStarted" : "ServiceStopped");
    event_print(events, event);
    return 0;
}

static int bus_gone(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
    Events *events = userdata;

    complain("the connection to the bus ended");
    events->status = CTL_UNREACHABLE;
    return sd_event_exit(events->loop, 0);
}

static int subscribe(Events *events)
{
    sd_bus *bus = events->ctl->bus;
    int r;

    r = sd_bus_add_match(bus, NULL, MATCH_OBJECTS, message_came, events);
    if (r < 0)
        return r;
    r = sd_bus_add_match(bus, NULL, MATCH_OWNER, owner_changed, events);
    if (r < 0)
        return r;
    return sd_bus_match_signal(bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                               "Disconnected", bus_gone, events);
}

static int watched_collect(Events *events, int argc, char **argv)
{
    if (argc < 2)
        return CTL_OK;
    events->watched = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (int i = 1; i < argc; i++) {
        char *path = NULL;
        int r = target_vm(events->ctl, argv[i], &path);

        if (r != CTL_OK)
            return r;
        g_hash_table_add(events->watched, path);
    }
    return CTL_OK;
}

static void qmp_names_collect(Events *events)
{
    g_auto(GStrv) names = NULL;

    if (!events->ctl->qmp_names)
        return;
    events->qmp_names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    names = g_strsplit(events->ctl->qmp_names, ",", -1);
    for (char **name = names; *name; name++)
        g_hash_table_add(events->qmp_names, g_ascii_strup(*name, -1));
}

static int loop_prepare(Events *events)
{
    sigset_t signals;
    int r;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    r = sd_event_new(&events->loop);
    if (r < 0)
        return r;
    /* Without a handler of its own a signal ends the loop: an interrupt is how this verb is meant to end. */
    r = sd_event_add_signal(events->loop, NULL, SIGINT, NULL, NULL);
    if (r < 0)
        return r;
    r = sd_event_add_signal(events->loop, NULL, SIGTERM, NULL, NULL);
    if (r < 0)
        return r;
    return sd_bus_attach_event(events->ctl->bus, events->loop, SD_EVENT_PRIORITY_NORMAL);
}

static int events_run(Events *events, int argc, char **argv)
{
    _cleanup_(json_object_putp) json_object *snapshot = NULL;
    int r;

    r = watched_collect(events, argc, argv);
    if (r != CTL_OK)
        return r;
    qmp_names_collect(events);
    r = loop_prepare(events);
    if (r >= 0)
        r = subscribe(events);
    if (r < 0)
        return complain_internal(r);
    /* After subscribing, so that nothing is missed in between. */
    r = snapshot_read(events->ctl, &snapshot);
    if (r != CTL_OK)
        return r;
    names_learn(events, snapshot);
    if (events->ctl->legend)
        fprintf(stderr, "Watching; interrupt (^C) to end.\n");
    r = sd_event_loop(events->loop);
    return r < 0 ? complain_internal(r) : events->status;
}

int events_verb(Ctl *ctl, int argc, char **argv)
{
    Events events = {.ctl = ctl, .names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free)};
    int status = events_run(&events, argc, argv);

    sd_bus_detach_event(ctl->bus);
    sd_event_unref(events.loop);
    g_hash_table_unref(events.names);
    g_clear_pointer(&events.watched, g_hash_table_unref);
    g_clear_pointer(&events.qmp_names, g_hash_table_unref);
    return status;
}
