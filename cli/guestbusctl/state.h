/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/table.h"

/* The colour for a VM's State. */
TableColour state_colour(const char *state);
