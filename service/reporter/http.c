/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/http.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <curl/curl.h>

#include "service/reporter/http-failure.h"

/* How far libcurl's time-outs may be late. */
#define TIMER_ACCURACY_USEC 1000

struct HttpEngine {
    sd_event *event;
    CURLM *multi;
    sd_event_source *timer;
    unsigned n_requests;
};

struct HttpRequest {
    HttpEngine *engine;
    CURL *easy;
    struct curl_slist *headers;
    GBytes *body;
    gsize sent; /* of the body, when it is read piece by piece */
    GString *answer;
    HttpPeer peer; /* only what a failure's message names; the strings are ours */
    char *host;
    uint64_t deadline_usec;
    bool too_large;
    bool running;
    char detail[CURL_ERROR_SIZE];
    HttpCallback callback;
    void *userdata;
};

static HttpResponse describe_answer(HttpRequest *request)
{
    HttpResponse response = {.content_type = ""};
    struct curl_header *header = NULL;
    char *content_type = NULL;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &response.status);
    curl_easy_getinfo(request->easy, CURLINFO_CONTENT_TYPE, &content_type);
    if (content_type)
        response.content_type = content_type;
    /* Read by ourselves: CURLINFO_RETRY_AFTER takes a number that is too large for "none". */
    if (curl_easy_header(request->easy, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
        response.retry_after_usec = http_parse_retry_after(header->value, time(NULL));
    response.body = request->answer->str;
    response.body_size = request->answer->len;
    return response;
}

static HttpResponse describe_failure(HttpRequest *request, CURLcode code, char **ret_message)
{
    HttpResponse response = {.content_type = "", .body = ""};
    HttpFailure failure = {
        .code = code,
        .host = request->host,
        .detail = request->detail,
        .too_large = request->too_large,
        .deadline_usec = request->deadline_usec,
    };
    curl_off_t handshake = 0;

    curl_easy_getinfo(request->easy, CURLINFO_SSL_VERIFYRESULT, &failure.verify_result);
    curl_easy_getinfo(request->easy, CURLINFO_HTTP_CONNECTCODE, &failure.proxy_status);
    curl_easy_getinfo(request->easy, CURLINFO_PRETRANSFER_TIME_T, &handshake);
    failure.connected = handshake > 0;
    response.error = http_failure_describe(&failure, &request->peer, ret_message);
    response.message = *ret_message;
    return response;
}

static void finish_request(HttpRequest *request, CURLcode code)
{
    g_autofree char *message = NULL;
    HttpResponse response;

    /* Gives the connection back, so that a request started by the callback finds it. */
    curl_multi_remove_handle(request->engine->multi, request->easy);
    request->running = false;
    response = code == CURLE_OK ? describe_answer(request) : describe_failure(request, code, &message);
    request->callback(&response, request->userdata);
    /* The callback may have freed the request. */
}

static void finish_requests(HttpEngine *engine)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(engine->multi, &left))) {
        HttpRequest *request = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&request);
        finish_request(request, code);
    }
}

static int on_socket_ready(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    HttpEngine *engine = userdata;
    int mask = 0, running;

    if (events & EPOLLIN)
        mask |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        mask |= CURL_CSELECT_OUT;
    if (events & (EPOLLERR | EPOLLHUP))
        mask |= CURL_CSELECT_ERR;
    curl_multi_socket_action(engine->multi, fd, mask, &running);
    finish_requests(engine);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    HttpEngine *engine = userdata;
    int running;

    curl_multi_socket_action(engine->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_requests(engine);
    return 0;
}

/* libcurl says which sockets it waits for; `slot` is what curl_multi_assign() kept for this one. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *slot)
{
    HttpEngine *engine = userdata;
    sd_event_source *source = slot;
    uint32_t events = 0;
    int r;

    if (what == CURL_POLL_REMOVE) {
        sd_event_source_disable_unref(source);
        curl_multi_assign(engine->multi, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        events |= EPOLLOUT;
    if (source)
        return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
    r = sd_event_add_io(engine->event, &source, fd, events, on_socket_ready, engine);
    if (r < 0)
        return -1;
    sd_event_source_set_description(source, "http-socket");
    curl_multi_assign(engine->multi, fd, source);
    return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *userdata)
{
    HttpEngine *engine = userdata;

    if (timeout_ms < 0)
        return sd_event_source_set_enabled(engine->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
    if (sd_event_source_set_time_relative(engine->timer, (uint64_t)timeout_ms * 1000) < 0)
        return -1;
    return sd_event_source_set_enabled(engine->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

int http_engine_new(sd_event *event, HttpEngine **ret)
{
    g_autoptr(HttpEngine) engine = g_new0(HttpEngine, 1);
    int r;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return -EIO;
    signal(SIGPIPE, SIG_IGN);
    engine->event = sd_event_ref(event);
    engine->multi = curl_multi_init();
    if (!engine->multi)
        return -ENOMEM;
    r = sd_event_add_time_relative(event, &engine->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC, on_timer,
                                   engine);
    if (r < 0)
        return r;
    sd_event_source_set_description(engine->timer, "http-timer");
    sd_event_source_set_enabled(engine->timer, SD_EVENT_OFF);
    curl_multi_setopt(engine->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(engine->multi, CURLMOPT_SOCKETDATA, engine);
    curl_multi_setopt(engine->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(engine->multi, CURLMOPT_TIMERDATA, engine);
    *ret = g_steal_pointer(&engine);
    return 0;
}

void http_engine_free(HttpEngine *engine)
{
    if (!engine)
        return;
    g_assert(engine->n_requests == 0);
    /* Closing the idle connections calls watch_socket() and set_timer(): the event sources go after it. */
    curl_multi_cleanup(engine->multi);
    sd_event_source_disable_unref(engine->timer);
    sd_event_unref(engine->event);
    g_free(engine);
}

static size_t on_body(char *data, size_t size, size_t count, void *userdata)
{
    HttpRequest *request = userdata;

    if (request->answer->len + size * count > HTTP_BODY_MAX) {
        request->too_large = true;
        return 0;
    }
    g_string_append_len(request->answer, data, (gssize)(size * count));
    return size * count;
}

#define SET(option, value)                                                                                   \
    do {                                                                                                     \
        if (curl_easy_setopt(easy, option, value) != CURLE_OK)                                               \
            return -EINVAL;                                                                                  \
    } while (0)

static int set_limits(CURL *easy, HttpRequest *request, const HttpPeer *peer)
{
    uint64_t connect_usec = MIN(request->deadline_usec, HTTP_CONNECT_DEADLINE_USEC);

    SET(CURLOPT_PROTOCOLS_STR, peer->allow_plain ? "https,http" : "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_TIMEOUT_MS, (long)(request->deadline_usec / 1000));
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_usec / 1000));
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)HTTP_BODY_MAX);
    SET(CURLOPT_NOSIGNAL, 1L);
    /* A name lookup runs in a thread of libcurl's. Without this option dropping the request waits for that
     * thread: as long as a dead name server takes, with the loop standing still. */
    SET(CURLOPT_QUICK_EXIT, 1L);
    return 0;
}

static int set_tls(CURL *easy, const HttpPeer *peer)
{
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, peer->insecure ? 0L : 1L);
    SET(CURLOPT_SSL_VERIFYHOST, peer->insecure ? 0L : 2L);
    if (peer->authorities && !peer->insecure) {
        struct curl_blob blob = {
            .data = (void *)peer->authorities,
            .len = strlen(peer->authorities),
            .flags = CURL_BLOB_COPY,
        };

        /* The blob replaces the system's bundle, but not the system's directory, which is an option of its
         * own. */
        SET(CURLOPT_CAINFO_BLOB, &blob);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (peer->certificate) {
        SET(CURLOPT_SSLCERT, peer->certificate);
        SET(CURLOPT_SSLKEY, peer->key ?: peer->certificate);
    }
    return 0;
}

/* rhsm.conf knows "*.example.com"; libcurl means the same by ".example.com" and takes "*" only alone. */
static char *translate_no_proxy(const char *no_proxy)
{
    g_auto(GStrv) items = g_strsplit(no_proxy ?: "", ",", -1);

    for (char **item = items; *item; item++) {
        g_strstrip(*item);
        if (g_str_has_prefix(*item, "*") && (*item)[1])
            memmove(*item, *item + 1, strlen(*item));
    }
    return g_strjoinv(",", items);
}

/* Set even when there is none: libcurl would read the environment else, and what the environment means is for
 * the configuration to say. */
static int set_proxy(CURL *easy, const HttpPeer *peer)
{
    g_autofree char *no_proxy = translate_no_proxy(peer->no_proxy);
    bool bare_ipv6 = peer->proxy_host && strchr(peer->proxy_host, ':') && *peer->proxy_host != '[';
    g_autofree char *proxy =
        bare_ipv6 ? g_strdup_printf("[%s]", peer->proxy_host) : g_strdup(peer->proxy_host);

    SET(CURLOPT_NOPROXY, no_proxy);
    SET(CURLOPT_PROXY, proxy ?: "");
    if (!proxy)
        return 0;
    SET(CURLOPT_PROXYTYPE, (long)CURLPROXY_HTTP);
    SET(CURLOPT_PROXYPORT, (long)peer->proxy_port);
    if (peer->proxy_user) {
        SET(CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
        SET(CURLOPT_PROXYUSERNAME, peer->proxy_user);
        SET(CURLOPT_PROXYPASSWORD, peer->proxy_password ?: "");
    }
    return 0;
}

static int set_user(CURL *easy, const HttpPeer *peer)
{
    if (!peer->user)
        return 0;
    SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    SET(CURLOPT_USERNAME, peer->user);
    SET(CURLOPT_PASSWORD, peer->password ?: "");
    return 0;
}

static size_t read_body(char *buffer, size_t size, size_t count, void *userdata)
{
    HttpRequest *request = userdata;
    gsize body_size;
    const char *data = g_bytes_get_data(request->body, &body_size);
    size_t n = MIN(size * count, body_size - request->sent);

    memcpy(buffer, data + request->sent, n);
    request->sent += n;
    return n;
}

static int set_body(CURL *easy, HttpRequest *request, const HttpCall *call)
{
    gsize size = 0;
    const char *data = request->body ? g_bytes_get_data(request->body, &size) : NULL;

    if (strcmp(call->method, "GET") == 0) {
        SET(CURLOPT_HTTPGET, 1L);
        return 0;
    }
    /* Not CURLOPT_UPLOAD for PUT: without a body that would be sent in chunks of unknown length. */
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_CUSTOMREQUEST, call->method);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
    if (call->once && data) {
        /* A body that libcurl reads from us, and cannot rewind, is never sent twice. */
        SET(CURLOPT_READFUNCTION, read_body);
        SET(CURLOPT_READDATA, request);
        return 0;
    }
    SET(CURLOPT_POSTFIELDS, data ?: "");
    return 0;
}

static int set_headers(CURL *easy, HttpRequest *request, const HttpCall *call)
{
    g_autofree char *content_type =
        g_strdup_printf(call->content_type ? "Content-Type: %s" : "Content-Type:", call->content_type);
    /* No "100 Continue" for large bodies: servers that do not know it cost a second for each report. */
    const char *own[] = {content_type, "Expect:", NULL};

    for (const char *const *line = own; *line; line++)
        request->headers = curl_slist_append(request->headers, *line);
    for (const char *const *line = call->headers; line && *line; line++)
        request->headers = curl_slist_append(request->headers, *line);
    SET(CURLOPT_HTTPHEADER, request->headers);
    SET(CURLOPT_USERAGENT, "guestbus-report/" GUESTBUS_VERSION);
    return 0;
}

static int set_target(CURL *easy, HttpRequest *request, const HttpCall *call)
{
    CURLU *url = curl_url();
    char *host = NULL;

    if (curl_url_set(url, CURLUPART_URL, call->url, 0) == CURLUE_OK)
        curl_url_get(url, CURLUPART_HOST, &host, 0);
    request->host = g_strdup(host);
    curl_free(host);
    curl_url_cleanup(url);
    if (!request->host)
        return -EINVAL;
    SET(CURLOPT_URL, call->url);
    SET(CURLOPT_PRIVATE, request);
    SET(CURLOPT_ERRORBUFFER, request->detail);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, request);
    return 0;
}

static int request_configure(HttpRequest *request, const HttpPeer *peer, const HttpCall *call)
{
    CURL *easy = request->easy;
    int r;

    if ((r = set_target(easy, request, call)) < 0 || (r = set_limits(easy, request, peer)) < 0 ||
        (r = set_tls(easy, peer)) < 0 || (r = set_proxy(easy, peer)) < 0 || (r = set_user(easy, peer)) < 0 ||
        (r = set_body(easy, request, call)) < 0)
        return r;
    return set_headers(easy, request, call);
}

int http_request_start(HttpEngine *engine, const HttpPeer *peer, const HttpCall *call, HttpCallback callback,
                       void *userdata, HttpRequest **ret)
{
    g_autoptr(HttpRequest) request = g_new0(HttpRequest, 1);
    int r;

    request->engine = engine;
    engine->n_requests++;
    request->answer = g_string_new(NULL);
    request->body = call->body ? g_bytes_ref(call->body) : NULL;
    request->deadline_usec = call->deadline_usec;
    request->peer.certificate = g_strdup(peer->certificate);
    request->peer.key = g_strdup(peer->key);
    request->peer.proxy_host = g_strdup(peer->proxy_host);
    request->callback = callback;
    request->userdata = userdata;
    request->easy = curl_easy_init();
    if (!request->easy)
        return -ENOMEM;
    r = request_configure(request, peer, call);
    if (r < 0)
        return r;
    if (curl_multi_add_handle(engine->multi, request->easy) != CURLM_OK)
        return -EIO;
    request->running = true;
    *ret = g_steal_pointer(&request);
    return 0;
}

void http_request_free(HttpRequest *request)
{
    if (!request)
        return;
    if (request->running)
        curl_multi_remove_handle(request->engine->multi, request->easy);
    curl_easy_cleanup(request->easy);
    curl_slist_free_all(request->headers);
    if (request->body)
        g_bytes_unref(request->body);
    g_string_free(request->answer, TRUE);
    g_free((char *)request->peer.certificate);
    g_free((char *)request->peer.key);
    g_free((char *)request->peer.proxy_host);
    g_free(request->host);
    request->engine->n_requests--;
    g_free(request);
}

uint64_t http_parse_retry_after(const char *value, time_t now)
{
    uint64_t seconds;
    time_t date;

    while (g_ascii_isspace(*value))
        value++;
    if (g_ascii_isdigit(*value)) {
        char *end;

        /* g_ascii_strtoull() stays at the largest number when there are more digits. */
        seconds = g_ascii_strtoull(value, &end, 10);
        while (g_ascii_isspace(*end))
            end++;
        return *end ? 0 : MIN(seconds, UINT64_MAX / G_USEC_PER_SEC) * G_USEC_PER_SEC;
    }
    date = curl_getdate(value, NULL);
    return date > now ? (uint64_t)(date - now) * G_USEC_PER_SEC : 0;
}
