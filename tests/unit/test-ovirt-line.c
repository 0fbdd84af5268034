/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "service/guest/ovirt-line.h"

static void push(OvirtLine *line, const char *text)
{
    ovirt_line_push(line, text, strlen(text));
}

static void expect(OvirtLine *line, const char *expected)
{
    const char *text;
    size_t length;

    if (!expected) {
        assert_false(ovirt_line_next(line, &text, &length));
        return;
    }
    assert_true(ovirt_line_next(line, &text, &length));
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(text, expected, length);
}

static void test_several_lines_in_one_read(void **state)
{
    OvirtLine line = {};

    push(&line, "one\ntwo\n\nthr");
    assert_true(ovirt_line_pending(&line));
    expect(&line, "one");
    expect(&line, "two");
    expect(&line, "");
    expect(&line, NULL);
    assert_false(ovirt_line_pending(&line));
    push(&line, "ee\nfo");
    expect(&line, "three");
    push(&line, "ur\n");
    expect(&line, "four");
    expect(&line, NULL);
    assert_int_equal(line.dropped, 0);
    ovirt_line_clear(&line);
}

static void test_one_byte_at_a_time(void **state)
{
    OvirtLine line = {};
    const char *text = "{\"a\": 1}\n";

    for (; *text != '\n'; text++) {
        ovirt_line_push(&line, text, 1);
        expect(&line, NULL);
    }
    ovirt_line_push(&line, text, 1);
    expect(&line, "{\"a\": 1}");
    ovirt_line_clear(&line);
}

/* Exactly the limit is a line; one byte more is not, and costs itself only. */
static void test_limit(void **state)
{
    OvirtLine line = {};
    g_autofree char *exact = g_strnfill(OVIRT_LINE_MAX, 'x');
    const char *text;
    size_t length;

    push(&line, exact);
    expect(&line, NULL);
    push(&line, "\nx");
    assert_true(ovirt_line_next(&line, &text, &length));
    assert_int_equal(length, OVIRT_LINE_MAX);
    push(&line, exact);
    expect(&line, NULL);
    assert_int_equal(line.dropped, 1);
    push(&line, "rest of it\ngood\n");
    expect(&line, "good");
    expect(&line, NULL);
    ovirt_line_clear(&line);
}

static void test_endless_line_holds_no_memory(void **state)
{
    OvirtLine line = {};
    g_autofree char *chunk = g_strnfill(64 * 1024, 'x');

    for (unsigned i = 0; i < 1000; i++) {
        push(&line, chunk);
        expect(&line, NULL);
        assert_true(!line.buffer || line.buffer->len <= OVIRT_LINE_MAX + 64 * 1024);
    }
    push(&line, "\ngood\n");
    expect(&line, "good");
    assert_int_equal(line.dropped, 1);
    ovirt_line_clear(&line);
}

static void test_long_line_in_one_piece(void **state)
{
    OvirtLine line = {};
    g_autofree char *twice = g_strnfill(2 * OVIRT_LINE_MAX, 'x');

    twice[2 * OVIRT_LINE_MAX - 1] = '\n';
    push(&line, twice);
    push(&line, "good\n");
    expect(&line, "good");
    assert_int_equal(line.dropped, 1);
    ovirt_line_clear(&line);
}

static void test_gap(void **state)
{
    OvirtLine line = {};

    push(&line, "whole\nhal");
    ovirt_line_gap(&line);
    push(&line, "another half\ngood\n");
    expect(&line, "whole");
    expect(&line, "good");
    expect(&line, NULL);
    ovirt_line_gap(&line);
    ovirt_line_gap(&line);
    push(&line, "lost\n");
    expect(&line, NULL);
    push(&line, "good\n");
    expect(&line, "good");
    ovirt_line_clear(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several_lines_in_one_read),
        cmocka_unit_test(test_one_byte_at_a_time),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_endless_line_holds_no_memory),
        cmocka_unit_test(test_long_line_in_one_piece),
        cmocka_unit_test(test_gap),
    };

    return cmocka_run_group_tests_name("oVirt lines", tests, NULL, NULL);
}
