/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest-poll.h"

#include "service/guest-balloon.h"
#include "service/guest-lease.h"
#include "service/guest-query.h"
#include "service/guest-refresh.h"
#include "service/guest/guest.h"
#include "service/log.h"
#include "service/manager.h"

/* VMs whose agents are all found at once, as after a start of the service, are asked over a time that gives
 * each so much. */
#define SPREAD_USEC (10 * 1000ULL)
/* Timers of several VMs may share a wake-up of the loop. */
#define ACCURACY_USEC (50 * 1000ULL)

#define QEMU_GA GUEST_ORIGIN_QEMU_GA

struct GuestPoll {
    Pace pace;
    sd_event_source *timer;
    bool on;           /* an agent is there that may be asked */
    bool answered;     /* it did, since it is there */
    bool mute;         /* it was reported as such */
    bool waiting;      /* in the source's queue of suspects */
    GuestQuery *query; /* queued or running */
    uint64_t run;      /* answers of an earlier run of the guest are dropped */
    GList *refreshes;  /* see guest-refresh.h */
};

static uint64_t monotonic(const VM *vm)
{
    uint64_t now = 0;

    (void)sd_event_now(vm->source->manager->event, CLOCK_MONOTONIC, &now);
    return now;
}

static bool is_executing(const VM *vm)
{
    return vm->state == VM_RUNNING || vm->state == VM_BLOCKED;
}

/* A paused guest answers nothing, which says nothing of its agent. */
static bool can_ask(const VM *vm)
{
    return vm->source->connected && !vm->source->config->read_only && is_executing(vm) &&
           guest_has_agent(vm->guest, QEMU_GA);
}

static void explain(const VM *vm, Failure *failure)
{
    const Source *source = vm->source;

    if (!source->connected)
        failure_set(failure, FAILURE_SOURCE_DISCONNECTED, "%s: its source %s is not connected", vm->name,
                    source->config->label);
    else if (!vm_is_active(vm))
        failure_set(failure, FAILURE_NOT_RUNNING, "%s does not run", vm->name);
    else if (source->config->read_only)
        failure_set(failure, FAILURE_NOT_SUPPORTED,
                    "%s: its source %s is read-only, where agents can't be asked", vm->name,
                    source->config->label);
    else if (!guest_has_agent(vm->guest, QEMU_GA))
        failure_set(failure, FAILURE_AGENT_NOT_CONNECTED, "%s: no guest agent is connected", vm->name);
    else
        failure_set(failure, FAILURE_AGENT_UNRESPONSIVE, "%s is %s: its agent can't answer", vm->name,
                    vm_state_name(vm->state));
}

static void take_periods(VM *vm)
{
    const ServiceConfig *config = &vm->source->manager->config->service;
    uint64_t *period = vm->poll->pace.period;

    period[PACE_USERS] = config->users_interval * PACE_SECOND;
    period[PACE_NETWORK] = config->system_interval * PACE_SECOND;
    period[PACE_SYSTEM] = config->system_interval * PACE_SECOND;
    period[PACE_FILESYSTEMS] = config->filesystems_interval * PACE_SECOND;
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata);

/* Sets the timer for the next question, or none while one is under way. */
static void arm(VM *vm)
{
    GuestPoll *poll = vm->poll;
    uint64_t when;

    if (!poll->on || poll->query || poll->waiting) {
        if (poll->timer)
            (void)sd_event_source_set_enabled(poll->timer, SD_EVENT_OFF);
        return;
    }
    when = poll->refreshes ? monotonic(vm) : pace_next(&poll->pace);
    if (!poll->timer) {
        if (sd_event_add_time(vm->source->manager->event, &poll->timer, CLOCK_MONOTONIC, when, ACCURACY_USEC,
                              on_timer, vm) < 0)
            log_error("No timer: the agent of %s is not asked", vm->name);
        return;
    }
    (void)sd_event_source_set_time(poll->timer, when);
    (void)sd_event_source_set_enabled(poll->timer, SD_EVENT_ONESHOT);
}

static void query_done(SourceJob *job, Source *source);

static const SourceJobKind query_kind = {guest_query_work, query_done, guest_query_free};

static bool is_suspect(const GuestPoll *poll)
{
    return !poll->answered || poll->pace.misses > 0;
}

static void start_query(VM *vm)
{
    GuestPoll *poll = vm->poll;
    Source *source = vm->source;
    unsigned topics = poll->refreshes ? PACE_ALL : pace_topics(&poll->pace, monotonic(vm));
    GuestQuery *query;

    if (!topics) {
        arm(vm);
        return;
    }
    query = guest_query_new(vm->uuid, topics, source->manager->config->service.agent_timeout);
    query->memory = poll->refreshes != NULL;
    query->run = poll->run;
    query->suspect = is_suspect(poll);
    source->guests.suspects_running += query->suspect;
    guest_refreshes_asked(poll->refreshes);
    poll->query = query;
    source_job_submit(source, source->agent_lane, &query->job, &query_kind, true, vm);
}

static void start_suspects(Source *source)
{
    VM *vm;

    while (source->guests.suspects_running < SUSPECTS_MAX &&
           (vm = g_queue_pop_head(&source->guests.suspects))) {
        vm->poll->waiting = false;
        start_query(vm);
    }
}

/* Whose turn comes first: those that somebody waits for, then those that are the most likely to answer. One
 * that missed a single answer must not wait behind a crowd of mute ones. */
static int compare_suspects(gconstpointer a, gconstpointer b, gpointer unused)
{
    const GuestPoll *x = ((const VM *)a)->poll, *y = ((const VM *)b)->poll;

    if (!x->refreshes != !y->refreshes)
        return x->refreshes ? -1 : 1;
    return (x->pace.misses > y->pace.misses) - (x->pace.misses < y->pace.misses);
}

static void ask(VM *vm)
{
    if (!is_suspect(vm->poll)) {
        start_query(vm);
        return;
    }
    vm->poll->waiting = true;
    g_queue_insert_sorted(&vm->source->guests.suspects, vm, compare_suspects, NULL);
    start_suspects(vm->source);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
    ask(userdata);
    return 0;
}

static void stop_waiting(VM *vm)
{
    if (vm->poll->waiting)
        g_queue_remove(&vm->source->guests.suspects, vm);
    vm->poll->waiting = false;
}

/* Whether the guest has an address that means something beyond its own link; also true where it can't get
 * one, or would not say. */
static bool is_addressed(const VM *vm, const Observation *observation)
{
    g_autoptr(GPtrArray) addresses = NULL;

    if (!(observation->values.given & GUEST_BIT(GUEST_INTERFACES)) || vm->details->nics->len == 0)
        return true;
    addresses = guest_list_addresses(guest_values_list(&observation->values, GUEST_INTERFACES), false);
    return addresses->len > 0;
}

static void take_observation(VM *vm, Observation **observation)
{
    if (*observation && (*observation)->values.given && (*observation)->time)
        guest_observe(vm->guest, g_steal_pointer(observation));
}

/* Responsive first: with the values comes a signal or another, before which all that changed is told. */
static void take_answer(VM *vm, GuestQuery *query)
{
    GuestPoll *poll = vm->poll;
    uint64_t now = manager_now();

    if (poll->mute)
        log_about(LOG_INFO, &(LogSubject){vm->source->config->label, vm->name, vm->uuid},
                  "Its guest agent answers again");
    poll->mute = false;
    poll->answered = true;
    pace_answered(&poll->pace, query->answered, is_addressed(vm, query->agent), monotonic(vm));
    guest_set_responsive(vm->guest, QEMU_GA, true, now);
    take_observation(vm, &query->balloon);
    take_observation(vm, &query->agent);
    guest_heartbeat(vm->guest, QEMU_GA, now);
}

static void take_silence(VM *vm, const GuestQuery *query)
{
    GuestPoll *poll = vm->poll;

    pace_missed(&poll->pace, monotonic(vm));
    if (query->outcome != QUERY_MUTE || !pace_is_mute(&poll->pace))
        return;
    if (!poll->mute)
        log_about(LOG_NOTICE, &(LogSubject){vm->source->config->label, vm->name, vm->uuid},
                  "Its guest agent does not answer (%s); asking less often", query->error ?: "");
    poll->mute = true;
    guest_set_responsive(vm->guest, QEMU_GA, false, manager_now());
}

/* What of a VM comes from its inside: values from the run that goes on, judgement of an agent that is there.
 */
static void take_query(VM *vm, GuestQuery *query)
{
    if (query->run != vm->poll->run)
        return;
    if (vm->poll->on && query->outcome == QUERY_ANSWERED) {
        take_answer(vm, query);
    } else {
        take_observation(vm, &query->agent);
        take_observation(vm, &query->balloon);
        if (vm->poll->on)
            take_silence(vm, query);
    }
    if (query->error)
        log_about(LOG_DEBUG, &(LogSubject){vm->source->config->label, vm->name, vm->uuid},
                  "Its guest agent: %s", query->error);
}

/* How a refresh ended that this query answers. */
static void judge(const VM *vm, const GuestQuery *query, bool gave, Failure *failure)
{
    if (query->run != vm->poll->run)
        failure_set(failure, FAILURE_AGENT_NOT_CONNECTED, "%s restarted meanwhile", vm->name);
    else if (query->outcome == QUERY_MUTE)
        failure_set(failure, FAILURE_AGENT_UNRESPONSIVE, "%s: its guest agent does not answer: %s", vm->name,
                    query->error ?: "");
    else if (query->outcome == QUERY_IMPOSSIBLE)
        failure_set(failure, FAILURE_HYPERVISOR, "%s: %s", vm->name, query->error ?: "not asked");
    else if (!gave)
        failure_set(failure, FAILURE_GUEST_REFUSED, "%s: its guest agent refuses: %s", vm->name,
                    query->error ?: "");
}

static void query_done(SourceJob *job, Source *source)
{
    GuestQuery *query = (GuestQuery *)job;
    VM *vm;

    if (!source) /* guest_polls_drop() has seen to the rest */
        return;
    source->guests.suspects_running -= query->suspect;
    vm = source_find_vm(source, query->uuid);
    if (vm && vm->poll && vm->poll->query == query) {
        Failure failure = {0};
        bool gave = query->agent && query->agent->values.given;

        vm->poll->query = NULL;
        take_query(vm, query);
        judge(vm, query, gave, &failure);
        guest_refreshes_end(&vm->poll->refreshes, true, &failure);
        failure_clear(&failure);
        guest_lease_update(vm);
        arm(vm);
    }
    start_suspects(source);
}

static void poll_start(VM *vm, bool seen)
{
    GuestPoll *poll = vm->poll;
    uint64_t span = SPREAD_USEC * g_hash_table_size(vm->source->vms);

    poll->on = true;
    poll->answered = poll->mute = false;
    vm->source->guests.asked++;
    take_periods(vm);
    pace_start(&poll->pace, monotonic(vm) + (seen ? 0 : pace_share(span, poll->pace.phase)));
}

static void poll_stop(VM *vm)
{
    Failure failure = {0};

    vm->poll->on = false;
    vm->source->guests.asked--;
    stop_waiting(vm);
    explain(vm, &failure);
    guest_refreshes_end(&vm->poll->refreshes, false, &failure);
    failure_clear(&failure);
}

void guest_poll_update(VM *vm, bool seen)
{
    bool on = can_ask(vm);

    if (!vm->poll && on) {
        vm->poll = g_new0(GuestPoll, 1);
        vm->poll->pace.phase = pace_phase(vm->uuid);
    }
    if (vm->poll && vm->poll->on != on) {
        if (on)
            poll_start(vm, seen);
        else
            poll_stop(vm);
        arm(vm);
    }
    guest_balloon_update(vm);
    guest_lease_update(vm);
}

void guest_poll_restart(VM *vm)
{
    vm->run_since = manager_now();
    if (!vm->poll)
        return;
    vm->poll->run++;
    vm->poll->answered = false;
    if (vm->poll->on)
        pace_start(&vm->poll->pace, monotonic(vm) + PACE_QUICK_FIRST);
    arm(vm);
}

int guest_poll_refresh(VM *vm, GuestRefreshDone done, void *userdata, Failure *failure)
{
    guest_lease_refresh(vm);
    guest_balloon_refresh(vm);
    if (!can_ask(vm)) {
        explain(vm, failure);
        return -1;
    }
    if (guest_refreshes_add(vm, &vm->poll->refreshes, done, userdata, failure) < 0)
        return -1;
    if (vm->poll->waiting) { /* its place in the queue is another one now */
        stop_waiting(vm);
        ask(vm);
    } else
        arm(vm);
    return 0;
}

void guest_poll_free(VM *vm)
{
    GuestPoll *poll = vm->poll;
    Failure failure = {0};

    if (!poll)
        return;
    stop_waiting(vm);
    if (poll->on)
        vm->source->guests.asked--;
    failure_set(&failure, FAILURE_NO_SUCH_VM, "%s is gone", vm->name);
    guest_refreshes_end(&poll->refreshes, false, &failure);
    failure_clear(&failure);
    sd_event_source_disable_unref(poll->timer);
    vm->poll = NULL;
    g_free(poll);
}

void guest_polls_drop(Source *source)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, source->vms);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        VM *vm = value;

        guest_lease_update(vm);
        if (!vm->poll)
            continue;
        vm->poll->query = NULL; /* its answer is dropped */
        if (vm->poll->on)
            poll_stop(vm);
        arm(vm);
    }
    source->guests.suspects_running = 0;
}
