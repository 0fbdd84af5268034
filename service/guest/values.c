/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "service/guest/observation.h"

static bool field_is_text(GuestField field)
{
    return field < GUEST_TEXT_COUNT;
}

static bool field_is_number(GuestField field)
{
    return field >= GUEST_TEXT_COUNT && field < GUEST_NUMBER_END;
}

void guest_values_clear(GuestValues *values, GuestField field)
{
    if (field_is_text(field))
        g_clear_pointer(&values->text[field], g_free);
    else if (field_is_number(field))
        guest_values_number(values, field) = 0;
    else
        g_clear_pointer(&guest_values_list(values, field), g_ptr_array_unref);
    if (field == GUEST_TIMEZONE)
        values->timezone_offset = 0;
    values->given &= ~GUEST_BIT(field);
}

void guest_values_clear_all(GuestValues *values)
{
    for (GuestField field = 0; field < GUEST_FIELD_COUNT; field++)
        guest_values_clear(values, field);
}

void guest_values_move(GuestValues *values, GuestValues *from, GuestField field)
{
    guest_values_clear(values, field);
    if (!(from->given & GUEST_BIT(field)))
        return;
    if (field_is_text(field))
        values->text[field] = g_steal_pointer(&from->text[field]);
    else if (field_is_number(field))
        guest_values_number(values, field) = guest_values_number(from, field);
    else
        guest_values_list(values, field) = g_steal_pointer(&guest_values_list(from, field));
    if (field == GUEST_TIMEZONE)
        values->timezone_offset = from->timezone_offset;
    values->given |= GUEST_BIT(field);
    from->given &= ~GUEST_BIT(field);
}

void guest_values_copy(GuestValues *values, const GuestValues *from, GuestField field)
{
    GuestValues copy = {.given = from->given & GUEST_BIT(field), .timezone_offset = from->timezone_offset};

    if (field_is_text(field))
        copy.text[field] = g_strdup(from->text[field]);
    else if (field_is_number(field))
        guest_values_number(&copy, field) = guest_values_number(from, field);
    else if (guest_values_list(from, field))
        guest_values_list(&copy, field) = g_ptr_array_ref(guest_values_list(from, field));
    guest_values_move(values, &copy, field);
}

static bool interface_equal(const void *a, const void *b)
{
    const GuestInterface *x = a, *y = b;

    return strcmp(x->name, y->name) == 0 && strcmp(x->mac, y->mac) == 0 &&
           x->addresses->len == y->addresses->len &&
           (x->addresses->len == 0 ||
            memcmp(x->addresses->data, y->addresses->data, x->addresses->len * sizeof(GuestAddress)) == 0);
}

static bool application_equal(const void *a, const void *b)
{
    return strcmp(a, b) == 0;
}

static bool user_equal(const void *a, const void *b)
{
    const GuestUser *x = a, *y = b;

    return strcmp(x->name, y->name) == 0 && strcmp(x->domain, y->domain) == 0 &&
           x->login_time == y->login_time;
}

static bool filesystem_equal(const void *a, const void *b)
{
    const GuestFilesystem *x = a, *y = b;

    return strcmp(x->mount_point, y->mount_point) == 0 && strcmp(x->device, y->device) == 0 &&
           strcmp(x->type, y->type) == 0 && x->total == y->total && x->used == y->used;
}

static bool list_equal(const GPtrArray *a, const GPtrArray *b, GuestField field)
{
    static bool (*const equal[GUEST_LIST_COUNT])(const void *, const void *) = {
        [GUEST_INTERFACES - GUEST_NUMBER_END] = interface_equal,
        [GUEST_APPLICATIONS - GUEST_NUMBER_END] = application_equal,
        [GUEST_USERS - GUEST_NUMBER_END] = user_equal,
        [GUEST_FILESYSTEMS - GUEST_NUMBER_END] = filesystem_equal,
    };
    unsigned length = a ? a->len : 0;

    if (length != (b ? b->len : 0))
        return false;
    for (unsigned i = 0; i < length; i++)
        if (!equal[field - GUEST_NUMBER_END](a->pdata[i], b->pdata[i]))
            return false;
    return true;
}

bool guest_values_equal(const GuestValues *a, const GuestValues *b, GuestField field)
{
    if (field == GUEST_TIMEZONE && a->timezone_offset != b->timezone_offset)
        return false;
    if (field_is_text(field))
        return strcmp(a->text[field] ?: "", b->text[field] ?: "") == 0;
    if (field_is_number(field))
        return guest_values_number(a, field) == guest_values_number(b, field);
    return list_equal(guest_values_list(a, field), guest_values_list(b, field), field);
}

GPtrArray *guest_list_addresses(const GPtrArray *interfaces, bool four_only)
{
    GPtrArray *addresses = g_ptr_array_new();

    for (unsigned i = 0; interfaces && i < interfaces->len; i++) {
        const GuestInterface *interface = interfaces->pdata[i];

        for (unsigned k = 0; k < interface->addresses->len; k++) {
            GuestAddress *address = &g_array_index(interface->addresses, GuestAddress, k);
            bool seen = false;

            if (!guest_address_is_global(address) || (four_only && address->family != AF_INET))
                continue;
            for (unsigned n = 0; n < addresses->len && !seen; n++)
                seen = guest_address_equal(addresses->pdata[n], address);
            if (!seen)
                g_ptr_array_add(addresses, address);
        }
    }
    return addresses;
}
