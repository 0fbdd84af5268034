/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/vm.h"

#include "service/guest/text.h"
#include "service/manager.h"
#include "service/source.h"
#include "service/vm-guest.h"

#include <string.h>

static const char *const state_names[VM_STATE_COUNT] = {
    [VM_UNKNOWN] = "unknown",
    [VM_RUNNING] = "running",
    [VM_BLOCKED] = "blocked",
    [VM_PAUSED] = "paused",
    [VM_SHUTTING_DOWN] = "shutting-down",
    [VM_SHUT_OFF] = "shut-off",
    [VM_CRASHED] = "crashed",
    [VM_PM_SUSPENDED] = "pm-suspended",
};

VM *vm_new(Source *source, const char *uuid, const char *name)
{
    VM *vm = g_new0(VM, 1);

    vm->source = source;
    g_strlcpy(vm->uuid, uuid, sizeof vm->uuid);
    vm->name = text_clean(name, -1, VM_TEXT_BYTES_MAX, &vm->name_cut);
    vm->state_reason = "unknown";
    vm->id = -1;
    vm->details = vm_details_new();
    vm->last_job_verb = g_strdup("");
    vm->last_job_result = g_strdup("");
    vm->last_job_message = g_strdup("");
    vm_guest_new(vm);
    return vm;
}

VM *vm_free(VM *vm)
{
    if (!vm)
        return NULL;
    vm_set_domain(vm, NULL);
    vm_guest_free(vm);
    vm_details_free(vm->details);
    g_free(vm->last_job_verb);
    g_free(vm->last_job_result);
    g_free(vm->last_job_message);
    g_free(vm->name);
    g_free(vm);
    return NULL;
}

const char *vm_state_name(VMState state)
{
    return state_names[state];
}

VMState vm_state_from_libvirt(int state)
{
    switch (state) {
    case VIR_DOMAIN_RUNNING:
        return VM_RUNNING;
    case VIR_DOMAIN_BLOCKED:
        return VM_BLOCKED;
    case VIR_DOMAIN_PAUSED:
        return VM_PAUSED;
    case VIR_DOMAIN_SHUTDOWN:
        return VM_SHUTTING_DOWN;
    case VIR_DOMAIN_SHUTOFF:
        return VM_SHUT_OFF;
    case VIR_DOMAIN_CRASHED:
        return VM_CRASHED;
    case VIR_DOMAIN_PMSUSPENDED:
        return VM_PM_SUSPENDED;
    default:
        return VM_UNKNOWN;
    }
}

/* libvirt's reason numbers of each state (virDomainRunningReason and its kin), in words. */
static const char *const reason_names[VM_STATE_COUNT][16] = {
    [VM_RUNNING] = {"unknown", "booted", "migrated", "restored", "from-snapshot", "unpaused",
                    "migration-canceled", "save-canceled", "wakeup", "crashed", "postcopy",
                    "postcopy-failed"},
    [VM_BLOCKED] = {"unknown"},
    [VM_PAUSED] = {"unknown", "user", "migration", "save", "dump", "io-error", "watchdog", "from-snapshot",
                   "shutting-down", "snapshot", "crashed", "starting-up", "postcopy", "postcopy-failed"},
    [VM_SHUTTING_DOWN] = {"unknown", "user"},
    [VM_SHUT_OFF] = {"unknown", "shutdown", "destroyed", "crashed", "migrated", "saved", "failed",
                     "from-snapshot", "daemon"},
    [VM_CRASHED] = {"unknown", "panicked"},
    [VM_PM_SUSPENDED] = {"unknown"},
};

const char *vm_reason_name(VMState state, int reason)
{
    const char *name = reason >= 0 && reason < 16 ? reason_names[state][reason] : NULL;

    return name ? name : "unknown";
}

bool vm_is_active(const VM *vm)
{
    return vm->state != VM_SHUT_OFF && vm->state != VM_UNKNOWN && vm->id >= 0;
}

bool vm_truncated(const VM *vm)
{
    return vm->name_cut || vm->details->cut;
}

void vm_changed(VM *vm, unsigned changes)
{
    if (changes == 0)
        return;
    vm->changes |= changes;
    manager_queue_change(vm->source->manager, vm);
}

void vm_set_name(VM *vm, const char *name)
{
    bool was_truncated = vm_truncated(vm);
    unsigned cut = 0;
    g_autofree char *cleaned = text_clean(name, -1, VM_TEXT_BYTES_MAX, &cut);

    vm->name_cut = cut;

    if (!g_str_equal(cleaned, vm->name)) {
        g_free(vm->name);
        vm->name = g_steal_pointer(&cleaned);
        vm_changed(vm, VM_CHANGED_NAME);
    }
    if (vm_truncated(vm) != was_truncated)
        vm_changed(vm, VM_CHANGED_TRUNCATED);
}

void vm_set_reason(VM *vm, const char *reason)
{
    if (g_str_equal(reason, vm->state_reason))
        return;
    vm->state_reason = reason;
    vm_changed(vm, VM_CHANGED_STATE_REASON);
}

void vm_set_state(VM *vm, VMState state, const char *reason, uint64_t now)
{
    if (state != vm->state) {
        vm->state = state;
        vm_set_reason(vm, reason);
        vm_guest_state_changed(vm);
        vm_changed(vm, VM_CHANGED_STATE);
        if (vm->state_since != now) {
            vm->state_since = now;
            vm_changed(vm, VM_CHANGED_STATE_SINCE);
        }
    }
    vm_set_reason(vm, reason);
}

void vm_set_id(VM *vm, int id)
{
    if (id == vm->id)
        return;
    vm->id = id;
    vm_changed(vm, VM_CHANGED_ID);
}

void vm_set_memory_actual(VM *vm, uint64_t bytes)
{
    if (bytes == vm->memory_actual)
        return;
    vm->memory_actual = bytes;
    vm_changed(vm, VM_CHANGED_MEMORY_ACTUAL);
}

static void set_flag(VM *vm, bool *slot, int value, unsigned change)
{
    if (value < 0 || *slot == (value > 0))
        return;
    *slot = value > 0;
    vm_changed(vm, change);
}

void vm_set_figures(VM *vm, const VMFigures *figures, uint64_t now)
{
    if (figures->state_known) {
        vm_set_id(vm, figures->id);
        vm_set_state(vm, figures->state, vm_reason_name(figures->state, figures->reason), now);
    }
    set_flag(vm, &vm->persistent, figures->persistent, VM_CHANGED_PERSISTENT);
    set_flag(vm, &vm->autostart, figures->autostart, VM_CHANGED_AUTOSTART);
    if (figures->vcpus_known && figures->vcpus != vm->vcpus) {
        vm->vcpus = figures->vcpus;
        vm_changed(vm, VM_CHANGED_VCPUS);
    }
    if (figures->memory_known) {
        vm_set_memory_actual(vm, figures->memory_actual);
        if (figures->memory_maximum != vm->memory_maximum) {
            vm->memory_maximum = figures->memory_maximum;
            vm_changed(vm, VM_CHANGED_MEMORY_MAXIMUM);
        }
    }
}

void vm_set_domain(VM *vm, virDomainPtr domain)
{
    if (domain)
        virDomainRef(domain);
    if (vm->domain)
        virDomainFree(vm->domain);
    vm->domain = domain;
}

void vm_set_details(VM *vm, VMDetails *details)
{
    g_autoptr(VMDetails) old = vm->details;
    bool was_truncated = vm_truncated(vm);
    unsigned changes = 0;

    if (!g_str_equal(old->title, details->title))
        changes |= VM_CHANGED_TITLE;
    if (!g_str_equal(old->description, details->description))
        changes |= VM_CHANGED_DESCRIPTION;
    if (!g_str_equal(old->os_id, details->os_id))
        changes |= VM_CHANGED_OS_ID;
    if (!vm_graphics_equal(old->graphics, details->graphics))
        changes |= VM_CHANGED_GRAPHICS;
    vm->details = details;
    vm_guest_details(vm);
    if (vm_truncated(vm) != was_truncated)
        changes |= VM_CHANGED_TRUNCATED;
    vm_changed(vm, changes);
}

void vm_set_last_job(VM *vm, const char *verb, const char *result, const char *message)
{
    g_free(vm->last_job_verb);
    g_free(vm->last_job_result);
    g_free(vm->last_job_message);
    vm->last_job_verb = g_strdup(verb);
    vm->last_job_result = g_strdup(result);
    vm->last_job_message = text_clean(message, -1, VM_TEXT_BYTES_MAX, NULL);
    vm_changed(vm, VM_CHANGED_LAST_JOB);
}
