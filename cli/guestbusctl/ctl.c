/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <unistd.h>

#include "cli/guestbusctl/agent.h"
#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/ctl.h"

/* Longer than the 20 seconds in which the service answers, with some waiting in its queues before that. */
#define CALL_TIMEOUT_USEC (60 * UINT64_C(1000000))

int ctl_open(Ctl *ctl)
{
    int r;

    if (ctl->bus)
        return CTL_OK;
    if (ctl->host)
        r = sd_bus_open_system_remote(&ctl->bus, ctl->host);
    else
        r = sd_bus_open_system(&ctl->bus);
    if (r < 0)
        return complain_connection(ctl, r);
    return CTL_OK;
}

void ctl_close(Ctl *ctl)
{
    agent_stop();
    ctl->bus = sd_bus_flush_close_unref(ctl->bus);
}

int ctl_new_call(Ctl *ctl, const char *path, const char *interface, const char *member, sd_bus_message **ret)
{
    int r = sd_bus_message_new_method_call(ctl->bus, ret, BUS_NAME, path, interface, member);

    if (r < 0)
        return r;
    return sd_bus_message_set_allow_interactive_authorization(*ret, ctl->ask_password);
}

int ctl_send(Ctl *ctl, sd_bus_message *call, sd_bus_message **ret_reply, sd_bus_error *error)
{
    if (ctl->ask_password && !ctl->host)
        agent_start();
    return sd_bus_call(ctl->bus, call, ctl->ask_password ? UINT64_MAX : CALL_TIMEOUT_USEC, error, ret_reply);
}
