// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/libvirt-uri.h"

#include <string.h>

#include <glib.h>

#define PATH_DEFAULT "/system"
#define TRANSPORT_DEFAULT "qemu+ssh"

/* Adds a parameter unless the query has it. */
static char *query_with(const char *query, const char *name, const char *value)
{
    g_auto(GStrv) parts = query && *query ? g_strsplit_set(query, "&;", -1) : NULL;
    size_t size = strlen(name);

    for (unsigned i = 0; parts && parts[i]; i++)
        if (strncmp(parts[i], name, size) == 0 && (parts[i][size] == '=' || !parts[i][size]))
            return g_strdup(query);
    return parts ? g_strdup_printf("%s&%s=%s", query, name, value) : g_strdup_printf("%s=%s", name, value);
}

/* "host", "user@host", "host:port", "[::1]", "[::1]:22", "::1" as what stands between "//" and the path. */
static char *authority_of_host(const char *server)
{
    const char *first = strchr(server, ':');
    bool bare_ipv6 = *server != '[' && first && strchr(first + 1, ':');

    return bare_ipv6 ? g_strdup_printf("[%s]", server) : g_strdup(server);
}

/* Characters that no host has: what has them was meant as something else. */
static bool is_host(const char *server)
{
    return *server && !server[strcspn(server, "/?# \t\n\\\"'")];
}

static char *complete(const char *scheme, const char *authority, const char *path, const char *query,
                      const char *username)
{
    g_autofree char *user =
        username && *authority && !strchr(authority, '@') ? g_uri_escape_string(username, NULL, FALSE) : NULL;
    bool ssh = g_str_has_suffix(scheme, "+ssh") || g_str_has_suffix(scheme, "+libssh") ||
               g_str_has_suffix(scheme, "+libssh2");
    g_autofree char *whole_query = ssh ? query_with(query, "no_tty", "1") : g_strdup(query);

    return g_strconcat(scheme, "://", user ?: "", user ? "@" : "", authority,
                       *path && strcmp(path, "/") != 0 ? path : PATH_DEFAULT, whole_query ? "?" : "",
                       whole_query ?: "", NULL);
}

char *libvirt_uri_complete(const char *server, const char *username)
{
    const char *scheme_end = strstr(server, "://");

    if (!scheme_end) {
        g_autofree char *authority = is_host(server) ? authority_of_host(server) : NULL;

        return authority ? complete(TRANSPORT_DEFAULT, authority, "", NULL, username) : NULL;
    }
    const char *start = scheme_end + 3;
    const char *authority_end = start + strcspn(start, "/?#");
    const char *path_end = authority_end + strcspn(authority_end, "?#");
    const char *query_end = *path_end == '?' ? path_end + strcspn(path_end, "#") : path_end;
    g_autofree char *scheme = g_strndup(server, (gsize)(scheme_end - server));
    g_autofree char *authority = g_strndup(start, (gsize)(authority_end - start));
    g_autofree char *path = g_strndup(authority_end, (gsize)(path_end - authority_end));
    g_autofree char *query =
        *path_end == '?' ? g_strndup(path_end + 1, (gsize)(query_end - path_end - 1)) : NULL;

    if (!*scheme || scheme[strspn(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.")])
        return NULL;
    return complete(scheme, authority, path, query, username);
}

char *libvirt_uri_public(const char *uri)
{
    const char *start = strstr(uri, "://");
    const char *end = start ? start + 3 + strcspn(start + 3, "/?#") : NULL;
    const char *at = start ? memrchr(start, '@', (size_t)(end - start)) : NULL;
    const char *colon = at ? memchr(start + 3, ':', (size_t)(at - start - 3)) : NULL;

    if (!colon)
        return g_strdup(uri);
    return g_strdup_printf("%.*s%s", (int)(colon - uri), uri, at);
}
