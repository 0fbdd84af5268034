/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/console.h"

#include "service/cleanup.h"
#include "service/log.h"
#include "service/manager.h"
#include "service/thread.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <sys/socket.h>

/* A side that has ended says so again and again: with a full buffer before it, nobody would take that away.
 */
#define ENDED_STREAM (VIR_STREAM_EVENT_HANGUP | VIR_STREAM_EVENT_ERROR)
#define ENDED_SOCKET (VIR_EVENT_HANDLE_HANGUP | VIR_EVENT_HANDLE_ERROR)

/* What came from one side and has not gone to the other yet. */
typedef struct Buffer {
    char bytes[CONSOLE_BUFFER_BYTES];
    size_t start, end;
} Buffer;

struct Console {
    InboxItem ended; /* posted once, when all is over; the loop then gives the place back */
    Inbox *inbox;
    Manager *manager; /* the loop only */
    char uuid[VIR_UUID_STRING_BUFLEN];
    uid_t user;

    /* The pump. Its callbacks run in libvirt's thread; the lock keeps them out until the worker has set all
     * up. */
    pthread_mutex_t lock;
    virStreamPtr stream;
    int fd;    /* our end of the socket pair, -1 when it is closed */
    int watch; /* libvirt's handle for it */
    bool over; /* both sides are being let go */
    Buffer *to_client, *to_device;
};

static void ended_run(InboxItem *item)
{
    Console *console = (Console *)item;

    g_ptr_array_remove(console->manager->consoles, console);
}

static void ended_free(InboxItem *item)
{
    Console *console = (Console *)item;

    inbox_unref(console->inbox);
    pthread_mutex_destroy(&console->lock);
    g_free(console->to_client);
    g_free(console->to_device);
    g_free(console);
}

static unsigned count_of_vm(const GPtrArray *consoles, const char *uuid)
{
    unsigned count = 0;

    for (guint i = 0; i < consoles->len; i++)
        count += g_str_equal(((Console *)consoles->pdata[i])->uuid, uuid);
    return count;
}

static unsigned count_of_user(const GPtrArray *consoles, uid_t user)
{
    unsigned count = 0;

    for (guint i = 0; i < consoles->len; i++)
        count += ((Console *)consoles->pdata[i])->user == user;
    return count;
}

Console *console_reserve(Manager *manager, const VM *vm, uid_t user, Failure *failure)
{
    Console *console;

    if (count_of_vm(manager->consoles, vm->uuid) >= CONSOLES_PER_VM_MAX) {
        failure_set(failure, FAILURE_BUSY, "%s: %d of its consoles are open already", vm->name,
                    CONSOLES_PER_VM_MAX);
        return NULL;
    }
    if (count_of_user(manager->consoles, user) >= CONSOLES_PER_USER_MAX) {
        failure_set(failure, FAILURE_BUSY, "%s: you have %d consoles open already", vm->name,
                    CONSOLES_PER_USER_MAX);
        return NULL;
    }
    console = g_new0(Console, 1);
    console->ended.run = ended_run;
    console->ended.free = ended_free;
    console->inbox = inbox_ref(manager->inbox);
    console->manager = manager;
    g_strlcpy(console->uuid, vm->uuid, sizeof console->uuid);
    console->user = user;
    console->fd = -1;
    pthread_mutex_init(&console->lock, NULL);
    g_ptr_array_add(manager->consoles, console);
    return console;
}

void console_release(Console *console)
{
    inbox_post(console->inbox, &console->ended);
}

/* Ending a stream asks libvirtd, which may hang; libvirt's thread, which would notice, must not be the one
 * that waits. */
static void *let_stream_go(void *userdata)
{
    virStreamPtr stream = userdata;

    virStreamAbort(stream);
    virStreamFree(stream);
    return NULL;
}

/* Either side has ended. With the lock held; the memory goes when libvirt lets the handle go, in
 * on_handle_freed(). */
static void end(Console *console)
{
    virStreamPtr stream = console->stream;

    if (console->over)
        return;
    console->over = true;
    (void)virStreamEventRemoveCallback(stream);
    if (thread_start(let_stream_go, stream) < 0)
        log_error("A console's stream stays open: no thread to close it");
    (void)virEventRemoveHandle(console->watch);
    close(console->fd);
    console->fd = -1;
}

/* libvirt calls this once, in its thread, after the last callback of the handle. */
static void on_handle_freed(void *userdata)
{
    console_release(userdata);
}

static size_t room(const Buffer *buffer)
{
    return sizeof buffer->bytes - buffer->end;
}

static size_t filled(const Buffer *buffer)
{
    return buffer->end - buffer->start;
}

static void consume(Buffer *buffer, size_t count)
{
    buffer->start += count;
    if (buffer->start == buffer->end)
        buffer->start = buffer->end = 0;
}

/* Each side is watched for what can be done with it just now. */
static void watch_again(Console *console)
{
    int stream_events = 0, socket_events = VIR_EVENT_HANDLE_HANGUP | VIR_EVENT_HANDLE_ERROR;

    if (room(console->to_client) > 0)
        stream_events |= VIR_STREAM_EVENT_READABLE;
    if (filled(console->to_device) > 0)
        stream_events |= VIR_STREAM_EVENT_WRITABLE;
    if (room(console->to_device) > 0)
        socket_events |= VIR_EVENT_HANDLE_READABLE;
    if (filled(console->to_client) > 0)
        socket_events |= VIR_EVENT_HANDLE_WRITABLE;
    (void)virStreamEventUpdateCallback(console->stream, stream_events);
    virEventUpdateHandle(console->watch, socket_events);
}

/* Moves what there is, both ways, without waiting. Returns false when a side has ended. */
static bool from_stream(Console *console)
{
    Buffer *buffer = console->to_client;
    int count;

    if (room(buffer) == 0)
        return true;
    count = virStreamRecv(console->stream, buffer->bytes + buffer->end, room(buffer));
    if (count > 0)
        buffer->end += (size_t)count;
    return count > 0 || count == -2; /* -2: nothing there now */
}

static bool to_socket(Console *console)
{
    Buffer *buffer = console->to_client;
    ssize_t count;

    if (filled(buffer) == 0)
        return true;
    count = send(console->fd, buffer->bytes + buffer->start, filled(buffer), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count > 0)
        consume(buffer, (size_t)count);
    return count > 0 || errno == EAGAIN || errno == EINTR;
}

static bool from_socket(Console *console)
{
    Buffer *buffer = console->to_device;
    ssize_t count;

    if (room(buffer) == 0)
        return true;
    count = recv(console->fd, buffer->bytes + buffer->end, room(buffer), MSG_DONTWAIT);
    if (count > 0)
        buffer->end += (size_t)count;
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool to_stream(Console *console)
{
    Buffer *buffer = console->to_device;
    int count;

    if (filled(buffer) == 0)
        return true;
    count = virStreamSend(console->stream, buffer->bytes + buffer->start, filled(buffer));
    if (count > 0)
        consume(buffer, (size_t)count);
    return count >= 0 || count == -2;
}

static void on_stream(virStreamPtr stream, int events, void *userdata)
{
    Console *console = userdata;
    bool alive = true;

    pthread_mutex_lock(&console->lock);
    if (!console->over) {
        if (events & (VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_HANGUP | VIR_STREAM_EVENT_ERROR))
            alive = from_stream(console) && !(events & ENDED_STREAM && room(console->to_client) == 0);
        alive = to_socket(console) && alive;
        if (events & VIR_STREAM_EVENT_WRITABLE)
            alive = alive && to_stream(console);
        if (alive)
            watch_again(console);
        else
            end(console);
    }
    pthread_mutex_unlock(&console->lock);
}

static void on_socket(int watch, int fd, int events, void *userdata)
{
    Console *console = userdata;
    bool alive = true;

    pthread_mutex_lock(&console->lock);
    if (!console->over) {
        if (events & (VIR_EVENT_HANDLE_READABLE | ENDED_SOCKET))
            alive = from_socket(console) && !(events & ENDED_SOCKET && room(console->to_device) == 0);
        alive = alive && to_stream(console);
        if (events & VIR_EVENT_HANDLE_WRITABLE)
            alive = alive && to_socket(console);
        if (alive)
            watch_again(console);
        else
            end(console);
    }
    pthread_mutex_unlock(&console->lock);
}

/* Watches both sides. The lock is held: what happens at once waits until all is in place. After a failure
 * console->watch tells whether the handle is there, whose removal then gives the place back. */
static int watch_both(Console *console)
{
    console->to_client = g_new0(Buffer, 1);
    console->to_device = g_new0(Buffer, 1);
    console->watch =
        virEventAddHandle(console->fd, VIR_EVENT_HANDLE_READABLE, on_socket, console, on_handle_freed);
    if (console->watch < 0)
        return -1;
    return virStreamEventAddCallback(console->stream, VIR_STREAM_EVENT_READABLE, on_stream, console, NULL);
}

/* libvirt has no code of its own for "somebody else has it open": it is the general one for a failed
 * operation. */
static void explain(const char *name, Failure *failure)
{
    int code = virGetLastErrorCode();

    if (code == VIR_ERR_OPERATION_FAILED)
        failure_set(failure, FAILURE_BUSY, "%s: its console is open elsewhere; option force closes that",
                    name);
    else if (code == VIR_ERR_OPERATION_INVALID)
        failure_set(failure, FAILURE_NOT_RUNNING, "%s does not run, so it has no console", name);
    else if (code == VIR_ERR_INTERNAL_ERROR) /* "cannot find character device" */
        failure_set(failure, FAILURE_INVALID_ARGUMENT, "%s: %s", name, libvirt_error_text());
    else
        failure_set_libvirt(failure, name);
}

/* The failure is taken before the stream is let go, which forgets libvirt's error. */
static virStreamPtr open_stream(virDomainPtr domain, const char *device, bool force, const char *name,
                                Failure *failure)
{
    virStreamPtr stream = virStreamNew(virDomainGetConnect(domain), VIR_STREAM_NONBLOCK);

    if (stream && virDomainOpenConsole(domain, *device ? device : NULL, stream,
                                       force ? VIR_DOMAIN_CONSOLE_FORCE : 0) == 0)
        return stream;
    explain(name, failure);
    if (stream)
        virStreamFree(stream);
    return NULL;
}

int console_start(Console *console, virDomainPtr domain, const char *device, bool force, const char *name,
                  Failure *failure)
{
    int pair[2], watch, r;
    virStreamPtr stream;

    console->stream = open_stream(domain, device, force, name, failure);
    if (!console->stream) {
        console_release(console);
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        failure_set(failure, FAILURE_HYPERVISOR, "%s: no socket for its console: %s", name,
                    g_strerror(errno));
        let_stream_go(console->stream);
        console_release(console);
        return -1;
    }
    console->fd = pair[0];
    pthread_mutex_lock(&console->lock);
    r = watch_both(console);
    stream = console->stream;
    watch = console->watch;
    console->over = r < 0;
    pthread_mutex_unlock(&console->lock);
    if (r >= 0)
        return pair[1];
    failure_set(failure, FAILURE_HYPERVISOR, "%s: its console can't be watched", name);
    /* Either frees the console, at once: it is not touched after this. */
    if (watch < 0)
        console_release(console);
    else
        (void)virEventRemoveHandle(watch);
    let_stream_go(stream);
    close(pair[0]);
    close(pair[1]);
    return -1;
}
