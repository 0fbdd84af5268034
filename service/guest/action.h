/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/error.h"
#include "service/vm.h"

/* What can be asked of the inside of a VM at once. All end the same way: 0, and `done` is called once, later,
 * in the loop, also when the VM goes meanwhile; or -1 with `failure` set and no call. That it is done means
 * that the agent was told, not that it obeyed: no agent answers. */

/* `failure` is FAILURE_NONE when it went well; valid during the call. */
typedef void (*ActionDone)(const Failure *failure, void *userdata);

int action_lock_screen(VM *vm, ActionDone done, void *userdata, Failure *failure);
int action_log_off(VM *vm, ActionDone done, void *userdata, Failure *failure);

/* `user` as "user" or "user@domain". The password is copied into the command's own buffer and nowhere else.
 */
int action_login(VM *vm, const char *user, const char *password, ActionDone done, void *userdata,
                 Failure *failure);

/* Asks every agent that is there for everything; done when they answered. */
int action_refresh(VM *vm, ActionDone done, void *userdata, Failure *failure);

/* Whether the VM's guest can be spoken to at all: it runs, and its source is connected. Sets `failure` if
 * not. */
bool action_possible(const VM *vm, Failure *failure);
