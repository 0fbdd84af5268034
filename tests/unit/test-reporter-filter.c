// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "service/reporter/filter.h"

static GPtrArray *list(const char *text)
{
    GPtrArray *items = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(items, g_strdup(text));
    g_ptr_array_add(items, g_strdup("never matches"));
    return items;
}

static bool allows(FilterType type, const char *pattern, const char *id)
{
    g_autoptr(GPtrArray) patterns = list(pattern);
    g_autoptr(Filter) filter = filter_new(type, patterns, NULL);

    return filter_matches(filter, id);
}

static bool denies(FilterType type, const char *pattern, const char *id)
{
    g_autoptr(GPtrArray) patterns = list(pattern);
    g_autoptr(Filter) filter = filter_new(type, NULL, patterns);

    return !filter_matches(filter, id);
}

static void test_wildcards(void **state)
{
    const FilterType type = FILTER_WILDCARDS;

    assert_true(allows(type, "host*", "host-1.example"));
    assert_true(allows(type, "HOST-?", "host-1"));
    assert_true(allows(type, "host-1", "HOST-1"));
    assert_true(allows(type, "h[!x]st", "host"));
    assert_true(allows(type, "\xc3\x84*", "\xc3\xa4-host"));
    assert_false(allows(type, "host", "host-1"));
    assert_false(allows(type, "ost-1", "host-1"));
    assert_false(allows(type, "host.*", "host-1"));
    assert_true(allows(type, "a\\*", "a\\b"));
}

static void test_regular_expressions(void **state)
{
    const FilterType type = FILTER_REGEX;

    assert_true(allows(type, "host-[0-9]+", "Host-12"));
    assert_true(allows(type, "a|b", "b"));
    assert_false(allows(type, "a|b", "ab"));
    assert_false(allows(type, "host", "host-1"));
    assert_false(allows(type, "ost-1", "host-1"));
    assert_false(allows(type, "host*", "host-1"));
    assert_false(allows(type, "(", "("));
}

static void test_both(void **state)
{
    assert_true(allows(FILTER_BOTH, "host*", "host-1"));
    assert_true(allows(FILTER_BOTH, "host.*", "host-1"));
    assert_true(allows(FILTER_BOTH, "*", "anything"));
    assert_false(allows(FILTER_BOTH, "host", "guest"));
}

static void test_deny_wins(void **state)
{
    g_autoptr(GPtrArray) allow = list("host*"), deny = list("*-2");
    g_autoptr(Filter) filter = filter_new(FILTER_BOTH, allow, deny);

    assert_true(filter_matches(filter, "host-1"));
    assert_false(filter_matches(filter, "host-2"));
    assert_false(filter_matches(filter, "other"));
    assert_true(denies(FILTER_REGEX, "H.*", "host"));
    assert_false(denies(FILTER_REGEX, "H.*", "ghost"));
}

static void test_none(void **state)
{
    g_autoptr(Filter) filter = filter_new(FILTER_BOTH, NULL, NULL);

    assert_true(filter_matches(NULL, "x"));
    assert_true(filter_matches(filter, "x"));
}

static void test_id_that_is_not_utf8(void **state)
{
    assert_true(allows(FILTER_BOTH, "a*", "a\xff"));
    assert_true(allows(FILTER_REGEX, "a.", "a\xff"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wildcards), cmocka_unit_test(test_regular_expressions),
        cmocka_unit_test(test_both),      cmocka_unit_test(test_deny_wins),
        cmocka_unit_test(test_none),      cmocka_unit_test(test_id_that_is_not_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
