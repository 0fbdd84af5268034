// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which files are read, what [global] and [defaults] do, and where reports go. */
#include "settings-world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- destinations --- */

static void test_destination_defaults(void **state)
{
    const Destination *to = one(*state, "[x]\n" LIBVIRT)->destination;

    assert_string_equal(to->hostname, "subscription.rhsm.redhat.com");
    assert_int_equal(to->port, 443);
    assert_string_equal(to->prefix, "/subscription");
    assert_string_equal(to->ca_directory, "/etc/rhsm/ca");
    assert_int_equal(to->timeout, 180);
    assert_false(to->insecure);
    assert_null(to->proxy_hostname);
    assert_null(to->no_proxy);
    assert_null(to->username);
    assert_string_equal(to->name, "o@subscription.rhsm.redhat.com:443/subscription");
}

#define RHSM_CONF                                                                                            \
    "[server]\nhostname = rhsm.example\nprefix = /candlepin/\nport = 8443\ninsecure = 1\nserver_timeout = "  \
    "60\n"                                                                                                   \
    "proxy_hostname = proxy.example\nproxy_port = 8080\nproxy_user = pu\nproxy_password = p%p\n"             \
    "no_proxy = .example\n[rhsm]\nca_cert_dir = /ca/\nconsumerCertDir = /elsewhere\nbaseurl = %(x)s\n"

static void test_rhsm_conf(void **state)
{
    write_file(*state, "etc/rhsm/rhsm.conf", RHSM_CONF, 0644);
    const Destination *to = one(*state, "[x]\n" LIBVIRT)->destination;

    assert_string_equal(to->hostname, "rhsm.example");
    assert_int_equal(to->port, 8443);
    assert_string_equal(to->prefix, "/candlepin");
    assert_true(to->insecure);
    assert_told(*state, "certificate is not verified");
    assert_int_equal(to->timeout, 60);
    assert_string_equal(to->proxy_hostname, "proxy.example");
    assert_int_equal(to->proxy_port, 8080);
    assert_string_equal(to->proxy_user, "pu");
    assert_string_equal(to->proxy_password, "p%p");
    assert_string_equal(to->no_proxy, ".example");
    assert_string_equal(to->ca_directory, "/ca/");
}

static void test_section_over_rhsm_conf(void **state)
{
    write_file(*state, "etc/rhsm/rhsm.conf", RHSM_CONF, 0644);
    const Destination *to =
        one(*state,
            "[x]\n" LIBVIRT "rhsm_hostname=[2001:db8::1]\nrhsm_port=444\nrhsm_prefix=rhsm\nrhsm_insecure=0\n"
            "rhsm_username=u\nrhsm_password=p\nrhsm_proxy_hostname=q\nrhsm_proxy_port=1\n"
            "rhsm_no_proxy=*\n")
            ->destination;

    assert_string_equal(to->hostname, "2001:db8::1");
    assert_int_equal(to->port, 444);
    assert_string_equal(to->prefix, "/rhsm");
    assert_false(to->insecure);
    assert_string_equal(to->username, "u");
    assert_string_equal(to->password, "p");
    assert_string_equal(to->proxy_hostname, "q");
    assert_int_equal(to->proxy_port, 1);
    assert_null(to->proxy_user);
    assert_null(to->proxy_password);
    assert_string_equal(to->no_proxy, "*");
    assert_string_equal(to->name, "o@[2001:db8::1]:444/rhsm as u");
}

static void test_destination_mistakes(void **state)
{
    assert_refused(*state, "[x]\n" LIBVIRT "rhsm_port=https\n", "a.conf:5: [x] \"rhsm_port\"");
    assert_refused(*state, "[x]\n" LIBVIRT "rhsm_port=0\n", "\"rhsm_port\"");
    assert_refused(*state, "[x]\n" LIBVIRT "rhsm_port=65536\n", "\"rhsm_port\"");
    assert_refused(*state, "[x]\n" LIBVIRT "rhsm_hostname=https://h/\n",
                   "\"rhsm_hostname\" must be the name");
    assert_refused(*state, "[x]\n" LIBVIRT "rhsm_username=u\n", "needs \"rhsm_password\"");
    assert_refused(*state, "[x]\n" LIBVIRT "rhsm_password=u\n", "needs \"rhsm_username\"");
    assert_refused(*state, "[x]\n" LIBVIRT "rhsm_username=a:b\nrhsm_password=p\n", "colon");
}

static void test_insecure(void **state)
{
    assert_true(one(*state, "[x]\n" LIBVIRT "rhsm_insecure=1\n")->destination->insecure);
    assert_told(*state,
                "warning /etc/virt-who.d/a.conf:5: [x] the entitlement server's certificate is not verified");
    assert_true(one(*state, "[x]\n" LIBVIRT "rhsm_insecure=TRUE ; for now\n")->destination->insecure);
    /* For virt-who every word was a yes, "0" and "no" too. */
    assert_false(one(*state, "[x]\n" LIBVIRT "rhsm_insecure=no\n")->destination->insecure);
    assert_false(one(*state, "[x]\n" LIBVIRT "rhsm_insecure=maybe\n")->destination->insecure);
    assert_told(*state, "\"rhsm_insecure\" is neither yes nor no; no is used");
}

static void test_environment_proxy(void **state)
{
    setenv("http_proxy", "http://last:1", 1);
    setenv("https_proxy", "http://u%40x:p%3Aw@[::1]:99/", 1);
    setenv("no_proxy", "localhost", 1);
    const Destination *to = one(*state, "[x]\n" LIBVIRT)->destination;

    assert_string_equal(to->proxy_hostname, "::1");
    assert_int_equal(to->proxy_port, 99);
    assert_string_equal(to->proxy_user, "u@x");
    assert_string_equal(to->proxy_password, "p:w");
    assert_string_equal(to->no_proxy, "localhost");
    setenv("HTTPS_PROXY", "proxy.example", 1);
    to = one(*state, "[x]\n" LIBVIRT)->destination;
    assert_string_equal(to->proxy_hostname, "proxy.example");
    assert_int_equal(to->proxy_port, 3128);
    general(*state, "[system_environment]\nHTTPS_PROXY = http://general.example:8\nNO_PROXY=x\n");
    to = one(*state, "[x]\n" LIBVIRT)->destination;
    assert_string_equal(to->proxy_hostname, "general.example");
    assert_string_equal(to->no_proxy, "x");
    setenv("HTTPS_PROXY", "http://u:geheim@:x", 1);
    general(*state, "");
    assert_refused(*state, "[x]\n" LIBVIRT, "the proxy in the environment (HTTPS_PROXY) is no URL");
    assert_not_told(*state, "geheim");
}

static void test_shared_destinations(void **state)
{
    World *world = *state;

    drop_in(world, "a.conf",
            "[a]\n" LIBVIRT "[b]\n" LIBVIRT "[c]\n" LIBVIRT "rhsm_port=444\n[d]\n" LIBVIRT
            "rhsm_username=u\nrhsm_password=p\n[e]\n" FAKE);
    assert_int_equal(read_settings(world), 0);
    const Mapping *a = settings_find_mapping(world->settings, "a"),
                  *b = settings_find_mapping(world->settings, "b");
    const Mapping *d = settings_find_mapping(world->settings, "d");

    assert_ptr_equal(a->destination, b->destination);
    assert_int_equal(a->destination->mappings->len, 2);
    assert_int_equal(world->settings->destinations->len, 4);
    assert_string_equal(d->destination->name, "o@subscription.rhsm.redhat.com:443/subscription as u");
    assert_null(settings_find_mapping(world->settings, "x"));
}

/* --- [global], [defaults] --- */

static void test_global_keys(void **state)
{
    World *world = *state;

    general(world,
            "[global]\ninterval=120\nreporter_id=me\ndebug=on\noneshot=YES\nprint_=1\nstatus=true\njson=1\n"
            "log_per_config=0\nlog_dir=/l\nlog_file=f\n");
    (void)one(world, "[x]\n" FAKE);
    const Settings *settings = world->settings;

    assert_int_equal(settings->interval, 120);
    assert_string_equal(settings->reporter_id, "me");
    assert_true(settings->debug && settings->oneshot && settings->print && settings->status &&
                settings->json);
    assert_false(settings->log_per_config);
    assert_string_equal(settings->log_dir, "/l");
    assert_string_equal(settings->log_file, "f");
    assert_string_equal(world->told->str, "");
}

static void test_global_defaults(void **state)
{
    World *world = *state;

    (void)one(world, "[x]\n" FAKE);
    assert_int_equal(world->settings->interval, 3600);
    assert_string_equal(world->settings->log_dir, "/var/log/rhsm");
    assert_string_equal(world->settings->log_file, "rhsm.log");
    assert_false(world->settings->debug || world->settings->oneshot);
    assert_true(strlen(world->settings->reporter_id) > 0);
}

static void test_interval(void **state)
{
    static const struct {
        const char *text;
        unsigned expected;
    } cases[] = {{"60", 60},
                 {"59", 3600},
                 {"0", 3600},
                 {"-1", 3600},
                 {"abc", 3600},
                 {"", 3600},
                 {"7200 ; two hours", 7200}};
    World *world = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf("[global]\ninterval=%s\n", cases[i].text);

        general(world, text);
        (void)one(world, "[x]\n" FAKE);
        assert_int_equal(world->settings->interval, cases[i].expected);
        assert_int_equal(
            !strstr(world->told->str, "/etc/virt-who.conf:2: [global] \"interval\" must be at least 60"),
            cases[i].expected != 3600);
    }
    world->interval = "90";
    (void)one(world, "[x]\n" FAKE);
    assert_int_equal(world->settings->interval, 90);
    world->interval = "5";
    (void)one(world, "[x]\n" FAKE);
    assert_int_equal(world->settings->interval, 3600);
}

static void test_global_mistakes(void **state)
{
    general(*state, "[global]\nintervall=60\ndebug=perhaps\nreporter_id=a b/c\n");
    (void)one(*state, "[x]\n" FAKE);
    assert_told(*state, "warning /etc/virt-who.conf:2: [global] \"intervall\" is not known and ignored");
    assert_told(*state, "/etc/virt-who.conf:3: [global] \"debug\" is neither yes nor no");
    assert_told(*state, "\"a-b-c\" is used");
    general(*state, "[global]\nlog_per_config=1\n");
    (void)one(*state, "[x]\n" FAKE);
    assert_told(*state, "\"log_per_config\" has no effect");
    general(*state, "[global]\nnonsense\n");
    drop_in(*state, "a.conf", "[x]\n" FAKE);
    assert_int_equal(read_settings(*state), -EINVAL);
    assert_told(*state, "error /etc/virt-who.conf:2: neither");
}

static void test_defaults(void **state)
{
    general(*state, "[defaults]\nowner=od\nhypervisor_id=hostname\nrhsm_port=1\nrhsm_hostname=bad host\n");
    const Mapping *mapping = one(*state, "[x]\ntype=libvirt\nserver=h\nrhsm_port=2\nrhsm_hostname=h\n");

    assert_string_equal(mapping->destination->owner, "od");
    assert_true(mapping->by_hostname);
    assert_int_equal(mapping->destination->port, 2);
    assert_refused(*state, "[x]\ntype=libvirt\nserver=h\n", "/etc/virt-who.conf:5: [x] \"rhsm_hostname\"");
}

static void test_unknown_and_old_keys(void **state)
{
    (void)one(*state, "[x]\n" FAKE "env=Library\nahv_internal_debug=1\nsm_type=sam\n");
    assert_told(*state, "warning /etc/virt-who.d/a.conf:4: [x] \"env\" is not known and ignored");
    assert_told(*state, "\"ahv_internal_debug\" has no effect with type \"fake\"");
}

/* Each key that virt-who had for any of its sources is known, if only to say that it has no effect. */
static void test_every_key_is_known(void **state)
{
    static const char *const keys[] = {"simplified_vim",     "kubeconfig",          "kubeversion",
                                       "insecure",           "namespace",           "prism_central",
                                       "update_interval",    "auth_method",         "kerberos_keytab",
                                       "kerberos_principal", "filter_host_parents", "exclude_host_parents"};

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *text = g_strdup_printf("[x]\n" FAKE "%s=1\n", keys[i]);

        (void)one(*state, text);
        assert_not_told(*state, "not known");
        assert_told(*state, "has no effect with type");
    }
}

static void test_satellite_5(void **state)
{
    World *world = *state;

    assert_refused(world,
                   "[x]\n" FAKE "sat_server=s\nsat_username=u\nsat_password=p\nsat_encrypted_password=00\n",
                   "error /etc/virt-who.d/a.conf:4: [x] reports to Satellite 5 are not supported");
    assert_null(strstr(strstr(world->told->str, "Satellite 5") + 1, "Satellite 5"));
    assert_refused(world, "[x]\n" FAKE "sm_type=satellite\n", "Satellite 5");
}

/* --- files --- */

static void test_order_of_files(void **state)
{
    World *world = *state;
    const char *const expected[] = {"general", "B", "a-first", "a-second", "\xc3\xa4"};

    drop_in(world, "\xc3\xa4.conf", "[\xc3\xa4]\n" FAKE);
    drop_in(world, "a.conf", "[a-first]\n" FAKE "[a-second]\n" FAKE);
    drop_in(world, "B.conf", "[B]\n" FAKE);
    drop_in(world, ".hidden.conf", "[hidden]\n" FAKE);
    drop_in(world, "x.conf.bak", "[backup]\n" FAKE);
    drop_in(world, "below/y.conf", "[below]\n" FAKE);
    general(world, "[general]\n" FAKE "[global]\n");
    assert_int_equal(read_settings(world), 0);
    assert_int_equal(world->settings->mappings->len, G_N_ELEMENTS(expected));
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++)
        assert_string_equal(((Mapping *)world->settings->mappings->pdata[i])->name, expected[i]);
    assert_int_equal(world->settings->dropped, 0);
}

static void test_duplicate_section(void **state)
{
    World *world = *state;

    drop_in(world, "b.conf", "[x]\n" FAKE "[y]\n" FAKE);
    drop_in(world, "a.conf", "\n[x]\n" FAKE);
    assert_int_equal(read_settings(world), 0);
    assert_told(world, "error [x] is in two files, /etc/virt-who.d/a.conf:2 and /etc/virt-who.d/b.conf:1");
    assert_int_equal(world->settings->mappings->len, 1);
    assert_string_equal(((Mapping *)world->settings->mappings->pdata[0])->name, "y");
    assert_int_equal(world->settings->dropped, 2);
}

/* A file that cannot be read never makes the local libvirt a source. */
static void test_broken_file_alone(void **state)
{
    drop_in(*state, "a.conf", "type=fake\nfile=/f\n");
    assert_int_equal(read_settings(*state), -ENODATA);
    assert_told(*state, "error /etc/virt-who.d/a.conf:1: stands before the first [section]");
    drop_in(*state, "a.conf", "[x\ntype=fake\n");
    assert_int_equal(read_settings(*state), -ENODATA);
    general(*state, "[global]\n[s]\nnonsense\n");
    drop_in(*state, "a.conf", "");
    assert_int_equal(read_settings(*state), -ENODATA);
}

static void test_broken_section_costs_itself_only(void **state)
{
    World *world = *state;

    drop_in(world, "a.conf", "[bad]\n" FAKE "what\n[good]\n" FAKE);
    drop_in(world, "b.conf", "[also good]\n" FAKE);
    assert_int_equal(read_settings(world), 0);
    assert_int_equal(world->settings->mappings->len, 2);
    assert_true(world->settings->dropped > 0);
    assert_told(world, "error /etc/virt-who.d/a.conf:4: neither");
    assert_told(world, "a.conf:1: [bad] the section is not used");
}

/* The default server would be sent a password that is meant for another one. */
static void test_broken_rhsm_conf(void **state)
{
    write_file(*state, "etc/rhsm/rhsm.conf", "[server]\nhostname = h\nnonsense\n", 0644);
    assert_refused(*state, "[x]\n" LIBVIRT,
                   "[x] the server is not known: /etc/rhsm/rhsm.conf cannot be used");
    drop_in(*state, "a.conf", "[x]\n" LIBVIRT "rhsm_hostname=h\n");
    assert_int_equal(read_settings(*state), 0);
    write_file(*state, "etc/rhsm/rhsm.conf", "[server]\nhostname = h\n", 0646);
    assert_refused(*state, "[x]\n" LIBVIRT,
                   "[x] the server is not known: /etc/rhsm/rhsm.conf cannot be used");
    write_file(*state, "etc/rhsm/rhsm.conf", "[server]\nhostname = h\n[logging]\nnonsense\n", 0644);
    assert_string_equal(one(*state, "[x]\n" LIBVIRT)->destination->hostname, "h");
}

static void test_general_file_that_cannot_be_read(void **state)
{
    World *world = *state;

    drop_in(world, "a.conf", "[x]\n" FAKE);
    write_file(world, "etc/virt-who.conf", "[defaults]\nexclude_hosts=*\n", 0602);
    assert_int_equal(read_settings(world), -EINVAL);
    assert_told(world, "error nothing is reported until /etc/virt-who.conf can be read");
}

static void test_nothing_configured(void **state)
{
    World *world = *state;

    assert_int_equal(read_settings(world), 0);
    assert_int_equal(world->settings->mappings->len, 1);
    const Mapping *mapping = world->settings->mappings->pdata[0];

    assert_string_equal(mapping->type, "libvirt");
    assert_true(mapping->local);
    assert_told(world, "warning nothing is configured");
    drop_in(world, "template.conf", "#[x]\n#type=esx\n");
    assert_int_equal(read_settings(world), 0);
    assert_int_equal(world->settings->mappings->len, 1);
}

static void test_empty_drop_ins(void **state)
{
    drop_in(*state, "a.txt", "");
    assert_int_equal(read_settings(*state), 0);
    assert_told(*state, "note /etc/virt-who.d/a.txt: ignored");
    assert_told(*state, "warning /etc/virt-who.d: has files, but none whose name ends in .conf");
}

static void test_files_of_the_command_line(void **state)
{
    World *world = *state;

    general(world, "[global]\ninterval=100\n[defaults]\nowner=od\n[general]\n" FAKE);
    drop_in(world, "a.conf", "[drop-in]\n" FAKE);
    write_file(world, "one", "[one]\n" FAKE "[global]\ninterval=200\n[defaults]\nowner=no\n", 0600);
    write_file(world, "two", "[two]\n" FAKE, 0600);
    g_ptr_array_add(world->files, g_build_filename(world->root, "two", NULL));
    g_ptr_array_add(world->files, g_build_filename(world->root, "one", NULL));
    assert_int_equal(read_settings(world), 0);
    assert_int_equal(world->settings->mappings->len, 2);
    const Mapping *first = world->settings->mappings->pdata[0];

    assert_string_equal(first->name, "two");
    assert_string_equal(first->destination->owner, "od");
    assert_int_equal(world->settings->interval, 100);
    assert_told(world, "/one:4: [global] counts in /etc/virt-who.conf only");
}

static void test_missing_file_of_the_command_line(void **state)
{
    World *world = *state;

    drop_in(world, "a.conf", "[drop-in]\n" FAKE);
    g_ptr_array_add(world->files, g_build_filename(world->root, "missing", NULL));
    assert_int_equal(read_settings(world), -ENODATA);
    assert_told(world, "/missing: cannot be read: No such file");
    write_file(world, "two", "[two]\n" FAKE, 0600);
    g_ptr_array_add(world->files, g_build_filename(world->root, "two", NULL));
    assert_int_equal(read_settings(world), 0);
    assert_int_equal(world->settings->dropped, 1);
}

static void test_empty_file_of_the_command_line(void **state)
{
    World *world = *state;

    write_file(world, "empty", "# nothing\n", 0600);
    g_ptr_array_add(world->files, g_build_filename(world->root, "empty", NULL));
    assert_int_equal(read_settings(world), -ENODATA);
}

static void test_configs_of_global(void **state)
{
    World *world = *state;
    g_autofree char *text = g_strdup_printf("[global]\nconfigs=%s/one\n[general]\n" FAKE, world->root);

    general(world, text);
    drop_in(world, "a.conf", "[drop-in]\n" FAKE);
    write_file(world, "one", "[one]\n" FAKE, 0600);
    assert_int_equal(read_settings(world), 0);
    assert_int_equal(world->settings->mappings->len, 1);
    assert_string_equal(((Mapping *)world->settings->mappings->pdata[0])->name, "one");
}

/* What the Foreman plugin writes. */
static void test_foreman_file(void **state)
{
    write_file(*state, "var/lib/virt-who/key", KEY_FILE, 0600);
    const Mapping *mapping =
        one(*state,
            "### This configuration file is managed via the virt-who configure plugin\n[virt-who-config-1]\n"
            "type=libvirt\nhypervisor_id=hostname\nowner=Default_Organization\nenv=Library\n"
            "server=qemu+ssh://root@h.example/system\nrhsm_hostname=foreman.example\n"
            "rhsm_username=virt_who_reporter_1\nrhsm_encrypted_password=" ENCRYPTED "\nrhsm_prefix=/rhsm\n");

    assert_string_equal(mapping->destination->username, "virt_who_reporter_1");
    assert_string_equal(mapping->destination->password, "s3cr%t");
    assert_string_equal(mapping->destination->prefix, "/rhsm");
    assert_string_equal(mapping->destination->owner, "Default_Organization");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_destination_defaults),
        TEST(test_rhsm_conf),
        TEST(test_section_over_rhsm_conf),
        TEST(test_destination_mistakes),
        TEST(test_insecure),
        TEST(test_environment_proxy),
        TEST(test_shared_destinations),
        TEST(test_global_keys),
        TEST(test_global_defaults),
        TEST(test_interval),
        TEST(test_global_mistakes),
        TEST(test_defaults),
        TEST(test_unknown_and_old_keys),
        TEST(test_every_key_is_known),
        TEST(test_satellite_5),
        TEST(test_order_of_files),
        TEST(test_duplicate_section),
        TEST(test_broken_file_alone),
        TEST(test_broken_section_costs_itself_only),
        TEST(test_broken_rhsm_conf),
        TEST(test_general_file_that_cannot_be_read),
        TEST(test_nothing_configured),
        TEST(test_empty_drop_ins),
        TEST(test_files_of_the_command_line),
        TEST(test_missing_file_of_the_command_line),
        TEST(test_empty_file_of_the_command_line),
        TEST(test_configs_of_global),
        TEST(test_foreman_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
