/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <glib/gstdio.h>
#include <openssl/x509_vfy.h>

#include "service/reporter/http-failure.h"
#include "service/reporter/http.h"
#include "service/reporter/trust.h"

#define SECONDS(n) ((uint64_t)(n)*G_USEC_PER_SEC)
/* Sun, 06 Nov 1994 08:49:37 GMT, the date of the RFC's examples. */
#define THEN 784111777

static void test_retry_after_seconds(void **state)
{
    assert_int_equal(http_parse_retry_after("120", THEN), SECONDS(120));
    assert_int_equal(http_parse_retry_after("  7 ", THEN), SECONDS(7));
    assert_int_equal(http_parse_retry_after("0", THEN), 0);
}

static void test_retry_after_date(void **state)
{
    assert_int_equal(http_parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", THEN), SECONDS(60));
    assert_int_equal(http_parse_retry_after("Sunday, 06-Nov-94 08:49:47 GMT", THEN), SECONDS(10));
    assert_int_equal(http_parse_retry_after("Sun Nov  6 08:49:38 1994", THEN), SECONDS(1));
    assert_int_equal(http_parse_retry_after("Sun, 06 Nov 1994 08:49:36 GMT", THEN), 0);
}

static void test_retry_after_nonsense(void **state)
{
    const char *const values[] = {"", "-5", "soon", "12 apples", "1.5", "0x10"};

    for (size_t i = 0; i < G_N_ELEMENTS(values); i++)
        assert_int_equal(http_parse_retry_after(values[i], THEN), 0);
}

/* A number that no integer holds is a very long time, not none. */
static void test_retry_after_huge(void **state)
{
    assert_true(http_parse_retry_after("18446744073709551615", THEN) > SECONDS(1000000000));
    assert_true(http_parse_retry_after("99999999999999999999999999", THEN) > SECONDS(1000000000));
}

static void check_failure(const HttpFailure *failure, int expected, const char *word)
{
    const HttpPeer peer = {.proxy_host = "proxy.example", .certificate = "/c.pem", .key = "/k.pem"};
    g_autofree char *message = NULL;

    assert_int_equal(http_failure_describe(failure, &peer, &message), expected);
    if (!strstr(message, word))
        fail_msg("no \"%s\" in \"%s\"", word, message);
}

static void test_failures_are_told_apart(void **state)
{
    HttpFailure failure = {.host = "cp.example", .detail = "", .deadline_usec = SECONDS(3)};

    failure.code = CURLE_PEER_FAILED_VERIFICATION;
    failure.verify_result = X509_V_ERR_UNSPECIFIED;
    failure.detail = "SSL: no alternative certificate subject name matches target host name 'cp.example'";
    check_failure(&failure, -EKEYREJECTED, "another name");
    failure.verify_result = X509_V_ERR_CERT_HAS_EXPIRED;
    check_failure(&failure, -EKEYREJECTED, "expired");
    failure.verify_result = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
    check_failure(&failure, -EKEYREJECTED, "unknown authority");
    failure.verify_result = X509_V_ERR_CERT_REVOKED;
    check_failure(&failure, -EKEYREJECTED, "revoked");

    failure.detail = "";
    failure.code = CURLE_OPERATION_TIMEDOUT;
    check_failure(&failure, -ETIMEDOUT, "no connection to cp.example");
    failure.connected = true;
    check_failure(&failure, -ETIMEDOUT, "within 3 s");

    failure.code = CURLE_RECV_ERROR;
    check_failure(&failure, -ECONNRESET, "cut");
    failure.proxy_status = 407;
    check_failure(&failure, -ECONNRESET, "proxy.example wants another user name");
    failure.proxy_status = 503;
    check_failure(&failure, -ECONNRESET, "status 503");
    failure.proxy_status = 0;
    failure.detail = "tlsv13 alert certificate required";
    check_failure(&failure, -EKEYREJECTED, "client certificate");

    failure.code = CURLE_SSL_CERTPROBLEM;
    check_failure(&failure, -ENOKEY, "/c.pem");
    failure.code = CURLE_WRITE_ERROR;
    failure.too_large = true;
    check_failure(&failure, -EMSGSIZE, "larger than");
}

static void test_directory_without_authorities(void **state)
{
    g_autofree char *directory = g_dir_make_tmp("gb-XXXXXX", NULL), *file = NULL;
    g_autofree char *pem = NULL, *skipped = NULL;

    assert_int_equal(trust_load("/nonexistent", &pem, &skipped), -ENOENT);
    file = g_build_filename(directory, "broken.pem", NULL);
    assert_true(g_file_set_contents(file, "-----BEGIN CERTIFICATE-----\nAAAA\n", -1, NULL));
    assert_int_equal(trust_load(directory, &pem, &skipped), -ENOENT);
    assert_string_equal(skipped, file);
    assert_null(pem);
    g_unlink(file);
    g_rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_after_seconds),     cmocka_unit_test(test_retry_after_date),
        cmocka_unit_test(test_retry_after_nonsense),    cmocka_unit_test(test_retry_after_huge),
        cmocka_unit_test(test_failures_are_told_apart), cmocka_unit_test(test_directory_without_authorities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
