/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <glib.h>
#include <systemd/sd-event.h>

/* HTTP on the event loop: libcurl's multi interface driven by sd-event's io and time sources, so that a
 * request never blocks and can be dropped at any moment. One engine keeps the connections of all its requests
 * and reuses them. */

/* An answer larger than this is refused; a job with 15,000 hosts in its result is about 5 MiB. */
#define HTTP_BODY_MAX (32u * 1024 * 1024)
/* Name lookup, connecting, proxy and TLS handshake together. */
#define HTTP_CONNECT_DEADLINE_USEC (30 * G_USEC_PER_SEC)

typedef struct HttpEngine HttpEngine;
typedef struct HttpRequest HttpRequest;

/* How a server is reached and as whom. Every string is optional and borrowed only while a request is started.
 */
typedef struct HttpPeer {
    const char *user;
    const char *password;
    const char *certificate; /* paths: libcurl reads them at each connect, so a renewed one is noticed */
    const char *key;
    const char *authorities; /* trusted certificates, as PEM text; see trust.h */
    const char *proxy_host;
    uint16_t proxy_port;
    const char *proxy_user;
    const char *proxy_password;
    const char *no_proxy; /* comma separated hosts and domains; "*" is all */
    bool insecure;        /* accept any server certificate */
    bool allow_plain;     /* http:// as well as https:// */
} HttpPeer;

typedef struct HttpCall {
    const char *method;
    const char *url;
    const char *content_type;
    const char *const *headers; /* further lines "Name: value", NULL at the end */
    GBytes *body;               /* or NULL */
    uint64_t deadline_usec;     /* for the whole exchange, from now */
    /* libcurl sends a request once more when a kept connection turns out to be cut. With this set it does not
     * when the body had left already: the server may have taken it, and the caller decides. */
    bool once;
} HttpCall;

/* What came back. With `error` set there is no answer and `message` says why, for a person to read; it holds
 * no secret. Otherwise `status` is the server's, of any class: redirects are not followed. */
typedef struct HttpResponse {
    int error; /* 0 or -errno */
    const char *message;
    long status;
    const char *content_type; /* "" when there is none */
    const char *body;         /* NUL behind the last byte; never NULL */
    size_t body_size;
    uint64_t retry_after_usec; /* of Retry-After, from now; 0 when absent or unreadable */
} HttpResponse;

typedef void (*HttpCallback)(const HttpResponse *response, void *userdata);

/* Also makes the process ignore SIGPIPE, which OpenSSL raises on a connection cut by the server. */
int http_engine_new(sd_event *event, HttpEngine **ret);

/* All requests must have been freed. NULL is fine. */
void http_engine_free(HttpEngine *engine);

/* Starts a request. `callback` is called once, from the loop and never from inside this function; the
 * response lives as long as the call. -EINVAL: the URL or a setting cannot be used. */
int http_request_start(HttpEngine *engine, const HttpPeer *peer, const HttpCall *call, HttpCallback callback,
                       void *userdata, HttpRequest **ret);

/* Drops a request at once, answered or not; allowed inside its callback. NULL is fine. */
void http_request_free(HttpRequest *request);

/* Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). Returns microseconds from `now`, 0 when
 * the value is neither, negative or past. */
uint64_t http_parse_retry_after(const char *value, time_t now);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpEngine, http_engine_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpRequest, http_request_free)
