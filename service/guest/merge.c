/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/merge.h"

#include <string.h>

#include "service/guest/budget.h"

/* What moves all the time and never wakes anybody. */
static const uint32_t silent_fields = GUEST_BIT(GUEST_AVAILABLE_MEMORY);

/* These share GUEST_BYTES_MAX: what one of them takes is not there for the others. */
static const uint32_t budget_fields = GUEST_BIT(GUEST_TEXT_COUNT) - 1;
static const uint32_t budget_lists = GUEST_BIT(GUEST_INTERFACES) | GUEST_BIT(GUEST_USERS);

/* A file system's used part is told when it moved by this part of its size: it moves a little all the time.
 */
enum { FILESYSTEM_TELL_FRACTION = 100 };

static bool origin_is_agent(GuestOrigin origin)
{
    return origin < GUEST_ORIGIN_BALLOON;
}

static bool has_global_address(const GPtrArray *interfaces)
{
    for (unsigned i = 0; interfaces && i < interfaces->len; i++) {
        const GuestInterface *interface = interfaces->pdata[i];

        for (unsigned k = 0; k < interface->addresses->len; k++)
            if (guest_address_is_global(&g_array_index(interface->addresses, GuestAddress, k)))
                return true;
    }
    return false;
}

/* Whether an origin's value is worth more than the next origin's. */
static bool value_is_usable(const Guest *guest, GuestOrigin origin, GuestField field)
{
    const GuestRecord *record = guest->records[origin];

    if (!record || !(record->values.given & GUEST_BIT(field)))
        return false;
    if (field == GUEST_ACTIVE_USER)
        return true; /* "" is nobody, which is known */
    if (field < GUEST_TEXT_COUNT)
        return record->values.text[field][0] != '\0';
    if (field < GUEST_NUMBER_END)
        return guest_values_number(&record->values, field) != 0;
    if (field == GUEST_INTERFACES)
        return has_global_address(guest_values_list(&record->values, field));
    return true;
}

static const GuestAddress *list_find_address(const GPtrArray *interfaces, const GuestAddress *wanted)
{
    for (unsigned i = 0; interfaces && i < interfaces->len; i++) {
        const GuestInterface *interface = interfaces->pdata[i];

        for (unsigned k = 0; k < interface->addresses->len; k++) {
            const GuestAddress *address = &g_array_index(interface->addresses, GuestAddress, k);

            if (guest_address_equal(address, wanted))
                return address;
        }
    }
    return NULL;
}

/* Whether `a` names an address that `b` does not know. */
static bool list_has_news(const GPtrArray *a, const GPtrArray *b)
{
    for (unsigned i = 0; a && i < a->len; i++) {
        const GuestInterface *interface = a->pdata[i];

        for (unsigned k = 0; k < interface->addresses->len; k++)
            if (!list_find_address(b, &g_array_index(interface->addresses, GuestAddress, k)))
                return true;
    }
    return false;
}

/* Whether a live origin's value takes the place of a preferred agent's that is silent. */
static bool displaces(const Guest *guest, GuestField field, GuestOrigin live, GuestOrigin silent)
{
    const GuestRecord *new = guest->records[live], *old = guest->records[silent];

    if (origin_is_agent(live))
        return true;
    if (new->time[field] <= old->time[field])
        return false;
    if (field == GUEST_INTERFACES)
        return list_has_news(guest_values_list(&new->values, field), guest_values_list(&old->values, field));
    return field == GUEST_AVAILABLE_MEMORY || field == GUEST_TOTAL_MEMORY;
}

/* The origin that wins, or -1. */
static int field_pick(const Guest *guest, GuestField field)
{
    int best = -1;

    for (int origin = 0; origin < GUEST_ORIGIN_COUNT; origin++) {
        bool live = !origin_is_agent(origin) || guest_agent_is_live(guest, origin);

        if (!value_is_usable(guest, origin, field))
            continue;
        if (best < 0)
            best = origin;
        else if (live && displaces(guest, field, origin, best))
            return origin;
        if (live && best == origin)
            return origin;
    }
    if (best >= 0)
        return best;
    for (int origin = 0; origin < GUEST_ORIGIN_COUNT; origin++)
        if (guest->records[origin] && guest->records[origin]->values.given & GUEST_BIT(field))
            return origin;
    return -1;
}

/* Where an interface stands: the VM's own NICs as its XML has them, then what has an address, then the rest.
 * A bridge on top of a NIC has the NIC's MAC and often its address: it counts as own as well. */
static unsigned interface_rank(const Guest *guest, const GuestInterface *interface, bool global)
{
    unsigned rank = 0;

    for (; guest->own_macs && guest->own_macs[rank]; rank++)
        if (strcmp(guest->own_macs[rank], interface->mac) == 0)
            return rank;
    return global ? rank : rank + 1;
}

static bool interface_is_loopback(const GuestInterface *interface)
{
    if (interface->addresses->len == 0)
        return strcmp(interface->mac, "00:00:00:00:00:00") == 0;
    for (unsigned i = 0; i < interface->addresses->len; i++)
        if (!guest_address_is_loopback(&g_array_index(interface->addresses, GuestAddress, i)))
            return false;
    return true;
}

/* The oVirt protocol has no prefix lengths: another origin may know them. */
static uint8_t prefix_find(const Guest *guest, const GuestAddress *wanted)
{
    for (int origin = 0; wanted->prefix == 0 && origin < GUEST_ORIGIN_COUNT; origin++) {
        const GuestRecord *record = guest->records[origin];
        const GuestAddress *found =
            record ? list_find_address(guest_values_list(&record->values, GUEST_INTERFACES), wanted) : NULL;

        if (found && found->prefix)
            return found->prefix;
    }
    return wanted->prefix;
}

/* Adds an interface as far as the budget goes; addresses that reach beyond the link first. */
static bool interface_publish(const Guest *guest, GPtrArray *list, const GuestInterface *from, Budget *budget)
{
    GuestInterface *interface;

    if (list->len >= GUEST_INTERFACES_MAX || !budget_take(budget, budget_interface(from)))
        return false;
    interface = guest_interface_new(from->name, from->mac);
    g_ptr_array_add(list, interface);
    for (int global = 1; global >= 0; global--)
        for (unsigned i = 0; i < from->addresses->len; i++) {
            GuestAddress address = g_array_index(from->addresses, GuestAddress, i);

            if (guest_address_is_global(&address) != global)
                continue;
            if (interface->addresses->len >= GUEST_ADDRESSES_MAX ||
                !budget_take(budget, budget_address(&address)))
                return false;
            address.prefix = prefix_find(guest, &address);
            g_array_append_val(interface->addresses, address);
        }
    return true;
}

static GPtrArray *interfaces_build(const Guest *guest, const GPtrArray *from, Budget *budget, bool *ret_cut)
{
    GPtrArray *list = guest_list_new(GUEST_INTERFACES);
    unsigned ranks = (guest->own_macs ? g_strv_length(guest->own_macs) : 0) + 2;

    for (unsigned rank = 0; rank < ranks; rank++)
        for (unsigned i = 0; i < from->len; i++) {
            const GuestInterface *interface = from->pdata[i];
            bool global = false;

            if (interface_is_loopback(interface))
                continue;
            for (unsigned k = 0; k < interface->addresses->len && !global; k++)
                global = guest_address_is_global(&g_array_index(interface->addresses, GuestAddress, k));
            if (interface_rank(guest, interface, global) == rank &&
                !interface_publish(guest, list, interface, budget))
                *ret_cut = true;
        }
    return list;
}

static GPtrArray *users_build(const GPtrArray *from, Budget *budget, bool *ret_cut)
{
    GPtrArray *list = guest_list_new(GUEST_USERS);

    for (unsigned i = 0; i < from->len; i++) {
        const GuestUser *user = from->pdata[i];

        if (list->len >= GUEST_USERS_MAX || !budget_take(budget, budget_user(user))) {
            *ret_cut = true;
            break;
        }
        g_ptr_array_add(list, guest_user_new(user->name, user->domain, user->login_time));
    }
    return list;
}

/* The published form of a field: a copy, or a list built within the budget. */
static void value_build(const Guest *guest, GuestField field, int origin, Budget *budget,
                        GuestValues *ret_values, bool *ret_cut)
{
    const GuestValues *from = &guest->records[origin]->values;

    guest_values_copy(ret_values, from, field);
    if (field == GUEST_INTERFACES) {
        g_autoptr(GPtrArray) whole = g_steal_pointer(&guest_values_list(ret_values, field));

        guest_values_list(ret_values, field) = interfaces_build(guest, whole, budget, ret_cut);
    } else if (field == GUEST_USERS) {
        g_autoptr(GPtrArray) whole = g_steal_pointer(&guest_values_list(ret_values, field));

        guest_values_list(ret_values, field) = users_build(whole, budget, ret_cut);
    } else if (field < GUEST_TEXT_COUNT)
        budget_take(budget, budget_text(ret_values->text[field])); /* texts are always told whole */
}

/* Without a list of users, the active one is at least known to be there. */
static void users_from_active(const Guest *guest, GuestValues *ret_values, int *ret_origin)
{
    const char *active = guest->values.text[GUEST_ACTIVE_USER];
    GPtrArray *list;

    if (!active || !active[0])
        return;
    list = guest_list_new(GUEST_USERS);
    g_ptr_array_add(list, guest_user_new(active, "", 0));
    guest_values_list(ret_values, GUEST_USERS) = list;
    ret_values->given |= GUEST_BIT(GUEST_USERS);
    *ret_origin = guest->origin[GUEST_ACTIVE_USER];
}

static bool filesystem_is_same(const GuestFilesystem *a, const GuestFilesystem *b)
{
    return strcmp(a->mount_point, b->mount_point) == 0 && strcmp(a->device, b->device) == 0 &&
           strcmp(a->type, b->type) == 0 && a->total == b->total;
}

/* Whether a list of file systems differs enough from the one before it; carries on what was told last. */
static bool filesystems_changed(const GPtrArray *old, GPtrArray *new)
{
    unsigned length = new ? new->len : 0;
    bool changed = length != (old ? old->len : 0);

    for (unsigned i = 0; i < length && !changed; i++) {
        const GuestFilesystem *before = old->pdata[i];
        GuestFilesystem *now = new->pdata[i];
        uint64_t moved = MAX(now->used, before->told) - MIN(now->used, before->told);

        now->told = before->told;
        changed = !filesystem_is_same(before, now) || moved > now->total / FILESYSTEM_TELL_FRACTION;
    }
    for (unsigned i = 0; i < length && changed; i++) {
        GuestFilesystem *now = new->pdata[i];

        now->told = now->used;
    }
    return changed;
}

static bool list_addresses_equal(const GPtrArray *a, const GPtrArray *b, bool four_only)
{
    g_autoptr(GPtrArray) x = guest_list_addresses(a, four_only);
    g_autoptr(GPtrArray) y = guest_list_addresses(b, four_only);

    if (x->len != y->len)
        return false;
    for (unsigned i = 0; i < x->len; i++)
        if (!guest_address_equal(x->pdata[i], y->pdata[i]))
            return false;
    return true;
}

/* What of a new value must be told. */
static uint32_t value_compare(const GuestValues *old, GuestValues *new, GuestField field)
{
    GPtrArray *before = field >= GUEST_NUMBER_END ? guest_values_list(old, field) : NULL;
    GPtrArray *after = field >= GUEST_NUMBER_END ? guest_values_list(new, field) : NULL;
    uint32_t mask = GUEST_BIT(field);

    if (field == GUEST_FILESYSTEMS)
        return before == after || !filesystems_changed(before, after) ? 0 : mask;
    if (guest_values_equal(old, new, field))
        return 0;
    if (field == GUEST_INTERFACES) {
        if (!list_addresses_equal(before, after, false))
            mask |= GUEST_BIT(GUEST_IP_ADDRESSES);
        if (!list_addresses_equal(before, after, true))
            mask |= GUEST_BIT(GUEST_IPV4_ADDRESSES);
    }
    return mask & ~silent_fields;
}

static uint32_t field_publish(Guest *guest, GuestField field, Budget *budget)
{
    GuestValues values = {};
    int origin = field_pick(guest, field);
    bool cut = origin >= 0 && guest->records[origin]->truncated & GUEST_BIT(field);
    uint32_t mask;

    if (origin >= 0)
        value_build(guest, field, origin, budget, &values, &cut);
    else if (field == GUEST_USERS)
        users_from_active(guest, &values, &origin);

    mask = value_compare(&guest->values, &values, field);
    guest_values_move(&guest->values, &values, field);
    guest_values_clear(&values, field);
    guest->origin[field] = (int8_t)origin;
    if (cut)
        guest->cut |= GUEST_BIT(field);
    else
        guest->cut &= ~GUEST_BIT(field);
    return mask;
}

uint32_t merge_publish(Guest *guest, uint32_t fields)
{
    Budget budget = {.left = GUEST_BYTES_MAX - GUEST_USERS_BYTES};
    bool was_cut = guest->cut != 0;
    uint32_t mask = 0;

    if (fields & (budget_fields | budget_lists))
        fields |= budget_fields | budget_lists;
    for (GuestField field = 0; field < GUEST_FIELD_COUNT; field++) {
        if (field == GUEST_USERS)
            budget.left += GUEST_USERS_BYTES;
        if (fields & GUEST_BIT(field))
            mask |= field_publish(guest, field, &budget);
    }
    if (was_cut != (guest->cut != 0))
        mask |= GUEST_BIT(GUEST_TRUNCATED);
    return mask;
}
