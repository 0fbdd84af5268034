/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/figures.h"
#include "service/qmp/gate.h"
#include "service/source.h"

/* What a connect thread brings to the loop. */
struct ConnectResult {
    InboxItem item;
    SourceLink *link;
    unsigned generation;
    virConnectPtr control, agent; /* both or none */
    bool remote;                  /* a daemon is at the other end, and not a driver in this process */
    char *error;
    bool has_lifecycle_events;
    int callbacks[8];
    unsigned callback_count;
    QMPGate *qmp_gate;  /* NULL: do not ask for QMP events */
    int qmp_callback;   /* -1: there is none */
    GPtrArray *listing; /* Listed */
};

/* Starts the thread for one try. Returns a negative errno when there is none to be had. */
int source_connect_start(Source *source);

/* Closes connections in a thread of its own, because closing asks the other side, which may hang. */
void source_connections_close(Source *source);
