/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/ovirt-channel.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <string.h>
#include <time.h>

#include "service/cleanup.h"
#include "service/guest/ovirt-agent.h"
#include "service/guest/ovirt-stream.h"
#include "service/log.h"
#include "service/manager.h"
#include "service/source-job.h"

static const uint64_t second = 1000000;

enum {
    LINES_PER_TURN = 32, /* of one VM, then the others have theirs */
    RETRY_FIRST_SECONDS = 1,
    RETRY_LAST_SECONDS = 75, /* with a fifth less still a minute: an idle service has no shorter timer */
    WRITE_SECONDS = 5,       /* a command that is not on its way by then: the stream hangs */
    REFRESH_SECONDS = 5,     /* for an agent to say everything */
};

/* Who waits for a command to be on its way, or for an answer. */
typedef struct Waiter {
    ActionDone done; /* NULL for what the conversation itself sends */
    void *userdata;
} Waiter;

struct OvirtChannel {
    VM *vm;
    OvirtAgent *agent;
    OvirtStream *stream; /* NULL: not open */
    unsigned ticket;     /* of the latest try to open; what an older one brings is not wanted */
    bool opening;
    bool taken; /* another client has it */
    bool ended; /* the stream has; what it brought is still being handled */
    bool worn;  /* the stream carried all that it may */
    bool told_managed, told_flood;
    unsigned attempt;
    uint64_t silence_deadline; /* what the silence timer is set to */
    sd_event_source *retry_timer, *silence_timer, *write_timer, *refresh_timer;
    GQueue sending;    /* Waiter, one for each command that the stream was given */
    GQueue refreshing; /* Waiter */
    unsigned bursts;   /* of the agent, as the refresh began */
};

/* A try to open, on its way through a worker. */
typedef struct OpenJob {
    SourceJob job;
    char uuid[VIR_UUID_STRING_BUFLEN];
    char *name;
    unsigned ticket;
    Inbox *inbox;
    OvirtStream *stream;
    int error;
    char *error_text;
} OpenJob;

static OvirtTime time_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (OvirtTime){
        .monotonic = (uint64_t)now.tv_sec * second + (uint64_t)now.tv_nsec / 1000,
        .real = manager_now(),
    };
}

#define log_channel(channel, level, ...)                                                                     \
    log_about(level,                                                                                         \
              &(LogSubject){(channel)->vm->source->config->label, (channel)->vm->name, (channel)->vm->uuid}, \
              __VA_ARGS__)

static void waiters_end(GQueue *waiters, const Failure *failure)
{
    Waiter *waiter;

    while ((waiter = g_queue_pop_head(waiters))) {
        if (waiter->done)
            waiter->done(failure, waiter->userdata);
        g_free(waiter);
    }
}

static void waiters_fail(OvirtChannel *channel, GQueue *waiters, const char *why)
{
    Failure failure = {0};

    if (g_queue_is_empty(waiters))
        return;
    failure_set(&failure, FAILURE_AGENT_UNRESPONSIVE, "%s: %s", channel->vm->name, why);
    waiters_end(waiters, &failure);
    failure_clear(&failure);
}

static void timer_set(OvirtChannel *channel, sd_event_source **timer, uint64_t usec,
                      sd_event_time_handler_t handler)
{
    sd_event *event = channel->vm->source->manager->event;

    *timer = sd_event_source_disable_unref(*timer);
    if (sd_event_add_time(event, timer, CLOCK_MONOTONIC, usec, 0, handler, channel) < 0)
        log_channel(channel, LOG_ERR, "No timer for the oVirt channel");
}

static void channel_open(OvirtChannel *channel);
static const char *channel_wanted(const VM *vm);

static int on_retry(sd_event_source *timer, uint64_t usec, void *userdata)
{
    OvirtChannel *channel = userdata;

    channel->retry_timer = sd_event_source_disable_unref(channel->retry_timer);
    if (channel_wanted(channel->vm))
        channel_open(channel);
    return 0;
}

/* 1 s, 2 s ... 60 s, a fifth more or less. An agent that was heard begins anew. */
static void retry_later(OvirtChannel *channel)
{
    uint64_t wait = MIN(RETRY_FIRST_SECONDS << MIN(channel->attempt, 7u), RETRY_LAST_SECONDS) * second;

    channel->attempt++;
    wait = wait * (uint64_t)g_random_int_range(80, 121) / 100;
    timer_set(channel, &channel->retry_timer, time_now().monotonic + wait, on_retry);
}

/* Ends what is open or being opened. */
static void channel_close(OvirtChannel *channel, const char *why)
{
    channel->ticket++;
    channel->opening = false;
    channel->retry_timer = sd_event_source_disable_unref(channel->retry_timer);
    channel->silence_timer = sd_event_source_disable_unref(channel->silence_timer);
    channel->write_timer = sd_event_source_disable_unref(channel->write_timer);
    channel->refresh_timer = sd_event_source_disable_unref(channel->refresh_timer);
    if (channel->stream) {
        ovirt_stream_let_go(g_steal_pointer(&channel->stream));
        ovirt_agent_closed(channel->agent, time_now());
    }
    channel->ended = channel->worn = channel->told_flood = false;
    waiters_fail(channel, &channel->sending, why);
    waiters_fail(channel, &channel->refreshing, why);
}

static int on_silence(sd_event_source *timer, uint64_t usec, void *userdata);

/* The timer is not moved further at every heartbeat: when it runs out early it is set anew. */
static void silence_watch(OvirtChannel *channel)
{
    uint64_t deadline = ovirt_agent_deadline(channel->agent);

    if (deadline == UINT64_MAX || (channel->silence_timer && channel->silence_deadline <= deadline))
        return;
    channel->silence_deadline = deadline;
    timer_set(channel, &channel->silence_timer, deadline, on_silence);
}

static int on_silence(sd_event_source *timer, uint64_t usec, void *userdata)
{
    OvirtChannel *channel = userdata;

    channel->silence_timer = sd_event_source_disable_unref(channel->silence_timer);
    ovirt_agent_check(channel->agent, time_now());
    silence_watch(channel);
    return 0;
}

/* Half a line in the channel would spoil the next one: the stream goes, and QEMU drops what the guest has not
 * read. */
static int on_write_too_long(sd_event_source *timer, uint64_t usec, void *userdata)
{
    OvirtChannel *channel = userdata;

    log_channel(channel, LOG_NOTICE, "The oVirt channel takes nothing; opening it anew");
    channel_close(channel, "the agent's channel takes nothing");
    retry_later(channel);
    return 0;
}

static void sending_done(OvirtChannel *channel, unsigned sent)
{
    const Failure none = {.kind = FAILURE_NONE};

    for (; sent > 0; sent--) {
        g_autofree Waiter *waiter = g_queue_pop_head(&channel->sending);

        if (waiter && waiter->done)
            waiter->done(&none, waiter->userdata);
    }
    if (g_queue_is_empty(&channel->sending))
        channel->write_timer = sd_event_source_disable_unref(channel->write_timer);
}

static void refresh_done(OvirtChannel *channel)
{
    const Failure none = {.kind = FAILURE_NONE};

    channel->refresh_timer = sd_event_source_disable_unref(channel->refresh_timer);
    manager_flush(channel->vm->source->manager); /* who gets the reply reads what was said */
    waiters_end(&channel->refreshing, &none);
}

static void stream_ended(OvirtChannel *channel)
{
    log_channel(channel, LOG_DEBUG, "The oVirt channel was closed");
    channel_close(channel, "the agent's channel was closed");
    if (channel_wanted(channel->vm))
        retry_later(channel);
}

/* Moves what came to the agent, unless it has enough to do with what it got before. */
static void take_news(OvirtChannel *channel, OvirtStream *stream)
{
    OvirtStreamState state;

    if (ovirt_line_pending(&channel->agent->line))
        return;
    ovirt_stream_take(stream, &state);
    if (state.incoming)
        ovirt_agent_receive(channel->agent, state.incoming->str, state.incoming->len, state.gap);
    if (state.gap && !channel->told_flood)
        log_channel(channel, LOG_NOTICE, "The guest floods its oVirt channel; part of it is dropped");
    channel->told_flood = channel->told_flood || state.gap;
    channel->ended = channel->ended || state.ended;
    sending_done(channel, state.sent);
    if (state.incoming)
        g_string_free(state.incoming, TRUE);
}

static void on_news(OvirtStream *stream, void *userdata)
{
    OvirtChannel *channel = userdata;
    bool more;

    take_news(channel, stream);
    more = ovirt_agent_process(channel->agent, LINES_PER_TURN, time_now());
    if (channel->agent->heard)
        channel->attempt = 0;
    if (channel->bursts != channel->agent->bursts && !g_queue_is_empty(&channel->refreshing))
        refresh_done(channel);
    silence_watch(channel);
    if (more)
        ovirt_stream_again(stream);
    else if (channel->ended || channel->worn)
        stream_ended(channel);
}

static int stream_send(OvirtChannel *channel, OvirtCommand *command, ActionDone done, void *userdata)
{
    Waiter *waiter;
    int r = channel->stream ? ovirt_stream_send(channel->stream, command) : -ENOTCONN;

    if (r < 0)
        return r;
    waiter = g_new(Waiter, 1);
    *waiter = (Waiter){done, userdata};
    g_queue_push_tail(&channel->sending, waiter);
    if (!channel->write_timer)
        timer_set(channel, &channel->write_timer, time_now().monotonic + WRITE_SECONDS * second,
                  on_write_too_long);
    return 0;
}

/* The conversation's own lines. One that does not fit is left out: the agent goes on with an older version.
 */
static void on_agent_send(OvirtAgent *agent, OvirtCommand *command, void *userdata)
{
    OvirtChannel *channel = userdata;
    int r = stream_send(channel, command, NULL, NULL);

    if (r < 0)
        ovirt_command_free(command);
    if (r == -EMSGSIZE) {
        channel->worn = true;
        ovirt_stream_again(channel->stream);
    }
}

static void open_work(SourceJob *job)
{
    OpenJob *open = (OpenJob *)job;
    virDomainPtr domain = virDomainLookupByUUIDString(job->connection, open->uuid);

    if (domain)
        open->stream = ovirt_stream_open(domain, open->name, open->inbox, &open->error, &open->error_text);
    else
        open->error_text = g_strdup(libvirt_error_text());
    if (domain)
        virDomainFree(domain);
}

/* Told once, not at every try. */
static void open_failed(OvirtChannel *channel, const OpenJob *open)
{
    /* "Active channel stream exists for this domain", or QEMU's side is gone again. */
    bool taken = open->error == VIR_ERR_OPERATION_FAILED;

    if (taken && !channel->taken)
        log_channel(channel, LOG_NOTICE,
                    "The oVirt channel is not to be had, another program may have it: %s", open->error_text);
    else if (!taken)
        log_channel(channel, LOG_DEBUG, "The oVirt channel cannot be opened: %s", open->error_text);
    channel->taken = taken;
    retry_later(channel);
}

static void open_done(SourceJob *job, Source *source)
{
    OpenJob *open = (OpenJob *)job;
    VM *vm = source ? source_find_vm(source, open->uuid) : NULL;
    OvirtChannel *channel = vm ? vm->ovirt_channel : NULL;

    if (!channel || !channel->opening || channel->ticket != open->ticket)
        return;
    channel->opening = false;
    if (!open->stream) {
        open_failed(channel, open);
        return;
    }
    log_channel(channel, LOG_DEBUG, "The oVirt channel %s is open", open->name);
    channel->taken = false;
    channel->stream = g_steal_pointer(&open->stream);
    ovirt_agent_opened(channel->agent, time_now());
    ovirt_stream_attach(channel->stream, on_news, channel);
}

static void open_free(SourceJob *job)
{
    OpenJob *open = (OpenJob *)job;

    if (open->stream) /* nobody wants it any more */
        ovirt_stream_let_go(open->stream);
    inbox_unref(open->inbox);
    g_free(open->name);
    g_free(open->error_text);
    g_free(open);
}

static const SourceJobKind open_kind = {open_work, open_done, open_free};

static void channel_open(OvirtChannel *channel)
{
    VM *vm = channel->vm;
    OpenJob *open = g_new0(OpenJob, 1);

    channel->opening = true;
    channel->ticket++;
    g_strlcpy(open->uuid, vm->uuid, sizeof open->uuid);
    open->name = g_strdup(channel_wanted(vm));
    open->ticket = channel->ticket;
    open->inbox = inbox_ref(vm->source->manager->inbox);
    source_job_submit(vm->source, vm->source->agent_lane, &open->job, &open_kind, true, vm);
}

/* The name of the VM's channel for an oVirt agent, or NULL. With both a Linux agent takes the old name, but
 * whoever defines a VM today defines the new one. */
static const char *channel_name(const VM *vm)
{
    static const char *const names[] = {"ovirt-guest-agent.0", "com.redhat.rhevm.vdsm"};

    for (unsigned n = 0; n < G_N_ELEMENTS(names); n++)
        for (guint i = 0; i < vm->details->channels->len; i++) {
            const VMChannel *channel = vm->details->channels->pdata[i];

            if (g_str_equal(channel->name, names[n]))
                return names[n];
        }
    return NULL;
}

/* QEMU gives a channel to one reader only: vdsm must be the one where it manages the VM. */
static const char *channel_wanted(const VM *vm)
{
    const SourceConfig *config = vm->source->config;

    if (!vm->source->connected || config->read_only || !config->ovirt_channel || !vm_is_active(vm) ||
        vm->details->managed_by_ovirt)
        return NULL;
    return channel_name(vm);
}

void ovirt_channel_update(VM *vm)
{
    OvirtChannel *channel = vm->ovirt_channel;

    if (!channel && channel_name(vm)) {
        channel = vm->ovirt_channel = g_new0(OvirtChannel, 1);
        channel->vm = vm;
        channel->agent = ovirt_agent_new(vm->guest, on_agent_send, channel);
    }
    if (!channel)
        return;
    if (vm->details->managed_by_ovirt && !channel->told_managed) {
        log_channel(channel, LOG_INFO, "oVirt manages this VM: its agent's channel is left to vdsm");
        channel->told_managed = true;
    }
    if (!channel_wanted(vm)) {
        channel->attempt = 0;
        channel_close(channel, "the VM stopped or its source was lost");
    } else if (!channel->stream && !channel->opening && !channel->retry_timer)
        channel_open(channel);
}

void ovirt_channel_rebooted(VM *vm)
{
    if (vm->ovirt_channel)
        ovirt_agent_rebooted(vm->ovirt_channel->agent, time_now());
}

void ovirt_channel_free(OvirtChannel *channel)
{
    if (!channel)
        return;
    channel_close(channel, "the VM is gone");
    ovirt_agent_free(channel->agent);
    g_free(channel);
}

bool ovirt_channel_ready(const VM *vm)
{
    return vm->ovirt_channel && ovirt_agent_ready(vm->ovirt_channel->agent, time_now().monotonic) == 0;
}

bool ovirt_channel_is_ours(const VM *vm)
{
    return channel_wanted(vm) != NULL;
}

static const char *closed_reason(const VM *vm)
{
    if (!channel_name(vm))
        return "it has no channel for an oVirt agent";
    if (vm->details->managed_by_ovirt)
        return "oVirt manages it, and its agent is vdsm's";
    if (vm->source->config->read_only)
        return "its source is read-only";
    if (!vm->source->config->ovirt_channel)
        return "ovirt-channel is off for its source";
    if (vm->ovirt_channel && vm->ovirt_channel->taken)
        return "another program has the oVirt agent's channel";
    return "the oVirt agent's channel is not open yet";
}

/* Bytes sent to an agent that is not there stay in the channel and are executed when it comes. */
static int check_ready(const VM *vm, Failure *failure)
{
    int r = vm->ovirt_channel ? ovirt_agent_ready(vm->ovirt_channel->agent, time_now().monotonic) : -ENOTCONN;

    if (r == -ETIMEDOUT)
        failure_set(failure, FAILURE_AGENT_UNRESPONSIVE,
                    "%s: no heartbeat of an oVirt agent has come lately; nothing was sent to it", vm->name);
    else if (r < 0)
        failure_set(failure, FAILURE_AGENT_NOT_CONNECTED, "%s: %s", vm->name, closed_reason(vm));
    return r < 0 ? -1 : 0;
}

int ovirt_channel_send(VM *vm, OvirtCommand *command, ActionDone done, void *userdata, Failure *failure)
{
    g_autoptr(OvirtCommand) owned = command;
    OvirtChannel *channel = vm->ovirt_channel;
    int r;

    if (check_ready(vm, failure) < 0)
        return -1;
    r = stream_send(channel, owned, done, userdata);
    if (r == 0) {
        TAKE_PTR(owned);
        return 0;
    }
    if (r == -EMSGSIZE) {
        channel->worn = true;
        ovirt_stream_again(channel->stream);
    }
    failure_set(failure, FAILURE_BUSY, "%s: too much waits for its agent; try again", vm->name);
    return -1;
}

static int on_refresh_too_long(sd_event_source *timer, uint64_t usec, void *userdata)
{
    OvirtChannel *channel = userdata;

    /* An agent that lives and does not end its burst is an old one: what it knows is there by now. */
    if (ovirt_channel_ready(channel->vm))
        refresh_done(channel);
    else
        waiters_fail(channel, &channel->refreshing, "the oVirt agent did not answer");
    return 0;
}

int ovirt_channel_refresh(VM *vm, ActionDone done, void *userdata, Failure *failure)
{
    OvirtChannel *channel = vm->ovirt_channel;
    Waiter *waiter;

    if (check_ready(vm, failure) < 0)
        return -1;
    channel->bursts = channel->agent->bursts;
    if (g_queue_is_empty(&channel->refreshing)) {
        ovirt_agent_refresh(channel->agent, time_now());
        timer_set(channel, &channel->refresh_timer, time_now().monotonic + REFRESH_SECONDS * second,
                  on_refresh_too_long);
    }
    waiter = g_new(Waiter, 1);
    *waiter = (Waiter){done, userdata};
    g_queue_push_tail(&channel->refreshing, waiter);
    return 0;
}
