/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The authorization gate behind the smallest service that can be asked through it: what a call did is
 * counted, and the gate's own books can be read. test_gate.py drives it. Object names are the VMs' names,
 * with sd_bus_path_encode. */
#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "polkit/authorize.h"
#include "service/cleanup.h"

#define PREFIX "/org/guestbus1/vm/local"

typedef struct Service {
    Authority *authority;
    uint32_t acted;
    uint32_t runs;
    char suffix[32]; /* of every VM's name: Rename changes it */
    bool forgotten;  /* no VM is known any more */
} Service;

/* The five steps of every handler that acts, with counting as the act. */
static int act(Service *s, sd_bus_message *m, const char *verb, sd_bus_error *error)
{
    g_autofree char *name = NULL; /* glibc's allocator is GLib's */
    char full[512];
    int r;

    s->runs++;
    r = sd_bus_path_decode(sd_bus_message_get_path(m), PREFIX, &name);
    if (r < 0)
        return r;
    snprintf(full, sizeof full, "%s%s", name, s->suffix);
    r = authority_check(
        s->authority, m,
        &(AuthorityDetails){
            .name = full, .uuid = "3c1c3a4e-6ffd-4d8b-9f6b-1b2f3e2d5a10", .source = "local", .verb = verb},
        error);
    if (r <= 0)
        return r < 0 ? r : 1;
    return sd_bus_reply_method_return(m, "u", ++s->acted);
}

static int start(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(userdata, m, "start", error);
}

static int force_off(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(userdata, m, "force-off", error);
}

static int frobnicate(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    return act(userdata, m, "frobnicate", error);
}

static int books(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Service *s = userdata;

    return sd_bus_reply_method_return(m, "uuu", authority_pending(s->authority), s->runs, s->acted);
}

static int rename_all(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Service *s = userdata;
    const char *suffix;
    int r = sd_bus_message_read(m, "s", &suffix);

    if (r < 0)
        return r;
    snprintf(s->suffix, sizeof s->suffix, "%s", suffix);
    return sd_bus_reply_method_return(m, NULL);
}

static int forget(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Service *s = userdata;
    int forgotten, r = sd_bus_message_read(m, "b", &forgotten);

    if (r < 0)
        return r;
    s->forgotten = forgotten;
    return sd_bus_reply_method_return(m, NULL);
}

static int emit(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const char *interface, *member;
    int r = sd_bus_message_read(m, "ss", &interface, &member);

    if (r >= 0)
        r = sd_bus_emit_signal(sd_bus_message_get_bus(m), "/org/guestbus1", interface, member, NULL);
    return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int find_vm(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                   sd_bus_error *error)
{
    Service *s = userdata;

    if (s->forgotten)
        return 0;
    *ret = s;
    return 1;
}

static const sd_bus_vtable vm_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Start", NULL, "u", start, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("ForceOff", NULL, "u", force_off, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Frobnicate", NULL, "u", frobnicate, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Books", NULL, "uuu", books, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Emit", "ss", NULL, emit, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Rename", "s", NULL, rename_all, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Forget", "b", NULL, forget, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static int end(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int serve(Service *s)
{
    _cleanup_(sd_event_unrefp) sd_event *event = NULL;
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    sigset_t signals;
    int r;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    r = sd_event_new(&event);
    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGTERM, end, NULL);
    if (r >= 0)
        r = sd_bus_open_system(&bus);
    if (r >= 0)
        r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = authority_new(bus, &s->authority);
    if (r >= 0)
        r = sd_bus_add_fallback_vtable(bus, NULL, PREFIX, "org.guestbus1.VM", vm_vtable, find_vm, s);
    if (r >= 0)
        r = sd_bus_add_object_vtable(bus, NULL, "/org/guestbus1", "org.guestbus1.Manager", manager_vtable, s);
    if (r >= 0)
        r = sd_bus_request_name(bus, "org.guestbus1", 0);
    if (r >= 0)
        r = sd_event_loop(event);
    s->authority = authority_free(s->authority);
    return r;
}

int main(void)
{
    Service service = {0};
    int r = serve(&service);

    if (r < 0)
        fprintf(stderr, "gate-service: %s\n", strerror(-r));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
