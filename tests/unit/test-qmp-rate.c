/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>

#include <glib.h>

#include "service/qmp/gate.h"
#include "service/qmp/rate.h"
#include "service/qmp/stream.h"

#define SECOND UINT64_C(1000000)

static const QMPRate default_rate = {QMP_RATE_DEFAULT, QMP_BURST_DEFAULT};

static unsigned int take_all(QMPBucket *bucket, const QMPRate *rate, uint64_t now)
{
    unsigned int taken = 0;

    while (qmp_bucket_take(bucket, rate, now))
        taken++;
    return taken;
}

static void test_bucket(void **state)
{
    QMPBucket bucket;

    qmp_bucket_fill(&bucket, &default_rate, SECOND);
    assert_true(qmp_bucket_is_full(&bucket, &default_rate, SECOND));
    assert_int_equal(take_all(&bucket, &default_rate, SECOND), 1000);
    assert_int_equal(take_all(&bucket, &default_rate, 2 * SECOND), 200);
    assert_int_equal(take_all(&bucket, &default_rate, 2 * SECOND + 4999), 0);
    assert_int_equal(take_all(&bucket, &default_rate, 2 * SECOND + 5000), 1);
    assert_false(qmp_bucket_is_full(&bucket, &default_rate, 6 * SECOND));
    assert_true(qmp_bucket_is_full(&bucket, &default_rate, 8 * SECOND));
    /* A long quiet time is worth one burst, and does not overflow. */
    assert_int_equal(take_all(&bucket, &default_rate, UINT64_MAX), 1000);
}

static void test_bucket_keeps_its_rate_over_small_steps(void **state)
{
    QMPBucket bucket;
    QMPRate rate = {3, 1};
    unsigned int taken = 0;

    qmp_bucket_fill(&bucket, &rate, 0);
    for (uint64_t now = 0; now <= 100 * SECOND; now += 7)
        taken += qmp_bucket_take(&bucket, &rate, now);
    assert_in_range(taken, 299, 301);
}

static void test_bucket_with_strange_clocks_and_rates(void **state)
{
    QMPRate small = {1, 2}, none = {0, 1}, largest = {QMP_RATE_MAX, QMP_BURST_MAX};
    QMPBucket bucket;

    qmp_bucket_fill(&bucket, &default_rate, 10 * SECOND);
    assert_int_equal(take_all(&bucket, &default_rate, 9 * SECOND), 1000);
    assert_int_equal(take_all(&bucket, &default_rate, 10 * SECOND), 0);
    /* A rate that became smaller takes the credit above its burst away. */
    qmp_bucket_fill(&bucket, &default_rate, 10 * SECOND);
    assert_int_equal(take_all(&bucket, &small, 10 * SECOND), 2);
    qmp_bucket_fill(&bucket, &none, 0);
    assert_int_equal(take_all(&bucket, &none, 100 * SECOND), 1);
    qmp_bucket_fill(&bucket, &largest, 0);
    assert_int_equal(take_all(&bucket, &largest, 0), QMP_BURST_MAX);
}

static bool is_readable(int fd)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    return poll(&pollfd, 1, 0) == 1;
}

static void collect_into(const char *uuid, uint64_t lost, void *userdata)
{
    g_string_append_printf(userdata, "%s:%" G_GUINT64_FORMAT " ", uuid, lost);
}

static void expect_losses(QMPGate *gate, const char *expected)
{
    g_autoptr(GString) text = g_string_new(NULL);

    qmp_gate_collect(gate, collect_into, text);
    assert_string_equal(text->str, expected);
}

static void test_gate(void **state)
{
    const QMPRate rate = {1, 2};
    QMPGate *gate;

    assert_int_equal(qmp_gate_new(&rate, &gate), 0);
    assert_true(qmp_gate_admit(gate, "a", 0));
    assert_true(qmp_gate_admit(gate, "a", 0));
    assert_false(is_readable(qmp_gate_fd(gate)));
    assert_false(qmp_gate_admit(gate, "a", 0));
    assert_true(is_readable(qmp_gate_fd(gate)));
    /* A storm of one does not touch the other. */
    assert_true(qmp_gate_admit(gate, "b", 0));
    assert_false(qmp_gate_admit(gate, "a", 0));
    expect_losses(gate, "a:2 ");
    assert_false(is_readable(qmp_gate_fd(gate)));
    /* The loop looks again by itself until a collection was empty; then it has to be told. */
    assert_false(qmp_gate_admit(gate, "a", 0));
    assert_false(is_readable(qmp_gate_fd(gate)));
    expect_losses(gate, "a:1 ");
    expect_losses(gate, "");
    qmp_gate_lose(gate, "c", 0);
    assert_true(is_readable(qmp_gate_fd(gate)));
    expect_losses(gate, "c:1 ");
    qmp_gate_unref(gate);
}

static void test_gate_forgets_quiet_machines_only(void **state)
{
    const QMPRate rate = {1, 1};
    g_autoptr(GString) text = g_string_new(NULL);
    QMPGate *gate;

    assert_int_equal(qmp_gate_new(&rate, &gate), 0);
    assert_true(qmp_gate_admit(gate, "busy", 0));
    assert_false(qmp_gate_admit(gate, "busy", 0));
    for (uint64_t i = 0; i < 1000; i++) {
        g_autofree char *uuid = g_strdup_printf("%" G_GUINT64_FORMAT, i);
        assert_true(qmp_gate_admit(gate, uuid, 10 * i * SECOND));
        /* One event each ten seconds keeps the bucket empty for a tenth of the time. */
        assert_true(qmp_gate_admit(gate, "steady", 10 * i * SECOND));
        assert_false(qmp_gate_admit(gate, "steady", 10 * i * SECOND));
    }
    assert_int_equal(qmp_gate_collect(gate, collect_into, text), 2);
    assert_non_null(strstr(text->str, "busy:1 "));
    assert_non_null(strstr(text->str, "steady:1000 "));
    qmp_gate_unref(gate);
}

static void test_gate_takes_a_new_rate(void **state)
{
    QMPGate *gate;

    assert_int_equal(qmp_gate_new(&(QMPRate){1, 1}, &gate), 0);
    assert_true(qmp_gate_admit(gate, "a", 0));
    assert_false(qmp_gate_admit(gate, "a", SECOND / 2));
    qmp_gate_set_rate(gate, &(QMPRate){100, 100});
    assert_true(qmp_gate_admit(gate, "a", SECOND));
    assert_true(qmp_gate_admit(gate, "a", SECOND));
    qmp_gate_unref(gate);
}

enum {
    THREADS = 4,
    EVENTS = 20000,
};

static void *offer_events(void *gate)
{
    uintptr_t passed = 0;

    for (uint64_t i = 0; i < EVENTS; i++)
        passed += qmp_gate_admit(gate, "a", i);
    return (void *)passed;
}

static void count_lost(const char *uuid, uint64_t lost, void *userdata)
{
    *(uint64_t *)userdata += lost;
}

static void test_gate_counts_right_between_threads(void **state)
{
    pthread_t threads[THREADS];
    uint64_t passed = 0, lost = 0;
    QMPGate *gate;

    assert_int_equal(qmp_gate_new(&default_rate, &gate), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, offer_events, gate), 0);
    for (int i = 0; i < 100; i++)
        qmp_gate_collect(gate, count_lost, &lost);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        passed += (uintptr_t)result;
    }
    qmp_gate_collect(gate, count_lost, &lost);
    assert_int_equal(passed + lost, THREADS * EVENTS);
    /* 20 ms of clock are worth four events. */
    assert_in_range(passed, QMP_BURST_DEFAULT, QMP_BURST_DEFAULT + 4);
    qmp_gate_unref(gate);
}

static void test_notice_after_the_storm(void **state)
{
    QMPStream stream = {0};
    QMPEvent *notice;

    assert_false(qmp_stream_is_stormy(&stream));
    assert_null(qmp_stream_take_notice(&stream, 100 * SECOND, 7));
    qmp_stream_lose(&stream, 3, 10 * SECOND);
    qmp_stream_lose(&stream, 4, 11 * SECOND - 1);
    assert_true(qmp_stream_is_stormy(&stream));
    assert_null(qmp_stream_take_notice(&stream, 11 * SECOND, 7));
    notice = qmp_stream_take_notice(&stream, 12 * SECOND, 7);
    assert_non_null(notice);
    assert_string_equal(notice->name, "GUESTBUS_EVENTS_DROPPED");
    assert_int_equal(notice->timestamp, 7);
    assert_string_equal(json_object_to_json_string_ext(notice->details, JSON_C_TO_STRING_PLAIN),
                        "{\"count\":7}");
    qmp_event_free(notice);

    assert_false(qmp_stream_is_stormy(&stream));
    assert_null(qmp_stream_take_notice(&stream, 100 * SECOND, 7));
    qmp_stream_lose(&stream, 1, 100 * SECOND);
    assert_int_equal(stream.dropped, 8);
    assert_int_equal(stream.unannounced, 1);
}

static void test_one_complaint(void **state)
{
    QMPStream stream = {0};

    assert_true(qmp_stream_may_complain(&stream));
    assert_false(qmp_stream_may_complain(&stream));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket),
        cmocka_unit_test(test_bucket_keeps_its_rate_over_small_steps),
        cmocka_unit_test(test_bucket_with_strange_clocks_and_rates),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_gate_forgets_quiet_machines_only),
        cmocka_unit_test(test_gate_takes_a_new_rate),
        cmocka_unit_test(test_gate_counts_right_between_threads),
        cmocka_unit_test(test_notice_after_the_storm),
        cmocka_unit_test(test_one_complaint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
