/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/ovirt-agent.h"

#include <errno.h>

#include "service/guest/ovirt-message.h"

static const uint64_t second = 1000000;
static const uint64_t default_period = 5 * UINT64_C(1000000); /* the agents' heart_beat_rate */
static const uint64_t period_max = 60 * UINT64_C(1000000);    /* what an agent may stretch it to */

/* An agent that is there answers a refresh at once. One that starts while the request waits in the channel
 * answers right after its own start. */
static const uint64_t answer_time = 10 * UINT64_C(1000000);
static const uint64_t late_answer_time = 15 * UINT64_C(1000000);

enum { ANSWERS_DUE_MAX = 4 };

OvirtAgent *ovirt_agent_new(Guest *guest, OvirtSend send, void *userdata)
{
    OvirtAgent *agent = g_new0(OvirtAgent, 1);

    agent->guest = guest;
    agent->send = send;
    agent->userdata = userdata;
    agent->period = default_period;
    agent->allowance = OVIRT_LINES_BURST * second;
    return agent;
}

void ovirt_agent_free(OvirtAgent *agent)
{
    if (!agent)
        return;
    ovirt_line_clear(&agent->line);
    g_free(agent);
}

/* Sends what the agent answers with a burst that begins with session-startup. */
static void send_with_burst(OvirtAgent *agent, OvirtCommand *command, OvirtTime now)
{
    agent->answers_due = MIN(agent->answers_due + 1, ANSWERS_DUE_MAX);
    agent->answers_until = now.monotonic + answer_time;
    agent->send(agent, command, agent->userdata);
}

void ovirt_agent_refresh(OvirtAgent *agent, OvirtTime now)
{
    /* With the version in it: an agent takes a request without one for an old host and falls back to 0. */
    send_with_burst(agent, ovirt_command_refresh(OVIRT_API_MAX), now);
}

/* Nothing is known of the agent behind the stream. */
static void agent_forget(OvirtAgent *agent)
{
    agent->api_version = 0;
    agent->heard = false;
    agent->last_heartbeat = 0;
    agent->last_interval = 0;
    agent->period = default_period;
    agent->answers_due = 0;
}

void ovirt_agent_opened(OvirtAgent *agent, OvirtTime now)
{
    ovirt_line_clear(&agent->line);
    agent_forget(agent);
    agent->open = true;
    ovirt_agent_refresh(agent, now);
}

/* `stopped`: the agent or its guest went down, as against our losing the stream. */
static void agent_left(OvirtAgent *agent, bool stopped, OvirtTime now)
{
    agent_forget(agent);
    guest_agent_disconnected(agent->guest, GUEST_ORIGIN_OVIRT, stopped, now.real);
}

void ovirt_agent_closed(OvirtAgent *agent, OvirtTime now)
{
    ovirt_line_clear(&agent->line);
    agent->open = false;
    agent_left(agent, false, now);
}

void ovirt_agent_rebooted(OvirtAgent *agent, OvirtTime now)
{
    agent_left(agent, false, now);
}

void ovirt_agent_receive(OvirtAgent *agent, const char *data, size_t length, bool gap)
{
    ovirt_line_push(&agent->line, data, length);
    if (gap)
        ovirt_line_gap(&agent->line);
}

/* The versions settle on what both know. Every process of the agent reports 0 first and its own highest from
 * the second heartbeat on; it switches, and refreshes, when told to. */
static void negotiate(OvirtAgent *agent, int reported, OvirtTime now)
{
    int common = MIN(reported, OVIRT_API_MAX);

    if (common == agent->api_version)
        return;
    agent->api_version = common;
    if (common > 0)
        send_with_burst(agent, ovirt_command_api_version(common), now);
}

/* Agents can be configured to another rate than the default. One late heartbeat must not stretch the period,
 * hence the smaller of two intervals. */
static void period_update(OvirtAgent *agent, uint64_t monotonic)
{
    uint64_t interval = agent->last_heartbeat ? monotonic - agent->last_heartbeat : default_period;
    uint64_t smaller = MIN(interval, agent->last_interval ?: default_period);

    agent->period = CLAMP(smaller, default_period, period_max);
    agent->last_interval = interval;
    agent->last_heartbeat = monotonic;
}

static void on_heartbeat(OvirtAgent *agent, int api_version, OvirtTime now)
{
    period_update(agent, now.monotonic);
    guest_heartbeat(agent->guest, GUEST_ORIGIN_OVIRT, now.real);
    negotiate(agent, api_version, now);
}

static void on_startup(OvirtAgent *agent, OvirtTime now)
{
    bool late = now.monotonic > agent->answers_until;

    if (agent->answers_due > 0 && !late) {
        agent->answers_due--;
        return;
    }
    if (agent->answers_due > 0)
        agent->answers_until = now.monotonic + late_answer_time;
    guest_notify(agent->guest, GUEST_ORIGIN_OVIRT, GUEST_POWER_UP, NULL, now.real);
}

/* An agent that says goodbye is not to be told anything until it is back. */
static void on_goodbye(OvirtAgent *agent, GuestSignal signal, OvirtTime now)
{
    guest_notify(agent->guest, GUEST_ORIGIN_OVIRT, signal, "", now.real);
    agent_left(agent, false, now);
}

/* A burst ends with the fully qualified name, from version 2 of the protocol on with the OS. */
static void burst_watch(OvirtAgent *agent, const Observation *observation)
{
    GuestField last = agent->api_version >= 2 ? GUEST_OS_NAME : GUEST_FQDN;

    if (observation->values.given & GUEST_BIT(last))
        agent->bursts++;
}

static void message_handle(OvirtAgent *agent, OvirtMessage *message, OvirtTime now)
{
    if (!agent->heard) {
        agent->heard = true;
        agent->heard_time = now.monotonic;
        guest_agent_connected(agent->guest, GUEST_ORIGIN_OVIRT, false, now.real);
    }
    if (message->observation) {
        burst_watch(agent, message->observation);
        message->observation->time = now.real;
        guest_observe(agent->guest, g_steal_pointer(&message->observation));
    }

    switch (message->type) {
    case OVIRT_HEARTBEAT:
        on_heartbeat(agent, message->api_version, now);
        break;
    case OVIRT_SESSION_STARTUP:
        on_startup(agent, now);
        break;
    case OVIRT_SESSION_SHUTDOWN:
        on_goodbye(agent, GUEST_POWER_DOWN, now);
        break;
    case OVIRT_UNINSTALLED:
        on_goodbye(agent, GUEST_AGENT_UNINSTALLED, now);
        break;
    case OVIRT_SESSION_LOGON:
        guest_notify(agent->guest, GUEST_ORIGIN_OVIRT, GUEST_SESSION_LOGON, NULL, now.real);
        break;
    case OVIRT_SESSION_LOGOFF:
        guest_notify(agent->guest, GUEST_ORIGIN_OVIRT, GUEST_SESSION_LOGOFF, NULL, now.real);
        break;
    case OVIRT_SESSION_LOCK:
        guest_notify(agent->guest, GUEST_ORIGIN_OVIRT, GUEST_SESSION_LOCK, "", now.real);
        break;
    case OVIRT_SESSION_UNLOCK:
        guest_notify(agent->guest, GUEST_ORIGIN_OVIRT, GUEST_SESSION_UNLOCK, "", now.real);
        break;
    case OVIRT_INFORMATION:
    case OVIRT_IGNORED:
        break;
    }
}

/* Takes one line from the allowance. */
static bool allowance_take(OvirtAgent *agent, uint64_t monotonic)
{
    uint64_t elapsed = monotonic - agent->allowance_time;
    uint64_t gained = MIN(elapsed, 60 * second) * OVIRT_LINES_PER_SECOND;

    agent->allowance = MIN(agent->allowance + gained, OVIRT_LINES_BURST * second);
    agent->allowance_time = monotonic;
    if (agent->allowance < second)
        return false;
    agent->allowance -= second;
    return true;
}

static void line_handle(OvirtAgent *agent, const char *text, size_t length, OvirtTime now)
{
    OvirtMessage message = {};
    int r;

    agent->counters.lines++;
    r = ovirt_message_parse(text, length, &message);
    if (r == -EBADMSG)
        agent->counters.malformed++;
    else if (r == -ENOENT)
        agent->counters.unknown++;
    if (r < 0)
        return;
    message_handle(agent, &message, now);
    ovirt_message_clear(&message);
}

bool ovirt_agent_process(OvirtAgent *agent, unsigned budget, OvirtTime now)
{
    const char *text;
    size_t length;

    /* A line handled may close nothing but the conversation: agent->line stays. */
    for (; budget > 0; budget--) {
        if (!ovirt_line_next(&agent->line, &text, &length))
            return false;
        if (allowance_take(agent, now.monotonic))
            line_handle(agent, text, length, now);
        else
            agent->counters.dropped++;
    }
    return ovirt_line_pending(&agent->line);
}

/* Since when no heartbeat has come. */
static uint64_t silent_since(const OvirtAgent *agent)
{
    return agent->last_heartbeat ?: agent->heard_time;
}

void ovirt_agent_check(OvirtAgent *agent, OvirtTime now)
{
    uint64_t silent;

    if (!agent->heard)
        return;
    silent = now.monotonic - silent_since(agent);
    if (silent >= OVIRT_GONE_PERIODS * agent->period)
        agent_left(agent, false, now);
    else if (silent >= OVIRT_SILENT_PERIODS * agent->period)
        guest_set_responsive(agent->guest, GUEST_ORIGIN_OVIRT, false, now.real);
}

uint64_t ovirt_agent_deadline(const OvirtAgent *agent)
{
    unsigned periods =
        guest_agent_is_live(agent->guest, GUEST_ORIGIN_OVIRT) ? OVIRT_SILENT_PERIODS : OVIRT_GONE_PERIODS;

    return agent->heard ? silent_since(agent) + periods * agent->period : UINT64_MAX;
}

int ovirt_agent_ready(const OvirtAgent *agent, uint64_t monotonic)
{
    if (!agent->open)
        return -ENOTCONN;
    if (agent->last_heartbeat == 0 ||
        monotonic - agent->last_heartbeat > OVIRT_ACTION_PERIODS * agent->period)
        return -ETIMEDOUT;
    return 0;
}
