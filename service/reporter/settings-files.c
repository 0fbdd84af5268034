// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which files are read, in which order, and what is said about those that cannot be. */
#include "service/reporter/settings-reader.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "service/cleanup.h"
#include "service/reporter/text-file.h"

typedef struct FileMessages {
    SettingsReader *reader;
    const char *path;
} FileMessages;

void settings_tell(SettingsReader *reader, int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (reader->tell)
        reader->tell(priority, message, reader->userdata);
}

/* With a root that stands for "/", people look for the file below the real one. */
const char *settings_shown_path(const SettingsReader *reader, const char *path)
{
    const char *root = reader->paths->root;

    return root && g_str_has_prefix(path, root) && path[strlen(root)] == '/' ? path + strlen(root) : path;
}

static void tell_line(int priority, unsigned line, const char *message, void *userdata)
{
    const FileMessages *messages = userdata;

    settings_tell(messages->reader, priority, "%s:%u: %s", messages->path, line, message);
}

static const char *read_error(int error)
{
    switch (error) {
    case -EPERM:
        return "everybody may write to it, so it is not trusted";
    case -EFBIG:
        return "it is too large";
    case -EINVAL:
        return "it is not a regular file";
    default:
        return strerror(-error);
    }
}

SettingsFile *settings_file_read(SettingsReader *reader, const char *path, bool optional)
{
    FileMessages messages = {.reader = reader, .path = settings_shown_path(reader, path)};
    g_autoptr(Secret) text = NULL;
    struct stat status;
    size_t size;
    int r = text_file_read(path, INI_SIZE_MAX, &text, &size, &status);

    if (r == -ENOENT && optional)
        return NULL;
    if (r < 0) {
        settings_tell(reader, LOG_ERR, "%s: cannot be read: %s", messages.path, read_error(r));
        reader->trouble = true;
        return NULL;
    }
    SettingsFile *file = g_new0(SettingsFile, 1);

    file->path = g_strdup(messages.path);
    file->ini = ini_parse(text, size, tell_line, &messages);
    file->readable_by_others = status.st_mode & S_IROTH;
    if (file->ini->broken)
        reader->trouble = true;
    return file;
}

void settings_file_free(void *data)
{
    SettingsFile *file = data;

    if (!file)
        return;
    g_free(file->path);
    ini_free(file->ini);
    g_free(file);
}

static void add_file(SettingsReader *reader, const char *path)
{
    SettingsFile *file = settings_file_read(reader, path, false);

    if (!file)
        return;
    g_ptr_array_add(reader->files, file);
    for (unsigned i = 0; i < file->ini->sections->len; i++) {
        const IniSection *section = file->ini->sections->pdata[i];

        if (settings_section_is_special(section->name))
            settings_tell(reader, LOG_WARNING, "%s:%u: [%s] counts in %s only and is ignored here",
                          file->path, section->line, section->name,
                          settings_shown_path(reader, reader->paths->general));
    }
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The names of the drop-ins, in the order of the C locale, so that it is the same everywhere. */
static GPtrArray *list_drop_ins(SettingsReader *reader, DIR *directory, const char *shown)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    unsigned others = 0;

    for (struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] == '.')
            continue;
        if (g_str_has_suffix(entry->d_name, ".conf")) {
            g_ptr_array_add(names, g_strdup(entry->d_name));
            continue;
        }
        others++;
        settings_tell(reader, LOG_DEBUG, "%s/%s: ignored, its name does not end in .conf", shown,
                      entry->d_name);
    }
    if (names->len == 0 && others)
        settings_tell(reader, LOG_WARNING, "%s: has files, but none whose name ends in .conf", shown);
    g_ptr_array_sort(names, compare_names);
    return names;
}

static void read_drop_ins(SettingsReader *reader)
{
    const char *path = reader->paths->drop_in_dir, *shown = settings_shown_path(reader, path);
    DIR *directory = opendir(path);

    if (!directory) {
        bool missing = errno == ENOENT;

        settings_tell(reader, missing ? LOG_INFO : LOG_ERR, "%s: cannot be read: %s", shown, strerror(errno));
        if (!missing)
            reader->trouble = true;
        return;
    }
    g_autoptr(GPtrArray) names = list_drop_ins(reader, directory, shown);

    closedir(directory);
    for (unsigned i = 0; i < names->len; i++) {
        g_autofree char *file = g_build_filename(path, names->pdata[i], NULL);

        add_file(reader, file);
    }
}

/* A server that cannot be read must not become the default one, which would be sent the passwords that are
 * meant for the other. */
static void read_rhsm(SettingsReader *reader)
{
    bool before = reader->trouble;
    const IniSection *server;

    reader->trouble = false;
    reader->rhsm = settings_file_read(reader, reader->paths->rhsm, true);
    server = reader->rhsm ? ini_find(reader->rhsm->ini, "server") : NULL;
    reader->rhsm_lost = server ? server->broken : reader->trouble;
    reader->trouble |= before;
}

void settings_files_read(SettingsReader *reader, const GPtrArray *extra)
{
    g_autoptr(GPtrArray) listed = NULL;
    const IniOption *configs;

    reader->general = settings_file_read(reader, reader->paths->general, true);
    reader->general_lost = !reader->general && reader->trouble;
    read_rhsm(reader);
    configs = reader->general ? ini_section_find(ini_find(reader->general->ini, "global"), "configs") : NULL;
    if ((!extra || extra->len == 0) && configs)
        extra = listed = settings_split(configs->value);
    if (extra && extra->len) {
        for (unsigned i = 0; i < extra->len; i++)
            add_file(reader, extra->pdata[i]);
        return;
    }
    read_drop_ins(reader);
}
