// SPDX-License-Identifier: LGPL-2.1-or-later
/* The JSON of a fake source: what is taken can be printed, and what is printed is taken and printed the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/reporter/fake-source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *print(const char *text, size_t size, size_t *ret_size)
{
    SourceFailure failure;
    g_autoptr(Association) association = fake_source_parse(text, size, true, &failure);
    char *printed = NULL;

    if (!association)
        return NULL;
    FILE *stream = open_memstream(&printed, ret_size);

    association_write_print(&association, 1, stream);
    fclose(stream);
    return printed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t first_size, second_size;
    char *first = print((const char *)data, size, &first_size);

    if (!first)
        return 0;
    char *second = print(first, first_size, &second_size);

    if (!second || first_size != second_size || memcmp(first, second, first_size) != 0)
        abort();
    free(first);
    free(second);
    return 0;
}
