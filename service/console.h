/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/error.h"
#include "service/vm.h"

#include <sys/types.h>

typedef struct Manager Manager;

/* A serial console: a libvirt stream on one side, one end of a socket pair on the other, and a pump between
 * them that runs in libvirt's thread. */

#define CONSOLES_PER_VM_MAX 4
#define CONSOLES_PER_USER_MAX 16
/* Kept each way when the other side does not read; a full buffer stops the reading, so nothing is lost. */
#define CONSOLE_BUFFER_BYTES (64 * 1024)

typedef struct Console Console;

/* Takes a place for one more console of this VM and user; NULL with `failure` set when there is none. In the
 * loop. */
Console *console_reserve(Manager *manager, const VM *vm, uid_t user, Failure *failure);

/* Opens the device ("" for the first one) and starts the pump. Returns the caller's end of the socket, or -1
 * with `failure` set. The place is given back when either side ends. In a worker. */
int console_start(Console *console, virDomainPtr domain, const char *device, bool force, const char *name,
                  Failure *failure);

/* Gives back the place of a console that was never started, as when its job was dropped. Any thread. */
void console_release(Console *console);
