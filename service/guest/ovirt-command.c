/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/ovirt-command.h"

#include <stdio.h>
#include <string.h>

enum {
    FRAME_MAX = 128, /* names, punctuation and numbers of any command */
    ESCAPE_MAX = 6,  /* bytes that one byte of text becomes at most: "\u0001" */
};

static OvirtCommand *command_new(size_t text_bytes)
{
    size_t size = FRAME_MAX + text_bytes * ESCAPE_MAX;
    OvirtCommand *command = g_malloc0(sizeof(OvirtCommand) + size);

    command->size = size;
    return command;
}

void ovirt_command_free(OvirtCommand *command)
{
    if (!command)
        return;
    explicit_bzero(command->text, command->size);
    g_free(command);
}

static void put(OvirtCommand *command, const char *text)
{
    size_t length = strlen(text);

    g_assert(command->length + length < command->size);
    memcpy(command->text + command->length, text, length);
    command->length += length;
}

static void put_unit(OvirtCommand *command, unsigned unit)
{
    char escape[ESCAPE_MAX + 1];

    snprintf(escape, sizeof(escape), "\\u%04x", unit & 0xffff);
    put(command, escape);
    explicit_bzero(escape, sizeof(escape));
}

static void put_char(OvirtCommand *command, gunichar c)
{
    static const struct {
        char c;
        const char *escape;
    } named[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\r', "\\r"},
                 {'\t', "\\t"}, {'\f', "\\f"},  {'\b', "\\b"}};

    for (unsigned i = 0; i < G_N_ELEMENTS(named); i++)
        if (c == (gunichar)named[i].c) {
            put(command, named[i].escape);
            return;
        }
    if (c >= 0x10000) {
        put_unit(command, 0xd800 + ((c - 0x10000) >> 10));
        put_unit(command, 0xdc00 + ((c - 0x10000) & 0x3ff));
    } else if (c < 0x20 || c > 0x7f)
        put_unit(command, c);
    else
        put(command, (const char[]){(char)c, '\0'});
}

static void put_string(OvirtCommand *command, const char *text)
{
    put(command, "\"");
    for (; *text; text = g_utf8_next_char(text))
        put_char(command, g_utf8_get_char(text));
    put(command, "\"");
}

/* The name comes last, as the agent's peers write it. */
static OvirtCommand *command_end(OvirtCommand *command, const char *name)
{
    put(command, command->length ? ", \"__name__\": \"" : "{\"__name__\": \"");
    put(command, name);
    put(command, "\"}\n");
    return command;
}

static OvirtCommand *versioned(const char *name, int api_version)
{
    OvirtCommand *command = command_new(0);
    char number[16];

    snprintf(number, sizeof(number), "%d", api_version);
    put(command, "{\"apiVersion\": ");
    put(command, number);
    return command_end(command, name);
}

OvirtCommand *ovirt_command_refresh(int api_version)
{
    return versioned("refresh", api_version);
}

OvirtCommand *ovirt_command_api_version(int api_version)
{
    return versioned("api-version", api_version);
}

OvirtCommand *ovirt_command_lock_screen(void)
{
    return command_end(command_new(0), "lock-screen");
}

OvirtCommand *ovirt_command_log_off(void)
{
    return command_end(command_new(0), "log-off");
}

OvirtCommand *ovirt_command_login(const char *user, const char *password)
{
    OvirtCommand *command = command_new(strlen(user) + strlen(password));

    put(command, "{\"username\": ");
    put_string(command, user);
    put(command, ", \"password\": ");
    put_string(command, password);
    return command_end(command, "login");
}

OvirtCommand *ovirt_command_shutdown(uint32_t timeout, const char *message, bool reboot)
{
    OvirtCommand *command = command_new(strlen(message));
    char number[16];

    snprintf(number, sizeof(number), "%u", timeout);
    put(command, "{\"timeout\": ");
    put(command, number);
    put(command, ", \"message\": ");
    put_string(command, message);
    /* A string, not a boolean: agents fail on true, take that for no, and power off instead of rebooting. */
    put(command, reboot ? ", \"reboot\": \"True\"" : ", \"reboot\": \"False\"");
    return command_end(command, "shutdown");
}
