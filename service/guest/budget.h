/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/guest/observation.h"

/* How many bytes of a D-Bus message one guest's values may take, counted as they are marshalled, alignment
 * included. The caps of the single lists alone would not do: 32 interfaces of 16 addresses are 25 KiB. */
typedef struct Budget {
    unsigned left;
} Budget;

/* Takes the bytes if they are there. */
bool budget_take(Budget *budget, unsigned bytes);

unsigned budget_text(const char *text);
unsigned budget_interface(const GuestInterface *interface); /* without its addresses */
unsigned budget_address(const GuestAddress *address);       /* in each property that shows it */
unsigned budget_user(const GuestUser *user);
