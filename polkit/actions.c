/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit/actions.h"

#include <stddef.h>
#include <string.h>

typedef struct MethodAction {
    const char *interface;
    const char *member;
    const char *action;
} MethodAction;

/* The one table of who is asked for what. A method that is missing here is refused to everybody, root too, so
 * that a new method cannot be forgotten; the actions are declared in org.guestbus1.policy. */
static const MethodAction method_actions[] = {
    {"org.guestbus1.Manager", "ListVMs", ACTION_FREE},
    {"org.guestbus1.Manager", "GetVM", ACTION_FREE},
    {"org.guestbus1.Manager", "Reload", "org.guestbus1.manage"},

    {"org.guestbus1.Source", "Reconnect", "org.guestbus1.manage"},

    {"org.guestbus1.VM", "Start", "org.guestbus1.vm.start"},
    {"org.guestbus1.VM", "Wakeup", "org.guestbus1.vm.start"},
    {"org.guestbus1.VM", "Shutdown", "org.guestbus1.vm.shutdown"},
    {"org.guestbus1.VM", "Reboot", "org.guestbus1.vm.shutdown"},
    {"org.guestbus1.VM", "Reset", "org.guestbus1.vm.force-off"},
    {"org.guestbus1.VM", "ForceOff", "org.guestbus1.vm.force-off"},
    {"org.guestbus1.VM", "Pause", "org.guestbus1.vm.pause"},
    {"org.guestbus1.VM", "Resume", "org.guestbus1.vm.pause"},
    {"org.guestbus1.VM", "Save", "org.guestbus1.vm.pause"},
    {"org.guestbus1.VM", "SetMemory", "org.guestbus1.vm.configure"},
    {"org.guestbus1.VM", "SetAutostart", "org.guestbus1.vm.configure"},
    {"org.guestbus1.VM", "OpenGraphics", "org.guestbus1.vm.console"},
    {"org.guestbus1.VM", "OpenConsole", "org.guestbus1.vm.console"},
    /* Without the option "secrets" its handler does not ask. */
    {"org.guestbus1.VM", "GetXML", "org.guestbus1.vm.read-xml"},

    {"org.guestbus1.Guest", "LockScreen", "org.guestbus1.guest.session"},
    {"org.guestbus1.Guest", "Logoff", "org.guestbus1.guest.session"},
    {"org.guestbus1.Guest", "Login", "org.guestbus1.guest.login"},
    {"org.guestbus1.Guest", "Shutdown", "org.guestbus1.vm.shutdown"},
    {"org.guestbus1.Guest", "Reboot", "org.guestbus1.vm.shutdown"},
    {"org.guestbus1.Guest", "CancelShutdown", "org.guestbus1.vm.shutdown"},
    {"org.guestbus1.Guest", "Refresh", "org.guestbus1.guest.refresh"},

    {"org.guestbus1.Reporter", "GetAssociation", "org.guestbus1.reporter.read"},
    {"org.guestbus1.Reporter", "Report", "org.guestbus1.reporter.report"},
    {"org.guestbus1.Reporter", "TestConnections", "org.guestbus1.reporter.report"},
    {"org.guestbus1.Reporter", "Reload", "org.guestbus1.manage"},
};

const char *action_for_method(const char *interface, const char *member)
{
    if (!interface || !member)
        return NULL;
    for (size_t i = 0; i < sizeof method_actions / sizeof method_actions[0]; i++)
        if (strcmp(method_actions[i].member, member) == 0 &&
            strcmp(method_actions[i].interface, interface) == 0)
            return method_actions[i].action;
    return NULL;
}
