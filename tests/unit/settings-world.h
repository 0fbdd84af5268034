/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "service/reporter/settings.h"

/* A directory that stands for "/" with configuration files in it, for tests of what is read from them. */

/* "s3cr%t", encrypted with the key below by openssl. */
#define KEY_FILE "000102030405060708090a0b0c0d0e0f\nf0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\n"
#define ENCRYPTED "68d1935ae3f8c1c5b094ad5f39a184ca"
#define FAKE "type=fake\nfile=/f.json\n"
#define LIBVIRT "type=libvirt\nserver=h.example\nowner=o\n"

typedef struct World {
    char *root;
    GString *told; /* "<priority> <message>\n"... */
    GPtrArray *files;
    const char *interval;
    Settings *settings;
} World;

int settings_world_setup(void **state);
int settings_world_teardown(void **state);

void write_file(World *world, const char *path, const char *text, int mode);
/* /etc/virt-who.d/<name> and /etc/virt-who.conf. */
void drop_in(World *world, const char *name, const char *text);
void general(World *world, const char *text);
int read_settings(World *world);
/* The only mapping, of a drop-in "a.conf". */
const Mapping *one(World *world, const char *text);

void assert_told(const World *world, const char *text);
void assert_not_told(const World *world, const char *text);
/* The section is refused, alone as it is, and this is said. */
void assert_refused(World *world, const char *text, const char *told);

#define TEST(name) cmocka_unit_test_setup_teardown(name, settings_world_setup, settings_world_teardown)
