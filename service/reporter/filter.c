// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/filter.h"

#include <fnmatch.h>

/* One pattern in the forms in which it is tried. */
typedef struct Pattern {
    char *wildcard; /* lower case; NULL: not tried */
    GRegex *regex;  /* NULL: not tried */
} Pattern;

struct Filter {
    GPtrArray *allow; /* of Pattern; NULL: everything is allowed */
    GPtrArray *deny;
};

static void pattern_free(void *data)
{
    Pattern *pattern = data;

    g_free(pattern->wildcard);
    g_clear_pointer(&pattern->regex, g_regex_unref);
    g_free(pattern);
}

GRegex *filter_compile(const char *text)
{
    g_autofree char *anchored = g_strdup_printf("\\A(?:%s)\\z", text);

    return g_regex_new(anchored, G_REGEX_CASELESS | G_REGEX_OPTIMIZE, 0, NULL);
}

static Pattern *pattern_new(FilterType type, const char *text)
{
    Pattern *pattern = g_new0(Pattern, 1);

    if (type != FILTER_REGEX)
        pattern->wildcard = g_utf8_strdown(text, -1);
    if (type != FILTER_WILDCARDS)
        pattern->regex = filter_compile(text);
    return pattern;
}

static GPtrArray *patterns_new(FilterType type, const GPtrArray *texts)
{
    if (!texts)
        return NULL;
    GPtrArray *patterns = g_ptr_array_new_with_free_func(pattern_free);

    for (unsigned i = 0; i < texts->len; i++)
        g_ptr_array_add(patterns, pattern_new(type, texts->pdata[i]));
    return patterns;
}

Filter *filter_new(FilterType type, const GPtrArray *allow, const GPtrArray *deny)
{
    Filter *filter = g_new0(Filter, 1);

    filter->allow = patterns_new(type, allow);
    filter->deny = patterns_new(type, deny);
    return filter;
}

void filter_free(Filter *filter)
{
    if (!filter)
        return;
    g_clear_pointer(&filter->allow, g_ptr_array_unref);
    g_clear_pointer(&filter->deny, g_ptr_array_unref);
    g_free(filter);
}

static bool any_matches(const GPtrArray *patterns, const char *id, const char *lower)
{
    for (unsigned i = 0; i < patterns->len; i++) {
        const Pattern *pattern = patterns->pdata[i];

        if (pattern->wildcard && fnmatch(pattern->wildcard, lower, FNM_NOESCAPE) == 0)
            return true;
        if (pattern->regex && g_regex_match(pattern->regex, id, 0, NULL))
            return true;
    }
    return false;
}

bool filter_matches(const Filter *filter, const char *id)
{
    if (!filter)
        return true;
    g_autofree char *valid = g_utf8_make_valid(id, -1);
    g_autofree char *lower = g_utf8_strdown(valid, -1);

    if (filter->deny && any_matches(filter->deny, valid, lower))
        return false;
    return !filter->allow || any_matches(filter->allow, valid, lower);
}
