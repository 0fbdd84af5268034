/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs a sender against a server, told on standard input what its sources say:
 *
 *     take SOURCE FILE   the source collected what virt-who's fake type reads from FILE
 *     guests SOURCE FILE the same as the guest list of this host
 *     fail SOURCE        the source failed
 *     expect SOURCE      the source begins to collect
 *     tick, force        as the functions of sender.h
 *
 * or, where sources are given as NAME:FILE, a whole schedule with sources of the type fake:
 *
 *     report, force      everything now; also what is not new
 *     status             tells one event "status" for each source
 *
 * It tells on standard output, one JSON object in a line, what the observer is told. */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <json-c/json.h>

#include "service/cleanup.h"
#include "service/reporter/schedule.h"
#include "service/reporter/sender.h"

#define LINE_MAX_BYTES 4096

typedef struct Driver {
    sd_event *event;
    Sender *sender; /* one of the two */
    Schedule *schedule;
    Settings *settings;
    GString *input;
} Driver;

static void tell(const char *kind, const char *key, const char *text, int number)
{
    json_object *line = json_object_new_object();

    json_object_object_add(line, "event", json_object_new_string(kind));
    if (key)
        json_object_object_add(line, key, json_object_new_string(text));
    json_object_object_add(line, "number", json_object_new_int(number));
    puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
    fflush(stdout);
    json_object_put(line);
}

static void on_log(Sender *sender, int priority, const char *message, void *userdata)
{
    tell("log", "message", message, priority);
}

static void on_sent(Sender *sender, const char *job, void *userdata)
{
    tell("sent", "job", job, 0);
}

static void on_failed(Sender *sender, const char *stage, const char *message, void *userdata)
{
    g_autofree char *text = g_strdup_printf("%s: %s", stage, message);

    tell("failed", "message", text, 0);
}

static void on_changed(Sender *sender, void *userdata)
{
}

static void on_settled(Sender *sender, void *userdata)
{
    const char *problem = sender_get_problem(sender);

    tell("settled", problem ? "problem" : NULL, problem, 0);
}

static const SenderObserver observer = {
    .log = on_log,
    .sent = on_sent,
    .failed = on_failed,
    .changed = on_changed,
    .settled = on_settled,
};

static const char *get_text(json_object *object, const char *name)
{
    json_object *value = NULL;

    json_object_object_get_ex(object, name, &value);
    return value ? json_object_get_string(value) : NULL;
}

static void fill_host(Association *association, AssociationHost *host, json_object *json)
{
    json_object *guests = NULL, *facts = NULL, *state = NULL;

    json_object_object_get_ex(json, "guestIds", &guests);
    for (size_t i = 0; guests && i < json_object_array_length(guests); i++) {
        json_object *guest = json_object_array_get_idx(guests, i);

        json_object_object_get_ex(guest, "state", &state);
        association_add_guest(association, host, get_text(guest, "guestId"), "fake",
                              json_object_get_int(state));
    }
    if (!json_object_object_get_ex(json, "facts", &facts))
        return;
    json_object_object_foreach(facts, name, value)
    {
        association_add_fact(association, host, name, json_object_get_string(value));
    }
}

static Association *read_association(const char *path, AssociationKind kind)
{
    json_object *file = json_object_from_file(path), *hosts = NULL, *id = NULL;
    Association *association = association_new(kind);

    json_object_object_get_ex(file, "hypervisors", &hosts);
    for (size_t i = 0; i < json_object_array_length(hosts); i++) {
        json_object *json = json_object_array_get_idx(hosts, i);
        AssociationHost *host = kind == ASSOCIATION_GUEST_LIST ? association->hosts->pdata[0] : NULL;

        json_object_object_get_ex(json, "hypervisorId", &id);
        if (!host)
            host = association_add_host(association, get_text(id, "hypervisorId"), get_text(json, "name"));
        fill_host(association, host, json);
    }
    association_sort(association);
    json_object_put(file);
    return association;
}

static void obey(Driver *driver, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    unsigned n = g_strv_length(words);
    g_autoptr(Association) association = NULL;

    if (n == 3 && (strcmp(words[0], "take") == 0 || strcmp(words[0], "guests") == 0)) {
        association =
            read_association(words[2], *words[0] == 't' ? ASSOCIATION_HOSTS : ASSOCIATION_GUEST_LIST);
        sender_take(driver->sender, words[1], association);
    } else if (n == 2 && strcmp(words[0], "fail") == 0) {
        sender_take(driver->sender, words[1], NULL);
    } else if (n == 2 && strcmp(words[0], "expect") == 0) {
        sender_expect(driver->sender, words[1]);
    } else if (strcmp(line, "tick") == 0) {
        sender_tick(driver->sender);
    } else if (strcmp(line, "force") == 0) {
        sender_force(driver->sender);
    } else {
        tell("unknown", "line", line, 0);
    }
}

static void on_schedule_log(int priority, const char *message, void *userdata)
{
    tell("log", "message", message, priority);
}

static void on_schedule_changed(const Mapping *mapping, void *userdata)
{
}

static void on_schedule_sent(const Mapping *mapping, const char *job, void *userdata)
{
    tell("sent", "mapping", mapping->name, 0);
}

static void on_schedule_failed(const Mapping *mapping, const char *stage, const char *message, void *userdata)
{
    g_autofree char *text = g_strdup_printf("%s: %s: %s", mapping->name, stage, message);

    tell("failed", "message", text, 0);
}

static void on_schedule_finished(bool all_well, void *userdata)
{
    tell("finished", NULL, NULL, all_well);
}

static const ScheduleObserver schedule_observer = {
    .log = on_schedule_log,
    .changed = on_schedule_changed,
    .sent = on_schedule_sent,
    .failed = on_schedule_failed,
    .finished = on_schedule_finished,
};

static void tell_status(Driver *driver)
{
    for (unsigned i = 0; i < driver->settings->mappings->len; i++) {
        const Mapping *mapping = driver->settings->mappings->pdata[i];
        g_autofree char *text = NULL;
        MappingStatus status;

        schedule_get_status(driver->schedule, mapping, &status);
        text = g_strdup_printf("%s: source %s, %u hosts, %u guests, destination %s, job %s", mapping->name,
                               status.source_problem ?: "well", status.hypervisors, status.guests,
                               status.destination_problem ?: "well", status.last_job_status ?: "none");
        tell("status", "message", text, status.last_send > 0);
    }
}

static void obey_schedule(Driver *driver, const char *line)
{
    if (strcmp(line, "status") == 0)
        tell_status(driver);
    else
        schedule_report(driver->schedule, NULL, strcmp(line, "force") == 0);
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    Driver *driver = userdata;
    char buffer[LINE_MAX_BYTES];
    ssize_t n = read(fd, buffer, sizeof buffer);
    char *end;

    if (n <= 0) {
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
    }
    g_string_append_len(driver->input, buffer, n);
    while ((end = strchr(driver->input->str, '\n'))) {
        *end = '\0';
        if (driver->schedule)
            obey_schedule(driver, driver->input->str);
        else
            obey(driver, driver->input->str);
        g_string_erase(driver->input, 0, end - driver->input->str + 1);
    }
    return 0;
}

static void set_option(Destination *destination, SenderOptions *options, const char **state, const char *name,
                       const char *value)
{
    const struct {
        const char *name;
        char **text;
    } texts[] = {
        {"owner", &destination->owner},
        {"host", &destination->hostname},
        {"prefix", &destination->prefix},
        {"user", &destination->username},
        {"password", &destination->password},
        {"certificate", &destination->certificate_path},
        {"key", &destination->key_path},
        {"uuid", &destination->consumer_uuid},
        {"ca", &destination->ca_directory},
        {"proxy-user", &destination->proxy_user},
        {"proxy-password", &destination->proxy_password},
        {"no-proxy", &destination->no_proxy},
        {"proxy", &destination->proxy_hostname},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        if (strcmp(texts[i].name, name) == 0)
            *texts[i].text = (char *)value; /* of argv */
    if (strcmp(name, "port") == 0)
        destination->port = (uint16_t)atoi(value);
    if (strcmp(name, "proxy-port") == 0)
        destination->proxy_port = (uint16_t)atoi(value);
    if (strcmp(name, "timeout") == 0)
        destination->timeout = (unsigned)atoi(value);
    if (strcmp(name, "interval") == 0)
        options->interval = (unsigned)atoi(value);
    if (strcmp(name, "insecure") == 0)
        destination->insecure = true;
    if (strcmp(name, "once") == 0)
        options->once = true;
    if (strcmp(name, "reporter") == 0)
        options->reporter_id = value;
    if (strcmp(name, "state") == 0)
        *state = value;
}

/* NAME, or NAME:FILE. */
static void add_mapping(Destination *destination, char *argument)
{
    Mapping *mapping = g_new0(Mapping, 1);
    char *colon = strchr(argument, ':');

    mapping->name = argument;
    mapping->destination = destination;
    if (colon) {
        *colon = '\0';
        mapping->type = (char *)"fake";
        mapping->fake_file = colon + 1;
        mapping->is_hypervisor = true;
    }
    g_ptr_array_add(destination->mappings, mapping);
}

static int start(Driver *driver, HttpEngine *engine, const SenderOptions *options)
{
    const Mapping *first = options->destination->mappings->pdata[0];
    int r;

    if (!first->fake_file) {
        driver->sender = sender_new(driver->event, engine, options);
        sender_start(driver->sender);
        return 0;
    }
    r = schedule_new(driver->event, driver->settings, options->state, options->once, &schedule_observer,
                     driver, &driver->schedule);
    if (r >= 0)
        schedule_start(driver->schedule);
    return r;
}

static void on_state_message(int priority, const char *message, void *userdata)
{
    tell("log", "message", message, priority);
}

/* Arguments: NAME=VALUE options, and sources. */
int main(int argc, char *argv[])
{
    Destination destination = {.hostname = (char *)"localhost", .timeout = 20, .name = (char *)"test"};
    SenderOptions options = {.reporter_id = "test-reporter", .interval = 3600, .observer = &observer};
    g_autoptr(GPtrArray) destinations = g_ptr_array_new();
    g_autoptr(GPtrArray) mappings = g_ptr_array_new_with_free_func(g_free);
    Settings settings = {.mappings = mappings, .destinations = destinations};
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    g_autoptr(HttpEngine) engine = NULL;
    g_autoptr(State) state = NULL;
    const char *directory = NULL;
    Driver driver = {.settings = &settings};
    sigset_t signals;
    int r;

    destination.mappings = mappings;
    g_ptr_array_add(destinations, &destination);
    for (int i = 1; i < argc; i++) {
        g_auto(GStrv) pair = g_strsplit(argv[i], "=", 2);

        if (pair[1])
            set_option(&destination, &options, &directory, pair[0], strchr(argv[i], '=') + 1);
        else
            add_mapping(&destination, argv[i]);
    }
    r = directory ? state_open(directory, on_state_message, NULL, &state) : 0;
    if (r < 0) {
        tell("error", "message", g_strerror(-r), r);
        return EXIT_FAILURE;
    }
    if (!state)
        state = state_new();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (sd_event_new(&event) < 0 || http_engine_new(event, &engine) < 0 ||
        sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL) < 0)
        return EXIT_FAILURE;
    settings.interval = options.interval;
    settings.reporter_id = (char *)options.reporter_id;
    options.destination = &destination;
    options.state = state;
    driver.event = event;
    driver.input = g_string_new(NULL);
    if (start(&driver, engine, &options) < 0 ||
        sd_event_add_io(event, NULL, STDIN_FILENO, EPOLLIN, on_input, &driver) < 0)
        return EXIT_FAILURE;
    r = sd_event_loop(event);
    tell("end", NULL, NULL, r);
    sender_free(driver.sender);
    schedule_free(driver.schedule);
    g_string_free(driver.input, TRUE);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
