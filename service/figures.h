/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/vm.h"

/* libvirt's answers as VMFigures. All of it blocks: workers only. */

/* One VM of a listing. */
typedef struct Listed {
    virDomainPtr domain;
    char uuid[VIR_UUID_STRING_BUFLEN];
    char *name;
    VMFigures figures;
} Listed;

/* Every domain of a connection, with few bulk calls. Drivers without them are asked VM by VM. -1: libvirt's
 * last error says why. */
int figures_list(virConnectPtr connection, GPtrArray **ret);

/* One domain, whose pointer must be fresh from a lookup: it carries the id. -1: libvirt's last error says
 * why. */
int figures_read(virDomainPtr domain, VMFigures *ret);

/* Takes the id over from a pointer, which is as old as the pointer; what the state says is newer. */
void figures_settle_id(virDomainPtr domain, VMFigures *figures);
