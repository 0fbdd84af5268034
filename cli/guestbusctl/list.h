/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* list [PATTERN...]: a table of VMs. */
int list_vms_verb(Ctl *ctl, int argc, char **argv);

/* sources: a table of the libvirt connections. */
int list_sources_verb(Ctl *ctl, int argc, char **argv);
