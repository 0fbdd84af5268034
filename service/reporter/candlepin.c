/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/candlepin.h"

#include <errno.h>
#include <string.h>

#include <systemd/sd-id128.h>

#include "service/cleanup.h"
#include "service/reporter/backoff.h"
#include "service/reporter/trust.h"

/* Says what a good answer holds; -EBADMSG when it holds something else. */
typedef int (*AnswerReader)(Candlepin *candlepin, const HttpResponse *response, CandlepinReply *reply);

struct Candlepin {
    HttpEngine *engine;
    sd_event *event;
    const Destination *destination;
    const char *reporter_id;
    char *base; /* "https://host:port/prefix" */
    uint64_t deadline_usec;

    /* the call under way */
    HttpRequest *request;
    sd_event_source *refusal; /* of a call that could not be made */
    char *refusal_message;
    AnswerReader read;
    char *resource; /* that is looked for */
    CandlepinCallback callback;
    void *userdata;

    /* what its reply points to */
    CandlepinServer *server;
    CandlepinJob *job;
};

typedef struct Call {
    const char *method;
    char *path; /* below the prefix, escaped; taken over */
    const char *content_type;
    char *body; /* taken over, may be NULL */
    bool once;
    AnswerReader read;
} Call;

/* Lands in the server's logs; one for each run makes a run's requests easy to find there. */
static const char *correlation_header(void)
{
    static char *header;
    char text[SD_ID128_STRING_MAX];
    sd_id128_t id;

    if (!header) {
        if (sd_id128_randomize(&id) < 0)
            id = SD_ID128_NULL;
        header = g_strdup_printf("X-Correlation-ID: %s", sd_id128_to_string(id, text));
    }
    return header;
}

static void forget_call(Candlepin *candlepin)
{
    http_request_free(TAKE_PTR(candlepin->request));
    candlepin->refusal = sd_event_source_disable_unref(candlepin->refusal);
    candlepin_server_free(TAKE_PTR(candlepin->server));
    candlepin_job_free(TAKE_PTR(candlepin->job));
    g_clear_pointer(&candlepin->refusal_message, g_free);
    g_clear_pointer(&candlepin->resource, g_free);
}

/* A server, or a proxy, may repeat what we sent. */
static void hide_secret(char **message, const char *secret)
{
    g_auto(GStrv) parts = NULL;

    if (!*message || !secret || !*secret || !strstr(*message, secret))
        return;
    parts = g_strsplit(*message, secret, -1);
    g_free(*message);
    *message = g_strjoinv("***", parts);
}

static void hide_secrets(const Candlepin *candlepin, char **message)
{
    const Destination *destination = candlepin->destination;

    hide_secret(message, destination->password);
    hide_secret(message, destination->proxy_password);
    if (destination->username && destination->password) {
        g_autofree char *pair = g_strdup_printf("%s:%s", destination->username, destination->password);
        g_autofree char *basic = g_base64_encode((const guchar *)pair, strlen(pair));

        hide_secret(message, basic);
        explicit_bzero(pair, strlen(pair));
        explicit_bzero(basic, strlen(basic));
    }
}

static void finish_call(const HttpResponse *response, void *userdata)
{
    Candlepin *candlepin = userdata;
    HttpRequest *request = TAKE_PTR(candlepin->request);
    g_autoptr(CandlepinServer) server = NULL;
    g_autoptr(CandlepinJob) job = NULL;
    g_autofree char *message = NULL;
    CandlepinReply reply = {.status = response->status, .retry_after_usec = response->retry_after_usec};

    reply.outcome = candlepin_judge(response, &message);
    if (reply.outcome == CANDLEPIN_OK && candlepin->read &&
        candlepin->read(candlepin, response, &reply) < 0) {
        reply.outcome = CANDLEPIN_TROUBLE;
        message = g_strdup_printf("%s answers, but not as an entitlement server does (HTTP status %ld, %s)",
                                  candlepin->base, response->status,
                                  *response->content_type ? response->content_type : "no Content-Type");
    }
    hide_secrets(candlepin, &message);
    reply.message = message;
    /* The callback may make the next call: nothing of this one may be left in its way. */
    server = TAKE_PTR(candlepin->server);
    job = TAKE_PTR(candlepin->job);
    g_clear_pointer(&candlepin->resource, g_free);
    candlepin->callback(&reply, candlepin->userdata);
    http_request_free(request);
}

static int on_refusal(sd_event_source *source, void *userdata)
{
    Candlepin *candlepin = userdata;
    g_autofree char *message = TAKE_PTR(candlepin->refusal_message);
    CandlepinReply reply = {.outcome = CANDLEPIN_TROUBLE, .message = message};

    candlepin->refusal = sd_event_source_disable_unref(candlepin->refusal);
    candlepin->callback(&reply, candlepin->userdata);
    return 0;
}

static void refuse_call(Candlepin *candlepin, char *message)
{
    candlepin->refusal_message = message;
    if (sd_event_add_defer(candlepin->event, &candlepin->refusal, on_refusal, candlepin) < 0)
        g_error("out of memory"); /* as GLib does everywhere else */
}

static HttpPeer describe_peer(const Destination *destination, const char *authorities)
{
    bool by_password = destination->username != NULL;

    return (HttpPeer){
        .user = destination->username,
        .password = destination->password,
        .certificate = by_password ? NULL : destination->certificate_path,
        .key = by_password ? NULL : destination->key_path,
        .authorities = authorities,
        .proxy_host = destination->proxy_hostname,
        .proxy_port = destination->proxy_port,
        .proxy_user = destination->proxy_user,
        .proxy_password = destination->proxy_password,
        .no_proxy = destination->no_proxy,
        .insecure = destination->insecure,
    };
}

/* The directory is read for each call: it is small, and a new authority counts at once. */
static int read_authorities(Candlepin *candlepin, char **ret_pem)
{
    const Destination *destination = candlepin->destination;
    g_autofree char *skipped = NULL;
    int r;

    *ret_pem = NULL;
    if (destination->insecure || !destination->ca_directory)
        return 0;
    r = trust_load(destination->ca_directory, ret_pem, &skipped);
    if (r < 0)
        refuse_call(candlepin, g_strdup_printf("no certificate of a trusted authority in %s (%s)%s%s",
                                               destination->ca_directory, g_strerror(-r),
                                               skipped ? ", unusable: " : "", skipped ?: ""));
    return r;
}

static void start_call(Candlepin *candlepin, Call *call, CandlepinCallback callback, void *userdata)
{
    g_autofree char *path = call->path, *authorities = NULL, *url = NULL;
    g_autoptr(GBytes) body = call->body ? g_bytes_new_take(call->body, strlen(call->body)) : NULL;
    /* The language is fixed because one message is read by us: "blocked by ...". */
    const char *headers[] = {"Accept: application/json", "Accept-Language: en", correlation_header(), NULL};
    HttpPeer peer;
    int r;

    g_assert(!candlepin->request && !candlepin->refusal);
    candlepin->read = call->read;
    candlepin->callback = callback;
    candlepin->userdata = userdata;
    if (read_authorities(candlepin, &authorities) < 0)
        return;
    url = g_strconcat(candlepin->base, path, NULL);
    peer = describe_peer(candlepin->destination, authorities);
    r = http_request_start(candlepin->engine, &peer,
                           &(HttpCall){
                               .method = call->method,
                               .url = url,
                               .content_type = call->content_type,
                               .headers = headers,
                               .body = body,
                               .deadline_usec = candlepin->deadline_usec,
                               .once = call->once,
                           },
                           finish_call, candlepin, &candlepin->request);
    if (r < 0)
        refuse_call(candlepin, g_strdup_printf("cannot ask %s: %s", candlepin->base, g_strerror(-r)));
}

Candlepin *candlepin_new(HttpEngine *engine, sd_event *event, const Destination *destination,
                         const char *reporter_id)
{
    Candlepin *candlepin = g_new0(Candlepin, 1);
    const char *host = destination->hostname;
    bool bare_ipv6 = strchr(host, ':') && *host != '[';

    candlepin->engine = engine;
    candlepin->event = sd_event_ref(event);
    candlepin->destination = destination;
    candlepin->reporter_id = reporter_id;
    candlepin->deadline_usec = destination->timeout * USEC_PER_SECOND;
    candlepin->base = g_strdup_printf("https://%s%s%s:%u%s", bare_ipv6 ? "[" : "", host, bare_ipv6 ? "]" : "",
                                      destination->port, destination->prefix ?: "");
    return candlepin;
}

void candlepin_free(Candlepin *candlepin)
{
    if (!candlepin)
        return;
    forget_call(candlepin);
    sd_event_unref(candlepin->event);
    g_free(candlepin->base);
    g_free(candlepin);
}

void candlepin_cancel(Candlepin *candlepin)
{
    forget_call(candlepin);
}

void candlepin_set_deadline(Candlepin *candlepin, uint64_t usec)
{
    candlepin->deadline_usec = usec;
}

static int read_server(Candlepin *candlepin, const HttpResponse *response, CandlepinReply *reply)
{
    int r = candlepin_parse_server(response->body, response->body_size, &candlepin->server);

    reply->server = candlepin->server;
    return r;
}

static int read_job(Candlepin *candlepin, const HttpResponse *response, CandlepinReply *reply)
{
    int r = candlepin_parse_job(response->body, response->body_size, &candlepin->job);

    reply->job = candlepin->job;
    return r;
}

static int read_resources(Candlepin *candlepin, const HttpResponse *response, CandlepinReply *reply)
{
    return candlepin_parse_resources(response->body, response->body_size, candlepin->resource, &reply->found);
}

static char *escape(const char *text)
{
    return g_uri_escape_string(text ?: "", NULL, FALSE);
}

void candlepin_get_server(Candlepin *candlepin, CandlepinCallback callback, void *userdata)
{
    Call call = {.method = "GET", .path = g_strdup("/status"), .read = read_server};

    start_call(candlepin, &call, callback, userdata);
}

void candlepin_find_resource(Candlepin *candlepin, const char *name, CandlepinCallback callback,
                             void *userdata)
{
    Call call = {.method = "GET", .path = g_strdup("/"), .read = read_resources};

    candlepin->resource = g_strdup(name);
    start_call(candlepin, &call, callback, userdata);
}

void candlepin_check_in(Candlepin *candlepin, char *body, CandlepinCallback callback, void *userdata)
{
    g_autofree char *owner = escape(candlepin->destination->owner);
    g_autofree char *reporter = escape(candlepin->reporter_id);
    Call call = {
        .method = "POST",
        .path = g_strdup_printf("/hypervisors/%s?reporter_id=%s", owner, reporter),
        .content_type = "text/plain",
        .body = body,
        .once = true,
        .read = read_job,
    };

    start_call(candlepin, &call, callback, userdata);
}

void candlepin_send_heartbeat(Candlepin *candlepin, const char *reporter_id, CandlepinCallback callback,
                              void *userdata)
{
    g_autofree char *owner = escape(candlepin->destination->owner);
    g_autofree char *reporter = escape(reporter_id ?: candlepin->reporter_id);
    Call call = {
        .method = "PUT",
        .path = g_strdup_printf("/hypervisors/%s/heartbeat?reporter_id=%s", owner, reporter),
    };

    start_call(candlepin, &call, callback, userdata);
}

void candlepin_get_job(Candlepin *candlepin, const char *id, CandlepinCallback callback, void *userdata)
{
    g_autofree char *escaped = escape(id);
    Call call = {
        .method = "GET",
        .path = g_strdup_printf("/jobs/%s?result_data=True", escaped),
        .read = read_job,
    };

    start_call(candlepin, &call, callback, userdata);
}

void candlepin_put_guests(Candlepin *candlepin, const char *uuid, char *body, CandlepinCallback callback,
                          void *userdata)
{
    g_autofree char *escaped = escape(uuid);
    Call call = {
        .method = "PUT",
        .path = g_strdup_printf("/consumers/%s", escaped),
        .content_type = "application/json",
        .body = body,
    };

    start_call(candlepin, &call, callback, userdata);
}
