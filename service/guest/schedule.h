/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* Shutdowns and reboots of guests that are due later. No agent can cancel one, so the service keeps the delay
 * itself, and on disk, because it may be restarted meanwhile. One file, replaced as a whole; it is not
 * synced: what loses unwritten pages is a crash of the host, which ends its guests as well. */

#define SCHEDULE_FILE "scheduled-shutdowns.json"
/* A damaged file is moved to this name; the one before it is lost. */
#define SCHEDULE_FILE_DAMAGED "scheduled-shutdowns.json.damaged"

enum {
    SCHEDULE_ENTRIES_MAX = 4096,
    SCHEDULE_MESSAGE_MAX = 1024, /* bytes */
    SCHEDULE_FILE_MAX = 16 * 1024 * 1024,
    SCHEDULE_RETRY_SECONDS = 10,  /* while the VM's source is not connected */
    SCHEDULE_LATE_SECONDS = 3600, /* what is overdue by more is given up: the guest may be another by now */
};

typedef struct ScheduleEntry {
    char *source; /* label */
    char *uuid;
    int run;          /* the hypervisor's number of this run of the VM: a later run was not meant */
    const char *verb; /* "shutdown" or "reboot", static */
    uint64_t time;    /* microseconds since the epoch */
    char *message;    /* for the people inside, or "" */
} ScheduleEntry;

typedef struct Schedule Schedule;

typedef struct ScheduleObserver {
    /* It is time. Returns false when it cannot be done now and is to be tried again. */
    bool (*due)(Schedule *schedule, const ScheduleEntry *entry, void *userdata);
    /* Overdue for too long: it will not be done. */
    void (*expired)(Schedule *schedule, const ScheduleEntry *entry, void *userdata);
    /* The entry is about to go, for whatever reason. */
    void (*removed)(Schedule *schedule, const ScheduleEntry *entry, void *userdata);
} ScheduleObserver;

/* Reads what is on disk in `folder`, which must exist. `observer` must outlive it. Returns 0, 1 when a
 * damaged file was put aside, or a negative errno when the file cannot be read; the schedule works in memory
 * then. */
int schedule_new(sd_event *event, const char *folder, const ScheduleObserver *observer, void *userdata,
                 Schedule **ret);
void schedule_free(Schedule *schedule);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Schedule, schedule_free)

/* The entry of a VM, or NULL. */
const ScheduleEntry *schedule_find(const Schedule *schedule, const char *source, const char *uuid);

/* Adds what is to be done (copied; `verb` one of the two words). Nothing is promised that is not on disk:
 * -EBUSY when the VM has one already, -ENOSPC above the cap, or why the file could not be written. */
int schedule_add(Schedule *schedule, const ScheduleEntry *entry);

/* Removes a VM's entry. Returns 0, -ENOENT, or why the file could not be written (it is removed all the
 * same). */
int schedule_remove(Schedule *schedule, const char *source, const char *uuid);

void schedule_entry_free(ScheduleEntry *entry);
ScheduleEntry *schedule_entry_copy(const ScheduleEntry *entry);

/* The file's text, and back: -EBADMSG when any of it is not as schedule_format() writes it. */
char *schedule_format(const GPtrArray *entries);
int schedule_parse(const char *text, size_t length, GPtrArray *entries);
