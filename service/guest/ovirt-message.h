/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/guest/observation.h"

/* What an oVirt agent says, one JSON object a line. The protocol has no specification; the names, members and
 * units here are those of the agent's releases up to 1.0.16. */

enum {
    OVIRT_API_MAX = 3,    /* the highest version of the protocol that either side knows */
    OVIRT_DEPTH_MAX = 16, /* nesting of a message; real ones need five */
};

typedef enum OvirtMessageType {
    OVIRT_HEARTBEAT,
    OVIRT_SESSION_STARTUP, /* the agent started, or answers a refresh */
    OVIRT_SESSION_SHUTDOWN,
    OVIRT_SESSION_LOGON,
    OVIRT_SESSION_LOGOFF,
    OVIRT_SESSION_LOCK,
    OVIRT_SESSION_UNLOCK,
    OVIRT_UNINSTALLED,
    OVIRT_INFORMATION, /* the observation is all of it */
    OVIRT_IGNORED,     /* known, and nothing that we publish */
} OvirtMessageType;

typedef struct OvirtMessage {
    OvirtMessageType type;
    int api_version;          /* of a heartbeat: what the agent reports, 0 when it reports none */
    Observation *observation; /* NULL when it has none; its time is not set */
} OvirtMessage;

/* Frees what a message holds. */
void ovirt_message_clear(OvirtMessage *message);

/* Reads one line. Members that are missing (older agents) or of a wrong type are left out.
 * Returns 0;
 * -ENODATA for a blank line (the package's uninstall hook writes one);
 * -EBADMSG for what is no JSON object with a name, or lacks the one member it is about;
 * -ENOENT for a message that we do not know. */
int ovirt_message_parse(const char *line, size_t length, OvirtMessage *ret_message);
