/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "service/reporter/filter.h"
#include "service/reporter/secret.h"

/* All that the reporter was told to do, read from virt-who's configuration files. Immutable once read: a
 * reload reads a second one and replaces the first. */

/* Seconds between two collections where nothing else is configured, and the least that is accepted. */
#define SETTINGS_INTERVAL_DEFAULT 3600U
#define SETTINGS_INTERVAL_MIN 60U
/* Seconds to wait for an answer of the entitlement server unless rhsm.conf has server_timeout. */
#define SETTINGS_SERVER_TIMEOUT_DEFAULT 180U
#define SETTINGS_PROXY_PORT_DEFAULT 3128U

/* Where reports go. Sections with equal destinations share one of these, so that their sources go into one
 * report: compare by pointer. Everything is resolved: section, then [defaults], then rhsm.conf, then the
 * environment. */
typedef struct Destination {
    char *owner;    /* organisation; NULL when neither configured nor known from the certificate */
    char *hostname; /* never NULL, may be an IPv6 address without brackets */
    uint16_t port;
    char *prefix; /* "/subscription", "/rhsm": one leading slash, none at the end; may be empty */

    char *username; /* with a password: Basic authentication. NULL: the consumer certificate */
    Secret *password;
    char *certificate_path; /* the consumer's certificate and key: read again for every new connection, */
    char *key_path;         /* because rhsmcertd replaces them */
    char *consumer_uuid;    /* CN of the certificate, NULL when there is none */

    char *proxy_hostname; /* NULL: no proxy */
    uint16_t proxy_port;
    char *proxy_user;
    Secret *proxy_password;
    char *no_proxy; /* comma separated hosts that are reached without the proxy; NULL: none */

    bool insecure;      /* TLS is not verified: say so in a warning at every start */
    char *ca_directory; /* every *.pem in it is trusted; NULL: the system's store */
    unsigned timeout;   /* seconds for one request */
    char *name; /* "owner@hostname:port/prefix as user": for logs and as the key of the state file. No secret.
                 */
    GPtrArray *mappings; /* of Mapping, borrowed: the sections that report here */
} Destination;

/* One section of the configuration: a source and where its association goes. */
typedef struct Mapping {
    char *name; /* the section's name, unique */
    char *file; /* where it was read, and at which line */
    unsigned line;

    char *type;           /* "libvirt", "fake", ... */
    char *server;         /* as configured; NULL: local libvirt */
    char *username;       /* of the source */
    Secret *password;     /* decrypted */
    bool by_hostname;     /* hypervisor_id=hostname; else uuid */
    bool is_hypervisor;   /* fake: false gives a guest list */
    char *fake_file;      /* fake: the JSON file */
    Filter *hosts;        /* filter_hosts, exclude_hosts */
    Filter *host_parents; /* filter_host_parents, exclude_host_parents: for sources that have parents */
    bool local;           /* libvirt without a server: the guest list of this very host */

    Destination *destination; /* borrowed from the settings; never NULL */
} Mapping;

typedef struct Settings {
    unsigned interval; /* seconds */
    char *reporter_id; /* [A-Za-z0-9._-], at most 255 bytes: Katello pastes it into a URL as it is */
    bool debug;
    bool oneshot;
    bool print;
    bool status;
    bool json;
    bool log_per_config;
    char *log_dir;
    char *log_file;

    GPtrArray *mappings;     /* of Mapping, in the order of files and of sections in them */
    GPtrArray *destinations; /* of Destination */
    unsigned
        dropped; /* sections that were refused because of an error, and 1 if files were: not all went well */
    GHashTable *environment; /* [system_environment]: lower-case name to value */
} Settings;

/* Where files are. Every path can be set for tests and for the service, whose unit hands over copies. */
typedef struct SettingsPaths {
    char *root;         /* stands for "/" in messages; NULL: the real one */
    char *general;      /* /etc/virt-who.conf */
    char *drop_in_dir;  /* /etc/virt-who.d */
    char *rhsm;         /* /etc/rhsm/rhsm.conf */
    char *key;          /* /var/lib/virt-who/key */
    char *machine_id;   /* /etc/machine-id */
    char *consumer_dir; /* NULL: what rhsm.conf says, else /etc/pki/consumer */
    char *ca_dir;       /* NULL: what rhsm.conf says, else /etc/rhsm/ca */
} SettingsPaths;

/* What the command line adds. */
typedef struct SettingsOptions {
    const SettingsPaths *paths;
    GPtrArray *files;     /* of char *: -c; they replace every other file's sections. NULL or empty: none */
    const char *interval; /* -i, as given; NULL: the file's */
    bool debug;
} SettingsOptions;

/* Says one thing about the configuration, ready to be logged: priority as in syslog, message with file and
 * line and without secrets. */
typedef void (*SettingsMessage)(int priority, const char *message, void *userdata);

/* The paths of this process. With a root (NULL: the variable GUESTBUS_REPORTER_ROOT, if set) every file is
 * looked for below it: the copies that the unit made, or a test's tree. The CA directory, which everybody may
 * read, is below it only when it is there. */
void settings_paths_init(SettingsPaths *paths, const char *root);
void settings_paths_clear(SettingsPaths *paths);

/* Reads everything. A section with an error is dropped, counted and told; the others stay. Without any
 * section at all, in files that could all be read, there is one mapping: the local libvirt. -ENODATA when
 * sections or files were there and none can be used, -EINVAL when [global] or [defaults] is broken. */
int settings_read(const SettingsOptions *options, SettingsMessage tell, void *userdata,
                  Settings **ret_settings);
/* Settings without any mapping: for a service that waits for ones that can be used. */
Settings *settings_new_empty(const SettingsOptions *options);
void settings_free(Settings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Settings, settings_free)

/* The mapping of that name, or NULL. */
Mapping *settings_find_mapping(const Settings *settings, const char *name);
