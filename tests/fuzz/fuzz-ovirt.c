/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/guest/ovirt-agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(const char *text)
{
    check(!text || (strlen(text) <= GUEST_TEXT_MAX && g_utf8_validate(text, -1, NULL)));
}

/* The promise: whatever a guest writes, what is published is fit for the bus and within its caps. */
static void check_published(const Guest *guest)
{
    const GPtrArray *interfaces = guest_values_list(&guest->values, GUEST_INTERFACES);
    const GPtrArray *users = guest_values_list(&guest->values, GUEST_USERS);
    const GPtrArray *applications = guest_values_list(&guest->values, GUEST_APPLICATIONS);

    for (GuestField field = 0; field < GUEST_TEXT_COUNT; field++)
        check_text(guest->values.text[field]);
    check(guest_values_number(&guest->values, GUEST_SESSION_STATE) <= GUEST_SESSION_LOGGED_OFF);
    check(!interfaces || interfaces->len <= GUEST_INTERFACES_MAX);
    check(!users || users->len <= GUEST_USERS_MAX);
    for (unsigned i = 0; interfaces && i < interfaces->len; i++) {
        const GuestInterface *interface = interfaces->pdata[i];

        check_text(interface->name);
        check(interface->addresses->len <= GUEST_ADDRESSES_MAX);
    }
    for (unsigned i = 0; applications && i < applications->len; i++)
        check_text(applications->pdata[i]);
}

static void on_signal(Guest *guest, GuestSignal signal, const char *text, uint64_t number, void *userdata)
{
    check_text(text);
}

static void on_send(OvirtAgent *agent, OvirtCommand *command, void *userdata)
{
    check(memchr(command->text, '\n', command->length) == command->text + command->length - 1);
    ovirt_command_free(command);
}

/* The first byte says in what portions the rest arrives; a second passes from one to the next. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const GuestObserver observer = {.signal = on_signal};
    g_autoptr(Guest) guest = guest_new(&observer, NULL);
    g_autoptr(OvirtAgent) agent = ovirt_agent_new(guest, on_send, NULL);
    OvirtTime now = {.monotonic = 1000000, .real = 1000000};
    size_t portion;

    if (size == 0)
        return 0;
    portion = data[0] % 64 ? data[0] % 64 * 16 : size;
    ovirt_agent_opened(agent, now);
    for (size_t at = 1; at < size; at += portion) {
        ovirt_agent_receive(agent, (const char *)data + at, MIN(portion, size - at), data[0] == 0xff);
        while (ovirt_agent_process(agent, 8, now))
            ;
        ovirt_agent_check(agent, now);
        check_published(guest);
        now.monotonic += 1000000;
        now.real += 1000000;
    }
    ovirt_agent_closed(agent, now);
    check_published(guest);
    return 0;
}
