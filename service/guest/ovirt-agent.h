/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/guest/guest.h"
#include "service/guest/ovirt-command.h"
#include "service/guest/ovirt-line.h"

/* The host's half of one oVirt agent's conversation: what to say when, whether the agent lives, and what its
 * messages mean for the Guest. No stream and no clock of its own: bytes and times come in, commands go out
 * through a callback. */

enum {
    OVIRT_SILENT_PERIODS = 3, /* without a heartbeat, until the agent counts as not responsive */
    OVIRT_ACTION_PERIODS = 2, /* the same, until no action is sent any more */
    OVIRT_GONE_PERIODS = 24,  /* the same, until it is not called connected any more */

    /* What one agent may say: a refresh at its start is some 25 lines, all else a few a minute. What goes
     * beyond is dropped unread. */
    OVIRT_LINES_PER_SECOND = 32,
    OVIRT_LINES_BURST = 256,
};

/* Both clocks at once, in microseconds. */
typedef struct OvirtTime {
    uint64_t monotonic; /* for periods */
    uint64_t real;      /* for what is published */
} OvirtTime;

typedef struct OvirtAgent OvirtAgent;

/* Sends a command; takes it over. */
typedef void (*OvirtSend)(OvirtAgent *agent, OvirtCommand *command, void *userdata);

typedef struct OvirtCounters {
    uint64_t lines;     /* handled */
    uint64_t malformed; /* of these no message */
    uint64_t unknown;   /* of these a message that we do not know */
    uint64_t dropped;   /* over the rate, not looked at */
} OvirtCounters;

struct OvirtAgent {
    Guest *guest;
    OvirtSend send;
    void *userdata;

    OvirtLine line;
    OvirtCounters counters;
    int api_version;     /* as negotiated, 0 to OVIRT_API_MAX */
    bool open;           /* the channel's stream exists */
    bool heard;          /* a message came since it was opened: a stream alone proves nothing */
    uint64_t heard_time; /* when that was, on the monotonic clock */

    /* Heartbeats, on the monotonic clock. */
    uint64_t last_heartbeat; /* 0: none since the stream opened, the guest started or the agent left */
    uint64_t period;         /* the smaller of the last two intervals, at least the agents' default */
    uint64_t last_interval;

    /* A session-startup is a start of the agent, or the answer to a request of ours. */
    unsigned answers_due;
    uint64_t answers_until;

    unsigned bursts; /* how many times everything was said, to its end */

    uint64_t allowance; /* lines that may be handled, in millionths */
    uint64_t allowance_time;
};

OvirtAgent *ovirt_agent_new(Guest *guest, OvirtSend send, void *userdata);
void ovirt_agent_free(OvirtAgent *agent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OvirtAgent, ovirt_agent_free)

/* The stream is there: begins the conversation anew. */
void ovirt_agent_opened(OvirtAgent *agent, OvirtTime now);

/* The stream ended. */
void ovirt_agent_closed(OvirtAgent *agent, OvirtTime now);

/* The guest was reset behind the same stream. (guest_forget_reboot() is the caller's.) */
void ovirt_agent_rebooted(OvirtAgent *agent, OvirtTime now);

/* Bytes from the guest. They are only kept here; `gap` says that some after them were lost. */
void ovirt_agent_receive(OvirtAgent *agent, const char *data, size_t length, bool gap);

/* Handles at most `budget` waiting lines and returns whether there may be more. */
bool ovirt_agent_process(OvirtAgent *agent, unsigned budget, OvirtTime now);

/* Looks for silence. */
void ovirt_agent_check(OvirtAgent *agent, OvirtTime now);

/* When ovirt_agent_check() has something to do next, on the monotonic clock; UINT64_MAX for never. */
uint64_t ovirt_agent_deadline(const OvirtAgent *agent);

/* Whether the agent may be told to do something: bytes for an agent that is not there wait in the channel
 * and would be executed whenever it comes back.
 * Returns 0, -ENOTCONN without a stream, -ETIMEDOUT when no heartbeat came lately, or none ever. */
int ovirt_agent_ready(const OvirtAgent *agent, uint64_t monotonic);

/* Asks the agent for everything. */
void ovirt_agent_refresh(OvirtAgent *agent, OvirtTime now);
