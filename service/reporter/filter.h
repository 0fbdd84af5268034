/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include <glib.h>

/* Which hosts go into a report: an allow list and a deny list of wildcards and regular expressions, matched
 * without regard to case. The deny list wins. */
typedef struct Filter Filter;

typedef enum FilterType {
    FILTER_BOTH, /* a pattern matches as a wildcard or as a regular expression */
    FILTER_WILDCARDS,
    FILTER_REGEX,
} FilterType;

/* Takes copies of the lists (of char *), either may be NULL: no such list. */
Filter *filter_new(FilterType type, const GPtrArray *allow, const GPtrArray *deny);
void filter_free(Filter *filter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Filter, filter_free)

/* True when a host of that id is to be reported. A NULL filter lets everything through. */
bool filter_matches(const Filter *filter, const char *id);

/* The regular expression as the filter matches it (the whole id, without regard to case), or NULL when it is
 * none. */
GRegex *filter_compile(const char *text);
