/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#define BUS_NAME "org.guestbus1"
#define BUS_ROOT "/org/guestbus1"
#define BUS_REPORTER BUS_ROOT "/reporter"
#define BUS_INTERFACE(name) "org.guestbus1." name

/* Exit status, as guestbusctl(1) documents it. */
enum {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_NOT_FOUND = 3,
    CTL_NOT_AUTHORIZED = 4,
    CTL_UNREACHABLE = 5,
};

typedef enum JsonMode { JSON_OFF, JSON_SHORT, JSON_PRETTY } JsonMode;

/* The options of single verbs. A verb lists those it knows; any other one is a usage error. */
typedef enum CtlOption {
    OPTION_PAUSED = 1 << 0,
    OPTION_BYPASS_SAVED = 1 << 1,
    OPTION_MODE = 1 << 2,
    OPTION_DELAY = 1 << 3,
    OPTION_MESSAGE = 1 << 4,
    OPTION_GUEST_DELAY = 1 << 5,
    OPTION_QMP = 1 << 6,
    OPTION_FORCE = 1 << 7,
    OPTION_DEVICE = 1 << 8,
    OPTION_INACTIVE = 1 << 9,
    OPTION_SECRETS = 1 << 10,
    OPTION_ALL = 1 << 11,
    OPTION_TEST = 1 << 12,
} CtlOption;

/* One run of guestbusctl: what the command line said, and the bus connection that came of it. */
typedef struct Ctl {
    sd_bus *bus;
    const char *host;
    JsonMode json;
    bool legend;
    bool pager;
    bool ask_password;
    bool colour;
    unsigned options;
    const char *mode;
    const char *message;
    const char *device;
    const char *qmp_names;
    uint32_t delay;
} Ctl;

/* Connects to the system bus of this or, with -H, another machine. Returns 0 or an exit status, with the
 * reason printed. */
int ctl_open(Ctl *ctl);

void ctl_close(Ctl *ctl);

/* A call of a member of one of our interfaces, which may ask for authentication where that is possible.
 * Returns 0 or -errno. */
int ctl_new_call(Ctl *ctl, const char *path, const char *interface, const char *member, sd_bus_message **ret);

/* Sends a call and waits for the reply: without a deadline when somebody may be asked for a password.
 * Returns 0 or -errno, and fills the error then. */
int ctl_send(Ctl *ctl, sd_bus_message *call, sd_bus_message **ret_reply, sd_bus_error *error);
