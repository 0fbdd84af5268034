/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the settings-*.c files only: what is known while the configuration is being read. */

#include <stdarg.h>
#include <stdbool.h>

#include "service/reporter/cipher.h"
#include "service/reporter/ini.h"
#include "service/reporter/settings.h"

typedef struct SettingsFile {
    char *path; /* as people know it: without the root that stands for "/" */
    Ini *ini;
    bool readable_by_others;
} SettingsFile;

typedef struct SettingsReader {
    const SettingsPaths *paths;
    SettingsMessage tell;
    void *userdata;
    Settings *settings;
    GPtrArray *files;      /* of SettingsFile: those whose sections are sources, in order */
    SettingsFile *general; /* /etc/virt-who.conf; NULL when there is none */
    SettingsFile *rhsm;    /* rhsm.conf; NULL when there is none */
    bool trouble;          /* a file could not be read: its sections are missing */
    bool general_lost;     /* /etc/virt-who.conf is there, but cannot be read */
    bool rhsm_lost;        /* what rhsm.conf says of the server is there, but cannot be read */
    int key_state;         /* of the key below: 1 not tried yet, 0 read, else -errno */
    CipherKey key;
    bool certificate_tried;
    char *certificate_owner;
    char *certificate_uuid;
    char *consumer_dir;
} SettingsReader;

/* A source's section while it is turned into a mapping. */
typedef struct SettingsSection {
    SettingsReader *reader;
    const SettingsFile *file;
    const IniSection *section;
    bool failed; /* an error was told: drop it */
} SettingsSection;

typedef enum SettingsKind {
    SETTINGS_TEXT,
    SETTINGS_SECRET,
    SETTINGS_LIST,
    SETTINGS_BOOLEAN,
    SETTINGS_SATELLITE_5, /* of a product that nobody reports to any more */
} SettingsKind;

typedef struct SettingsKey {
    const char *name;
    SettingsKind kind;
    const char *types; /* the types of source that have it, separated by blanks; NULL: all */
} SettingsKey;

/* settings-files.c */
/* Reads one file. NULL when that is not possible, which was told unless the file is missing and optional. */
SettingsFile *settings_file_read(SettingsReader *reader, const char *path, bool optional);
void settings_file_free(void *file);
/* Finds and reads every file. */
void settings_files_read(SettingsReader *reader, const GPtrArray *extra);
const char *settings_shown_path(const SettingsReader *reader, const char *path);
void settings_tell(SettingsReader *reader, int priority, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* settings-section.c */
const SettingsKey *settings_key_find(const char *name);
bool settings_section_is_special(const char *name);
/* The option in the section, else in [defaults]; *ret_file (may be NULL) is where it stands. */
const IniOption *settings_option(const SettingsSection *section, const char *key,
                                 const SettingsFile **ret_file);
/* The text, or NULL when unset or empty. */
const char *settings_text(SettingsSection *section, const char *key);
bool settings_boolean(SettingsSection *section, const char *key, bool fallback);
/* NULL when unset or empty. */
GPtrArray *settings_list(SettingsSection *section, const char *key);
/* The password from the plain key, the encrypted one, or the credential "<section>.<key>"; NULL when there is
 * none or it cannot be had, which was told. */
Secret *settings_secret(SettingsSection *section, const char *key, const char *encrypted_key);
/* Tells about a key (NULL: about the section). LOG_ERR marks the section as failed. */
void settings_section_tell(SettingsSection *section, int priority, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Looks at each option: unknown ones, kinds, broken lines. */
void settings_section_check(SettingsSection *section);
/* Splits a list at commas; NULL when a quote has no end. */
GPtrArray *settings_split(const char *text);
/* 1, 0, or -EINVAL. A comment behind the word is ignored. */
int settings_parse_boolean(const char *text);
int settings_parse_number(const char *text, unsigned max, unsigned *ret_number);

/* settings-mapping.c */
Mapping *settings_mapping_read(SettingsSection *section);
void settings_mapping_free(void *mapping);

/* settings-destination.c */
/* Resolves where a section reports to and gives the destination that it shares with others. NULL after an
 * error. */
Destination *settings_destination_read(SettingsSection *section, bool needs_owner);
void settings_destination_free(void *destination);
