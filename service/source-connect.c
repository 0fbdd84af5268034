/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/source-connect.h"

#include "service/error.h"
#include "service/log.h"
#include "service/qmp/feed.h"
#include "service/qmp/monitor.h"
#include "service/source-events.h"
#include "service/thread.h"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>
#include <string.h>

typedef struct Attempt {
    ConnectResult *result;
    SourceConfig *config;
} Attempt;

typedef struct Closing {
    virConnectPtr control, agent;
    int callbacks[8];
    unsigned callback_count;
    int qmp_callback;
} Closing;

/* Answers what libvirt asks for. Nobody is at a terminal: what the configuration does not have is refused. */
static int answer_credentials(virConnectCredentialPtr credentials, unsigned count, void *userdata)
{
    const SourceConfig *config = userdata;

    for (unsigned i = 0; i < count; i++) {
        const char *answer = NULL;

        switch (credentials[i].type) {
        case VIR_CRED_USERNAME:
        case VIR_CRED_AUTHNAME:
            answer = config->username;
            break;
        case VIR_CRED_PASSPHRASE:
        case VIR_CRED_NOECHOPROMPT:
            answer = config->password;
            break;
        }
        if (!answer)
            return -1;
        /* libvirt frees it with free(), so it must not come from an allocator of another kind. */
        credentials[i].result = strdup(answer);
        credentials[i].resultlen = (unsigned)strlen(answer);
    }
    return 0;
}

/* ret_remote: whether a daemon is at the other end, and not a driver in this process. */
static virConnectPtr open_one(const SourceConfig *config, bool *ret_remote)
{
    int wanted[] = {VIR_CRED_USERNAME, VIR_CRED_AUTHNAME, VIR_CRED_PASSPHRASE, VIR_CRED_NOECHOPROMPT};
    virConnectAuth auth = {wanted, G_N_ELEMENTS(wanted), answer_credentials, (void *)config};
    virConnectPtr connection = virConnectOpenAuth(config->uri, &auth, config->read_only ? VIR_CONNECT_RO : 0);

    /* Turned off, see source-probe.h; a driver in this process has none, and says so. */
    *ret_remote = connection && virConnectSetKeepAlive(connection, 0, 0) >= 0;
    return connection;
}

typedef struct Closed {
    InboxItem item;
    SourceLink *link;
    unsigned generation;
    int reason;
} Closed;

static void closed_run(InboxItem *item)
{
    static const char *const reasons[] = {
        [VIR_CONNECT_CLOSE_REASON_ERROR] = "the connection failed",
        [VIR_CONNECT_CLOSE_REASON_EOF] = "libvirtd closed the connection",
        [VIR_CONNECT_CLOSE_REASON_KEEPALIVE] = "libvirtd does not answer",
        [VIR_CONNECT_CLOSE_REASON_CLIENT] = "the connection was closed",
    };
    Closed *closed = (Closed *)item;
    Source *source = closed->link->source;

    if (source && source->connected && source->generation == closed->generation)
        source_disconnected(source, closed->reason >= 0 && closed->reason < (int)G_N_ELEMENTS(reasons)
                                        ? reasons[closed->reason]
                                        : reasons[0]);
}

static void closed_free(InboxItem *item)
{
    Closed *closed = (Closed *)item;

    source_link_unref(closed->link);
    g_free(closed);
}

/* What the close callback carries; libvirt frees it when it lets the callback go. */
typedef struct CloseWatch {
    SourceLink *link;
    unsigned generation;
} CloseWatch;

static void on_close(virConnectPtr connection, int reason, void *userdata)
{
    CloseWatch *watch = userdata;
    Closed *closed = g_new0(Closed, 1);

    closed->item.run = closed_run;
    closed->item.free = closed_free;
    closed->link = source_link_ref(watch->link);
    closed->generation = watch->generation;
    closed->reason = reason;
    inbox_post(watch->link->inbox, &closed->item);
}

static void free_watch(void *userdata)
{
    CloseWatch *watch = userdata;

    source_link_unref(watch->link);
    g_free(watch);
}

static void watch_close(ConnectResult *result, virConnectPtr connection)
{
    CloseWatch *watch = g_new0(CloseWatch, 1);

    watch->link = source_link_ref(result->link);
    watch->generation = result->generation;
    if (virConnectRegisterCloseCallback(connection, on_close, watch, free_watch) < 0)
        free_watch(watch);
}

/* Everything of one try, in its order: events are registered before the listing, so that nothing falls
 * between. */
static int connect_all(ConnectResult *result, const SourceConfig *config)
{
    result->control = open_one(config, &result->remote);
    if (!result->control)
        return -1;
    result->agent = open_one(config, &result->remote);
    if (!result->agent)
        return -1;
    /* A driver in this process has nothing to lose; it would take the callback and never let go of it. */
    if (result->remote) {
        watch_close(result, result->control);
        watch_close(result, result->agent);
    }
    source_events_register(result);
    if (result->qmp_gate)
        result->qmp_callback =
            qmp_monitor_register(result->control, result->link, result->generation, result->qmp_gate);
    return figures_list(result->control, &result->listing);
}

static void close_now(const Closing *closing)
{
    for (unsigned i = 0; i < closing->callback_count; i++)
        (void)virConnectDomainEventDeregisterAny(closing->control, closing->callbacks[i]);
    if (closing->qmp_callback >= 0)
        (void)virConnectDomainQemuMonitorEventDeregister(closing->control, closing->qmp_callback);
    if (closing->control) {
        (void)virConnectUnregisterCloseCallback(closing->control, on_close);
        virConnectClose(closing->control);
    }
    if (closing->agent) {
        (void)virConnectUnregisterCloseCallback(closing->agent, on_close);
        virConnectClose(closing->agent);
    }
}

static void result_run(InboxItem *item)
{
    ConnectResult *result = (ConnectResult *)item;
    Source *source = result->link->source;

    if (!source || source->generation != result->generation)
        return;
    if (result->error)
        source_connect_failed(source, result->error);
    else
        source_connected(source, result);
}

static void *close_main(void *userdata)
{
    Closing *closing = userdata;

    close_now(closing);
    g_free(closing);
    return NULL;
}

static void close_in_thread(const Closing *what)
{
    Closing *closing = g_memdup2(what, sizeof *what);

    if (thread_start(close_main, closing) < 0)
        close_main(closing);
}

/* Also for a result that came too late: then it still holds its connections. */
static void result_free(InboxItem *item)
{
    ConnectResult *result = (ConnectResult *)item;
    Closing closing = {.control = result->control,
                       .agent = result->agent,
                       .callback_count = result->callback_count,
                       .qmp_callback = result->qmp_callback};

    g_clear_pointer(&result->listing, g_ptr_array_unref);
    memcpy(closing.callbacks, result->callbacks, sizeof closing.callbacks);
    if (closing.control)
        close_in_thread(&closing);
    source_link_unref(result->link);
    qmp_gate_unref(result->qmp_gate);
    g_free(result->error);
    g_free(result);
}

static void *attempt_main(void *userdata)
{
    Attempt *attempt = userdata;
    ConnectResult *result = attempt->result;

    if (connect_all(result, attempt->config) < 0)
        result->error = g_strdup(libvirt_error_text());
    source_config_free(attempt->config);
    g_free(attempt);
    inbox_post(result->link->inbox, &result->item);
    return NULL;
}

int source_connect_start(Source *source)
{
    ConnectResult *result = g_new0(ConnectResult, 1);
    Attempt *attempt = g_new0(Attempt, 1);
    int r;

    result->item.run = result_run;
    result->item.free = result_free;
    result->link = source_link_ref(source->link);
    result->generation = source->generation;
    result->qmp_callback = -1;
    if (source->qmp && !source->config->read_only)
        result->qmp_gate = qmp_gate_ref(qmp_feed_gate(source->qmp));
    attempt->result = result;
    attempt->config = source_config_copy(source->config);
    r = thread_start(attempt_main, attempt);
    if (r < 0) {
        source_config_free(attempt->config);
        g_free(attempt);
        result_free(&result->item);
    }
    return r;
}

void source_connections_close(Source *source)
{
    Closing closing = {.control = source->control,
                       .agent = source->agent,
                       .callback_count = source->callback_count,
                       .qmp_callback = source->qmp_callback};

    memcpy(closing.callbacks, source->callbacks, sizeof closing.callbacks);
    source->control = source->agent = NULL;
    source->callback_count = 0;
    source->qmp_callback = -1;
    if (closing.control)
        close_in_thread(&closing);
}
