/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/error.h"
#include "service/vm.h"

#include <sys/types.h>

/* What can be done to a VM. */
typedef enum Verb {
    VERB_START,
    VERB_SHUTDOWN,
    VERB_REBOOT,
    VERB_RESET,
    VERB_FORCE_OFF,
    VERB_PAUSE,
    VERB_RESUME,
    VERB_WAKEUP,
    VERB_SAVE,
    VERB_SET_MEMORY,
    VERB_SET_AUTOSTART,
    VERB_OPEN_GRAPHICS,
    VERB_OPEN_CONSOLE,
    VERB_GET_XML,
    VERB_COUNT
} Verb;

typedef enum ShutdownMode {
    SHUTDOWN_BEST, /* the agent where it answers, else ACPI */
    SHUTDOWN_AGENT,
    SHUTDOWN_ACPI,
} ShutdownMode;

/* A verb and its arguments; only those that the verb has are read. */
typedef struct OperationRequest {
    Verb verb;
    bool paused, bypass_saved; /* Start */
    ShutdownMode mode;         /* Shutdown, Reboot */
    uint64_t memory;           /* SetMemory, bytes */
    bool autostart;            /* SetAutostart */
    unsigned index;            /* OpenGraphics */
    const char *device;        /* OpenConsole; copied */
    bool force;                /* OpenConsole */
    uid_t user;                /* OpenConsole: who asks */
    bool inactive, secrets;    /* GetXML */
} OperationRequest;

/* The answer, valid during the callback. The model shows what the operation changed already. */
typedef struct OperationResult {
    Failure failure;  /* FAILURE_NONE: it was done, or was accepted and goes on */
    const char *text; /* GetXML */
    int fd;           /* OpenGraphics, OpenConsole: TAKE_FD() it, else it is closed */
} OperationResult;

typedef void (*OperationDone)(OperationResult *result, void *userdata);

/* A caller hears within 20 s; libvirt may need longer, and what comes of it then is the VM's LastJob. */
#define OPERATION_DEADLINE_USEC (20 * 1000000ULL)
/* What can take minutes is taken for accepted when it has not failed by then. */
#define OPERATION_ACCEPTED_USEC (5 * 1000000ULL)

const char *verb_name(Verb verb);

/* Starts it. `done` is called once, later, in the loop, also when the VM or its source goes meanwhile. A
 * request that can't be started at all (not connected, not local) sets `failure` and returns -1 without a
 * call. */
int vm_operate(VM *vm, const OperationRequest *request, OperationDone done, void *userdata, Failure *failure);
