/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <glib.h>
#include <systemd/sd-bus.h>

/* A connection that called us, from its first call that needs permission until it leaves the bus. */
typedef struct Sender {
    char *name; /* unique name, never used again on this bus */
    uid_t uid;  /* meaningful when known */
    bool known;
    GQueue questions; /* kept by who asked for the sender: what hangs on this connection */
    /* private */
    struct SenderTable *table;
    sd_bus_slot *lookup;
} Sender;

typedef struct SenderTable SenderTable;

/* The bus daemon said who a sender is: known is set, or stays false when it could not tell. */
typedef void (*SenderResolved)(Sender *s, void *userdata);
/* The sender has left the bus and is freed after this call; its questions must be gone then. */
typedef void (*SenderGone)(Sender *s, void *userdata);

int sender_table_new(sd_bus *bus, SenderResolved resolved, SenderGone gone, void *userdata,
                     SenderTable **ret);
SenderTable *sender_table_free(SenderTable *t);

/* The sender with that unique name. When it is new, the bus daemon is asked who it is and resolved() will be
 * called later; nothing waits here. */
int sender_table_get(SenderTable *t, const char *name, Sender **ret);
