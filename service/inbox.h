/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

/* The one way into the loop for other threads: libvirt's event thread, workers and channel
 * streams put items in, the loop takes them out in order, a bounded number at each wake-up, so that
 * a storm of events never starves a caller on the bus. */
typedef struct Inbox Inbox;
typedef struct InboxItem InboxItem;

/* Embedded as the first member of what is posted. `run` is called in the loop, then `free`; an item
 * that can't be delivered any more (the loop has ended) is only freed, in the posting thread. */
struct InboxItem {
    void (*run)(InboxItem *item);
    void (*free)(InboxItem *item);
    InboxItem *next;
    bool counted;
};

/* Events waiting at most; results of jobs do not count, their number is bounded by the workers. */
#define INBOX_EVENTS_MAX 16384
/* Items handled at each wake-up. */
#define INBOX_BUDGET 128

int inbox_new(sd_event *event, Inbox **ret);
Inbox *inbox_ref(Inbox *inbox);
Inbox *inbox_unref(Inbox *inbox);

/* Nothing is delivered after this; what waits is freed. Only the loop's thread calls it. */
void inbox_close(Inbox *inbox);

/* Posts what must arrive, as the result of a job. Any thread. */
void inbox_post(Inbox *inbox, InboxItem *item);

/* Posts an event unless too many wait already. Returns false then: the caller still owns the item, frees
 * it, and asks for a re-read of what the event would have told. Any thread. */
bool inbox_post_event(Inbox *inbox, InboxItem *item);
