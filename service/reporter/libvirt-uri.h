/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* The URI to connect to for the keys "server" and "username" of a libvirt section. A bare host (also an IPv6
 * address with or without brackets, also with a port) is reached over ssh; of a whole URI scheme, host, port,
 * path and query are kept. For ssh "no_tty=1" is added, because nobody is there to be asked. The caller
 * frees. NULL when the text is neither a host nor a URI. */
char *libvirt_uri_complete(const char *server, const char *username);

/* The URI without user name's password and without what a query may hide: for logs and status. The caller
 * frees. */
char *libvirt_uri_public(const char *uri);
