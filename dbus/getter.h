/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The head of a property's getter. It reads memory and cannot fail but for want of memory: one that fails would make
 * GetManagedObjects fail for all objects. */
#define GETTER(name)                                                                                         \
    static int name(sd_bus *b, const char *path, const char *interface, const char *property,                \
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
