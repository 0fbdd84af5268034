/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/backoff.h"

#include <glib.h>

uint64_t backoff_delay(unsigned failures, uint64_t base, uint64_t max)
{
    uint64_t delay = base;

    while (failures-- > 1 && delay < max)
        delay = delay > max / 2 ? max : delay * 2;
    delay = MIN(delay, max);
    return delay - (uint64_t)(g_random_double() * 0.5 * (double)delay);
}
