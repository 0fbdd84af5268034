/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What can go wrong with a request, in the words of the API. dbus/ turns a kind into a name. */
typedef enum FailureKind {
    FAILURE_NONE,
    FAILURE_NO_SUCH_VM,
    FAILURE_AMBIGUOUS_NAME,
    FAILURE_NO_SUCH_SOURCE,
    FAILURE_SOURCE_DISCONNECTED,
    FAILURE_NOT_RUNNING,
    FAILURE_ALREADY_RUNNING,
    FAILURE_NOT_SUPPORTED,
    FAILURE_AGENT_NOT_CONNECTED,
    FAILURE_AGENT_UNRESPONSIVE,
    FAILURE_GUEST_REFUSED,
    FAILURE_INVALID_ARGUMENT,
    FAILURE_BUSY,
    FAILURE_TIMEOUT,
    FAILURE_RATE_LIMITED,
    FAILURE_HYPERVISOR,
    FAILURE_KIND_COUNT
} FailureKind;

/* A kind and a sentence for a person, which names the VM or source it is about. */
typedef struct Failure {
    FailureKind kind;
    char *message;
} Failure;

void failure_set(Failure *failure, FailureKind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes over the calling thread's last libvirt error; `subject` is the VM or source that it is about. */
void failure_set_libvirt(Failure *failure, const char *subject);

/* The calling thread's last libvirt error as text, never NULL. */
const char *libvirt_error_text(void);

void failure_clear(Failure *failure);
