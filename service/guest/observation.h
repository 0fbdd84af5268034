/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "service/guest/address.h"

/* What one source says about the inside of one VM, in one go. Sources (the oVirt channel, qemu-ga, balloon
 * statistics, leases, the ARP table) only build observations and hand them to guest_observe(); which of them
 * wins is decided in merge.c and nowhere else. The functions below touch nothing shared: a worker thread may
 * build an observation and post it. They clean and cap everything, so a source may pass a guest's words as
 * they came. */

/* In order of preference. */
typedef enum GuestOrigin {
    GUEST_ORIGIN_OVIRT,
    GUEST_ORIGIN_QEMU_GA,
    GUEST_ORIGIN_BALLOON,
    GUEST_ORIGIN_LEASE,
    GUEST_ORIGIN_ARP,
    GUEST_ORIGIN_COUNT,
} GuestOrigin;

/* The fields that can be observed; each is a property of org.guestbus1.Guest. Texts come first, then numbers,
 * then lists, so that GuestValues needs one array for each sort. */
typedef enum GuestField {
    GUEST_HOST_NAME,
    GUEST_FQDN,
    GUEST_OS_TYPE,    /* linux, windows, ... */
    GUEST_OS_NAME,    /* pretty name */
    GUEST_OS_VERSION, /* the kernel release on Linux, the Windows version name on Windows */
    GUEST_KERNEL_RELEASE,
    GUEST_ARCHITECTURE,
    GUEST_ACTIVE_USER, /* "" when given means: nobody */
    GUEST_TIMEZONE,    /* the name; the offset goes with it */
    GUEST_TEXT_COUNT,

    GUEST_AVAILABLE_MEMORY = GUEST_TEXT_COUNT, /* bytes */
    GUEST_TOTAL_MEMORY,                        /* bytes */
    GUEST_SESSION_STATE,                       /* a GuestSession */
    GUEST_NUMBER_END,

    GUEST_INTERFACES = GUEST_NUMBER_END, /* of GuestInterface */
    GUEST_APPLICATIONS,                  /* of char */
    GUEST_USERS,                         /* of GuestUser */
    GUEST_FILESYSTEMS,                   /* of GuestFilesystem */
    GUEST_FIELD_COUNT,
} GuestField;

#define GUEST_BIT(property) (UINT32_C(1) << (property))

typedef enum GuestSession {
    GUEST_SESSION_UNKNOWN,
    GUEST_SESSION_ACTIVE,
    GUEST_SESSION_LOCKED,
    GUEST_SESSION_LOGGED_OFF,
} GuestSession;

enum {
    GUEST_TEXT_MAX = 255, /* bytes of one string, without the terminating zero */
    GUEST_NUMBER_COUNT = GUEST_NUMBER_END - GUEST_TEXT_COUNT,
    GUEST_LIST_COUNT = GUEST_FIELD_COUNT - GUEST_NUMBER_END,

    /* What is taken in. Wider than what is published (guest.h): which interfaces are the VM's own is only
     * known at the merge, and these must not fall to a hundred bridges that stand before them. */
    GUEST_INTAKE_INTERFACES_MAX = 256,
    GUEST_INTAKE_ADDRESSES_MAX = 64,
    GUEST_INTAKE_APPLICATIONS_MAX = 4096,
    GUEST_INTAKE_APPLICATIONS_BYTES = 256 * 1024,
    GUEST_INTAKE_USERS_MAX = 256,
    GUEST_INTAKE_FILESYSTEMS_MAX = 128,
};

typedef struct GuestInterface {
    char *name;
    char *mac;         /* lower case, colons; "" when unknown */
    GArray *addresses; /* of GuestAddress */
} GuestInterface;

typedef struct GuestUser {
    char *name;
    char *domain;
    uint64_t login_time; /* microseconds since the epoch, 0 when unknown */
} GuestUser;

typedef struct GuestFilesystem {
    char *mount_point;
    char *device;
    char *type;
    uint64_t total; /* bytes */
    uint64_t used;  /* bytes */
    uint64_t told;  /* the merge's own: `used` as it was when a change was last signalled */
} GuestFilesystem;

/* Values by field. A text or list that was not given is NULL; `given` tells an empty list from none. */
typedef struct GuestValues {
    uint32_t given;          /* GUEST_BIT(GuestField) */
    int32_t timezone_offset; /* seconds east of UTC */
    char *text[GUEST_TEXT_COUNT];
    uint64_t number[GUEST_NUMBER_COUNT];
    GPtrArray *list[GUEST_LIST_COUNT];
} GuestValues;

/* The value of a field of the right sort. */
#define guest_values_text(values, field) ((values)->text[field])
#define guest_values_number(values, field) ((values)->number[(field)-GUEST_TEXT_COUNT])
#define guest_values_list(values, field) ((values)->list[(field)-GUEST_NUMBER_END])

typedef struct Observation {
    GuestOrigin origin;
    uint64_t time;            /* microseconds since the epoch */
    uint32_t truncated;       /* GUEST_BIT of the fields of which something was cut */
    size_t application_bytes; /* of the list so far */
    GuestValues values;
} Observation;

Observation *observation_new(GuestOrigin origin, uint64_t time);
void observation_free(Observation *observation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Observation, observation_free)

/* Sets a text field (HOST_NAME to ACTIVE_USER; the time zone has a function of its own). NULL counts as "".
 */
void observation_set_text(Observation *observation, GuestField field, const char *text);

/* Sets a number: memory in bytes, or the session's state. */
void observation_set_number(Observation *observation, GuestField field, uint64_t number);

/* Sets the time zone's name ("" when only the offset is known) and its offset in seconds east of UTC. */
void observation_set_timezone(Observation *observation, const char *name, int32_t offset);

/* Says that a list is given even if nothing follows: a guest where nobody is logged in is no guest that did
 * not say. The functions below do it by themselves. */
void observation_set_list(Observation *observation, GuestField field);

/* Adds an interface; `mac` in any of the usual spellings, NULL when unknown. Returns the new one for
 * observation_add_address(), owned by the observation, or NULL above the cap. */
GuestInterface *observation_add_interface(Observation *observation, const char *name, const char *mac);

/* Adds an address to an interface (NULL is ignored); text that is no address is left out. `prefix` 0 is
 * unknown. */
void observation_add_address(Observation *observation, GuestInterface *interface, const char *text,
                             unsigned prefix);

void observation_add_application(Observation *observation, const char *name);

/* Adds a logged-in user; `login_time` in microseconds since the epoch, 0 when unknown. */
void observation_add_user(Observation *observation, const char *name, const char *domain,
                          uint64_t login_time);

/* Adds a mounted file system, sizes in bytes. */
void observation_add_filesystem(Observation *observation, const char *mount_point, const char *device,
                                const char *type, uint64_t total, uint64_t used);

/* Makes an empty list for a field, and elements for it, as the functions above do: for the merge. */
GPtrArray *guest_list_new(GuestField field);
GuestInterface *guest_interface_new(const char *name, const char *mac);
GuestUser *guest_user_new(const char *name, const char *domain, uint64_t login_time);

/* The addresses of a list of interfaces that reach beyond the link, each once, in the list's order: of
 * GuestAddress, borrowed from the list (which may be NULL). */
GPtrArray *guest_list_addresses(const GPtrArray *interfaces, bool four_only);

/* Frees what `values` holds of a field and forgets the field. */
void guest_values_clear(GuestValues *values, GuestField field);
void guest_values_clear_all(GuestValues *values);

/* Moves one field from `from`, where it is then not given any more. */
void guest_values_move(GuestValues *values, GuestValues *from, GuestField field);

/* Copies one field (lists are shared, they never change once they are built). */
void guest_values_copy(GuestValues *values, const GuestValues *from, GuestField field);

/* Whether both hold the same of a field; "not given" and an empty value are the same. */
bool guest_values_equal(const GuestValues *a, const GuestValues *b, GuestField field);
