/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/text.h"

#define OURS "org.guestbus1.Error."
#define STANDARD "org.freedesktop.DBus.Error."

typedef struct Cure {
    const char *error; /* a name, or the beginning of one when it ends in a dot */
    int status;
    const char *advice; /* what to do, or NULL where the message says it all */
} Cure;

static const char *const ADVICE_SERVICE =
    "is the service installed and running? 'systemctl status guestbusd' tells";

static const Cure cures[] = {
    {OURS "NoSuchVM", CTL_NOT_FOUND, "'guestbusctl list' shows what there is"},
    {OURS "AmbiguousName", CTL_NOT_FOUND, "write SOURCE/NAME or the UUID"},
    {OURS "NoSuchSource", CTL_NOT_FOUND, "'guestbusctl sources' shows what there is"},
    {OURS "SourceDisconnected", CTL_FAILED, "'guestbusctl sources' says why"},
    {OURS "NotRunning", CTL_FAILED, NULL},
    {OURS "AlreadyRunning", CTL_FAILED, NULL},
    {OURS "NotSupported", CTL_FAILED, NULL},
    {OURS "AgentNotConnected", CTL_FAILED, "is an agent (qemu-guest-agent) running in the guest?"},
    {OURS "AgentUnresponsive", CTL_FAILED, "try again, or do without the agent"},
    {OURS "GuestRefused", CTL_FAILED, NULL},
    {OURS "InvalidArgument", CTL_FAILED, NULL},
    {OURS "Busy", CTL_FAILED, NULL},
    {OURS "Timeout", CTL_FAILED, "it may still happen: 'guestbusctl show' tells"},
    {OURS "RateLimited", CTL_FAILED, "try again in a moment"},
    {OURS "Hypervisor", CTL_FAILED, NULL},
    {STANDARD "AccessDenied", CTL_NOT_AUTHORIZED, "ask an administrator for a polkit rule, or use sudo"},
    {STANDARD "AuthFailed", CTL_NOT_AUTHORIZED, NULL},
    {STANDARD "InteractiveAuthorizationRequired", CTL_NOT_AUTHORIZED,
     "run it on a terminal, without --no-ask-password, or use sudo"},
    {STANDARD "UnknownObject", CTL_NOT_FOUND,
     "'guestbusctl list' shows what there is, and 'guestbusctl sources' the sources"},
    {STANDARD "ServiceUnknown", CTL_UNREACHABLE, ADVICE_SERVICE},
    {STANDARD "NameHasNoOwner", CTL_UNREACHABLE, ADVICE_SERVICE},
    {STANDARD "Spawn.", CTL_UNREACHABLE, ADVICE_SERVICE},
    {"org.freedesktop.systemd1.", CTL_UNREACHABLE, ADVICE_SERVICE},
    {STANDARD "Disconnected", CTL_UNREACHABLE, ADVICE_SERVICE},
    {STANDARD "NoReply", CTL_UNREACHABLE, ADVICE_SERVICE},
    {STANDARD "Timeout", CTL_UNREACHABLE, ADVICE_SERVICE},
    {STANDARD "UnknownMethod", CTL_FAILED, "are guestbusd and guestbusctl of the same version?"},
    {STANDARD "UnknownInterface", CTL_FAILED, "are guestbusd and guestbusctl of the same version?"},
};

void complain(const char *format, ...)
{
    g_autofree char *line = NULL, *clean = NULL;
    va_list args;

    va_start(args, format);
    line = g_strdup_vprintf(format, args);
    va_end(args);
    clean = text_escape(line);
    fprintf(stderr, "guestbusctl: %s\n", clean);
}

int complain_connection(const Ctl *ctl, int r)
{
    if (ctl->host)
        complain("%s cannot be reached: %s; does 'ssh %s systemd-stdio-bridge' work?", ctl->host,
                 g_strerror(-r), ctl->host);
    else
        complain("the system bus cannot be reached: %s; is dbus running?", g_strerror(-r));
    return CTL_UNREACHABLE;
}

static const Cure *cure_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cures); i++) {
        const char *error = cures[i].error;

        if (g_str_has_suffix(error, ".") ? g_str_has_prefix(name, error) : strcmp(name, error) == 0)
            return &cures[i];
    }
    return NULL;
}

/* The bus itself refuses those who may not talk to the service at all; polkit's refusals come from the
 * service. Only the text tells them apart once the reply has become an error. */
static bool error_is_bus_policy(const sd_bus_error *error)
{
    return sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) && error->message &&
           g_str_has_prefix(error->message, "Rejected send message");
}

/* The message without the VM's name that the service began it with: it stands there already, as the user
 * wrote it. */
static const char *message_after_subject(const char *message, const char *subject)
{
    const char *slash = subject ? strrchr(subject, '/') : NULL;
    const char *name = slash ? slash + 1 : subject;
    size_t length = name ? strlen(name) : 0;

    if (length > 0 && strncmp(message, name, length) == 0 && g_str_has_prefix(message + length, ": "))
        return message + length + 2;
    return message;
}

int complain_call(const Ctl *ctl, const char *subject, const sd_bus_error *error, int r)
{
    g_autofree char *prefix = subject ? g_strdup_printf("%s: ", subject) : g_strdup("");
    const char *name = error->name ? error->name : "";
    const char *message = error->message && *error->message ? error->message : g_strerror(-r);
    const Cure *cure = cure_find(name);

    if (error_is_bus_policy(error)) {
        complain("you may not talk to guestbusd; members of the groups guestbus and libvirt may, and root");
        return CTL_NOT_AUTHORIZED;
    }
    if (!cure && (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE))
        return complain_connection(ctl, r);
    if (subject && sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT))
        message = "there is no such object"; /* the bus library's message names a path that nobody typed */
    message = message_after_subject(message, subject);
    if (cure && cure->advice)
        complain("%s%s; %s", prefix, message, cure->advice);
    else
        complain("%s%s", prefix, message);
    return cure ? cure->status : CTL_FAILED;
}

int complain_internal(int r)
{
    complain("the reply cannot be used: %s", g_strerror(-r));
    return CTL_FAILED;
}
