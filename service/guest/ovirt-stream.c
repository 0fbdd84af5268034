/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/ovirt-stream.h"

#include "service/error.h"
#include "service/thread.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    READ_SIZE = 32 * 1024, /* libvirt hands out no more at once */
    READS_PER_WAKEUP = 4,  /* then other streams and events have their turn */
};

struct OvirtStream {
    InboxItem item;         /* first; posted at most once at a time, see `posted` */
    atomic_uint references; /* the loop's, and the inbox's while it is posted */
    Inbox *inbox;
    virStreamPtr stream;
    virConnectPtr connection; /* the stream's, which holds it */

    /* The loop's. */
    OvirtStreamNews news; /* NULL: detached */
    void *userdata;
    size_t carried; /* bytes queued for the guest so far */

    OvirtCommand *writing; /* libvirt's thread's: partly sent */

    pthread_mutex_t lock; /* guards all below; held for moments, never across a libvirt call */
    bool posted;
    GString *incoming;
    bool gap, ended;
    bool watching_writable;
    GQueue outgoing; /* of OvirtCommand */
    size_t outgoing_bytes;
    unsigned sent;
    bool left; /* libvirt's thread is not in on_event() any more */
    pthread_cond_t left_cond;
};

static void stream_unref(OvirtStream *stream)
{
    OvirtCommand *command;

    if (atomic_fetch_sub(&stream->references, 1) != 1)
        return;
    ovirt_command_free(stream->writing);
    while ((command = g_queue_pop_head(&stream->outgoing)))
        ovirt_command_free(command);
    if (stream->incoming)
        g_string_free(stream->incoming, TRUE);
    pthread_cond_destroy(&stream->left_cond);
    pthread_mutex_destroy(&stream->lock);
    inbox_unref(stream->inbox);
    g_free(stream);
}

/* In the loop. */
static void on_posted(InboxItem *item)
{
    OvirtStream *stream = (OvirtStream *)item;

    pthread_mutex_lock(&stream->lock);
    stream->posted = false;
    pthread_mutex_unlock(&stream->lock);
    if (stream->news)
        stream->news(stream, stream->userdata);
}

static void on_posted_free(InboxItem *item)
{
    stream_unref((OvirtStream *)item);
}

/* One item a stream waits in the inbox however much came: the flood of one guest takes one turn in each
 * round. */
static void post(OvirtStream *stream)
{
    bool already;

    pthread_mutex_lock(&stream->lock);
    already = stream->posted;
    stream->posted = true;
    pthread_mutex_unlock(&stream->lock);
    if (already)
        return;
    atomic_fetch_add(&stream->references, 1);
    inbox_post(stream->inbox, &stream->item);
}

static void end(OvirtStream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    pthread_mutex_unlock(&stream->lock);
    (void)virStreamEventUpdateCallback(stream->stream, 0);
}

static void keep(OvirtStream *stream, const char *data, size_t length)
{
    pthread_mutex_lock(&stream->lock);
    if (!stream->incoming)
        stream->incoming = g_string_new(NULL);
    if (stream->incoming->len + length <= OVIRT_STREAM_INCOMING_MAX && !stream->gap)
        g_string_append_len(stream->incoming, data, (gssize)length);
    else
        stream->gap = true; /* and all that follows until the loop has taken what is there */
    pthread_mutex_unlock(&stream->lock);
}

/* Returns false at the end of the stream. */
static bool read_some(OvirtStream *stream)
{
    char buffer[READ_SIZE];

    for (unsigned i = 0; i < READS_PER_WAKEUP; i++) {
        int n = virStreamRecv(stream->stream, buffer, sizeof buffer);

        if (n == -2) /* nothing more at present */
            return true;
        if (n <= 0)
            return false;
        keep(stream, buffer, (size_t)n);
    }
    return true;
}

/* The next command, or NULL: then there is nothing to wait for any more. */
static OvirtCommand *next_command(OvirtStream *stream)
{
    OvirtCommand *command;

    pthread_mutex_lock(&stream->lock);
    command = g_queue_pop_head(&stream->outgoing);
    if (!command)
        stream->watching_writable = false;
    pthread_mutex_unlock(&stream->lock);
    return command;
}

static void command_sent(OvirtStream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->outgoing_bytes -= stream->writing->length;
    stream->sent++;
    pthread_mutex_unlock(&stream->lock);
    ovirt_command_free(stream->writing);
    stream->writing = NULL;
}

/* Nothing is left to write. The loop may queue a command while we stop waiting for the stream to take one:
 * its own request to wait could then be undone by ours. */
static bool watch_writable(OvirtStream *stream)
{
    bool again;

    (void)virStreamEventUpdateCallback(stream->stream, VIR_STREAM_EVENT_READABLE);
    pthread_mutex_lock(&stream->lock);
    again = !g_queue_is_empty(&stream->outgoing);
    pthread_mutex_unlock(&stream->lock);
    if (again)
        (void)virStreamEventUpdateCallback(stream->stream,
                                           VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_WRITABLE);
    return true;
}

/* A line that is begun is finished before anything else, or the stream ends with it. */
static bool write_some(OvirtStream *stream)
{
    for (;;) {
        OvirtCommand *command = stream->writing ?: next_command(stream);
        int n;

        stream->writing = command;
        if (!command)
            return watch_writable(stream);
        n = virStreamSend(stream->stream, command->text + command->sent, command->length - command->sent);
        if (n == -2)
            return true;
        if (n < 0)
            return false;
        command->sent += (size_t)n;
        if (command->sent == command->length)
            command_sent(stream);
    }
}

/* In libvirt's thread. */
static void on_event(virStreamPtr s, int events, void *userdata)
{
    OvirtStream *stream = userdata;
    bool good = true;

    if (events & VIR_STREAM_EVENT_READABLE)
        good = read_some(stream);
    if (good && events & VIR_STREAM_EVENT_WRITABLE)
        good = write_some(stream);
    if (!good || events & (VIR_STREAM_EVENT_ERROR | VIR_STREAM_EVENT_HANGUP))
        end(stream);
    post(stream);
}

static OvirtStream *stream_new(virStreamPtr s, virConnectPtr connection, Inbox *inbox)
{
    OvirtStream *stream = g_new0(OvirtStream, 1);

    stream->item.run = on_posted;
    stream->item.free = on_posted_free;
    atomic_init(&stream->references, 1);
    stream->inbox = inbox_ref(inbox);
    stream->stream = s;
    stream->connection = connection;
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->left_cond, NULL);
    g_queue_init(&stream->outgoing);
    return stream;
}

/* In libvirt's thread, where no callback of the stream can be running now. */
static void on_left(int timer, void *userdata)
{
    OvirtStream *stream = userdata;

    virEventRemoveTimeout(timer);
    pthread_mutex_lock(&stream->lock);
    stream->left = true;
    pthread_cond_signal(&stream->left_cond);
    pthread_mutex_unlock(&stream->lock);
}

/* A callback may be running, or about to, when its removal returns; and libvirt 9.0 never calls the function
 * that virStreamEventAddCallback() takes for letting go of the userdata. A timer that runs out in the same
 * thread comes after it. */
static void wait_for_callback(OvirtStream *stream)
{
    if (virEventAddTimeout(0, on_left, stream, NULL) < 0)
        return;
    pthread_mutex_lock(&stream->lock);
    while (!stream->left)
        pthread_cond_wait(&stream->left_cond, &stream->lock);
    pthread_mutex_unlock(&stream->lock);
}

static void stream_close(OvirtStream *stream)
{
    (void)virStreamEventRemoveCallback(stream->stream);
    wait_for_callback(stream);
    (void)virStreamAbort(stream->stream);
    virStreamFree(stream->stream);
    stream_unref(stream);
}

OvirtStream *ovirt_stream_open(virDomainPtr domain, const char *channel, Inbox *inbox, int *ret_error,
                               char **ret_text)
{
    virStreamPtr s = virStreamNew(virDomainGetConnect(domain), VIR_STREAM_NONBLOCK);
    OvirtStream *stream;

    if (!s || virDomainOpenChannel(domain, channel, s, 0) < 0) {
        *ret_error = virGetLastErrorCode();
        *ret_text = g_strdup(libvirt_error_text());
        if (s)
            virStreamFree(s); /* which forgets the error */
        return NULL;
    }
    stream = stream_new(s, virDomainGetConnect(domain), inbox);
    if (virStreamEventAddCallback(s, VIR_STREAM_EVENT_READABLE, on_event, stream, NULL) < 0) {
        *ret_error = virGetLastErrorCode();
        *ret_text = g_strdup(libvirt_error_text());
        stream_close(stream);
        return NULL;
    }
    return stream;
}

void ovirt_stream_attach(OvirtStream *stream, OvirtStreamNews news, void *userdata)
{
    stream->news = news;
    stream->userdata = userdata;
    post(stream); /* what came before */
}

void ovirt_stream_take(OvirtStream *stream, OvirtStreamState *ret_state)
{
    pthread_mutex_lock(&stream->lock);
    *ret_state = (OvirtStreamState){
        .incoming = g_steal_pointer(&stream->incoming),
        .gap = stream->gap,
        .ended = stream->ended,
        .sent = stream->sent,
    };
    stream->gap = false;
    stream->sent = 0;
    pthread_mutex_unlock(&stream->lock);
}

void ovirt_stream_again(OvirtStream *stream)
{
    post(stream);
}

int ovirt_stream_send(OvirtStream *stream, OvirtCommand *command)
{
    bool watch;

    if (stream->carried + command->length > OVIRT_STREAM_SENT_MAX)
        return -EMSGSIZE;
    pthread_mutex_lock(&stream->lock);
    if (stream->outgoing_bytes + command->length > OVIRT_STREAM_OUTGOING_MAX) {
        pthread_mutex_unlock(&stream->lock);
        return -ENOBUFS;
    }
    stream->carried += command->length;
    stream->outgoing_bytes += command->length;
    g_queue_push_tail(&stream->outgoing, command); /* libvirt's thread's from the unlock on */
    watch = !stream->watching_writable && !stream->ended;
    stream->watching_writable = true;
    pthread_mutex_unlock(&stream->lock);
    if (watch)
        (void)virStreamEventUpdateCallback(stream->stream,
                                           VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_WRITABLE);
    return 0;
}

/* One thread closes the streams of a connection, one after the other: a lost one may end a thousand at once,
 * and one that hangs must not hold up those of other hypervisors. */
typedef struct Closer {
    virConnectPtr connection; /* compared only: the streams hold it */
    GQueue streams;
    bool idle; /* no thread could be started for it */
} Closer;

static pthread_mutex_t closing_lock = PTHREAD_MUTEX_INITIALIZER;
static GQueue closers = G_QUEUE_INIT; /* Closer, a few */

/* The next stream, or NULL: then the closer is gone from the list. */
static OvirtStream *closer_next(Closer *closer)
{
    OvirtStream *stream;

    pthread_mutex_lock(&closing_lock);
    stream = g_queue_pop_head(&closer->streams);
    if (!stream)
        g_queue_remove(&closers, closer);
    pthread_mutex_unlock(&closing_lock);
    return stream;
}

static void *closer_main(void *userdata)
{
    Closer *closer = userdata;
    OvirtStream *stream;

    while ((stream = closer_next(closer)))
        stream_close(stream);
    g_free(closer);
    return NULL;
}

/* With the lock held. */
static Closer *closer_find(virConnectPtr connection)
{
    for (GList *item = closers.head; item; item = item->next)
        if (((Closer *)item->data)->connection == connection)
            return item->data;
    return NULL;
}

/* Hands the stream to its connection's closer. */
static void close_later(OvirtStream *stream)
{
    virConnectPtr connection = stream->connection;
    Closer *closer;

    pthread_mutex_lock(&closing_lock);
    closer = closer_find(connection);
    if (!closer) {
        closer = g_new0(Closer, 1);
        closer->connection = connection;
        closer->idle = true; /* also when no thread can be started: the next stream tries again */
        g_queue_push_tail(&closers, closer);
    }
    g_queue_push_tail(&closer->streams, stream);
    if (closer->idle && thread_start(closer_main, closer) == 0)
        closer->idle = false;
    pthread_mutex_unlock(&closing_lock);
}

void ovirt_stream_let_go(OvirtStream *stream)
{
    OvirtCommand *command;

    stream->news = NULL;
    pthread_mutex_lock(&stream->lock);
    while ((command = g_queue_pop_head(&stream->outgoing)))
        ovirt_command_free(command);
    pthread_mutex_unlock(&stream->lock);
    close_later(stream);
}
