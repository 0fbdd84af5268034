// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "service/reporter/settings-reader.h"
#include "service/reporter/text-file.h"

#define LOG_DIR_DEFAULT "/var/log/rhsm"
#define LOG_FILE_DEFAULT "rhsm.log"
#define REPORTER_ID_MAX 255
#define MACHINE_ID_MAX 256
/* The section that stands for "nothing was configured". */
#define DEFAULT_SECTION "cmdline"

static char *below(const char *root, const char *path)
{
    return root ? g_build_filename(root, path, NULL) : g_strdup(path);
}

void settings_paths_init(SettingsPaths *paths, const char *root)
{
    root = root ?: getenv("GUESTBUS_REPORTER_ROOT");
    if (root && !*root)
        root = NULL;
    *paths = (SettingsPaths){
        .root = g_strdup(root),
        .general = below(root, "/etc/virt-who.conf"),
        .drop_in_dir = below(root, "/etc/virt-who.d"),
        .rhsm = below(root, "/etc/rhsm/rhsm.conf"),
        .key = below(root, "/var/lib/virt-who/key"),
        .machine_id = g_strdup("/etc/machine-id"),
        .consumer_dir = root ? below(root, "/etc/pki/consumer") : NULL,
    };
    g_autofree char *ca_dir = below(root, "/etc/rhsm/ca");

    if (root && g_file_test(ca_dir, G_FILE_TEST_IS_DIR))
        paths->ca_dir = g_steal_pointer(&ca_dir);
}

void settings_paths_clear(SettingsPaths *paths)
{
    g_free(paths->root);
    g_free(paths->general);
    g_free(paths->drop_in_dir);
    g_free(paths->rhsm);
    g_free(paths->key);
    g_free(paths->machine_id);
    g_free(paths->consumer_dir);
    g_free(paths->ca_dir);
    *paths = (SettingsPaths){};
}

/* --- [global] --- */

static void tell_global(SettingsReader *reader, int priority, const IniOption *option, const char *message)
{
    settings_tell(reader, priority, "%s:%u: [global] \"%s\" %s", reader->general->path, option->line,
                  option->name, message);
}

/* virt-who takes 3600 for every value that it does not like, also for those below its minimum. */
static bool parse_interval(const char *text, unsigned *ret_interval)
{
    unsigned interval;

    if (settings_parse_number(text, UINT32_MAX / 1000, &interval) == 0 && interval >= SETTINGS_INTERVAL_MIN) {
        *ret_interval = interval;
        return true;
    }
    *ret_interval = SETTINGS_INTERVAL_DEFAULT;
    return false;
}

static void read_global_boolean(SettingsReader *reader, const IniOption *option, bool *target)
{
    int value = settings_parse_boolean(option->value);

    if (value < 0)
        tell_global(reader, LOG_WARNING, option, "is neither yes nor no and ignored");
    else
        *target = value;
    if (value > 0 && strcmp(option->name, "log_per_config") == 0)
        tell_global(reader, LOG_WARNING, option, "has no effect: the log is one file");
}

static void replace_text(char **target, const char *value)
{
    if (!*value)
        return;
    g_free(*target);
    *target = g_strdup(value);
}

static bool *global_boolean(Settings *settings, const char *name)
{
    const struct {
        const char *name;
        bool *target;
    } booleans[] = {
        {"debug", &settings->debug},  {"oneshot", &settings->oneshot},
        {"print_", &settings->print}, {"status", &settings->status},
        {"json", &settings->json},    {"log_per_config", &settings->log_per_config},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(booleans); i++)
        if (strcmp(name, booleans[i].name) == 0)
            return booleans[i].target;
    return NULL;
}

static void read_global_option(SettingsReader *reader, const IniOption *option)
{
    Settings *settings = reader->settings;
    bool *boolean = global_boolean(settings, option->name);

    if (boolean)
        read_global_boolean(reader, option, boolean);
    else if (strcmp(option->name, "interval") == 0) {
        if (!parse_interval(option->value, &settings->interval))
            tell_global(reader, LOG_WARNING, option, "must be at least 60 seconds; 3600 is used");
    } else if (strcmp(option->name, "reporter_id") == 0)
        replace_text(&settings->reporter_id, option->value);
    else if (strcmp(option->name, "log_dir") == 0)
        replace_text(&settings->log_dir, option->value);
    else if (strcmp(option->name, "log_file") == 0)
        replace_text(&settings->log_file, option->value);
    else if (strcmp(option->name, "configs") != 0)
        tell_global(reader, LOG_WARNING, option, "is not known and ignored");
}

static void read_environment(SettingsReader *reader)
{
    const IniSection *section = ini_find(reader->general->ini, "system_environment");

    for (unsigned i = 0; section && i < section->options->len; i++) {
        const IniOption *option = section->options->pdata[i];

        g_hash_table_replace(reader->settings->environment, g_strdup(option->name),
                             secret_new(option->value));
    }
}

static int read_general(SettingsReader *reader)
{
    const IniSection *global, *defaults;

    if (reader->general_lost) {
        /* Without [defaults] hosts would be reported that it keeps back, or to somebody else. */
        settings_tell(reader, LOG_ERR, "nothing is reported until %s can be read",
                      settings_shown_path(reader, reader->paths->general));
        return -EINVAL;
    }
    if (!reader->general)
        return 0;
    global = ini_find(reader->general->ini, "global");
    defaults = ini_find(reader->general->ini, "defaults");
    if ((global && global->broken) || (defaults && defaults->broken)) {
        settings_tell(reader, LOG_ERR, "%s: nothing is reported until [%s] is repaired",
                      reader->general->path, global && global->broken ? "global" : "defaults");
        return -EINVAL;
    }
    for (unsigned i = 0; global && i < global->options->len; i++)
        read_global_option(reader, global->options->pdata[i]);
    read_environment(reader);
    return 0;
}

/* --- the reporter's id --- */

static char *default_reporter_id(const SettingsPaths *paths)
{
    char hostname[256] = "localhost";
    g_autoptr(Secret) machine_id = NULL;

    (void)gethostname(hostname, sizeof(hostname) - 1);
    if (text_file_read(paths->machine_id, MACHINE_ID_MAX, &machine_id, NULL, NULL) < 0)
        return g_strdup(hostname);
    return g_strdup_printf("%s-%s", hostname, g_strstrip(machine_id));
}

/* Katello pastes the id into a URL as it is. */
static void clean_reporter_id(SettingsReader *reader)
{
    char *id = reader->settings->reporter_id;
    bool changed = strlen(id) > REPORTER_ID_MAX;

    if (changed)
        id[REPORTER_ID_MAX] = '\0';
    for (; *id; id++)
        if (!g_ascii_isalnum(*id) && !strchr("._-", *id)) {
            *id = '-';
            changed = true;
        }
    if (changed)
        settings_tell(reader, LOG_WARNING,
                      "the reporter_id has characters that servers do not take; \"%s\" is used",
                      reader->settings->reporter_id);
}

/* --- sections --- */

/* Tells about each section name that is in two files, naming both, and remembers the names. */
static GHashTable *find_duplicates(SettingsReader *reader, const GPtrArray *files)
{
    g_autoptr(GHashTable) first = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTable *duplicates = g_hash_table_new(g_str_hash, g_str_equal);

    for (unsigned i = 0; i < files->len; i++) {
        const SettingsFile *file = files->pdata[i];

        for (unsigned j = 0; j < file->ini->sections->len; j++) {
            const IniSection *section = file->ini->sections->pdata[j];
            const SettingsFile *other = g_hash_table_lookup(first, section->name);

            if (settings_section_is_special(section->name))
                continue;
            if (!other) {
                g_hash_table_insert(first, section->name, (void *)file);
                continue;
            }
            g_hash_table_add(duplicates, section->name);
            settings_tell(reader, LOG_ERR, "[%s] is in two files, %s:%u and %s:%u; neither is used",
                          section->name, other->path, ini_find(other->ini, section->name)->line, file->path,
                          section->line);
        }
    }
    return duplicates;
}

static void read_sections(SettingsReader *reader, const SettingsFile *file, GHashTable *duplicates,
                          unsigned *ret_count)
{
    Settings *settings = reader->settings;

    for (unsigned i = 0; i < file->ini->sections->len; i++) {
        const IniSection *section = file->ini->sections->pdata[i];
        SettingsSection view = {.reader = reader, .file = file, .section = section};

        if (settings_section_is_special(section->name))
            continue;
        (*ret_count)++;
        Mapping *mapping =
            g_hash_table_contains(duplicates, section->name) ? NULL : settings_mapping_read(&view);

        if (mapping)
            g_ptr_array_add(settings->mappings, mapping);
        else
            settings->dropped++;
    }
}

/* What counts when nothing at all is configured: the VMs of this host, reported with its own certificate. */
static void add_default_mapping(SettingsReader *reader)
{
    static const char text[] = "[" DEFAULT_SECTION "]\ntype=libvirt\n";
    SettingsFile *file = g_new0(SettingsFile, 1);
    unsigned count = 0;

    file->path = g_strdup("(built in)");
    file->ini = ini_parse(text, sizeof(text) - 1, NULL, NULL);
    g_ptr_array_add(reader->files, file);
    g_autoptr(GHashTable) none = g_hash_table_new(g_str_hash, g_str_equal);

    settings_tell(reader, LOG_WARNING, "nothing is configured: the local libvirt is reported");
    read_sections(reader, file, none, &count);
}

/* The files whose sections are sources: the general one comes first, unless others were named instead. */
static GPtrArray *source_files(const SettingsReader *reader, bool explicit_files)
{
    GPtrArray *files = g_ptr_array_new();

    if (reader->general && !explicit_files)
        g_ptr_array_add(files, reader->general);
    g_ptr_array_extend(files, reader->files, NULL, NULL);
    return files;
}

static int read_mappings(SettingsReader *reader, bool explicit_files)
{
    g_autoptr(GPtrArray) files = source_files(reader, explicit_files);
    g_autoptr(GHashTable) duplicates = find_duplicates(reader, files);
    unsigned count = 0;

    for (unsigned i = 0; i < files->len; i++)
        read_sections(reader, files->pdata[i], duplicates, &count);
    if (reader->trouble)
        reader->settings->dropped++;
    if (reader->settings->mappings->len > 0)
        return 0;
    if (count > 0 || reader->trouble || explicit_files) {
        settings_tell(reader, LOG_ERR, "no usable section in the configuration");
        return -ENODATA;
    }
    add_default_mapping(reader);
    return reader->settings->mappings->len > 0 ? 0 : -ENODATA;
}

static Settings *settings_new(void)
{
    Settings *settings = g_new0(Settings, 1);

    settings->interval = SETTINGS_INTERVAL_DEFAULT;
    settings->log_dir = g_strdup(LOG_DIR_DEFAULT);
    settings->log_file = g_strdup(LOG_FILE_DEFAULT);
    settings->mappings = g_ptr_array_new_with_free_func(settings_mapping_free);
    settings->destinations = g_ptr_array_new_with_free_func(settings_destination_free);
    settings->environment =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)secret_free);
    return settings;
}

static void reader_clear(SettingsReader *reader)
{
    g_ptr_array_unref(reader->files);
    settings_file_free(reader->general);
    settings_file_free(reader->rhsm);
    settings_free(reader->settings);
    cipher_key_wipe(&reader->key);
    g_free(reader->certificate_owner);
    g_free(reader->certificate_uuid);
    g_free(reader->consumer_dir);
}

/* Whether -c or [global] configs names the files. */
static bool has_explicit_files(const SettingsReader *reader, const SettingsOptions *options)
{
    return (options->files && options->files->len) ||
           (reader->general && ini_value(reader->general->ini, "global", "configs"));
}

static int read_all(SettingsReader *reader, const SettingsOptions *options)
{
    Settings *settings = reader->settings;

    settings_files_read(reader, options->files);
    bool explicit_files = has_explicit_files(reader, options);
    int r = read_general(reader);

    if (r < 0)
        return r;
    if (options->interval && !parse_interval(options->interval, &settings->interval))
        settings_tell(reader, LOG_WARNING, "the interval must be at least 60 seconds; 3600 is used");
    settings->debug |= options->debug;
    if (!settings->reporter_id)
        settings->reporter_id = default_reporter_id(options->paths);
    clean_reporter_id(reader);
    return read_mappings(reader, explicit_files);
}

int settings_read(const SettingsOptions *options, SettingsMessage tell, void *userdata,
                  Settings **ret_settings)
{
    SettingsReader reader = {
        .paths = options->paths,
        .tell = tell,
        .userdata = userdata,
        .settings = settings_new(),
        .files = g_ptr_array_new_with_free_func(settings_file_free),
        .key_state = 1,
    };
    int r = read_all(&reader, options);

    if (r == 0)
        *ret_settings = g_steal_pointer(&reader.settings);
    reader_clear(&reader);
    return r;
}

Settings *settings_new_empty(const SettingsOptions *options)
{
    Settings *settings = settings_new();

    settings->reporter_id = default_reporter_id(options->paths);
    settings->debug = options->debug;
    settings->dropped = 1;
    return settings;
}

void settings_free(Settings *settings)
{
    if (!settings)
        return;
    g_free(settings->reporter_id);
    g_free(settings->log_dir);
    g_free(settings->log_file);
    g_ptr_array_unref(settings->mappings);
    g_ptr_array_unref(settings->destinations);
    g_hash_table_unref(settings->environment);
    g_free(settings);
}

Mapping *settings_find_mapping(const Settings *settings, const char *name)
{
    for (unsigned i = 0; i < settings->mappings->len; i++) {
        Mapping *mapping = settings->mappings->pdata[i];

        if (strcmp(mapping->name, name) == 0)
            return mapping;
    }
    return NULL;
}
