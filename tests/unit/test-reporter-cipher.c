// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "service/reporter/cipher.h"

/* Made with: printf %s TEXT | openssl enc -aes-128-cbc -K <first line> -iv <second line> | xxd -p -c0 */
#define KEY_FILE "000102030405060708090a0b0c0d0e0f\nf0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"
#define ENCRYPTED_EMPTY "d02a48244eccdc2379224dbc54703612"
#define ENCRYPTED_SECRET "0c432364f14766e612d9a4faa5f498c8"
#define ENCRYPTED_SIXTEEN "e9f11e2d24d4125b72ca10d60792441dd99bfcd542cd8c594a36323b530d09c7"

typedef struct Fixture {
    char *directory;
    char *path;
    CipherKey key;
} Fixture;

static int setup(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->directory = g_dir_make_tmp("gb.XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->directory, "key", NULL);
    g_file_set_contents_full(fixture->path, KEY_FILE, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);
    *state = fixture;
    return cipher_key_read(fixture->path, &fixture->key);
}

static int teardown(void **state)
{
    Fixture *fixture = *state;

    g_remove(fixture->path);
    g_rmdir(fixture->directory);
    g_free(fixture->directory);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

static void assert_both_ways(const CipherKey *key, const char *text, const char *expected)
{
    g_autofree char *hex = NULL;
    g_autoptr(Secret) back = NULL;

    assert_int_equal(cipher_encrypt(key, text, &hex), 0);
    assert_string_equal(hex, expected);
    assert_int_equal(cipher_decrypt(key, hex, &back), 0);
    assert_string_equal(back, text);
}

static void test_openssl_agrees(void **state)
{
    const Fixture *fixture = *state;

    assert_both_ways(&fixture->key, "", ENCRYPTED_EMPTY);
    assert_both_ways(&fixture->key, "p%ss w\xc3\xb6rd;#", ENCRYPTED_SECRET);
    assert_both_ways(&fixture->key, "sixteen bytes ok", ENCRYPTED_SIXTEEN);
}

static void test_damage_is_an_error(void **state)
{
    const Fixture *fixture = *state;
    const char *const damaged[] = {
        "", "00", "xyz", "zz" ENCRYPTED_EMPTY, ENCRYPTED_SECRET "0", "00000000000000000000000000000000"};
    Secret *text = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(damaged); i++) {
        assert_int_equal(cipher_decrypt(&fixture->key, damaged[i], &text), -EBADMSG);
        assert_null(text);
    }
}

static void test_another_key(void **state)
{
    Fixture *fixture = *state;
    Secret *text = NULL;

    fixture->key.key[0] ^= 1;
    assert_int_equal(cipher_decrypt(&fixture->key, ENCRYPTED_SECRET, &text), -EBADMSG);
}

static void test_key_files(void **state)
{
    Fixture *fixture = *state;
    const char *const bad[] = {"", "00\n00\n", "000102030405060708090a0b0c0d0e0f\nf0f1",
                               "zz0102030405060708090a0b0c0d0e0f\nf0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"};
    CipherKey key;

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_file_set_contents_full(fixture->path, bad[i], -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);
        assert_int_equal(cipher_key_read(fixture->path, &key), -EBADMSG);
    }
    g_file_set_contents(fixture->path, KEY_FILE, -1, NULL);
    g_chmod(fixture->path, 0644);
    assert_int_equal(cipher_key_read(fixture->path, &key), -EACCES);
    g_remove(fixture->path);
    assert_int_equal(cipher_key_read(fixture->path, &key), -ENOENT);
}

static void test_create(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *directory = g_build_filename(fixture->directory, "new", NULL);
    g_autofree char *path = g_build_filename(directory, "key", NULL);
    CipherKey made, read;
    struct stat status;

    assert_int_equal(cipher_key_create(path, &made), 0);
    assert_int_equal(cipher_key_read(path, &read), 0);
    assert_memory_equal(&made, &read, sizeof(made));
    assert_memory_not_equal(&made, &fixture->key, sizeof(made));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(cipher_key_create(path, &made), -EEXIST);
    g_remove(path);
    g_rmdir(directory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_openssl_agrees), TEST(test_damage_is_an_error),
        TEST(test_another_key),    TEST(test_key_files),
        TEST(test_create),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
