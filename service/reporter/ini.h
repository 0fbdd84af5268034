/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <glib.h>

#include "service/reporter/secret.h"

/* The files of virt-who and of subscription-manager, as Python's ConfigParser reads them, with two
 * differences: "%" is a plain character, and an error costs the section that it stands in, not the file.
 *
 * Option names are lower-case; "=" or ":" separates; a line that begins with "#" or ";" is a comment, and
 * nothing else is; a line indented deeper than its option continues the value with a line break; one pair of
 * quotes around a value is taken off. */

/* A file larger than this is refused. */
#define INI_SIZE_MAX (1024 * 1024)

typedef struct IniOption {
    char *name;
    Secret *value; /* any value may be a password */
    unsigned line;
} IniOption;

typedef struct IniSection {
    char *name;
    unsigned line;
    GPtrArray *options; /* of IniOption, one for each name */
    bool broken;        /* an error was told for a line of it */
} IniSection;

typedef struct Ini {
    GPtrArray *sections; /* of IniSection, one for each name, in the order of the file */
    bool broken;         /* an error was told, in a section or before the first */
} Ini;

/* Tells one thing about a line; priority is LOG_ERR or LOG_WARNING. The message has no value in it. */
typedef void (*IniMessage)(int priority, unsigned line, const char *message, void *userdata);

/* Never fails: what cannot be read is told and marked. tell may be NULL. */
Ini *ini_parse(const char *text, size_t size, IniMessage tell, void *userdata);
void ini_free(Ini *ini);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ini, ini_free)

/* The section of that name, or NULL. */
IniSection *ini_find(const Ini *ini, const char *section);
/* The option, or NULL; section may be NULL. */
IniOption *ini_section_find(const IniSection *section, const char *option);
/* The value, or NULL. */
const char *ini_value(const Ini *ini, const char *section, const char *option);
