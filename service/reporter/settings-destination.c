// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where a section reports to: its own keys, then rhsm.conf, then the proxy of the environment. Sections that
 * end up with the same values share one destination. */
#include "service/reporter/settings-reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "service/reporter/certificate.h"

#define HOSTNAME_DEFAULT "subscription.rhsm.redhat.com"
#define PREFIX_DEFAULT "/subscription"
#define PORT_DEFAULT 443
#define CONSUMER_DIR_DEFAULT "/etc/pki/consumer"
#define CA_DIR_DEFAULT "/etc/rhsm/ca"
/* Seconds beyond which a configured time-out is a mistake. */
#define TIMEOUT_MAX 3600

void settings_destination_free(void *data)
{
    Destination *destination = data;

    if (!destination)
        return;
    g_free(destination->owner);
    g_free(destination->hostname);
    g_free(destination->prefix);
    g_free(destination->username);
    secret_free(destination->password);
    g_free(destination->certificate_path);
    g_free(destination->key_path);
    g_free(destination->consumer_uuid);
    g_free(destination->proxy_hostname);
    g_free(destination->proxy_user);
    secret_free(destination->proxy_password);
    g_free(destination->no_proxy);
    g_free(destination->ca_directory);
    g_free(destination->name);
    g_ptr_array_unref(destination->mappings);
    g_free(destination);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Destination, settings_destination_free)

/* A value of rhsm.conf, NULL when unset or empty. */
static const char *rhsm_text(const SettingsReader *reader, const char *section, const char *key)
{
    const char *value = reader->rhsm ? ini_value(reader->rhsm->ini, section, key) : NULL;

    return value && *value ? value : NULL;
}

static unsigned rhsm_number(SettingsReader *reader, const char *key, unsigned max, unsigned fallback)
{
    const char *text = rhsm_text(reader, "server", key);
    unsigned number;

    if (!text)
        return fallback;
    if (settings_parse_number(text, max, &number) == 0 && number > 0)
        return number;
    settings_tell(reader, LOG_WARNING, "%s:%u: \"%s\" must be a number between 1 and %u; %u is used",
                  reader->rhsm->path, ini_section_find(ini_find(reader->rhsm->ini, "server"), key)->line, key,
                  max, fallback);
    return fallback;
}

/* The section's port, else rhsm.conf's. */
static uint16_t read_port(SettingsSection *section, const char *key, const char *rhsm_key, unsigned fallback)
{
    const char *text = settings_text(section, key);
    unsigned port;

    if (!text)
        return (uint16_t)rhsm_number(section->reader, rhsm_key, UINT16_MAX, fallback);
    if (settings_parse_number(text, UINT16_MAX, &port) < 0 || port == 0) {
        settings_section_tell(section, LOG_ERR, key, "\"%s\" must be a number between 1 and 65535", key);
        return 0;
    }
    return (uint16_t)port;
}

/* "rhsm", "/rhsm/" and "/rhsm" are all "/rhsm". */
static char *clean_prefix(const char *prefix)
{
    g_autofree char *copy = g_strdup(prefix + strspn(prefix, "/"));
    size_t size = strlen(copy);

    while (size && copy[size - 1] == '/')
        copy[--size] = '\0';
    return size ? g_strconcat("/", copy, NULL) : g_strdup("");
}

/* A host name without the brackets of an IPv6 address, and without what does not belong to it. */
static char *clean_hostname(SettingsSection *section, const char *key, const char *hostname)
{
    size_t size = strlen(hostname);

    if (hostname[strcspn(hostname, "/@?# \t")]) {
        settings_section_tell(section, LOG_ERR, settings_option(section, key, NULL) ? key : NULL,
                              "\"%s\" must be the name or address of a host", key);
        return NULL;
    }
    return *hostname == '[' && hostname[size - 1] == ']' ? g_strndup(hostname + 1, size - 2)
                                                         : g_strdup(hostname);
}

static void read_server(SettingsSection *section, Destination *to)
{
    SettingsReader *reader = section->reader;
    const char *hostname = settings_text(section, "rhsm_hostname") ?: rhsm_text(reader, "server", "hostname");
    const char *insecure = rhsm_text(reader, "server", "insecure");

    if (reader->rhsm_lost && !settings_text(section, "rhsm_hostname"))
        settings_section_tell(section, LOG_ERR, NULL,
                              "the server is not known: %s cannot be used, and \"rhsm_hostname\" is not set",
                              settings_shown_path(reader, reader->paths->rhsm));
    to->hostname = clean_hostname(section, "rhsm_hostname", hostname ?: HOSTNAME_DEFAULT);
    to->port = read_port(section, "rhsm_port", "port", PORT_DEFAULT);
    to->prefix =
        clean_prefix(settings_text(section, "rhsm_prefix") ?: rhsm_text(reader, "server", "prefix") ?: PREFIX_DEFAULT);
    to->insecure =
        settings_boolean(section, "rhsm_insecure", insecure && settings_parse_boolean(insecure) == 1);
    to->timeout = rhsm_number(reader, "server_timeout", TIMEOUT_MAX, SETTINGS_SERVER_TIMEOUT_DEFAULT);
    to->ca_directory = g_strdup(reader->paths->ca_dir ?: rhsm_text(reader, "rhsm", "ca_cert_dir") ?: CA_DIR_DEFAULT);
    if (!to->insecure)
        return;
    settings_section_tell(section, LOG_WARNING, "rhsm_insecure",
                          "the entitlement server's certificate is not verified (insecure is set)");
}

/* Reads the consumer's certificate once for all sections. */
static void read_certificate(SettingsReader *reader)
{
    g_autofree char *path = NULL;

    if (reader->certificate_tried)
        return;
    reader->certificate_tried = true;
    reader->consumer_dir = g_strdup(reader->paths->consumer_dir ?: rhsm_text(reader, "rhsm", "consumercertdir")
                                    ?: CONSUMER_DIR_DEFAULT);
    path = g_build_filename(reader->consumer_dir, "cert.pem", NULL);
    int r = certificate_read(path, &reader->certificate_owner, &reader->certificate_uuid);

    if (r < 0 && r != -ENOENT)
        settings_tell(reader, LOG_WARNING, "%s: the consumer certificate cannot be read: %s",
                      settings_shown_path(reader, path),
                      r == -EBADMSG ? "it is no certificate" : strerror(-r));
}

static void read_account(SettingsSection *section, Destination *to)
{
    SettingsReader *reader = section->reader;

    to->username = g_strdup(settings_text(section, "rhsm_username"));
    to->password = settings_secret(section, "rhsm_password", "rhsm_encrypted_password");
    if (to->username && !to->password)
        settings_section_tell(section, LOG_ERR, "rhsm_username", "\"rhsm_username\" needs \"rhsm_password\"");
    else if (to->password && !to->username)
        settings_section_tell(section, LOG_ERR, "rhsm_password", "\"rhsm_password\" needs \"rhsm_username\"");
    else if (to->username && strchr(to->username, ':'))
        settings_section_tell(section, LOG_ERR, "rhsm_username", "\"rhsm_username\" may not have a colon");
    read_certificate(reader);
    to->certificate_path = g_build_filename(reader->consumer_dir, "cert.pem", NULL);
    to->key_path = g_build_filename(reader->consumer_dir, "key.pem", NULL);
    to->consumer_uuid = g_strdup(reader->certificate_uuid);
}

/* A certificate says to which organisation it belongs; with a user name the owner must be told. */
static void read_owner(SettingsSection *section, Destination *to, bool needed)
{
    const char *owner = settings_text(section, "owner");

    if (!owner && !to->username)
        owner = section->reader->certificate_owner;
    if (!owner && needed)
        settings_section_tell(section, LOG_ERR, NULL,
                              "\"owner\" is not set, and there is no consumer certificate to take it from");
    to->owner = g_strdup(owner);
}

/* A variable of [system_environment], else of the process. */
static const char *environment(const SettingsReader *reader, const char *name)
{
    g_autofree char *lower = g_ascii_strdown(name, -1);
    const char *value = g_hash_table_lookup(reader->settings->environment, lower) ?: getenv(name);

    return value && *value ? value : NULL;
}

/* Takes "[scheme://][user[:password]@]host[:port]" apart. Never tells the value: it may have a password. */
static void parse_proxy_url(SettingsSection *section, Destination *to, const char *name, const char *url)
{
    const char *scheme_end = strstr(url, "://");
    g_autofree char *full = scheme_end ? NULL : g_strconcat("http://", url, NULL);
    g_autofree char *user = NULL, *host = NULL;
    g_autoptr(Secret) password = NULL;
    int port;

    if (!g_uri_split_with_user(full ?: url, G_URI_FLAGS_HAS_PASSWORD, NULL, &user, &password, NULL, &host,
                               &port, NULL, NULL, NULL, NULL) ||
        !host || !*host) {
        settings_section_tell(section, LOG_ERR, NULL, "the proxy in the environment (%s) is no URL", name);
        return;
    }
    to->proxy_hostname = g_steal_pointer(&host);
    to->proxy_port = port > 0 ? (uint16_t)port : SETTINGS_PROXY_PORT_DEFAULT;
    to->proxy_user = g_steal_pointer(&user);
    to->proxy_password = g_steal_pointer(&password);
}

static void read_environment_proxy(SettingsSection *section, Destination *to)
{
    static const char *const names[] = {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        const char *url = environment(section->reader, names[i]);

        if (url) {
            parse_proxy_url(section, to, names[i], url);
            return;
        }
    }
}

static void read_proxy(SettingsSection *section, Destination *to)
{
    SettingsReader *reader = section->reader;
    const char *own = settings_text(section, "rhsm_proxy_hostname");
    const char *host = own ?: rhsm_text(reader, "server", "proxy_hostname");
    const char *no_proxy = settings_text(section, "rhsm_no_proxy") ?: rhsm_text(reader, "server", "no_proxy");

    no_proxy = no_proxy ?: environment(reader, "no_proxy");
    to->no_proxy = g_strdup(no_proxy ?: environment(reader, "NO_PROXY"));
    if (!host) {
        read_environment_proxy(section, to);
        return;
    }
    to->proxy_hostname = clean_hostname(section, "rhsm_proxy_hostname", host);
    to->proxy_port = read_port(section, "rhsm_proxy_port", "proxy_port", SETTINGS_PROXY_PORT_DEFAULT);
    to->proxy_user = g_strdup(settings_text(section, "rhsm_proxy_user"));
    to->proxy_password = settings_secret(section, "rhsm_proxy_password", "rhsm_encrypted_proxy_password");
    /* rhsm.conf's account belongs to rhsm.conf's proxy, not to another one that a section names. */
    if (own)
        return;
    if (!to->proxy_user)
        to->proxy_user = g_strdup(rhsm_text(reader, "server", "proxy_user"));
    if (!to->proxy_password)
        to->proxy_password = secret_new(rhsm_text(reader, "server", "proxy_password"));
}

static bool same_account(const Destination *a, const Destination *b)
{
    return g_strcmp0(a->owner, b->owner) == 0 && g_strcmp0(a->username, b->username) == 0 &&
           g_strcmp0(a->password, b->password) == 0;
}

static bool same_proxy(const Destination *a, const Destination *b)
{
    return g_strcmp0(a->proxy_hostname, b->proxy_hostname) == 0 && a->proxy_port == b->proxy_port &&
           g_strcmp0(a->proxy_user, b->proxy_user) == 0 &&
           g_strcmp0(a->proxy_password, b->proxy_password) == 0 && g_strcmp0(a->no_proxy, b->no_proxy) == 0;
}

static bool same_server(const Destination *a, const Destination *b)
{
    return g_ascii_strcasecmp(a->hostname, b->hostname) == 0 && a->port == b->port &&
           strcmp(a->prefix, b->prefix) == 0 && a->insecure == b->insecure;
}

/* The destination that another section has already, else this one. Takes it over. */
static Destination *share(SettingsReader *reader, Destination *destination)
{
    GPtrArray *known = reader->settings->destinations;

    for (unsigned i = 0; i < known->len; i++) {
        const Destination *other = known->pdata[i];

        if (same_server(other, destination) && same_account(other, destination) &&
            same_proxy(other, destination)) {
            settings_destination_free(destination);
            return known->pdata[i];
        }
    }
    g_ptr_array_add(known, destination);
    return destination;
}

/* Unique unless two destinations differ in proxy or password only: then a number follows. The user is in it
 * because the state is kept under it, and one user's job is not another's to look at. */
static char *destination_name(const SettingsReader *reader, const Destination *to)
{
    const GPtrArray *known = reader->settings->destinations;
    bool colons = strchr(to->hostname, ':');
    g_autofree char *name = g_strdup_printf("%s@%s%s%s:%u%s%s%s", to->owner ?: "", colons ? "[" : "",
                                            to->hostname, colons ? "]" : "", to->port, to->prefix,
                                            to->username ? " as " : "", to->username ?: "");
    unsigned twins = 0;

    for (unsigned i = 0; i < known->len; i++) {
        const char *other = ((const Destination *)known->pdata[i])->name;
        size_t size = strcspn(other, "#");

        if (size == strlen(name) && strncmp(other, name, size) == 0)
            twins++;
    }
    return twins ? g_strdup_printf("%s#%u", name, twins + 1) : g_steal_pointer(&name);
}

Destination *settings_destination_read(SettingsSection *section, bool needs_owner)
{
    g_autoptr(Destination) destination = g_new0(Destination, 1);

    destination->mappings = g_ptr_array_new();
    read_server(section, destination);
    read_account(section, destination);
    read_owner(section, destination, needs_owner);
    read_proxy(section, destination);
    if (section->failed)
        return NULL;
    destination->name = destination_name(section->reader, destination);
    return share(section->reader, g_steal_pointer(&destination));
}
