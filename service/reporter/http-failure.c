/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/http-failure.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#define HTTP_PROXY_AUTHENTICATION_REQUIRED 407

/* The chain's verdict comes from OpenSSL. The name is libcurl's business, which looks at it only when the
 * chain is fine and then leaves "unspecified" behind. */
static char *describe_certificate(const HttpFailure *failure)
{
    switch (failure->verify_result) {
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED:
        if (!strstr(failure->detail, "subject name"))
            return g_strdup_printf("the certificate of %s is refused: %s", failure->host, failure->detail);
        return g_strdup_printf("the certificate of %s is made out for another name", failure->host);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return g_strdup_printf("the certificate of %s, or of the authority behind it, has expired",
                               failure->host);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return g_strdup_printf("the certificate of %s is not valid yet: is this machine's clock right?",
                               failure->host);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return g_strdup_printf("the certificate of %s comes from an unknown authority (is the file of its CA "
                               "missing?)",
                               failure->host);
    default:
        return g_strdup_printf("the certificate of %s is refused: %s", failure->host,
                               X509_verify_cert_error_string(failure->verify_result));
    }
}

/* In TLS 1.3 a server refuses the client's certificate after the handshake, so the alert shows up on reading.
 */
static bool is_certificate_alert(const HttpFailure *failure)
{
    return strstr(failure->detail, "alert") &&
           (strstr(failure->detail, "certificate") || strstr(failure->detail, "unknown ca"));
}

static bool has_expired(const char *path)
{
    FILE *file = path ? fopen(path, "re") : NULL;
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    bool expired = certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;

    X509_free(certificate);
    if (file)
        fclose(file);
    ERR_clear_error();
    return expired;
}

static char *describe_timeout(const HttpFailure *failure)
{
    if (!failure->connected)
        return g_strdup_printf("no connection to %s in time", failure->host);
    return g_strdup_printf("no complete answer from %s within %" PRIu64 " s", failure->host,
                           failure->deadline_usec / G_USEC_PER_SEC);
}

static char *describe_broken(const HttpFailure *failure, const HttpPeer *peer)
{
    if (failure->proxy_status == HTTP_PROXY_AUTHENTICATION_REQUIRED)
        return g_strdup_printf("the proxy %s wants another user name or password", peer->proxy_host);
    if (failure->proxy_status >= 300)
        return g_strdup_printf("the proxy %s refused to connect to %s: HTTP status %ld", peer->proxy_host,
                               failure->host, failure->proxy_status);
    if (is_certificate_alert(failure))
        return g_strdup_printf("%s refused our client certificate: %s", failure->host, failure->detail);
    /* The server's alert about it is lost as a rule: it closes the connection while we still write. */
    if (has_expired(peer->certificate))
        return g_strdup_printf("%s refused our client certificate: %s has expired", failure->host,
                               peer->certificate);
    return g_strdup_printf("the connection to %s was cut before the answer was complete", failure->host);
}

int http_failure_describe(const HttpFailure *failure, const HttpPeer *peer, char **ret_message)
{
    if (failure->too_large || failure->code == CURLE_FILESIZE_EXCEEDED) {
        *ret_message = g_strdup_printf("the answer of %s is larger than %u MiB", failure->host,
                                       HTTP_BODY_MAX / 1024 / 1024);
        return -EMSGSIZE;
    }
    switch (failure->code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        *ret_message = describe_certificate(failure);
        return -EKEYREJECTED;
    case CURLE_SSL_CERTPROBLEM:
        *ret_message = g_strdup_printf("cannot use the client certificate %s with the key %s",
                                       peer->certificate ?: "(none)", peer->key ?: "(none)");
        return -ENOKEY;
    case CURLE_SSL_CACERT_BADFILE:
        *ret_message = g_strdup("cannot use the certificates of the trusted authorities");
        return -ENOKEY;
    case CURLE_COULDNT_RESOLVE_HOST:
        *ret_message = g_strdup_printf("the host name %s is not known", failure->host);
        return -EHOSTUNREACH;
    case CURLE_COULDNT_RESOLVE_PROXY:
        *ret_message = g_strdup_printf("the name of the proxy, %s, is not known", peer->proxy_host);
        return -EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT:
        *ret_message = g_strdup_printf("cannot connect to %s: %s", failure->host, failure->detail);
        return -ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        *ret_message = describe_timeout(failure);
        return -ETIMEDOUT;
    case CURLE_UNSUPPORTED_PROTOCOL:
        *ret_message = g_strdup_printf("the URL of %s has a scheme that is not allowed here", failure->host);
        return -EINVAL;
    case CURLE_SSL_CONNECT_ERROR:
        if (is_certificate_alert(failure)) {
            *ret_message = describe_broken(failure, peer);
            return -EKEYREJECTED;
        }
        *ret_message = g_strdup_printf("no TLS connection with %s: %s", failure->host, failure->detail);
        return -EPROTO;
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_FAIL_REWIND:
        *ret_message = describe_broken(failure, peer);
        return is_certificate_alert(failure) ? -EKEYREJECTED : -ECONNRESET;
    default:
        *ret_message =
            g_strdup_printf("no answer from %s: %s", failure->host,
                            *failure->detail ? failure->detail : curl_easy_strerror(failure->code));
        return -EIO;
    }
}
