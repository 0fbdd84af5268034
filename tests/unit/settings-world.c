// SPDX-License-Identifier: LGPL-2.1-or-later
#include "settings-world.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

static void tell(int priority, const char *message, void *userdata)
{
    World *world = userdata;
    const char *name = priority <= LOG_ERR ? "error" : priority == LOG_WARNING ? "warning" : "note";

    g_string_append_printf(world->told, "%s %s\n", name, message);
}

int settings_world_setup(void **state)
{
    World *world = g_new0(World, 1);

    for (const char *const *name =
             (const char *const[]){"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY",
                                   "no_proxy", "CREDENTIALS_DIRECTORY", NULL};
         *name; name++)
        unsetenv(*name);
    world->root = g_dir_make_tmp("gb.XXXXXX", NULL);
    world->told = g_string_new(NULL);
    world->files = g_ptr_array_new_with_free_func(g_free);
    *state = world;
    return 0;
}

static void remove_tree(const char *path)
{
    GDir *directory = g_dir_open(path, 0, NULL);

    for (const char *name; directory && (name = g_dir_read_name(directory));) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        remove_tree(child);
    }
    g_clear_pointer(&directory, g_dir_close);
    g_remove(path);
}

int settings_world_teardown(void **state)
{
    World *world = *state;

    settings_free(world->settings);
    remove_tree(world->root);
    g_ptr_array_unref(world->files);
    g_string_free(world->told, TRUE);
    g_free(world->root);
    g_free(world);
    return 0;
}

void write_file(World *world, const char *path, const char *text, int mode)
{
    g_autofree char *full = g_build_filename(world->root, path, NULL), *directory = g_path_get_dirname(full);

    assert_int_equal(g_mkdir_with_parents(directory, 0700), 0);
    assert_true(g_file_set_contents(full, text, -1, NULL));
    assert_int_equal(g_chmod(full, mode), 0);
}

void drop_in(World *world, const char *name, const char *text)
{
    g_autofree char *path = g_build_filename("etc/virt-who.d", name, NULL);

    write_file(world, path, text, 0600);
}

void general(World *world, const char *text)
{
    write_file(world, "etc/virt-who.conf", text, 0600);
}

int read_settings(World *world)
{
    SettingsPaths paths;
    SettingsOptions options = {.paths = &paths, .files = world->files, .interval = world->interval};

    settings_paths_init(&paths, world->root);
    g_clear_pointer(&world->settings, settings_free);
    g_string_truncate(world->told, 0);
    int r = settings_read(&options, tell, world, &world->settings);

    settings_paths_clear(&paths);
    return r;
}

const Mapping *one(World *world, const char *text)
{
    drop_in(world, "a.conf", text);
    int r = read_settings(world);

    if (r < 0)
        fail_msg("%s: %s", strerror(-r), world->told->str);
    assert_int_equal(world->settings->mappings->len, 1);
    return world->settings->mappings->pdata[0];
}

void assert_told(const World *world, const char *text)
{
    if (!strstr(world->told->str, text))
        fail_msg("\"%s\" was not told, but: %s", text, world->told->str);
}

void assert_not_told(const World *world, const char *text)
{
    if (strstr(world->told->str, text))
        fail_msg("told: %s", world->told->str);
}

void assert_refused(World *world, const char *text, const char *told)
{
    drop_in(world, "a.conf", text);
    assert_int_equal(read_settings(world), -ENODATA);
    assert_null(world->settings);
    assert_told(world, told);
    assert_told(world, "error");
}
