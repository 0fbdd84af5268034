/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/config.h"

#include "service/cleanup.h"
#include "service/config-keys.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

/* inih cuts a longer line without a word; we refuse it instead. */
#define CONFIG_LINE_MAX 190
#define CONFIG_DEFAULT_URI "qemu:///system"

typedef struct Reader {
    Config *config;
    const char *path;
    FILE *file;
    unsigned line;
    SourceConfig *source; /* of the section being read, or NULL */
    bool in_section;
    bool sections_seen; /* a [source] section was there, good or bad */
    bool skip;          /* the section is not ours, or was refused */
} Reader;

static void problem(Reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void problem(Reader *reader, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    g_ptr_array_add(reader->config->problems, g_strdup_printf("%s:%u: %s", reader->path, reader->line, text));
}

static SourceConfig *find_source(const Config *config, const char *label)
{
    for (guint i = 0; i < config->sources->len; i++) {
        SourceConfig *source = config->sources->pdata[i];

        if (g_str_equal(source->label, label))
            return source;
    }
    return NULL;
}

static bool label_valid(const char *label)
{
    return *label && strlen(label) <= 64 && g_utf8_validate(label, -1, NULL) && !strpbrk(label, "/ \t=");
}

static SourceConfig *add_source(Config *config, const char *label, char *origin)
{
    SourceConfig *source = g_new0(SourceConfig, 1);

    source->label = g_strdup(label);
    source->ovirt_channel = true;
    source->origin = origin;
    g_ptr_array_add(config->sources, source);
    return source;
}

static void enter_source(Reader *reader, const char *label)
{
    SourceConfig *other = find_source(reader->config, label);

    reader->sections_seen = true;
    reader->skip = true;
    if (!label_valid(label))
        problem(reader,
                "\"%s\" can't be a source's label: it takes 1 to 64 characters without space, '/' and '='",
                label);
    else if (other)
        problem(reader, "source \"%s\" is configured already at %s; this section is ignored", label,
                other->origin);
    else if (reader->config->sources->len >= CONFIG_SOURCES_MAX)
        problem(reader, "more than %d sources; \"%s\" is ignored", CONFIG_SOURCES_MAX, label);
    else {
        reader->skip = false;
        reader->source =
            add_source(reader->config, label, g_strdup_printf("%s:%u", reader->path, reader->line));
    }
}

static void enter_section(Reader *reader, const char *section)
{
    reader->in_section = true;
    reader->source = NULL;
    reader->skip = false;
    if (g_str_equal(section, "service"))
        return;
    if (g_str_has_prefix(section, "source ")) {
        g_autofree char *label = g_strstrip(g_strdup(section + strlen("source ")));

        enter_source(reader, label);
        return;
    }
    reader->skip = true;
    problem(reader, "unknown section [%s]; there are [service] and [source LABEL]", section);
}

/* A section's header is taken here and not from inih, which tells of a section only with its first key and
 * cuts its name. */
static void look_for_section(Reader *reader, const char *line)
{
    const char *end = strchr(line, ']');
    g_autofree char *section = NULL;

    section = g_strndup(line + 1, (gsize)(end - line - 1));
    enter_section(reader, section);
}

/* Takes a line that begins with its first character. One that inih could not use is replaced by an empty one,
 * because inih would tell of the first of them only. */
static void look_at_line(Reader *reader, char *line)
{
    if (strchr("#;\r\n", *line))
        return;
    if (*line == '[' && strchr(line, ']'))
        look_for_section(reader, line);
    else if (*line == '[' || !strpbrk(line, "=:")) {
        problem(reader, "this is neither [section] nor key = value");
        *line = '\0';
    }
}

/* inih's line source. It counts lines itself because Debian's build of inih does not tell them, and it
 * refuses lines that inih would cut. White space before a line is taken away: to inih an indented line goes
 * on with the value above, and an indented read-only would be lost in it. */
static char *read_line(char *buffer, int size, void *stream)
{
    Reader *reader = stream;
    size_t length;

    if (!fgets(buffer, size, reader->file))
        return NULL;
    reader->line++;
    length = strlen(buffer);
    if (length >= CONFIG_LINE_MAX && buffer[length - 1] != '\n') {
        int c;

        problem(reader, "the line is longer than %d bytes; it is ignored", CONFIG_LINE_MAX);
        while ((c = fgetc(reader->file)) != EOF && c != '\n')
            ;
        g_strlcpy(buffer, "\n", (gsize)size);
    }
    g_strchug(buffer);
    look_at_line(reader, buffer);
    return buffer;
}

static int on_pair(void *user, const char *section, const char *name, const char *value)
{
    Reader *reader = user;
    g_autofree char *message = NULL;
    int r;

    if (reader->skip)
        return 1;
    if (!reader->in_section) {
        problem(reader, "\"%s\" stands before the first section", name);
        return 1;
    }
    if (reader->source)
        r = config_key_source(reader->source, name, value, &message);
    else
        r = config_key_service(&reader->config->service, name, value, &message);
    if (r < 0 && reader->source && config_key_is_vital(name)) {
        problem(reader, "%s; the source \"%s\" is left out", message, reader->source->label);
        g_ptr_array_remove(reader->config->sources, TAKE_PTR(reader->source));
        reader->skip = true;
    } else if (r < 0)
        problem(reader, "%s", message);
    return 1;
}

/* What cannot be read may have had sources in it: the default does not take their place. */
static void note_unreadable(Config *config, const char *path, int error, bool *sections_seen)
{
    g_ptr_array_add(config->problems, g_strdup_printf("%s:0: cannot be read: %s", path, g_strerror(error)));
    *sections_seen = true;
}

static void read_file(Config *config, const char *path, bool required, bool *sections_seen)
{
    Reader reader = {.config = config, .path = path};
    int r;

    reader.file = fopen(path, "re");
    if (!reader.file) {
        if (required || errno != ENOENT)
            note_unreadable(config, path, errno, sections_seen);
        return;
    }
    errno = 0;
    r = ini_parse_stream(read_line, &reader, on_pair, &reader);
    if (ferror(reader.file)) /* a directory, for example */
        note_unreadable(config, path, errno ? errno : EIO, sections_seen);
    else if (r > 0) {
        reader.line = (unsigned)r;
        problem(&reader, "this is neither [section] nor key = value");
    } else if (r < 0)
        note_unreadable(config, path, ENOMEM, sections_seen);
    *sections_seen |= reader.sections_seen;
    fclose(reader.file);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_directory(Config *config, const char *directory, bool *sections_seen)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    DIR *dir = opendir(directory);
    const struct dirent *entry;

    if (!dir) {
        if (errno != ENOENT)
            note_unreadable(config, directory, errno, sections_seen);
        return;
    }
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.' && g_str_has_suffix(entry->d_name, ".conf"))
            g_ptr_array_add(names, g_build_filename(directory, entry->d_name, NULL));
    closedir(dir);
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i < names->len; i++)
        read_file(config, names->pdata[i], true, sections_seen);
}

static void read_arguments(Config *config, char *const *arguments)
{
    g_ptr_array_set_size(config->sources, 0);
    for (; *arguments; arguments++) {
        const char *equals = strchr(*arguments, '=');
        g_autofree char *label = equals ? g_strndup(*arguments, (gsize)(equals - *arguments)) : NULL;

        if (!label || !label_valid(label) || !equals[1])
            g_ptr_array_add(config->problems, g_strdup_printf("--source=%s: it takes LABEL=URI", *arguments));
        else if (find_source(config, label))
            g_ptr_array_add(config->problems,
                            g_strdup_printf("--source=%s: this label is given twice", *arguments));
        else
            add_source(config, label, g_strdup("the command line"))->uri = g_strdup(equals + 1);
    }
}

/* A section without a usable URI is dropped; its message has named what is wrong with it. */
static void drop_incomplete(Config *config)
{
    for (guint i = config->sources->len; i > 0; i--) {
        SourceConfig *source = config->sources->pdata[i - 1];

        if (source->uri)
            continue;
        g_ptr_array_add(config->problems,
                        g_strdup_printf("%s: source \"%s\" has no uri; the section is ignored",
                                        source->origin, source->label));
        g_ptr_array_remove_index(config->sources, i - 1);
    }
}

static void free_source(gpointer source)
{
    source_config_free(source);
}

static Config *config_new(void)
{
    Config *config = g_new0(Config, 1);

    config_key_defaults(&config->service);
    config->sources = g_ptr_array_new_with_free_func(free_source);
    config->problems = g_ptr_array_new_with_free_func(g_free);
    return config;
}

char *config_arguments_problem(char *const *arguments)
{
    g_autoptr(Config) config = config_new();

    read_arguments(config, arguments);
    return config->problems->len > 0 ? g_strdup(config->problems->pdata[0]) : NULL;
}

Config *config_read(const ConfigOrigin *origin)
{
    Config *config = config_new();
    const char *file = origin->file ? origin->file : CONFIG_FILE;
    g_autofree char *directory = g_strconcat(file, ".d", NULL);
    bool sections_seen = false;

    read_file(config, file, origin->file != NULL, &sections_seen);
    read_directory(config, directory, &sections_seen);
    if (origin->arguments && *origin->arguments)
        read_arguments(config, origin->arguments);
    else if (!sections_seen)
        add_source(config, "local", g_strdup("the default"))->uri = g_strdup(CONFIG_DEFAULT_URI);
    drop_incomplete(config);
    return config;
}

Config *config_free(Config *config)
{
    if (!config)
        return NULL;
    g_ptr_array_unref(config->sources);
    g_ptr_array_unref(config->problems);
    g_free(config);
    return NULL;
}

SourceConfig *source_config_copy(const SourceConfig *config)
{
    SourceConfig *copy = g_new0(SourceConfig, 1);

    *copy = *config;
    copy->label = g_strdup(config->label);
    copy->uri = g_strdup(config->uri);
    copy->username = g_strdup(config->username);
    copy->password = g_strdup(config->password);
    copy->origin = g_strdup(config->origin);
    return copy;
}

SourceConfig *source_config_free(SourceConfig *config)
{
    if (!config)
        return NULL;
    if (config->password)
        explicit_bzero(config->password, strlen(config->password));
    g_free(config->password);
    g_free(config->username);
    g_free(config->label);
    g_free(config->uri);
    g_free(config->origin);
    g_free(config);
    return NULL;
}

bool source_config_equal(const SourceConfig *a, const SourceConfig *b)
{
    return g_str_equal(a->label, b->label) && g_str_equal(a->uri, b->uri) && a->read_only == b->read_only &&
           a->ovirt_channel == b->ovirt_channel && g_strcmp0(a->username, b->username) == 0 &&
           g_strcmp0(a->password, b->password) == 0;
}

char *uri_without_secrets(const char *uri)
{
    const char *authority = strstr(uri, "://");
    const char *end, *at, *colon;

    if (!authority)
        return g_strdup(uri);
    authority += 3;
    /* Beyond the first slash, too: a password may have one that should have been written as %2F. */
    end = authority + strcspn(authority, "?#");
    at = memrchr(authority, '@', (size_t)(end - authority));
    colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    if (!colon)
        return g_strdup(uri);
    return g_strdup_printf("%.*s%s", (int)(colon - uri), uri, at);
}

bool uri_is_local(const char *uri)
{
    const char *authority = strstr(uri, "://");

    return authority && (authority[3] == '/' || authority[3] == '\0' || authority[3] == '?');
}
