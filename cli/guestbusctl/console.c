/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/console.h"
#include "cli/guestbusctl/pump.h"
#include "cli/guestbusctl/remote.h"
#include "cli/guestbusctl/target.h"
#include "service/cleanup.h"

#define ESCAPE_CHARACTER 0x1d /* ^] */

/* The descriptor that a method replies with, as our own. */
static int descriptor_get(Ctl *ctl, const char *vm, sd_bus_message *call, int *ret_fd)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r, fd;

    r = ctl_send(ctl, call, &reply, &error);
    if (r < 0)
        return complain_call(ctl, vm, &error, r);
    r = sd_bus_message_read(reply, "h", &fd);
    if (r < 0)
        return complain_internal(r);
    *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return *ret_fd < 0 ? complain_internal(-errno) : CTL_OK;
}

static int console_open(Ctl *ctl, const char *vm, int *ret_fd)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    g_autofree char *path = NULL;
    int r;

    r = target_vm(ctl, vm, &path);
    if (r != CTL_OK)
        return r;
    r = ctl_new_call(ctl, path, BUS_INTERFACE("VM"), "OpenConsole", &call);
    if (r >= 0)
        r = sd_bus_message_append(call, "s", ctl->device ? ctl->device : "");
    if (r >= 0)
        r = ctl->options & OPTION_FORCE ? sd_bus_message_append(call, "a{sv}", 1, "force", "b", true)
                                        : sd_bus_message_append(call, "a{sv}", 0);
    if (r < 0)
        return complain_internal(r);
    return descriptor_get(ctl, vm, call, ret_fd);
}

/* The bus connection keeps its place while the console runs, and with it the service our claim on it. */
static int console_run(const char *vm, int fd)
{
    struct termios saved, raw;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &saved) == 0;
    int r;

    if (terminal) {
        fprintf(stderr, "Connected; ^] (control and ]) leaves.\r\n");
        raw = saved;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    r = pump_run(fd, terminal ? ESCAPE_CHARACTER : -1);
    if (terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
    if (r < 0) {
        complain("%s: the console broke off: %s", vm, g_strerror(-r));
        return CTL_FAILED;
    }
    if (terminal)
        fprintf(stderr, "\n%s\n", r == PUMP_CLOSED ? "The other side closed the console." : "Left.");
    return CTL_OK;
}

int console_verb(Ctl *ctl, int argc, char **argv)
{
    _cleanup_(closep) int fd = -1;
    int r;

    /* Descriptors do not travel over ssh: there the whole verb runs on the other side. */
    if (ctl->host)
        return remote_run(ctl, "console", argv[1], NULL);
    r = ctl_open(ctl);
    if (r == CTL_OK)
        r = console_open(ctl, argv[1], &fd);
    return r == CTL_OK ? console_run(argv[1], fd) : r;
}

static int graphics_open(Ctl *ctl, const char *vm, uint32_t index, int *ret_fd)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    g_autofree char *path = NULL;
    int r;

    r = target_vm(ctl, vm, &path);
    if (r != CTL_OK)
        return r;
    r = ctl_new_call(ctl, path, BUS_INTERFACE("VM"), "OpenGraphics", &call);
    if (r >= 0)
        r = sd_bus_message_append(call, "ua{sv}", index, 0);
    if (r < 0)
        return complain_internal(r);
    return descriptor_get(ctl, vm, call, ret_fd);
}

int console_graphics_verb(Ctl *ctl, int argc, char **argv)
{
    _cleanup_(closep) int fd = -1;
    uint64_t index = 0;
    int r;

    if (argc > 2 && !g_ascii_string_to_unsigned(argv[2], 10, 0, UINT32_MAX, &index, NULL)) {
        complain("%s is not the number of a display", argv[2]);
        return CTL_USAGE;
    }
    if (ctl->host)
        return remote_run(ctl, "graphics", argv[1], argv[2]);
    if (isatty(STDOUT_FILENO)) {
        complain(
            "this speaks VNC or SPICE, which a terminal cannot show; see guestbusctl(1) for how to use it");
        return CTL_USAGE;
    }
    r = ctl_open(ctl);
    if (r == CTL_OK)
        r = graphics_open(ctl, argv[1], (uint32_t)index, &fd);
    if (r != CTL_OK)
        return r;
    r = pump_run(fd, -1);
    if (r < 0)
        complain("%s: the display's connection broke off: %s", argv[1], g_strerror(-r));
    return r < 0 ? CTL_FAILED : CTL_OK;
}
