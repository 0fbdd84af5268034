/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include <glib/gstdio.h>

#include "service/reporter/state.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static unsigned warnings;

static void count_warnings(int priority, const char *message, void *userdata)
{
    if (priority == LOG_WARNING)
        warnings++;
}

static int make_directory(void **state)
{
    *state = g_dir_make_tmp("gb-XXXXXX", NULL);
    warnings = 0;
    return *state ? 0 : -1;
}

static int remove_directory(void **state)
{
    const char *name;
    GDir *dir = g_dir_open(*state, 0, NULL);

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(*state, name, NULL);

        g_remove(path);
    }
    g_dir_close(dir);
    g_rmdir(*state);
    g_free(*state);
    return 0;
}

static State *open_state(const char *directory)
{
    State *state = NULL;

    assert_int_equal(state_open(directory, count_warnings, NULL, &state), 0);
    return state;
}

static void fill(State *state)
{
    DestinationRecord *record = state_get_destination(state, "acme@host:443/rhsm");
    SourceRecord *source = state_get_source(state, "esx \"1\"");
    Delivery *delivery = delivery_new(HASH);
    Refusal *refusal = g_new0(Refusal, 1);

    delivery_add_host(delivery, "host-1", "4661a34a");
    delivery_add_host(delivery, "h\xc3\xb6st-2", NULL);
    g_hash_table_insert(record->in_job, g_strdup("esx \"1\""), delivery);
    g_strlcpy(refusal->hash, HASH, sizeof refusal->hash);
    refusal->times = 3;
    refusal->until = 1795000000000000;
    g_hash_table_insert(record->refusals, g_strdup(""), refusal);
    record->job_id = g_strdup("job-7");
    record->job_status = g_strdup("RUNNING");
    record->job_hash = g_strdup(HASH);
    record->job_open = true;
    record->job_since = 1795000000000001;
    record->last_send = 1795000000000002;
    *source = (SourceRecord){.last_retrieve = 5, .counted = true, .hypervisors = 2, .guests = 9};
}

static void check(State *state)
{
    DestinationRecord *record = state_get_destination(state, "acme@host:443/rhsm");
    SourceRecord *source = state_get_source(state, "esx \"1\"");
    Delivery *delivery = g_hash_table_lookup(record->in_job, "esx \"1\"");
    Refusal *refusal = g_hash_table_lookup(record->refusals, "");

    assert_non_null(delivery);
    assert_string_equal(delivery->hash, HASH);
    assert_int_equal(delivery->hosts->len, 2);
    assert_string_equal(((HostRecord *)delivery->hosts->pdata[1])->id, "h\xc3\xb6st-2");
    assert_null(((HostRecord *)delivery->hosts->pdata[1])->system_uuid);
    assert_int_equal(refusal->times, 3);
    assert_string_equal(record->job_id, "job-7");
    assert_string_equal(record->job_status, "RUNNING");
    assert_string_equal(record->job_hash, HASH);
    assert_true(record->job_open);
    assert_int_equal(record->job_since, 1795000000000001);
    assert_int_equal(record->last_send, 1795000000000002);
    assert_int_equal(source->guests, 9);
    assert_true(source->counted);
}

static void test_survives(void **directory)
{
    g_autofree char *path = g_build_filename(*directory, STATE_FILE, NULL);
    struct stat st;

    {
        g_autoptr(State) state = open_state(*directory);

        fill(state);
        assert_int_equal(state_save(state), 0);
        assert_int_equal(state_save(state), 0);
    }
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    {
        g_autoptr(State) state = open_state(*directory);

        check(state);
    }
    assert_int_equal(warnings, 0);
}

static void test_one_writer(void **directory)
{
    g_autoptr(State) first = open_state(*directory);
    State *second = NULL;

    assert_int_equal(state_open(*directory, count_warnings, NULL, &second), -EBUSY);
    assert_null(second);
    fill(first);
    assert_int_equal(state_save(first), 0);
    {
        g_autoptr(State) reader = state_read(*directory);

        check(reader);
    }
}

static void put_file(const char *directory, const char *text, gssize size)
{
    g_autofree char *path = g_build_filename(directory, STATE_FILE, NULL);

    assert_true(g_file_set_contents(path, text, size, NULL));
}

static void check_put_aside(const char *directory, const char *text, gssize size)
{
    g_autofree char *path = g_build_filename(directory, STATE_FILE, NULL);
    g_autofree char *aside = g_build_filename(directory, STATE_FILE_DAMAGED, NULL);
    g_autoptr(State) state = NULL;

    put_file(directory, text, size);
    warnings = 0;
    state = open_state(directory);
    assert_int_equal(warnings, 1);
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
    assert_int_equal(g_hash_table_size(state->destinations), 0);
    assert_int_equal(g_hash_table_size(state->sources), 0);
    assert_int_equal(state_save(state), 0);
}

/* Cut at every byte: put aside each time, never half used. */
static void test_cut_anywhere(void **directory)
{
    g_autoptr(State) full = state_new();
    g_autofree char *text = NULL;

    fill(full);
    text = state_format(full);
    for (size_t size = 0; size < strlen(text); size++)
        check_put_aside(*directory, text, (gssize)size);
}

static void test_damage(void **directory)
{
    g_autoptr(State) full = state_new();
    g_autofree char *text = NULL, *more = NULL;

    fill(full);
    text = state_format(full);
    more = g_strconcat(text, "x", NULL);
    check_put_aside(*directory, more, -1);
    check_put_aside(*directory, "{\"version\":2,\"sources\":{},\"destinations\":{}}", -1);
    check_put_aside(*directory, "{\"version\":1,\"sources\":{},\"destinations\":{\"a\":{}}}", -1);
    check_put_aside(*directory, "{\"version\":1,\"sources\":{\"s\":7},\"destinations\":{}}", -1);
    check_put_aside(*directory, "\0\0\0\0", 4);
    *strstr(text, HASH) = '"';
    check_put_aside(*directory, text, -1);
}

static void test_directory_that_is_missing(void **directory)
{
    g_autofree char *path = g_build_filename(*directory, "none", NULL);
    g_autoptr(State) reader = state_read(path);
    State *state = NULL;

    assert_int_equal(g_hash_table_size(reader->destinations), 0);
    assert_int_equal(state_open(path, count_warnings, NULL, &state), -ENOENT);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)
    const struct CMUnitTest tests[] = {
        TEST(test_survives),
        TEST(test_one_writer),
        TEST(test_cut_anywhere),
        TEST(test_damage),
        TEST(test_directory_that_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
