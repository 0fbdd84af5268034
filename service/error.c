/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/error.h"

#include <glib.h>
#include <libvirt/virterror.h>
#include <stdarg.h>

/* The one table from libvirt's codes to ours. What is not here is FAILURE_HYPERVISOR with libvirt's message.
 */
static const struct {
    int code;
    FailureKind kind;
} libvirt_codes[] = {
    {VIR_ERR_NO_DOMAIN, FAILURE_NO_SUCH_VM},
    {VIR_ERR_NO_SUPPORT, FAILURE_NOT_SUPPORTED},
    {VIR_ERR_OPERATION_UNSUPPORTED, FAILURE_NOT_SUPPORTED},
    {VIR_ERR_ARGUMENT_UNSUPPORTED, FAILURE_NOT_SUPPORTED},
    {VIR_ERR_CONFIG_UNSUPPORTED, FAILURE_NOT_SUPPORTED},
    {VIR_ERR_OPERATION_DENIED, FAILURE_NOT_SUPPORTED}, /* a read-only connection */
    {VIR_ERR_OPERATION_TIMEOUT, FAILURE_TIMEOUT},
    {VIR_ERR_RESOURCE_BUSY, FAILURE_BUSY},
    {VIR_ERR_AGENT_UNRESPONSIVE, FAILURE_AGENT_UNRESPONSIVE},
    {VIR_ERR_AGENT_UNSYNCED, FAILURE_AGENT_UNRESPONSIVE},
    {VIR_ERR_INVALID_ARG, FAILURE_INVALID_ARGUMENT},
    {VIR_ERR_INVALID_CONN, FAILURE_SOURCE_DISCONNECTED},
    {VIR_ERR_NO_CONNECT, FAILURE_SOURCE_DISCONNECTED},
};

void failure_set(Failure *failure, FailureKind kind, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    g_free(failure->message);
    failure->message = g_strdup_vprintf(format, ap);
    failure->kind = kind;
    va_end(ap);
}

void failure_set_libvirt(Failure *failure, const char *subject)
{
    virErrorPtr error = virGetLastError();
    FailureKind kind = FAILURE_HYPERVISOR;

    for (size_t i = 0; error && i < G_N_ELEMENTS(libvirt_codes); i++)
        if (libvirt_codes[i].code == error->code)
            kind = libvirt_codes[i].kind;
    /* A connection that broke during the call is told by its domain, not by a code of its own. */
    if (error && error->domain == VIR_FROM_RPC && kind == FAILURE_HYPERVISOR)
        kind = FAILURE_SOURCE_DISCONNECTED;
    failure_set(failure, kind, "%s: %s", subject, libvirt_error_text());
}

const char *libvirt_error_text(void)
{
    virErrorPtr error = virGetLastError();

    return error && error->message ? error->message : "unknown libvirt error";
}

void failure_clear(Failure *failure)
{
    g_clear_pointer(&failure->message, g_free);
    failure->kind = FAILURE_NONE;
}
