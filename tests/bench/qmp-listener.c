/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libvirt/libvirt-qemu.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

/* Listens to the QMP events of one VM twice in one process: at libvirt, as any client of it, and at
 * guestbusd. For each arrival it prints "libvirt" or "bus", the event's name, its own timestamp in µs and the
 * time of arrival in ns; the time is taken first and all is printed at the end, so that printing does not
 * disturb.
 *
 *     qmp-listener URI UUID      a URI of - leaves libvirt out
 *
 * It says "ready" when both listen, and ends when its standard input does. */

enum {
    ARRIVALS_MAX = 4 * 1000 * 1000,
    NAME_SIZE = 32,
};

typedef struct Arrival {
    char name[NAME_SIZE];
    uint64_t timestamp;
    uint64_t time;
} Arrival;

typedef struct Log {
    Arrival *arrivals;
    atomic_size_t count;
} Log;

static Log at_libvirt, at_bus;

static void check(int r, const char *what)
{
    if (r >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, strerror(-r));
    exit(EXIT_FAILURE);
}

static void note(Log *log, const char *name, uint64_t timestamp)
{
    struct timespec now;
    size_t index = atomic_load(&log->count);

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (index == ARRIVALS_MAX)
        return;
    log->arrivals[index].timestamp = timestamp;
    log->arrivals[index].time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    strncpy(log->arrivals[index].name, name, NAME_SIZE - 1);
    atomic_store(&log->count, index + 1);
}

static void print(const char *where, const Log *log)
{
    for (size_t i = 0; i < atomic_load(&log->count); i++)
        printf("%s %s %ju %ju\n", where, log->arrivals[i].name, (uintmax_t)log->arrivals[i].timestamp,
               (uintmax_t)log->arrivals[i].time);
}

static void on_monitor_event(virConnectPtr connection, virDomainPtr domain, const char *event,
                             long long seconds, unsigned int micros, const char *details, void *userdata)
{
    note(&at_libvirt, event, (uint64_t)seconds * 1000000 + micros);
}

static void *run_libvirt(void *userdata)
{
    while (virEventRunDefaultImpl() == 0)
        ;
    return NULL;
}

static void listen_at_libvirt(const char *uri, const char *uuid)
{
    virConnectPtr connection;
    virDomainPtr domain;
    pthread_t thread;

    if (virEventRegisterDefaultImpl() < 0)
        exit(EXIT_FAILURE);
    connection = virConnectOpen(uri);
    domain = connection ? virDomainLookupByUUIDString(connection, uuid) : NULL;
    if (!domain || virConnectDomainQemuMonitorEventRegister(connection, domain, NULL, on_monitor_event, NULL,
                                                            NULL, 0) < 0)
        exit(EXIT_FAILURE);
    check(-pthread_create(&thread, NULL, run_libvirt, NULL), "pthread_create");
}

static int on_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    const char *name;
    uint64_t timestamp;

    if (sd_bus_message_read(message, "st", &name, &timestamp) >= 0)
        note(&at_bus, name, timestamp);
    return 0;
}

static void listen_at_bus(sd_event *event, const char *uuid)
{
    sd_bus *bus = NULL;
    char *path, *p;

    if (asprintf(&path, "/org/guestbus1/vm/local/%s", uuid) < 0)
        exit(EXIT_FAILURE);
    for (p = path; *p; p++)
        if (*p == '-')
            *p = '_';
    check(sd_bus_open_system(&bus), "sd_bus_open_system");
    check(
        sd_bus_match_signal(bus, NULL, "org.guestbus1", path, "org.guestbus1.QMP", "Event", on_signal, NULL),
        "match");
    check(sd_bus_attach_event(bus, event, 0), "sd_bus_attach_event");
    free(path);
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    char byte;

    return read(fd, &byte, 1) <= 0 ? sd_event_exit(userdata, 0) : 0;
}

int main(int argc, char **argv)
{
    sd_event *event = NULL;

    if (argc != 3) {
        fprintf(stderr, "usage: %s URI UUID\n", argv[0]);
        return EXIT_FAILURE;
    }
    at_libvirt.arrivals = calloc(ARRIVALS_MAX, sizeof(Arrival));
    at_bus.arrivals = calloc(ARRIVALS_MAX, sizeof(Arrival));
    if (!at_libvirt.arrivals || !at_bus.arrivals)
        return EXIT_FAILURE;
    check(sd_event_default(&event), "sd_event_default");
    listen_at_bus(event, argv[2]);
    if (strcmp(argv[1], "-") != 0)
        listen_at_libvirt(argv[1], argv[2]);
    check(sd_event_add_io(event, NULL, STDIN_FILENO, EPOLLIN, on_input, event), "stdin");
    puts("ready");
    fflush(stdout);
    check(sd_event_loop(event), "sd_event_loop");
    print("libvirt", &at_libvirt);
    print("bus", &at_bus);
    return EXIT_SUCCESS;
}
