/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/guest/guest.h"

/* Decides anew what is published of `fields` (a mask of GUEST_BIT(GuestField)) from what the origins said, in
 * guest->values, guest->origin and guest->cut. The rules, in this order:
 *  - oVirt agent, qemu-ga, balloon, lease, ARP; an origin that gave nothing usable (an empty name, no address
 * beyond the link) is passed over;
 *  - an agent that fell silent or went keeps its last values, but loses to another agent that answers, and to
 * a newer host-side figure: memory always, addresses only when the lease or the ARP table shows one that the
 *    agent did not name (else its richer list stays), names never;
 *  - without a list of users the active user is the list.
 * Returns the mask of properties whose change must be signalled, those that follow from the fields included.
 */
uint32_t merge_publish(Guest *guest, uint32_t fields);
