/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/guest/action.h"
#include "service/guest/ovirt-command.h"

/* One VM's oVirt channel: when it is opened, kept and opened again. */
typedef struct OvirtChannel OvirtChannel;

/* The VM's definition, state or source changed: opens or closes the channel as it has to be. */
void ovirt_channel_update(VM *vm);

/* The guest was reset; the channel stays. */
void ovirt_channel_rebooted(VM *vm);

void ovirt_channel_free(OvirtChannel *channel);

/* Whether the VM has a channel that we open or will open, an agent behind it or not. */
bool ovirt_channel_is_ours(const VM *vm);

/* Whether an agent is there that may be told to do something. */
bool ovirt_channel_ready(const VM *vm);

/* Sends a command (which it takes over, and frees in any case) if the agent is there; as the functions of
 * action.h. */
int ovirt_channel_send(VM *vm, OvirtCommand *command, ActionDone done, void *userdata, Failure *failure);

/* Asks the agent for everything; done when it answered. */
int ovirt_channel_refresh(VM *vm, ActionDone done, void *userdata, Failure *failure);
