/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "service/reporter/candlepin-answer.h"

static CandlepinJob *parse_job(const char *text)
{
    CandlepinJob *job = NULL;

    assert_int_equal(candlepin_parse_job(text, strlen(text), &job), 0);
    return job;
}

static void test_job_states(void **state)
{
    static const struct {
        const char *word;
        JobState state;
    } cases[] = {
        {"CREATED", JOB_CREATED},   {"QUEUED", JOB_CREATED},     {"RUNNING", JOB_RUNNING},
        {"FINISHED", JOB_FINISHED}, {"CANCELED", JOB_CANCELED},  {"FAILED", JOB_FAILED},
        {"ABORTED", JOB_FAILED},    {"CANCELLED", JOB_CANCELED}, {"FAILED_WITH_RETRY", JOB_RUNNING},
        {"SOMETHING", JOB_RUNNING},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf("{\"id\":\"j1\",\"state\":\"%s\"}", cases[i].word);
        g_autoptr(CandlepinJob) job = parse_job(text);

        assert_int_equal(job->state, cases[i].state);
        assert_string_equal(job->id, "j1");
    }
}

static void test_blocked_is_not_failed(void **state)
{
    g_autoptr(CandlepinJob) blocked = parse_job("{\"id\":\"j2\",\"state\":\"FAILED\",\"resultData\":"
                                                "\"Job blocked by the following existing jobs: j1\"}");
    g_autoptr(CandlepinJob) failed = parse_job("{\"id\":\"j2\",\"state\":\"FAILED\",\"resultData\":\"no\"}");

    assert_int_equal(blocked->state, JOB_BLOCKED);
    assert_int_equal(failed->state, JOB_FAILED);
    assert_string_equal(failed->message, "no");
    assert_true(job_state_is_over(JOB_BLOCKED));
}

static void test_job_result(void **state)
{
    g_autoptr(CandlepinJob) job = parse_job(
        "{\"id\":\"j\",\"state\":\"FINISHED\",\"attempts\":\"1\",\"resultData\":{\"created\":[{},{}],"
        "\"updated\":[{}],\"unchanged\":[],\"failedUpdate\":[\"h1: no\\nway\",7]}}");

    assert_int_equal(job->created, 2);
    assert_int_equal(job->updated, 1);
    assert_int_equal(job->failed, 2);
    assert_int_equal(job->failures->len, 1);
    assert_string_equal(job->failures->pdata[0], "h1: no way");
}

static void test_answers_that_are_no_job(void **state)
{
    const char *const texts[] = {"",       "null",       "[]", "{}", "{\"state\":7}", "{\"state\":\"\"}",
                                 "<html>", "{\"state\":"};

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        CandlepinJob *job = NULL;

        assert_int_equal(candlepin_parse_job(texts[i], strlen(texts[i]), &job), -EBADMSG);
        assert_null(job);
    }
}

static void test_nesting_is_limited(void **state)
{
    g_autoptr(GString) text = g_string_new("{\"state\":\"FINISHED\",\"resultData\":");
    CandlepinJob *job = NULL;

    for (int i = 0; i < 100000; i++)
        g_string_append_c(text, '[');
    assert_int_equal(candlepin_parse_job(text->str, text->len, &job), -EBADMSG);
}

static void test_capabilities(void **state)
{
    const char *text = "{\"result\":true,\"managerCapabilities\":[\"cores\",7,\"hypervisors_async\"]}";
    g_autoptr(CandlepinServer) server = NULL;
    g_autoptr(CandlepinServer) suspended = NULL;

    assert_int_equal(candlepin_parse_server(text, strlen(text), &server), 0);
    assert_true(server->up);
    assert_true(server->has_async_check_in);
    assert_false(server->has_heartbeat);
    text = "{\"result\":false,\"mode\":\"SUSPEND\",\"modeReason\":\"QPID_DOWN\"}";
    assert_int_equal(candlepin_parse_server(text, strlen(text), &suspended), 0);
    assert_false(suspended->up);
    assert_string_equal(suspended->mode_reason, "QPID_DOWN");
}

static void test_resources(void **state)
{
    const char *text = "[{\"rel\":\"jobs\"},3,{\"rel\":\"guestids\",\"href\":\"/x\"}]";
    bool found = false;

    assert_int_equal(candlepin_parse_resources(text, strlen(text), "guestids", &found), 0);
    assert_true(found);
    assert_int_equal(candlepin_parse_resources(text, strlen(text), "owners", &found), 0);
    assert_false(found);
    assert_int_equal(candlepin_parse_resources("{}", 2, "owners", &found), -EBADMSG);
}

static void judge(long status, const char *body, CandlepinOutcome expected, const char *word)
{
    HttpResponse response = {
        .status = status, .content_type = "text/plain", .body = body, .body_size = strlen(body)};
    g_autofree char *message = NULL;

    assert_int_equal(candlepin_judge(&response, &message), expected);
    if (word && !(message && strstr(message, word)))
        fail_msg("no \"%s\" in \"%s\"", word, message ? message : "(null)");
    if (!word)
        assert_null(message);
}

static void test_outcomes(void **state)
{
    judge(200, "{}", CANDLEPIN_OK, NULL);
    judge(204, "", CANDLEPIN_OK, NULL);
    judge(302, "", CANDLEPIN_DENIED, "redirected");
    judge(400, "", CANDLEPIN_REJECTED, "400");
    judge(401, "", CANDLEPIN_DENIED, "401");
    judge(403, "", CANDLEPIN_DENIED, "403");
    judge(404, "", CANDLEPIN_MISSING, "404");
    judge(410, "", CANDLEPIN_GONE, "410");
    judge(429, "", CANDLEPIN_LATER, "429");
    judge(500, "", CANDLEPIN_TROUBLE, "500");
    judge(502, "", CANDLEPIN_TROUBLE, "502");
    judge(503, "", CANDLEPIN_LATER, "503");
}

/* Whatever the Content-Type says: Satellite sends JSON as text/plain, front ends send pages. */
static void test_error_texts(void **state)
{
    judge(404, "{\"displayMessage\":\"Owner x\\u0007 unknown\"}", CANDLEPIN_MISSING, "(Owner x  unknown)");
    judge(422, "{\"errors\":[\"Organization missing\"]}", CANDLEPIN_REJECTED, "(Organization missing)");
    judge(502, "<HTML><head><title>Bad\nGateway</title>", CANDLEPIN_TROUBLE, "(Bad Gateway)");
    judge(500, "\xff\xfe{", CANDLEPIN_TROUBLE, "error inside the server");
}

static void test_long_texts_are_cut(void **state)
{
    g_autoptr(GString) body = g_string_new("{\"displayMessage\":\"");
    HttpResponse response = {.status = 500, .content_type = ""};
    g_autofree char *message = NULL;

    for (int i = 0; i < 5000; i++)
        g_string_append(body, "\xc3\xbc");
    g_string_append(body, "\"}");
    response.body = body->str;
    response.body_size = body->len;
    assert_int_equal(candlepin_judge(&response, &message), CANDLEPIN_TROUBLE);
    assert_true(strlen(message) < 2 * CANDLEPIN_MESSAGE_MAX);
    assert_true(g_utf8_validate(message, -1, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_states),         cmocka_unit_test(test_blocked_is_not_failed),
        cmocka_unit_test(test_job_result),         cmocka_unit_test(test_answers_that_are_no_job),
        cmocka_unit_test(test_nesting_is_limited), cmocka_unit_test(test_capabilities),
        cmocka_unit_test(test_resources),          cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_error_texts),        cmocka_unit_test(test_long_texts_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
