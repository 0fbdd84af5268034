/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/source.h"

/* Asks a connected source now and then whether it is still there, and disconnects one that does not say so:
 * a stopped libvirtd is noticed within 45 s.
 *
 * libvirt's own keepalive would do the same, but in libvirt 9.0 a connection that it ends while two threads
 * wait for answers takes the process along: the second thread goes on with an event source that points into
 * the stack of the first (CVE-2024-4418, mended in libvirt 10.4). */
void source_probe_start(Source *source);
void source_probe_stop(Source *source);
