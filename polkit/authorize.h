/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* The one gate before everything that acts: who may call a method is polkit's answer to the action that
 * polkit/actions.c has for it. Nothing here blocks the loop. */
typedef struct Authority Authority;

/* What a polkit rule can look at; NULL: does not apply. */
typedef struct AuthorityDetails {
    const char *name;   /* of the VM */
    const char *uuid;   /* of the VM */
    const char *source; /* label of the VM's source, or of the source itself */
    const char *verb;   /* "start", "force-off", ...: what the method does */
} AuthorityDetails;

/* bus must be attached to an event loop, and stay so until authority_free(), which drops what is pending
 * without a reply. */
int authority_new(sd_bus *bus, Authority **ret);
Authority *authority_free(Authority *a);

/* For method handlers whose vtable entry has SD_BUS_VTABLE_UNPRIVILEGED: call it once in a run, after the
 * arguments were read and checked and before anything is changed.
 *
 * 1: allowed, go on. 0: the answer is not there yet; the handler returns 1 at once, keeps nothing, and is run
 * again from its start, with the message rewound, when it is: the object is looked up again and may be gone
 * then. < 0: refused; error is set, to be returned by the handler.
 *
 * An answer is good for one run of the handler of that message, for the same action and the same details. */
int authority_check(Authority *a, sd_bus_message *call, const AuthorityDetails *d, sd_bus_error *error);

/* Who calls. For handlers whose authority_check() has returned 1. */
int authority_caller(Authority *a, sd_bus_message *call, uid_t *ret);

/* How many calls wait for an answer or for their second run. */
unsigned authority_pending(const Authority *a);
