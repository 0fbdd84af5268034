/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The clock of the benchmarks: calls a bus service and libvirt from C, where decoding costs next to nothing,
 * and prints one "name value" line for each figure. Times are milliseconds, medians unless they say
 * otherwise. */

#include "service/cleanup.h"

#include <glib.h>
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-bus.h>
#include <time.h>

#define CALL_TIMEOUT_USEC (120 * 1000000ULL)

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double quantile(double *values, int count, double q)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[MIN(count - 1, (int)(q * count))];
}

static void die(const char *what, int r)
{
    fprintf(stderr, "probe: %s: %s\n", what, g_strerror(r < 0 ? -r : r));
    exit(EXIT_FAILURE);
}

static sd_bus *open_bus(void)
{
    sd_bus *bus = NULL;
    int r = sd_bus_open_system(&bus);

    if (r < 0)
        die("bus", r);
    return bus;
}

static sd_bus_message *new_call(sd_bus *bus, char *argv[])
{
    sd_bus_message *call = NULL;
    int r = sd_bus_message_new_method_call(bus, &call, argv[0], argv[1], argv[2], argv[3]);

    if (r < 0)
        die("call", r);
    return call;
}

/* probe call COUNT DESTINATION PATH INTERFACE MEMBER [STRING]: one call after the other. */
static void probe_call(int argc, char *argv[])
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = open_bus();
    int count = atoi(argv[0]);
    g_autofree double *times = g_new0(double, count);

    for (int i = 0; i < count; i++) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = new_call(bus, argv + 1);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        double start;

        if (argc > 5)
            (void)sd_bus_message_append(call, "s", argv[5]);
        start = now_ms();
        if (sd_bus_call(bus, call, CALL_TIMEOUT_USEC, &error, &reply) < 0) {
            fprintf(stderr, "probe: %s\n", error.message);
            exit(EXIT_FAILURE);
        }
        times[i] = now_ms() - start;
    }
    printf("median %.3f\n", quantile(times, count, 0.5));
    printf("best %.3f\n", times[0]);
}

static unsigned in_flight;

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    if (sd_bus_message_get_error(reply))
        fprintf(stderr, "probe: %s\n", sd_bus_message_get_error(reply)->message);
    in_flight--;
    return 0;
}

static void process(sd_bus *bus)
{
    int r = sd_bus_process(bus, NULL);

    if (r == 0)
        r = sd_bus_wait(bus, CALL_TIMEOUT_USEC);
    if (r < 0)
        die("bus", r);
}

/* probe getall WINDOW DESTINATION INTERFACE <PATHS: GetAll on each path of standard input, WINDOW calls in
 * flight. */
static void probe_getall(int argc, char *argv[])
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = open_bus();
    unsigned window = (unsigned)atoi(argv[0]);
    double start = now_ms();
    char path[512];

    while (fgets(path, sizeof path, stdin)) {
        g_strchomp(path);
        while (in_flight >= window)
            process(bus);
        if (sd_bus_call_method_async(bus, NULL, argv[1], path, "org.freedesktop.DBus.Properties", "GetAll",
                                     on_reply, NULL, "s", argv[2]) < 0)
            die("GetAll", EIO);
        in_flight++;
    }
    while (in_flight > 0)
        process(bus);
    printf("total %.3f\n", now_ms() - start);
}

static virConnectPtr open_libvirt(const char *uri)
{
    virConnectPtr connection = virConnectOpen(uri);

    if (!connection)
        die(uri, EIO);
    return connection;
}

/* probe libvirt COUNT URI: what libvirt itself needs to list all domains and their statistics. */
static void probe_libvirt(int argc, char *argv[])
{
    virConnectPtr connection = open_libvirt(argv[1]);
    int count = atoi(argv[0]);
    g_autofree double *list = g_new0(double, count), *stats = g_new0(double, count);

    for (int i = 0; i < count; i++) {
        virDomainPtr *domains = NULL;
        virDomainStatsRecordPtr *records = NULL;
        double start = now_ms();
        int n = virConnectListAllDomains(connection, &domains, 0);

        list[i] = now_ms() - start;
        for (int d = 0; d < n; d++)
            virDomainFree(domains[d]);
        free(domains);
        start = now_ms();
        virConnectGetAllDomainStats(connection,
                                    VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_VCPU,
                                    &records, 0);
        stats[i] = now_ms() - start;
        virDomainStatsRecordListFree(records);
    }
    printf("list %.3f\nstats %.3f\n", quantile(list, count, 0.5), quantile(stats, count, 0.5));
    virConnectClose(connection);
}

static _Atomic double event_time;

static int on_event(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *userdata)
{
    if (event == VIR_DOMAIN_EVENT_STARTED)
        atomic_store(&event_time, now_ms());
    return 0;
}

static void *libvirt_loop(void *userdata)
{
    for (;;)
        virEventRunDefaultImpl();
    return NULL;
}

static double signal_time;

static int on_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    signal_time = now_ms();
    return 0;
}

static void destroy_and_settle(sd_bus *bus, virDomainPtr domain)
{
    double until;

    virDomainDestroy(domain);
    for (until = now_ms() + 15; now_ms() < until;) {
        if (sd_bus_process(bus, NULL) == 0)
            sd_bus_wait(bus, 5000);
    }
}

/* probe events COUNT URI DOMAIN PATH: a libvirt client starts a domain; when does it hear the event itself,
 * and when does a bus client hear PropertiesChanged? */
static void probe_events(int argc, char *argv[])
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = open_bus();
    int count = atoi(argv[0]);
    g_autofree double *event = g_new0(double, count), *lag = g_new0(double, count);
    virConnectPtr connection;
    virDomainPtr domain;
    pthread_t thread;

    virEventRegisterDefaultImpl();
    connection = open_libvirt(argv[1]);
    domain = virDomainLookupByName(connection, argv[2]);
    virConnectDomainEventRegisterAny(connection, domain, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                     VIR_DOMAIN_EVENT_CALLBACK(on_event), NULL, NULL);
    pthread_create(&thread, NULL, libvirt_loop, NULL);
    sd_bus_match_signal(bus, NULL, NULL, argv[3], "org.freedesktop.DBus.Properties", "PropertiesChanged",
                        on_signal, NULL);
    destroy_and_settle(bus, domain);
    for (int i = 0; i < count; i++) {
        double start;

        atomic_store(&event_time, 0);
        signal_time = 0;
        start = now_ms();
        virDomainCreate(domain);
        while (signal_time == 0 || atomic_load(&event_time) == 0)
            if (sd_bus_process(bus, NULL) == 0)
                sd_bus_wait(bus, 1000);
        event[i] = atomic_load(&event_time) - start;
        lag[i] = signal_time - atomic_load(&event_time);
        destroy_and_settle(bus, domain);
    }
    printf("own-event %.3f\n", quantile(event, count, 0.5));
    printf("signal-after-event %.3f\nsignal-after-event-p90 %.3f\n", quantile(lag, count, 0.5),
           quantile(lag, count, 0.9));
    virDomainCreate(domain);
    virDomainFree(domain);
}

static double call_method(sd_bus *bus, const char *path, const char *member)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    double start = now_ms();

    if (sd_bus_call_method(bus, "org.guestbus1", path, "org.guestbus1.VM", member, &error, NULL, "a{sv}", 0) <
        0)
        fprintf(stderr, "probe: %s: %s\n", member, error.message);
    return now_ms() - start;
}

/* probe start COUNT URI DOMAIN PATH: Start over the bus beside virDomainCreate(), in turns. */
static void probe_start(int argc, char *argv[])
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = open_bus();
    int count = atoi(argv[0]);
    g_autofree double *direct = g_new0(double, count), *over_bus = g_new0(double, count);
    virConnectPtr connection = open_libvirt(argv[1]);
    virDomainPtr domain = virDomainLookupByName(connection, argv[2]);

    destroy_and_settle(bus, domain);
    for (int i = 0; i < count; i++) {
        double start = now_ms();

        virDomainCreate(domain);
        direct[i] = now_ms() - start;
        destroy_and_settle(bus, domain);
        over_bus[i] = call_method(bus, argv[3], "Start");
        destroy_and_settle(bus, domain);
    }
    printf("direct %.3f\nover-bus %.3f\n", quantile(direct, count, 0.5), quantile(over_bus, count, 0.5));
    virDomainCreate(domain);
    virDomainFree(domain);
    virConnectClose(connection);
}

int main(int argc, char *argv[])
{
    static const struct {
        const char *name;
        int arguments;
        void (*run)(int argc, char *argv[]);
    } probes[] = {
        {"call", 5, probe_call},     {"getall", 3, probe_getall}, {"libvirt", 2, probe_libvirt},
        {"events", 4, probe_events}, {"start", 4, probe_start},
    };

    for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(probes); i++)
        if (g_str_equal(argv[1], probes[i].name) && argc - 2 >= probes[i].arguments) {
            probes[i].run(argc - 2, argv + 2);
            return EXIT_SUCCESS;
        }
    fprintf(stderr, "usage: probe call|getall|libvirt|events|start ARGUMENT...\n");
    return EXIT_FAILURE;
}
