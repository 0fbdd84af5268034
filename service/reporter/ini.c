// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/ini.h"

#include <string.h>
#include <syslog.h>

/* Most of what a file may have of each, so that a hostile one cannot make the quadratic searches below count.
 */
#define SECTIONS_MAX 4096
#define OPTIONS_MAX 256

typedef struct Reader {
    Ini *ini;
    IniMessage tell;
    void *userdata;
    unsigned line;
    IniSection *section; /* NULL before the first */
    IniOption *option;   /* that an indented line continues; NULL: none */
    GString *value;      /* of that option, so far */
    size_t indent;       /* of the line on which it began */
    bool headless;       /* told that lines stand before the first section */
} Reader;

static void option_free(void *data)
{
    IniOption *option = data;

    g_free(option->name);
    secret_free(option->value);
    g_free(option);
}

static void section_free(void *data)
{
    IniSection *section = data;

    g_free(section->name);
    g_ptr_array_unref(section->options);
    g_free(section);
}

static void tell(Reader *reader, int priority, const char *message)
{
    if (priority == LOG_ERR) {
        reader->ini->broken = true;
        if (reader->section)
            reader->section->broken = true;
    }
    if (reader->tell)
        reader->tell(priority, reader->line, message, reader->userdata);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

/* Takes white space off both ends of [*at, *end). */
static void strip(const char **at, const char **end)
{
    while (*at < *end && is_space(**at))
        (*at)++;
    while (*end > *at && is_space((*end)[-1]))
        (*end)--;
}

static void wipe_string(GString *string)
{
    explicit_bzero(string->str, string->allocated_len);
    g_string_truncate(string, 0);
}

/* Ends the value that was being read. */
static void finish_option(Reader *reader)
{
    if (!reader->option)
        return;
    GString *value = reader->value;
    const char *start = value->str, *end = value->str + value->len;

    while (end > start && (is_space(end[-1]) || end[-1] == '\n'))
        end--;
    if (end - start >= 2 && (*start == '"' || *start == '\'') && end[-1] == *start) {
        start++;
        end--;
    }
    secret_free(reader->option->value);
    reader->option->value = secret_new_bytes(start, (size_t)(end - start));
    reader->option = NULL;
    wipe_string(value);
}

IniSection *ini_find(const Ini *ini, const char *section)
{
    for (unsigned i = 0; i < ini->sections->len; i++) {
        IniSection *found = ini->sections->pdata[i];

        if (strcmp(found->name, section) == 0)
            return found;
    }
    return NULL;
}

IniOption *ini_section_find(const IniSection *section, const char *option)
{
    for (unsigned i = 0; section && i < section->options->len; i++) {
        IniOption *found = section->options->pdata[i];

        if (strcmp(found->name, option) == 0)
            return found;
    }
    return NULL;
}

const char *ini_value(const Ini *ini, const char *section, const char *option)
{
    const IniOption *found = ini_section_find(ini_find(ini, section), option);

    return found ? found->value : NULL;
}

static void begin_section(Reader *reader, const char *name, size_t size)
{
    g_autofree char *text = g_utf8_make_valid(name, (gssize)size);
    IniSection *section = ini_find(reader->ini, text);

    reader->section = section;
    if (section) {
        tell(reader, LOG_WARNING, "the section was there before; both parts are read as one");
        return;
    }
    if (reader->ini->sections->len >= SECTIONS_MAX) {
        tell(reader, LOG_ERR, "too many sections; the rest is not read");
        return;
    }
    section = g_new0(IniSection, 1);
    section->name = g_steal_pointer(&text);
    section->line = reader->line;
    section->options = g_ptr_array_new_with_free_func(option_free);
    g_ptr_array_add(reader->ini->sections, section);
    reader->section = section;
}

/* "[name]": the name reaches to the last bracket. */
static void read_header(Reader *reader, const char *at, const char *end)
{
    const char *close = memrchr(at, ']', (size_t)(end - at));

    finish_option(reader);
    if (!close || close == at + 1) {
        /* What follows belongs to a section whose name is not known: not to the one before. */
        reader->section = NULL;
        reader->headless = true;
        tell(reader, LOG_ERR, "a section's name stands between [ and ]; this section is not read");
        return;
    }
    begin_section(reader, at + 1, (size_t)(close - at - 1));
    if (close + 1 < end)
        tell(reader, LOG_WARNING, "what stands after the section's name is ignored");
}

static IniOption *begin_option(Reader *reader, const char *name)
{
    IniSection *section = reader->section;
    IniOption *option = ini_section_find(section, name);

    if (option) {
        g_autofree char *message =
            g_strdup_printf("\"%s\" was set before in line %u; this value is used", name, option->line);

        tell(reader, LOG_WARNING, message);
    } else if (section->options->len >= OPTIONS_MAX) {
        tell(reader, LOG_ERR, "too many options in this section");
        return NULL;
    } else {
        option = g_new0(IniOption, 1);
        option->name = g_strdup(name);
        g_ptr_array_add(section->options, option);
    }
    option->line = reader->line;
    return option;
}

static void read_option(Reader *reader, const char *at, const char *end)
{
    const char *separator = at;

    finish_option(reader);
    while (separator < end && *separator != '=' && *separator != ':')
        separator++;
    if (separator == end || separator == at) {
        tell(reader, LOG_ERR, "neither a section nor \"name = value\"");
        return;
    }
    const char *name_end = separator, *value = separator + 1;

    strip(&at, &name_end);
    strip(&value, &end);
    g_autofree char *valid = g_utf8_make_valid(at, name_end - at);
    g_autofree char *name = g_ascii_strdown(valid, -1);

    reader->option = begin_option(reader, name);
    if (reader->option)
        g_string_append_len(reader->value, value, end - value);
}

static void read_content(Reader *reader, const char *line, const char *at, const char *end)
{
    size_t indent = (size_t)(at - line);

    if (reader->option && indent > reader->indent) {
        g_string_append_c(reader->value, '\n');
        g_string_append_len(reader->value, at, end - at);
        return;
    }
    reader->indent = indent;
    if (*at == '[') {
        read_header(reader, at, end);
    } else if (reader->section) {
        read_option(reader, at, end);
    } else if (!reader->headless) {
        reader->headless = true;
        tell(reader, LOG_ERR, "stands before the first [section]");
    }
}

static void read_line(Reader *reader, const char *line, const char *end)
{
    const char *at = line, *last = end;

    reader->line++;
    strip(&at, &last);
    if (memchr(at, '\0', (size_t)(last - at))) {
        finish_option(reader);
        tell(reader, LOG_ERR, "has a zero byte");
        return;
    }
    if (at == last) {
        if (reader->option)
            g_string_append_c(reader->value, '\n');
        return;
    }
    if (*at != '#' && *at != ';')
        read_content(reader, line, at, last);
}

/* The end of a line: at "\n", at "\r\n", or at "\r" alone. */
static const char *line_end(const char *at, const char *end)
{
    while (at < end && *at != '\n' && *at != '\r')
        at++;
    return at;
}

Ini *ini_parse(const char *text, size_t size, IniMessage message, void *userdata)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    const char *at = text, *end = text + size;
    Ini *ini = g_new0(Ini, 1);
    Reader reader = {.ini = ini, .tell = message, .userdata = userdata};

    ini->sections = g_ptr_array_new_with_free_func(section_free);
    /* Sized so that it never moves, which would leave copies of passwords behind. */
    reader.value = g_string_sized_new(size + 1);
    if (size >= 3 && memcmp(at, byte_order_mark, 3) == 0)
        at += 3;
    while (at < end) {
        const char *stop = line_end(at, end);

        read_line(&reader, at, stop);
        at = stop + 1 < end && stop[0] == '\r' && stop[1] == '\n' ? stop + 2 : stop + 1;
    }
    finish_option(&reader);
    g_string_free(reader.value, TRUE);
    return ini;
}

void ini_free(Ini *ini)
{
    if (!ini)
        return;
    g_ptr_array_unref(ini->sections);
    g_free(ini);
}
