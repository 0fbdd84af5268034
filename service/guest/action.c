/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/action.h"

#include "service/guest-poll.h"
#include "service/guest/guest.h"
#include "service/guest/ovirt-channel.h"
#include "service/source.h"

bool action_possible(const VM *vm, Failure *failure)
{
    if (!vm->source->connected)
        failure_set(failure, FAILURE_SOURCE_DISCONNECTED, "%s: its source %s is not connected (%s)", vm->name,
                    vm->source->config->label, vm->source->last_error);
    else if (!vm_is_active(vm))
        failure_set(failure, FAILURE_NOT_RUNNING, "%s does not run", vm->name);
    else
        return true;
    return false;
}

/* What only the oVirt agent can do. */
static int session_action(VM *vm, OvirtCommand *command, const char *what, ActionDone done, void *userdata,
                          Failure *failure)
{
    g_autoptr(OvirtCommand) owned = command;

    if (!action_possible(vm, failure))
        return -1;
    if (!ovirt_channel_is_ours(vm) && guest_has_agent(vm->guest, GUEST_ORIGIN_QEMU_GA)) {
        failure_set(failure, FAILURE_NOT_SUPPORTED,
                    "%s: its agent, qemu-ga, cannot %s; it takes an oVirt agent in the guest", vm->name,
                    what);
        return -1;
    }
    return ovirt_channel_send(vm, g_steal_pointer(&owned), done, userdata, failure);
}

int action_lock_screen(VM *vm, ActionDone done, void *userdata, Failure *failure)
{
    return session_action(vm, ovirt_command_lock_screen(), "lock the screen", done, userdata, failure);
}

int action_log_off(VM *vm, ActionDone done, void *userdata, Failure *failure)
{
    return session_action(vm, ovirt_command_log_off(), "log a user off", done, userdata, failure);
}

int action_login(VM *vm, const char *user, const char *password, ActionDone done, void *userdata,
                 Failure *failure)
{
    return session_action(vm, ovirt_command_login(user, password), "log a user in", done, userdata, failure);
}

/* Two agents are asked; the caller hears when both have answered, of the first failure if there is one. */
typedef struct Refresh {
    unsigned left;
    Failure failure;
    ActionDone done;
    void *userdata;
} Refresh;

static void on_refreshed(const Failure *failure, void *userdata)
{
    Refresh *refresh = userdata;

    if (failure->kind != FAILURE_NONE && refresh->failure.kind == FAILURE_NONE)
        failure_set(&refresh->failure, failure->kind, "%s", failure->message);
    if (--refresh->left > 0)
        return;
    refresh->done(&refresh->failure, refresh->userdata);
    failure_clear(&refresh->failure);
    g_free(refresh);
}

static int refresh_both(VM *vm, ActionDone done, void *userdata, Failure *failure)
{
    Refresh *refresh = g_new0(Refresh, 1);

    refresh->done = done;
    refresh->userdata = userdata;
    refresh->left = 2;
    if (guest_poll_refresh(vm, on_refreshed, refresh, failure) < 0) {
        g_free(refresh);
        return -1;
    }
    if (ovirt_channel_refresh(vm, on_refreshed, refresh, failure) < 0) {
        on_refreshed(failure, refresh);
        failure_clear(failure);
    }
    return 0;
}

int action_refresh(VM *vm, ActionDone done, void *userdata, Failure *failure)
{
    if (!action_possible(vm, failure))
        return -1;
    if (!ovirt_channel_ready(vm))
        return guest_poll_refresh(vm, done, userdata, failure);
    if (!guest_has_agent(vm->guest, GUEST_ORIGIN_QEMU_GA))
        return ovirt_channel_refresh(vm, done, userdata, failure);
    return refresh_both(vm, done, userdata, failure);
}
