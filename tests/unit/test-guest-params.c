/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest-params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1700000000000000
#define HUGE_TEXT (10 * 1024 * 1024)
#define MANY 100000

typedef struct Params {
    GArray *array; /* virTypedParameter */
} Params;

static Params params_new(void)
{
    return (Params){g_array_new(false, true, sizeof(virTypedParameter))};
}

static virTypedParameter *add(Params *params, int type, const char *field)
{
    virTypedParameter *param;

    g_array_set_size(params->array, params->array->len + 1);
    param = &g_array_index(params->array, virTypedParameter, params->array->len - 1);
    param->type = type;
    g_strlcpy(param->field, field, sizeof param->field);
    return param;
}

static void add_text(Params *params, const char *field, const char *text)
{
    add(params, VIR_TYPED_PARAM_STRING, field)->value.s = g_strdup(text);
}

static void add_uint(Params *params, const char *field, unsigned number)
{
    add(params, VIR_TYPED_PARAM_UINT, field)->value.ui = number;
}

static void add_ullong(Params *params, const char *field, unsigned long long number)
{
    add(params, VIR_TYPED_PARAM_ULLONG, field)->value.ul = number;
}

static void params_free(Params *params)
{
    for (guint i = 0; i < params->array->len; i++) {
        virTypedParameter *param = &g_array_index(params->array, virTypedParameter, i);

        if (param->type == VIR_TYPED_PARAM_STRING)
            g_free(param->value.s);
    }
    g_array_unref(params->array);
}

typedef void Take(Observation *observation, const virTypedParameter *params, int count);

/* Reads and frees the parameters. */
static Observation *take(Take *function, Params *params)
{
    Observation *observation = observation_new(GUEST_ORIGIN_QEMU_GA, NOW);

    function(observation, (virTypedParameter *)params->array->data, (int)params->array->len);
    params_free(params);
    return observation;
}

static const char *text(const Observation *observation, GuestField field)
{
    return observation->values.text[field];
}

static const GPtrArray *list(const Observation *observation, GuestField field)
{
    return guest_values_list(&observation->values, field);
}

static bool given(const Observation *observation, GuestField field)
{
    return observation->values.given & GUEST_BIT(field);
}

static void test_users(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = NULL;
    const GuestUser *user;

    add_uint(&params, "user.count", 2);
    add_text(&params, "user.0.name", "alice");
    add_ullong(&params, "user.0.login-time", 1700000000123);
    add_text(&params, "user.1.name", "bob");
    add_text(&params, "user.1.domain", "EXAMPLE");
    observation = take(guest_params_users, &params);
    assert_int_equal(list(observation, GUEST_USERS)->len, 2);
    user = list(observation, GUEST_USERS)->pdata[0];
    assert_string_equal(user->name, "alice");
    assert_string_equal(user->domain, "");
    assert_int_equal(user->login_time, 1700000000123000);
    user = list(observation, GUEST_USERS)->pdata[1];
    assert_string_equal(user->domain, "EXAMPLE");
    assert_int_equal(user->login_time, 0);
}

static void test_nobody_is_not_unknown(void **state)
{
    Params none = params_new(), nobody = params_new();
    g_autoptr(Observation) unknown = take(guest_params_users, &none);
    g_autoptr(Observation) empty = NULL;

    add_uint(&nobody, "user.count", 0);
    empty = take(guest_params_users, &nobody);
    assert_false(given(unknown, GUEST_USERS));
    assert_true(given(empty, GUEST_USERS));
    assert_int_equal(list(empty, GUEST_USERS)->len, 0);
}

static void test_linux(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = NULL;

    add_text(&params, "os.id", "debian");
    add_text(&params, "os.name", "Debian GNU/Linux");
    add_text(&params, "os.pretty-name", "Debian GNU/Linux 12 (bookworm)");
    add_text(&params, "os.version", "12 (bookworm)");
    add_text(&params, "os.machine", "x86_64");
    add_text(&params, "os.kernel-release", "6.1.0-18-amd64");
    add_text(&params, "os.kernel-version", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1");
    observation = take(guest_params_os, &params);
    assert_string_equal(text(observation, GUEST_OS_TYPE), "linux");
    assert_string_equal(text(observation, GUEST_OS_NAME), "Debian GNU/Linux 12 (bookworm)");
    assert_string_equal(text(observation, GUEST_OS_VERSION), "6.1.0-18-amd64");
    assert_string_equal(text(observation, GUEST_KERNEL_RELEASE), "6.1.0-18-amd64");
    assert_string_equal(text(observation, GUEST_ARCHITECTURE), "x86_64");
}

static void test_windows(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = NULL;

    add_text(&params, "os.id", "mswindows");
    add_text(&params, "os.name", "Microsoft Windows");
    add_text(&params, "os.pretty-name", "Windows Server 2019 Standard");
    add_text(&params, "os.kernel-release", "17763");
    observation = take(guest_params_os, &params);
    assert_string_equal(text(observation, GUEST_OS_TYPE), "windows");
    assert_string_equal(text(observation, GUEST_OS_VERSION), "Windows Server 2019 Standard");
    assert_string_equal(text(observation, GUEST_KERNEL_RELEASE), "17763");
}

/* What the operating system's id says of its kind, and what is left when it says nothing. */
static void test_kinds_of_systems(void **state)
{
    static const char *const rows[][3] = {
        {"freebsd", "FreeBSD 13.1-RELEASE", "freebsd"},
        {"openbsd", "GENERIC", "openbsd"},
        {"alpine", "#1-Alpine SMP", "linux"},
        {"", "#1 SMP PREEMPT", "linux"},
        {"", "Version 1.0", ""},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        Params params = params_new();
        g_autoptr(Observation) observation = NULL;

        add_text(&params, "os.id", rows[i][0]);
        add_text(&params, "os.kernel-version", rows[i][1]);
        observation = take(guest_params_os, &params);
        assert_string_equal(text(observation, GUEST_OS_TYPE), rows[i][2]);
    }
}

static void test_os_without_pretty_name(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = NULL;

    add_text(&params, "os.name", "Plan");
    add_text(&params, "os.version", "9");
    observation = take(guest_params_os, &params);
    assert_string_equal(text(observation, GUEST_OS_NAME), "Plan 9");
}

static void test_host_names(void **state)
{
    Params whole = params_new(), part = params_new();
    g_autoptr(Observation) with_domain = NULL, without = NULL;

    add_text(&whole, "hostname", "web1.example.com");
    with_domain = take(guest_params_host_name, &whole);
    assert_string_equal(text(with_domain, GUEST_HOST_NAME), "web1.example.com");
    assert_string_equal(text(with_domain, GUEST_FQDN), "web1.example.com");
    add_text(&part, "hostname", "web1");
    without = take(guest_params_host_name, &part);
    assert_string_equal(text(without, GUEST_FQDN), "");
}

static void test_timezone(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = NULL;

    add_text(&params, "timezone.name", "CEST");
    add(&params, VIR_TYPED_PARAM_INT, "timezone.offset")->value.i = 7200;
    observation = take(guest_params_timezone, &params);
    assert_string_equal(text(observation, GUEST_TIMEZONE), "CEST");
    assert_int_equal(observation->values.timezone_offset, 7200);
}

static void test_timezone_beyond_the_world(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = NULL;

    add(&params, VIR_TYPED_PARAM_INT, "timezone.offset")->value.i = INT_MIN;
    observation = take(guest_params_timezone, &params);
    assert_int_equal(observation->values.timezone_offset, -18 * 3600);
}

static void test_filesystems(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = NULL;
    const GuestFilesystem *filesystem;

    add_uint(&params, "fs.count", 2);
    add_text(&params, "fs.0.mountpoint", "/");
    add_text(&params, "fs.0.name", "vda1");
    add_text(&params, "fs.0.fstype", "ext4");
    add_ullong(&params, "fs.0.total-bytes", 1000);
    add_ullong(&params, "fs.0.used-bytes", 10);
    add_text(&params, "fs.1.mountpoint", "/old"); /* agents before 3.0 tell no sizes */
    observation = take(guest_params_filesystems, &params);
    assert_int_equal(list(observation, GUEST_FILESYSTEMS)->len, 2);
    filesystem = list(observation, GUEST_FILESYSTEMS)->pdata[0];
    assert_string_equal(filesystem->device, "vda1");
    assert_int_equal(filesystem->total, 1000);
    assert_int_equal(filesystem->used, 10);
    filesystem = list(observation, GUEST_FILESYSTEMS)->pdata[1];
    assert_string_equal(filesystem->type, "");
    assert_int_equal(filesystem->total, 0);
}

static void test_interfaces(void **state)
{
    virDomainIPAddress addresses[] = {{VIR_IP_ADDR_TYPE_IPV4, (char *)"192.0.2.7", 24},
                                      {VIR_IP_ADDR_TYPE_IPV6, (char *)"not an address", 64},
                                      {VIR_IP_ADDR_TYPE_IPV4, NULL, 0},
                                      {VIR_IP_ADDR_TYPE_IPV6, (char *)"2001:db8::7", 4000}};
    virDomainInterface one = {(char *)"eth0", (char *)"52:54:00:AA:BB:CC", G_N_ELEMENTS(addresses),
                              addresses};
    virDomainInterface nameless = {NULL, NULL, 0, NULL};
    virDomainInterfacePtr interfaces[] = {&one, NULL, &nameless};
    g_autoptr(Observation) observation = observation_new(GUEST_ORIGIN_QEMU_GA, NOW);
    const GuestInterface *interface;

    guest_params_interfaces(observation, interfaces, G_N_ELEMENTS(interfaces));
    assert_int_equal(list(observation, GUEST_INTERFACES)->len, 1);
    interface = list(observation, GUEST_INTERFACES)->pdata[0];
    assert_string_equal(interface->mac, "52:54:00:aa:bb:cc");
    assert_int_equal(interface->addresses->len, 2);
    assert_int_equal(g_array_index(interface->addresses, GuestAddress, 1).prefix, 0);
}

static void test_wrong_types(void **state)
{
    static Take *const takes[] = {guest_params_users, guest_params_os, guest_params_host_name,
                                  guest_params_timezone, guest_params_filesystems};

    for (size_t i = 0; i < G_N_ELEMENTS(takes); i++) {
        Params params = params_new();
        g_autoptr(Observation) observation = NULL;

        add_text(&params, "user.count", "many");
        add_uint(&params, "user.0.name", 1);
        add_uint(&params, "os.id", 1);
        add_ullong(&params, "os.pretty-name", 2);
        add(&params, VIR_TYPED_PARAM_DOUBLE, "hostname")->value.d = 0.5;
        add_uint(&params, "timezone.name", 3);
        add_text(&params, "timezone.offset", "east");
        add(&params, VIR_TYPED_PARAM_LLONG, "fs.count")->value.l = -1;
        add(&params, 12345, "fs.0.mountpoint")->value.b = 1;
        add(&params, VIR_TYPED_PARAM_STRING, "os.machine")->value.s = NULL;
        observation = take(takes[i], &params);
        assert_true(!text(observation, GUEST_HOST_NAME));
        assert_true(!text(observation, GUEST_TIMEZONE));
        assert_string_equal(text(observation, GUEST_OS_NAME) ?: "", "");
        assert_true(!given(observation, GUEST_USERS) || list(observation, GUEST_USERS)->len == 0);
        assert_true(!given(observation, GUEST_FILESYSTEMS) || list(observation, GUEST_FILESYSTEMS)->len == 0);
    }
}

static void test_huge_text(void **state)
{
    g_autofree char *huge = g_strnfill(HUGE_TEXT, 'x');
    Params params = params_new(), os = params_new(), users = params_new();
    g_autoptr(Observation) name = NULL, system = NULL, logins = NULL;

    add_text(&params, "hostname", huge);
    name = take(guest_params_host_name, &params);
    assert_int_equal(strlen(text(name, GUEST_HOST_NAME)), GUEST_TEXT_MAX);
    assert_true(name->truncated & GUEST_BIT(GUEST_HOST_NAME));

    add_text(&os, "os.name", huge);
    add_text(&os, "os.version", huge);
    system = take(guest_params_os, &os);
    assert_int_equal(strlen(text(system, GUEST_OS_NAME)), GUEST_TEXT_MAX);

    add_uint(&users, "user.count", 1);
    add_text(&users, "user.0.name", huge);
    logins = take(guest_params_users, &users);
    assert_int_equal(strlen(((GuestUser *)list(logins, GUEST_USERS)->pdata[0])->name), GUEST_TEXT_MAX);
}

static void test_control_characters(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = NULL;

    add_text(&params, "hostname", "a\x1b[31mb\x01\xff\xc3(c");
    observation = take(guest_params_host_name, &params);
    assert_string_equal(text(observation, GUEST_HOST_NAME),
                        "a\xef\xbf\xbd[31mb\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd(c");
}

static void test_counts_that_lie(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = NULL;

    add_uint(&params, "user.count", UINT_MAX);
    add_text(&params, "user.3.name", "alice");
    observation = take(guest_params_users, &params);
    assert_int_equal(list(observation, GUEST_USERS)->len, 1);
}

static void test_many_interfaces(void **state)
{
    static virDomainInterface interface = {(char *)"veth", NULL, 0, NULL};
    g_autofree virDomainInterfacePtr *interfaces = g_new(virDomainInterfacePtr, MANY);
    g_autoptr(Observation) observation = observation_new(GUEST_ORIGIN_QEMU_GA, NOW);

    for (unsigned i = 0; i < MANY; i++)
        interfaces[i] = &interface;
    guest_params_interfaces(observation, interfaces, MANY);
    assert_int_equal(list(observation, GUEST_INTERFACES)->len, GUEST_INTAKE_INTERFACES_MAX);
    assert_true(observation->truncated & GUEST_BIT(GUEST_INTERFACES));
}

static void test_many_addresses(void **state)
{
    g_autofree virDomainIPAddressPtr addresses = g_new0(virDomainIPAddress, MANY);
    virDomainInterface one = {(char *)"eth0", NULL, MANY, addresses};
    virDomainInterfacePtr interfaces[] = {&one};
    g_autoptr(Observation) observation = observation_new(GUEST_ORIGIN_QEMU_GA, NOW);
    const GuestInterface *interface;

    for (unsigned i = 0; i < MANY; i++)
        addresses[i].addr = g_strdup_printf("10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
    guest_params_interfaces(observation, interfaces, 1);
    interface = list(observation, GUEST_INTERFACES)->pdata[0];
    assert_int_equal(interface->addresses->len, GUEST_INTAKE_ADDRESSES_MAX);
    assert_true(observation->truncated & GUEST_BIT(GUEST_INTERFACES));
    for (unsigned i = 0; i < MANY; i++)
        g_free(addresses[i].addr);
}

static void test_many_filesystems(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = NULL;

    add_uint(&params, "fs.count", MANY);
    for (unsigned i = 0; i < MANY; i++) {
        char field[VIR_TYPED_PARAM_FIELD_LENGTH];

        g_snprintf(field, sizeof field, "fs.%u.mountpoint", i);
        add_text(&params, field, "/mnt");
    }
    observation = take(guest_params_filesystems, &params);
    assert_int_equal(list(observation, GUEST_FILESYSTEMS)->len, GUEST_INTAKE_FILESYSTEMS_MAX);
    assert_true(observation->truncated & GUEST_BIT(GUEST_FILESYSTEMS));
}

static uint64_t number(const Observation *observation, GuestField field)
{
    return guest_values_number(&observation->values, field);
}

static uint64_t take_balloon(Params *params, Observation *observation)
{
    uint64_t time =
        guest_params_balloon(observation, (virTypedParameter *)params->array->data, (int)params->array->len);

    params_free(params);
    return time;
}

static void test_balloon(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = observation_new(GUEST_ORIGIN_BALLOON, 0);

    add_ullong(&params, "balloon.current", 131072);
    add_ullong(&params, "balloon.available", 94928);
    add_ullong(&params, "balloon.usable", 63092);
    add_ullong(&params, "balloon.unused", 50000);
    add_ullong(&params, "balloon.last-update", 1700000000);
    assert_int_equal(take_balloon(&params, observation), 1700000000000000);
    assert_int_equal(number(observation, GUEST_AVAILABLE_MEMORY), 63092 * 1024);
    assert_int_equal(number(observation, GUEST_TOTAL_MEMORY), 94928 * 1024);
}

static void test_balloon_of_an_old_kernel(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = observation_new(GUEST_ORIGIN_BALLOON, 0);

    add_ullong(&params, "balloon.unused", 100);
    add_ullong(&params, "balloon.disk_caches", 20);
    add_ullong(&params, "balloon.last-update", 1);
    assert_int_equal(take_balloon(&params, observation), 1000000);
    assert_int_equal(number(observation, GUEST_AVAILABLE_MEMORY), 120 * 1024);
    assert_false(given(observation, GUEST_TOTAL_MEMORY));
}

/* A balloon without a driver in the guest has figures of the host only, and no time. */
static void test_balloon_that_never_spoke(void **state)
{
    Params params = params_new();
    g_autoptr(Observation) observation = observation_new(GUEST_ORIGIN_BALLOON, 0);

    add_ullong(&params, "balloon.current", 131072);
    add_ullong(&params, "balloon.usable", 1);
    add_ullong(&params, "balloon.last-update", 0);
    assert_int_equal(take_balloon(&params, observation), 0);
    assert_false(given(observation, GUEST_AVAILABLE_MEMORY));
}

static void test_balloon_that_lies(void **state)
{
    Params params = params_new(), past = params_new();
    g_autoptr(Observation) observation = observation_new(GUEST_ORIGIN_BALLOON, 0);
    g_autoptr(Observation) other = observation_new(GUEST_ORIGIN_BALLOON, 0);

    add_ullong(&params, "balloon.usable", UINT64_MAX);
    add_ullong(&params, "balloon.available", 1000);
    add_ullong(&params, "balloon.last-update", 1);
    assert_int_equal(take_balloon(&params, observation), 1000000);
    assert_false(given(observation, GUEST_AVAILABLE_MEMORY));
    add_ullong(&past, "balloon.usable", 2000); /* more than there is */
    add_ullong(&past, "balloon.available", 1000);
    add_ullong(&past, "balloon.last-update", UINT64_MAX);
    assert_int_equal(take_balloon(&past, other), 0);
}

static void test_memory_statistics(void **state)
{
    const virDomainMemoryStatStruct stats[] = {{VIR_DOMAIN_MEMORY_STAT_RSS, 5},
                                               {VIR_DOMAIN_MEMORY_STAT_USABLE, 2000},
                                               {VIR_DOMAIN_MEMORY_STAT_AVAILABLE, 1000},
                                               {VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE, 3},
                                               {-1, 7}};
    g_autoptr(Observation) observation = observation_new(GUEST_ORIGIN_BALLOON, 0);

    assert_int_equal(guest_params_memory(observation, stats, G_N_ELEMENTS(stats)), 3000000);
    assert_int_equal(number(observation, GUEST_AVAILABLE_MEMORY), 1000 * 1024); /* not above the total */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_nobody_is_not_unknown),
        cmocka_unit_test(test_linux),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_kinds_of_systems),
        cmocka_unit_test(test_os_without_pretty_name),
        cmocka_unit_test(test_host_names),
        cmocka_unit_test(test_timezone),
        cmocka_unit_test(test_timezone_beyond_the_world),
        cmocka_unit_test(test_filesystems),
        cmocka_unit_test(test_interfaces),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_huge_text),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_counts_that_lie),
        cmocka_unit_test(test_many_interfaces),
        cmocka_unit_test(test_many_addresses),
        cmocka_unit_test(test_many_filesystems),
        cmocka_unit_test(test_balloon),
        cmocka_unit_test(test_balloon_of_an_old_kernel),
        cmocka_unit_test(test_balloon_that_never_spoke),
        cmocka_unit_test(test_balloon_that_lies),
        cmocka_unit_test(test_memory_statistics),
    };

    return cmocka_run_group_tests_name("guest-params", tests, NULL, NULL);
}
