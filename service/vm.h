/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <stdint.h>

#include "service/qmp/stream.h"

typedef struct Source Source;
typedef struct Guest Guest;
typedef struct OvirtChannel OvirtChannel;
typedef struct GuestPoll GuestPoll;
typedef struct GuestLease GuestLease;

/* Caps on what one VM may publish, so that 1,000 VMs at the cap still fit into one bus message. */
#define VM_TEXT_BYTES_MAX 255
#define VM_DESCRIPTION_BYTES_MAX 1024
#define VM_GRAPHICS_MAX 8
#define VM_NICS_MAX 32
#define VM_CHANNELS_MAX 16

typedef enum VMState {
    VM_UNKNOWN,
    VM_RUNNING,
    VM_BLOCKED,
    VM_PAUSED,
    VM_SHUTTING_DOWN,
    VM_SHUT_OFF,
    VM_CRASHED,
    VM_PM_SUSPENDED,
    VM_STATE_COUNT
} VMState;

/* What of a VM changed, one bit for each published property. */
typedef enum VMChange {
    VM_CHANGED_NAME = 1 << 0,
    VM_CHANGED_TITLE = 1 << 1,
    VM_CHANGED_DESCRIPTION = 1 << 2,
    VM_CHANGED_STATE = 1 << 3,
    VM_CHANGED_STATE_REASON = 1 << 4,
    VM_CHANGED_STATE_SINCE = 1 << 5,
    VM_CHANGED_ID = 1 << 6,
    VM_CHANGED_PERSISTENT = 1 << 7,
    VM_CHANGED_AUTOSTART = 1 << 8,
    VM_CHANGED_VCPUS = 1 << 9,
    VM_CHANGED_MEMORY_MAXIMUM = 1 << 10,
    VM_CHANGED_MEMORY_ACTUAL = 1 << 11,
    VM_CHANGED_OS_ID = 1 << 12,
    VM_CHANGED_GRAPHICS = 1 << 13,
    VM_CHANGED_LAST_JOB = 1 << 14,
    VM_CHANGED_TRUNCATED = 1 << 15,
} VMChange;

/* One display server of a running VM. Ports are 0 and texts "" where there are none. */
typedef struct VMGraphics {
    char *type;    /* vnc, spice, ... */
    char *address; /* what it listens on */
    uint16_t port, tls_port, websocket;
    char *socket; /* path of a unix socket */
} VMGraphics;

/* A virtio-serial channel of the live definition. */
typedef struct VMChannel {
    char *name;
    char *path;     /* the socket on the host, or "" */
    bool connected; /* the guest has the port open */
} VMChannel;

/* What the definition (the domain XML) says; read as a whole and replaced as a whole. */
typedef struct VMDetails {
    char *title, *description, *os_id;
    GPtrArray *graphics; /* VMGraphics */
    GPtrArray *channels; /* VMChannel */
    GPtrArray *nics;     /* char *: MAC addresses, lower case */
    GPtrArray *networks; /* char *: libvirt networks its NICs are on */
    bool bridged;        /* a NIC is on a bridge of the host */
    bool managed_by_ovirt;
    bool has_balloon;
    unsigned stats_period; /* seconds; 0: the balloon reports nothing by itself */
    unsigned cut;          /* something is longer than its cap */
} VMDetails;

/* The figures that one bulk query gives of every VM. Negative or `known_` false: not told. */
typedef struct VMFigures {
    bool state_known; /* covers state, reason and id */
    VMState state;
    int reason; /* libvirt's number, which depends on the state */
    int id;
    bool memory_known, vcpus_known;
    uint64_t memory_maximum, memory_actual; /* bytes */
    unsigned vcpus;
    int persistent, autostart; /* -1: not told */
} VMFigures;

#define VM_FIGURES_UNKNOWN ((VMFigures){.state = VM_UNKNOWN, .id = -1, .persistent = -1, .autostart = -1})

/* One VM and all that is published of it. Only the loop's thread touches it. */
typedef struct VM {
    Source *source;
    char uuid[VIR_UUID_STRING_BUFLEN];
    char *name;
    VMState state;
    const char *state_reason; /* a word, static */
    uint64_t state_since;     /* µs since the epoch; 0: since before we looked */
    int id;                   /* the hypervisor's number, -1 when not running */
    bool persistent, autostart;
    unsigned vcpus;
    uint64_t memory_maximum, memory_actual; /* bytes */
    char *last_job_verb, *last_job_result, *last_job_message;
    unsigned name_cut;  /* the published name is not the whole one */
    VMDetails *details; /* never NULL */

    uint64_t heard; /* the source's serial when it was last heard of; a listing that was asked for before is stale */
    VMState left;     /* what a method of ours took it out of last, */
    uint64_t left_at; /* and when; 0: never */
    virDomainPtr domain; /* on the source's control connection; NULL while disconnected */

    unsigned changes;            /* VMChange bits that observers were not told yet */
    uint32_t guest_changes;      /* the same for `guest`, bits of guest.h */
    bool published;              /* observers know it */
    bool change_queued;          /* in the manager's list */
    void *face;                  /* the observer's own */
    Guest *guest;                /* what its inside says; never NULL */
    QMPStream qmp;               /* what of its QMP events was not sent */
    OvirtChannel *ovirt_channel; /* NULL: it has none, or none that is ours to open */
    GuestPoll *poll;        /* asks its qemu-ga; NULL while there was none */
    GuestLease *lease;      /* looks for its address on the host; NULL while nobody had to */
    uint64_t run_since;     /* µs since the epoch: what was said before is of an earlier run; 0: not known */
    unsigned agent_events;  /* how often libvirt told of its agent's channel */
    bool stats_period_set;  /* its balloon was told a period in this run */
} VM;

VM *vm_new(Source *source, const char *uuid, const char *name);
VM *vm_free(VM *vm);

/* The published words. */
const char *vm_state_name(VMState state);
VMState vm_state_from_libvirt(int state);
/* A word for libvirt's reason number in a state; "unknown" for what is newer than this table. */
const char *vm_reason_name(VMState state, int reason);

/* True when the VM has a process: then it has an id, an agent and graphics. */
bool vm_is_active(const VM *vm);
bool vm_truncated(const VM *vm);

/* Each takes over new values and notes what really changed. `now`: µs since the epoch, 0: not known since
 * when. */
void vm_set_name(VM *vm, const char *name);
void vm_set_state(VM *vm, VMState state, const char *reason, uint64_t now);
void vm_set_id(VM *vm, int id);
void vm_set_figures(VM *vm, const VMFigures *figures, uint64_t now);
void vm_set_memory_actual(VM *vm, uint64_t bytes);
void vm_set_reason(VM *vm, const char *reason);
void vm_set_domain(VM *vm, virDomainPtr domain);
/* Takes ownership. */
void vm_set_details(VM *vm, VMDetails *details);
void vm_set_last_job(VM *vm, const char *verb, const char *result, const char *message);
/* Notes a change; the manager tells the observers of all that came together. */
void vm_changed(VM *vm, unsigned changes);

VMDetails *vm_details_new(void);
VMDetails *vm_details_free(VMDetails *details);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VMDetails, vm_details_free)
/* Reads a domain's XML. Never fails: what can't be understood stays empty. Any thread. */
VMDetails *vm_details_parse(const char *xml);
bool vm_graphics_equal(const GPtrArray *a, const GPtrArray *b);
