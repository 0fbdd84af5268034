/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/schedule.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "service/cleanup.h"

#define NEW_FILE SCHEDULE_FILE ".new"

static const uint64_t second = 1000000;

struct Schedule {
    sd_event *event;
    char *folder;
    const ScheduleObserver *observer;
    void *userdata;
    GPtrArray *entries; /* of ScheduleEntry, few */
    sd_event_source *timer;
};

static uint64_t now_real(void)
{
    return (uint64_t)g_get_real_time();
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        length -= (size_t)n;
    }
    return 0;
}

static int save(const Schedule *schedule)
{
    g_autofree char *path = g_build_filename(schedule->folder, SCHEDULE_FILE, NULL);
    g_autofree char *new_path = g_build_filename(schedule->folder, NEW_FILE, NULL);
    g_autofree char *text = schedule_format(schedule->entries);
    _cleanup_(closep) int fd = -1;
    int r;

    fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    r = write_all(fd, text, strlen(text));
    if (r < 0)
        return r;
    return rename(new_path, path) < 0 ? -errno : 0;
}

/* Reads the file. A damaged one is put aside, so that it is not met again. */
static int load(Schedule *schedule)
{
    g_autofree char *path = g_build_filename(schedule->folder, SCHEDULE_FILE, NULL);
    g_autofree char *damaged = g_build_filename(schedule->folder, SCHEDULE_FILE_DAMAGED, NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    struct stat st;
    gsize length;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISREG(st.st_mode) && st.st_size <= SCHEDULE_FILE_MAX) {
        if (!g_file_get_contents(path, &text, &length, &error))
            return -EIO;
        if (schedule_parse(text, length, schedule->entries) == 0)
            return 0;
    }
    return rename(path, damaged) < 0 ? -errno : 1;
}

static ScheduleEntry *entry_find(const Schedule *schedule, const char *source, const char *uuid)
{
    for (unsigned i = 0; i < schedule->entries->len; i++) {
        ScheduleEntry *entry = schedule->entries->pdata[i];

        if (strcmp(entry->uuid, uuid) == 0 && strcmp(entry->source, source) == 0)
            return entry;
    }
    return NULL;
}

static void entry_drop(Schedule *schedule, ScheduleEntry *entry)
{
    g_ptr_array_remove(schedule->entries, entry);
    schedule->observer->removed(schedule, entry, schedule->userdata);
    schedule_entry_free(entry);
}

/* Waits for the next entry; for those that are overdue not before `retry`. */
static void timer_arm(Schedule *schedule, uint64_t retry)
{
    uint64_t next = UINT64_MAX, now = now_real();

    for (unsigned i = 0; i < schedule->entries->len; i++) {
        const ScheduleEntry *entry = schedule->entries->pdata[i];

        next = MIN(next, entry->time > now ? entry->time : retry);
    }
    if (next == UINT64_MAX) {
        (void)sd_event_source_set_enabled(schedule->timer, SD_EVENT_OFF);
        return;
    }
    (void)sd_event_source_set_time(schedule->timer, next);
    (void)sd_event_source_set_enabled(schedule->timer, SD_EVENT_ONESHOT);
}

/* Whether an entry is over. The observer may change the schedule meanwhile. */
static bool entry_run(Schedule *schedule, const ScheduleEntry *entry, uint64_t now)
{
    const ScheduleObserver *observer = schedule->observer;

    if (observer->due(schedule, entry, schedule->userdata))
        return true;
    if (now - entry->time <= SCHEDULE_LATE_SECONDS * second)
        return false;
    observer->expired(schedule, entry, schedule->userdata);
    return true;
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Schedule *schedule = userdata;
    g_autoptr(GPtrArray) due = g_ptr_array_new_with_free_func((GDestroyNotify)schedule_entry_free);
    uint64_t now = now_real();
    bool any = false;

    for (unsigned i = 0; i < schedule->entries->len; i++) {
        const ScheduleEntry *entry = schedule->entries->pdata[i];

        if (entry->time <= now)
            g_ptr_array_add(due, schedule_entry_copy(entry));
    }
    for (unsigned i = 0; i < due->len; i++) {
        const ScheduleEntry *copy = due->pdata[i];
        ScheduleEntry *entry;
        bool over = entry_run(schedule, copy, now);

        entry = entry_find(schedule, copy->source, copy->uuid);
        if (!over || !entry)
            continue;
        entry_drop(schedule, entry);
        any = true;
    }
    /* A file that still has what was done is harmless: the run that it was for is over soon. */
    if (any)
        (void)save(schedule);
    timer_arm(schedule, now + SCHEDULE_RETRY_SECONDS * second);
    return 0;
}

int schedule_new(sd_event *event, const char *folder, const ScheduleObserver *observer, void *userdata,
                 Schedule **ret)
{
    g_autoptr(Schedule) schedule = g_new0(Schedule, 1);
    int r, loaded;

    schedule->event = sd_event_ref(event);
    schedule->folder = g_strdup(folder);
    schedule->observer = observer;
    schedule->userdata = userdata;
    schedule->entries = g_ptr_array_new();
    r = sd_event_add_time(event, &schedule->timer, CLOCK_REALTIME, 0, second, on_timer, schedule);
    if (r < 0)
        return r;
    loaded = load(schedule);
    timer_arm(schedule, 0);
    *ret = g_steal_pointer(&schedule);
    return loaded;
}

void schedule_free(Schedule *schedule)
{
    if (!schedule)
        return;
    sd_event_source_disable_unref(schedule->timer);
    sd_event_unref(schedule->event);
    for (unsigned i = 0; i < schedule->entries->len; i++)
        schedule_entry_free(schedule->entries->pdata[i]);
    g_ptr_array_unref(schedule->entries);
    g_free(schedule->folder);
    g_free(schedule);
}

const ScheduleEntry *schedule_find(const Schedule *schedule, const char *source, const char *uuid)
{
    return entry_find(schedule, source, uuid);
}

int schedule_add(Schedule *schedule, const ScheduleEntry *entry)
{
    ScheduleEntry *copy;
    int r;

    if (entry_find(schedule, entry->source, entry->uuid))
        return -EBUSY;
    if (schedule->entries->len >= SCHEDULE_ENTRIES_MAX)
        return -ENOSPC;
    copy = schedule_entry_copy(entry);
    g_ptr_array_add(schedule->entries, copy);
    r = save(schedule);
    if (r < 0) {
        g_ptr_array_remove(schedule->entries, copy);
        schedule_entry_free(copy);
        return r;
    }
    timer_arm(schedule, 0);
    return 0;
}

int schedule_remove(Schedule *schedule, const char *source, const char *uuid)
{
    ScheduleEntry *entry = entry_find(schedule, source, uuid);
    int r;

    if (!entry)
        return -ENOENT;
    entry_drop(schedule, entry);
    r = save(schedule);
    timer_arm(schedule, 0);
    return r;
}
