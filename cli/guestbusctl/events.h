/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* events [VM...]: prints changes and signals as they happen, until it is interrupted. */
int events_verb(Ctl *ctl, int argc, char **argv);
