/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/guestbusctl/action.h"
#include "cli/guestbusctl/console.h"
#include "cli/guestbusctl/events.h"
#include "cli/guestbusctl/list.h"
#include "cli/guestbusctl/report.h"
#include "cli/guestbusctl/show.h"
#include "cli/guestbusctl/target.h"
#include "cli/guestbusctl/verb.h"

/* clang-format off */
static const Verb verbs[] = {
    {"", .help = "Looking"},
    {"list", 0, -1, 0, false, list_vms_verb, "[PATTERN...]", "all VMs, or those with such names (the default)"},
    {"show", 1, -1, OPTION_ALL, false, show_verb, "VM...", "all that is known of a VM and its guest"},
    {"sources", 0, -1, 0, false, list_sources_verb, "[PATTERN...]", "the libvirt connections"},
    {"xml", 1, 1, OPTION_INACTIVE | OPTION_SECRETS, false, show_xml_verb, "VM", "its definition for libvirt"},
    {"events", 0, -1, OPTION_QMP, false, events_verb, "[VM...]", "changes and signals, as they happen"},
    {"", .help = "Acting on VMs"},
    {"start", 1, -1, OPTION_PAUSED | OPTION_BYPASS_SAVED, false, action_verb, "VM...", "turn on"},
    {"shutdown", 1, -1, OPTION_MODE, false, action_verb, "VM...", "ask the guest to shut down"},
    {"reboot", 1, -1, OPTION_MODE, false, action_verb, "VM...", "ask the guest to reboot"},
    {"reset", 1, -1, 0, false, action_verb, "VM...", "reset at once; data can be lost"},
    {"force-off", 1, -1, 0, false, action_verb, "VM...", "turn off at once; data can be lost"},
    {"pause", 1, -1, 0, false, action_verb, "VM...", "stop the processors"},
    {"resume", 1, -1, 0, false, action_verb, "VM...", "let a paused VM run on"},
    {"wakeup", 1, -1, 0, false, action_verb, "VM...", "wake a guest that suspended itself"},
    {"save", 1, -1, 0, false, action_verb, "VM...", "write the memory to disk and turn off"},
    {"set-memory", 2, 2, 0, false, action_set_memory_verb, "VM SIZE", "as 512M or 2G"},
    {"autostart", 2, 2, 0, false, action_autostart_verb, "VM on|off", "start together with the host"},
    {"console", 1, 1, OPTION_FORCE | OPTION_DEVICE, true, console_verb, "VM", "the serial console; ^] leaves"},
    {"graphics", 1, 2, 0, true, console_graphics_verb, "VM [INDEX]", "a display, on standard input and output"},
    {"", .help = "Acting inside of guests"},
    {"guest-shutdown", 1, -1, OPTION_DELAY | OPTION_MESSAGE | OPTION_GUEST_DELAY, false, action_verb,
     "VM...", "shut down, with a delay and a message"},
    {"guest-reboot", 1, -1, OPTION_DELAY | OPTION_MESSAGE | OPTION_GUEST_DELAY, false, action_verb,
     "VM...", "reboot, with a delay and a message"},
    {"cancel-shutdown", 1, -1, 0, false, action_verb, "VM...", "cancel what these two scheduled"},
    {"lock", 1, -1, 0, false, action_verb, "VM...", "lock the screen"},
    {"logoff", 1, -1, 0, false, action_verb, "VM...", "end the session on the screen"},
    {"login", 2, 2, 0, false, action_login_verb, "VM USER", "log in; the password is asked for or read"},
    {"refresh", 1, -1, 0, false, action_verb, "VM...", "ask the agents for everything now"},
    {"", .help = "The service and the reporter"},
    {"reload", 0, 0, 0, false, action_reload_verb, "", "read the configuration again"},
    {"reconnect", 1, 1, 0, false, action_reconnect_verb, "SOURCE", "try to connect now"},
    {"report", 0, 2, OPTION_TEST, false, report_verb, "[WHAT] [MAPPING]",
     "WHAT: status (the default), send, show, reload"},
    {"complete", 1, 1, 0, true, target_complete, NULL, NULL},
};
/* clang-format on */

const Verb *verb_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
        if (verbs[i].run && strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    }
    return NULL;
}

void verb_help(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
        const Verb *verb = &verbs[i];
        g_autofree char *usage = NULL;

        if (!verb->help)
            continue;
        if (!verb->run) {
            printf("\n%s:\n", verb->help);
            continue;
        }
        usage = g_strconcat(verb->name, " ", verb->arguments, NULL);
        printf("  %-26s %s\n", usage, verb->help);
    }
}
