/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

#include "service/reporter/association.h"

/* What the reporter remembers across restarts: what each server accepted last, the job that is not over, and
 * the figures that status shows. One JSON file, replaced as a whole; one process at a time may write it.
 * Nothing in it is secret, but it names hosts: mode 0600. Times are microseconds since the epoch, 0 = never.
 */

#define STATE_FILE "state.json"
/* A damaged file is moved to this name, the one before it is lost. */
#define STATE_FILE_DAMAGED "state.json.damaged"
/* 15,000 hosts take about 2 MiB. */
#define STATE_SIZE_MAX (64u * 1024 * 1024)

/* A host as a report named it; the system's UUID is by what a server knows it again under another id. */
typedef struct HostRecord {
    char *id;
    char *system_uuid; /* or NULL */
} HostRecord;

/* One source's part of a report. */
typedef struct Delivery {
    char hash[ASSOCIATION_HASH_SIZE];
    GPtrArray *hosts; /* of HostRecord */
} Delivery;

/* A report that the server took and could not use: not tried again before `until`, unless it changes. */
typedef struct Refusal {
    char hash[ASSOCIATION_HASH_SIZE];
    unsigned times;
    uint64_t until;
} Refusal;

typedef struct DestinationRecord {
    GHashTable *accepted; /* source name -> Delivery */
    GHashTable *in_job;   /* the same, of the open job; empty when there is none */
    GHashTable *refusals; /* source name, "" for a report of many -> Refusal */
    char *job_id;         /* of the last check-in, NULL when there was none */
    char *job_status;     /* CREATED, RUNNING, FINISHED, FAILED, CANCELED, UNKNOWN, or NULL */
    bool job_open;        /* not known to be over: to be followed up */
    char *job_hash;       /* of the whole report that the open job is about */
    uint64_t job_since;
    uint64_t last_send; /* of what the server accepted */
} DestinationRecord;

typedef struct SourceRecord {
    uint64_t last_retrieve;
    bool counted; /* a guest list has no hosts to count */
    unsigned hypervisors;
    unsigned guests;
} SourceRecord;

typedef struct State {
    GHashTable *destinations; /* Destination.name -> DestinationRecord */
    GHashTable *sources;      /* Mapping.name -> SourceRecord */
    char *directory;          /* NULL: kept in memory only */
    int lock;                 /* held while we may write; -1 else */
} State;

/* Says one thing for the log; priority as in syslog. */
typedef void (*StateMessage)(int priority, const char *message, void *userdata);

/* Opens the state in `directory` for reading and writing, and reads it. A damaged file is put aside with a
 * warning. -EBUSY: another process has it; -errno: the directory cannot be used. */
int state_open(const char *directory, StateMessage tell, void *userdata, State **ret);
/* Reads the state without writing or locking anything: empty when there is none or it is damaged. */
State *state_read(const char *directory);
/* A state that is never written. */
State *state_new(void);
void state_free(State *state);

/* Writes everything; a reader, and a process killed in between, see the old file or the new one. */
int state_save(const State *state);

/* Never NULL: a record is made when there is none. */
DestinationRecord *state_get_destination(State *state, const char *name);
SourceRecord *state_get_source(State *state, const char *name);

Delivery *delivery_new(const char *hash);
void delivery_add_host(Delivery *delivery, const char *id, const char *system_uuid);
void delivery_free(Delivery *delivery);

/* The file's text, and back: -EBADMSG when any of it is not as state_format() writes it. */
char *state_format(const State *state);
int state_parse(State *state, const char *text, size_t size);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(State, state_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Delivery, delivery_free)
