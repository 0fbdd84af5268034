/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <string.h>

#include "service/guest/guest.h"

static uint32_t changed_mask;
static unsigned changed_count;
static GString *signals; /* what was signalled, in words */

static void on_changed(Guest *guest, uint32_t mask, void *userdata)
{
    changed_mask |= mask;
    changed_count++;
}

static void on_signal(Guest *guest, GuestSignal signal, const char *text, uint64_t number, void *userdata)
{
    static const char *const names[GUEST_SIGNAL_COUNT] = {
        "up", "down", "heartbeat", "user", "lock", "unlock", "logon", "logoff", "uninstalled"};

    g_string_append_printf(signals, "%s%s", signals->len ? " " : "", names[signal]);
    if (text[0])
        g_string_append_printf(signals, ":%s", text);
    if (number)
        g_string_append_printf(signals, "=%" PRIu64, number);
}

static const GuestObserver observer = {.changed = on_changed, .signal = on_signal};

static int setup(void **state)
{
    signals = g_string_new(NULL);
    changed_mask = 0;
    changed_count = 0;
    *state = guest_new(&observer, NULL);
    return 0;
}

static int teardown(void **state)
{
    guest_free(*state);
    g_string_free(signals, TRUE);
    return 0;
}

/* Compares what was signalled since the last time. */
static void expect_signals(const char *expected)
{
    assert_string_equal(signals->str, expected);
    g_string_truncate(signals, 0);
}

static void expect_changed(uint32_t expected)
{
    assert_int_equal(changed_mask, expected);
    changed_mask = 0;
    changed_count = 0;
}

static void observe_text(Guest *guest, GuestOrigin origin, uint64_t time, GuestField field, const char *text)
{
    Observation *observation = observation_new(origin, time);

    observation_set_text(observation, field, text);
    guest_observe(guest, observation);
}

static void observe_number(Guest *guest, GuestOrigin origin, uint64_t time, GuestField field, uint64_t number)
{
    Observation *observation = observation_new(origin, time);

    observation_set_number(observation, field, number);
    guest_observe(guest, observation);
}

/* One interface with one address. */
static void observe_address(Guest *guest, GuestOrigin origin, uint64_t time, const char *name,
                            const char *mac, const char *address, unsigned prefix)
{
    Observation *observation = observation_new(origin, time);
    GuestInterface *interface = observation_add_interface(observation, name, mac);

    observation_add_address(observation, interface, address, prefix);
    guest_observe(guest, observation);
}

/* A list of users, each logged in a second after the one before. */
static void observe_users(Guest *guest, uint64_t time, const char *const *names)
{
    Observation *observation = observation_new(GUEST_ORIGIN_QEMU_GA, time);

    observation_set_list(observation, GUEST_USERS);
    for (unsigned i = 0; names[i]; i++)
        observation_add_user(observation, names[i], "", 1000000 * (i + 1));
    guest_observe(guest, observation);
}

#define USERS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void agent_up(Guest *guest, GuestOrigin origin, uint64_t time)
{
    guest_agent_connected(guest, origin, false, time);
    guest_set_responsive(guest, origin, true, time);
    changed_mask = 0;
}

static char *addresses(const Guest *guest, bool four_only)
{
    g_autoptr(GPtrArray) list =
        guest_list_addresses(guest_values_list(&guest->values, GUEST_INTERFACES), four_only);
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < list->len; i++) {
        char buffer[GUEST_ADDRESS_TEXT_MAX];

        g_string_append_printf(text, "%s%s", i ? " " : "", guest_address_format(list->pdata[i], buffer));
    }
    return g_string_free(text, FALSE);
}

static void expect_addresses(const Guest *guest, const char *expected)
{
    g_autofree char *have = addresses(guest, false);

    assert_string_equal(have, expected);
}

static void expect_origin(const Guest *guest, unsigned property, GuestOrigin origin, uint64_t time)
{
    GuestOrigin have;
    uint64_t have_time;

    assert_true(guest_property_origin(guest, property, &have, &have_time));
    assert_int_equal(have, origin);
    assert_int_equal(have_time, time);
}

static void test_empty(void **state)
{
    Guest *guest = *state;
    GuestOrigin origin;
    uint64_t time;

    assert_false(guest->responsive);
    assert_null(guest->values.text[GUEST_HOST_NAME]);
    for (unsigned property = 0; property < GUEST_PROPERTY_COUNT; property++) {
        assert_non_null(guest_property_name(property));
        assert_false(guest_property_origin(guest, property, &origin, &time));
    }
    expect_changed(0);
}

static void test_change_is_told_once(void **state)
{
    Guest *guest = *state;

    observe_text(guest, GUEST_ORIGIN_QEMU_GA, 1, GUEST_HOST_NAME, "web1");
    assert_string_equal(guest->values.text[GUEST_HOST_NAME], "web1");
    expect_changed(GUEST_BIT(GUEST_HOST_NAME));
    observe_text(guest, GUEST_ORIGIN_QEMU_GA, 2, GUEST_HOST_NAME, "web1");
    expect_changed(0);
    assert_int_equal(guest->last_seen, 2);
    expect_origin(guest, GUEST_HOST_NAME, GUEST_ORIGIN_QEMU_GA, 2);
}

static void test_preference_and_fallback(void **state)
{
    Guest *guest = *state;

    agent_up(guest, GUEST_ORIGIN_OVIRT, 1);
    agent_up(guest, GUEST_ORIGIN_QEMU_GA, 1);
    observe_text(guest, GUEST_ORIGIN_LEASE, 1, GUEST_HOST_NAME, "lease");
    assert_string_equal(guest->values.text[GUEST_HOST_NAME], "lease");
    observe_text(guest, GUEST_ORIGIN_OVIRT, 2, GUEST_HOST_NAME, "");
    assert_string_equal(guest->values.text[GUEST_HOST_NAME], "lease");
    observe_text(guest, GUEST_ORIGIN_QEMU_GA, 3, GUEST_HOST_NAME, "qga");
    assert_string_equal(guest->values.text[GUEST_HOST_NAME], "qga");
    observe_text(guest, GUEST_ORIGIN_OVIRT, 4, GUEST_HOST_NAME, "ovirt");
    assert_string_equal(guest->values.text[GUEST_HOST_NAME], "ovirt");
    observe_text(guest, GUEST_ORIGIN_QEMU_GA, 5, GUEST_HOST_NAME, "qga2");
    assert_string_equal(guest->values.text[GUEST_HOST_NAME], "ovirt");
    expect_origin(guest, GUEST_HOST_NAME, GUEST_ORIGIN_OVIRT, 4);

    /* The preferred agent falls silent: the other one answers. */
    changed_mask = 0;
    guest_set_responsive(guest, GUEST_ORIGIN_OVIRT, false, 0);
    assert_string_equal(guest->values.text[GUEST_HOST_NAME], "qga2");
    assert_true(guest->responsive);
    expect_changed(GUEST_BIT(GUEST_HOST_NAME));
    /* Both silent: the values stay, and a lease's name does not replace an agent's. */
    guest_set_responsive(guest, GUEST_ORIGIN_QEMU_GA, false, 0);
    observe_text(guest, GUEST_ORIGIN_LEASE, 9, GUEST_HOST_NAME, "lease");
    assert_string_equal(guest->values.text[GUEST_HOST_NAME], "ovirt");
    assert_false(guest->responsive);
}

static void test_memory(void **state)
{
    Guest *guest = *state;

    observe_number(guest, GUEST_ORIGIN_BALLOON, 1, GUEST_AVAILABLE_MEMORY, 100);
    expect_changed(0);
    assert_int_equal(guest_values_number(&guest->values, GUEST_AVAILABLE_MEMORY), 100);
    observe_number(guest, GUEST_ORIGIN_BALLOON, 1, GUEST_TOTAL_MEMORY, 500);
    expect_changed(GUEST_BIT(GUEST_TOTAL_MEMORY));
    agent_up(guest, GUEST_ORIGIN_OVIRT, 2);
    observe_number(guest, GUEST_ORIGIN_OVIRT, 2, GUEST_AVAILABLE_MEMORY, 120);
    observe_number(guest, GUEST_ORIGIN_BALLOON, 3, GUEST_AVAILABLE_MEMORY, 90);
    assert_int_equal(guest_values_number(&guest->values, GUEST_AVAILABLE_MEMORY), 120);
    guest_set_responsive(guest, GUEST_ORIGIN_OVIRT, false, 0);
    assert_int_equal(guest_values_number(&guest->values, GUEST_AVAILABLE_MEMORY), 90);
}

static void test_mute_agent_hides_no_lease(void **state)
{
    Guest *guest = *state;

    guest_agent_connected(guest, GUEST_ORIGIN_QEMU_GA, false, 1);
    observe_address(guest, GUEST_ORIGIN_ARP, 1, "vnet0", "52:54:00:00:00:01", "192.0.2.1", 0);
    observe_address(guest, GUEST_ORIGIN_LEASE, 1, "vnet0", "52:54:00:00:00:01", "192.0.2.2", 24);
    expect_addresses(guest, "192.0.2.2");
    expect_origin(guest, GUEST_IP_ADDRESSES, GUEST_ORIGIN_LEASE, 1);

    /* It answers, but knows only its link. */
    guest_set_responsive(guest, GUEST_ORIGIN_QEMU_GA, true, 2);
    observe_address(guest, GUEST_ORIGIN_QEMU_GA, 2, "eth0", "52:54:00:00:00:01", "fe80::1", 64);
    expect_addresses(guest, "192.0.2.2");
    observe_address(guest, GUEST_ORIGIN_QEMU_GA, 3, "eth0", "52:54:00:00:00:01", "192.0.2.2", 24);
    expect_origin(guest, GUEST_INTERFACES, GUEST_ORIGIN_QEMU_GA, 3);

    /* Silent: a lease that says the same leaves the agent's list, another one replaces it. */
    guest_set_responsive(guest, GUEST_ORIGIN_QEMU_GA, false, 0);
    observe_address(guest, GUEST_ORIGIN_LEASE, 9, "vnet0", "52:54:00:00:00:01", "192.0.2.2", 24);
    expect_origin(guest, GUEST_INTERFACES, GUEST_ORIGIN_QEMU_GA, 3);
    observe_address(guest, GUEST_ORIGIN_LEASE, 10, "vnet0", "52:54:00:00:00:01", "192.0.2.3", 24);
    expect_addresses(guest, "192.0.2.3");
}

static void test_own_cards_first(void **state)
{
    Guest *guest = *state;
    Observation *observation = observation_new(GUEST_ORIGIN_QEMU_GA, 1);
    g_autofree char *four = NULL;
    const GPtrArray *list;

    guest_set_own_macs(guest, (const char *const[]){"52:54:00:00:00:02", "52:54:00:00:00:01", NULL});
    agent_up(guest, GUEST_ORIGIN_QEMU_GA, 1);
    observation_add_address(observation, observation_add_interface(observation, "lo", "00:00:00:00:00:00"),
                            "127.0.0.1", 8);
    observation_add_interface(observation, "veth0", "02:00:00:00:00:09");
    observation_add_address(observation,
                            observation_add_interface(observation, "docker0", "02-42-AC-11-00-01"),
                            "172.17.0.1", 16);
    observation_add_address(observation, observation_add_interface(observation, "eth1", "52:54:00:00:00:01"),
                            "192.0.2.1", 24);
    {
        GuestInterface *eth0 = observation_add_interface(observation, "eth0", "52:54:00:00:00:02");

        observation_add_address(observation, eth0, "fe80::2", 64);
        observation_add_address(observation, eth0, "2001:db8::2", 64);
        observation_add_address(observation, eth0, "no address", 64);
        observation_add_address(observation, eth0, "192.0.2.2", 24);
    }
    guest_observe(guest, observation);

    expect_addresses(guest, "2001:db8::2 192.0.2.2 192.0.2.1 172.17.0.1");
    four = addresses(guest, true);
    assert_string_equal(four, "192.0.2.2 192.0.2.1 172.17.0.1");
    list = guest_values_list(&guest->values, GUEST_INTERFACES);
    assert_int_equal(list->len, 4);
    assert_string_equal(((GuestInterface *)list->pdata[0])->name, "eth0");
    assert_int_equal(((GuestInterface *)list->pdata[0])->addresses->len, 3);
    assert_string_equal(((GuestInterface *)list->pdata[2])->mac, "02:42:ac:11:00:01");
    assert_string_equal(((GuestInterface *)list->pdata[3])->name, "veth0");
    expect_changed(GUEST_BIT(GUEST_INTERFACES) | GUEST_BIT(GUEST_IP_ADDRESSES) |
                   GUEST_BIT(GUEST_IPV4_ADDRESSES));
}

static void test_prefix_from_another_origin(void **state)
{
    Guest *guest = *state;
    const GuestInterface *interface;

    agent_up(guest, GUEST_ORIGIN_OVIRT, 1);
    observe_address(guest, GUEST_ORIGIN_LEASE, 1, "vnet0", "52:54:00:00:00:01", "192.0.2.2", 24);
    observe_address(guest, GUEST_ORIGIN_OVIRT, 1, "eth0", "52:54:00:00:00:01", "192.0.2.2", 0);
    interface = guest_values_list(&guest->values, GUEST_INTERFACES)->pdata[0];
    assert_string_equal(interface->name, "eth0");
    assert_int_equal(g_array_index(interface->addresses, GuestAddress, 0).prefix, 24);
}

static void test_sessions_from_user_lists(void **state)
{
    Guest *guest = *state;

    agent_up(guest, GUEST_ORIGIN_QEMU_GA, 1);
    observe_users(guest, 1, USERS("alice"));
    expect_signals("user:alice");
    assert_string_equal(guest->values.text[GUEST_ACTIVE_USER], "alice");
    observe_users(guest, 2, USERS("alice", "bob"));
    expect_signals("logon:bob");
    observe_users(guest, 3, USERS("bob"));
    expect_signals("user:bob logoff:alice");
    observe_users(guest, 4, USERS());
    expect_signals("user logoff:bob");
    expect_changed(GUEST_BIT(GUEST_USERS) | GUEST_BIT(GUEST_ACTIVE_USER));

    observe_users(guest, 5, USERS("carol"));
    g_string_truncate(signals, 0);
    guest_forget_reboot(guest, 6);
    expect_signals("user down");
    observe_users(guest, 7, USERS("carol"));
    expect_signals("user:carol logon:carol");
}

static void test_users_from_the_active_one(void **state)
{
    Guest *guest = *state;
    const GPtrArray *users;

    agent_up(guest, GUEST_ORIGIN_OVIRT, 1);
    observe_text(guest, GUEST_ORIGIN_OVIRT, 1, GUEST_ACTIVE_USER, "alice");
    expect_changed(GUEST_BIT(GUEST_USERS) | GUEST_BIT(GUEST_ACTIVE_USER));
    expect_signals("user:alice");
    users = guest_values_list(&guest->values, GUEST_USERS);
    assert_int_equal(users->len, 1);
    expect_origin(guest, GUEST_USERS, GUEST_ORIGIN_OVIRT, 1);
    /* A real list wins, whoever has it. */
    agent_up(guest, GUEST_ORIGIN_QEMU_GA, 2);
    observe_users(guest, 2, USERS("root", "alice"));
    users = guest_values_list(&guest->values, GUEST_USERS);
    assert_int_equal(users->len, 2);
    expect_origin(guest, GUEST_USERS, GUEST_ORIGIN_QEMU_GA, 2);
    assert_string_equal(guest->values.text[GUEST_ACTIVE_USER], "alice");
}

static void test_session_notifications(void **state)
{
    Guest *guest = *state;

    agent_up(guest, GUEST_ORIGIN_OVIRT, 1);
    observe_text(guest, GUEST_ORIGIN_OVIRT, 1, GUEST_ACTIVE_USER, "alice");
    guest_notify(guest, GUEST_ORIGIN_OVIRT, GUEST_SESSION_LOGON, NULL, 2);
    assert_int_equal(guest_values_number(&guest->values, GUEST_SESSION_STATE), GUEST_SESSION_ACTIVE);
    guest_notify(guest, GUEST_ORIGIN_OVIRT, GUEST_SESSION_LOCK, "", 3);
    assert_int_equal(guest_values_number(&guest->values, GUEST_SESSION_STATE), GUEST_SESSION_LOCKED);
    guest_notify(guest, GUEST_ORIGIN_OVIRT, GUEST_SESSION_UNLOCK, "", 4);
    guest_notify(guest, GUEST_ORIGIN_OVIRT, GUEST_SESSION_LOGOFF, NULL, 5);
    assert_string_equal(guest_session_name(guest_values_number(&guest->values, GUEST_SESSION_STATE)),
                        "logged-off");
    guest_notify(guest, GUEST_ORIGIN_OVIRT, GUEST_AGENT_UNINSTALLED, "", 6);
    expect_signals("user:alice logon:alice lock unlock logoff:alice uninstalled");
}

static void test_power(void **state)
{
    const uint64_t minute = UINT64_C(60000000);
    Guest *guest = *state;

    guest_agent_connected(guest, GUEST_ORIGIN_QEMU_GA, true, minute);
    expect_signals("up");
    /* The other agent of the same boot. */
    guest_agent_connected(guest, GUEST_ORIGIN_OVIRT, false, minute + 1);
    guest_notify(guest, GUEST_ORIGIN_OVIRT, GUEST_POWER_UP, "", minute + 1);
    expect_signals("");
    guest_notify(guest, GUEST_ORIGIN_OVIRT, GUEST_POWER_DOWN, "", 2 * minute);
    guest_agent_disconnected(guest, GUEST_ORIGIN_OVIRT, true, 2 * minute);
    guest_agent_disconnected(guest, GUEST_ORIGIN_QEMU_GA, true, 2 * minute);
    expect_signals("down");
    guest_agent_connected(guest, GUEST_ORIGIN_QEMU_GA, true, 2 * minute + 1);
    expect_signals("up");
    guest_agent_disconnected(guest, GUEST_ORIGIN_QEMU_GA, false, 3 * minute);
    expect_signals("");
    /* The hypervisor's daemon was restarted: the channel comes back, the guest was never gone. */
    guest_agent_connected(guest, GUEST_ORIGIN_QEMU_GA, true, 3 * minute + 1);
    guest_agent_disconnected(guest, GUEST_ORIGIN_QEMU_GA, false, 3 * minute + 2);
    expect_signals("");
    /* Saved and woken up again is no end and no start; a boot in the place of waking up is one. */
    guest_stop(guest, true, 4 * minute);
    guest_agent_connected(guest, GUEST_ORIGIN_QEMU_GA, true, 4 * minute + 1);
    expect_signals("");
    guest_stop(guest, true, 5 * minute);
    guest_boot(guest);
    guest_agent_connected(guest, GUEST_ORIGIN_QEMU_GA, true, 5 * minute + 1);
    expect_signals("up");
    guest_stop(guest, false, 6 * minute);
    expect_signals("down");
}

static void test_heartbeat(void **state)
{
    Guest *guest = *state;

    guest_agent_connected(guest, GUEST_ORIGIN_QEMU_GA, false, 1);
    observe_number(guest, GUEST_ORIGIN_BALLOON, 1, GUEST_AVAILABLE_MEMORY, 4096);
    guest_heartbeat(guest, GUEST_ORIGIN_QEMU_GA, 2);
    assert_true(guest->responsive);
    expect_signals("heartbeat=4096");
    guest_agent_connected(guest, GUEST_ORIGIN_OVIRT, false, 3);
    guest_heartbeat(guest, GUEST_ORIGIN_OVIRT, 3);
    guest_heartbeat(guest, GUEST_ORIGIN_QEMU_GA, 4);
    expect_signals("heartbeat=4096");
    assert_int_equal(guest->last_seen, 4);
}

static void test_reboot_and_stop_forget(void **state)
{
    Guest *guest = *state;

    agent_up(guest, GUEST_ORIGIN_QEMU_GA, 1);
    observe_text(guest, GUEST_ORIGIN_QEMU_GA, 1, GUEST_HOST_NAME, "web1");
    observe_address(guest, GUEST_ORIGIN_QEMU_GA, 1, "eth0", "52:54:00:00:00:01", "192.0.2.9", 24);
    observe_address(guest, GUEST_ORIGIN_LEASE, 1, "vnet0", "52:54:00:00:00:01", "192.0.2.2", 24);
    observe_users(guest, 1, USERS("alice"));
    observe_number(guest, GUEST_ORIGIN_BALLOON, 1, GUEST_AVAILABLE_MEMORY, 7);
    guest_forget_reboot(guest, 2);
    assert_string_equal(guest->values.text[GUEST_HOST_NAME], "web1");
    expect_addresses(guest, "192.0.2.2");
    assert_null(guest_values_list(&guest->values, GUEST_USERS));
    assert_int_equal(guest_values_number(&guest->values, GUEST_AVAILABLE_MEMORY), 0);
    assert_true(guest_has_agent(guest, GUEST_ORIGIN_QEMU_GA));
    guest_stop(guest, false, 3);
    assert_string_equal(guest->values.text[GUEST_HOST_NAME], "web1");
    expect_addresses(guest, "");
    assert_false(guest_has_agent(guest, GUEST_ORIGIN_QEMU_GA));
    assert_false(guest->responsive);
}

static void observe_disk(Guest *guest, uint64_t time, uint64_t total, uint64_t used)
{
    Observation *observation = observation_new(GUEST_ORIGIN_QEMU_GA, time);

    observation_add_filesystem(observation, "/", "vda1", "ext4", total, used);
    guest_observe(guest, observation);
}

/* Free space moves a little all the time: it is kept current, but told in steps of a hundredth. */
static void test_filesystems_are_quiet(void **state)
{
    Guest *guest = *state;
    const GuestFilesystem *disk;

    observe_disk(guest, 1, 10000, 5000);
    expect_changed(GUEST_BIT(GUEST_FILESYSTEMS));
    for (uint64_t used = 5010; used <= 5100; used += 10)
        observe_disk(guest, used, 10000, used);
    expect_changed(0);
    disk = guest_values_list(&guest->values, GUEST_FILESYSTEMS)->pdata[0];
    assert_int_equal(disk->used, 5100);
    observe_disk(guest, 9000, 10000, 5101);
    expect_changed(GUEST_BIT(GUEST_FILESYSTEMS));
    observe_disk(guest, 9001, 20000, 5101);
    expect_changed(GUEST_BIT(GUEST_FILESYSTEMS));
}

static unsigned text_bytes(const char *text)
{
    return (unsigned)strlen(text) + 5;
}

/* What a guest with everything at the cap costs on the bus, padding aside. */
static unsigned published_bytes(const Guest *guest)
{
    unsigned bytes = 0;
    g_autofree char *all = addresses(guest, false), *four = addresses(guest, true);
    const GPtrArray *interfaces = guest_values_list(&guest->values, GUEST_INTERFACES);
    const GPtrArray *users = guest_values_list(&guest->values, GUEST_USERS);

    for (GuestField field = 0; field < GUEST_TEXT_COUNT; field++)
        bytes += text_bytes(guest->values.text[field]);
    for (unsigned i = 0; i < interfaces->len; i++) {
        const GuestInterface *interface = interfaces->pdata[i];

        bytes += text_bytes(interface->name) + text_bytes(interface->mac) + 4;
        for (unsigned k = 0; k < interface->addresses->len; k++) {
            char buffer[GUEST_ADDRESS_TEXT_MAX];

            bytes += 4 + text_bytes(guest_address_format(
                             &g_array_index(interface->addresses, GuestAddress, k), buffer));
        }
    }
    for (unsigned i = 0; i < users->len; i++)
        bytes += 8 + text_bytes(((GuestUser *)users->pdata[i])->name) + 5;
    return bytes + (unsigned)strlen(all) + (unsigned)strlen(four);
}

static void test_hostile_sizes(void **state)
{
    Guest *guest = *state;
    Observation *observation = observation_new(GUEST_ORIGIN_QEMU_GA, 1);
    g_autofree char *long_text = g_strnfill(10 << 20, 'x');

    guest_set_own_macs(guest, (const char *const[]){"52:54:00:00:00:ff", NULL});
    for (GuestField field = 0; field < GUEST_TEXT_COUNT; field++)
        observation_set_text(observation, field, long_text);
    for (unsigned i = 0; i < 100000; i++) {
        char mac[18], address[16];
        GuestInterface *interface;

        g_snprintf(mac, sizeof(mac), "52:54:00:00:00:%02x", i == 200 ? 0xff : 0);
        g_snprintf(address, sizeof(address), "10.%u.%u.1", i >> 8 & 255, i & 255);
        interface = observation_add_interface(observation, "eth", mac);
        for (unsigned k = 0; k < 100; k++)
            observation_add_address(observation, interface, address, 24);
        observation_add_user(observation, i % 2 ? "someone" : "somebody", "", i);
        observation_add_application(observation, "one-1.0");
        observation_add_filesystem(observation, "/", "vda", "ext4", 1, 1);
    }
    guest_observe(guest, observation);

    assert_int_equal(strlen(guest->values.text[GUEST_HOST_NAME]), GUEST_TEXT_MAX);
    assert_true(published_bytes(guest) <= GUEST_BYTES_MAX);
    /* The VM's own card is there although 200 others stood before it. */
    assert_string_equal(
        ((GuestInterface *)guest_values_list(&guest->values, GUEST_INTERFACES)->pdata[0])->mac,
        "52:54:00:00:00:ff");
    assert_true(guest_values_list(&guest->values, GUEST_USERS)->len > 10);
    assert_int_equal(guest_values_list(&guest->values, GUEST_APPLICATIONS)->len,
                     GUEST_INTAKE_APPLICATIONS_MAX);
    assert_int_equal(guest_values_list(&guest->values, GUEST_FILESYSTEMS)->len, GUEST_INTAKE_FILESYSTEMS_MAX);
    assert_true(changed_mask & GUEST_BIT(GUEST_TRUNCATED));
    assert_true(guest->cut != 0);
}

static void test_long_applications_are_bounded(void **state)
{
    Observation *observation = observation_new(GUEST_ORIGIN_OVIRT, 1);
    g_autofree char *name = g_strnfill(200, 'a');

    for (unsigned i = 0; i < GUEST_INTAKE_APPLICATIONS_MAX; i++)
        observation_add_application(observation, name);
    assert_int_equal(guest_values_list(&observation->values, GUEST_APPLICATIONS)->len,
                     GUEST_INTAKE_APPLICATIONS_BYTES / 201);
    assert_true(observation->truncated & GUEST_BIT(GUEST_APPLICATIONS));
    observation_free(observation);
}

static void test_scheduled(void **state)
{
    Guest *guest = *state;

    guest_set_scheduled(guest, "reboot", 77);
    expect_changed(GUEST_BIT(GUEST_SCHEDULED_SHUTDOWN));
    guest_set_scheduled(guest, "reboot", 77);
    expect_changed(0);
    guest_set_scheduled(guest, "", 0);
    expect_changed(GUEST_BIT(GUEST_SCHEDULED_SHUTDOWN));
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_empty),
        test(test_change_is_told_once),
        test(test_preference_and_fallback),
        test(test_memory),
        test(test_mute_agent_hides_no_lease),
        test(test_own_cards_first),
        test(test_prefix_from_another_origin),
        test(test_sessions_from_user_lists),
        test(test_users_from_the_active_one),
        test(test_session_notifications),
        test(test_power),
        test(test_heartbeat),
        test(test_reboot_and_stop_forget),
        test(test_filesystems_are_quiet),
        test(test_hostile_sizes),
        test(test_long_applications_are_bounded),
        test(test_scheduled),
    };

    return cmocka_run_group_tests_name("guest merge", tests, NULL, NULL);
}
