/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <glib.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "polkit/authorize.h"
#include "polkit/queue.h"
#include "polkit/sender.h"

#define ERROR_RATE_LIMITED "org.guestbus1.Error.RateLimited"

/* What authorize.c, which faces the handlers, and inquiry.c, which faces polkit, share. */
struct Authority {
    sd_bus *bus;
    sd_event *event;
    SenderTable *senders;
    Queue *queue;
    GHashTable *questions;  /* sd_bus_message → Question */
    GHashTable *checks;     /* of Check: those that polkit owes an answer, wanted or not */
    sd_event_source *sweep; /* after the second run of handlers, frees what these did not fetch */
    GPtrArray *swept;       /* of Question, answered and queued for the second run */
    bool told_absent;       /* the log says that polkit is not there */
};
