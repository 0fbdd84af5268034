// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a section says of its source: every key of virt-who, and every trap that its users fell into. */
#include "settings-world.h"

#include <stdlib.h>
#include <string.h>

/* O=acme, CN=11111111-2222-3333-4444-555555555555 */
static const char certificate[] = "-----BEGIN CERTIFICATE-----\n"
                                  "MIIB0zCCAXmgAwIBAgIUQNFRlkVNHlvLvhOrqCrd4aSinnowCgYIKoZIzj0EAwIw\n"
                                  "PjENMAsGA1UECgwEYWNtZTEtMCsGA1UEAwwkMTExMTExMTEtMjIyMi0zMzMzLTQ0\n"
                                  "NDQtNTU1NTU1NTU1NTU1MCAXDTI2MTEyMTEyMjQwM1oYDzIwODEwODI0MTIyNDAz\n"
                                  "WjA+MQ0wCwYDVQQKDARhY21lMS0wKwYDVQQDDCQxMTExMTExMS0yMjIyLTMzMzMt\n"
                                  "NDQ0NC01NTU1NTU1NTU1NTUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASsvUWr\n"
                                  "5IMxdN8TU1bhp+vc+puAWphErfh6W8/SzYSvdLFKpsV5z1fdeEu54REO9EGlVBd6\n"
                                  "Y4lF343RY+hoPGNfo1MwUTAdBgNVHQ4EFgQUzYxEM0+TSirtM6fO4z2dDIXyKLcw\n"
                                  "HwYDVR0jBBgwFoAUzYxEM0+TSirtM6fO4z2dDIXyKLcwDwYDVR0TAQH/BAUwAwEB\n"
                                  "/zAKBggqhkjOPQQDAgNIADBFAiEAnQlj+lmaIPjtAsscs58U+fKSMVdNUBXb0+je\n"
                                  "Ic/aHuYCIAi57mfPUsvzlRoNStQv+mgOB67fENC73yzXAaLotjlV\n"
                                  "-----END CERTIFICATE-----\n";

/* --- sources --- */

static void test_source_keys(void **state)
{
    const Mapping *mapping =
        one(*state, "[x]\ntype=libvirt\nserver=qemu+tls://h/system\nusername=u\npassword=p\n"
                    "owner=o\nhypervisor_id=hostname\n");

    assert_string_equal(mapping->name, "x");
    assert_string_equal(mapping->file, "/etc/virt-who.d/a.conf");
    assert_int_equal(mapping->line, 1);
    assert_string_equal(mapping->type, "libvirt");
    assert_string_equal(mapping->server, "qemu+tls://h/system");
    assert_string_equal(mapping->username, "u");
    assert_string_equal(mapping->password, "p");
    assert_true(mapping->by_hostname);
    assert_false(mapping->local);
    assert_string_equal(mapping->destination->owner, "o");
    assert_string_equal(((World *)*state)->told->str, "");
}

static void test_fake_keys(void **state)
{
    const Mapping *mapping = one(*state, "[x]\n" FAKE "is_hypervisor=False\n");

    assert_string_equal(mapping->fake_file, "/f.json");
    assert_false(mapping->is_hypervisor);
    assert_null(mapping->destination->owner);
    assert_refused(*state, "[x]\ntype=fake\n", "a.conf:1: [x] \"file\" is not set");
    assert_refused(*state, "[x]\ntype=fake\nfile=f.json\n",
                   "a.conf:3: [x] \"file\" must be an absolute path");
}

static void test_type(void **state)
{
    assert_string_equal(one(*state, "[x]\nvirt_type=fake\nfile=/f\n")->type, "fake");
    assert_string_equal(one(*state, "[x]\ntype=Fake\nfile=/f\n")->type, "fake");
    assert_refused(*state, "[x]\nserver=h\n", "\"type\" is not set");
    assert_refused(*state, "[x]\ntype=rhevm\n", "a.conf:2: [x] type \"rhevm\" is not supported");
    assert_refused(*state, "[x]\ntype=esx\nserver=h\nusername=u\npassword=p\nowner=o\nsimplified_vim=true\n",
                   "type \"esx\" is not supported");
}

static void test_hypervisor_id(void **state)
{
    assert_false(one(*state, "[x]\n" FAKE "hypervisor_id=uuid\n")->by_hostname);
    assert_refused(*state, "[x]\n" LIBVIRT "hypervisor_id=hwuuid\n", "must be uuid or hostname");
}

static void test_owner_is_required(void **state)
{
    assert_refused(*state, "[x]\ntype=libvirt\nserver=h\n", "a.conf:1: [x] \"owner\" is not set");
    assert_true(one(*state, "[x]\ntype=libvirt\n")->local);
}

static void test_owner_from_certificate(void **state)
{
    write_file(*state, "etc/pki/consumer/cert.pem", certificate, 0600);
    const Destination *destination = one(*state, "[x]\ntype=libvirt\nserver=h\n")->destination;

    assert_string_equal(destination->owner, "acme");
    assert_string_equal(destination->consumer_uuid, "11111111-2222-3333-4444-555555555555");
    assert_true(g_str_has_suffix(destination->certificate_path, "/etc/pki/consumer/cert.pem"));
    assert_true(g_str_has_suffix(destination->key_path, "/etc/pki/consumer/key.pem"));
    /* The certificate's organisation says nothing about somebody's account. */
    assert_refused(*state, "[x]\ntype=libvirt\nserver=h\nrhsm_username=u\nrhsm_password=p\n", "\"owner\"");
}

static void test_damaged_certificate(void **state)
{
    write_file(*state, "etc/pki/consumer/cert.pem", "nonsense", 0600);
    (void)one(*state, "[x]\n" FAKE);
    assert_told(*state, "/etc/pki/consumer/cert.pem: the consumer certificate cannot be read");
}

/* --- filters --- */

static void test_filter_keys(void **state)
{
    const Mapping *mapping = one(*state, "[x]\n" FAKE "filter_hosts=a*, \"b c\"\nexclude_hosts=*z\n");

    assert_true(filter_matches(mapping->hosts, "a1"));
    assert_true(filter_matches(mapping->hosts, "b c"));
    assert_false(filter_matches(mapping->hosts, "az"));
    assert_false(filter_matches(mapping->hosts, "q"));
    assert_null(mapping->host_parents);
}

static void test_list_items(void **state)
{
    const Mapping *mapping = one(*state, "[x]\n" FAKE "filter_hosts=one two, 'a,b', c\\,d,\n  next\n");

    assert_true(filter_matches(mapping->hosts, "one two"));
    assert_false(filter_matches(mapping->hosts, "onetwo"));
    assert_true(filter_matches(mapping->hosts, "a,b"));
    assert_true(filter_matches(mapping->hosts, "c,d"));
    assert_true(filter_matches(mapping->hosts, "next"));
    assert_false(filter_matches(mapping->hosts, ""));
}

static void test_filter_aliases(void **state)
{
    const Mapping *mapping = one(*state, "[x]\n" FAKE "filter_host_uuids=a*\nexclude_host_uuids=*z\n");

    assert_true(filter_matches(mapping->hosts, "a1"));
    assert_false(filter_matches(mapping->hosts, "az"));
    assert_false(filter_matches(mapping->hosts, "b"));
    mapping = one(*state, "[x]\n" FAKE "filter_host_uuids=a*\nfilter_hosts=b\n");
    assert_true(filter_matches(mapping->hosts, "b"));
    assert_false(filter_matches(mapping->hosts, "a1"));
}

static void test_filter_type(void **state)
{
    assert_false(
        filter_matches(one(*state, "[x]\n" FAKE "filter_type=regex\nfilter_hosts=a*\n")->hosts, "ab"));
    assert_true(
        filter_matches(one(*state, "[x]\n" FAKE "filter_type=wildcards\nfilter_hosts=a*\n")->hosts, "ab"));
    assert_refused(*state, "[x]\n" FAKE "filter_type=glob\n", "a.conf:4: [x] \"filter_type\"");
    assert_refused(*state, "[x]\n" FAKE "filter_type=regex\nfilter_hosts=(a\n", "\"(a\" in \"filter_hosts\"");
}

static void test_filter_mistakes(void **state)
{
    assert_refused(*state, "[x]\n" FAKE "filter_hosts=\"a\n",
                   "a.conf:4: [x] \"filter_hosts\": a quote has no end");
    assert_null(one(*state, "[x]\n" FAKE "filter_hosts=,\n")->hosts);
    assert_told(*state, "is empty and has no effect");
    (void)one(*state, "[x]\n" LIBVIRT "hypervisor_id=hostname\n"
                      "filter_hosts=11111111-2222-3333-4444-555555555555\n");
    assert_told(*state, "has a UUID, but hosts are identified by their names");
    (void)one(*state, "[x]\n" FAKE "filter_host_parents=domain-c7\nexclude_host_parents=x\n");
    assert_told(*state, "\"filter_host_parents\" has no effect with type \"fake\"");
}

/* --- passwords --- */

static void test_percent_is_plain(void **state)
{
    assert_string_equal(one(*state, "[x]\n" LIBVIRT "password=50%(a)s%\n")->password, "50%(a)s%");
    assert_string_equal(one(*state, "[x]\n" LIBVIRT "password=a%%b\n")->password, "a%%b");
    assert_told(*state, "a percent sign is not doubled any more");
    assert_not_told(*state, "a%%b");
}

static void test_password_is_whole(void **state)
{
    assert_string_equal(one(*state, "[x]\n" LIBVIRT "password=abc ;def #g\n")->password, "abc ;def #g");
    assert_string_equal(one(*state, "[x]\n" LIBVIRT "password=\" q \"\n")->password, " q ");
    assert_string_equal(one(*state, "[x]\n" LIBVIRT "password=p\xc3\xa4\xe2\x82\xac\n")->password,
                        "p\xc3\xa4\xe2\x82\xac");
    assert_refused(*state, "[x]\n" LIBVIRT "password=abc\n def\n",
                   "a.conf:5: [x] the value of \"password\" has several");
}

static void test_encrypted_passwords(void **state)
{
    write_file(*state, "var/lib/virt-who/key", KEY_FILE, 0600);
    const Mapping *mapping = one(
        *state, "[x]\n" LIBVIRT "encrypted_password=" ENCRYPTED
                "\nrhsm_username=u\nrhsm_encrypted_password=" ENCRYPTED
                "\nrhsm_proxy_hostname=p\nrhsm_proxy_user=u\nrhsm_encrypted_proxy_password=" ENCRYPTED "\n");

    assert_string_equal(mapping->password, "s3cr%t");
    assert_string_equal(mapping->destination->password, "s3cr%t");
    assert_string_equal(mapping->destination->proxy_password, "s3cr%t");
    assert_not_told(*state, "s3cr");
    mapping = one(*state, "[x]\n" LIBVIRT "password=plain\nencrypted_password=" ENCRYPTED "\n");
    assert_string_equal(mapping->password, "s3cr%t");
    assert_told(*state, "the latter is used");
    assert_not_told(*state, "plain");
}

static void test_encrypted_password_failures(void **state)
{
#define ENCRYPTED_SECTION "[x]\n" LIBVIRT "encrypted_password="
    assert_refused(*state, ENCRYPTED_SECTION ENCRYPTED "\n",
                   "a.conf:5: [x] \"encrypted_password\" cannot be decrypted: "
                   "/var/lib/virt-who/key: No such file");
    write_file(*state, "var/lib/virt-who/key", KEY_FILE, 0644);
    assert_refused(*state, ENCRYPTED_SECTION ENCRYPTED "\n", "others may read it too");
    write_file(*state, "var/lib/virt-who/key", "short\n", 0600);
    assert_refused(*state, ENCRYPTED_SECTION ENCRYPTED "\n", "holds no key");
    write_file(*state, "var/lib/virt-who/key", KEY_FILE, 0600);
    assert_refused(*state, ENCRYPTED_SECTION "00ff\n", "is damaged");
    assert_not_told(*state, "00ff");
}

static void test_credentials(void **state)
{
    World *world = *state;
    g_autofree char *directory = g_build_filename(world->root, "run/credentials", NULL);

    write_file(world, "run/credentials/x.password", "from systemd\n", 0400);
    write_file(world, "run/credentials/x.rhsm_password", "other", 0400);
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    const Mapping *mapping = one(world, "[x]\n" LIBVIRT "rhsm_username=u\n");

    assert_string_equal(mapping->password, "from systemd");
    assert_string_equal(mapping->destination->password, "other");
    assert_string_equal(one(world, "[x]\n" LIBVIRT "password=own\nrhsm_username=u\n")->password, "own");
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_modes(void **state)
{
    write_file(*state, "etc/virt-who.d/a.conf", "[x]\n" LIBVIRT "password=p\n", 0644);
    assert_int_equal(read_settings(*state), 0);
    assert_told(*state, "warning /etc/virt-who.d/a.conf:5: [x] everybody can read the \"password\"");
    write_file(*state, "etc/virt-who.d/a.conf", "[x]\n" FAKE, 0644);
    assert_int_equal(read_settings(*state), 0);
    assert_not_told(*state, "everybody");
    write_file(*state, "etc/virt-who.d/a.conf", "[x]\n" FAKE, 0602);
    assert_int_equal(read_settings(*state), -ENODATA);
    assert_told(*state, "error /etc/virt-who.d/a.conf: cannot be read: everybody may write to it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_source_keys),
        TEST(test_fake_keys),
        TEST(test_type),
        TEST(test_hypervisor_id),
        TEST(test_owner_is_required),
        TEST(test_owner_from_certificate),
        TEST(test_damaged_certificate),
        TEST(test_filter_keys),
        TEST(test_list_items),
        TEST(test_filter_aliases),
        TEST(test_filter_type),
        TEST(test_filter_mistakes),
        TEST(test_percent_is_plain),
        TEST(test_password_is_whole),
        TEST(test_encrypted_passwords),
        TEST(test_encrypted_password_failures),
        TEST(test_credentials),
        TEST(test_modes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
