/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib.h>

#include "cli/guestbusctl/phrase.h"
#include "service/cleanup.h"

/* The event is in the form that "events --json" prints. */
static void assert_words(const char *event, const char *expected)
{
    _cleanup_(json_object_putp) json_object *object = json_tokener_parse(event);
    g_autofree char *words = NULL;

    assert_non_null(object);
    words = phrase_event(object);
    if (!expected)
        assert_null(words);
    else
        assert_string_equal(words, expected);
}

static void test_change_of_state(void **state)
{
    assert_words("{\"event\":\"PropertiesChanged\",\"interface\":\"VM\",\"changed\":"
                 "{\"State\":\"running\",\"StateReason\":\"booted\",\"StateSince\":5,\"Id\":3}}",
                 "now running (booted)");
    assert_words(
        "{\"event\":\"PropertiesChanged\",\"changed\":{\"State\":\"paused\",\"StateReason\":\"unknown\"}}",
        "now paused");
}

static void test_several_changes_make_one_line(void **state)
{
    assert_words(
        "{\"event\":\"PropertiesChanged\",\"changed\":{\"MemoryActual\":536870912,\"Autostart\":true},"
        "\"invalidated\":[\"Applications\"]}",
        "memory: 512 MiB; autostart: yes; Applications: changed");
}

static void test_change_that_only_follows_another_is_silent(void **state)
{
    assert_words("{\"event\":\"PropertiesChanged\",\"changed\":{\"StateSince\":5}}", NULL);
}

static void test_unknown_property_is_shown_as_it_is(void **state)
{
    assert_words("{\"event\":\"PropertiesChanged\",\"changed\":{\"New\":[1,\"x\"]}}", "New: [1,\"x\"]");
}

static void test_structures_are_told_in_words(void **state)
{
    assert_words("{\"event\":\"PropertiesChanged\",\"changed\":{\"IPAddresses\":[\"10.0.0.5\",\"fd00::5\"]}}",
                 "addresses: 10.0.0.5, fd00::5");
    assert_words("{\"event\":\"PropertiesChanged\",\"changed\":{\"Users\":[]}}", "users: none");
    assert_words(
        "{\"event\":\"PropertiesChanged\",\"changed\":{\"Graphics\":[{\"type\":\"vnc\",\"port\":5900}]}}",
        "displays: vnc on port 5900");
    assert_words(
        "{\"event\":\"PropertiesChanged\",\"changed\":{\"LastJob\":[\"save\",\"failed\",\"no space\"]}}",
        "last job: save failed: no space");
}

static void test_values_of_a_wrong_type_do_no_harm(void **state)
{
    assert_words(
        "{\"event\":\"PropertiesChanged\",\"changed\":{\"IPAddresses\":7,\"Users\":\"x\",\"LastJob\":[]}}",
        "addresses: none; users: none; last job:  ");
}

static void test_text_of_a_guest_is_disarmed(void **state)
{
    assert_words("{\"event\":\"PropertiesChanged\",\"changed\":{\"HostName\":\"a\\u001b[2J\\nb\"}}",
                 "host name: a\\x1b[2J\\nb");
}

static void test_signals_of_the_guest(void **state)
{
    assert_words("{\"event\":\"PowerUp\",\"interface\":\"Guest\",\"arguments\":{}}", "the guest has started");
    assert_words(
        "{\"event\":\"Heartbeat\",\"interface\":\"Guest\",\"arguments\":{\"available_memory\":1048576}}",
        "the agent is alive, memory available: 1 MiB");
    assert_words("{\"event\":\"SessionLogon\",\"interface\":\"Guest\",\"arguments\":{\"user\":\"bob\"}}",
                 "logged on: bob");
    assert_words("{\"event\":\"UserInfo\",\"interface\":\"Guest\",\"arguments\":{\"active_user\":\"\"}}",
                 "at the screen is now nobody");
}

static void test_signals_of_the_reporter(void **state)
{
    assert_words("{\"event\":\"Failed\",\"interface\":\"Reporter.Mapping\","
                 "\"arguments\":{\"stage\":\"send\",\"message\":\"401\"}}",
                 "a report failed: send: 401");
}

static void test_arguments_get_their_names(void **state)
{
    _cleanup_(json_object_putp) json_object *arguments = json_tokener_parse("[\"send\",\"401\"]"),
                                            *named = NULL;

    named = phrase_name_arguments("Reporter.Mapping", "Failed", arguments);
    assert_string_equal(json_member_string(named, "stage"), "send");
    assert_string_equal(json_member_string(named, "message"), "401");
}

static void test_coming_and_going(void **state)
{
    assert_words("{\"event\":\"InterfacesAdded\",\"source\":\"local\",\"interfaces\":{\"VM\":{\"State\":"
                 "\"shut-off\"}}}",
                 "a new VM on local, shut-off");
    assert_words("{\"event\":\"InterfacesRemoved\",\"interfaces\":[]}", "is gone");
}

static void test_qmp_event(void **state)
{
    assert_words("{\"event\":\"BALLOON_CHANGE\",\"interface\":\"QMP\",\"data\":{\"actual\":1}}",
                 "BALLOON_CHANGE {\"actual\":1}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change_of_state),
        cmocka_unit_test(test_several_changes_make_one_line),
        cmocka_unit_test(test_change_that_only_follows_another_is_silent),
        cmocka_unit_test(test_unknown_property_is_shown_as_it_is),
        cmocka_unit_test(test_structures_are_told_in_words),
        cmocka_unit_test(test_values_of_a_wrong_type_do_no_harm),
        cmocka_unit_test(test_text_of_a_guest_is_disarmed),
        cmocka_unit_test(test_signals_of_the_guest),
        cmocka_unit_test(test_signals_of_the_reporter),
        cmocka_unit_test(test_arguments_get_their_names),
        cmocka_unit_test(test_coming_and_going),
        cmocka_unit_test(test_qmp_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
