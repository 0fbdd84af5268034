// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "service/reporter/fake-source.h"

static char *print(const char *text, bool is_hypervisor)
{
    SourceFailure failure = {};
    g_autoptr(Association) association = fake_source_parse(text, strlen(text), is_hypervisor, &failure);
    char *printed = NULL;
    size_t size;

    if (!association)
        fail_msg("%s", failure.message);
    FILE *stream = open_memstream(&printed, &size);

    association_write_print(&association, 1, stream);
    fclose(stream);
    return printed;
}

static void assert_refused(const char *text, bool is_hypervisor, const char *expected)
{
    SourceFailure failure = {};

    assert_null(fake_source_parse(text, strlen(text), is_hypervisor, &failure));
    assert_int_equal(failure.error, SOURCE_ERROR_DATA);
    if (!strstr(failure.message, expected))
        fail_msg("\"%s\" is not in \"%s\"", expected, failure.message);
}

/* What is printed can be read again and printed the same, byte for byte. */
static void test_print_round_trip(void **state)
{
    static const char input[] = "{\"hypervisors\": [{\"facts\": {\"z\": 1.50, \"a\": [true, {\"k\": null}], "
                                "\"e\": {}, \"s\": \"\\u00fc\\/\"},"
                                "\"guestIds\": [{\"state\": 3, \"guestId\": \"B\", \"attributes\": "
                                "{\"virtWhoType\": \"esx\", \"active\": 0}},"
                                "{\"guestId\": \"A\", \"state\": 5}], \"name\": \"\\ud83d\\ude00\","
                                "\"hypervisorId\": {\"hypervisorId\": \"h\"}}, "
                                "{\"hypervisorId\":{\"hypervisorId\":\"g\"},\"guestIds\":[],"
                                "\"name\":null,\"facts\":null, \"more\": [1,2]}], \"version\": 1}";
    char *first = print(input, true), *second = print(first, true);

    assert_string_equal(first, second);
    assert_non_null(
        strstr(first, "\"hypervisorId\": \"h\"\n            },\n            \"name\": \"\\ud83d\\ude00\",\n"
                      "            \"guestIds\": [\n                {\n                    \"guestId\": "
                      "\"B\",\n                    \"state\": 3,\n                    \"attributes\": {\n"
                      "                        \"virtWhoType\": \"esx\",\n"
                      "                        \"active\": 1\n"));
    assert_non_null(strstr(first, "\"virtWhoType\": \"fake\",\n                        \"active\": 0\n"));
    assert_non_null(strstr(first,
                           "\"facts\": {\n                \"z\": 1.50,\n                \"a\": [\n"
                           "                    true,\n                    {\n"
                           "                        \"k\": null\n                    }\n                ],\n"
                           "                \"e\": {},\n                \"s\": \"\\u00fc/\"\n            }"));
    /* The file's order stays. */
    assert_true(strstr(first, "\"h\"") < strstr(first, "\"g\""));
    free(first);
    free(second);
}

static void test_guest_list(void **state)
{
    char *text =
        print("{\"hypervisors\":[{\"guestIds\":[{\"guestId\":\"A\",\"state\":1}]},{\"any\":1}]}", false);

    assert_null(strstr(text, "hypervisorId"));
    assert_non_null(strstr(text, "\"guestId\": \"A\""));
    free(text);
    text = print("{\"hypervisors\":[]}", false);
    assert_non_null(strstr(text, "\"guestIds\": []"));
    free(text);
}

static void test_empty(void **state)
{
    char *text = print(" {\"hypervisors\" : [ ] } \n", true);

    assert_string_equal(text, "{\n    \"hypervisors\": []\n}\n");
    free(text);
}

#define HOST "{\"hypervisors\":[{\"hypervisorId\":{\"hypervisorId\":\"h\"},\"guestIds\":"

static void test_refused(void **state)
{
    assert_refused("", true, "line 1");
    assert_refused("[]", true, "line 1");
    assert_refused("{}", true, "hypervisors");
    assert_refused("{\"hypervisors\":[]} x", true, "behind its end");
    assert_refused("{\"hypervisors\":[\n{\"guestIds\":[]}]}", true, "line 2 has a host without");
    assert_refused("{\"hypervisors\":[{\"uuid\":\"x\",\"guests\":[]}]}", true, "old form");
    assert_refused("{\"hypervisors\":[{\"hypervisorId\":{\"hypervisorId\":\"h\"}}]}", false,
                   "must not be there");
    assert_refused("{\"hypervisors\":[{\"hypervisorId\":\"h\"}]}", true, "line 1");
    assert_refused(HOST "[{\"state\":1}]}]}", true, "guestId");
    assert_refused(HOST "[{\"guestId\":7}]}]}", true, "line 1");
    assert_refused(HOST "[{\"guestId\":\"x\",\"state\":\"up\"}]}]}", true, "line 1");
    assert_refused(HOST "[{\"guestId\":\"x\",\"state\":-1}]}]}", true, "out of range");
    assert_refused(HOST "[{\"guestId\":\"x\",\"state\":1.5}]}]}", true, "whole number");
    assert_refused(HOST "[{\"guestId\":\"x\\u0000y\"}]}]}", true, "zero character");
    assert_refused(HOST "[{\"guestId\":\"x\ny\"}]}]}", true, "control character");
    assert_refused(HOST "[{\"guestId\":\"x\\qy\"}]}]}", true, "\\");
    assert_refused(HOST "[{\"guestId\":\"x\xff\"}]}]}", true, "UTF-8");
    assert_refused(HOST "[,]}]}", true, "line 1");
    assert_refused(HOST "[{\"guestId\":\"x\"},]}]}", true, "line 1");
    assert_refused(HOST "[{\"guestId\":\"x", true, "without an end");
    assert_refused("{\"hypervisors\":[],\"x\":01}", true, "no JSON value");
    assert_refused("{\"hypervisors\":[],\"x\":nul}", true, "no JSON value");
}

static void test_depth(void **state)
{
    g_autofree char *open = g_strnfill(100000, '[');
    g_autofree char *text = g_strconcat("{\"x\":", open, NULL);

    assert_refused(text, true, "too deeply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_round_trip),
        cmocka_unit_test(test_guest_list),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
