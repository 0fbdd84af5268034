/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/vm-guest.h"

#include "service/guest-lease.h"
#include "service/guest-poll.h"
#include "service/guest/ovirt-channel.h"
#include "service/guest/power.h"
#include "service/manager.h"

#define QEMU_GA_CHANNEL "org.qemu.guest_agent.0"

static void on_changed(Guest *guest, uint32_t mask, void *userdata)
{
    VM *vm = userdata;

    vm->guest_changes |= mask;
    manager_queue_change(vm->source->manager, vm);
}

/* What changed with the same cause is told before the signal, so that who hears it reads the new values. */
static void on_signal(Guest *guest, GuestSignal signal, const char *text, uint64_t number, void *userdata)
{
    VM *vm = userdata;
    Manager *manager = vm->source->manager;

    if (!vm->published || !manager->observer || !manager->observer->guest_signal)
        return;
    if (vm->guest_changes)
        manager_flush(manager);
    manager->observer->guest_signal(vm, signal, text, number, manager->observer_userdata);
}

static const GuestObserver observer = {on_changed, on_signal};

void vm_guest_new(VM *vm)
{
    vm->guest = guest_new(&observer, vm);
    power_vm_new(vm);
}

void vm_guest_free(VM *vm)
{
    guest_poll_free(vm);
    guest_lease_free(vm);
    ovirt_channel_free(vm->ovirt_channel);
    guest_free(vm->guest);
}

static void set_macs(VM *vm)
{
    g_autofree const char **macs = g_new0(const char *, vm->details->nics->len + 1);

    for (guint i = 0; i < vm->details->nics->len; i++)
        macs[i] = vm->details->nics->pdata[i];
    guest_set_own_macs(vm->guest, macs);
}

/* `seen`: the guest was seen to open or close its side; else it was so before we looked. */
static void set_agent(VM *vm, bool connected, bool seen)
{
    /* A read-only connection can't speak to agents, so none is published as there. */
    if (vm->source->config->read_only || connected == guest_has_agent(vm->guest, GUEST_ORIGIN_QEMU_GA))
        return;
    if (connected)
        guest_agent_connected(vm->guest, GUEST_ORIGIN_QEMU_GA, seen, manager_now());
    else
        guest_agent_disconnected(vm->guest, GUEST_ORIGIN_QEMU_GA, seen, manager_now());
}

void vm_guest_details(VM *vm)
{
    set_macs(vm);
    for (guint i = 0; i < vm->details->channels->len; i++) {
        const VMChannel *channel = vm->details->channels->pdata[i];

        if (g_str_equal(channel->name, QEMU_GA_CHANNEL))
            set_agent(vm, channel->connected && vm->state != VM_SHUT_OFF, false);
    }
    guest_poll_update(vm, false);
    ovirt_channel_update(vm);
}

void vm_guest_keep_agent(const VM *vm, VMDetails *details)
{
    for (guint i = 0; i < details->channels->len; i++) {
        VMChannel *channel = details->channels->pdata[i];

        if (g_str_equal(channel->name, QEMU_GA_CHANNEL))
            channel->connected = guest_has_agent(vm->guest, GUEST_ORIGIN_QEMU_GA);
    }
}

/* A guest that came by migration or from a saved image has its channel open from the start: it did not boot.
 */
void vm_guest_agent_event(VM *vm, int state, int reason)
{
    bool seen = reason == VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL;

    vm->agent_events++;
    set_agent(vm, state == VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED, seen);
    guest_poll_update(vm, true);
}

void vm_guest_rebooted(VM *vm)
{
    guest_forget_reboot(vm->guest, manager_now());
    guest_poll_restart(vm);
    ovirt_channel_rebooted(vm);
}

void vm_guest_state_changed(VM *vm)
{
    if (vm->state == VM_SHUT_OFF) {
        guest_stop(vm->guest, g_str_equal(vm->state_reason, "saved"), manager_now());
        guest_poll_restart(vm);
        power_vm_stopped(vm);
    } else if (vm->state == VM_RUNNING && g_str_equal(vm->state_reason, "booted"))
        guest_boot(vm->guest);
    guest_poll_update(vm, false);
    ovirt_channel_update(vm);
}

void vm_guest_lost(VM *vm)
{
    guest_agent_disconnected(vm->guest, GUEST_ORIGIN_QEMU_GA, false, manager_now());
    ovirt_channel_update(vm);
}
