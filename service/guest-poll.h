/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/error.h"
#include "service/vm.h"

/* Asks the qemu-ga of each running VM what it has to say, when it is due: service/guest/pace.h has the
 * arithmetic, guest-query.h the questions. Nothing is asked while no agent is connected, and a VM never has
 * more than one question under way. */

/* An agent that has not answered yet, or not lately, may cost a worker its whole timeout: so many of a
 * source's AGENT_THREADS at most wait for such ones, and at least one is always there for those that answer.
 */
#define SUSPECTS_MAX 2

/* A method's caller is answered within 20 s. */
#define GUEST_REFRESH_DEADLINE_USEC (20 * 1000000ULL)
#define GUEST_REFRESHES_MAX 64 /* callers that wait for one VM */

/* `failure` is FAILURE_NONE when the agent answered; valid during the call. */
typedef void (*GuestRefreshDone)(const Failure *failure, void *userdata);

/* Something changed on which asking depends: the agent's channel, the VM's state, its source. `seen`: the
 * guest was seen to open its channel just now, so that it is asked at once; else a VM waits its part of a
 * moment that grows with the number of VMs. */
void guest_poll_update(VM *vm, bool seen);

/* The guest was reset, or stopped: what is under way is the old run's, and is dropped when it comes. */
void guest_poll_restart(VM *vm);

/* Asks for everything now. Returns 0, and `done` is called once, later, in the loop; or -1 with `failure` set
 * and no call. */
int guest_poll_refresh(VM *vm, GuestRefreshDone done, void *userdata, Failure *failure);

void guest_poll_free(VM *vm);

/* The source's connection is gone. */
void guest_polls_drop(Source *source);
