/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/error.h"

#include "service/guest/text.h"

#include <glib.h>
#include <stdarg.h>

#define ERROR_BYTES_MAX 1024

static const char *const names[FAILURE_KIND_COUNT] = {
    [FAILURE_NO_SUCH_VM] = "org.guestbus1.Error.NoSuchVM",
    [FAILURE_AMBIGUOUS_NAME] = "org.guestbus1.Error.AmbiguousName",
    [FAILURE_NO_SUCH_SOURCE] = "org.guestbus1.Error.NoSuchSource",
    [FAILURE_SOURCE_DISCONNECTED] = "org.guestbus1.Error.SourceDisconnected",
    [FAILURE_NOT_RUNNING] = "org.guestbus1.Error.NotRunning",
    [FAILURE_ALREADY_RUNNING] = "org.guestbus1.Error.AlreadyRunning",
    [FAILURE_NOT_SUPPORTED] = "org.guestbus1.Error.NotSupported",
    [FAILURE_AGENT_NOT_CONNECTED] = "org.guestbus1.Error.AgentNotConnected",
    [FAILURE_AGENT_UNRESPONSIVE] = "org.guestbus1.Error.AgentUnresponsive",
    [FAILURE_GUEST_REFUSED] = "org.guestbus1.Error.GuestRefused",
    [FAILURE_INVALID_ARGUMENT] = "org.guestbus1.Error.InvalidArgument",
    [FAILURE_BUSY] = "org.guestbus1.Error.Busy",
    [FAILURE_TIMEOUT] = "org.guestbus1.Error.Timeout",
    [FAILURE_RATE_LIMITED] = "org.guestbus1.Error.RateLimited",
    [FAILURE_HYPERVISOR] = "org.guestbus1.Error.Hypervisor",
};

const char *error_name(FailureKind kind)
{
    return names[kind] ? names[kind] : SD_BUS_ERROR_FAILED;
}

int error_from_failure(sd_bus_error *error, const Failure *failure)
{
    /* libvirt's messages quote what others chose, and an error whose text is no UTF-8 would never be sent. */
    g_autofree char *message = text_clean(failure->message, -1, ERROR_BYTES_MAX, NULL);

    return sd_bus_error_set(error, error_name(failure->kind), message);
}

int error_set(sd_bus_error *error, FailureKind kind, const char *format, ...)
{
    g_autofree char *message = NULL;
    va_list ap;

    va_start(ap, format);
    message = g_strdup_vprintf(format, ap);
    va_end(ap);
    return error_from_failure(error, &(Failure){kind, message});
}
