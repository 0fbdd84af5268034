/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* What an oVirt agent is told: one line each, pure ASCII, written as the agent's own side writes (member
 * order and spacing included), so that no agent sees a form it was never tried with. One line may hold a
 * password: all are built in a buffer that never moves, and wiped when freed. */

typedef struct OvirtCommand {
    size_t length; /* bytes, the LF included */
    size_t sent;   /* of these, how many are on their way: the writer's own */
    size_t size;   /* of the buffer */
    char text[];
} OvirtCommand;

/* Wipes and frees; NULL is ignored. */
void ovirt_command_free(OvirtCommand *command);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OvirtCommand, ovirt_command_free)

/* Asks for everything; `api_version` is the highest that we speak. */
OvirtCommand *ovirt_command_refresh(int api_version);

/* Settles the version: the agent answers a new one with everything, too. */
OvirtCommand *ovirt_command_api_version(int api_version);

OvirtCommand *ovirt_command_lock_screen(void);
OvirtCommand *ovirt_command_log_off(void);

/* `user` as "user" or "user@domain". Both must be valid UTF-8. */
OvirtCommand *ovirt_command_login(const char *user, const char *password);

/* Shutdown, or reboot, in `timeout` seconds (Linux agents round up to minutes). */
OvirtCommand *ovirt_command_shutdown(uint32_t timeout, const char *message, bool reboot);
