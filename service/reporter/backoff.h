/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* GLib's G_USEC_PER_SEC is an int: times 3600 it overflows. */
#define USEC_PER_SECOND UINT64_C(1000000)

/* How long to wait after the `failures`-th failure in a row (from 1): `base` doubled each time up to `max`,
 * of which a random part of at most a half is taken off, so that many clients of one server do not come back
 * together. */
uint64_t backoff_delay(unsigned failures, uint64_t base, uint64_t max);
