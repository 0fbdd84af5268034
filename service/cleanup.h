/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <string.h>
#include <unistd.h>

/* Scope-bound release, in the spelling that sd-bus's own cleanup functions expect:
 *     _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
 * GLib's g_autofree and g_autoptr do the same for what GLib allocates. */
#define _cleanup_(function) __attribute__((cleanup(function)))

/* Closes a descriptor at the end of its scope; -1 means that there is none. */
static inline void closep(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Moves a pointer out of its scope: the cleanup then finds NULL. */
#define TAKE_PTR(pointer)                                                                                    \
    ({                                                                                                       \
        __typeof__(pointer) *_slot = &(pointer);                                                             \
        __typeof__(pointer) _taken = *_slot;                                                                 \
        *_slot = NULL;                                                                                       \
        _taken;                                                                                              \
    })

#define TAKE_FD(fd)                                                                                          \
    ({                                                                                                       \
        int *_slot = &(fd);                                                                                  \
        int _taken = *_slot;                                                                                 \
        *_slot = -1;                                                                                         \
        _taken;                                                                                              \
    })
