/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

int guest_address_parse(const char *text, unsigned prefix, GuestAddress *ret_address)
{
    GuestAddress address = {};
    char plain[GUEST_ADDRESS_TEXT_MAX];
    size_t length = strcspn(text, "%"); /* the zone says nothing outside the guest */
    unsigned bits;

    if (length >= sizeof(plain))
        return -EINVAL;
    memcpy(plain, text, length);
    plain[length] = '\0';

    if (inet_pton(AF_INET, plain, address.bytes) == 1) {
        address.family = AF_INET;
        bits = 32;
    } else if (inet_pton(AF_INET6, plain, address.bytes) == 1) {
        address.family = AF_INET6;
        bits = 128;
    } else
        return -EINVAL;

    address.prefix = prefix <= bits ? (uint8_t)prefix : 0;
    *ret_address = address;
    return 0;
}

const char *guest_address_format(const GuestAddress *address, char buffer[static GUEST_ADDRESS_TEXT_MAX])
{
    if (!inet_ntop(address->family, address->bytes, buffer, GUEST_ADDRESS_TEXT_MAX))
        buffer[0] = '\0';
    return buffer;
}

bool guest_address_is_loopback(const GuestAddress *address)
{
    struct in6_addr six;

    if (address->family == AF_INET)
        return address->bytes[0] == 127;
    memcpy(&six, address->bytes, sizeof(six));
    return IN6_IS_ADDR_LOOPBACK(&six);
}

bool guest_address_is_global(const GuestAddress *address)
{
    struct in6_addr six;

    if (guest_address_is_loopback(address))
        return false;
    if (address->family == AF_INET) {
        const uint8_t *b = address->bytes;

        /* 0.0.0.0/8 is "this host", 169.254/16 link-local, 224/4 and above multicast and broadcast. */
        return b[0] != 0 && b[0] < 224 && !(b[0] == 169 && b[1] == 254);
    }
    memcpy(&six, address->bytes, sizeof(six));
    return !IN6_IS_ADDR_UNSPECIFIED(&six) && !IN6_IS_ADDR_LINKLOCAL(&six) && !IN6_IS_ADDR_MULTICAST(&six);
}

bool guest_address_equal(const GuestAddress *a, const GuestAddress *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
