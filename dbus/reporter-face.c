// SPDX-License-Identifier: LGPL-2.1-or-later
#include "dbus/reporter-face.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <systemd/sd-daemon.h>

#include "dbus/error.h"
#include "dbus/options.h"
#include "dbus/reporter-objects.h"
#include "service/cleanup.h"
#include "service/reporter/collection.h"
#include "service/reporter/probe.h"
#include "service/reporter/report-log.h"
#include "service/reporter/status.h"

/* What a caller can wait for; less than guestbusd's deadline for a forwarded call. */
#define COLLECT_USEC (15 * USEC_PER_SECOND)
/* Calls under way: each opens connections to every source. */
#define CALLS_MAX 4U
/* A message of the bus holds 32 MiB. */
#define TEXT_MAX (30U * 1024 * 1024)

struct ReporterFace {
    sd_bus *bus;
    Reporter *reporter;
    ReporterObjects *objects;
    sd_bus_slot *disconnected;
    sd_bus_slot *naming;
    sd_event_source *sweep; /* frees calls that are over: not inside their own callbacks */
    sd_event_source *reload;
    sd_bus_message *reload_call;
    GPtrArray *calls; /* of Call */
};

/* A call that is answered later. */
typedef struct Call {
    ReporterFace *face;
    sd_bus_message *message; /* NULL once it is answered */
    Collection *collection;
    Probe *probe;
} Call;

static void call_free(void *data)
{
    Call *call = data;

    if (call->message)
        (void)sd_bus_reply_method_errorf(call->message, error_name(FAILURE_BUSY),
                                         "the reporter was reloaded");
    sd_bus_message_unref(call->message);
    collection_free(call->collection);
    probe_free(call->probe);
    g_free(call);
}

static int on_sweep(sd_event_source *source, void *userdata)
{
    ReporterFace *face = userdata;

    for (unsigned i = face->calls->len; i-- > 0;)
        if (!((Call *)face->calls->pdata[i])->message)
            g_ptr_array_remove_index(face->calls, i);
    return 0;
}

static void finish_call(Call *call)
{
    call->message = sd_bus_message_unref(call->message);
    (void)sd_event_source_set_enabled(call->face->sweep, SD_EVENT_ONESHOT);
}

/* --- what the objects say --- */

static char *status_word(bool asked, const char *problem)
{
    return g_strdup(problem ? "failure" : asked ? "success" : "");
}

static void show_mapping(ReporterFace *face, const Mapping *mapping)
{
    g_autofree char *path = reporter_mapping_path(mapping->name);
    MappingStatus status;

    schedule_get_status(reporter_schedule(face->reporter), mapping, &status);
    MappingValues values = {
        .name = g_strdup(mapping->name),
        .source_connection = g_strdup(status.source_connection),
        .source_status = status_word(status.source_asked, status.source_problem),
        .source_message = g_strdup(status.source_problem),
        .destination_connection = g_strdup(status.destination_connection),
        .destination_status = status_word(status.destination_asked, status.destination_problem),
        .destination_message = g_strdup(status.destination_problem),
        .last_retrieve = status.last_retrieve,
        .last_send = status.last_send,
        .last_job_status = g_strdup(status.last_job_status),
        .hypervisors = status.hypervisors,
        .guests = status.guests,
    };

    reporter_objects_set_mapping(face->objects, path, &values);
    mapping_values_clear(&values);
}

static void on_changed(const Mapping *mapping, void *userdata)
{
    show_mapping(userdata, mapping);
}

static void on_sent(const Mapping *mapping, const char *job, void *userdata)
{
    ReporterFace *face = userdata;
    g_autofree char *path = reporter_mapping_path(mapping->name);

    show_mapping(face, mapping);
    reporter_objects_emit_sent(face->objects, path, job);
}

static void on_failed(const Mapping *mapping, const char *stage, const char *message, void *userdata)
{
    ReporterFace *face = userdata;
    g_autofree char *path = reporter_mapping_path(mapping->name);

    show_mapping(face, mapping);
    reporter_objects_emit_failed(face->objects, path, stage, message);
}

static void on_replacing(void *userdata)
{
    ReporterFace *face = userdata;

    /* Their settings go. The objects stay until it is known which of them are there afterwards. */
    g_ptr_array_set_size(face->calls, 0);
}

static void remove_gone(ReporterFace *face, const Settings *settings)
{
    char **paths = reporter_objects_list_mappings(face->objects);

    for (char **path = paths; path && *path; path++) {
        const MappingValues *values = reporter_objects_get_mapping(face->objects, *path);

        if (!settings_find_mapping(settings, values->name))
            reporter_objects_remove_mapping(face->objects, *path);
    }
    reporter_objects_free_list(paths);
}

static void on_replaced(void *userdata)
{
    ReporterFace *face = userdata;
    const Settings *settings = reporter_settings(face->reporter);
    ReporterValues values = {.interval = settings->interval, .reporter_id = g_strdup(settings->reporter_id)};

    remove_gone(face, settings);
    reporter_objects_set_reporter(face->objects, &values);
    for (unsigned i = 0; i < settings->mappings->len; i++)
        show_mapping(face, settings->mappings->pdata[i]);
}

static const ReporterObserver observer = {
    .changed = on_changed,
    .sent = on_sent,
    .failed = on_failed,
    .replaced = on_replaced,
    .replacing = on_replacing,
};

/* --- methods --- */

static Call *add_call(ReporterFace *face, sd_bus_message *message)
{
    Call *call = g_new0(Call, 1);

    call->face = face;
    call->message = sd_bus_message_ref(message);
    g_ptr_array_add(face->calls, call);
    return call;
}

static void answer_text(Call *call, const char *text, size_t size)
{
    if (size > TEXT_MAX)
        (void)sd_bus_reply_method_errorf(call->message, error_name(FAILURE_NOT_SUPPORTED),
                                         "%zu bytes are too many for the bus; ask for one mapping", size);
    else
        (void)sd_bus_reply_method_return(call->message, "s", text);
    finish_call(call);
}

/* An answer with hosts missing would look as if they were gone: it is an error that names them. */
static bool answer_missing(Call *call)
{
    unsigned count;
    const CollectionResult *results = collection_results(call->collection, &count);

    for (unsigned i = 0; i < count; i++) {
        if (results[i].association)
            continue;
        FailureKind kind =
            results[i].failure.error == SOURCE_ERROR_TIMEOUT ? FAILURE_TIMEOUT : FAILURE_SOURCE_DISCONNECTED;

        (void)sd_bus_reply_method_errorf(call->message, error_name(kind), "%s: %s", results[i].mapping->name,
                                         results[i].failure.message);
        finish_call(call);
        return true;
    }
    return false;
}

static void on_collected(Collection *collection, void *userdata)
{
    Call *call = userdata;
    char *text = NULL;
    size_t size = 0;

    if (answer_missing(call))
        return;
    FILE *stream = open_memstream(&text, &size);

    if (!stream)
        g_error("out of memory");
    collection_write(collection, stream);
    fclose(stream);
    answer_text(call, text, size);
    free(text);
}

static void on_probed(Probe *probe, void *userdata)
{
    Call *call = userdata;
    unsigned count = probe_count(probe);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    if (!stream)
        g_error("out of memory");
    status_begin_json(stream);
    for (unsigned i = 0; i < count; i++) {
        MappingStatus status;
        const Mapping *mapping = probe_get(probe, i, &status);

        status_write_json(stream, mapping, &status, i == 0);
    }
    status_end_json(stream, count == 0);
    fclose(stream);
    answer_text(call, text, size);
    free(text);
}

static int method_get_association(ReporterFace *face, sd_bus_message *message, const Mapping *mapping)
{
    Call *call = add_call(face, message);
    int r = collection_new(reporter_event(face->reporter), reporter_settings(face->reporter), mapping,
                           COLLECT_USEC, on_collected, call, &call->collection);

    if (r < 0)
        finish_call(call);
    return r;
}

static int method_test_connections(ReporterFace *face, sd_bus_message *message, const Mapping *mapping)
{
    Call *call = add_call(face, message);
    int r = probe_new(reporter_event(face->reporter), reporter_settings(face->reporter),
                      reporter_state(face->reporter), mapping, on_probed, call, &call->probe);

    if (r < 0)
        finish_call(call);
    return r;
}

static int method_report(ReporterFace *face, sd_bus_message *message, const Mapping *only)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    const Settings *settings = reporter_settings(face->reporter);
    int r = sd_bus_message_new_method_return(message, &reply);

    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "o");
    for (unsigned i = 0; r >= 0 && i < settings->mappings->len; i++) {
        const Mapping *mapping = settings->mappings->pdata[i];
        g_autofree char *path = reporter_mapping_path(mapping->name);

        if (!only || mapping == only)
            r = sd_bus_message_append(reply, "o", path);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    if (r < 0)
        return r;
    report_log(LOG_INFO, "asked to report %s now", only ? only->name : "everything");
    schedule_report(reporter_schedule(face->reporter), only, true);
    return sd_bus_send(NULL, reply, NULL);
}

/* From the loop: the call came out of an object that the reload may take away. */
static int on_reload(sd_event_source *source, void *userdata)
{
    ReporterFace *face = userdata;
    sd_bus_message *call = TAKE_PTR(face->reload_call);
    g_autofree char *message = NULL;
    int r = reporter_reload(face->reporter, &message);

    if (r < 0)
        (void)sd_bus_reply_method_errorf(call, error_name(FAILURE_INVALID_ARGUMENT), "%s", message);
    else
        (void)sd_bus_reply_method_return(call, NULL);
    sd_bus_message_unref(call);
    return 0;
}

static int method_reload(ReporterFace *face, sd_bus_message *message, sd_bus_error *error)
{
    if (face->reload_call)
        return error_set(error, FAILURE_BUSY, "a reload is under way");
    face->reload_call = sd_bus_message_ref(message);
    return sd_event_source_set_enabled(face->reload, SD_EVENT_ONESHOT);
}

static int find_wanted(ReporterFace *face, const char *name, const Mapping **ret_mapping, sd_bus_error *error)
{
    *ret_mapping = name ? settings_find_mapping(reporter_settings(face->reporter), name) : NULL;
    if (name && !*ret_mapping)
        return error_set(error, FAILURE_INVALID_ARGUMENT, "there is no mapping \"%.64s\"", name);
    return 0;
}

static int on_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    ReporterFace *face = userdata;
    const char *member = sd_bus_message_get_member(message), *name = NULL;
    const MethodOption options[] = {{"mapping", SD_BUS_TYPE_STRING, &name}};
    const Mapping *mapping;
    bool reload = strcmp(member, "Reload") == 0;
    int r = options_read(message, options, reload ? 0 : G_N_ELEMENTS(options), error);

    if (r >= 0)
        r = find_wanted(face, name, &mapping, error);
    if (r < 0)
        return r;
    if (reload)
        r = method_reload(face, message, error);
    else if (strcmp(member, "Report") == 0)
        r = method_report(face, message, mapping);
    else if (face->calls->len >= CALLS_MAX)
        r = error_set(error, FAILURE_BUSY, "too many calls are under way");
    else if (strcmp(member, "GetAssociation") == 0)
        r = method_get_association(face, message, mapping);
    else
        r = method_test_connections(face, message, mapping);
    return r < 0 ? r : 1;
}

/* --- the bus --- */

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    ReporterFace *face = userdata;

    report_log(LOG_ERR, "the bus is gone");
    return sd_event_exit(reporter_event(face->reporter), -ENOTCONN);
}

static int on_named(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    ReporterFace *face = userdata;
    const sd_bus_error *failure = sd_bus_message_get_error(message);
    uint32_t answer = 0;

    if (!failure && sd_bus_message_read(message, "u", &answer) >= 0 && answer == 1) /* primary owner */
        return sd_notify(false, "READY=1");
    report_log(LOG_ERR, "cannot own the bus name %s: %s", REPORTER_BUS_NAME,
               failure ? failure->message : "another process has it");
    return sd_event_exit(reporter_event(face->reporter), -EPERM);
}

static int connect_face(ReporterFace *face)
{
    sd_event *event = reporter_event(face->reporter);
    int r = sd_bus_match_signal(face->bus, &face->disconnected, "org.freedesktop.DBus.Local",
                                "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                on_disconnected, face);

    if (r >= 0)
        r = reporter_objects_new(face->bus, on_method, face, &face->objects);
    if (r >= 0)
        r = sd_bus_add_object_manager(face->bus, NULL, REPORTER_PATH);
    if (r >= 0)
        r = sd_event_add_defer(event, &face->sweep, on_sweep, face);
    if (r >= 0)
        r = sd_event_add_defer(event, &face->reload, on_reload, face);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(face->sweep, SD_EVENT_OFF);
    (void)sd_event_source_set_enabled(face->reload, SD_EVENT_OFF);
    return sd_bus_request_name_async(face->bus, &face->naming, REPORTER_BUS_NAME, 0, on_named, face);
}

int reporter_face_new(sd_bus *bus, Reporter *reporter, ReporterFace **ret_face)
{
    g_autoptr(ReporterFace) face = g_new0(ReporterFace, 1);

    face->bus = sd_bus_ref(bus);
    face->reporter = reporter;
    face->calls = g_ptr_array_new_with_free_func(call_free);
    int r = connect_face(face);

    if (r < 0)
        return r;
    reporter_observe(reporter, &observer, face);
    *ret_face = g_steal_pointer(&face);
    return 0;
}

void reporter_face_free(ReporterFace *face)
{
    if (!face)
        return;
    reporter_observe(face->reporter, NULL, NULL);
    g_ptr_array_unref(face->calls);
    sd_bus_message_unref(face->reload_call);
    sd_event_source_disable_unref(face->sweep);
    sd_event_source_disable_unref(face->reload);
    sd_bus_slot_unref(face->disconnected);
    sd_bus_slot_unref(face->naming);
    reporter_objects_free(face->objects);
    sd_bus_unref(face->bus);
    g_free(face);
}
