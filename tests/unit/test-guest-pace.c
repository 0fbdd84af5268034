/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND PACE_SECOND
#define START (1000 * SECOND)
#define VMS 1000

static Pace pace_of(const char *uuid)
{
    Pace pace = {.phase = pace_phase(uuid)};

    pace.period[PACE_USERS] = 10 * SECOND;
    pace.period[PACE_NETWORK] = 120 * SECOND;
    pace.period[PACE_SYSTEM] = 120 * SECOND;
    pace.period[PACE_FILESYSTEMS] = 300 * SECOND;
    pace_start(&pace, START);
    return pace;
}

static Pace pace_any(void)
{
    return pace_of("5e2f4f0c-5be0-4a3f-9d5c-3f5e2d7b9a11");
}

static void vm_uuid(unsigned number, char uuid[static 37])
{
    snprintf(uuid, 37, "00000000-0000-4000-8000-%012u", number);
}

static void test_all_is_asked_at_first(void **state)
{
    Pace pace = pace_any();

    assert_int_equal(pace_next(&pace), START);
    assert_int_equal(pace_topics(&pace, START), PACE_ALL);
    assert_int_equal(pace_topics(&pace, START - SECOND), 0);
}

static void test_each_topic_has_its_period(void **state)
{
    unsigned asked[PACE_TOPIC_COUNT] = {0};
    Pace pace = pace_any();

    pace_answered(&pace, PACE_ALL, true, START);
    for (uint64_t now = pace_next(&pace); now < START + 3600 * SECOND; now = pace_next(&pace)) {
        unsigned topics = pace_topics(&pace, now);

        assert_true(topics & PACE_BIT(PACE_USERS)); /* the rest falls together with it */
        for (unsigned topic = 0; topic < PACE_TOPIC_COUNT; topic++)
            asked[topic] += (topics & PACE_BIT(topic)) != 0;
        pace_answered(&pace, topics, true, now + SECOND / 100);
    }
    assert_in_range(asked[PACE_USERS], 359, 361);
    assert_in_range(asked[PACE_SYSTEM], 29, 31);
    assert_in_range(asked[PACE_NETWORK], 29, 31);
    assert_in_range(asked[PACE_FILESYSTEMS], 11, 13);
}

static void test_turns_keep_their_grid(void **state)
{
    uint64_t phase = 123456789;

    for (uint64_t now = START; now < START + 20 * SECOND; now += SECOND / 7) {
        uint64_t turn = pace_turn(now, 10 * SECOND, phase);

        assert_int_equal(turn % (10 * SECOND), phase % (10 * SECOND));
        assert_in_range(turn - now, 5 * SECOND, 15 * SECOND);
    }
}

static void test_address_is_asked_for_quickly(void **state)
{
    static const uint64_t waits[] = {1, 2, 4, 8, 16, 32, 64};
    Pace pace = pace_any();
    uint64_t now = START;

    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        pace_answered(&pace, PACE_BIT(PACE_NETWORK), false, now);
        assert_int_equal(pace.due[PACE_NETWORK] - now, waits[i] * SECOND);
        now = pace.due[PACE_NETWORK];
    }
    pace_answered(&pace, PACE_BIT(PACE_NETWORK), false, now);
    assert_in_range(pace.due[PACE_NETWORK] - now, 60 * SECOND, 180 * SECOND);
    /* Once it has one and loses it, the hurry starts over. */
    pace_answered(&pace, PACE_BIT(PACE_NETWORK), true, now);
    pace_answered(&pace, PACE_BIT(PACE_NETWORK), false, now);
    assert_int_equal(pace.due[PACE_NETWORK] - now, SECOND);
}

static void test_mute_agent_is_asked_less_and_less(void **state)
{
    static const uint64_t waits[] = {2, 4, 8, 16, 32, 60, 60, 60};
    Pace pace = pace_any();
    uint64_t now = START;

    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        pace_missed(&pace, now);
        assert_int_equal(pace_is_mute(&pace), i + 1 >= PACE_MISSES_MAX);
        assert_in_range(pace_next(&pace) - now, waits[i] * SECOND * 7 / 8, waits[i] * SECOND);
        assert_int_equal(pace_topics(&pace, pace_next(&pace) - SECOND), 0);
        now = pace_next(&pace);
        assert_true(pace_topics(&pace, now) & PACE_BIT(PACE_USERS));
    }
    pace_answered(&pace, PACE_ALL, true, now);
    assert_false(pace_is_mute(&pace));
    assert_true(pace_next(&pace) <= now + 15 * SECOND);
}

static void test_misses_do_not_overflow(void **state)
{
    Pace pace = pace_any();

    pace.misses = UINT32_MAX;
    pace_missed(&pace, START);
    assert_true(pace_is_mute(&pace));
    assert_true(pace_next(&pace) <= START + PACE_BACKOFF_LAST);
}

/* 1,000 VMs whose agents are all asked in one instant are apart at their next turn, and stay so. */
static void test_vms_are_spread(void **state)
{
    unsigned in_slot[100] = {0};
    char uuid[37];

    for (unsigned i = 0; i < VMS; i++) {
        Pace pace;

        vm_uuid(i, uuid);
        pace = pace_of(uuid);
        pace_answered(&pace, PACE_ALL, true, START);
        in_slot[pace_next(&pace) % (10 * SECOND) / (SECOND / 10)]++;
    }
    for (unsigned i = 0; i < 100; i++)
        assert_true(in_slot[i] <= 30); /* 10 on average */
}

static void test_backoff_is_spread(void **state)
{
    uint64_t first = UINT64_MAX, last = 0;
    char uuid[37];

    for (unsigned i = 0; i < VMS; i++) {
        uint64_t wait;

        vm_uuid(i, uuid);
        wait = pace_backoff(10, pace_phase(uuid));
        first = wait < first ? wait : first;
        last = wait > last ? wait : last;
    }
    assert_true(last <= PACE_BACKOFF_LAST);
    assert_true(last - first > PACE_BACKOFF_LAST / 10);
}

static void test_a_share_of_nothing(void **state)
{
    assert_int_equal(pace_share(0, 42), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_asked_at_first),
        cmocka_unit_test(test_each_topic_has_its_period),
        cmocka_unit_test(test_turns_keep_their_grid),
        cmocka_unit_test(test_address_is_asked_for_quickly),
        cmocka_unit_test(test_mute_agent_is_asked_less_and_less),
        cmocka_unit_test(test_misses_do_not_overflow),
        cmocka_unit_test(test_vms_are_spread),
        cmocka_unit_test(test_backoff_is_spread),
        cmocka_unit_test(test_a_share_of_nothing),
    };

    return cmocka_run_group_tests_name("guest-pace", tests, NULL, NULL);
}
