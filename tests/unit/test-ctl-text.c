/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib.h>

#include "cli/guestbusctl/text.h"

static void assert_escaped(const char *text, const char *expected)
{
    g_autofree char *escaped = text_escape(text);

    assert_string_equal(escaped, expected);
}

static void test_escape_leaves_printable_text(void **state)
{
    assert_escaped("", "");
    assert_escaped("web1 (größe) 漢字 \\", "web1 (größe) 漢字 \\");
}

static void test_escape_disarms_the_terminal(void **state)
{
    assert_escaped("a\nb\tc\r", "a\\nb\\tc\\x0d");
    assert_escaped("\x1b[2J\x7f", "\\x1b[2J\\x7f");
    assert_escaped("\xc2\x9b"
                   "31m",
                   "\\x9b31m");
    assert_escaped("\u202etxt.exe\u2066", "\\u202etxt.exe\\u2066");
    assert_escaped("\U000e0041", "\\U000e0041");
}

static void test_escape_survives_what_is_not_utf8(void **state)
{
    assert_escaped("a\xff\xfe"
                   "b",
                   "a\\xff\\xfeb");
    assert_escaped("cut \xe2\x82", "cut \\xe2\\x82");
}

static void test_width_counts_columns(void **state)
{
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("漢字"), 4);
    assert_int_equal(text_width("e\u0301"), 1);
}

static void assert_size(uint64_t bytes, const char *expected)
{
    g_autofree char *text = text_size(bytes);

    assert_string_equal(text, expected);
}

static void test_size_reads_well(void **state)
{
    assert_size(0, "0 B");
    assert_size(1023, "1023 B");
    assert_size(UINT64_C(512) << 20, "512 MiB");
    assert_size(UINT64_C(1536) << 20, "1.5 GiB");
    assert_size(UINT64_MAX, "16 EiB");
}

static void assert_parsed(const char *text, uint64_t expected)
{
    uint64_t bytes = 0;

    assert_int_equal(text_parse_size(text, &bytes), 0);
    assert_int_equal(bytes, expected);
}

static void test_parse_size_reads_units(void **state)
{
    assert_parsed("0", 0);
    assert_parsed("4096", 4096);
    assert_parsed("512M", UINT64_C(512) << 20);
    assert_parsed("512MiB", UINT64_C(512) << 20);
    assert_parsed("1.5g", UINT64_C(1536) << 20);
    assert_parsed("2TB", UINT64_C(2) << 40);
}

static void test_parse_size_refuses_nonsense(void **state)
{
    static const char *const bad[] = {"", "M", "-1", "+1", " 1", "1 M", "1X", "1Mx", "1MiBs", "nan", "inf"};
    uint64_t bytes;

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        assert_int_equal(text_parse_size(bad[i], &bytes), -EINVAL);
    assert_int_equal(text_parse_size("16E", &bytes), -ERANGE);
    assert_int_equal(text_parse_size("1e400", &bytes), -ERANGE);
}

static void assert_age(uint64_t usec, const char *expected)
{
    g_autofree char *age = text_age(usec, UINT64_C(1000000) * 1000000);

    assert_string_equal(age, expected);
}

static void test_age_uses_fitting_units(void **state)
{
    assert_age(0, "never");
    assert_age(UINT64_C(999996) * 1000000, "4 s ago");
    assert_age(UINT64_C(999700) * 1000000, "5 min ago");
    assert_age(UINT64_C(990000) * 1000000, "2 h ago");
    assert_age(UINT64_C(500000) * 1000000, "5 days ago");
    assert_age(UINT64_C(1000060) * 1000000, "in 60 s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape_leaves_printable_text),
        cmocka_unit_test(test_escape_disarms_the_terminal),
        cmocka_unit_test(test_escape_survives_what_is_not_utf8),
        cmocka_unit_test(test_width_counts_columns),
        cmocka_unit_test(test_size_reads_well),
        cmocka_unit_test(test_parse_size_reads_units),
        cmocka_unit_test(test_parse_size_refuses_nonsense),
        cmocka_unit_test(test_age_uses_fitting_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
