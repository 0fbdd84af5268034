// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "service/reporter/association.h"

static Association *two_hosts(bool turned)
{
    Association *association = association_new(ASSOCIATION_HOSTS);
    AssociationHost *a = NULL, *b = NULL;

    if (!turned)
        a = association_add_host(association, "h-1", "Z\xc3\xbcrich \xf0\x9f\x98\x80 \"q\"\\\n\x7f");
    b = association_add_host(association, "h-2", NULL);
    if (turned)
        a = association_add_host(association, "h-1", "Z\xc3\xbcrich \xf0\x9f\x98\x80 \"q\"\\\n\x7f");
    association_add_guest(association, a, turned ? "g-2" : "g-1", "libvirt", turned ? 5 : 1);
    association_add_guest(association, a, turned ? "g-1" : "g-2", "libvirt", turned ? 1 : 5);
    association_add_fact_json(association, a, turned ? "hypervisor.version" : "n",
                              turned ? "7002022" : "null");
    association_add_fact_json(association, a, turned ? "n" : "hypervisor.version",
                              turned ? "null" : "7002022");
    association_add_fact_json(association, a, "deep",
                              "{\"a\":[1,{\"b\":\"x, y: [\\\"\"}],\"c\":[],\"d\":{}}");
    association_add_fact(association, a, "cpu.cpu_socket(s)", "2");
    (void)b;
    return association;
}

static char *printed(Association *const *associations, size_t count)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    association_write_print(associations, count, stream);
    fclose(stream);
    return text;
}

/* Made with Python: json.dumps({...}, indent=4) and its final newline. */
static const char two_hosts_printed[] =
    "{\n"
    "    \"hypervisors\": [\n"
    "        {\n"
    "            \"hypervisorId\": {\n"
    "                \"hypervisorId\": \"h-1\"\n"
    "            },\n"
    "            \"name\": \"Z\\u00fcrich \\ud83d\\ude00 \\\"q\\\"\\\\\\n\\u007f\",\n"
    "            \"guestIds\": [\n"
    "                {\n"
    "                    \"guestId\": \"g-1\",\n"
    "                    \"state\": 1,\n"
    "                    \"attributes\": {\n"
    "                        \"virtWhoType\": \"libvirt\",\n"
    "                        \"active\": 1\n"
    "                    }\n"
    "                },\n"
    "                {\n"
    "                    \"guestId\": \"g-2\",\n"
    "                    \"state\": 5,\n"
    "                    \"attributes\": {\n"
    "                        \"virtWhoType\": \"libvirt\",\n"
    "                        \"active\": 0\n"
    "                    }\n"
    "                }\n"
    "            ],\n"
    "            \"facts\": {\n"
    "                \"n\": null,\n"
    "                \"hypervisor.version\": 7002022,\n"
    "                \"deep\": {\n"
    "                    \"a\": [\n"
    "                        1,\n"
    "                        {\n"
    "                            \"b\": \"x, y: [\\\"\"\n"
    "                        }\n"
    "                    ],\n"
    "                    \"c\": [],\n"
    "                    \"d\": {}\n"
    "                },\n"
    "                \"cpu.cpu_socket(s)\": \"2\"\n"
    "            }\n"
    "        },\n"
    "        {\n"
    "            \"hypervisorId\": {\n"
    "                \"hypervisorId\": \"h-2\"\n"
    "            },\n"
    "            \"guestIds\": []\n"
    "        }\n"
    "    ]\n"
    "}\n";

static void test_print_hosts(void **state)
{
    g_autoptr(Association) association = two_hosts(false);
    char *text = printed(&association, 1);

    assert_string_equal(text, two_hosts_printed);
    free(text);
}

static void test_print_nothing(void **state)
{
    char *text = printed(NULL, 0);

    assert_string_equal(text, "{\n    \"hypervisors\": []\n}\n");
    free(text);
}

static void test_print_guest_list(void **state)
{
    g_autoptr(Association) association = association_new(ASSOCIATION_GUEST_LIST);

    association_set_host(association, association->hosts->pdata[0], "id-not-printed", "nor the name");
    char *text = printed(&association, 1);

    assert_string_equal(
        text, "{\n    \"hypervisors\": [\n        {\n            \"guestIds\": []\n        }\n    ]\n}\n");
    free(text);
}

static void test_active_states(void **state)
{
    for (int i = 0; i <= 7; i++)
        assert_int_equal(association_state_active(i), i == 1 || i == 3);
}

static void test_hash_ignores_order(void **state)
{
    g_autoptr(Association) one = two_hosts(false), other = two_hosts(true);
    g_autoptr(Association) third = association_new(ASSOCIATION_HOSTS);
    char first[ASSOCIATION_HASH_SIZE], second[ASSOCIATION_HASH_SIZE];

    association_hash(&one, 1, first);
    association_hash(&other, 1, second);
    assert_string_equal(first, second);
    assert_int_equal(strlen(first), 64);

    association_hash((Association *[]){one, third}, 2, first);
    association_hash((Association *[]){third, other}, 2, second);
    assert_string_equal(first, second);
}

static void test_hash_sees_changes(void **state)
{
    g_autoptr(Association) one = two_hosts(false), other = two_hosts(false);
    char first[ASSOCIATION_HASH_SIZE], second[ASSOCIATION_HASH_SIZE];

    association_hash(&one, 1, first);
    g_array_index(((AssociationHost *)other->hosts->pdata[0])->guests, AssociationGuest, 0).state = 3;
    association_hash(&other, 1, second);
    assert_string_not_equal(first, second);
    association_add_host(one, "h-3", NULL);
    association_hash(&one, 1, second);
    assert_string_not_equal(first, second);
}

static void test_hash_tells_list_from_host(void **state)
{
    g_autoptr(Association) hosts = association_new(ASSOCIATION_HOSTS);
    g_autoptr(Association) list = association_new(ASSOCIATION_GUEST_LIST);
    char first[ASSOCIATION_HASH_SIZE], second[ASSOCIATION_HASH_SIZE];

    association_add_host(hosts, "x", NULL);
    association_set_host(list, list->hosts->pdata[0], "x", NULL);
    association_hash(&hosts, 1, first);
    association_hash(&list, 1, second);
    assert_string_not_equal(first, second);
}

static void test_check_in_body(void **state)
{
    g_autoptr(Association) one = association_new(ASSOCIATION_HOSTS),
                           other = association_new(ASSOCIATION_HOSTS);
    AssociationHost *host = association_add_host(one, "h-1", "n");
    size_t size;

    association_add_guest(one, host, "g", "fake", 2);
    association_add_fact_json(one, host, "hypervisor.version", "7002022");
    association_add_fact_json(one, host, "unknown", "null");
    association_add_fact(one, host, "hypervisor.type", "QEMU");
    association_add_host(one, "H-2", NULL);
    association_add_host(other, "h-2", "later");
    char *body = association_check_in_body((Association *[]){one, other}, 2, &size);

    assert_string_equal(body, "{\"hypervisors\":[{\"hypervisorId\":{\"hypervisorId\":\"h-1\"},\"name\":\"n\","
                              "\"guestIds\":[{\"guestId\":\"g\",\"state\":2,\"attributes\":{\"virtWhoType\":"
                              "\"fake\",\"active\":\"0\"}}],\"facts\":{\"hypervisor.version\":\"7002022\","
                              "\"hypervisor.type\":\"QEMU\"}},{\"hypervisorId\":{\"hypervisorId\":\"h-2\"},"
                              "\"name\":\"later\",\"guestIds\":[]}]}");
    assert_int_equal(size, strlen(body));
    free(body);
}

static void test_empty_check_in(void **state)
{
    g_autoptr(Association) none = association_new(ASSOCIATION_HOSTS);
    char *body = association_check_in_body(&none, 1, NULL);

    assert_string_equal(body, "{\"hypervisors\":[]}");
    free(body);
}

static void test_guest_list_body(void **state)
{
    g_autoptr(Association) list = association_new(ASSOCIATION_GUEST_LIST);

    association_set_host(list, list->hosts->pdata[0], "hid", NULL);
    association_add_guest(list, list->hosts->pdata[0], "g", "libvirt", 1);
    char *body = association_guest_list_body(list, false, NULL);

    assert_string_equal(body, "{\"guestIds\":[{\"guestId\":\"g\",\"state\":1,\"attributes\":{\"virtWhoType\":"
                              "\"libvirt\",\"active\":\"1\"}}],\"hypervisorId\":{\"hypervisorId\":\"hid\"}}");
    free(body);
    body = association_guest_list_body(list, true, NULL);
    assert_string_equal(body, "{\"guestIds\":[\"g\"],\"hypervisorId\":{\"hypervisorId\":\"hid\"}}");
    free(body);
}

static void test_counts_and_sort(void **state)
{
    g_autoptr(Association) association = two_hosts(true);
    g_autoptr(Association) list = association_new(ASSOCIATION_GUEST_LIST);

    assert_int_equal(association_count_hosts(association), 2);
    assert_int_equal(association_count_guests(association), 2);
    assert_int_equal(association_count_hosts(list), 0);
    association_sort(association);
    const AssociationHost *first = association->hosts->pdata[0];

    assert_string_equal(first->id, "h-1");
    assert_string_equal(g_array_index(first->guests, AssociationGuest, 0).uuid, "g-1");
}

static void test_text_that_is_not_utf8(void **state)
{
    g_autoptr(Association) list = association_new(ASSOCIATION_GUEST_LIST);

    association_add_guest(list, list->hosts->pdata[0], "a\xff\xc3", "t", 0);
    char *body = association_guest_list_body(list, true, NULL);

    assert_string_equal(body, "{\"guestIds\":[\"a\\ufffd\\ufffd\"]}");
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print_hosts),
        cmocka_unit_test(test_print_nothing),
        cmocka_unit_test(test_print_guest_list),
        cmocka_unit_test(test_active_states),
        cmocka_unit_test(test_hash_ignores_order),
        cmocka_unit_test(test_hash_sees_changes),
        cmocka_unit_test(test_hash_tells_list_from_host),
        cmocka_unit_test(test_check_in_body),
        cmocka_unit_test(test_empty_check_in),
        cmocka_unit_test(test_guest_list_body),
        cmocka_unit_test(test_counts_and_sort),
        cmocka_unit_test(test_text_that_is_not_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
