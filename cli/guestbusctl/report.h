/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* report status|send|show|reload [MAPPING]: the reporter, as guestbusd shows it on the bus. */
int report_verb(Ctl *ctl, int argc, char **argv);
