/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/vm.h"

/* The address that the host knows of a VM whose agent tells none: the lease that a libvirt network's DHCP
 * server gave, and the host's ARP table. */

typedef struct GuestLease GuestLease;

/* Something changed on which looking depends: the VM's state, its definition, its agent, its source. */
void guest_lease_update(VM *vm);

/* Looks now, if it looks at all. */
void guest_lease_refresh(VM *vm);

void guest_lease_free(VM *vm);
