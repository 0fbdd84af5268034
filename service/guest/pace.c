/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/pace.h"

#include <sys/param.h>

uint64_t pace_phase(const char *uuid)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (; *uuid; uuid++)
        hash = (hash ^ (unsigned char)*uuid) * UINT64_C(0x100000001b3);
    /* Its low bits alone are poor for texts that differ in their last characters. */
    return hash ^ hash >> 32;
}

uint64_t pace_share(uint64_t span, uint64_t phase)
{
    return span ? phase % span : 0;
}

/* One phase for all periods: where one period is a multiple of another, their turns fall together, and are
 * asked for in one go. */
uint64_t pace_turn(uint64_t now, uint64_t period, uint64_t phase)
{
    uint64_t earliest = now + period / 2;
    uint64_t over = (earliest - pace_share(period, phase)) % period;

    return over ? earliest + period - over : earliest;
}

uint64_t pace_backoff(unsigned misses, uint64_t phase)
{
    uint64_t wait = PACE_BACKOFF_FIRST;

    for (unsigned i = 1; i < misses && wait < PACE_BACKOFF_LAST; i++)
        wait *= 2;
    wait = MIN(wait, PACE_BACKOFF_LAST);
    /* Agents that fell silent in one instant, as with a host's storage, must not be asked in one. */
    return wait - pace_share(wait / 8, phase);
}

void pace_start(Pace *pace, uint64_t first)
{
    for (unsigned topic = 0; topic < PACE_TOPIC_COUNT; topic++)
        pace->due[topic] = first;
    pace->quick = PACE_QUICK_FIRST;
    pace->retry = 0;
    pace->misses = 0;
}

uint64_t pace_next(const Pace *pace)
{
    uint64_t next = pace->due[0];

    for (unsigned topic = 1; topic < PACE_TOPIC_COUNT; topic++)
        next = MIN(next, pace->due[topic]);
    return MAX(next, pace->retry);
}

unsigned pace_topics(const Pace *pace, uint64_t now)
{
    unsigned topics = 0;

    if (pace->retry > now + PACE_TOGETHER)
        return 0;
    for (unsigned topic = 0; topic < PACE_TOPIC_COUNT; topic++)
        if (pace->due[topic] <= now + PACE_TOGETHER)
            topics |= PACE_BIT(topic);
    return topics;
}

/* The guest has no address yet: most likely it is booting. */
static void hurry(Pace *pace, uint64_t now)
{
    uint64_t period = pace->period[PACE_NETWORK];

    if (pace->quick >= period)
        return;
    pace->due[PACE_NETWORK] = now + pace->quick;
    pace->quick *= 2;
}

void pace_answered(Pace *pace, unsigned topics, bool addressed, uint64_t now)
{
    pace->misses = 0;
    pace->retry = 0;
    for (unsigned topic = 0; topic < PACE_TOPIC_COUNT; topic++)
        if (topics & PACE_BIT(topic))
            pace->due[topic] = pace_turn(now, pace->period[topic], pace->phase);
    if (!(topics & PACE_BIT(PACE_NETWORK)))
        return;
    if (addressed)
        pace->quick = PACE_QUICK_FIRST;
    else
        hurry(pace, now);
}

void pace_missed(Pace *pace, uint64_t now)
{
    if (pace->misses < UINT32_MAX)
        pace->misses++;
    pace->retry = now + pace_backoff(pace->misses, pace->phase);
}

bool pace_is_mute(const Pace *pace)
{
    return pace->misses >= PACE_MISSES_MAX;
}
