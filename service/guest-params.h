/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/guest/observation.h"

#include <libvirt/libvirt.h>

/* Understands what libvirt hands on from a guest's agent and from a balloon. The values are the guest's: any
 * of them may be missing, of a wrong type, huge or nonsense, and each costs itself at most. Nothing here
 * calls libvirt; any thread. */

/* The groups of virDomainGetGuestInfo(). Each function takes the parameters of its own group and ignores the
 * rest; what is not there is not set. */
void guest_params_users(Observation *observation, const virTypedParameter *params, int count);
void guest_params_os(Observation *observation, const virTypedParameter *params, int count);
void guest_params_host_name(Observation *observation, const virTypedParameter *params, int count);
void guest_params_timezone(Observation *observation, const virTypedParameter *params, int count);
void guest_params_filesystems(Observation *observation, const virTypedParameter *params, int count);

/* What virDomainInterfaceAddresses() gave; an empty list is set as such. */
void guest_params_interfaces(Observation *observation, const virDomainInterfacePtr *interfaces, int count);

/* The figures of a balloon, of one domain's bulk statistics. Returns when the guest gave them, in
 * microseconds since the epoch, 0 when it never did or gave none: then nothing is set. */
uint64_t guest_params_balloon(Observation *observation, const virTypedParameter *params, int count);

/* The same from virDomainMemoryStats(). */
uint64_t guest_params_memory(Observation *observation, const virDomainMemoryStatStruct *stats, int count);
