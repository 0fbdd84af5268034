/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "service/reporter/association.h"
#include "service/reporter/source.h"

/* One connection to libvirt as the reporter uses it: read-only, for one thread, every call may block. The
 * thread and its deadlines are libvirt-source.c's. */

typedef struct LibvirtSession LibvirtSession;

/* Called on libvirt's event thread: a domain's life changed, or the connection ended. Must not block. */
typedef void (*LibvirtChanged)(void *userdata);

typedef struct LibvirtTarget {
    char *uri; /* NULL: libvirt's own choice for this host */
    char *username;
    Secret *password;
    bool by_hostname;
    bool local; /* give a guest list */
} LibvirtTarget;

/* Starts libvirt's event loop in a thread of its own, once for the process. Nothing else may have registered
 * one. */
int libvirt_loop_start(void);

/* changed may be called until libvirt has let go of it. That is told with release, once for each of the
 * LIBVIRT_SESSION_LISTENERS callbacks, also when this fails after it has begun: not when it cannot connect.
 */
#define LIBVIRT_SESSION_LISTENERS 2
int libvirt_session_open(const LibvirtTarget *target, LibvirtChanged changed, void *userdata,
                         void (*release)(void *), SourceFailure *ret_failure, LibvirtSession **ret_session);
void libvirt_session_close(LibvirtSession *session);
bool libvirt_session_alive(LibvirtSession *session);
/* NULL and the failure when anything is missing: half an association would take guests away from their hosts.
 */
Association *libvirt_session_collect(LibvirtSession *session, SourceFailure *ret_failure);
