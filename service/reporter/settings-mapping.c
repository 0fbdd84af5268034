// SPDX-License-Identifier: LGPL-2.1-or-later
/* A section of the configuration as a mapping: its source half here, its destination half in
 * settings-destination.c. */
#include "service/reporter/settings-reader.h"

#include <string.h>
#include <syslog.h>

#include "service/reporter/source.h"

static void read_type(SettingsSection *section, Mapping *mapping)
{
    const char *type = settings_text(section, "type") ?: settings_text(section, "virt_type");

    if (!type) {
        settings_section_tell(section, LOG_ERR, NULL, "\"type\" is not set");
        return;
    }
    mapping->type = g_ascii_strdown(type, -1);
    if (!source_type_known(mapping->type))
        settings_section_tell(section, LOG_ERR, "type", "type \"%s\" is not supported", type);
}

/* Reports to Satellite 5 ended with it in 2020. One line says so, however many of its keys there are. */
static void refuse_satellite_5(SettingsSection *section)
{
    const char *manager = settings_text(section, "sm_type");

    if (settings_option(section, "sat_server", NULL) || (manager && strcmp(manager, "satellite") == 0))
        settings_section_tell(section, LOG_ERR,
                              settings_option(section, "sat_server", NULL) ? "sat_server" : "sm_type",
                              "reports to Satellite 5 are not supported");
    else if (manager && strcmp(manager, "sam") != 0)
        settings_section_tell(section, LOG_WARNING, "sm_type", "\"sm_type\" is not known and ignored");
}

static void read_identification(SettingsSection *section, Mapping *mapping)
{
    const char *by = settings_text(section, "hypervisor_id");

    if (!by || strcmp(by, "uuid") == 0)
        return;
    if (strcmp(by, "hostname") == 0)
        mapping->by_hostname = true;
    else
        settings_section_tell(section, LOG_ERR, "hypervisor_id",
                              "\"hypervisor_id\" must be uuid or hostname for type \"%s\"",
                              mapping->type ?: "");
}

static bool looks_like_uuid(const char *text)
{
    return strlen(text) == 36 && text[8] == '-' && text[13] == '-' &&
           strspn(text, "0123456789abcdefABCDEF-") == 36;
}

static void check_patterns(SettingsSection *section, const Mapping *mapping, const char *key, FilterType type,
                           const GPtrArray *patterns)
{
    for (unsigned i = 0; patterns && i < patterns->len; i++) {
        const char *pattern = patterns->pdata[i];
        g_autoptr(GRegex) regex = filter_compile(pattern);

        if (type == FILTER_REGEX && !regex)
            settings_section_tell(section, LOG_ERR, key, "\"%s\" in \"%s\" is no regular expression", pattern,
                                  key);
        if (mapping->by_hostname && looks_like_uuid(pattern))
            settings_section_tell(section, LOG_WARNING, key,
                                  "\"%s\" has a UUID, but hosts are identified by their names here", key);
    }
}

static FilterType read_filter_type(SettingsSection *section)
{
    const char *type = settings_text(section, "filter_type");

    if (!type)
        return FILTER_BOTH;
    if (strcmp(type, "regex") == 0)
        return FILTER_REGEX;
    if (strcmp(type, "wildcards") != 0)
        settings_section_tell(section, LOG_ERR, "filter_type", "\"filter_type\" must be regex or wildcards");
    return FILTER_WILDCARDS;
}

static Filter *read_filter(SettingsSection *section, const Mapping *mapping, FilterType type,
                           const char *allow_key, const char *deny_key)
{
    g_autoptr(GPtrArray) allow = settings_list(section, allow_key), deny = settings_list(section, deny_key);

    check_patterns(section, mapping, allow_key, type, allow);
    check_patterns(section, mapping, deny_key, type, deny);
    return allow || deny ? filter_new(type, allow, deny) : NULL;
}

/* The key, or its old name when only that is set. */
static const char *either(SettingsSection *section, const char *key, const char *old)
{
    return !settings_option(section, key, NULL) && settings_option(section, old, NULL) ? old : key;
}

static void read_filters(SettingsSection *section, Mapping *mapping)
{
    FilterType type = read_filter_type(section);

    mapping->hosts = read_filter(section, mapping, type, either(section, "filter_hosts", "filter_host_uuids"),
                                 either(section, "exclude_hosts", "exclude_host_uuids"));
    mapping->host_parents =
        read_filter(section, mapping, FILTER_REGEX, "filter_host_parents", "exclude_host_parents");
}

static void read_fake(SettingsSection *section, Mapping *mapping)
{
    const char *file = settings_text(section, "file");

    mapping->is_hypervisor = settings_boolean(section, "is_hypervisor", true);
    if (!file)
        settings_section_tell(section, LOG_ERR, NULL, "\"file\" is not set");
    else if (*file != '/')
        settings_section_tell(section, LOG_ERR, "file", "\"file\" must be an absolute path");
    mapping->fake_file = g_strdup(file);
}

static void read_libvirt(SettingsSection *section, Mapping *mapping)
{
    mapping->local = !mapping->server;
    if (mapping->password && mapping->server &&
        (!strstr(mapping->server, "://") || strstr(mapping->server, "+ssh:")))
        settings_section_tell(section, LOG_WARNING, "password",
                              "the password is not used with ssh, which takes keys only here");
}

static void read_source(SettingsSection *section, Mapping *mapping)
{
    read_type(section, mapping);
    mapping->server = g_strdup(settings_text(section, "server"));
    mapping->username = g_strdup(settings_text(section, "username"));
    mapping->password = settings_secret(section, "password", "encrypted_password");
    mapping->is_hypervisor = true;
    read_identification(section, mapping);
    read_filters(section, mapping);
    if (g_strcmp0(mapping->type, "fake") == 0)
        read_fake(section, mapping);
    else if (g_strcmp0(mapping->type, "libvirt") == 0)
        read_libvirt(section, mapping);
}

Mapping *settings_mapping_read(SettingsSection *section)
{
    Mapping *mapping = g_new0(Mapping, 1);

    mapping->name = g_strdup(section->section->name);
    mapping->file = g_strdup(section->file->path);
    mapping->line = section->section->line;
    settings_section_check(section);
    refuse_satellite_5(section);
    if (!section->failed)
        read_source(section, mapping);
    if (!section->failed) {
        bool needs_owner = !mapping->local && strcmp(mapping->type, "fake") != 0;

        mapping->destination = settings_destination_read(section, needs_owner);
    }
    if (section->failed) {
        settings_section_tell(section, LOG_ERR, NULL, "the section is not used");
        settings_mapping_free(mapping);
        return NULL;
    }
    g_ptr_array_add(mapping->destination->mappings, mapping);
    return mapping;
}

void settings_mapping_free(void *data)
{
    Mapping *mapping = data;

    if (!mapping)
        return;
    g_free(mapping->name);
    g_free(mapping->file);
    g_free(mapping->type);
    g_free(mapping->server);
    g_free(mapping->username);
    secret_free(mapping->password);
    g_free(mapping->fake_file);
    filter_free(mapping->hosts);
    filter_free(mapping->host_parents);
    g_free(mapping);
}
