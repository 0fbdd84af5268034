// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <glib.h>

#include "service/reporter/libvirt-uri.h"

static void assert_uri(const char *server, const char *username, const char *expected)
{
    g_autofree char *uri = libvirt_uri_complete(server, username);

    if (!expected)
        assert_null(uri);
    else if (!uri)
        fail_msg("%s was refused", server);
    else
        assert_string_equal(uri, expected);
}

static void test_bare_hosts(void **state)
{
    assert_uri("host", NULL, "qemu+ssh://host/system?no_tty=1");
    assert_uri("host", "root", "qemu+ssh://root@host/system?no_tty=1");
    assert_uri("me@host", "root", "qemu+ssh://me@host/system?no_tty=1");
    assert_uri("host:2222", NULL, "qemu+ssh://host:2222/system?no_tty=1");
    assert_uri("[fe80::1]:2222", "root", "qemu+ssh://root@[fe80::1]:2222/system?no_tty=1");
    assert_uri("2001:db8::1", NULL, "qemu+ssh://[2001:db8::1]/system?no_tty=1");
    assert_uri("192.0.2.1", "a@b", "qemu+ssh://a%40b@192.0.2.1/system?no_tty=1");
}

/* virt-who lost port, query and brackets. */
static void test_nothing_is_lost(void **state)
{
    assert_uri("qemu+ssh://host:2222/system?keyfile=/k", NULL,
               "qemu+ssh://host:2222/system?keyfile=/k&no_tty=1");
    assert_uri("qemu+ssh://[::1]:22/session", "u", "qemu+ssh://u@[::1]:22/session?no_tty=1");
    assert_uri("qemu+ssh://host/system?no_tty=0", NULL, "qemu+ssh://host/system?no_tty=0");
    assert_uri("qemu+tls://host:16514/system?no_verify=1", NULL, "qemu+tls://host:16514/system?no_verify=1");
    assert_uri("qemu+tcp://host", "u", "qemu+tcp://u@host/system");
    assert_uri("qemu:///system", "u", "qemu:///system");
    assert_uri("qemu:///session", NULL, "qemu:///session");
    assert_uri("test:///default", NULL, "test:///default");
    assert_uri("test+unix:///default?socket=/run/x", NULL, "test+unix:///default?socket=/run/x");
    assert_uri("qemu+libssh2://host/", NULL, "qemu+libssh2://host/system?no_tty=1");
}

static void test_refused(void **state)
{
    assert_uri("", NULL, NULL);
    assert_uri("host/system", NULL, NULL);
    assert_uri("two words", NULL, NULL);
    assert_uri("://host", NULL, NULL);
    assert_uri("q emu://host", NULL, NULL);
}

static void test_public(void **state)
{
    g_autofree char *hidden = libvirt_uri_public("qemu+tcp://user:pass@host:1/system?x=a@b:c");
    g_autofree char *same = libvirt_uri_public("qemu+ssh://user@[::1]:22/system");

    assert_string_equal(hidden, "qemu+tcp://user@host:1/system?x=a@b:c");
    assert_string_equal(same, "qemu+ssh://user@[::1]:22/system");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bare_hosts),
        cmocka_unit_test(test_nothing_is_lost),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_public),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
