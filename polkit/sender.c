/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit/sender.h"

#include <assert.h>
#include <errno.h>

#include "service/cleanup.h"

/* The bus daemon answers at once or is dead; the questions have deadlines of their own. */
#define LOOKUP_TIMEOUT_USEC (10 * UINT64_C(1000000))

struct SenderTable {
    sd_bus *bus;
    SenderResolved resolved;
    SenderGone gone;
    void *userdata;
    GHashTable *senders; /* unique name → Sender */
    sd_bus_slot *left;   /* match: names that leave the bus */
};

static void sender_free(gpointer p)
{
    Sender *s = p;

    assert(g_queue_is_empty(&s->questions));
    sd_bus_slot_unref(s->lookup);
    g_free(s->name);
    g_free(s);
}

static void sender_remove(Sender *s)
{
    SenderTable *t = s->table;

    t->gone(s, t->userdata);
    g_hash_table_remove(t->senders, s->name);
}

static int name_left(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    SenderTable *t = userdata;
    const char *name;
    Sender *s;

    if (sd_bus_message_read(m, "s", &name) < 0)
        return 0;
    s = g_hash_table_lookup(t->senders, name);
    if (s)
        sender_remove(s);
    return 0;
}

int sender_table_new(sd_bus *bus, SenderResolved resolved, SenderGone gone, void *userdata, SenderTable **ret)
{
    SenderTable *t = g_new0(SenderTable, 1);
    int r;

    /* One rule for all names, not one for each sender: a connection may have 512 rules, and sd_bus_track asks
     * the daemon about each name in a blocking call. arg2 is the new owner: only departures wake us. */
    r = sd_bus_add_match_async(bus, &t->left,
                               "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                               "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''",
                               name_left, NULL, t);
    if (r < 0) {
        g_free(t);
        return r;
    }
    t->bus = sd_bus_ref(bus);
    t->resolved = resolved;
    t->gone = gone;
    t->userdata = userdata;
    t->senders = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, sender_free);
    *ret = t;
    return 0;
}

SenderTable *sender_table_free(SenderTable *t)
{
    GHashTableIter i;
    gpointer s;

    if (!t)
        return NULL;
    sd_bus_slot_unref(t->left);
    g_hash_table_iter_init(&i, t->senders);
    while (g_hash_table_iter_next(&i, NULL, &s))
        t->gone(s, t->userdata);
    g_hash_table_unref(t->senders);
    sd_bus_unref(t->bus);
    g_free(t);
    return NULL;
}

static int lookup_done(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Sender *s = userdata;
    SenderTable *t = s->table;
    uint32_t uid;

    s->lookup = sd_bus_slot_unref(s->lookup);
    /* Left before it could be asked about; the signal of that may have come before our match was there. */
    if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
        sender_remove(s);
        return 1;
    }
    if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "u", &uid) >= 0) {
        s->uid = uid;
        s->known = true;
    }
    t->resolved(s, t->userdata);
    if (!s->known) /* the next call of that connection tries again */
        sender_remove(s);
    return 1;
}

int sender_table_get(SenderTable *t, const char *name, Sender **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    Sender *s = g_hash_table_lookup(t->senders, name);
    int r;

    if (s) {
        *ret = s;
        return 0;
    }
    r = sd_bus_message_new_method_call(t->bus, &m, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                       "org.freedesktop.DBus", "GetConnectionUnixUser");
    if (r < 0)
        return r;
    r = sd_bus_message_append(m, "s", name);
    if (r < 0)
        return r;
    s = g_new0(Sender, 1);
    s->table = t;
    s->name = g_strdup(name);
    r = sd_bus_call_async(t->bus, &s->lookup, m, lookup_done, s, LOOKUP_TIMEOUT_USEC);
    if (r < 0) {
        sender_free(s);
        return r;
    }
    g_hash_table_insert(t->senders, s->name, s);
    *ret = s;
    return 0;
}
