/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/remote.h"

/* The remote side gives the command to a shell: each word is quoted for it. */
static void command_add(GString *command, const char *word)
{
    g_autofree char *quoted = g_shell_quote(word);

    g_string_append_printf(command, "%s%s", command->len ? " " : "", quoted);
}

static char *command_build(const Ctl *ctl, const char *verb, const char *vm, const char *argument)
{
    GString *command = g_string_new("guestbusctl");

    if (!ctl->ask_password)
        command_add(command, "--no-ask-password");
    if (ctl->options & OPTION_FORCE)
        command_add(command, "--force");
    if (ctl->device) {
        command_add(command, "--device");
        command_add(command, ctl->device);
    }
    command_add(command, verb);
    command_add(command, "--");
    command_add(command, vm);
    if (argument)
        command_add(command, argument);
    return g_string_free(command, FALSE);
}

/* Splits "user@host:port" as -H understands it: a colon in brackets belongs to an IPv6 address. */
static char *host_split(const char *host, const char **ret_port)
{
    const char *colon = strrchr(host, ':'), *bracket = strrchr(host, ']');

    *ret_port = NULL;
    if (!colon || (bracket && colon < bracket) || (!bracket && strchr(host, ':') != colon))
        return g_strdup(host);
    *ret_port = colon + 1;
    return g_strndup(host, (gsize)(colon - host));
}

int remote_run(const Ctl *ctl, const char *verb, const char *vm, const char *argument)
{
    g_autofree char *command = command_build(ctl, verb, vm, argument), *host = NULL;
    const char *port;
    const char *words[8];
    size_t n = 0;

    host = host_split(ctl->host, &port);
    words[n++] = "ssh";
    /* A console needs a terminal on the other side; bytes of a display must pass unchanged. */
    words[n++] = isatty(STDIN_FILENO) && g_str_equal(verb, "console") ? "-t" : "-T";
    if (port) {
        words[n++] = "-p";
        words[n++] = port;
    }
    words[n++] = "--";
    words[n++] = host;
    words[n++] = command;
    words[n] = NULL;
    execvp("ssh", (char *const *)words);
    complain("ssh cannot be started: %s", g_strerror(errno));
    return CTL_UNREACHABLE;
}
