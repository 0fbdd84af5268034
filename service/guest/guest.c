/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/guest.h"

#include <string.h>

#include "service/guest/merge.h"

/* Two agents that start at one boot make one PowerUp when they come within this time. */
static const uint64_t boot_window = UINT64_C(60) * 1000 * 1000;

/* What a reboot makes untrue. The rest is what the machine is, not what goes on in it, and most likely still
 * holds: it stays with its age until an agent says it again. */
static const uint32_t run_fields = GUEST_BIT(GUEST_INTERFACES) | GUEST_BIT(GUEST_USERS) |
                                   GUEST_BIT(GUEST_ACTIVE_USER) | GUEST_BIT(GUEST_SESSION_STATE) |
                                   GUEST_BIT(GUEST_AVAILABLE_MEMORY);

const char *guest_origin_name(GuestOrigin origin)
{
    static const char *const names[GUEST_ORIGIN_COUNT] = {
        [GUEST_ORIGIN_OVIRT] = "ovirt",     [GUEST_ORIGIN_QEMU_GA] = "qemu-ga",
        [GUEST_ORIGIN_BALLOON] = "balloon", [GUEST_ORIGIN_LEASE] = "lease",
        [GUEST_ORIGIN_ARP] = "arp",
    };

    return names[origin];
}

const char *guest_property_name(unsigned property)
{
    static const char *const names[GUEST_PROPERTY_COUNT] = {
        [GUEST_HOST_NAME] = "HostName",
        [GUEST_FQDN] = "FQDN",
        [GUEST_OS_TYPE] = "OSType",
        [GUEST_OS_NAME] = "OSName",
        [GUEST_OS_VERSION] = "OSVersion",
        [GUEST_KERNEL_RELEASE] = "KernelRelease",
        [GUEST_ARCHITECTURE] = "Architecture",
        [GUEST_ACTIVE_USER] = "ActiveUser",
        [GUEST_TIMEZONE] = "Timezone",
        [GUEST_AVAILABLE_MEMORY] = "AvailableMemory",
        [GUEST_TOTAL_MEMORY] = "TotalMemory",
        [GUEST_SESSION_STATE] = "SessionState",
        [GUEST_INTERFACES] = "Interfaces",
        [GUEST_APPLICATIONS] = "Applications",
        [GUEST_USERS] = "Users",
        [GUEST_FILESYSTEMS] = "Filesystems",
        [GUEST_AGENTS] = "Agents",
        [GUEST_RESPONSIVE] = "Responsive",
        [GUEST_IPV4_ADDRESSES] = "IPv4Addresses",
        [GUEST_IP_ADDRESSES] = "IPAddresses",
        [GUEST_SCHEDULED_SHUTDOWN] = "ScheduledShutdown",
        [GUEST_TRUNCATED] = "Truncated",
    };

    return names[property];
}

const char *guest_session_name(uint64_t session)
{
    static const char *const names[] = {
        [GUEST_SESSION_UNKNOWN] = "unknown",
        [GUEST_SESSION_ACTIVE] = "active",
        [GUEST_SESSION_LOCKED] = "locked",
        [GUEST_SESSION_LOGGED_OFF] = "logged-off",
    };

    return session < G_N_ELEMENTS(names) ? names[session] : names[GUEST_SESSION_UNKNOWN];
}

Guest *guest_new(const GuestObserver *observer, void *userdata)
{
    Guest *guest = g_new0(Guest, 1);

    guest->observer = observer;
    guest->userdata = userdata;
    guest->scheduled_verb = "";
    memset(guest->origin, -1, sizeof(guest->origin));
    return guest;
}

void guest_free(Guest *guest)
{
    if (!guest)
        return;
    for (int origin = 0; origin < GUEST_ORIGIN_COUNT; origin++)
        if (guest->records[origin]) {
            guest_values_clear_all(&guest->records[origin]->values);
            g_free(guest->records[origin]);
        }
    guest_values_clear_all(&guest->values);
    g_strfreev(guest->own_macs);
    g_free(guest);
}

static void signal_emit(Guest *guest, GuestSignal signal, const char *text, uint64_t number)
{
    if (guest->observer->signal)
        guest->observer->signal(guest, signal, text ?: "", number, guest->userdata);
}

/* Tells what changed. UserInfo is the signal form of a change of ActiveUser, whoever said it. */
static void tell(Guest *guest, uint32_t mask)
{
    if (mask && guest->observer->changed)
        guest->observer->changed(guest, mask, guest->userdata);
    if (mask & GUEST_BIT(GUEST_ACTIVE_USER))
        signal_emit(guest, GUEST_USER_INFO, guest->values.text[GUEST_ACTIVE_USER], 0);
}

static uint32_t responsive_update(Guest *guest)
{
    bool responsive = false;

    for (GuestOrigin origin = 0; origin < GUEST_ORIGIN_BALLOON; origin++)
        responsive = responsive || guest_agent_answers(guest, origin);
    if (responsive == guest->responsive)
        return 0;
    guest->responsive = responsive;
    return GUEST_BIT(GUEST_RESPONSIVE);
}

/* After an agent's state changed: who wins may change with it. */
static uint32_t agents_update(Guest *guest)
{
    return responsive_update(guest) | merge_publish(guest, GUEST_BIT(GUEST_FIELD_COUNT) - 1);
}

void guest_set_own_macs(Guest *guest, const char *const *macs)
{
    unsigned length = macs ? g_strv_length((char **)macs) : 0;
    char **own = g_new0(char *, MIN(length, GUEST_OWN_MACS_MAX) + 1);

    for (unsigned i = 0; i < length && i < GUEST_OWN_MACS_MAX; i++)
        own[i] = g_ascii_strdown(macs[i], -1);
    g_strfreev(guest->own_macs);
    guest->own_macs = own;
    tell(guest, merge_publish(guest, GUEST_BIT(GUEST_INTERFACES)));
}

static bool users_contain(const GPtrArray *list, const GuestUser *wanted)
{
    for (unsigned i = 0; list && i < list->len; i++) {
        const GuestUser *user = list->pdata[i];

        if (strcmp(user->name, wanted->name) == 0 && strcmp(user->domain, wanted->domain) == 0)
            return true;
    }
    return false;
}

static void users_signal_missing(Guest *guest, const GPtrArray *from, const GPtrArray *in, GuestSignal signal)
{
    for (unsigned i = 0; from && i < from->len; i++) {
        const GuestUser *user = from->pdata[i];

        if (!users_contain(in, user))
            signal_emit(guest, signal, user->name, 0);
    }
}

/* qemu-ga knows no sessions but who is logged in: the earliest login is taken for the active user. */
static void active_user_derive(Observation *observation)
{
    const GuestUser *first = NULL;
    const GPtrArray *users = guest_values_list(&observation->values, GUEST_USERS);

    if (!(observation->values.given & GUEST_BIT(GUEST_USERS)) ||
        observation->values.given & GUEST_BIT(GUEST_ACTIVE_USER))
        return;
    for (unsigned i = 0; i < users->len; i++) {
        const GuestUser *user = users->pdata[i];

        if (!first || user->login_time < first->login_time)
            first = user;
    }
    observation_set_text(observation, GUEST_ACTIVE_USER, first ? first->name : "");
}

static GuestRecord *record_get(Guest *guest, GuestOrigin origin)
{
    if (!guest->records[origin])
        guest->records[origin] = g_new0(GuestRecord, 1);
    return guest->records[origin];
}

/* Moves an observation's values into the record. */
static void record_update(GuestRecord *record, Observation *observation)
{
    uint32_t given = observation->values.given;

    for (GuestField field = 0; field < GUEST_FIELD_COUNT; field++) {
        if (!(given & GUEST_BIT(field)))
            continue;
        record->time[field] = observation->time;
        if (!(record->values.given & GUEST_BIT(field)) ||
            !guest_values_equal(&record->values, &observation->values, field))
            guest_values_move(&record->values, &observation->values, field);
    }
    record->truncated = (record->truncated & ~given) | (observation->truncated & given);
}

static void observe(Guest *guest, Observation *observation)
{
    GuestOrigin origin = observation->origin;
    GuestRecord *record = record_get(guest, origin);
    uint32_t given;
    bool compare_users;
    g_autoptr(GPtrArray) old_users = NULL;
    g_autoptr(GPtrArray) new_users = NULL;

    if (origin == GUEST_ORIGIN_QEMU_GA)
        active_user_derive(observation);
    given = observation->values.given;
    compare_users = origin == GUEST_ORIGIN_QEMU_GA && given & GUEST_BIT(GUEST_USERS);
    if (compare_users && guest_values_list(&record->values, GUEST_USERS))
        old_users = g_ptr_array_ref(guest_values_list(&record->values, GUEST_USERS));

    record_update(record, observation);
    if (origin < GUEST_ORIGIN_BALLOON)
        guest->last_seen = MAX(guest->last_seen, observation->time);
    tell(guest, merge_publish(guest, given));

    if (!compare_users)
        return;
    new_users = g_ptr_array_ref(guest_values_list(&record->values, GUEST_USERS));
    /* The oVirt agent tells of sessions itself, and better. */
    if (guest->users_known && !guest_agent_answers(guest, GUEST_ORIGIN_OVIRT)) {
        users_signal_missing(guest, old_users, new_users, GUEST_SESSION_LOGOFF);
        users_signal_missing(guest, new_users, old_users, GUEST_SESSION_LOGON);
    }
    guest->users_known = true;
}

void guest_observe(Guest *guest, Observation *observation)
{
    g_autoptr(Observation) owned = observation;

    observe(guest, owned);
}

static void power_up(Guest *guest, GuestOrigin origin, uint64_t time)
{
    bool same_boot = guest->up && guest->up_origin != origin && time - guest->up_time < boot_window;

    if (!same_boot)
        signal_emit(guest, GUEST_POWER_UP, NULL, 0);
    guest->up = true;
    guest->up_origin = origin;
    guest->up_time = time;
}

static void power_down(Guest *guest)
{
    if (guest->up)
        signal_emit(guest, GUEST_POWER_DOWN, NULL, 0);
    guest->up = false;
}

void guest_agent_connected(Guest *guest, GuestOrigin origin, bool started, uint64_t time)
{
    if (!guest->agents[origin].connected) {
        guest->agents[origin] = (GuestAgent){.connected = true};
        tell(guest, GUEST_BIT(GUEST_AGENTS) | agents_update(guest));
    }
    /* A channel that comes back to a guest that did not go down, as after a restart of libvirtd, is no start.
     */
    if (started && !guest->up)
        power_up(guest, origin, time);
    guest->up = true;
}

void guest_agent_disconnected(Guest *guest, GuestOrigin origin, bool stopped, uint64_t time)
{
    bool others = false;

    if (!guest->agents[origin].connected)
        return;
    guest->agents[origin] = (GuestAgent){};
    tell(guest, GUEST_BIT(GUEST_AGENTS) | agents_update(guest));
    for (GuestOrigin other = 0; other < GUEST_ORIGIN_BALLOON; other++)
        others = others || guest->agents[other].connected;
    if (stopped && !others)
        power_down(guest);
}

void guest_set_responsive(Guest *guest, GuestOrigin origin, bool responsive, uint64_t time)
{
    if (responsive)
        guest->last_seen = MAX(guest->last_seen, time);
    if (guest->agents[origin].responsive == responsive && guest->agents[origin].silent == !responsive)
        return;
    guest->agents[origin].responsive = responsive;
    guest->agents[origin].silent = !responsive;
    tell(guest, agents_update(guest));
}

void guest_heartbeat(Guest *guest, GuestOrigin origin, uint64_t time)
{
    guest_set_responsive(guest, origin, true, time);
    for (GuestOrigin preferred = 0; preferred < origin; preferred++)
        if (guest_agent_answers(guest, preferred))
            return;
    signal_emit(guest, GUEST_HEARTBEAT, NULL, guest_values_number(&guest->values, GUEST_AVAILABLE_MEMORY));
}

void guest_notify(Guest *guest, GuestOrigin origin, GuestSignal signal, const char *user, uint64_t time)
{
    static const GuestSession session[GUEST_SIGNAL_COUNT] = {
        [GUEST_SESSION_LOCK] = GUEST_SESSION_LOCKED,
        [GUEST_SESSION_UNLOCK] = GUEST_SESSION_ACTIVE,
        [GUEST_SESSION_LOGON] = GUEST_SESSION_ACTIVE,
        [GUEST_SESSION_LOGOFF] = GUEST_SESSION_LOGGED_OFF,
    };
    g_autofree char *active = g_strdup(guest->values.text[GUEST_ACTIVE_USER]);

    if (signal == GUEST_POWER_UP) {
        power_up(guest, origin, time);
        return;
    }
    if (signal == GUEST_POWER_DOWN) {
        power_down(guest);
        return;
    }
    if (session[signal] != GUEST_SESSION_UNKNOWN) {
        Observation *observation = observation_new(origin, time);

        observation_set_number(observation, GUEST_SESSION_STATE, session[signal]);
        guest_observe(guest, observation);
    }
    signal_emit(guest, signal, user ?: active, 0);
}

/* Forgets `fields` of one origin; the merge follows. */
static void record_forget(Guest *guest, GuestOrigin origin, uint32_t fields)
{
    GuestRecord *record = guest->records[origin];

    for (GuestField field = 0; record && field < GUEST_FIELD_COUNT; field++)
        if (fields & GUEST_BIT(field)) {
            guest_values_clear(&record->values, field);
            record->truncated &= ~GUEST_BIT(field);
        }
}

void guest_forget_reboot(Guest *guest, uint64_t time)
{
    for (GuestOrigin origin = 0; origin < GUEST_ORIGIN_BALLOON; origin++)
        record_forget(guest, origin, run_fields);
    record_forget(guest, GUEST_ORIGIN_BALLOON, GUEST_BIT(GUEST_AVAILABLE_MEMORY));
    tell(guest, merge_publish(guest, run_fields));
    /* Nobody is logged in right after a boot: who is in the next list has logged in since. */
    guest->users_known = guest->records[GUEST_ORIGIN_QEMU_GA] != NULL;
    power_down(guest);
}

void guest_stop(Guest *guest, bool saved, uint64_t time)
{
    uint32_t mask = 0;

    for (GuestOrigin origin = 0; origin < GUEST_ORIGIN_BALLOON; origin++) {
        if (guest->agents[origin].connected)
            mask |= GUEST_BIT(GUEST_AGENTS);
        guest->agents[origin] = (GuestAgent){};
    }
    for (GuestOrigin origin = 0; origin < GUEST_ORIGIN_COUNT; origin++)
        record_forget(guest, origin, run_fields | GUEST_BIT(GUEST_TOTAL_MEMORY));
    tell(guest, mask | agents_update(guest));
    guest->users_known = guest->records[GUEST_ORIGIN_QEMU_GA] != NULL;
    if (!saved)
        power_down(guest);
}

void guest_boot(Guest *guest)
{
    guest->up = false;
}

void guest_set_scheduled(Guest *guest, const char *verb, uint64_t time)
{
    if (strcmp(guest->scheduled_verb, verb) == 0 && guest->scheduled_time == time)
        return;
    guest->scheduled_verb = verb;
    guest->scheduled_time = time;
    tell(guest, GUEST_BIT(GUEST_SCHEDULED_SHUTDOWN));
}

bool guest_property_origin(const Guest *guest, unsigned property, GuestOrigin *ret_origin, uint64_t *ret_time)
{
    GuestField field = property == GUEST_IPV4_ADDRESSES || property == GUEST_IP_ADDRESSES
                           ? GUEST_INTERFACES
                           : (GuestField)property;

    if (field >= GUEST_FIELD_COUNT || guest->origin[field] < 0)
        return false;
    *ret_origin = (GuestOrigin)guest->origin[field];
    /* A list of users that was made of the active one has that one's time. */
    if (!(guest->records[*ret_origin]->values.given & GUEST_BIT(field)))
        field = GUEST_ACTIVE_USER;
    *ret_time = guest->records[*ret_origin]->time[field];
    return true;
}

bool guest_has_agent(const Guest *guest, GuestOrigin origin)
{
    return guest->agents[origin].connected;
}

bool guest_agent_answers(const Guest *guest, GuestOrigin origin)
{
    return guest->agents[origin].connected && guest->agents[origin].responsive;
}

bool guest_agent_is_live(const Guest *guest, GuestOrigin origin)
{
    return guest->agents[origin].connected && !guest->agents[origin].silent;
}
