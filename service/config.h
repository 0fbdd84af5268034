/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* guestbus.conf(5) in memory. */

/* One [source LABEL] section. */
typedef struct SourceConfig {
    char *label;
    char *uri;
    bool read_only;
    bool ovirt_channel; /* speak the oVirt agent's protocol on its channel */
    char *username;
    char *password; /* read from its file; wiped when freed */
    char *origin;   /* file:line of the section, for messages */
} SourceConfig;

/* The [service] section; periods in seconds. */
typedef struct ServiceConfig {
    int log_level; /* -1: not set */
    unsigned agent_timeout;
    unsigned users_interval;
    unsigned system_interval;
    unsigned filesystems_interval;
    unsigned memory_stats_period; /* 0: leave VMs alone */
    unsigned qmp_event_rate;      /* events a second for each VM */
    unsigned qmp_event_burst;
} ServiceConfig;

typedef struct Config {
    ServiceConfig service;
    GPtrArray *sources;  /* SourceConfig, in the order of the files */
    GPtrArray *problems; /* char *: "FILE:LINE: what is wrong and what is allowed" */
} Config;

#define CONFIG_FILE "/etc/guestbus.conf"
#define CONFIG_SOURCES_MAX 256

/* Where to read from. `file` named on the command line must exist; then its drop-ins are FILE.d/ *.conf.
 * Sources given on the command line replace those of the files. */
typedef struct ConfigOrigin {
    const char *file;       /* NULL: CONFIG_FILE, which may be absent */
    char *const *arguments; /* LABEL=URI, NULL-terminated, or NULL */
} ConfigOrigin;

/* Reads it all. Never fails as a whole: what could not be understood is in `problems`, and the rest
 * holds. Without any [source] section there is one source, `local`, with qemu:///system; a section that
 * was dropped for an error, or a file that cannot be read, does not bring that default back. */
Config *config_read(const ConfigOrigin *origin);
Config *config_free(Config *config);

/* The first thing that is wrong with sources from the command line, or NULL. */
char *config_arguments_problem(char *const *arguments);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

SourceConfig *source_config_copy(const SourceConfig *config);
SourceConfig *source_config_free(SourceConfig *config);
bool source_config_equal(const SourceConfig *a, const SourceConfig *b);

/* A URI as others may read it: without the password that some people put into it. */
char *uri_without_secrets(const char *uri);
/* True when the hypervisor is on this machine: descriptors can be handed out, and start-up waits for it. */
bool uri_is_local(const char *uri);
