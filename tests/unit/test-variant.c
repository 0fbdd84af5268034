/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dbus/variant.h"
#include "service/cleanup.h"
#include "service/qmp/details.h"
#include "tests/unit/message.h"

static void expect(const char *json, const char *expected)
{
    _cleanup_(sd_bus_unrefp) sd_bus *bus = message_bus_new();
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    struct json_object *object = NULL;
    g_autofree char *text = NULL;

    assert_int_equal(qmp_details_parse(json, &object), 0);
    assert_true(sd_bus_message_new_signal(bus, &message, "/a", "a.b", "C") >= 0);
    assert_int_equal(variant_append_object(message, object), 0);
    assert_string_equal(sd_bus_message_get_signature(message, 1), "a{sv}");
    text = message_to_text(message, NULL);
    assert_string_equal(text, expected);
    json_object_put(object);
}

static void test_basic_types(void **state)
{
    expect("{\"a\":1,\"b\":-1,\"c\":1.5,\"d\":\"x\",\"e\":true,\"f\":false,\"g\":\"\"}",
           "{s\"a\" <x1> s\"b\" <x-1> s\"c\" <d1.5> s\"d\" <s\"x\"> s\"e\" <btrue> s\"f\" <bfalse> s\"g\" "
           "<s\"\">}");
    expect("{\"port\":\"5900\"}", "{s\"port\" <s\"5900\">}");
    expect("{\"a\":1.0,\"b\":1e3,\"c\":-0}", "{s\"a\" <d1> s\"b\" <d1000> s\"c\" <x0>}");
}

static void test_edges_of_64_bits(void **state)
{
    expect("{\"a\":9223372036854775807}", "{s\"a\" <x9223372036854775807>}");
    expect("{\"a\":9223372036854775808}", "{s\"a\" <t9223372036854775808>}");
    expect("{\"a\":18446744073709551615}", "{s\"a\" <t18446744073709551615>}");
    expect("{\"a\":-9223372036854775808}", "{s\"a\" <x-9223372036854775808>}");
}

static void test_containers(void **state)
{
    expect("{}", "{}");
    expect(NULL, "{}");
    expect("{\"a\":{}}", "{s\"a\" <{}>}");
    expect("{\"a\":[]}", "{s\"a\" <[]>}");
    expect("{\"a\":[1,[2,[\"x\",[]]],{\"b\":[{}]}]}",
           "{s\"a\" <[<x1> <[<x2> <[<s\"x\"> <[]>]>]> <{s\"b\" <[<{}>]>}>]>}");
}

static void test_null_is_left_out(void **state)
{
    expect("{\"a\":null}", "{}");
    expect("{\"a\":null,\"b\":1,\"c\":null}", "{s\"b\" <x1>}");
    expect("{\"a\":[null,1,null]}", "{s\"a\" <[<x1>]>}");
}

static void test_text(void **state)
{
    expect("{\"ä\":\"\\u00fc €\"}", "{s\"ä\" <s\"ü €\">}");
    expect("{\"a\":\"\\ud83d\\ude00\"}", "{s\"a\" <s\"😀\">}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basic_types), cmocka_unit_test(test_edges_of_64_bits),
        cmocka_unit_test(test_containers),  cmocka_unit_test(test_null_is_left_out),
        cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
