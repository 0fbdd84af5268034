/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/ovirt-channel.h"

void ovirt_channel_update(VM *vm)
{
}

void ovirt_channel_rebooted(VM *vm)
{
}

void ovirt_channel_free(OvirtChannel *channel)
{
}

bool ovirt_channel_ready(const VM *vm)
{
    return false;
}

int ovirt_channel_send(VM *vm, OvirtCommand *command, ActionDone done, void *userdata, Failure *failure)
{
    ovirt_command_free(command);
    failure_set(failure, FAILURE_AGENT_NOT_CONNECTED, "%s: no oVirt agent is connected", vm->name);
    return -1;
}

int ovirt_channel_refresh(VM *vm, ActionDone done, void *userdata, Failure *failure)
{
    failure_set(failure, FAILURE_AGENT_NOT_CONNECTED, "%s: no agent is connected", vm->name);
    return -1;
}
