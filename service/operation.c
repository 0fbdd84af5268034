/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/operation.h"

#include "service/cleanup.h"
#include "service/figures.h"
#include "service/guest/guest.h"
#include "service/log.h"
#include "service/manager.h"
#include "service/operation-work.h"
#include "service/source-read.h"

#include <stdlib.h>

/* How often to look whether an agent answered that a caller waits for. */
#define UNDECIDED_USEC (250 * 1000ULL)

/* Where a verb runs and when its caller hears of it. */
static const struct VerbRow {
    const char *name;
    bool slow;     /* in the lane for what takes seconds to minutes */
    bool accepted; /* replies after OPERATION_ACCEPTED_USEC without an error */
    bool agent;    /* may talk to the guest's agent: on that connection and lane */
    bool stream;   /* on the connection for streams */
    bool local;    /* hands out a descriptor */
} verbs[VERB_COUNT] = {
    [VERB_START] = {.name = "start", .slow = true, .accepted = true},
    [VERB_SHUTDOWN] = {.name = "shutdown", .accepted = true, .agent = true},
    [VERB_REBOOT] = {.name = "reboot", .accepted = true, .agent = true},
    [VERB_RESET] = {.name = "reset"},
    [VERB_FORCE_OFF] = {.name = "force-off"},
    [VERB_PAUSE] = {.name = "pause"},
    [VERB_RESUME] = {.name = "resume"},
    [VERB_WAKEUP] = {.name = "wakeup"},
    [VERB_SAVE] = {.name = "save", .slow = true, .accepted = true},
    [VERB_SET_MEMORY] = {.name = "set-memory"},
    [VERB_SET_AUTOSTART] = {.name = "set-autostart"},
    [VERB_OPEN_GRAPHICS] = {.name = "open-graphics", .local = true},
    [VERB_OPEN_CONSOLE] = {.name = "open-console", .stream = true, .local = true},
    [VERB_GET_XML] = {.name = "get-xml"},
};

const char *verb_name(Verb verb)
{
    return verbs[verb].name;
}

static void operation_free(SourceJob *job)
{
    Operation *operation = (Operation *)job;

    sd_event_source_disable_unref(operation->timer);
    failure_clear(&operation->failure);
    if (operation->fd >= 0)
        close(operation->fd);
    if (operation->domain)
        virDomainFree(operation->domain);
    if (operation->console)
        console_release(operation->console);
    free(operation->text);
    g_free(operation->device);
    g_free(operation->name);
    g_free(operation);
}

/* Tells the caller, once. */
static void answer(Operation *operation, OperationResult *result)
{
    OperationDone done = operation->done;

    operation->done = NULL;
    operation->timer = sd_event_source_disable_unref(operation->timer);
    if (done)
        done(result, operation->userdata);
}

/* The caller has been answered already: what came of it is for LastJob. */
static void note_last_job(Operation *operation, VM *vm)
{
    bool failed = operation->failure.kind != FAILURE_NONE;

    vm_set_last_job(vm, verb_name(operation->request.verb), failed ? "failed" : "done",
                    failed ? operation->failure.message : "");
    if (failed)
        log_about(LOG_NOTICE, &(LogSubject){vm->source->config->label, vm->name, vm->uuid},
                  "%s failed after its caller was answered: %s", verb_name(operation->request.verb),
                  operation->failure.message);
}

/* The model takes over what the worker read after the call, before the caller hears of it. */
static void take_figures(Operation *operation, Source *source, VM *vm)
{
    VMState before = vm->state;

    if (operation->figures_known)
        vm_set_figures(vm, &operation->figures, manager_now());
    if (vm->state != before) {
        vm->left = before;
        vm->left_at = manager_now();
    }
    source_read_vm(source, vm->uuid);
}

static void operation_done(SourceJob *job, Source *source)
{
    Operation *operation = (Operation *)job;
    Source *owner = job->link->source; /* also when it has lost the connection meanwhile */
    VM *vm = owner ? source_find_vm(owner, operation->uuid) : NULL;
    Manager *manager = owner ? owner->manager : NULL;
    OperationResult result = {.fd = -1};

    if (!source && operation->failure.kind == FAILURE_NONE && !operation->worked)
        failure_set(&operation->failure, FAILURE_SOURCE_DISCONNECTED,
                    "%s: the connection to its hypervisor was lost", operation->name);
    if (vm) {
        if (source)
            take_figures(operation, source, vm);
        if (!operation->done)
            note_last_job(operation, vm);
    }
    if (manager)
        manager_flush(manager);
    result.failure = operation->failure;
    result.text = operation->text;
    result.fd = operation->fd;
    answer(operation, &result);
    operation->fd = result.fd;
}

/* While nobody has asked the hypervisor yet (its threads are busy), or it is not known whether the agent
 * answers, nothing was accepted: looks again soon. */
static bool is_undecided(Operation *operation, uint64_t now)
{
    return !atomic_load(&operation->sent) && now < operation->deadline &&
           sd_event_source_set_time(operation->timer, MIN(now + UNDECIDED_USEC, operation->deadline)) >= 0 &&
           sd_event_source_set_enabled(operation->timer, SD_EVENT_ONESHOT) >= 0;
}

static int on_deadline(sd_event_source *timer, uint64_t usec, void *userdata)
{
    Operation *operation = userdata;
    OperationResult result = {.fd = -1};

    if (is_undecided(operation, usec))
        return 0;
    if (operation->by_agent && !atomic_load(&operation->sent))
        failure_set(&result.failure, FAILURE_AGENT_UNRESPONSIVE,
                    "%s: its guest agent has not answered in %d s; the request goes on", operation->name,
                    (int)(OPERATION_DEADLINE_USEC / 1000000));
    else if (!verbs[operation->request.verb].accepted || !atomic_load(&operation->sent))
        failure_set(&result.failure, FAILURE_TIMEOUT,
                    "%s: the hypervisor has not answered in %d s; the request goes on", operation->name,
                    (int)(OPERATION_DEADLINE_USEC / 1000000));
    answer(operation, &result);
    failure_clear(&result.failure);
    return 0;
}

static const SourceJobKind operation_kind = {operation_work, operation_done, operation_free};

static Lane *choose_lane(Source *source, const struct VerbRow *row, bool agent)
{
    if (agent)
        return source->agent_lane;
    return row->slow ? source->slow_lane : source->control_lane;
}

/* "" means the agent where it answers, else ACPI; decided here, where the agent's state is known. */
static bool wants_agent(const VM *vm, const OperationRequest *request)
{
    if (!verbs[request->verb].agent || request->mode == SHUTDOWN_ACPI)
        return false;
    return request->mode == SHUTDOWN_AGENT || guest_agent_answers(vm->guest, GUEST_ORIGIN_QEMU_GA);
}

static int check(VM *vm, const OperationRequest *request, Failure *failure)
{
    const Source *source = vm->source;

    if (!source->connected)
        failure_set(failure, FAILURE_SOURCE_DISCONNECTED, "%s: its source %s is not connected (%s)", vm->name,
                    source->config->label, source->last_error);
    else if (verbs[request->verb].local && !source->local)
        failure_set(failure, FAILURE_NOT_SUPPORTED,
                    "%s: its source %s is remote; descriptors don't travel, use guestbusctl -H there",
                    vm->name, source->config->label);
    else if (request->mode == SHUTDOWN_AGENT && verbs[request->verb].agent &&
             !guest_has_agent(vm->guest, GUEST_ORIGIN_QEMU_GA) && vm_is_active(vm))
        failure_set(failure, FAILURE_AGENT_NOT_CONNECTED,
                    "%s: no guest agent is connected; mode \"acpi\" needs none", vm->name);
    else
        return 0;
    return -1;
}

static void set_timer(Operation *operation, sd_event *event, const struct VerbRow *row)
{
    uint64_t now = 0;

    (void)sd_event_now(event, CLOCK_MONOTONIC, &now);
    operation->deadline = now + OPERATION_DEADLINE_USEC;
    if (sd_event_add_time(event, &operation->timer, CLOCK_MONOTONIC,
                          row->accepted ? now + OPERATION_ACCEPTED_USEC : operation->deadline, 0, on_deadline,
                          operation) < 0)
        log_error("No timer for an operation: its caller waits for the hypervisor");
}

int vm_operate(VM *vm, const OperationRequest *request, OperationDone done, void *userdata, Failure *failure)
{
    const struct VerbRow *row = &verbs[request->verb];
    Source *source = vm->source;
    Console *console = NULL;
    Operation *operation;
    bool agent;

    if (check(vm, request, failure) < 0)
        return -1;
    if (request->verb == VERB_OPEN_CONSOLE) {
        console = console_reserve(source->manager, vm, request->user, failure);
        if (!console)
            return -1;
    }
    operation = g_new0(Operation, 1);
    operation->request = *request;
    operation->console = console;
    operation->device = g_strdup(request->device);
    operation->by_agent = wants_agent(vm, request);
    operation->done = done;
    operation->userdata = userdata;
    operation->name = g_strdup(vm->name);
    operation->fd = -1;
    operation->agent_timeout = source->manager->config->service.agent_timeout;
    g_strlcpy(operation->uuid, vm->uuid, sizeof operation->uuid);
    set_timer(operation, source->manager->event, row);
    agent = operation->by_agent || row->stream;
    if (!agent && vm->domain) { /* saves a round trip; on the other connection it has to be looked up */
        virDomainRef(vm->domain);
        operation->domain = vm->domain;
    }
    source_job_submit(source, choose_lane(source, row, agent), &operation->job, &operation_kind, agent, vm);
    return 0;
}
