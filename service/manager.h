/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/config.h"
#include "service/guest/guest.h"
#include "service/inbox.h"
#include "service/source.h"
#include "service/vm.h"

typedef struct Manager Manager;
typedef struct Power Power;

/* What of the manager itself changed. */
typedef enum ManagerChange {
    MANAGER_CHANGED_READY = 1 << 0,
    MANAGER_CHANGED_VM_COUNT = 1 << 1,
    MANAGER_CHANGED_SOURCES = 1 << 2,
} ManagerChange;

/* Who wants to know, as the bus face. The model includes none of its observers' headers. All functions
 * are called in the loop; each may be NULL. */
typedef struct ManagerObserver {
    void (*vm_added)(VM *vm, void *userdata);
    void (*vm_removed)(VM *vm, void *userdata); /* the VM is freed after it */
    void (*vm_changed)(VM *vm, unsigned changes, void *userdata);
    void (*guest_changed)(VM *vm, uint32_t changes, void *userdata);
    void (*guest_signal)(VM *vm, GuestSignal signal, const char *text, uint64_t number, void *userdata);
    void (*qmp_event)(VM *vm, const QMPEvent *event, void *userdata);
    void (*source_added)(Source *source, void *userdata);
    void (*source_removed)(Source *source, void *userdata);
    void (*source_changed)(Source *source, unsigned changes, void *userdata);
    void (*manager_changed)(Manager *manager, unsigned changes, void *userdata);
    void (*ready)(Manager *manager, void *userdata); /* once: the bus name may be taken */
} ManagerObserver;

/* The root of the model. */
struct Manager {
    sd_event *event;
    Inbox *inbox;
    Config *config;
    ConfigOrigin origin;
    GPtrArray *sources;  /* Source, in the order of the configuration */
    GPtrArray *consoles; /* Console, those that are open */
    Power *power;        /* shutdowns that are due later */
    unsigned vm_count;
    bool ready;     /* every local source was listed, or was tried in vain */
    bool announced; /* observers were told to go public */

    const ManagerObserver *observer;
    void *observer_userdata;

    GPtrArray *changed_vms; /* queued by manager_queue_change() */
    GPtrArray *changed_sources;
    unsigned changes;
    sd_event_source *flush_source; /* runs once after what the loop is doing now */
    sd_event_source *patience;     /* the end of the wait for slow local sources */
};

/* `origin` and its strings must outlive the manager. */
int manager_new(sd_event *event, const ConfigOrigin *origin, Manager **ret);
/* Lets all sources go, without waiting for what hangs in them; observers hear nothing of it. Afterwards the
 * threads end, and only then the manager may be freed. */
void manager_stop(Manager *manager);
Manager *manager_free(Manager *manager);
void manager_observe(Manager *manager, const ManagerObserver *observer, void *userdata);

/* Reads the configuration, creates its sources and lets them connect. */
void manager_start(Manager *manager);

/* Reads the configuration again. Sources that are the same keep their connection. With any problem in the
 * files nothing changes: returns -EINVAL and the problems as one text. */
int manager_reload(Manager *manager, char **ret_problems);

/* Lookups; NULL when there is none. */
Source *manager_find_source(const Manager *manager, const char *label);
/* By UUID or name; a UUID wins over a VM that is named like one. With `-ENOTUNIQ` two VMs have it, -ENOENT:
 * none. */
int manager_find_vm(const Manager *manager, const char *name_or_uuid, VM **ret);

/* For the model's parts: something changed, tell it soon, all at once. */
void manager_queue_change(Manager *manager, VM *vm);
void manager_queue_source(Manager *manager, Source *source);
void manager_changed(Manager *manager, unsigned changes);
void manager_vm_added(Manager *manager, VM *vm);
void manager_vm_removed(Manager *manager, VM *vm);
/* QEMU's monitor of this VM told something. */
void manager_qmp_event(Manager *manager, VM *vm, const QMPEvent *event);
/* A source was listed for the first time, or its first try failed. */
void manager_source_settled(Manager *manager);

/* Tells the observers now what is queued. A method's reply comes after this, so that it means "visible". */
void manager_flush(Manager *manager);

/* µs since the epoch. */
uint64_t manager_now(void);
