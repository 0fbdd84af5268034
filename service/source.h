/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/config.h"
#include "service/inbox.h"
#include "service/vm.h"
#include "service/worker.h"

#include <libvirt/libvirt.h>
#include <stdatomic.h>

typedef struct Manager Manager;
typedef struct ConnectResult ConnectResult;
typedef struct QMPFeed QMPFeed;

/* libvirtd serves 5 requests of one client connection at a time, so the control connection has at most
 * 3 + 2 of them, and the one for agents and streams keeps 2 free for opening channels. */
#define CONTROL_THREADS 3
#define SLOW_THREADS 2 /* start and save: seconds to minutes */
#define AGENT_THREADS 3
#define CONTROL_PER_VM 2

/* What of a source changed. */
typedef enum SourceChange {
    SOURCE_CHANGED_CONNECTED = 1 << 0,
    SOURCE_CHANGED_SINCE = 1 << 1,
    SOURCE_CHANGED_LAST_ERROR = 1 << 2,
    SOURCE_CHANGED_VM_COUNT = 1 << 3,
    SOURCE_CHANGED_HOST = 1 << 4, /* type, host name, host UUID, versions */
} SourceChange;

/* What a source keeps for asking its VMs about their inside. */
typedef struct SourceGuests {
    GQueue suspects;           /* VM: those that wait for a suspect's place, see guest-poll.h */
    unsigned suspects_running; /* places that are taken */
    unsigned asked;            /* VMs whose agents are asked now and then */
    sd_event_source *balloons_timer;
    bool balloons_running; /* a reading of all balloons is under way */
    bool balloons_off;     /* the driver has no figures */
    bool arp_broken;       /* the host's ARP table can't be read */
} SourceGuests;

/* Threads and callbacks hold this instead of the source: the source may go while they run. Only the
 * loop looks through it. */
typedef struct SourceLink {
    atomic_uint references;
    Inbox *inbox;
    Source *source;        /* NULL when it is gone; the loop only */
    atomic_bool overflown; /* an event did not fit into the inbox: a re-read is due */
} SourceLink;

/* One hypervisor: a libvirt URI, its connections, its VMs. Only the loop's thread touches it. */
struct Source {
    Manager *manager;
    SourceConfig *config;
    SourceLink *link;
    bool local;

    /* Published. */
    char *public_uri;
    bool connected;
    uint64_t since; /* µs: of the present connected or disconnected state */
    char *type, *host_name, *host_uuid, *hypervisor_version, *library_version;
    char *last_error;
    GHashTable *vms; /* uuid -> VM */

    unsigned changes; /* SourceChange bits that observers were not told yet */
    bool settled;     /* the first try has ended */
    void *face;       /* the observer's own */

    /* The present connections; NULL while disconnected. */
    virConnectPtr control, agent;
    unsigned generation; /* grows with each try; what an older one still delivers is dropped */
    bool has_lifecycle_events;
    int callbacks[8];
    unsigned callback_count;
    int qmp_callback; /* -1: there is none */
    Lane *control_lane, *slow_lane, *agent_lane, *probe_lane;
    unsigned probes_out, probe_looks; /* see source-probe.h */

    bool connecting;
    unsigned attempt;
    sd_event_source *retry_timer, *try_deadline, *sweep_timer, *probe_timer;

    QMPFeed *qmp; /* NULL when there was no descriptor for it */
    bool has_qmp; /* the driver and the connection have QMP events; holds while disconnected */

    uint64_t serial;   /* grows with all that is heard of a VM; see VM.heard */
    GHashTable *early; /* uuids that events named before the listing they may be newer than was there */
    GHashTable *reads; /* uuid -> pending read, see source-read.c */
    GQueue *read_queue;
    unsigned reads_running;

    SourceGuests guests;
};

Source *source_new(Manager *manager, const SourceConfig *config);
/* Closes what is open, in threads of its own, without waiting. */
Source *source_free(Source *source);

/* Starts a try to connect, unless one is under way. */
void source_connect(Source *source);
/* Drops the connections if there are any and tries again at once. */
void source_reconnect(Source *source);

VM *source_find_vm(const Source *source, const char *uuid);
void source_changed(Source *source, unsigned changes);
void source_set_error(Source *source, const char *text);
/* Makes a VM known: from now on it is published. */
VM *source_add_vm(Source *source, const char *uuid, const char *name, const VMFigures *figures,
                  VMDetails *details);
void source_remove_vm(Source *source, VM *vm);
void source_drop_vms(Source *source);

SourceLink *source_link_ref(SourceLink *link);
SourceLink *source_link_unref(SourceLink *link);

/* What the connect thread brings; in the loop. */
void source_connected(Source *source, ConnectResult *result);
void source_connect_failed(Source *source, const char *message);
/* The connection broke. */
void source_disconnected(Source *source, const char *reason);
