/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/guest/action.h"

typedef struct Manager Manager;
typedef struct Power Power;

/* Shutdown and reboot from the inside: now or later, by the agent that can do it best. */

typedef struct PowerRequest {
    bool reboot;
    uint32_t delay;      /* seconds */
    const char *message; /* for the people inside, or "" */
    bool guest_delay;    /* the agent keeps the delay, and cannot be called back */
} PowerRequest;

/* Reads what was scheduled before a restart, in $STATE_DIRECTORY. Never fails: without the directory nothing
 * can be scheduled, which is said when it is tried. */
Power *power_new(Manager *manager);
void power_free(Power *power);

/* As the functions of action.h. A delay that the service keeps is done with when it is on disk. */
int power_request(VM *vm, const PowerRequest *request, ActionDone done, void *userdata, Failure *failure);

/* Cancels what is scheduled. Returns 0, or -1 with `failure` set. */
int power_cancel(VM *vm, Failure *failure);

/* A VM is new here: shows what is scheduled for it. */
void power_vm_new(VM *vm);

/* This run of the VM is over, and with it what was scheduled for it. */
void power_vm_stopped(VM *vm);
