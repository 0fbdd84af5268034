// SPDX-License-Identifier: LGPL-2.1-or-later
#include "dbus/guestbus-source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/cleanup.h"
#include "service/reporter/source.h"

#define SERVICE "org.guestbus1"
#define ROOT "/org/guestbus1"
#define VM_INTERFACE SERVICE ".VM"
#define SOURCE_INTERFACE SERVICE ".Source"
#define GUEST_TYPE "libvirt"
#define URI_DEFAULT "qemu:///system"
/* Xen's own domain, which is the host. */
#define DOMAIN_0 "00000000-0000-0000-0000-000000000000"

/* The process has one connection to the bus. */
static sd_bus *the_bus;

typedef struct GuestbusSource {
    sd_bus_slot *collect;
    sd_bus_slot *test;
    sd_bus_slot *signals;
    sd_bus_slot *owner;
    char *last_view; /* when guestbusd was last read; NULL: never */
} GuestbusSource;

/* What is read of guestbusd's objects. */
typedef struct Host {
    char *path;
    char *uri;
    char *name;
    char *uuid;
    char *error;
    int connected;
} Host;

typedef struct Guest {
    char *uuid;
    char *source;
    char *state;
} Guest;

typedef struct View {
    GPtrArray *hosts;  /* of Host */
    GPtrArray *guests; /* of Guest */
} View;

static void host_free(void *data)
{
    Host *host = data;

    g_free(host->path);
    g_free(host->uri);
    g_free(host->name);
    g_free(host->uuid);
    g_free(host->error);
    g_free(host);
}

static void guest_free(void *data)
{
    Guest *guest = data;

    g_free(guest->uuid);
    g_free(guest->source);
    g_free(guest->state);
    g_free(guest);
}

static void view_clear(View *view)
{
    g_ptr_array_unref(view->hosts);
    g_ptr_array_unref(view->guests);
}

/* --- reading GetManagedObjects --- */

/* A property that is wanted: where its text goes, or its truth. */
typedef struct Wanted {
    const char *name;
    const char *type;
    void *target;
} Wanted;

static int read_property(sd_bus_message *message, const Wanted *wanted)
{
    const char *name, *type, *text;
    int r = sd_bus_message_read(message, "s", &name);

    if (r >= 0)
        r = sd_bus_message_peek_type(message, NULL, &type);
    if (r < 0)
        return r;
    while (wanted->name && (strcmp(wanted->name, name) != 0 || strcmp(wanted->type, type) != 0))
        wanted++;
    if (!wanted->name)
        return sd_bus_message_skip(message, "v");
    if (*type == 'b')
        return sd_bus_message_read(message, "v", "b", wanted->target);
    r = sd_bus_message_read(message, "v", type, &text);
    if (r >= 0) {
        g_free(*(char **)wanted->target);
        *(char **)wanted->target = g_strdup(text);
    }
    return r;
}

static int read_properties(sd_bus_message *message, const Wanted *wanted)
{
    int r = sd_bus_message_enter_container(message, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        r = read_property(message, wanted);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_host(sd_bus_message *message, const char *path, View *view)
{
    Host *host = g_new0(Host, 1);
    const Wanted wanted[] = {
        {"URI", "s", &host->uri},         {"HostName", "s", &host->name},
        {"HostUUID", "s", &host->uuid},   {"Connected", "b", &host->connected},
        {"LastError", "s", &host->error}, {NULL},
    };

    host->path = g_strdup(path);
    g_ptr_array_add(view->hosts, host);
    return read_properties(message, wanted);
}

static int read_guest(sd_bus_message *message, View *view)
{
    Guest *guest = g_new0(Guest, 1);
    const Wanted wanted[] = {
        {"UUID", "s", &guest->uuid},
        {"Source", "o", &guest->source},
        {"State", "s", &guest->state},
        {NULL},
    };

    g_ptr_array_add(view->guests, guest);
    return read_properties(message, wanted);
}

static int read_object(sd_bus_message *message, View *view)
{
    const char *path, *interface;
    int r = sd_bus_message_read(message, "o", &path);

    if (r >= 0)
        r = sd_bus_message_enter_container(message, 'a', "{sa{sv}}");
    while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sa{sv}")) > 0) {
        r = sd_bus_message_read(message, "s", &interface);
        if (r >= 0)
            r = strcmp(interface, SOURCE_INTERFACE) == 0 ? read_host(message, path, view)
                : strcmp(interface, VM_INTERFACE) == 0   ? read_guest(message, view)
                                                         : sd_bus_message_skip(message, "a{sv}");
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_view(sd_bus_message *message, View *view)
{
    int r = sd_bus_message_enter_container(message, 'a', "{oa{sa{sv}}}");

    while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "oa{sa{sv}}")) > 0) {
        r = read_object(message, view);
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
    }
    return r < 0 ? r : sd_bus_message_exit_container(message);
}

/* --- what it means --- */

static bool is_local(const char *uri)
{
    const char *scheme_end = uri ? strstr(uri, "://") : NULL;

    return scheme_end && scheme_end[3] == '/';
}

/* The libvirt that would be read without guestbusd, else the first of this host. */
static const Host *choose_host(const View *view)
{
    const char *wanted = getenv("LIBVIRT_DEFAULT_URI") ?: URI_DEFAULT;
    const Host *chosen = NULL;

    for (unsigned i = 0; i < view->hosts->len; i++) {
        const Host *host = view->hosts->pdata[i];

        if (g_strcmp0(host->uri, wanted) == 0)
            return host;
        if (is_local(host->uri) && (!chosen || strcmp(host->path, chosen->path) < 0))
            chosen = host;
    }
    return chosen;
}

static GuestState parse_state(const char *state)
{
    static const char *const names[] = {
        [GUEST_RUNNING] = "running",
        [GUEST_BLOCKED] = "blocked",
        [GUEST_PAUSED] = "paused",
        [GUEST_SHUTTING_DOWN] = "shutting-down",
        [GUEST_SHUT_OFF] = "shut-off",
        [GUEST_CRASHED] = "crashed",
        [GUEST_PM_SUSPENDED] = "pm-suspended",
    };

    for (GuestState i = GUEST_RUNNING; i <= GUEST_PM_SUSPENDED; i++)
        if (g_strcmp0(state, names[i]) == 0)
            return i;
    return GUEST_UNKNOWN;
}

static Association *associate(const Source *source, const View *view, SourceFailure *ret_failure)
{
    const Host *host = choose_host(view);

    if (!host) {
        source_failure_set(ret_failure, SOURCE_ERROR_UNREACHABLE, "guestbusd serves no libvirt of this host");
        return NULL;
    }
    /* Its VMs have their last states then: not what is true now. */
    if (!host->connected) {
        source_failure_set(ret_failure, SOURCE_ERROR_UNREACHABLE, "guestbusd is not connected to %s%s%s",
                           host->uri, host->error && *host->error ? ": " : "", host->error ?: "");
        return NULL;
    }
    Association *association = association_new(ASSOCIATION_GUEST_LIST);
    AssociationHost *self = association->hosts->pdata[0];
    bool by_name = source->mapping->by_hostname || !host->uuid || !*host->uuid;

    association_set_host(association, self, by_name ? host->name : host->uuid, host->name);
    for (unsigned i = 0; i < view->guests->len; i++) {
        const Guest *guest = view->guests->pdata[i];

        if (g_strcmp0(guest->source, host->path) == 0 && guest->uuid && strcmp(guest->uuid, DOMAIN_0) != 0)
            association_add_guest(association, self, guest->uuid, GUEST_TYPE, parse_state(guest->state));
    }
    association_sort(association);
    return association;
}

/* --- asking --- */

/* What the server knows stays as it is: guestbusd has a last view, not its end. */
static void describe_absence(const GuestbusSource *guestbus, const sd_bus_error *error,
                             SourceFailure *ret_failure)
{
    bool absent = sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                  sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
    g_autofree char *why = absent ? g_strdup("does not run")
                                  : g_strdup_printf("does not answer (%s)", error->message ?: error->name);

    if (guestbus->last_view)
        source_failure_set(ret_failure, SOURCE_ERROR_UNREACHABLE, "guestbusd %s; what it said at %s is kept",
                           why, guestbus->last_view);
    else
        source_failure_set(ret_failure, SOURCE_ERROR_UNREACHABLE, "guestbusd %s", why);
}

static Association *read_answer(Source *source, sd_bus_message *message, SourceFailure *ret_failure)
{
    GuestbusSource *guestbus = source->data;
    const sd_bus_error *error = sd_bus_message_get_error(message);
    _cleanup_(view_clear) View view = {.hosts = g_ptr_array_new_with_free_func(host_free),
                                       .guests = g_ptr_array_new_with_free_func(guest_free)};

    if (error) {
        describe_absence(guestbus, error, ret_failure);
        return NULL;
    }
    if (read_view(message, &view) < 0) {
        source_failure_set(ret_failure, SOURCE_ERROR_DATA, "guestbusd's answer cannot be read");
        return NULL;
    }
    Association *association = associate(source, &view, ret_failure);

    if (association) {
        g_autoptr(GDateTime) now = g_date_time_new_now_local();

        g_free(guestbus->last_view);
        guestbus->last_view = g_date_time_format(now, "%H:%M:%S");
    }
    return association;
}

static int on_collected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    Source *source = userdata;
    GuestbusSource *guestbus = source->data;
    SourceFailure failure = {};
    Association *association = read_answer(source, message, &failure);

    guestbus->collect = sd_bus_slot_unref(guestbus->collect);
    source_finish_collect(source, association, association ? NULL : &failure);
    return 0;
}

static int on_tested(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    Source *source = userdata;
    GuestbusSource *guestbus = source->data;
    SourceFailure failure = {};
    g_autoptr(Association) association = read_answer(source, message, &failure);

    guestbus->test = sd_bus_slot_unref(guestbus->test);
    source_finish_test(source, association ? NULL : &failure);
    return 0;
}

/* guestbusd is not started by this: who stopped it had a reason. */
static int ask(Source *source, sd_bus_slot **slot, sd_bus_message_handler_t handler, uint64_t deadline_usec)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    int r = sd_bus_message_new_method_call(the_bus, &message, SERVICE, ROOT,
                                           "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");

    if (r >= 0)
        r = sd_bus_message_set_auto_start(message, false);
    if (r < 0)
        return r;
    *slot = sd_bus_slot_unref(*slot);
    return sd_bus_call_async(the_bus, slot, message, handler, source, deadline_usec);
}

static int guestbus_collect(Source *source)
{
    return ask(source, &((GuestbusSource *)source->data)->collect, on_collected, SOURCE_COLLECT_USEC);
}

static int guestbus_test(Source *source)
{
    return ask(source, &((GuestbusSource *)source->data)->test, on_tested, SOURCE_TEST_USEC);
}

static void guestbus_cancel(Source *source)
{
    GuestbusSource *guestbus = source->data;

    guestbus->collect = sd_bus_slot_unref(guestbus->collect);
}

/* --- watching --- */

/* Whether a PropertiesChanged is about what goes into a report. */
static bool matters(sd_bus_message *message)
{
    const char *interface, *name;
    bool found = false;

    if (sd_bus_message_read(message, "s", &interface) < 0 ||
        (strcmp(interface, VM_INTERFACE) != 0 && strcmp(interface, SOURCE_INTERFACE) != 0) ||
        sd_bus_message_enter_container(message, 'a', "{sv}") < 0)
        return false;
    while (!found && sd_bus_message_enter_container(message, 'e', "sv") > 0) {
        if (sd_bus_message_read(message, "s", &name) < 0 || sd_bus_message_skip(message, "v") < 0 ||
            sd_bus_message_exit_container(message) < 0)
            return false;
        found = strcmp(name, "State") == 0 || strcmp(name, "Connected") == 0 ||
                strcmp(name, "HostUUID") == 0 || strcmp(name, "HostName") == 0;
    }
    return found;
}

/* A VM or a source that came or went; the reporter's own objects do so too. */
static bool is_of_libvirt(sd_bus_message *message)
{
    const char *path;

    return sd_bus_message_read(message, "o", &path) >= 0 &&
           (g_str_has_prefix(path, ROOT "/vm/") || g_str_has_prefix(path, ROOT "/source/"));
}

static int on_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    const char *manager = "org.freedesktop.DBus.ObjectManager";
    bool objects = sd_bus_message_is_signal(message, manager, "InterfacesAdded") ||
                   sd_bus_message_is_signal(message, manager, "InterfacesRemoved");

    if (objects ? is_of_libvirt(message)
                : sd_bus_message_is_signal(message, "org.freedesktop.DBus.Properties", "PropertiesChanged") &&
                      matters(message))
        source_changed(userdata);
    return 0;
}

static int on_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    source_changed(userdata);
    return 0;
}

static int guestbus_watch(Source *source)
{
    static const char signals[] = "type='signal',sender='" SERVICE "',path_namespace='" ROOT "'";
    static const char owner[] = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                                "interface='org.freedesktop.DBus',arg0='" SERVICE "'";
    GuestbusSource *guestbus = source->data;
    int r = sd_bus_add_match_async(the_bus, &guestbus->signals, signals, on_signal, NULL, source);

    return r < 0 ? r
                 : sd_bus_add_match_async(the_bus, &guestbus->owner, owner, on_owner_changed, NULL, source);
}

static int guestbus_open(Source *source, SourceFailure *ret_failure)
{
    source->data = g_new0(GuestbusSource, 1);
    source->connection = g_strdup("guestbusd");
    return 0;
}

static void guestbus_free(Source *source)
{
    GuestbusSource *guestbus = source->data;

    sd_bus_slot_unref(guestbus->collect);
    sd_bus_slot_unref(guestbus->test);
    sd_bus_slot_unref(guestbus->signals);
    sd_bus_slot_unref(guestbus->owner);
    g_free(guestbus->last_view);
    g_free(guestbus);
}

static const SourceType guestbus_source = {
    .name = "libvirt",
    .open = guestbus_open,
    .collect = guestbus_collect,
    .test = guestbus_test,
    .watch = guestbus_watch,
    .cancel = guestbus_cancel,
    .free = guestbus_free,
};

void guestbus_source_install(sd_bus *bus)
{
    the_bus = bus;
    source_set_local_type(&guestbus_source);
}
