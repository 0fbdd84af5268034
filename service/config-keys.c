/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/config-keys.h"

#include "service/log.h"
#include "service/qmp/rate.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PASSWORD_BYTES_MAX 1024

/* Whole numbers of [service]; `off` stands for 0 where 0 is within the range. */
static const struct NumberKey {
    const char *name;
    size_t offset;
    unsigned initial, minimum, maximum;
    bool may_be_off;
} number_keys[] = {
    {"agent-timeout", offsetof(ServiceConfig, agent_timeout), 5, 1, 300, false},
    {"users-interval", offsetof(ServiceConfig, users_interval), 10, 1, 86400, false},
    {"system-interval", offsetof(ServiceConfig, system_interval), 120, 1, 86400, false},
    {"filesystems-interval", offsetof(ServiceConfig, filesystems_interval), 300, 1, 86400, false},
    {"memory-stats-period", offsetof(ServiceConfig, memory_stats_period), 10, 1, 3600, true},
    {"qmp-event-rate", offsetof(ServiceConfig, qmp_event_rate), QMP_RATE_DEFAULT, 1, QMP_RATE_MAX, false},
    {"qmp-event-burst", offsetof(ServiceConfig, qmp_event_burst), QMP_BURST_DEFAULT, 1, QMP_BURST_MAX, false},
};

static unsigned *number_slot(ServiceConfig *service, const struct NumberKey *key)
{
    return (unsigned *)((char *)service + key->offset);
}

void config_key_defaults(ServiceConfig *service)
{
    service->log_level = -1;
    for (size_t i = 0; i < G_N_ELEMENTS(number_keys); i++)
        *number_slot(service, &number_keys[i]) = number_keys[i].initial;
}

static int set_number(ServiceConfig *service, const struct NumberKey *key, const char *value,
                      char **ret_message)
{
    guint64 number;

    if (key->may_be_off && g_str_equal(value, "off")) {
        *number_slot(service, key) = 0;
        return 0;
    }
    if (!g_ascii_string_to_unsigned(value, 10, key->minimum, key->maximum, &number, NULL)) {
        *ret_message = g_strdup_printf(
            "%s = \"%s\": it takes a whole number from %u to %u%s; %u stays in force", key->name, value,
            key->minimum, key->maximum, key->may_be_off ? ", or off" : "", *number_slot(service, key));
        return -EINVAL;
    }
    *number_slot(service, key) = (unsigned)number;
    return 0;
}

static char *unknown_service_key(const char *name)
{
    g_autoptr(GString) known = g_string_new("log-level");

    for (size_t i = 0; i < G_N_ELEMENTS(number_keys); i++)
        g_string_append_printf(known, ", %s", number_keys[i].name);
    return g_strdup_printf("unknown key \"%s\" in [service]; there are %s", name, known->str);
}

int config_key_service(ServiceConfig *service, const char *name, const char *value, char **ret_message)
{
    for (size_t i = 0; i < G_N_ELEMENTS(number_keys); i++)
        if (g_str_equal(name, number_keys[i].name))
            return set_number(service, &number_keys[i], value, ret_message);
    if (g_str_equal(name, "log-level")) {
        if (log_level_parse(value, &service->log_level) == 0)
            return 0;
        *ret_message =
            g_strdup_printf("log-level = \"%s\": it takes err, warning, notice, info or debug", value);
        return -EINVAL;
    }
    *ret_message = unknown_service_key(name);
    return -EINVAL;
}

static int set_bool(bool *slot, const char *name, const char *value, const char *yes, const char *no,
                    char **ret_message)
{
    if (g_str_equal(value, yes))
        *slot = true;
    else if (g_str_equal(value, no))
        *slot = false;
    else {
        *ret_message = g_strdup_printf("%s = \"%s\": it takes %s or %s", name, value, yes, no);
        return -EINVAL;
    }
    return 0;
}

/* The password is the file's first line. Nobody but the owner and the group may read that file. */
static int read_password(SourceConfig *source, const char *path, char **ret_message)
{
    g_autofree char *text = NULL;
    gsize length = 0;
    struct stat st;

    if (stat(path, &st) < 0) {
        *ret_message = g_strdup_printf("password file %s: %s", path, g_strerror(errno));
        return -EINVAL;
    }
    if (!S_ISREG(st.st_mode)) {
        *ret_message = g_strdup_printf("password file %s is not a regular file", path);
        return -EINVAL;
    }
    if (st.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) {
        *ret_message = g_strdup_printf("password file %s is open to others; chmod 0600 it", path);
        return -EINVAL;
    }
    if (st.st_size > PASSWORD_BYTES_MAX || !g_file_get_contents(path, &text, &length, NULL)) {
        *ret_message = g_strdup_printf("password file %s can't be read, or is longer than %d bytes", path,
                                       PASSWORD_BYTES_MAX);
        return -EINVAL;
    }
    g_free(source->password);
    source->password = g_strndup(text, strcspn(text, "\r\n"));
    explicit_bzero(text, length);
    return 0;
}

/* A credential that systemd handed over: LoadCredential= in the unit. */
static int read_credential(SourceConfig *source, const char *name, char **ret_message)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    g_autofree char *path = NULL;

    if (!directory || strchr(name, '/')) {
        *ret_message =
            g_strdup_printf("password-credential = \"%s\": the unit hands over no such credential", name);
        return -EINVAL;
    }
    path = g_build_filename(directory, name, NULL);
    return read_password(source, path, ret_message);
}

static int set_uri(SourceConfig *source, const char *value, char **ret_message)
{
    const char *scheme = strstr(value, "://");

    if (!scheme || scheme == value || !g_utf8_validate(value, -1, NULL)) {
        /* The value is not quoted: people put passwords into URIs. */
        *ret_message =
            g_strdup("uri: it takes a libvirt URI as qemu:///system or qemu+ssh://user@host/system");
        return -EINVAL;
    }
    g_free(source->uri);
    source->uri = g_strdup(value);
    return 0;
}

bool config_key_is_vital(const char *name)
{
    /* "readonly" and "Read_Only" as well: whoever misspells that key does not want a connection that may act
     */
    return g_str_equal(name, "uri") || g_ascii_strncasecmp(name, "read", strlen("read")) == 0 ||
           g_str_has_prefix(name, "password-");
}

int config_key_source(SourceConfig *source, const char *name, const char *value, char **ret_message)
{
    if (g_str_equal(name, "uri"))
        return set_uri(source, value, ret_message);
    if (g_str_equal(name, "read-only"))
        return set_bool(&source->read_only, name, value, "yes", "no", ret_message);
    if (g_str_equal(name, "ovirt-channel"))
        return set_bool(&source->ovirt_channel, name, value, "auto", "off", ret_message);
    if (g_str_equal(name, "username")) {
        g_free(source->username);
        source->username = g_strdup(value);
        return 0;
    }
    if (g_str_equal(name, "password-file"))
        return read_password(source, value, ret_message);
    if (g_str_equal(name, "password-credential"))
        return read_credential(source, value, ret_message);
    *ret_message = g_strdup_printf("unknown key \"%s\" in [source %s]; there are uri, read-only, username, "
                                   "password-file, password-credential and ovirt-channel",
                                   name, source->label);
    return -EINVAL;
}
