/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/guest/observation.h"

/* The inside of one VM: every published value of org.guestbus1.Guest, and what each source last said. All of
 * it belongs to the loop's thread. Reading needs no function: the values are plain memory. */

/* The properties that are not observed as such but follow from what is. One number space with GuestField, so
 * that one mask tells what changed. */
typedef enum GuestProperty {
    GUEST_AGENTS = GUEST_FIELD_COUNT,
    GUEST_RESPONSIVE,
    GUEST_IPV4_ADDRESSES,
    GUEST_IP_ADDRESSES,
    GUEST_SCHEDULED_SHUTDOWN,
    GUEST_TRUNCATED,
    GUEST_PROPERTY_COUNT,
} GuestProperty;

typedef enum GuestSignal {
    GUEST_POWER_UP,
    GUEST_POWER_DOWN,
    GUEST_HEARTBEAT, /* number: available memory in bytes */
    GUEST_USER_INFO, /* text: active user */
    GUEST_SESSION_LOCK,
    GUEST_SESSION_UNLOCK,
    GUEST_SESSION_LOGON,  /* text: user */
    GUEST_SESSION_LOGOFF, /* text: user */
    GUEST_AGENT_UNINSTALLED,
    GUEST_SIGNAL_COUNT,
} GuestSignal;

/* Caps of what is published. One VM adds at most 8 KiB to GetManagedObjects; the guest's share is
 * GUEST_BYTES_MAX, which stops the lists even below their own caps. */
enum {
    GUEST_INTERFACES_MAX = 32,
    GUEST_ADDRESSES_MAX = 16, /* of each interface */
    GUEST_USERS_MAX = 64,
    GUEST_BYTES_MAX = 3584,  /* texts, interfaces, addresses and users together, as they are marshalled */
    GUEST_USERS_BYTES = 512, /* of these kept for the users */
    GUEST_OWN_MACS_MAX = 32,
};

typedef struct Guest Guest;

typedef struct GuestObserver {
    /* Properties that have a new value: a mask of GUEST_BIT(GuestField or GuestProperty). Called after each
     * change, the owner coalesces. LastSeen, AvailableMemory and Origins never make a change. */
    void (*changed)(Guest *guest, uint32_t mask, void *userdata);
    /* A notification. `text` is "" and `number` 0 where the signal has none. What the same cause changed has
     * been told by changed() before. */
    void (*signal)(Guest *guest, GuestSignal signal, const char *text, uint64_t number, void *userdata);
} GuestObserver;

/* What one source said last. */
typedef struct GuestRecord {
    GuestValues values;
    uint64_t time[GUEST_FIELD_COUNT]; /* when each field was last said, microseconds since the epoch */
    uint32_t truncated;               /* GUEST_BIT of the fields that the intake cut */
} GuestRecord;

/* An agent's state, for the origins that are agents. */
typedef struct GuestAgent {
    bool connected;
    bool responsive; /* it answers, or its heartbeats arrive */
    bool silent;     /* it is known not to: one that has just connected is neither */
} GuestAgent;

struct Guest {
    const GuestObserver *observer;
    void *userdata;

    /* Published. */
    GuestValues values;               /* by field: merged, ordered, capped */
    int8_t origin[GUEST_FIELD_COUNT]; /* which GuestOrigin each field is from, -1 for none */
    bool responsive;
    uint32_t cut;               /* GUEST_BIT of the fields that do not show all that was said: Truncated */
    uint64_t last_seen;         /* when an agent was last heard, microseconds since the epoch */
    const char *scheduled_verb; /* "shutdown", "reboot" or "" */
    uint64_t scheduled_time;    /* microseconds since the epoch */

    /* What it is made of. */
    GuestAgent agents[GUEST_ORIGIN_BALLOON];  /* the origins before it are the agents */
    GuestRecord *records[GUEST_ORIGIN_COUNT]; /* NULL until the origin said something */
    char **own_macs; /* the VM's NICs in the order of its XML, NULL-terminated, or NULL */
    bool up;         /* a PowerUp was due and no PowerDown since */
    GuestOrigin up_origin;
    uint64_t up_time;
    bool users_known; /* a list to compare the next one with exists, even if it is empty */
};

/* "ovirt", "qemu-ga", "balloon", "lease", "arp". */
const char *guest_origin_name(GuestOrigin origin);

/* The D-Bus name of a property, "HostName" for GUEST_HOST_NAME. */
const char *guest_property_name(unsigned property);

/* "unknown", "active", "locked", "logged-off". */
const char *guest_session_name(uint64_t session);

/* `observer` must outlive the guest; its members may be NULL. */
Guest *guest_new(const GuestObserver *observer, void *userdata);
void guest_free(Guest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Guest, guest_free)

/* The MAC addresses of the VM's own NICs, from its XML, NULL-terminated: their addresses stand first. */
void guest_set_own_macs(Guest *guest, const char *const *macs);

/* Takes an observation (and owns it from then on). */
void guest_observe(Guest *guest, Observation *observation);

/* An agent's channel opened or closed. `started`, `stopped`: the guest did it, which means that it came up
 * (PowerUp) or goes down (PowerDown, when no other agent is left), as against a service that finds an agent
 * there or loses sight of it. Connected says nothing about answering: that is guest_set_responsive(). Times
 * in microseconds since the epoch. */
void guest_agent_connected(Guest *guest, GuestOrigin origin, bool started, uint64_t time);
void guest_agent_disconnected(Guest *guest, GuestOrigin origin, bool stopped, uint64_t time);

/* The agent answers (and was heard at `time`), or has been silent for too long. Values stay either way. */
void guest_set_responsive(Guest *guest, GuestOrigin origin, bool responsive, uint64_t time);

/* The agent gave a sign of life: Heartbeat with the memory that is known. A second agent's heartbeats are
 * left out while a preferred one's arrive. Deliver the observation that came with it before. */
void guest_heartbeat(Guest *guest, GuestOrigin origin, uint64_t time);

/* A notification in the agent's own words (all but HEARTBEAT and USER_INFO, which follow from the above).
 * `user` may be NULL: then it is the active user. Session notifications set the session's state. */
void guest_notify(Guest *guest, GuestOrigin origin, GuestSignal signal, const char *user, uint64_t time);

/* The guest reboots: forgets what its agents said of addresses, users, session and free memory. Names, OS,
 * applications and file systems stay with their age until the agent says them again, and so does
 * what the host knows (leases). */
void guest_forget_reboot(Guest *guest, uint64_t time);

/* The VM stopped: as a reboot, and what the host knew of its network and memory goes too, and all agents. `saved`: the
 * guest's system did not go down, it sleeps in a file and will not come up again when it wakes. */
void guest_stop(Guest *guest, bool saved, uint64_t time);

/* The VM starts afresh: a saved image that was to wake up is void. */
void guest_boot(Guest *guest);

/* The service will shut the guest down or reboot it at `time` (microseconds since the epoch); "" and 0:
 * nothing is planned. `verb` is a constant. */
void guest_set_scheduled(Guest *guest, const char *verb, uint64_t time);

/* Which origin a property's value is from and when it was last confirmed; false when it has none. The address
 * lists are from where Interfaces is from. */
bool guest_property_origin(const Guest *guest, unsigned property, GuestOrigin *ret_origin,
                           uint64_t *ret_time);

/* Whether this agent is connected; whether it is connected and answers. */
bool guest_has_agent(const Guest *guest, GuestOrigin origin);
bool guest_agent_answers(const Guest *guest, GuestOrigin origin);

/* Whether what it says is to be believed before what less preferred sources say: it is connected and not
 * silent. */
bool guest_agent_is_live(const Guest *guest, GuestOrigin origin);
