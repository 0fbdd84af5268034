/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "cli/guestbusctl/action.h"
#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/password.h"
#include "cli/guestbusctl/target.h"
#include "cli/guestbusctl/text.h"
#include "service/cleanup.h"

#define IFACE_VM BUS_INTERFACE("VM")
#define IFACE_GUEST BUS_INTERFACE("Guest")

/* What stands before the options in a method's arguments. */
typedef enum ActionArguments { ARGUMENTS_NONE, ARGUMENTS_MODE, ARGUMENTS_DELAY } ActionArguments;

typedef struct Action {
    const char *verb;
    const char *interface;
    const char *method;
    ActionArguments arguments;
} Action;

static const Action actions[] = {
    {"start", IFACE_VM, "Start", ARGUMENTS_NONE},
    {"shutdown", IFACE_VM, "Shutdown", ARGUMENTS_MODE},
    {"reboot", IFACE_VM, "Reboot", ARGUMENTS_MODE},
    {"reset", IFACE_VM, "Reset", ARGUMENTS_NONE},
    {"force-off", IFACE_VM, "ForceOff", ARGUMENTS_NONE},
    {"pause", IFACE_VM, "Pause", ARGUMENTS_NONE},
    {"resume", IFACE_VM, "Resume", ARGUMENTS_NONE},
    {"wakeup", IFACE_VM, "Wakeup", ARGUMENTS_NONE},
    {"save", IFACE_VM, "Save", ARGUMENTS_NONE},
    {"lock", IFACE_GUEST, "LockScreen", ARGUMENTS_NONE},
    {"logoff", IFACE_GUEST, "Logoff", ARGUMENTS_NONE},
    {"guest-shutdown", IFACE_GUEST, "Shutdown", ARGUMENTS_DELAY},
    {"guest-reboot", IFACE_GUEST, "Reboot", ARGUMENTS_DELAY},
    {"cancel-shutdown", IFACE_GUEST, "CancelShutdown", ARGUMENTS_NONE},
    {"refresh", IFACE_GUEST, "Refresh", ARGUMENTS_NONE},
};

/* Command line options that are options of the method too. */
static const struct {
    CtlOption option;
    const char *key;
} method_options[] = {
    {OPTION_PAUSED, "paused"},
    {OPTION_BYPASS_SAVED, "bypass-saved"},
    {OPTION_GUEST_DELAY, "guest-delay"},
};

static int options_append(const Ctl *ctl, sd_bus_message *call)
{
    int r;

    r = sd_bus_message_open_container(call, 'a', "{sv}");
    for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(method_options); i++) {
        if (ctl->options & method_options[i].option)
            r = sd_bus_message_append(call, "{sv}", method_options[i].key, "b", true);
    }
    return r < 0 ? r : sd_bus_message_close_container(call);
}

static int arguments_append(const Ctl *ctl, ActionArguments arguments, sd_bus_message *call)
{
    if (arguments == ARGUMENTS_MODE)
        return sd_bus_message_append(call, "s", ctl->mode ? ctl->mode : "");
    if (arguments == ARGUMENTS_DELAY)
        return sd_bus_message_append(call, "us", ctl->delay, ctl->message ? ctl->message : "");
    return 0;
}

static int action_send(Ctl *ctl, const char *subject, sd_bus_message *call)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r;

    r = ctl_send(ctl, call, NULL, &error);
    return r < 0 ? complain_call(ctl, subject, &error, r) : CTL_OK;
}

static int action_run(Ctl *ctl, const Action *action, const char *vm)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    g_autofree char *path = NULL;
    int r;

    r = target_vm(ctl, vm, &path);
    if (r != CTL_OK)
        return r;
    r = ctl_new_call(ctl, path, action->interface, action->method, &call);
    if (r >= 0)
        r = arguments_append(ctl, action->arguments, call);
    if (r >= 0)
        r = options_append(ctl, call);
    if (r < 0)
        return complain_internal(r);
    return action_send(ctl, vm, call);
}

static const Action *action_find(const char *verb)
{
    for (size_t i = 0; i < G_N_ELEMENTS(actions); i++) {
        if (strcmp(actions[i].verb, verb) == 0)
            return &actions[i];
    }
    return NULL;
}

int action_verb(Ctl *ctl, int argc, char **argv)
{
    const Action *action = action_find(argv[0]);
    int status = CTL_OK;

    for (int i = 1; i < argc; i++) {
        int r = action_run(ctl, action, argv[i]);

        if (status == CTL_OK)
            status = r;
        /* Without the service the others would only say the same again. */
        if (r == CTL_UNREACHABLE)
            break;
    }
    return status;
}

/* A call with one argument of a basic type before the options. */
static int action_set(Ctl *ctl, const char *vm, const char *method, char type, const void *value)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    g_autofree char *path = NULL;
    int r;

    r = target_vm(ctl, vm, &path);
    if (r != CTL_OK)
        return r;
    r = ctl_new_call(ctl, path, IFACE_VM, method, &call);
    if (r >= 0)
        r = sd_bus_message_append_basic(call, type, value);
    if (r >= 0)
        r = options_append(ctl, call);
    if (r < 0)
        return complain_internal(r);
    return action_send(ctl, vm, call);
}

int action_set_memory_verb(Ctl *ctl, int argc, char **argv)
{
    uint64_t bytes;

    if (text_parse_size(argv[2], &bytes) < 0) {
        complain("%s is not a size; write for example 512M or 2G", argv[2]);
        return CTL_USAGE;
    }
    return action_set(ctl, argv[1], "SetMemory", 't', &bytes);
}

int action_autostart_verb(Ctl *ctl, int argc, char **argv)
{
    bool on = g_str_equal(argv[2], "on") || g_str_equal(argv[2], "yes");
    bool off = g_str_equal(argv[2], "off") || g_str_equal(argv[2], "no");
    int value = on;

    if (!on && !off) {
        complain("%s is neither on nor off", argv[2]);
        return CTL_USAGE;
    }
    return action_set(ctl, argv[1], "SetAutostart", 'b', &value);
}

int action_login_verb(Ctl *ctl, int argc, char **argv)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    _cleanup_(password_clearp) char *password = NULL;
    g_autofree char *path = NULL;
    int r;

    r = target_vm(ctl, argv[1], &path);
    if (r != CTL_OK)
        return r;
    r = password_read(argv[2], argv[1], &password);
    if (r < 0) {
        complain("no password: %s", r == -ENODATA ? "the input is empty" : g_strerror(-r));
        return CTL_USAGE;
    }
    r = ctl_new_call(ctl, path, IFACE_GUEST, "Login", &call);
    if (r >= 0)
        r = sd_bus_message_sensitive(call);
    if (r >= 0)
        r = sd_bus_message_append(call, "ss", argv[2], password);
    if (r >= 0)
        r = options_append(ctl, call);
    if (r < 0)
        return complain_internal(r);
    return action_send(ctl, argv[1], call);
}

static int object_act(Ctl *ctl, const char *subject, const char *path, const char *interface,
                      const char *method)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    int r;

    r = ctl_new_call(ctl, path, interface, method, &call);
    if (r >= 0)
        r = options_append(ctl, call);
    if (r < 0)
        return complain_internal(r);
    return action_send(ctl, subject, call);
}

int action_reload_verb(Ctl *ctl, int argc, char **argv)
{
    return object_act(ctl, NULL, BUS_ROOT, BUS_INTERFACE("Manager"), "Reload");
}

int action_reconnect_verb(Ctl *ctl, int argc, char **argv)
{
    g_autofree char *path = NULL;
    int r;

    r = target_source(argv[1], &path);
    if (r != CTL_OK)
        return r;
    return object_act(ctl, argv[1], path, BUS_INTERFACE("Source"), "Reconnect");
}
