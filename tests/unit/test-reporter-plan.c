/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "service/cleanup.h"
#include "service/reporter/backoff.h"
#include "service/reporter/plan.h"

static DestinationRecord *make_record(State *state)
{
    return state_get_destination(state, "acme@host");
}

/* One source with one host and one guest; `system_uuid` may be NULL. */
static PlanSource make_source(const char *name, const char *host_id, const char *guest,
                              const char *system_uuid)
{
    Association *association = association_new(ASSOCIATION_HOSTS);
    PlanSource source = {.name = name, .association = association};

    if (host_id) {
        AssociationHost *host = association_add_host(association, host_id, NULL);

        association_add_guest(association, host, guest, "fake", GUEST_RUNNING);
        if (system_uuid)
            association_add_fact(association, host, "dmi.system.uuid", system_uuid);
    }
    association_hash(&association, 1, source.hash);
    return source;
}

static void release_source(PlanSource *source)
{
    association_unref(source->association);
}

static void accept_source(DestinationRecord *record, const PlanSource *source)
{
    g_hash_table_replace(record->accepted, g_strdup(source->name), plan_describe(source));
}

static void test_needed_when_new_or_different(void **unused)
{
    g_autoptr(State) state = state_new();
    DestinationRecord *record = make_record(state);
    _cleanup_(release_source) PlanSource first = make_source("a", "h1", "g1", NULL);
    _cleanup_(release_source) PlanSource second = make_source("a", "h1", "g2", NULL);

    assert_true(plan_is_needed(&first, 1, record));
    accept_source(record, &first);
    assert_false(plan_is_needed(&first, 1, record));
    assert_true(plan_is_needed(&second, 1, record));
}

static void test_failed_source_needs_nothing(void **unused)
{
    g_autoptr(State) state = state_new();
    DestinationRecord *record = make_record(state);
    _cleanup_(release_source) PlanSource good = make_source("a", "h1", "g1", NULL);
    PlanSource sources[] = {good, {.name = "b"}};
    g_autoptr(Plan) plan = NULL;

    accept_source(record, &sources[0]);
    assert_false(plan_is_needed(sources, 2, record));
    plan = plan_new(sources, 2, record);
    assert_int_equal(plan->associations->len, 1);
    assert_int_equal(g_hash_table_size(plan->deliveries), 1);
}

static void test_hosts_of_a_failed_source_are_not_gone(void **unused)
{
    g_autoptr(State) state = state_new();
    DestinationRecord *record = make_record(state);
    _cleanup_(release_source) PlanSource before = make_source("a", "h1", "g1", NULL);
    PlanSource failed = {.name = "a"};
    g_autoptr(Plan) plan = NULL;

    accept_source(record, &before);
    plan = plan_new(&failed, 1, record);
    assert_int_equal(plan->gone, 0);
    assert_int_equal(plan->associations->len, 0);
}

static unsigned count_gone(const char *old_id, const char *old_system, const char *new_id,
                           const char *new_system)
{
    g_autoptr(State) state = state_new();
    DestinationRecord *record = make_record(state);
    _cleanup_(release_source) PlanSource before = make_source("a", old_id, "g1", old_system);
    _cleanup_(release_source) PlanSource after = make_source("a", new_id, "g1", new_system);
    g_autoptr(Plan) plan = NULL;

    accept_source(record, &before);
    plan = plan_new(&after, 1, record);
    return plan->gone;
}

static void test_gone_hosts(void **unused)
{
    assert_int_equal(count_gone("h1", NULL, "h1", NULL), 0);
    assert_int_equal(count_gone("h1", NULL, "H1", NULL), 0);
    assert_int_equal(count_gone("h1", NULL, "h2", NULL), 1);
    assert_int_equal(count_gone("h1", "u1", "h2", "u2"), 1);
    assert_int_equal(count_gone("h1", "U1", "h2", "u1"), 0);
    assert_int_equal(count_gone("h1", "u1", NULL, NULL), 1);
}

static void test_hash_covers_what_is_gone(void **unused)
{
    g_autoptr(State) state = state_new();
    DestinationRecord *record = make_record(state);
    _cleanup_(release_source) PlanSource before = make_source("a", "h1", "g1", NULL);
    _cleanup_(release_source) PlanSource after = make_source("a", "h2", "g1", NULL);
    g_autoptr(Plan) fresh = plan_new(&after, 1, record);
    g_autoptr(Plan) moved = NULL;

    accept_source(record, &before);
    moved = plan_new(&after, 1, record);
    assert_string_not_equal(fresh->hash, moved->hash);
}

/* exclude_hosts was set: the host is there, and perhaps somebody else's to report. */
static void test_excluded_host_is_not_gone(void **unused)
{
    g_autoptr(State) state = state_new();
    DestinationRecord *record = make_record(state);
    _cleanup_(release_source) PlanSource before = make_source("a", "h1", "g1", NULL);
    _cleanup_(release_source) PlanSource after = make_source("a", "h2", "g1", NULL);
    g_autoptr(GPtrArray) deny = g_ptr_array_new();
    g_autoptr(Filter) filter = NULL;
    g_autoptr(Plan) plan = NULL;

    g_ptr_array_add(deny, (char *)"h1");
    after.filter = filter = filter_new(FILTER_WILDCARDS, NULL, deny);
    accept_source(record, &before);
    plan = plan_new(&after, 1, record);
    assert_int_equal(plan->gone, 0);
}

static unsigned count_warnings(const char *id, const char *system, const char *other_id,
                               const char *other_system)
{
    g_autoptr(State) state = state_new();
    _cleanup_(release_source) PlanSource first = make_source("a", id, "g1", system);
    _cleanup_(release_source) PlanSource second = make_source("b", other_id, "g2", other_system);
    PlanSource sources[] = {first, second};
    g_autoptr(Plan) plan = plan_new(sources, 2, make_record(state));

    return plan->warnings->len;
}

static void test_hosts_that_look_the_same(void **unused)
{
    assert_int_equal(count_warnings("h1", "u1", "h2", "u2"), 0);
    assert_int_equal(count_warnings("h1", NULL, "h2", NULL), 0);
    assert_int_equal(count_warnings("h1", "u1", "H1", "u2"), 1);
    assert_int_equal(count_warnings("h1", "u1", "h2", "U1"), 1);
}

static void test_backoff(void **unused)
{
    const uint64_t waits[] = {2, 4, 8, 16, 32, 60, 60};

    for (unsigned i = 0; i < G_N_ELEMENTS(waits); i++)
        for (unsigned n = 0; n < 100; n++) {
            uint64_t delay = backoff_delay(i + 1, 2000, 60000);

            assert_in_range(delay, waits[i] * 500, waits[i] * 1000);
        }
    assert_in_range(backoff_delay(4000000000u, 2000, UINT64_MAX), UINT64_MAX / 2 - 4096, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_needed_when_new_or_different),
        cmocka_unit_test(test_failed_source_needs_nothing),
        cmocka_unit_test(test_hosts_of_a_failed_source_are_not_gone),
        cmocka_unit_test(test_gone_hosts),
        cmocka_unit_test(test_hash_covers_what_is_gone),
        cmocka_unit_test(test_excluded_host_is_not_gone),
        cmocka_unit_test(test_hosts_that_look_the_same),
        cmocka_unit_test(test_backoff),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
