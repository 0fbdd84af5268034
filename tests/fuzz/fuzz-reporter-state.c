/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/reporter/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is taken for a state can be written and is taken again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(State) state = state_new();
    g_autoptr(State) again = state_new();
    g_autofree char *written = NULL;

    if (state_parse(state, text, size) < 0)
        return 0;
    written = state_format(state);
    if (state_parse(again, written, strlen(written)) < 0)
        abort();
    return 0;
}
