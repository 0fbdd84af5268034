/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib.h>
#include <errno.h>
#include <string.h>

#include "service/guest/address.h"
#include "service/guest/text.h"

#define FFFD "\xef\xbf\xbd"

static void check(const char *text, long length, const char *expected)
{
    g_autofree char *cleaned = text_clean(text, length, 255, NULL);

    assert_string_equal(cleaned, expected);
    assert_true(g_utf8_validate(cleaned, -1, NULL));
}

static void test_keeps_good_text(void **state)
{
    check("plain", -1, "plain");
    check("j\xc3\xb6rg \xf0\x9f\x90\xa7 \xe2\x84\xa2", -1, "j\xc3\xb6rg \xf0\x9f\x90\xa7 \xe2\x84\xa2");
    check("\t\n\r\xc2\x85 ", -1, "\t\n\r\xc2\x85 ");
    check(NULL, -1, "");
    check(NULL, 0, "");
}

/* Both ends of each illegal range, and their neighbours. */
static void test_replaces_illegal_characters(void **state)
{
    check("a\x00z", 3, "a" FFFD "z");
    check("\x08\x0b\x0c\x0e\x1f", -1, FFFD FFFD FFFD FFFD FFFD);
    check("~\x7f\xc2\x84\xc2\x86\xc2\x9f\xc2\xa0", -1, "~" FFFD FFFD FFFD FFFD "\xc2\xa0");
    check("\xef\xbf\xbe\xef\xbf\xbf\xef\xbf\xbd", -1, FFFD FFFD FFFD);
    check("\xef\xb7\x8f\xef\xb7\x90\xef\xb7\xaf\xef\xb7\xb0", -1, "\xef\xb7\x8f" FFFD FFFD "\xef\xb7\xb0");
    check("\xf0\x9f\xbf\xbe\xf4\x8f\xbf\xbf", -1, FFFD FFFD);
}

static void test_replaces_invalid_bytes(void **state)
{
    check("a\xff\xfez", -1, "a" FFFD FFFD "z");
    check("\xed\xa0\x80", -1, FFFD FFFD FFFD); /* a lone surrogate */
    check("\xc0\xaf", -1, FFFD FFFD);          /* overlong */
    check("x\xe2\x82", -1, "x" FFFD FFFD);     /* cut off */
}

static void test_cuts_at_a_character(void **state)
{
    unsigned cut = 0;
    g_autofree char *exact = text_clean("\xc3\xb6\xc3\xb6", -1, 4, &cut);
    g_autofree char *three = NULL, *illegal = NULL;

    assert_string_equal(exact, "\xc3\xb6\xc3\xb6");
    assert_int_equal(cut, 0);
    three = text_clean("\xc3\xb6\xc3\xb6", -1, 3, &cut);
    assert_string_equal(three, "\xc3\xb6");
    assert_int_equal(cut, 1);
    illegal = text_clean("a\x01", -1, 3, NULL);
    assert_string_equal(illegal, "a");
}

static void check_address(const char *text, unsigned prefix, const char *expected, bool global)
{
    char buffer[GUEST_ADDRESS_TEXT_MAX];
    GuestAddress address;

    assert_int_equal(guest_address_parse(text, prefix, &address), 0);
    assert_string_equal(guest_address_format(&address, buffer), expected);
    assert_int_equal(guest_address_is_global(&address), global);
}

static void test_addresses(void **state)
{
    GuestAddress address;

    check_address("192.0.2.7", 24, "192.0.2.7", true);
    check_address("127.0.0.1", 8, "127.0.0.1", false);
    check_address("169.254.3.4", 16, "169.254.3.4", false);
    check_address("0.0.0.0", 0, "0.0.0.0", false);
    check_address("255.255.255.255", 32, "255.255.255.255", false);
    check_address("2001:DB8:0:0::1", 64, "2001:db8::1", true);
    check_address("fd00::2", 64, "fd00::2", true);
    check_address("fe80::fc:ff:fe00:1%eth0", 64, "fe80::fc:ff:fe00:1", false);
    check_address("::1", 128, "::1", false);
    check_address("ff02::1", 0, "ff02::1", false);
    assert_int_equal(guest_address_parse("", 0, &address), -EINVAL);
    assert_int_equal(guest_address_parse("192.0.2", 0, &address), -EINVAL);
    assert_int_equal(guest_address_parse("192.0.2.1; rm -rf /", 0, &address), -EINVAL);
    assert_int_equal(guest_address_parse("192.0.2.1", 33, &address), 0);
    assert_int_equal(address.prefix, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_good_text),
        cmocka_unit_test(test_replaces_illegal_characters),
        cmocka_unit_test(test_replaces_invalid_bytes),
        cmocka_unit_test(test_cuts_at_a_character),
        cmocka_unit_test(test_addresses),
    };

    return cmocka_run_group_tests_name("guest text", tests, NULL, NULL);
}
