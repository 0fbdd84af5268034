// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <syslog.h>

#include "service/reporter/ini.h"

static GString *told;

static void tell(int priority, unsigned line, const char *message, void *userdata)
{
    g_string_append_printf(told, "%s%u ", priority == LOG_ERR ? "E" : "W", line);
}

static int setup(void **state)
{
    told = g_string_new(NULL);
    return 0;
}

static int teardown(void **state)
{
    g_string_free(told, TRUE);
    return 0;
}

static Ini *parse(const char *text)
{
    return ini_parse(text, strlen(text), tell, NULL);
}

static void assert_value(const char *text, const char *option, const char *expected)
{
    g_autofree char *whole = g_strconcat("[s]\n", text, "\n", NULL);
    g_autoptr(Ini) ini = parse(whole);
    const char *value = ini_value(ini, "s", option);

    assert_non_null(value);
    assert_string_equal(value, expected);
    assert_string_equal(told->str, "");
}

static void test_values(void **state)
{
    assert_value("a=1", "a", "1");
    assert_value("a : 1", "a", "1");
    assert_value("  Option Name =  x y ", "option name", "x y");
    assert_value("a=b=c:d", "a", "b=c:d");
    assert_value("a=", "a", "");
    assert_value("a=1\r\nb=2\r", "b", "2");
    assert_value("a=1\rb=2", "b", "2");
}

/* Each of these was cut short, refused or changed by one of the parsers in use. */
static void test_passwords_stay_whole(void **state)
{
    assert_value("password=abc ;def", "password", "abc ;def");
    assert_value("password=abc #def", "password", "abc #def");
    assert_value("password=50%", "password", "50%");
    assert_value("password=%(x)s%%", "password", "%(x)s%%");
    assert_value("password=\\n$HOME", "password", "\\n$HOME");
    assert_value("password=\"  two  \"", "password", "  two  ");
    assert_value("password='it\"s'", "password", "it\"s");
    assert_value("password=\"half", "password", "\"half");
    assert_value("password=\"\"x\"\"", "password", "\"x\"");
    assert_value("password=p\xc3\xa4\xff", "password", "p\xc3\xa4\xff");
}

static void test_long_line(void **state)
{
    g_autofree char *value = g_strnfill(100000, 'x');
    g_autofree char *text = g_strconcat("a=", value, NULL);

    assert_value(text, "a", value);
}

static void test_continuation(void **state)
{
    assert_value("a=1\n  2\n\t3", "a", "1\n2\n3");
    assert_value("a=1\n  # comment\n  2", "a", "1\n2");
    assert_value("a=1\n\n  2\n\n", "a", "1\n\n2");
    assert_value("  a=1\n  b=2", "b", "2");
    assert_value("a=1\n  [t]", "a", "1\n[t]");
}

static void test_comments(void **state)
{
    assert_value("#x=1\n;y=2\n  ; z=3\na=1", "a", "1");
}

static void test_sections(void **state)
{
    g_autoptr(Ini) ini = parse("\xef\xbb\xbf[one]\na=1\n[t]w o]\na=2\n[]]\na=3");

    assert_string_equal(ini_value(ini, "one", "a"), "1");
    assert_string_equal(ini_value(ini, "t]w o", "a"), "2");
    assert_string_equal(ini_value(ini, "]", "a"), "3");
    assert_int_equal(ini_find(ini, "t]w o")->line, 3);
    assert_int_equal(ini_section_find(ini_find(ini, "]"), "a")->line, 6);
    assert_null(ini_find(ini, "two"));
    assert_null(ini_value(ini, "two", "a"));
    assert_false(ini->broken);
}

static void test_duplicates(void **state)
{
    g_autoptr(Ini) ini = parse("[s]\na=1\nb=1\n[t]\n[s]\na=2\n");

    assert_string_equal(ini_value(ini, "s", "a"), "2");
    assert_string_equal(ini_value(ini, "s", "b"), "1");
    assert_int_equal(ini->sections->len, 2);
    assert_string_equal(told->str, "W5 W6 ");
}

static void test_errors_stay_in_their_section(void **state)
{
    g_autoptr(Ini) ini = parse("[bad]\na=1\nwhat is this\n=x\n[good]\na=1\n");

    assert_string_equal(told->str, "E3 E4 ");
    assert_true(ini->broken);
    assert_true(ini_find(ini, "bad")->broken);
    assert_false(ini_find(ini, "good")->broken);
}

static void test_no_section(void **state)
{
    g_autoptr(Ini) ini = parse("a=1\nb=2\n[s]\na=1\n");

    assert_string_equal(told->str, "E1 ");
    assert_true(ini->broken);
    assert_int_equal(ini->sections->len, 1);
}

/* The options below a broken header must not become those of the section above it. */
static void test_broken_header(void **state)
{
    g_autoptr(Ini) ini = parse("[s]\npassword=1\n[t\npassword=2\n[u] tail\n");

    assert_string_equal(told->str, "E3 W5 ");
    assert_string_equal(ini_value(ini, "s", "password"), "1");
    assert_true(ini->broken);
}

static void test_zero_byte(void **state)
{
    static const char text[] = "[s]\npassword=ab\0cd\n";
    g_autoptr(Ini) ini = ini_parse(text, sizeof(text) - 1, tell, NULL);

    assert_string_equal(told->str, "E2 ");
    assert_null(ini_value(ini, "s", "password"));
    assert_true(ini_find(ini, "s")->broken);
}

static void test_empty(void **state)
{
    g_autoptr(Ini) ini = parse("");

    assert_int_equal(ini->sections->len, 0);
    assert_false(ini->broken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_values),     TEST(test_passwords_stay_whole),
        TEST(test_long_line),  TEST(test_continuation),
        TEST(test_comments),   TEST(test_sections),
        TEST(test_duplicates), TEST(test_errors_stay_in_their_section),
        TEST(test_no_section), TEST(test_broken_header),
        TEST(test_zero_byte),  TEST(test_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
