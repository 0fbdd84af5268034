/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* An IP address as a guest or the host's tables name it. Kept in binary: what is not an address never gets
 * in, and two spellings of one address are equal. */
typedef struct GuestAddress {
    uint8_t family; /* AF_INET or AF_INET6 */
    uint8_t prefix; /* length in bits, 0 when the source does not know it */
    uint8_t bytes[16];
} GuestAddress;

enum { GUEST_ADDRESS_TEXT_MAX = INET6_ADDRSTRLEN };

/* Reads an address, with or without a zone ("fe80::1%eth0"). Returns 0 or -EINVAL. A prefix beyond the
 * family's length counts as unknown. */
int guest_address_parse(const char *text, unsigned prefix, GuestAddress *ret_address);

/* Writes the canonical form into `buffer` and returns it; cannot fail. */
const char *guest_address_format(const GuestAddress *address, char buffer[static GUEST_ADDRESS_TEXT_MAX]);

/* Whether the address means something beyond the guest's own link: not loopback, link-local, unspecified or
 * multicast. */
bool guest_address_is_global(const GuestAddress *address);

bool guest_address_is_loopback(const GuestAddress *address);

/* Same address, whatever the prefix length. */
bool guest_address_equal(const GuestAddress *a, const GuestAddress *b);
