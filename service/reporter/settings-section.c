// SPDX-License-Identifier: LGPL-2.1-or-later
/* The keys that a section may have, and their values as text, numbers, lists and passwords. */
#include "service/reporter/settings-reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "service/reporter/text-file.h"

#define CREDENTIAL_MAX 4096

static const SettingsKey keys[] = {
    {"type", SETTINGS_TEXT, NULL},
    {"virt_type", SETTINGS_TEXT, NULL},
    {"sm_type", SETTINGS_TEXT, NULL},
    {"server", SETTINGS_TEXT, NULL},
    {"username", SETTINGS_TEXT, NULL},
    {"password", SETTINGS_SECRET, NULL},
    {"encrypted_password", SETTINGS_SECRET, NULL},
    {"owner", SETTINGS_TEXT, NULL},
    {"hypervisor_id", SETTINGS_TEXT, NULL},
    {"filter_hosts", SETTINGS_LIST, NULL},
    {"filter_host_uuids", SETTINGS_LIST, NULL},
    {"exclude_hosts", SETTINGS_LIST, NULL},
    {"exclude_host_uuids", SETTINGS_LIST, NULL},
    {"filter_type", SETTINGS_TEXT, NULL},
    {"filter_host_parents", SETTINGS_LIST, "esx"},
    {"exclude_host_parents", SETTINGS_LIST, "esx"},
    {"rhsm_hostname", SETTINGS_TEXT, NULL},
    {"rhsm_port", SETTINGS_TEXT, NULL},
    {"rhsm_prefix", SETTINGS_TEXT, NULL},
    {"rhsm_username", SETTINGS_TEXT, NULL},
    {"rhsm_password", SETTINGS_SECRET, NULL},
    {"rhsm_encrypted_password", SETTINGS_SECRET, NULL},
    {"rhsm_proxy_hostname", SETTINGS_TEXT, NULL},
    {"rhsm_proxy_port", SETTINGS_TEXT, NULL},
    {"rhsm_proxy_user", SETTINGS_TEXT, NULL},
    {"rhsm_proxy_password", SETTINGS_SECRET, NULL},
    {"rhsm_encrypted_proxy_password", SETTINGS_SECRET, NULL},
    {"rhsm_no_proxy", SETTINGS_TEXT, NULL},
    {"rhsm_insecure", SETTINGS_BOOLEAN, NULL},
    {"sat_server", SETTINGS_SATELLITE_5, NULL},
    {"sat_username", SETTINGS_SATELLITE_5, NULL},
    {"sat_password", SETTINGS_SATELLITE_5, NULL},
    {"sat_encrypted_password", SETTINGS_SATELLITE_5, NULL},
    {"simplified_vim", SETTINGS_BOOLEAN, "esx"},
    {"kubeconfig", SETTINGS_TEXT, "kubevirt"},
    {"kubeversion", SETTINGS_TEXT, "kubevirt"},
    {"insecure", SETTINGS_BOOLEAN, "kubevirt"},
    {"namespace", SETTINGS_TEXT, "kubevirt"},
    {"prism_central", SETTINGS_BOOLEAN, "ahv"},
    {"ahv_internal_debug", SETTINGS_BOOLEAN, "ahv"},
    {"update_interval", SETTINGS_TEXT, "ahv"},
    {"auth_method", SETTINGS_TEXT, "hyperv"},
    {"kerberos_keytab", SETTINGS_TEXT, "hyperv"},
    {"kerberos_principal", SETTINGS_TEXT, "hyperv"},
    {"is_hypervisor", SETTINGS_BOOLEAN, "fake ahv"},
    {"file", SETTINGS_TEXT, "fake"},
};

const SettingsKey *settings_key_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

bool settings_section_is_special(const char *name)
{
    return strcmp(name, "global") == 0 || strcmp(name, "defaults") == 0 ||
           strcmp(name, "system_environment") == 0;
}

const IniOption *settings_option(const SettingsSection *section, const char *key,
                                 const SettingsFile **ret_file)
{
    const SettingsFile *general = section->reader->general, *file = section->file;
    const IniOption *option = ini_section_find(section->section, key);

    if (!option && general) {
        option = ini_section_find(ini_find(general->ini, "defaults"), key);
        file = general;
    }
    if (ret_file)
        *ret_file = file;
    return option;
}

void settings_section_tell(SettingsSection *section, int priority, const char *key, const char *format, ...)
{
    const SettingsFile *file = section->file;
    const IniOption *option = key ? settings_option(section, key, &file) : NULL;
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    if (priority <= LOG_ERR)
        section->failed = true;
    if (!option)
        file = section->file;
    settings_tell(section->reader, priority, "%s:%u: [%s] %s", file->path,
                  option ? option->line : section->section->line, section->section->name, message);
}

const char *settings_text(SettingsSection *section, const char *key)
{
    const IniOption *option = settings_option(section, key, NULL);

    return option && option->value[0] ? option->value : NULL;
}

/* The first word of a value that has no blanks: files that follow virt-who's own template have comments
 * behind it. */
static char *first_word(const char *text)
{
    const char *end = strpbrk(text, " \t");

    if (end && strchr("#;", end[strspn(end, " \t")]) && end[strspn(end, " \t")])
        return g_strndup(text, (gsize)(end - text));
    return g_strdup(text);
}

int settings_parse_boolean(const char *text)
{
    static const char *const yes[] = {"1", "yes", "true", "on"}, *const no[] = {"0", "no", "false", "off"};
    g_autofree char *word = first_word(text);

    for (size_t i = 0; i < G_N_ELEMENTS(yes); i++) {
        if (g_ascii_strcasecmp(word, yes[i]) == 0)
            return 1;
        if (g_ascii_strcasecmp(word, no[i]) == 0)
            return 0;
    }
    return -EINVAL;
}

int settings_parse_number(const char *text, unsigned max, unsigned *ret_number)
{
    g_autofree char *word = first_word(text);
    guint64 number;

    if (!g_ascii_string_to_unsigned(word, 10, 0, max, &number, NULL))
        return -EINVAL;
    *ret_number = (unsigned)number;
    return 0;
}

bool settings_boolean(SettingsSection *section, const char *key, bool fallback)
{
    const char *text = settings_text(section, key);
    int r = text ? settings_parse_boolean(text) : (int)fallback;

    if (r >= 0)
        return r;
    settings_section_tell(section, LOG_WARNING, key, "\"%s\" is neither yes nor no; %s is used", key,
                          fallback ? "yes" : "no");
    return fallback;
}

/* Copies one item of a list up to its comma and moves *at there; false when a quote has no end. */
static bool split_item(const char **at, GString *item)
{
    char quote = 0;
    size_t keep = 0; /* white space before this stays: it was quoted or escaped */

    *at += strspn(*at, " \t\n");
    for (; **at && (quote || **at != ','); (*at)++) {
        if (**at == '\\' && (*at)[1]) {
            g_string_append_c(item, *++*at);
            keep = item->len;
        } else if (quote ? **at == quote : **at == '"' || **at == '\'') {
            quote = quote ? 0 : **at;
            keep = item->len;
        } else {
            g_string_append_c(item, **at);
        }
    }
    while (item->len > keep && strchr(" \t\n", item->str[item->len - 1]))
        g_string_truncate(item, item->len - 1);
    return !quote;
}

GPtrArray *settings_split(const char *text)
{
    g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(g_free);

    for (const char *at = text;; at++) {
        g_autoptr(GString) item = g_string_new(NULL);

        if (!split_item(&at, item))
            return NULL;
        if (item->len)
            g_ptr_array_add(items, g_strdup(item->str));
        if (!*at)
            return g_steal_pointer(&items);
    }
}

GPtrArray *settings_list(SettingsSection *section, const char *key)
{
    const char *text = settings_text(section, key);
    g_autoptr(GPtrArray) items = text ? settings_split(text) : NULL;

    if (text && !items)
        settings_section_tell(section, LOG_ERR, key, "\"%s\": a quote has no end", key);
    if (items && items->len == 0) {
        settings_section_tell(section, LOG_WARNING, key, "\"%s\" is empty and has no effect", key);
        return NULL;
    }
    return g_steal_pointer(&items);
}

static Secret *read_credential(SettingsSection *section, const char *key)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    g_autofree char *name = g_strdup_printf("%s.%s", section->section->name, key);
    Secret *text = NULL;

    if (!directory || strchr(name, '/'))
        return NULL;
    g_autofree char *path = g_build_filename(directory, name, NULL);
    int r = text_file_read(path, CREDENTIAL_MAX, &text, NULL, NULL);

    if (r < 0 && r != -ENOENT)
        settings_section_tell(section, LOG_ERR, NULL, "the credential \"%s\" cannot be read: %s", name,
                              strerror(-r));
    if (text)
        text[strcspn(text, "\n")] = '\0';
    return text;
}

static int load_key(SettingsReader *reader)
{
    if (reader->key_state == 1)
        reader->key_state = cipher_key_read(reader->paths->key, &reader->key);
    return reader->key_state;
}

static Secret *decrypt(SettingsSection *section, const char *key, const char *hex)
{
    SettingsReader *reader = section->reader;
    const char *key_path = settings_shown_path(reader, reader->paths->key);
    Secret *text = NULL;
    int r = load_key(reader);

    if (r == -EBADMSG)
        settings_section_tell(section, LOG_ERR, key, "\"%s\" cannot be decrypted: %s holds no key", key,
                              key_path);
    else if (r < 0)
        settings_section_tell(section, LOG_ERR, key, "\"%s\" cannot be decrypted: %s: %s", key, key_path,
                              r == -EACCES ? "may not be read, or others may read it too" : strerror(-r));
    else if (cipher_decrypt(&reader->key, hex, &text) < 0)
        settings_section_tell(section, LOG_ERR, key,
                              "\"%s\" is damaged, or was not encrypted with the key in %s", key, key_path);
    return text;
}

Secret *settings_secret(SettingsSection *section, const char *key, const char *encrypted_key)
{
    const char *plain = settings_text(section, key), *encrypted = settings_text(section, encrypted_key);

    if (encrypted && plain)
        settings_section_tell(section, LOG_WARNING, key, "both \"%s\" and \"%s\" are set; the latter is used",
                              key, encrypted_key);
    if (encrypted)
        return decrypt(section, encrypted_key, encrypted);
    return plain ? secret_new(plain) : read_credential(section, key);
}

/* "a b" has b? */
static bool has_word(const char *words, const char *word)
{
    g_auto(GStrv) list = g_strsplit(words, " ", -1);

    return g_strv_contains((const char *const *)list, word);
}

static void check_option(SettingsSection *section, const IniOption *option, const char *type)
{
    const SettingsKey *key = settings_key_find(option->name);

    if (!key) {
        settings_section_tell(section, LOG_WARNING, option->name, "\"%s\" is not known and ignored",
                              option->name);
        return;
    }
    if (key->kind == SETTINGS_SATELLITE_5)
        return;
    if (key->types && type && !has_word(key->types, type))
        settings_section_tell(section, LOG_WARNING, option->name, "\"%s\" has no effect with type \"%s\"",
                              option->name, type);
    if (key->kind != SETTINGS_LIST && strchr(option->value, '\n'))
        settings_section_tell(
            section, LOG_ERR, option->name,
            "the value of \"%s\" has several lines: a line that begins with white space continues "
            "the one before",
            option->name);
    /* virt-who had to be given "%%" for each "%". */
    if (strstr(option->value, "%%"))
        settings_section_tell(section, LOG_WARNING, option->name,
                              "\"%s\" has \"%%%%\": a percent sign is not doubled any more, both are used",
                              option->name);
    if (key->kind == SETTINGS_SECRET && section->file->readable_by_others)
        settings_section_tell(section, LOG_WARNING, option->name,
                              "everybody can read the \"%s\" in this file", option->name);
}

void settings_section_check(SettingsSection *section)
{
    const char *type = settings_text(section, "type");
    const IniSection *ini = section->section;

    if (ini->broken)
        section->failed = true;
    for (unsigned i = 0; i < ini->options->len; i++)
        check_option(section, ini->options->pdata[i], type);
}
