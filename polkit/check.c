/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "service/cleanup.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_ALLOW_USER_INTERACTION 1u

#define CANCELLATION_ID_MAX 32

Check *check_new(uid_t uid, QueueKind kind, void *authority, void *question)
{
    static uint64_t last_id;
    Check *c = g_new0(Check, 1);

    c->ticket.uid = uid;
    c->ticket.kind = kind;
    c->authority = authority;
    c->question = question;
    c->id = ++last_id;
    return c;
}

Check *check_free(Check *c)
{
    if (!c)
        return NULL;
    sd_bus_slot_unref(c->slot);
    g_free(c);
    return NULL;
}

/* polkit keeps these apart by the connection that used them, so a plain count is enough. */
static void cancellation_id(const Check *c, char id[static CANCELLATION_ID_MAX])
{
    snprintf(id, CANCELLATION_ID_MAX, "guestbus-%" PRIu64, c->id);
}

static int append_details(sd_bus_message *m, const char *const *details)
{
    int r = sd_bus_message_open_container(m, 'a', "{ss}");

    for (; r >= 0 && details[0]; details += 2)
        r = sd_bus_message_append(m, "{ss}", details[0], details[1]);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int check_ask(Check *c, sd_bus *bus, const CheckSubject *subject, sd_bus_message_handler_t done)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    char id[CANCELLATION_ID_MAX];
    int r;

    r = sd_bus_message_new_method_call(bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                                       "CheckAuthorization");
    if (r < 0)
        return r;
    /* The subject is the connection, never its process: a PID can belong to somebody else by now. */
    r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", subject->sender,
                              subject->action);
    if (r < 0)
        return r;
    r = append_details(m, subject->details);
    if (r < 0)
        return r;
    cancellation_id(c, id);
    r = sd_bus_message_append(m, "us",
                              c->ticket.kind == QUEUE_INTERACTIVE ? POLKIT_ALLOW_USER_INTERACTION : 0u, id);
    if (r < 0)
        return r;
    return sd_bus_call_async(bus, &c->slot, m, done, c, UINT64_MAX);
}

void check_cancel(const Check *c, sd_bus *bus)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    char id[CANCELLATION_ID_MAX];

    cancellation_id(c, id);
    if (sd_bus_message_new_method_call(bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                                       "CancelCheckAuthorization") < 0)
        return;
    /* Without a reply it takes none of the connection's open calls. Should polkit be gone, this must not
     * start it again. */
    if (sd_bus_message_append(m, "s", id) < 0 || sd_bus_message_set_expect_reply(m, false) < 0 ||
        sd_bus_message_set_auto_start(m, false) < 0)
        return;
    (void)sd_bus_send(bus, m, NULL);
}

static CheckAnswer read_error(const sd_bus_error *e, const char **ret_text)
{
    /* What the bus daemon and systemd say when the service cannot be reached or started, or has died. */
    static const char *const absent[] = {
        SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER, SD_BUS_ERROR_NO_REPLY,
        SD_BUS_ERROR_DISCONNECTED,    SD_BUS_ERROR_TIMEOUT,           SD_BUS_ERROR_NO_SERVER,
    };
    static const char *const prefixes[] = {"org.freedesktop.DBus.Error.Spawn.", "org.freedesktop.systemd1."};

    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        if (sd_bus_error_has_name(e, absent[i]))
            return CHECK_NO_POLKIT;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(e->name, prefixes[i], strlen(prefixes[i])) == 0)
            return CHECK_NO_POLKIT;
    *ret_text = e->message;
    return CHECK_UNDECIDED;
}

static bool details_say_dismissed(sd_bus_message *reply)
{
    const char *key, *value;

    if (sd_bus_message_enter_container(reply, 'a', "{ss}") < 0)
        return false;
    while (sd_bus_message_read(reply, "{ss}", &key, &value) > 0)
        if (strcmp(key, "polkit.dismissed") == 0)
            return true;
    return false;
}

CheckAnswer check_read_answer(sd_bus_message *reply, const char **ret_text)
{
    const sd_bus_error *e = sd_bus_message_get_error(reply);
    int authorized, challenge;

    *ret_text = NULL;
    if (e)
        return read_error(e, ret_text);
    if (sd_bus_message_enter_container(reply, 'r', "bba{ss}") < 0 ||
        sd_bus_message_read(reply, "bb", &authorized, &challenge) < 0) {
        *ret_text = "its answer cannot be read";
        return CHECK_UNDECIDED;
    }
    if (authorized)
        return CHECK_ALLOWED;
    if (challenge)
        return CHECK_CHALLENGE;
    return details_say_dismissed(reply) ? CHECK_DISMISSED : CHECK_DENIED;
}
