/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/vm.h"

/* Where what libvirt tells of a VM meets the model of its inside. */

/* Sets vm->guest. */
void vm_guest_new(VM *vm);
void vm_guest_free(VM *vm);

/* The definition was read: NICs and channels may be others. */
void vm_guest_details(VM *vm);
/* libvirt's agent life-cycle event: state and reason are its numbers. */
void vm_guest_agent_event(VM *vm, int state, int reason);
void vm_guest_rebooted(VM *vm);
/* The connection to the hypervisor is lost: nothing is heard of the agents. */
void vm_guest_lost(VM *vm);
/* The VM's state is another one. */
void vm_guest_state_changed(VM *vm);
/* A definition that was read before libvirt last told of the agent's channel is older than that. */
void vm_guest_keep_agent(const VM *vm, VMDetails *details);
