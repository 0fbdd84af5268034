/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/power.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/guest/guest.h"
#include "service/guest/ovirt-channel.h"
#include "service/guest/schedule.h"
#include "service/log.h"
#include "service/manager.h"
#include "service/operation.h"

struct Power {
    Manager *manager;
    Schedule *schedule; /* NULL: nothing can be scheduled */
};

static const uint64_t second = 1000000;

/* An operation's caller, who knows nothing of operations. */
typedef struct Waiter {
    ActionDone done;
    void *userdata;
} Waiter;

static void on_operation(OperationResult *result, void *userdata)
{
    Waiter *waiter = userdata;

    waiter->done(&result->failure, waiter->userdata);
    g_free(waiter);
}

/* qemu-ga where it answers, else the power button. Neither has a delay or a message. */
static int by_hypervisor(VM *vm, const PowerRequest *request, ActionDone done, void *userdata,
                         Failure *failure)
{
    const OperationRequest operation = {.verb = request->reboot ? VERB_REBOOT : VERB_SHUTDOWN};
    Waiter *waiter = g_new(Waiter, 1);

    *waiter = (Waiter){done, userdata};
    if (vm_operate(vm, &operation, on_operation, waiter, failure) == 0)
        return 0;
    g_free(waiter);
    return -1;
}

/* Now, as far as the service is concerned. */
static int perform(VM *vm, const PowerRequest *request, ActionDone done, void *userdata, Failure *failure)
{
    uint32_t delay = request->guest_delay ? request->delay : 0;

    if (!action_possible(vm, failure))
        return -1;
    if (ovirt_channel_ready(vm))
        return ovirt_channel_send(vm, ovirt_command_shutdown(delay, request->message, request->reboot), done,
                                  userdata, failure);
    if (delay == 0)
        return by_hypervisor(vm, request, done, userdata, failure);
    failure_set(failure, FAILURE_NOT_SUPPORTED,
                "%s: no agent is there that takes a delay; without guest-delay the service keeps it",
                vm->name);
    return -1;
}

static void log_vm(int level, const ScheduleEntry *entry, const VM *vm, const char *text)
{
    log_about(level, &(LogSubject){entry->source, vm ? vm->name : NULL, entry->uuid}, "The scheduled %s %s",
              entry->verb, text);
}

static void on_performed(const Failure *failure, void *userdata)
{
    ScheduleEntry *entry = userdata;

    if (failure->kind != FAILURE_NONE)
        log_vm(LOG_WARNING, entry, NULL, failure->message);
    schedule_entry_free(entry);
}

static VM *entry_vm(const Power *power, const ScheduleEntry *entry)
{
    const Source *source = manager_find_source(power->manager, entry->source);

    return source ? source_find_vm(source, entry->uuid) : NULL;
}

static bool on_due(Schedule *schedule, const ScheduleEntry *entry, void *userdata)
{
    const Power *power = userdata;
    const Source *source = manager_find_source(power->manager, entry->source);
    VM *vm = entry_vm(power, entry);
    const PowerRequest request = {.reboot = strcmp(entry->verb, "reboot") == 0, .message = entry->message};
    ScheduleEntry *copy;
    Failure failure = {0};

    if (!source || !source->connected)
        return false; /* it may come back; what it shows until then is old */
    if (!vm || !vm_is_active(vm) || vm->id != entry->run) {
        log_vm(LOG_NOTICE, entry, vm, "is dropped: the run of the VM that it was meant for is over");
        return true;
    }
    log_vm(LOG_INFO, entry, vm, "is due");
    copy = schedule_entry_copy(entry);
    if (perform(vm, &request, on_performed, copy, &failure) < 0)
        on_performed(&failure, copy);
    failure_clear(&failure);
    return true;
}

static void on_expired(Schedule *schedule, const ScheduleEntry *entry, void *userdata)
{
    log_vm(LOG_WARNING, entry, NULL, "is given up: its source was away for too long");
}

static void on_removed(Schedule *schedule, const ScheduleEntry *entry, void *userdata)
{
    VM *vm = entry_vm(userdata, entry);

    if (vm)
        guest_set_scheduled(vm->guest, "", 0);
}

static const ScheduleObserver observer = {on_due, on_expired, on_removed};

Power *power_new(Manager *manager)
{
    Power *power = g_new0(Power, 1);
    const char *folder = getenv("STATE_DIRECTORY");
    int r;

    power->manager = manager;
    if (!folder)
        return power;
    r = schedule_new(manager->event, folder, &observer, power, &power->schedule);
    if (r < 0)
        log_warning("Cannot read the scheduled shutdowns in %s: %s", folder, g_strerror(-r));
    else if (r > 0)
        log_warning("The file of scheduled shutdowns was damaged; it was moved to %s/%s", folder,
                    SCHEDULE_FILE_DAMAGED);
    return power;
}

void power_free(Power *power)
{
    if (!power)
        return;
    schedule_free(power->schedule);
    g_free(power);
}

static int schedule_request(VM *vm, const PowerRequest *request, Failure *failure)
{
    const Power *power = vm->source->manager->power;
    const ScheduleEntry entry = {
        .source = vm->source->config->label,
        .uuid = vm->uuid,
        .run = vm->id,
        .verb = request->reboot ? "reboot" : "shutdown",
        .time = manager_now() + request->delay * second,
        .message = (char *)request->message,
    };
    int r = power->schedule ? schedule_add(power->schedule, &entry) : -ENOENT;

    if (r == -EBUSY)
        failure_set(failure, FAILURE_BUSY, "%s: a %s is scheduled already; CancelShutdown ends it", vm->name,
                    vm->guest->scheduled_verb);
    else if (r < 0)
        failure_set(failure, FAILURE_NOT_SUPPORTED, "%s: the delay cannot be kept on disk: %s", vm->name,
                    g_strerror(-r));
    else
        guest_set_scheduled(vm->guest, entry.verb, entry.time);
    return r < 0 ? -1 : 0;
}

int power_request(VM *vm, const PowerRequest *request, ActionDone done, void *userdata, Failure *failure)
{
    const Failure none = {.kind = FAILURE_NONE};

    if (!action_possible(vm, failure))
        return -1;
    if (request->delay == 0 || request->guest_delay)
        return perform(vm, request, done, userdata, failure);
    if (schedule_request(vm, request, failure) < 0)
        return -1;
    manager_flush(vm->source->manager); /* who gets the reply reads ScheduledShutdown */
    done(&none, userdata);
    return 0;
}

int power_cancel(VM *vm, Failure *failure)
{
    const Power *power = vm->source->manager->power;
    int r = power->schedule ? schedule_remove(power->schedule, vm->source->config->label, vm->uuid) : -ENOENT;

    if (r == -ENOENT) {
        failure_set(failure, FAILURE_INVALID_ARGUMENT, "%s: nothing is scheduled", vm->name);
        return -1;
    }
    if (r < 0)
        log_warning("Cannot write the scheduled shutdowns: %s", g_strerror(-r));
    manager_flush(vm->source->manager);
    return 0;
}

void power_vm_new(VM *vm)
{
    const Power *power = vm->source->manager->power;
    const ScheduleEntry *entry =
        power->schedule ? schedule_find(power->schedule, vm->source->config->label, vm->uuid) : NULL;

    if (entry)
        guest_set_scheduled(vm->guest, entry->verb, entry->time);
}

void power_vm_stopped(VM *vm)
{
    const Power *power = vm->source->manager->power;

    if (power->schedule)
        (void)schedule_remove(power->schedule, vm->source->config->label, vm->uuid);
}
