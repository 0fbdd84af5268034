/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/budget.h"

#include <string.h>
#include <sys/socket.h>

enum { LENGTH_BYTES = 4, NUMBER_BYTES = 8, STRUCT_ALIGN = 8 };

static unsigned align(unsigned bytes, unsigned to)
{
    return (bytes + to - 1) / to * to;
}

bool budget_take(Budget *budget, unsigned bytes)
{
    if (bytes > budget->left)
        return false;
    budget->left -= bytes;
    return true;
}

unsigned budget_text(const char *text)
{
    return align(LENGTH_BYTES + (unsigned)strlen(text) + 1, LENGTH_BYTES);
}

unsigned budget_interface(const GuestInterface *interface)
{
    return align(budget_text(interface->name) + budget_text(interface->mac) + LENGTH_BYTES, STRUCT_ALIGN);
}

unsigned budget_address(const GuestAddress *address)
{
    char buffer[GUEST_ADDRESS_TEXT_MAX];
    unsigned text = budget_text(guest_address_format(address, buffer));
    unsigned bytes = align(text + LENGTH_BYTES, STRUCT_ALIGN); /* (su) in Interfaces */

    if (guest_address_is_global(address))
        bytes += address->family == AF_INET ? 2 * text : text; /* IPAddresses and IPv4Addresses */
    return bytes;
}

unsigned budget_user(const GuestUser *user)
{
    return align(budget_text(user->name) + budget_text(user->domain), STRUCT_ALIGN) + NUMBER_BYTES;
}
