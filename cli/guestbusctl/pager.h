/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* Sends what is printed from here on through the user's pager, when it goes to a terminal. */
void pager_open(const Ctl *ctl);

/* Waits until the user is done reading. */
void pager_close(void);
