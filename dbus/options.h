/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-bus.h>

/* One key of the a{sv} that ends every acting method. */
typedef struct MethodOption {
    const char *name;
    char type;    /* SD_BUS_TYPE_BOOLEAN or SD_BUS_TYPE_STRING */
    void *target; /* bool *, or const char ** into the message */
} MethodOption;

/* Reads the options. An unknown key, or one of another type, is InvalidArgument: a caller who asks for what
 * this version does not have must hear of it. */
int options_read(sd_bus_message *call, const MethodOption *options, size_t count, sd_bus_error *error);

/* For methods without any. */
int options_none(sd_bus_message *call, sd_bus_error *error);
