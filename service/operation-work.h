/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/console.h"
#include "service/operation.h"
#include "service/source-job.h"

#include <stdatomic.h>

/* An operation under way: its job, what was asked, and what came of it. */
typedef struct Operation {
    SourceJob job;
    OperationRequest request;
    char uuid[VIR_UUID_STRING_BUFLEN];
    char *name;
    char *device;
    Console *console;       /* a place that was not used yet */
    bool by_agent;          /* the agent shall do it, if it answers */
    unsigned agent_timeout; /* seconds */
    OperationDone done;     /* NULL when the caller was answered */
    void *userdata;
    sd_event_source *timer;
    uint64_t deadline; /* µs of CLOCK_MONOTONIC */

    /* The agent was found to answer and was told, or needn't be asked; the worker sets it while the loop
     * looks. */
    atomic_bool sent;

    /* Filled by the worker. */
    bool worked;
    Failure failure;
    virDomainPtr domain;
    bool figures_known;
    VMFigures figures;
    char *text;
    int fd;
} Operation;

/* The worker's part: the one libvirt call that the verb stands for, and a look at what it changed. */
void operation_work(SourceJob *job);
