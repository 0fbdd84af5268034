// SPDX-License-Identifier: LGPL-2.1-or-later
/* A configuration file: whatever its bytes are, reading it ends, every value is text without a zero byte, and
 * what was read, written again, reads the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/reporter/ini.h"
#include "service/reporter/settings-reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_option(const IniOption *option)
{
    GPtrArray *items = settings_split(option->value);
    unsigned number;

    if (!g_utf8_validate(option->name, -1, NULL) || !*option->name)
        abort();
    g_clear_pointer(&items, g_ptr_array_unref);
    (void)settings_parse_boolean(option->value);
    (void)settings_parse_number(option->value, UINT16_MAX, &number);
}

/* One value on one line comes back as it went in. */
static void check_round_trip(const IniOption *option)
{
    if (strpbrk(option->value, "\r\n"))
        return;
    g_autofree char *text = g_strdup_printf("[s]\nx=\"%s\"\n", option->value);
    g_autoptr(Ini) again = ini_parse(text, strlen(text), NULL, NULL);
    const char *value = ini_value(again, "s", "x");

    if (!value || strcmp(value, option->value) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(Ini) ini = ini_parse((const char *)data, size, NULL, NULL);

    for (unsigned i = 0; i < ini->sections->len; i++) {
        const IniSection *section = ini->sections->pdata[i];

        if (section->broken && !ini->broken)
            abort();
        for (unsigned j = 0; j < section->options->len; j++) {
            check_option(section->options->pdata[j]);
            check_round_trip(section->options->pdata[j]);
        }
    }
    return 0;
}
