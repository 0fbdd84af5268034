/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/cleanup.h"
#include "service/guest/schedule.h"

#define UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"

typedef struct Fixture {
    char *folder;
    sd_event *event;
    Schedule *schedule;
    GString *story; /* what the observer was told */
    bool able;      /* what it answers */
} Fixture;

static bool on_due(Schedule *schedule, const ScheduleEntry *entry, void *userdata)
{
    Fixture *fixture = userdata;

    g_string_append_printf(fixture->story, "%s %s %d \"%s\"; ", entry->verb, entry->source, entry->run,
                           entry->message);
    return fixture->able;
}

static void on_expired(Schedule *schedule, const ScheduleEntry *entry, void *userdata)
{
    g_string_append(((Fixture *)userdata)->story, "expired; ");
}

static void on_removed(Schedule *schedule, const ScheduleEntry *entry, void *userdata)
{
    g_string_append(((Fixture *)userdata)->story, "removed; ");
}

static const ScheduleObserver observer = {on_due, on_expired, on_removed};

static int start(Fixture *fixture)
{
    return schedule_new(fixture->event, fixture->folder, &observer, fixture, &fixture->schedule);
}

static int setup(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->folder = g_dir_make_tmp("gb.XXXXXX", NULL);
    fixture->story = g_string_new(NULL);
    fixture->able = true;
    assert_true(sd_event_new(&fixture->event) >= 0);
    assert_int_equal(start(fixture), 0);
    *state = fixture;
    return 0;
}

static void restart(Fixture *fixture, int expected)
{
    schedule_free(fixture->schedule);
    assert_int_equal(start(fixture), expected);
}

static int teardown(void **state)
{
    static const char *const files[] = {SCHEDULE_FILE, SCHEDULE_FILE_DAMAGED};
    Fixture *fixture = *state;

    schedule_free(fixture->schedule);
    sd_event_unref(fixture->event);
    for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *path = g_build_filename(fixture->folder, files[i], NULL);

        (void)unlink(path);
    }
    assert_int_equal(g_rmdir(fixture->folder), 0);
    g_string_free(fixture->story, TRUE);
    g_free(fixture->folder);
    g_free(fixture);
    return 0;
}

/* `seconds` from now, negative for the past. */
static int add(Fixture *fixture, const char *verb, int64_t seconds)
{
    ScheduleEntry entry = {
        .source = (char *)"local",
        .uuid = (char *)UUID,
        .run = 7,
        .verb = verb,
        .time = (uint64_t)(g_get_real_time() + seconds * 1000000),
        .message = (char *)"Going \"down\"\nj\xc3\xb6rg",
    };

    return schedule_add(fixture->schedule, &entry);
}

/* Runs the loop until the observer heard something; the limit is only for a test that fails. */
static void run_until_told(Fixture *fixture)
{
    for (unsigned i = 0; i < 60 && fixture->story->len == 0; i++)
        assert_true(sd_event_run(fixture->event, 1000000) >= 0);
}

static void expect_story(Fixture *fixture, const char *expected)
{
    assert_string_equal(fixture->story->str, expected);
    g_string_truncate(fixture->story, 0);
}

static void test_runs_when_due(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(add(fixture, "shutdown", 0), 0);
    run_until_told(fixture);
    expect_story(fixture, "shutdown local 7 \"Going \"down\"\nj\xc3\xb6rg\"; removed; ");
    assert_null(schedule_find(fixture->schedule, "local", UUID));
    restart(fixture, 0);
    assert_null(schedule_find(fixture->schedule, "local", UUID));
}

static void test_one_for_each_vm(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(add(fixture, "shutdown", 100), 0);
    assert_int_equal(add(fixture, "reboot", 200), -EBUSY);
    assert_string_equal(schedule_find(fixture->schedule, "local", UUID)->verb, "shutdown");
    assert_null(schedule_find(fixture->schedule, "remote", UUID));
    assert_int_equal(schedule_remove(fixture->schedule, "local", UUID), 0);
    expect_story(fixture, "removed; ");
    assert_int_equal(schedule_remove(fixture->schedule, "local", UUID), -ENOENT);
    assert_int_equal(add(fixture, "reboot", 200), 0);
}

static void test_survives_a_restart(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->folder, SCHEDULE_FILE, NULL);
    const ScheduleEntry *entry;
    uint64_t time;
    struct stat st;

    assert_int_equal(add(fixture, "reboot", 1000), 0);
    time = schedule_find(fixture->schedule, "local", UUID)->time;
    restart(fixture, 0);
    entry = schedule_find(fixture->schedule, "local", UUID);
    assert_non_null(entry);
    assert_string_equal(entry->verb, "reboot");
    assert_string_equal(entry->message, "Going \"down\"\nj\xc3\xb6rg");
    assert_int_equal(entry->time, time);
    assert_int_equal(entry->run, 7);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_overdue(void **state)
{
    Fixture *fixture = *state;

    /* It came due while the service was away, or its source was: it is done late. */
    fixture->able = false;
    assert_int_equal(add(fixture, "shutdown", -60), 0);
    restart(fixture, 0);
    assert_non_null(schedule_find(fixture->schedule, "local", UUID));
    fixture->able = true;
    run_until_told(fixture);
    expect_story(fixture, "shutdown local 7 \"Going \"down\"\nj\xc3\xb6rg\"; removed; ");
    /* Much too late. */
    fixture->able = false;
    assert_int_equal(add(fixture, "shutdown", -SCHEDULE_LATE_SECONDS - 60), 0);
    run_until_told(fixture);
    expect_story(fixture, "shutdown local 7 \"Going \"down\"\nj\xc3\xb6rg\"; expired; removed; ");
}

static void test_damaged_file_is_put_aside(void **state)
{
    static const char *const damaged[] = {
        "",
        "{",
        "{}",
        "[5]",
        "[{}]",
        "[{\"source\": \"local\", \"uuid\": \"" UUID "\", \"run\": 1, \"verb\": "
        "\"explode\", \"time\": 1, \"message\": \"\"}]",
        "[{\"source\": \"local\", \"uuid\": \"" UUID
        "\", \"run\": 1, \"verb\": \"reboot\", \"time\": -1, \"message\": \"\"}]",
        "[\xff]",
    };
    Fixture *fixture = *state;
    g_autofree char *path = g_build_filename(fixture->folder, SCHEDULE_FILE, NULL);
    g_autofree char *aside = g_build_filename(fixture->folder, SCHEDULE_FILE_DAMAGED, NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(damaged); i++) {
        g_autofree char *kept = NULL;

        assert_true(g_file_set_contents(path, damaged[i], -1, NULL));
        restart(fixture, 1);
        assert_true(g_file_get_contents(aside, &kept, NULL, NULL));
        assert_string_equal(kept, damaged[i]);
        assert_int_equal(access(path, F_OK), -1);
    }
    assert_int_equal(add(fixture, "reboot", 100), 0);
    restart(fixture, 0);
    assert_non_null(schedule_find(fixture->schedule, "local", UUID));
}

static void test_nothing_is_promised_that_is_not_on_disk(void **state)
{
    Fixture *fixture = *state;

    assert_int_equal(g_rmdir(fixture->folder), 0);
    assert_int_equal(add(fixture, "reboot", 100), -ENOENT);
    assert_null(schedule_find(fixture->schedule, "local", UUID));
    assert_int_equal(g_mkdir(fixture->folder, 0700), 0);
    assert_int_equal(add(fixture, "reboot", 100), 0);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_runs_when_due),
        test(test_one_for_each_vm),
        test(test_survives_a_restart),
        test(test_overdue),
        test(test_damaged_file_is_put_aside),
        test(test_nothing_is_promised_that_is_not_on_disk),
    };

    return cmocka_run_group_tests_name("guest schedule", tests, NULL, NULL);
}
