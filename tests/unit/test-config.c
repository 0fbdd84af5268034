/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/gb-config.XXXXXX";

static char *write_file(const char *name, const char *text)
{
    char *path = g_build_filename(directory, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

static Config *read_text(const char *text)
{
    g_autofree char *path = write_file("guestbus.conf", text);
    const ConfigOrigin origin = {.file = path};

    return config_read(&origin);
}

static const SourceConfig *source(const Config *config, guint index)
{
    assert_true(index < config->sources->len);
    return config->sources->pdata[index];
}

/* The only problem, which must say where it is and what is allowed. */
static void assert_problem(const Config *config, unsigned line, const char *part)
{
    g_autofree char *place = g_strdup_printf("/guestbus.conf:%u: ", line);

    assert_int_equal(config->problems->len, 1);
    assert_non_null(strstr(config->problems->pdata[0], place));
    assert_non_null(strstr(config->problems->pdata[0], part));
}

static void test_default(void **state)
{
    g_autoptr(Config) config = read_text("");

    assert_int_equal(config->problems->len, 0);
    assert_int_equal(config->sources->len, 1);
    assert_string_equal(source(config, 0)->label, "local");
    assert_string_equal(source(config, 0)->uri, "qemu:///system");
    assert_int_equal(config->service.agent_timeout, 5);
    assert_int_equal(config->service.memory_stats_period, 10);
}

static void test_all_keys(void **state)
{
    g_autofree char *password = write_file("password", "pa;ss %word\n");
    g_autofree char *text =
        g_strdup_printf("[service]\nlog-level = debug\nagent-timeout = 7\nusers-interval = 11\n"
                        "system-interval = 12\nfilesystems-interval = 13\nmemory-stats-period = off\n"
                        "qmp-event-rate = 14\nqmp-event-burst = 15\n"
                        "[source far host]\nuri = qemu+ssh://root@far/system\n"
                        "[source far]\nuri = qemu+ssh://root@far/system\nread-only = yes\n"
                        "ovirt-channel = off\nusername = admin\npassword-file = %s\n",
                        password);
    g_autoptr(Config) config = NULL;

    chmod(password, 0600);
    config = read_text(text);
    assert_problem(config, 10, "label");
    assert_int_equal(config->service.log_level, 7);
    assert_int_equal(config->service.agent_timeout, 7);
    assert_int_equal(config->service.users_interval, 11);
    assert_int_equal(config->service.system_interval, 12);
    assert_int_equal(config->service.filesystems_interval, 13);
    assert_int_equal(config->service.memory_stats_period, 0);
    assert_int_equal(config->service.qmp_event_rate, 14);
    assert_int_equal(config->service.qmp_event_burst, 15);
    assert_int_equal(config->sources->len, 1);
    assert_true(source(config, 0)->read_only);
    assert_false(source(config, 0)->ovirt_channel);
    assert_string_equal(source(config, 0)->username, "admin");
    assert_string_equal(source(config, 0)->password, "pa;ss %word");
}

static void test_problems_cost_one_key(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *part;
    } rows[] = {
        {"[service]\nagent-timeout = soon\n", 2, "a whole number from 1 to 300"},
        {"[service]\nagent-timeout = 0\n", 2, "5 stays in force"},
        {"[service]\nagent-timeot = 3\n", 2, "unknown key \"agent-timeot\""},
        {"[service]\nagent-timeot = 3\n", 2, "log-level, agent-timeout, users-interval"},
        {"[service]\nlog-level = loud\n", 2, "warning, notice"},
        {"[sauce]\nx = 1\n", 1, "[service] and [source LABEL]"},
        {"[service]\njust words\n", 2, "neither"},
        {"[service\n", 1, "neither"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(Config) config = read_text(rows[i].text);

        assert_problem(config, rows[i].line, rows[i].part);
        assert_int_equal(config->service.agent_timeout, 5);
        assert_int_equal(config->sources->len, 1);
    }
}

/* A mistyped read-only must not become a connection that may write, nor bring back the default source. */
static void test_vital_keys_cost_the_source(void **state)
{
    g_autoptr(Config) config = read_text("[source a]\nuri = test:///default\nread-only = yess\n");
    g_autoptr(Config) misspelt = read_text("[source a]\nuri = test:///default\nReadOnly = yes\n");

    assert_problem(config, 3, "left out");
    assert_int_equal(config->sources->len, 0);
    assert_problem(misspelt, 3, "left out");
    assert_int_equal(misspelt->sources->len, 0);
}

/* inih takes an indented line for more of the value above it. */
static void test_indented_lines_count(void **state)
{
    g_autoptr(Config) config =
        read_text("  [source a]\n\turi = test:///default\n  username = admin\n  read-only = yes\n");

    assert_int_equal(config->problems->len, 0);
    assert_int_equal(config->sources->len, 1);
    assert_string_equal(source(config, 0)->username, "admin");
    assert_true(source(config, 0)->read_only);
}

static void test_every_bad_line_is_told_in_order(void **state)
{
    g_autoptr(Config) config = read_text("junk\n[source a]\n  more junk\nurl = x\nuri = test:///default\n");

    assert_int_equal(config->problems->len, 3);
    assert_non_null(strstr(config->problems->pdata[0], ":1: this is neither"));
    assert_non_null(strstr(config->problems->pdata[1], ":3: this is neither"));
    assert_non_null(strstr(config->problems->pdata[2], ":4: unknown key \"url\""));
    assert_non_null(strstr(config->problems->pdata[2], "there are uri, read-only"));
    assert_int_equal(config->sources->len, 1);
}

/* Who has written a configuration has not asked for the default source. */
static void test_an_unreadable_file_is_no_missing_file(void **state)
{
    const ConfigOrigin origin = {.file = directory};
    g_autoptr(Config) config = config_read(&origin);

    assert_int_equal(config->problems->len, 1);
    assert_non_null(strstr(config->problems->pdata[0], ":0: cannot be read: Is a directory"));
    assert_int_equal(config->sources->len, 0);
}

static void test_empty_section(void **state)
{
    g_autoptr(Config) config = read_text("stray = 1\n");
    g_autoptr(Config) empty = read_text("[source a]\n");

    assert_problem(config, 1, "before the first section");
    assert_problem(empty, 1, "has no uri");
    assert_int_equal(empty->sources->len, 0);
}

static void test_source_without_uri(void **state)
{
    g_autoptr(Config) config = read_text("[source a]\nread-only = yes\n[source b]\nuri = test:///default\n");

    assert_problem(config, 1, "has no uri");
    assert_int_equal(config->sources->len, 1);
    assert_string_equal(source(config, 0)->label, "b");
}

static void test_a_secret_in_a_bad_uri_is_not_told(void **state)
{
    g_autoptr(Config) config = read_text("[source a]\nuri = root:s3cret@host\n");

    assert_int_equal(config->sources->len, 0);
    for (guint i = 0; i < config->problems->len; i++)
        assert_null(strstr(config->problems->pdata[i], "s3cret"));
}

static void test_duplicate_label_names_both_places(void **state)
{
    g_autoptr(Config) config =
        read_text("[source a]\nuri = test:///default\n[source b]\nuri = test:///default\n"
                  "[source a]\nuri = qemu:///system\n");

    assert_problem(config, 5, "/guestbus.conf:1");
    assert_int_equal(config->sources->len, 2);
    assert_string_equal(source(config, 0)->uri, "test:///default");
}

static void test_a_long_line_is_refused_whole(void **state)
{
    g_autofree char *long_value = g_strnfill(4000, 'x');
    g_autofree char *text =
        g_strdup_printf("[source a]\nuri = test:///%s\n[source b]\nuri = test:///default\n", long_value);
    g_autoptr(Config) config = read_text(text);

    assert_int_equal(config->sources->len, 1);
    assert_string_equal(source(config, 0)->label, "b");
    assert_non_null(strstr(config->problems->pdata[0], ":2: the line is longer"));
}

static void test_an_open_password_file_is_refused(void **state)
{
    g_autofree char *password = write_file("open", "secret\n");
    g_autofree char *text =
        g_strdup_printf("[source a]\nuri = test:///default\npassword-file = %s\n", password);
    g_autoptr(Config) config = NULL;

    chmod(password, 0644);
    config = read_text(text);
    assert_problem(config, 3, "chmod 0600");
    assert_int_equal(config->sources->len, 0);
}

static void test_drop_ins_come_in_order_of_their_names(void **state)
{
    g_autofree char *drop_ins = g_build_filename(directory, "guestbus.conf.d", NULL);
    g_autofree char *second = NULL, *first = NULL, *hidden = NULL;
    g_autoptr(Config) config = NULL;

    mkdir(drop_ins, 0755);
    second =
        write_file("guestbus.conf.d/20.conf", "[source b]\nuri = test:///b\n[service]\nagent-timeout = 20\n");
    first =
        write_file("guestbus.conf.d/10.conf", "[source a]\nuri = test:///a\n[service]\nagent-timeout = 10\n");
    hidden = write_file("guestbus.conf.d/.30.conf", "[source c]\nuri = test:///c\n");
    config = read_text("");
    unlink(first);
    unlink(second);
    unlink(hidden);
    assert_int_equal(config->problems->len, 0);
    assert_int_equal(config->sources->len, 2);
    assert_string_equal(source(config, 0)->label, "a");
    assert_int_equal(config->service.agent_timeout, 20);
}

static void test_arguments_replace_the_sources(void **state)
{
    g_autofree char *path = write_file("guestbus.conf", "[source a]\nuri = test:///a\n");
    const char *arguments[] = {"x=test:///default", "nonsense", "x=twice:///", NULL};
    const ConfigOrigin origin = {.file = path, .arguments = (char *const *)arguments};
    g_autoptr(Config) config = config_read(&origin);

    assert_int_equal(config->sources->len, 1);
    assert_string_equal(source(config, 0)->label, "x");
    assert_int_equal(config->problems->len, 2);
}

static void test_bad_arguments_are_told(void **state)
{
    const char *good[] = {"x=test:///default", "y=test:///default", NULL};
    const char *twice[] = {"x=test:///default", "x=test:///default", NULL};
    const char *empty[] = {"x=", NULL};
    g_autofree char *none = config_arguments_problem((char *const *)good);
    g_autofree char *first = config_arguments_problem((char *const *)twice);
    g_autofree char *second = config_arguments_problem((char *const *)empty);

    assert_null(none);
    assert_non_null(strstr(first, "given twice"));
    assert_non_null(strstr(second, "LABEL=URI"));
}

static void test_uris(void **state)
{
    static const struct {
        const char *uri, *shown;
        bool local;
    } rows[] = {
        {"qemu:///system", "qemu:///system", true},
        {"qemu+unix:///system?socket=/x", "qemu+unix:///system?socket=/x", true},
        {"qemu+ssh://root@host/system", "qemu+ssh://root@host/system", false},
        {"esx://root:pw@host:443/?x=a@b:c", "esx://root@host:443/?x=a@b:c", false},
        {"esx://a:b:c@d@[::1]/", "esx://a@[::1]/", false},
        {"esx://root:p/w@host/", "esx://root@host/", false},
        {"nonsense", "nonsense", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *shown = uri_without_secrets(rows[i].uri);

        assert_string_equal(shown, rows[i].shown);
        assert_int_equal(uri_is_local(rows[i].uri), rows[i].local);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),
        cmocka_unit_test(test_all_keys),
        cmocka_unit_test(test_problems_cost_one_key),
        cmocka_unit_test(test_vital_keys_cost_the_source),
        cmocka_unit_test(test_indented_lines_count),
        cmocka_unit_test(test_every_bad_line_is_told_in_order),
        cmocka_unit_test(test_an_unreadable_file_is_no_missing_file),
        cmocka_unit_test(test_empty_section),
        cmocka_unit_test(test_source_without_uri),
        cmocka_unit_test(test_a_secret_in_a_bad_uri_is_not_told),
        cmocka_unit_test(test_duplicate_label_names_both_places),
        cmocka_unit_test(test_a_long_line_is_refused_whole),
        cmocka_unit_test(test_an_open_password_file_is_refused),
        cmocka_unit_test(test_drop_ins_come_in_order_of_their_names),
        cmocka_unit_test(test_arguments_replace_the_sources),
        cmocka_unit_test(test_bad_arguments_are_told),
        cmocka_unit_test(test_uris),
    };

    assert_non_null(mkdtemp(directory));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
