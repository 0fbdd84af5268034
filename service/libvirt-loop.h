/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libvirt's own event loop, in a thread: domain events and streams run there. Its callbacks copy
 * what they get and post it to the inbox. */

/* Registers libvirt's default event implementation and starts the thread. Call it once, before the first
 * connection. */
int libvirt_loop_start(void);
/* Ends the thread. What was registered stays allocated: the process ends after it. */
void libvirt_loop_stop(void);
