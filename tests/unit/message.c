/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/message.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

static void check(int r, const char *what)
{
    if (r >= 0)
        return;
    g_printerr("%s: %s\n", what, g_strerror(-r));
    abort();
}

sd_bus *message_bus_new(void)
{
    sd_bus *bus = NULL;
    int pair[2];

    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ? -1 : 0, "socketpair");
    check(sd_bus_new(&bus), "sd_bus_new");
    check(sd_bus_set_fd(bus, pair[0], pair[0]), "sd_bus_set_fd");
    check(sd_bus_start(bus), "sd_bus_start");
    return bus;
}

/* What a message looks like from inside. */
typedef struct Walk {
    GString *text;
    unsigned int depth;
    unsigned int deepest;
} Walk;

static void walk_values(sd_bus_message *message, Walk *walk);

static void write_basic(sd_bus_message *message, char type, GString *text)
{
    union {
        uint64_t t;
        int64_t x;
        double d;
        const char *s;
        int b;
    } value;

    check(sd_bus_message_read_basic(message, type, &value), "sd_bus_message_read_basic");
    switch (type) {
    case 't':
        g_string_append_printf(text, "t%" PRIu64, value.t);
        break;
    case 'x':
        g_string_append_printf(text, "x%" PRId64, value.x);
        break;
    case 'd':
        g_string_append_printf(text, "d%g", value.d);
        break;
    case 'b':
        g_string_append_printf(text, "b%s", value.b ? "true" : "false");
        break;
    case 's':
        g_string_append_printf(text, "s\"%s\"", value.s);
        break;
    default:
        g_printerr("type %c was not expected\n", type);
        abort();
    }
}

static void walk_container(sd_bus_message *message, char type, const char *contents, Walk *walk)
{
    const char *brackets = type == 'v' ? "<>" : type == 'a' && contents[0] == '{' ? "{}" : "[]";

    check(sd_bus_message_enter_container(message, type, contents), "sd_bus_message_enter_container");
    walk->depth++;
    walk->deepest = MAX(walk->deepest, walk->depth);
    if (type != 'e')
        g_string_append_c(walk->text, brackets[0]);
    walk_values(message, walk);
    if (type != 'e')
        g_string_append_c(walk->text, brackets[1]);
    walk->depth--;
    check(sd_bus_message_exit_container(message), "sd_bus_message_exit_container");
}

/* Writes what is left in the container that was entered last. */
static void walk_values(sd_bus_message *message, Walk *walk)
{
    const char *contents;
    char type;
    bool first = true;

    while (sd_bus_message_peek_type(message, &type, &contents) > 0) {
        if (!first)
            g_string_append_c(walk->text, ' ');
        first = false;
        if (contents)
            walk_container(message, type, contents, walk);
        else
            write_basic(message, type, walk->text);
    }
}

char *message_to_text(sd_bus_message *message, unsigned int *ret_nesting)
{
    Walk walk = {.text = g_string_new(NULL)};

    check(sd_bus_message_seal(message, 1, 0), "sd_bus_message_seal");
    check(sd_bus_message_rewind(message, true), "sd_bus_message_rewind");
    walk_values(message, &walk);
    if (ret_nesting)
        *ret_nesting = walk.deepest;
    return g_string_free(walk.text, FALSE);
}
