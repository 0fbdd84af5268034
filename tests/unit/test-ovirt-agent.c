/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "service/guest/ovirt-agent.h"

#define REFRESH "{\"apiVersion\": 3, \"__name__\": \"refresh\"}\n"
#define API_VERSION(version) "{\"apiVersion\": " version ", \"__name__\": \"api-version\"}\n"

/* The agent, the guest that it feeds, and what came out of both. */
typedef struct Fixture {
    Guest *guest;
    OvirtAgent *agent;
    GString *sent;
    GString *signals;
    unsigned changes;
    uint64_t seconds; /* the clock */
} Fixture;

static void on_changed(Guest *guest, uint32_t mask, void *userdata)
{
    ((Fixture *)userdata)->changes++;
}

static void on_signal(Guest *guest, GuestSignal signal, const char *text, uint64_t number, void *userdata)
{
    static const char *const names[GUEST_SIGNAL_COUNT] = {"up",     "down",  "beat",   "user",       "lock",
                                                          "unlock", "logon", "logoff", "uninstalled"};
    Fixture *fixture = userdata;

    g_string_append_printf(fixture->signals, "%s%s%s ", names[signal], text[0] ? ":" : "", text);
}

static const GuestObserver observer = {.changed = on_changed, .signal = on_signal};

static void on_send(OvirtAgent *agent, OvirtCommand *command, void *userdata)
{
    Fixture *fixture = userdata;

    g_string_append_len(fixture->sent, command->text, (gssize)command->length);
    ovirt_command_free(command);
}

static int setup(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->guest = guest_new(&observer, fixture);
    fixture->agent = ovirt_agent_new(fixture->guest, on_send, fixture);
    fixture->sent = g_string_new(NULL);
    fixture->signals = g_string_new(NULL);
    fixture->seconds = 1000;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    Fixture *fixture = *state;

    ovirt_agent_free(fixture->agent);
    guest_free(fixture->guest);
    g_string_free(fixture->sent, TRUE);
    g_string_free(fixture->signals, TRUE);
    g_free(fixture);
    return 0;
}

static OvirtTime now(const Fixture *fixture)
{
    return (OvirtTime){.monotonic = fixture->seconds * 1000000, .real = fixture->seconds * 1000000 + 77};
}

static void say(Fixture *fixture, const char *text)
{
    ovirt_agent_receive(fixture->agent, text, strlen(text), false);
    while (ovirt_agent_process(fixture->agent, 16, now(fixture)))
        ;
}

/* Lets time pass second by second, as the owner's timer would see it. */
static void wait(Fixture *fixture, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        fixture->seconds++;
        if (now(fixture).monotonic >= ovirt_agent_deadline(fixture->agent))
            ovirt_agent_check(fixture->agent, now(fixture));
    }
}

static void beat(Fixture *fixture, int api_version)
{
    g_autofree char *line = g_strdup_printf(
        "{\"__name__\": \"heartbeat\", \"free-ram\": \"10\", \"apiVersion\": %d}\n", api_version);

    say(fixture, line);
}

static void expect_sent(Fixture *fixture, const char *expected)
{
    assert_string_equal(fixture->sent->str, expected);
    g_string_truncate(fixture->sent, 0);
}

static void expect_signals(Fixture *fixture, const char *expected)
{
    assert_string_equal(fixture->signals->str, expected);
    g_string_truncate(fixture->signals, 0);
}

static void open_channel(Fixture *fixture)
{
    ovirt_agent_opened(fixture->agent, now(fixture));
    expect_sent(fixture, REFRESH);
}

static int ready(const Fixture *fixture)
{
    return ovirt_agent_ready(fixture->agent, now(fixture).monotonic);
}

/* As captured: 0 from the first heartbeat of a process, its highest from the second one on. */
static void test_negotiation(void **state)
{
    Fixture *fixture = *state;

    open_channel(fixture);
    wait(fixture, 4);
    beat(fixture, 0);
    expect_sent(fixture, "");
    wait(fixture, 5);
    beat(fixture, 3);
    expect_sent(fixture, API_VERSION("3"));
    assert_int_equal(fixture->agent->api_version, 3);
    wait(fixture, 5);
    beat(fixture, 3);
    expect_sent(fixture, "");
    /* The agent is restarted. */
    wait(fixture, 5);
    beat(fixture, 0);
    expect_sent(fixture, "");
    wait(fixture, 5);
    beat(fixture, 3);
    expect_sent(fixture, API_VERSION("3"));
}

static void test_each_version(void **state)
{
    Fixture *fixture = *state;

    open_channel(fixture);
    beat(fixture, 1);
    expect_sent(fixture, API_VERSION("1"));
    beat(fixture, 2);
    expect_sent(fixture, API_VERSION("2"));
    beat(fixture, 17);
    expect_sent(fixture, API_VERSION("3"));
    beat(fixture, 3);
    expect_sent(fixture, "");
    /* An agent from before versions, or one that reports nonsense. */
    say(fixture, "{\"__name__\": \"heartbeat\", \"free-ram\": \"10\"}\n");
    assert_int_equal(fixture->agent->api_version, 0);
    expect_sent(fixture, "");
    say(fixture, "{\"__name__\": \"heartbeat\", \"apiVersion\": \"x\"}\n");
    assert_int_equal(fixture->agent->api_version, 0);
}

static void test_connected_but_mute(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(ready(fixture), -ENOTCONN);
    open_channel(fixture);
    wait(fixture, 100);
    assert_false(guest_has_agent(fixture->guest, GUEST_ORIGIN_OVIRT));
    assert_int_equal(ready(fixture), -ETIMEDOUT);
    assert_int_equal(ovirt_agent_deadline(fixture->agent), UINT64_MAX);
    say(fixture, "noise\n");
    assert_false(guest_has_agent(fixture->guest, GUEST_ORIGIN_OVIRT));
    /* Heard, which is no heartbeat: believed for as long as one may be late, and told nothing. */
    say(fixture, "{\"__name__\": \"host-name\", \"name\": \"a\"}\n");
    assert_true(guest_has_agent(fixture->guest, GUEST_ORIGIN_OVIRT));
    assert_true(guest_agent_is_live(fixture->guest, GUEST_ORIGIN_OVIRT));
    assert_false(fixture->guest->responsive);
    assert_int_equal(ready(fixture), -ETIMEDOUT);
    wait(fixture, 15);
    assert_false(guest_agent_is_live(fixture->guest, GUEST_ORIGIN_OVIRT));
}

static void test_silence(void **state)
{
    Fixture *fixture = *state;

    open_channel(fixture);
    beat(fixture, 0);
    say(fixture, "{\"__name__\": \"host-name\", \"name\": \"a\"}\n");
    assert_true(fixture->guest->responsive);
    assert_int_equal(ready(fixture), 0);
    wait(fixture, 10);
    assert_int_equal(ready(fixture), 0);
    wait(fixture, 1);
    assert_int_equal(ready(fixture), -ETIMEDOUT);
    assert_true(fixture->guest->responsive);
    wait(fixture, 4);
    assert_false(fixture->guest->responsive);
    assert_string_equal(fixture->guest->values.text[GUEST_HOST_NAME], "a");
    assert_true(guest_has_agent(fixture->guest, GUEST_ORIGIN_OVIRT));
    beat(fixture, 0);
    assert_true(fixture->guest->responsive);
    assert_int_equal(ready(fixture), 0);
    wait(fixture, 119);
    assert_true(guest_has_agent(fixture->guest, GUEST_ORIGIN_OVIRT));
    wait(fixture, 1);
    assert_false(guest_has_agent(fixture->guest, GUEST_ORIGIN_OVIRT));
    assert_string_equal(fixture->guest->values.text[GUEST_HOST_NAME], "a");
    assert_int_equal(ovirt_agent_deadline(fixture->agent), UINT64_MAX);
}

/* An agent that is configured to beat every 20 seconds does not flap. */
static void test_slow_agent(void **state)
{
    Fixture *fixture = *state;

    open_channel(fixture);
    for (unsigned i = 0; i < 4; i++) {
        beat(fixture, 0);
        wait(fixture, 20);
    }
    fixture->changes = 0;
    for (unsigned i = 0; i < 10; i++) {
        beat(fixture, 0);
        wait(fixture, 20);
        assert_int_equal(ready(fixture), 0);
    }
    assert_int_equal(fixture->changes, 0);
}

static const char *burst =
    "{\"__name__\": \"session-startup\"}\n{\"__name__\": \"host-name\", \"name\": \"a\"}\n";

static void test_power_up_only_for_a_start(void **state)
{
    Fixture *fixture = *state;

    /* The agent was there before us: its burst is an answer. */
    open_channel(fixture);
    say(fixture, burst);
    beat(fixture, 3);
    expect_sent(fixture, API_VERSION("3"));
    say(fixture, burst);
    expect_signals(fixture, "beat ");
    ovirt_agent_refresh(fixture->agent, now(fixture));
    say(fixture, burst);
    expect_signals(fixture, "");

    /* It restarts. */
    wait(fixture, 60);
    say(fixture, "{\"__name__\": \"session-shutdown\"}\n");
    expect_signals(fixture, "down ");
    assert_int_equal(ready(fixture), -ETIMEDOUT);
    assert_false(guest_has_agent(fixture->guest, GUEST_ORIGIN_OVIRT));
    wait(fixture, 1);
    say(fixture, burst);
    expect_signals(fixture, "up ");
}

static void test_power_up_of_a_late_agent(void **state)
{
    Fixture *fixture = *state;

    /* Our request waits in the channel until the agent starts; then it is answered as well. */
    open_channel(fixture);
    wait(fixture, 300);
    say(fixture, burst);
    expect_signals(fixture, "up ");
    say(fixture, burst);
    expect_signals(fixture, "");
    /* The guest is reset without a word. */
    wait(fixture, 100);
    guest_forget_reboot(fixture->guest, now(fixture).real);
    ovirt_agent_rebooted(fixture->agent, now(fixture));
    assert_int_equal(ready(fixture), -ETIMEDOUT);
    expect_signals(fixture, "down ");
    say(fixture, burst);
    expect_signals(fixture, "up ");
}

static void test_notifications(void **state)
{
    Fixture *fixture = *state;

    open_channel(fixture);
    say(fixture, "{\"__name__\": \"active-user\", \"name\": \"alice\"}\n{\"__name__\": \"session-logon\"}\n"
                 "{\"__name__\": \"session-lock\"}\n");
    assert_int_equal(guest_values_number(&fixture->guest->values, GUEST_SESSION_STATE), GUEST_SESSION_LOCKED);
    say(fixture, "{\"__name__\": \"session-unlock\"}\n{\"__name__\": \"session-logoff\"}\n"
                 "{\"__name__\": \"active-user\", \"name\": \"None\"}\n");
    expect_signals(fixture, "user:alice logon:alice lock unlock logoff:alice user ");
    assert_string_equal(fixture->guest->values.text[GUEST_ACTIVE_USER], "");
    beat(fixture, 0);
    /* As the package's hook writes it, blank line included. */
    say(fixture, "{\"__name__\": \"uninstalled\"}\n\n");
    expect_signals(fixture, "beat uninstalled ");
    assert_false(guest_has_agent(fixture->guest, GUEST_ORIGIN_OVIRT));
}

/* Each bad line stands in front of a good one, in one write. */
static void test_bad_line_costs_one_line(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "\"s\"",
        "{\"a\":1}",
        "{\"__name__\":\"heartbeat\"}",
        "{\"__name__\":\"applications\",\"applications\":5}",
        "{\"__name__\":\"network-interfaces\",\"interfaces\":[\"x\"]}",
        "{\"__name__\":\"host-name\"}",
        "{\"__name__\":\"host-name\",\"name\":{}}",
        "{\"__name__\":5}",
        "{\"__name__\":\"heartbeat\",\"free-ram\":\"lots\"}",
        "{\"__name__\":\"heartbeat\",\"free-ram\":NaN}",
        "{\"__name__\":\"nonsense\"}",
        "{\"__name__\":\"host-na",
        "\xff\xfe\x01 garbage",
    };
    Fixture *fixture = *state;
    g_autofree char *nested = g_strnfill(200000, '[');
    g_autofree char *deep = NULL, *good = NULL, *flood = NULL;

    open_channel(fixture);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *name = g_strdup_printf("good%u", i);
        g_autofree char *text =
            g_strdup_printf("%s\n{\"__name__\": \"host-name\", \"name\": \"%s\"}\n", bad[i], name);

        say(fixture, text);
        assert_string_equal(fixture->guest->values.text[GUEST_HOST_NAME], name);
    }
    deep = g_strdup_printf("%s\n{\"__name__\": \"host-name\", \"name\": \"deep\"}\n", nested);
    say(fixture, deep);
    assert_string_equal(fixture->guest->values.text[GUEST_HOST_NAME], "deep");
    flood = g_strnfill(2 * OVIRT_LINE_MAX, 'x');
    good = g_strdup_printf("%s\n{\"__name__\": \"host-name\", \"name\": \"long\"}\n", flood);
    say(fixture, good);
    assert_string_equal(fixture->guest->values.text[GUEST_HOST_NAME], "long");
    assert_int_equal(fixture->agent->line.dropped, 1);
    assert_int_equal(fixture->agent->counters.unknown, 1);
}

static void test_rate(void **state)
{
    Fixture *fixture = *state;
    uint64_t handled;

    open_channel(fixture);
    for (unsigned i = 0; i < 10000; i++) {
        g_autofree char *line = g_strdup_printf("{\"__name__\": \"host-name\", \"name\": \"flood%u\"}\n", i);

        say(fixture, line);
    }
    assert_int_equal(fixture->agent->counters.lines, OVIRT_LINES_BURST);
    assert_int_equal(fixture->agent->counters.dropped, 10000 - OVIRT_LINES_BURST);
    handled = fixture->agent->counters.lines;
    wait(fixture, 1);
    for (unsigned i = 0; i < 1000; i++)
        say(fixture, "{\"__name__\": \"echo\"}\n");
    assert_int_equal(fixture->agent->counters.lines - handled, OVIRT_LINES_PER_SECOND);
    wait(fixture, 1);
    say(fixture, "{\"__name__\": \"host-name\", \"name\": \"calm\"}\n");
    assert_string_equal(fixture->guest->values.text[GUEST_HOST_NAME], "calm");
}

static void test_budget(void **state)
{
    Fixture *fixture = *state;
    const char *lines = "{\"__name__\": \"echo\"}\n{\"__name__\": \"echo\"}\n{\"__name__\": \"echo\"}\n";

    open_channel(fixture);
    ovirt_agent_receive(fixture->agent, lines, strlen(lines), false);
    assert_true(ovirt_agent_process(fixture->agent, 2, now(fixture)));
    assert_int_equal(fixture->agent->counters.lines, 2);
    assert_false(ovirt_agent_process(fixture->agent, 2, now(fixture)));
    assert_int_equal(fixture->agent->counters.lines, 3);
}

static void test_closed(void **state)
{
    Fixture *fixture = *state;

    open_channel(fixture);
    beat(fixture, 3);
    say(fixture, "{\"__name__\": \"host-na");
    ovirt_agent_closed(fixture->agent, now(fixture));
    assert_false(fixture->guest->responsive);
    assert_int_equal(ready(fixture), -ENOTCONN);
    g_string_truncate(fixture->sent, 0);
    /* Half a line of the old stream is none of the new one. */
    open_channel(fixture);
    say(fixture, "{\"__name__\": \"host-name\", \"name\": \"new\"}\n");
    assert_string_equal(fixture->guest->values.text[GUEST_HOST_NAME], "new");
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_negotiation),
        test(test_each_version),
        test(test_connected_but_mute),
        test(test_silence),
        test(test_slow_agent),
        test(test_power_up_only_for_a_start),
        test(test_power_up_of_a_late_agent),
        test(test_notifications),
        test(test_bad_line_costs_one_line),
        test(test_rate),
        test(test_budget),
        test(test_closed),
    };

    return cmocka_run_group_tests_name("oVirt agent", tests, NULL, NULL);
}
