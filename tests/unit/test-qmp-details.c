/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <glib.h>

#include "service/qmp/details.h"
#include "service/qmp/event.h"

static int parse(const char *text)
{
    struct json_object *object = NULL;
    int r = qmp_details_parse(text, &object);

    json_object_put(object);
    return r;
}

/* `depth` objects inside each other, `leaf` in the innermost. */
static char *nested_objects(int depth, const char *leaf)
{
    GString *text = g_string_new(NULL);

    for (int i = 0; i < depth - 1; i++)
        g_string_append(text, "{\"a\":");
    g_string_append_printf(text, "{%s}", leaf);
    for (int i = 0; i < depth - 1; i++)
        g_string_append_c(text, '}');
    return g_string_free(text, FALSE);
}

static char *nested_arrays(int depth)
{
    GString *text = g_string_new("{\"a\":");

    for (int i = 0; i < depth - 1; i++)
        g_string_append_c(text, '[');
    for (int i = 0; i < depth - 1; i++)
        g_string_append_c(text, ']');
    g_string_append_c(text, '}');
    return g_string_free(text, FALSE);
}

static void test_only_objects(void **state)
{
    struct json_object *object = (struct json_object *)"untouched";

    assert_int_equal(parse("{}"), 0);
    assert_int_equal(parse(" {\"a\" : 1 } \n"), 0);
    assert_int_equal(qmp_details_parse(NULL, &object), 0);
    assert_null(object);
    for (const char *const *text =
             (const char *const[]){"", " ", "null", "1", "\"a\"", "[]", "[{}]", "{", "{\"a\"}", "{\"a\":1,}",
                                   "{\"a\":1}x", "{}{}", "/**/{}", NULL};
         *text; text++)
        if (parse(*text) != -EBADMSG)
            fail_msg("%s: %d", *text, parse(*text));
}

static void test_depth(void **state)
{
    for (const char *const *leaf = (const char *const[]){"", "\"b\":1", "\"b\":\"text\"", NULL}; *leaf;
         leaf++) {
        g_autofree char *fits = nested_objects(QMP_JSON_DEPTH_MAX, *leaf);
        g_autofree char *too_deep = nested_objects(QMP_JSON_DEPTH_MAX + 1, *leaf);

        assert_int_equal(parse(fits), 0);
        assert_int_equal(parse(too_deep), -ELOOP);
    }
    for (int depth = QMP_JSON_DEPTH_MAX - 1; depth < 100; depth++) {
        g_autofree char *text = nested_arrays(depth);
        assert_int_equal(parse(text), depth > QMP_JSON_DEPTH_MAX ? -ELOOP : 0);
    }
}

static void test_numbers(void **state)
{
    static const char *const bad[] = {
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{\"a\":[{\"b\":NaN}]}",
        "{\"a\":1e999}",
        "{\"a\":-1e999}",
        "{\"a\":18446744073709551616}",
        "{\"a\":-9223372036854775809}",
        "{\"b\":1,\"a\":[7,99999999999999999999999]}",
        "{\"\\\"\":18446744073709551616}",
        NULL,
    };

    for (size_t i = 0; bad[i]; i++)
        if (parse(bad[i]) != -ERANGE)
            fail_msg("%s: %d", bad[i], parse(bad[i]));
    assert_int_equal(parse("{\"a\":18446744073709551615,\"b\":-9223372036854775808}"), 0);
    assert_int_equal(parse("{\"a\":18446744073709551616.5,\"b\":99999999999999999999e3,\"c\":1e-999}"), 0);
    /* Digits in text are no numbers. */
    assert_int_equal(parse("{\"99999999999999999999\":\"\\\"99999999999999999999\"}"), 0);
}

static void test_text(void **state)
{
    static const char *const bad[] = {
        "{\"a\":\"\xff\"}",
        "{\"\xc3\":1}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"b\\u0000c\"}",
        "{\"a\":[\"\\ufffe\"]}",
        "{\"a\":\"\\ufdd0\"}",
        "{\"\\uffff\":1}",
        "{\"a\":\"\xc0\x80\"}",
        "{\"a\":\"\xef\xbf\xbf\"}",
        NULL,
    };

    for (size_t i = 0; bad[i]; i++)
        if (parse(bad[i]) != -EILSEQ)
            fail_msg("%s: %d", bad[i], parse(bad[i]));
    assert_int_equal(parse("{\"a\":\"\\u0001 \\ud800 \\\\u0000\"}"), 0);
}

static void test_size(void **state)
{
    g_autofree char *text = g_malloc(QMP_DETAILS_SIZE_MAX + 2);

    memset(text, ' ', QMP_DETAILS_SIZE_MAX + 1);
    memcpy(text, "{}", 2);
    text[QMP_DETAILS_SIZE_MAX] = '\0';
    assert_int_equal(parse(text), 0);
    text[QMP_DETAILS_SIZE_MAX] = ' ';
    text[QMP_DETAILS_SIZE_MAX + 1] = '\0';
    assert_int_equal(parse(text), -EMSGSIZE);
}

static void test_event(void **state)
{
    g_autofree char *long_name = g_strnfill(QMP_NAME_SIZE_MAX + 1, 'A');
    QMPEvent *event = NULL;

    assert_int_equal(qmp_event_new("RTC_CHANGE", 17, "{\"offset\":-3}", &event), 0);
    assert_string_equal(event->name, "RTC_CHANGE");
    assert_int_equal(event->timestamp, 17);
    assert_int_equal(json_object_get_int64(json_object_object_get(event->details, "offset")), -3);
    qmp_event_free(event);

    assert_int_equal(qmp_event_new("", 17, NULL, &event), -EILSEQ);
    assert_int_equal(qmp_event_new("A\xff", 17, NULL, &event), -EILSEQ);
    assert_int_equal(qmp_event_new("A\nB", 17, NULL, &event), -EILSEQ);
    assert_int_equal(qmp_event_new(long_name, 17, NULL, &event), -EILSEQ);
    assert_int_equal(qmp_event_new("A", 17, "[]", &event), -EBADMSG);
}

static void test_time(void **state)
{
    assert_true(qmp_event_time(1795257992, 419339, 5) == UINT64_C(1795257992419339));
    assert_int_equal(qmp_event_time(0, 0, 5), 0);
    assert_int_equal(qmp_event_time(-1, 0, 5), 5);
    assert_int_equal(qmp_event_time(1, 1000000, 5), 5);
    assert_int_equal(qmp_event_time(INT64_MAX, 0, 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_objects), cmocka_unit_test(test_depth), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_text),         cmocka_unit_test(test_size),  cmocka_unit_test(test_event),
        cmocka_unit_test(test_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
