/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include <curl/curl.h>

#include "service/reporter/http.h"

/* What is known of an exchange that gave no answer. */
typedef struct HttpFailure {
    CURLcode code;
    const char *host;   /* of the URL */
    const char *detail; /* libcurl's own text, may be empty */
    long verify_result; /* X509_V_ERR_..., 0 when the chain was fine */
    long proxy_status;  /* of CONNECT, 0 when there was none */
    bool connected;     /* the handshake was over */
    bool too_large;     /* the answer went over HTTP_BODY_MAX */
    uint64_t deadline_usec;
} HttpFailure;

/* Returns -errno, and in `ret_message` one line for a person: what went wrong and with which of server, proxy
 * and our own files. */
int http_failure_describe(const HttpFailure *failure, const HttpPeer *peer, char **ret_message);
