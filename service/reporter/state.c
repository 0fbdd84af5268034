/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "service/cleanup.h"

#define LOCK_FILE "state.lock"
#define NEW_FILE "state.json.new"
#define STATE_MODE 0600

static void host_record_free(void *data)
{
    HostRecord *host = data;

    g_free(host->id);
    g_free(host->system_uuid);
    g_free(host);
}

Delivery *delivery_new(const char *hash)
{
    Delivery *delivery = g_new0(Delivery, 1);

    g_strlcpy(delivery->hash, hash, sizeof delivery->hash);
    delivery->hosts = g_ptr_array_new_with_free_func(host_record_free);
    return delivery;
}

void delivery_add_host(Delivery *delivery, const char *id, const char *system_uuid)
{
    HostRecord *host = g_new0(HostRecord, 1);

    host->id = g_strdup(id);
    host->system_uuid = g_strdup(system_uuid);
    g_ptr_array_add(delivery->hosts, host);
}

void delivery_free(Delivery *delivery)
{
    if (!delivery)
        return;
    g_ptr_array_unref(delivery->hosts);
    g_free(delivery);
}

static GHashTable *delivery_table_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)delivery_free);
}

static DestinationRecord *destination_record_new(void)
{
    DestinationRecord *record = g_new0(DestinationRecord, 1);

    record->accepted = delivery_table_new();
    record->in_job = delivery_table_new();
    record->refusals = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return record;
}

static void destination_record_free(void *data)
{
    DestinationRecord *record = data;

    g_hash_table_unref(record->accepted);
    g_hash_table_unref(record->in_job);
    g_hash_table_unref(record->refusals);
    g_free(record->job_id);
    g_free(record->job_status);
    g_free(record->job_hash);
    g_free(record);
}

State *state_new(void)
{
    State *state = g_new0(State, 1);

    state->destinations = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, destination_record_free);
    state->sources = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    state->lock = -1;
    return state;
}

void state_free(State *state)
{
    if (!state)
        return;
    g_hash_table_unref(state->destinations);
    g_hash_table_unref(state->sources);
    if (state->lock >= 0)
        close(state->lock);
    g_free(state->directory);
    g_free(state);
}

DestinationRecord *state_get_destination(State *state, const char *name)
{
    DestinationRecord *record = g_hash_table_lookup(state->destinations, name);

    if (!record) {
        record = destination_record_new();
        g_hash_table_insert(state->destinations, g_strdup(name), record);
    }
    return record;
}

SourceRecord *state_get_source(State *state, const char *name)
{
    SourceRecord *record = g_hash_table_lookup(state->sources, name);

    if (!record) {
        record = g_new0(SourceRecord, 1);
        g_hash_table_insert(state->sources, g_strdup(name), record);
    }
    return record;
}

/* -EBADMSG for everything that is not a file of ours, so that it is put aside and not met again. */
static int read_text(int directory, char **ret_text, size_t *ret_size)
{
    _cleanup_(closep) int fd = -1;
    g_autofree char *text = NULL;
    struct stat st;
    size_t size = 0;
    ssize_t n;

    fd = openat(directory, STATE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ELOOP ? -EBADMSG : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size > STATE_SIZE_MAX)
        return -EBADMSG;
    text = g_malloc((gsize)st.st_size + 1);
    while (size < (size_t)st.st_size && (n = read(fd, text + size, (size_t)st.st_size - size)) != 0) {
        if (n < 0 && errno != EINTR)
            return -errno;
        size += n > 0 ? (size_t)n : 0;
    }
    text[size] = '\0';
    *ret_text = g_steal_pointer(&text);
    *ret_size = size;
    return 0;
}

static int load(State *state, int directory)
{
    g_autofree char *text = NULL;
    size_t size = 0;
    int r;

    r = read_text(directory, &text, &size);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    return state_parse(state, text, size);
}

/* What was half read before the damage showed is forgotten with the rest. */
static void forget_all(State *state)
{
    g_hash_table_remove_all(state->destinations);
    g_hash_table_remove_all(state->sources);
}

static int put_aside(const State *state, int directory, StateMessage tell, void *userdata)
{
    g_autofree char *message = NULL;

    if (renameat(directory, STATE_FILE, directory, STATE_FILE_DAMAGED) < 0)
        return -errno;
    message = g_strdup_printf("%s/" STATE_FILE " is damaged: it was moved to " STATE_FILE_DAMAGED
                              ", and everything will be reported once more",
                              state->directory);
    tell(LOG_WARNING, message, userdata);
    return 0;
}

/* Root may report once by hand in the directory of the service's user, who must be able to go on from there.
 */
static int hand_over(int fd, int directory)
{
    struct stat owner;

    if (geteuid() != 0)
        return 0;
    if (fstat(directory, &owner) < 0 || fchown(fd, owner.st_uid, owner.st_gid) < 0)
        return -errno;
    return 0;
}

int state_open(const char *directory, StateMessage tell, void *userdata, State **ret)
{
    g_autoptr(State) state = state_new();
    _cleanup_(closep) int fd = -1;
    int r;

    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    state->directory = g_strdup(directory);
    state->lock = openat(fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, STATE_MODE);
    if (state->lock < 0)
        return -errno;
    r = hand_over(state->lock, fd);
    if (r < 0)
        return r;
    if (flock(state->lock, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    r = load(state, fd);
    if (r == -EBADMSG) {
        forget_all(state);
        r = put_aside(state, fd, tell, userdata);
    }
    if (r < 0)
        return r;
    *ret = g_steal_pointer(&state);
    return 0;
}

State *state_read(const char *directory)
{
    State *state = state_new();
    _cleanup_(closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 && load(state, fd) < 0)
        forget_all(state);
    return state;
}

static int write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            text += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* The order is what makes it safe: the new file is complete on disk before it takes the old one's name, and
 * the directory is written last, so that a power cut shows one of the two. */
int state_save(const State *state)
{
    _cleanup_(closep) int directory = -1;
    _cleanup_(closep) int fd = -1;
    g_autofree char *text = NULL;
    int r;

    if (!state->directory)
        return 0;
    directory = open(state->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -errno;
    /* Left behind by a process that was killed here; the lock says that none is writing it now. */
    if (unlinkat(directory, NEW_FILE, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = openat(directory, NEW_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, STATE_MODE);
    if (fd < 0)
        return -errno;
    text = state_format(state);
    r = hand_over(fd, directory);
    if (r >= 0)
        r = write_all(fd, text, strlen(text));
    if (r < 0)
        return r;
    if (fsync(fd) < 0 || renameat(directory, NEW_FILE, directory, STATE_FILE) < 0 || fsync(directory) < 0)
        return -errno;
    return 0;
}
