/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <glib.h>

/* Which guest runs on which host, as one source saw it at one moment. What a source collected is never
 * changed afterwards except by association_filter(); it may be shared by reference between threads. All text
 * belongs to the association. */

/* libvirt's numbers for the state of a guest, which are also those of the reports. */
typedef enum GuestState {
    GUEST_UNKNOWN = 0,
    GUEST_RUNNING = 1,
    GUEST_BLOCKED = 2,
    GUEST_PAUSED = 3,
    GUEST_SHUTTING_DOWN = 4,
    GUEST_SHUT_OFF = 5,
    GUEST_CRASHED = 6,
    GUEST_PM_SUSPENDED = 7,
} GuestState;

typedef struct AssociationGuest {
    const char *uuid;
    const char *type; /* virtWhoType: "libvirt", "fake", ... */
    int state;        /* a GuestState; the fake source may carry other numbers */
} AssociationGuest;

typedef struct AssociationFact {
    const char *name;
    const char *json; /* the value as JSON text; a string has its quotes */
} AssociationFact;

typedef struct AssociationHost {
    const char *id;   /* hypervisorId; NULL in a guest list that has none */
    const char *name; /* NULL when unknown: the key is left out */
    GArray *guests;   /* of AssociationGuest */
    GArray *facts;    /* of AssociationFact, in the order in which they are printed */
} AssociationHost;

typedef enum AssociationKind {
    ASSOCIATION_HOSTS,      /* any number of hosts: the hypervisor check-in */
    ASSOCIATION_GUEST_LIST, /* the guests of this very host, in hosts[0]: PUT /consumers/{uuid} */
} AssociationKind;

typedef struct Association {
    AssociationKind kind;
    GPtrArray *hosts; /* of AssociationHost */
    GStringChunk *text;
    unsigned references;
} Association;

/* An empty association with one reference. A guest list gets its one host at once. */
Association *association_new(AssociationKind kind);
Association *association_ref(Association *association);
void association_unref(Association *association);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Association, association_unref)

/* Adds a host. The id must be set in the kind ASSOCIATION_HOSTS; the name may be NULL or empty (= unknown).
 */
AssociationHost *association_add_host(Association *association, const char *id, const char *name);
/* Sets id and name of a host, as a guest list needs it; NULL: unknown. */
void association_set_host(Association *association, AssociationHost *host, const char *id, const char *name);
/* Adds a guest to a host of this association. The type is kept once for all guests. */
void association_add_guest(Association *association, AssociationHost *host, const char *uuid,
                           const char *type, int state);
/* Adds a fact whose value is a string, or JSON text taken as it is. A value that is NULL becomes the JSON
 * null. */
void association_add_fact(Association *association, AssociationHost *host, const char *name,
                          const char *value);
void association_add_fact_json(Association *association, AssociationHost *host, const char *name,
                               const char *json);

/* True for the states that count as active in a report: running and paused. */
bool association_state_active(int state);
unsigned association_count_hosts(const Association *association);
unsigned association_count_guests(const Association *association);

/* Sorts hosts by id and guests by UUID and keeps facts as they are. For sources whose hypervisor answers in
 * an order that means nothing; one that reads a file keeps the file's. */
void association_sort(Association *association);
void association_sort_guests(GArray *guests);
/* The order of hosts, for qsort() of pointers to them. */
int association_compare_hosts(const void *left, const void *right);

/* Size of the text of a hash with its final zero. */
#define ASSOCIATION_HASH_SIZE 65

/* SHA-256 (lower-case hex) of the canonical JSON of several associations that are reported together. Equal
 * content in another order has the same hash. */
void association_hash(Association *const *associations, size_t count, char ret_hash[ASSOCIATION_HASH_SIZE]);

/* Writes exactly what `virt-who -p` prints for these associations, one after the other, with the final
 * newline. */
void association_write_print(Association *const *associations, size_t count, FILE *stream);

/* The body of POST /hypervisors/{owner}: compact JSON, with facts and attributes as strings as Candlepin's
 * schema has them. Hosts that several associations name are sent once, the last one wins as it would in
 * Candlepin; guest lists are skipped. The caller frees the text; *ret_size may be NULL. */
char *association_check_in_body(Association *const *associations, size_t count, size_t *ret_size);

/* The body of PUT /consumers/{uuid} for a guest list. With plain set, guestIds is a list of strings, which is
 * what a server without the resource "guestids" takes. The caller frees the text; *ret_size may be NULL. */
char *association_guest_list_body(const Association *association, bool plain, size_t *ret_size);
