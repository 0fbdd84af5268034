/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/inbox.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct Inbox {
    atomic_uint references;
    int fd;
    sd_event_source *source; /* the loop's thread only */

    pthread_mutex_t lock; /* guards all below */
    bool closed;
    InboxItem *first, **last;
    size_t events;

    InboxItem *taken; /* what the loop took out and has not run yet; its thread only */
};

static void signal_loop(Inbox *inbox)
{
    uint64_t one = 1;

    if (write(inbox->fd, &one, sizeof one) < 0)
        return; /* EAGAIN: the counter is full, so the loop is woken already */
}

/* Moves all that waits to the loop's own list; afterwards the eventfd says nothing until the next post. */
static void take_all(Inbox *inbox)
{
    uint64_t count;

    if (read(inbox->fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    pthread_mutex_lock(&inbox->lock);
    inbox->taken = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    pthread_mutex_unlock(&inbox->lock);
}

static void run_item(Inbox *inbox, InboxItem *item)
{
    if (item->counted) {
        pthread_mutex_lock(&inbox->lock);
        inbox->events--;
        pthread_mutex_unlock(&inbox->lock);
    }
    item->run(item);
    item->free(item);
}

static int on_wakeup(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    Inbox *inbox = userdata;

    for (unsigned budget = INBOX_BUDGET; budget > 0; budget--) {
        InboxItem *item;

        if (!inbox->taken)
            take_all(inbox);
        item = inbox->taken;
        if (!item)
            return 0;
        inbox->taken = item->next;
        run_item(inbox, item);
    }
    /* The budget is spent. Others get their turn, then the loop comes back for the rest. */
    if (inbox->taken)
        signal_loop(inbox);
    return 0;
}

int inbox_new(sd_event *event, Inbox **ret)
{
    Inbox *inbox = g_new0(Inbox, 1);
    int r;

    atomic_init(&inbox->references, 1);
    pthread_mutex_init(&inbox->lock, NULL);
    inbox->last = &inbox->first;
    inbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (inbox->fd < 0) {
        r = -errno;
        inbox_unref(inbox);
        return r;
    }
    r = sd_event_add_io(event, &inbox->source, inbox->fd, EPOLLIN, on_wakeup, inbox);
    if (r < 0) {
        inbox_unref(inbox);
        return r;
    }
    (void)sd_event_source_set_description(inbox->source, "inbox");
    *ret = inbox;
    return 0;
}

Inbox *inbox_ref(Inbox *inbox)
{
    atomic_fetch_add(&inbox->references, 1);
    return inbox;
}

static void free_list(InboxItem *item)
{
    while (item) {
        InboxItem *next = item->next;

        item->free(item);
        item = next;
    }
}

void inbox_close(Inbox *inbox)
{
    InboxItem *waiting;

    inbox->source = sd_event_source_disable_unref(inbox->source);
    pthread_mutex_lock(&inbox->lock);
    inbox->closed = true;
    waiting = inbox->first;
    inbox->first = NULL;
    inbox->last = &inbox->first;
    pthread_mutex_unlock(&inbox->lock);
    free_list(inbox->taken);
    inbox->taken = NULL;
    free_list(waiting);
}

Inbox *inbox_unref(Inbox *inbox)
{
    if (!inbox || atomic_fetch_sub(&inbox->references, 1) != 1)
        return NULL;
    sd_event_source_disable_unref(inbox->source);
    if (inbox->fd >= 0)
        close(inbox->fd);
    pthread_mutex_destroy(&inbox->lock);
    g_free(inbox);
    return NULL;
}

static bool enqueue(Inbox *inbox, InboxItem *item, bool counted)
{
    bool accepted = false, closed;

    pthread_mutex_lock(&inbox->lock);
    closed = inbox->closed;
    if (!closed && (!counted || inbox->events < INBOX_EVENTS_MAX)) {
        item->counted = counted;
        item->next = NULL;
        *inbox->last = item;
        inbox->last = &item->next;
        inbox->events += counted;
        accepted = true;
    }
    pthread_mutex_unlock(&inbox->lock);
    if (accepted)
        signal_loop(inbox);
    if (closed)
        item->free(item);
    return accepted || closed;
}

void inbox_post(Inbox *inbox, InboxItem *item)
{
    (void)enqueue(inbox, item, false);
}

bool inbox_post_event(Inbox *inbox, InboxItem *item)
{
    return enqueue(inbox, item, true);
}
