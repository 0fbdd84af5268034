/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest-refresh.h"

#include "service/manager.h"

typedef struct Refresh {
    VM *vm;
    GList **owner; /* the list that it is in */
    GuestRefreshDone done;
    void *userdata;
    sd_event_source *deadline;
    bool asked; /* the question under way answers it */
} Refresh;

/* What changed is told before the caller hears that it did. */
static void finish(Refresh *refresh, const Failure *failure)
{
    sd_event_source_disable_unref(refresh->deadline);
    manager_flush(refresh->vm->source->manager);
    refresh->done(failure, refresh->userdata);
    g_free(refresh);
}

static int on_deadline(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Refresh *refresh = userdata;
    Failure failure = {0};

    *refresh->owner = g_list_remove(*refresh->owner, refresh);
    failure_set(&failure, FAILURE_TIMEOUT, "%s: its guest agent has not answered in %d s", refresh->vm->name,
                (int)(GUEST_REFRESH_DEADLINE_USEC / 1000000));
    finish(refresh, &failure);
    failure_clear(&failure);
    return 0;
}

int guest_refreshes_add(VM *vm, GList **refreshes, GuestRefreshDone done, void *userdata, Failure *failure)
{
    Refresh *refresh;

    if (g_list_length(*refreshes) >= GUEST_REFRESHES_MAX) {
        failure_set(failure, FAILURE_RATE_LIMITED, "%s: %d callers wait for its guest agent already",
                    vm->name, GUEST_REFRESHES_MAX);
        return -1;
    }
    refresh = g_new0(Refresh, 1);
    if (sd_event_add_time_relative(vm->source->manager->event, &refresh->deadline, CLOCK_MONOTONIC,
                                   GUEST_REFRESH_DEADLINE_USEC, 0, on_deadline, refresh) < 0) {
        failure_set(failure, FAILURE_HYPERVISOR, "%s: no timer for the answer", vm->name);
        g_free(refresh);
        return -1;
    }
    refresh->vm = vm;
    refresh->owner = refreshes;
    refresh->done = done;
    refresh->userdata = userdata;
    *refreshes = g_list_append(*refreshes, refresh);
    return 0;
}

void guest_refreshes_asked(GList *refreshes)
{
    for (; refreshes; refreshes = refreshes->next)
        ((Refresh *)refreshes->data)->asked = true;
}

void guest_refreshes_end(GList **refreshes, bool asked, const Failure *failure)
{
    GList *item = *refreshes;

    while (item) {
        Refresh *refresh = item->data;
        GList *next = item->next;

        if (refresh->asked || !asked) {
            *refreshes = g_list_delete_link(*refreshes, item);
            finish(refresh, failure);
        }
        item = next;
    }
}
