/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/guestbusctl/state.h"

TableColour state_colour(const char *state)
{
    if (strcmp(state, "running") == 0 || strcmp(state, "blocked") == 0)
        return COLOUR_GOOD;
    if (strcmp(state, "crashed") == 0)
        return COLOUR_BAD;
    if (strcmp(state, "shut-off") == 0)
        return COLOUR_FAINT;
    return COLOUR_WARN;
}
