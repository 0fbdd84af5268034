/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* When to ask one guest's qemu-ga for what: arithmetic only. All times are microseconds of one clock that
 * never goes back; the clock and the timer are the caller's. */

/* What is asked for together, and has a period of its own. */
typedef enum PaceTopic {
    PACE_USERS,
    PACE_NETWORK,
    PACE_SYSTEM, /* host name, operating system, time zone */
    PACE_FILESYSTEMS,
    PACE_TOPIC_COUNT,
} PaceTopic;

#define PACE_BIT(topic) (1u << (topic))
#define PACE_ALL (PACE_BIT(PACE_TOPIC_COUNT) - 1)

#define PACE_SECOND UINT64_C(1000000)
/* The first question for an address that the guest has not got yet; each further one after twice as long. */
#define PACE_QUICK_FIRST (1 * PACE_SECOND)
/* A mute agent is asked again after this time, each time after twice as long, up to the last. */
#define PACE_BACKOFF_FIRST (2 * PACE_SECOND)
#define PACE_BACKOFF_LAST (60 * PACE_SECOND)
/* One missed answer is a hiccup of a busy host; after so many in a row the agent counts as mute. */
#define PACE_MISSES_MAX 2
/* What becomes due within this time is asked for in one go. */
#define PACE_TOGETHER (PACE_SECOND / 4)

typedef struct Pace {
    uint64_t period[PACE_TOPIC_COUNT];
    uint64_t due[PACE_TOPIC_COUNT];
    uint64_t phase;  /* of this VM: spreads the VMs over each period */
    uint64_t quick;  /* the wait after the next answer without an address */
    uint64_t retry;  /* with misses: nothing is asked before it */
    unsigned misses; /* in a row */
} Pace;

/* A number for a VM, the same in each run, evenly spread over all VMs. */
uint64_t pace_phase(const char *uuid);

/* The next turn: the first point on a grid of `period`, which the phase shifts, that is half a period or more
 * away. */
uint64_t pace_turn(uint64_t now, uint64_t period, uint64_t phase);

/* The wait after so many misses, 1 or more. */
uint64_t pace_backoff(unsigned misses, uint64_t phase);

/* A part of `span` that belongs to the VM: what would hit all VMs in one instant is put off by it. */
uint64_t pace_share(uint64_t span, uint64_t phase);

/* Everything is due at `first`. Periods and phase are set already. */
void pace_start(Pace *pace, uint64_t first);

/* When to ask next. */
uint64_t pace_next(const Pace *pace);

/* What to ask for now: PACE_BITs. */
unsigned pace_topics(const Pace *pace, uint64_t now);

/* The agent answered about `topics`, be it that it refused. `addressed`: its address is known now, or it
 * can't have one. */
void pace_answered(Pace *pace, unsigned topics, bool addressed, uint64_t now);

/* The agent did not answer. */
void pace_missed(Pace *pace, uint64_t now);

/* Whether the agent has been silent for so long that it counts as mute. */
bool pace_is_mute(const Pace *pace);
