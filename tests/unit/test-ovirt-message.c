/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "service/guest/ovirt-command.h"
#include "service/guest/ovirt-message.h"

#define FFFD "\xef\xbf\xbd"

static int parse(const char *line, OvirtMessage *ret_message)
{
    *ret_message = (OvirtMessage){};
    return ovirt_message_parse(line, strlen(line), ret_message);
}

static void expect_type(const char *line, OvirtMessageType type)
{
    OvirtMessage message;

    assert_int_equal(parse(line, &message), 0);
    assert_int_equal(message.type, type);
    ovirt_message_clear(&message);
}

static void expect_text(const char *line, GuestField field, const char *expected)
{
    OvirtMessage message;

    assert_int_equal(parse(line, &message), 0);
    assert_int_equal(message.type, OVIRT_INFORMATION);
    assert_string_equal(message.observation->values.text[field], expected);
    ovirt_message_clear(&message);
}

static void expect_error(const char *line, int error)
{
    OvirtMessage message;

    assert_int_equal(parse(line, &message), error);
    assert_null(message.observation);
}

static void test_notifications(void **state)
{
    expect_type("{\"__name__\": \"session-startup\"}", OVIRT_SESSION_STARTUP);
    expect_type("{\"__name__\": \"session-shutdown\"}", OVIRT_SESSION_SHUTDOWN);
    expect_type("{\"__name__\": \"session-logon\"}", OVIRT_SESSION_LOGON);
    expect_type("{\"__name__\": \"session-logoff\"}", OVIRT_SESSION_LOGOFF);
    expect_type("{\"__name__\": \"session-unlock\"}", OVIRT_SESSION_UNLOCK);
    expect_type("{\"__name__\": \"uninstalled\"}", OVIRT_UNINSTALLED);
    /* As an agent sent it, byte by byte. */
    expect_type("\x7b\x22\x5f\x5f\x6e\x61\x6d\x65\x5f\x5f\x22\x3a\x20\x22\x73\x65\x73\x73\x69\x6f\x6e"
                "\x2d\x6c\x6f\x63\x6b\x22\x7d",
                OVIRT_SESSION_LOCK);
    expect_type("{\"__name__\":\"session-lock\"}\r", OVIRT_SESSION_LOCK);
}

static void test_ignored(void **state)
{
    expect_type("{\"count\": 2, \"__name__\": \"number-of-cpus\"}", OVIRT_IGNORED);
    expect_type("{\"__name__\": \"containers\", \"list\": []}", OVIRT_IGNORED);
    expect_type("{\"__name__\": \"completion\", \"reply_id\": \"1\", \"done\": true}", OVIRT_IGNORED);
    expect_type("{\"__name__\": \"echo\", \"x\": {\"y\": [1, 2.5, null]}}", OVIRT_IGNORED);
}

static void expect_heartbeat(const char *line, int version, uint64_t available, uint64_t total)
{
    OvirtMessage message;

    assert_int_equal(parse(line, &message), 0);
    assert_int_equal(message.type, OVIRT_HEARTBEAT);
    assert_int_equal(message.api_version, version);
    assert_int_equal(guest_values_number(&message.observation->values, GUEST_AVAILABLE_MEMORY), available);
    assert_int_equal(guest_values_number(&message.observation->values, GUEST_TOTAL_MEMORY), total);
    assert_int_equal(!!(message.observation->values.given & GUEST_BIT(GUEST_AVAILABLE_MEMORY)),
                     available != 0);
    ovirt_message_clear(&message);
}

static void test_heartbeat(void **state)
{
    expect_heartbeat(
        "{\"__name__\": \"heartbeat\", \"memory-stat\": {\"swap_out\": 0, \"majflt\": 0, "
        "\"swap_usage\": 0, \"mem_cached\": 282920, \"mem_free\": 24141892, \"mem_buffers\": 6684, "
        "\"swap_in\": 0, \"swap_total\": 0, \"pageflt\": 0, \"mem_total\": 24684096, "
        "\"mem_unused\": 23852288}, \"free-ram\": \"23576\", \"apiVersion\": 0}",
        0, UINT64_C(23576) << 20, UINT64_C(24684096) << 10);
    /* Windows writes its figures as strings. */
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"free-ram\": \"100\", \"apiVersion\": 3, "
                     "\"memory-stat\": {\"mem_total\": \"2097152\"}}",
                     3, 100 << 20, UINT64_C(2) << 30);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"free-ram\": 7}", 0, 7 << 20, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"memory-stat\": {\"mem_free\": 9}}", 0, 9 << 10, 0);
    /* Versions out of range and of a wrong type. */
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"apiVersion\": 9}", 3, 0, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"apiVersion\": -1}", 0, 0, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"apiVersion\": \"3\"}", 0, 0, 0);
    /* Figures that are none: the sign of life counts. */
    expect_heartbeat("{\"__name__\": \"heartbeat\"}", 0, 0, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"free-ram\": \"12x\"}", 0, 0, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"free-ram\": \"-12\"}", 0, 0, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"free-ram\": \"\"}", 0, 0, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"free-ram\": NaN}", 0, 0, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"free-ram\": 1e300}", 0, 0, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"free-ram\": \"99999999999999999999\"}", 0, 0, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"free-ram\": []}", 0, 0, 0);
    expect_heartbeat("{\"__name__\": \"heartbeat\", \"memory-stat\": \"x\"}", 0, 0, 0);
}

static void test_texts(void **state)
{
    expect_text("{\"__name__\": \"host-name\", \"name\": \"example.ovirt.org\"}", GUEST_HOST_NAME,
                "example.ovirt.org");
    expect_text("{\"__name__\": \"fqdn\", \"fqdn\": \"a.example.org\"}", GUEST_FQDN, "a.example.org");
    expect_text("{\"__name__\": \"os-version\", \"version\": \"2.6.32-71.el6.x86_64\"}", GUEST_OS_VERSION,
                "2.6.32-71.el6.x86_64");
    expect_text("{\"__name__\": \"active-user\", \"name\": \"j\\u00f6rg\\ufffd\"}", GUEST_ACTIVE_USER,
                "j\xc3\xb6rg" FFFD);
    expect_text("{\"__name__\": \"active-user\", \"name\": \"None\"}", GUEST_ACTIVE_USER, "");
    expect_text("{\"__name__\": \"active-user\", \"name\": \"none\"}", GUEST_ACTIVE_USER, "none");
    /* Duplicate members: the last one. */
    expect_text("{\"__name__\": \"host-name\", \"name\": \"a\", \"name\": \"b\"}", GUEST_HOST_NAME, "b");
}

/* After decoding: escaped and raw, lone surrogates, invalid UTF-8, an escaped NUL in the middle. */
static void test_illegal_characters(void **state)
{
    expect_text("{\"__name__\": \"host-name\", \"name\": \"a\\u0000b\\u0001c\"}", GUEST_HOST_NAME,
                "a" FFFD "b" FFFD "c");
    expect_text("{\"__name__\": \"host-name\", \"name\": \"\\u2122\\u0085\\ud83d\\udc27\"}", GUEST_HOST_NAME,
                "\xe2\x84\xa2\xc2\x85\xf0\x9f\x90\xa7");
    expect_text("{\"__name__\": \"host-name\", \"name\": \"x\\ud83dy\"}", GUEST_HOST_NAME, "x" FFFD "y");
    expect_text("{\"__name__\": \"host-name\", \"name\": \"j\xc3\xb6rg\xff\"}", GUEST_HOST_NAME,
                "j\xc3\xb6rg" FFFD);
    expect_text("{\"__name__\": \"host-name\", \"name\": \"\\uffff\\ufdd0\"}", GUEST_HOST_NAME, FFFD FFFD);
}

static void test_os_info(void **state)
{
    OvirtMessage message;

    assert_int_equal(parse("{\"kernel\": \"6.18.44\", \"type\": \"linux\", \"version\": \"12.11\", "
                           "\"__name__\": \"os-info\", \"distribution\": \"debian\", \"arch\": \"x86_64\", "
                           "\"codename\": \"bookworm\"}",
                           &message),
                     0);
    assert_string_equal(message.observation->values.text[GUEST_OS_TYPE], "linux");
    assert_string_equal(message.observation->values.text[GUEST_OS_NAME], "debian 12.11 (bookworm)");
    assert_string_equal(message.observation->values.text[GUEST_KERNEL_RELEASE], "6.18.44");
    assert_string_equal(message.observation->values.text[GUEST_ARCHITECTURE], "x86_64");
    ovirt_message_clear(&message);
    assert_int_equal(parse("{\"__name__\": \"os-info\", \"type\": 5}", &message), 0);
    assert_null(message.observation->values.text[GUEST_OS_TYPE]);
    ovirt_message_clear(&message);
}

/* The offset is in minutes on the wire. */
static void test_timezone(void **state)
{
    OvirtMessage message;

    assert_int_equal(
        parse("{\"__name__\": \"timezone\", \"zone\": \"Europe/Berlin\", \"offset\": 60}", &message), 0);
    assert_string_equal(message.observation->values.text[GUEST_TIMEZONE], "Europe/Berlin");
    assert_int_equal(message.observation->values.timezone_offset, 3600);
    ovirt_message_clear(&message);
    assert_int_equal(parse("{\"__name__\": \"timezone\", \"zone\": \"\", \"offset\": -570}", &message), 0);
    assert_int_equal(message.observation->values.timezone_offset, -34200);
    ovirt_message_clear(&message);
    expect_error("{\"__name__\": \"timezone\", \"zone\": \"\", \"offset\": 99999999999}", -EBADMSG);
}

static void test_interfaces(void **state)
{
    OvirtMessage message;
    const GPtrArray *list;
    const GuestInterface *first;
    char buffer[GUEST_ADDRESS_TEXT_MAX];

    assert_int_equal(
        parse("{\"__name__\": \"network-interfaces\", \"interfaces\": [{\"inet6\": [\"fd00::2\", "
              "\"fe80::fc:ff:fe00:1\"], \"hw\": \"02:FC:00:00:00:01\", \"inet\": [\"192.0.2.2\", 5, \"x\"], "
              "\"name\": \"eth0\"}, {\"name\": \"old\", \"hw\": 3}, \"x\", {\"hw\": \"02:fc:00:00:00:02\"}]}",
              &message),
        0);
    list = guest_values_list(&message.observation->values, GUEST_INTERFACES);
    assert_int_equal(list->len, 3);
    first = list->pdata[0];
    assert_string_equal(first->name, "eth0");
    assert_string_equal(first->mac, "02:fc:00:00:00:01");
    assert_int_equal(first->addresses->len, 3);
    assert_string_equal(guest_address_format(&g_array_index(first->addresses, GuestAddress, 0), buffer),
                        "192.0.2.2");
    assert_string_equal(((GuestInterface *)list->pdata[1])->mac, "");
    assert_string_equal(((GuestInterface *)list->pdata[2])->name, "");
    ovirt_message_clear(&message);
}

static void test_applications(void **state)
{
    OvirtMessage message;
    const GPtrArray *list;

    assert_int_equal(parse("{\"applications\": [\"bash-5.2.15-2+b8\", 7, \"qemu-guest-agent-1:7.2\"], "
                           "\"__name__\": \"applications\"}",
                           &message),
                     0);
    list = guest_values_list(&message.observation->values, GUEST_APPLICATIONS);
    assert_int_equal(list->len, 2);
    assert_string_equal(list->pdata[1], "qemu-guest-agent-1:7.2");
    ovirt_message_clear(&message);
}

static void test_disks(void **state)
{
    OvirtMessage message;
    const GuestFilesystem *disk;

    assert_int_equal(parse("{\"__name__\": \"disks-usage\", \"disks\": [{\"path\": \"/\", \"total\": "
                           "270553174016, \"used\": 19448365056, \"fs\": \"ext4\"}, {}, null], "
                           "\"mapping\": {\"7b0a\": {\"name\": \"/dev/vda\"}}}",
                           &message),
                     0);
    assert_int_equal(guest_values_list(&message.observation->values, GUEST_FILESYSTEMS)->len, 1);
    disk = guest_values_list(&message.observation->values, GUEST_FILESYSTEMS)->pdata[0];
    assert_string_equal(disk->mount_point, "/");
    assert_string_equal(disk->type, "ext4");
    assert_int_equal(disk->total, UINT64_C(270553174016));
    assert_int_equal(disk->used, UINT64_C(19448365056));
    ovirt_message_clear(&message);
}

static void test_malformed(void **state)
{
    static const char *const lines[] = {
        "[]",
        "\"s\"",
        "5",
        "null",
        "{\"a\":1}",
        "{",
        "}",
        "garbage",
        "{\"__name__\":5}",
        "{\"__name__\":null}",
        "{\"__name__\":[\"heartbeat\"]}",
        "{\"__name__\": \"host-name\"}",
        "{\"__name__\": \"host-name\", \"name\": {\"x\": 1}}",
        "{\"__name__\": \"host-name\", \"name\": null}",
        "{\"__name__\": \"applications\", \"applications\": 5}",
        "{\"__name__\": \"applications\"}",
        "{\"__name__\": \"network-interfaces\", \"interfaces\": {}}",
        "{\"__name__\": \"network-interfaces\"}",
        "{\"__name__\": \"disks-usage\", \"disks\": \"x\"}",
        "{\"__name__\": \"timezone\"}",
        "{\"__name__\": \"active-user\", \"name\": 0}",
        "{\"__name__\": \"memory-stats\", \"memory\": []}",
        "{\"__name__\": \"session-lock\"} trailing",
        "{\"__name__\": \"session-lock\"}{\"__name__\": \"echo\"}",
        "{'__name__': 'session-lock'}",
    };
    g_autofree char *nested = g_strnfill(200000, '[');

    for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++)
        expect_error(lines[i], -EBADMSG);
    expect_error(nested, -EBADMSG);
    expect_error("", -ENODATA);
    expect_error(" \r", -ENODATA);
    expect_error("{\"__name__\": \"from-the-future\", \"x\": 1}", -ENOENT);
}

static void expect_command(OvirtCommand *command, const char *expected)
{
    assert_int_equal(command->length, strlen(expected));
    assert_memory_equal(command->text, expected, command->length);
    ovirt_command_free(command);
}

static void test_commands(void **state)
{
    g_autofree char *long_text = g_strnfill(100000, '\x01');
    OvirtCommand *big;

    expect_command(ovirt_command_refresh(3), "{\"apiVersion\": 3, \"__name__\": \"refresh\"}\n");
    expect_command(ovirt_command_api_version(3), "{\"apiVersion\": 3, \"__name__\": \"api-version\"}\n");
    expect_command(ovirt_command_api_version(1), "{\"apiVersion\": 1, \"__name__\": \"api-version\"}\n");
    expect_command(ovirt_command_lock_screen(), "{\"__name__\": \"lock-screen\"}\n");
    expect_command(ovirt_command_log_off(), "{\"__name__\": \"log-off\"}\n");
    expect_command(ovirt_command_login("user@example.com", "s3cr\xc3\xa9t"),
                   "{\"username\": \"user@example.com\", \"password\": \"s3cr\\u00e9t\", "
                   "\"__name__\": \"login\"}\n");
    expect_command(ovirt_command_login("user", ""),
                   "{\"username\": \"user\", \"password\": \"\", \"__name__\": \"login\"}\n");
    expect_command(ovirt_command_login("DOM\\u", "\"\n\x01\x7f\xf0\x9f\x90\xa7"),
                   "{\"username\": \"DOM\\\\u\", \"password\": \"\\\"\\n\\u0001\x7f\\ud83d\\udc27\", "
                   "\"__name__\": \"login\"}\n");
    expect_command(ovirt_command_shutdown(30, "Going down", false),
                   "{\"timeout\": 30, \"message\": \"Going down\", \"reboot\": \"False\", "
                   "\"__name__\": \"shutdown\"}\n");
    expect_command(ovirt_command_shutdown(4294967295, "", true),
                   "{\"timeout\": 4294967295, \"message\": \"\", \"reboot\": \"True\", "
                   "\"__name__\": \"shutdown\"}\n");
    big = ovirt_command_login(long_text, long_text);
    assert_true(big->length > 1200000);
    ovirt_command_free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notifications),      cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_heartbeat),          cmocka_unit_test(test_texts),
        cmocka_unit_test(test_illegal_characters), cmocka_unit_test(test_os_info),
        cmocka_unit_test(test_timezone),           cmocka_unit_test(test_interfaces),
        cmocka_unit_test(test_applications),       cmocka_unit_test(test_disks),
        cmocka_unit_test(test_malformed),          cmocka_unit_test(test_commands),
    };

    return cmocka_run_group_tests_name("oVirt messages and commands", tests, NULL, NULL);
}
