/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/vm-dbus.h"

#include "dbus/error.h"
#include "dbus/object.h"
#include "dbus/options.h"
#include "service/cleanup.h"
#include "service/operation.h"

/* Every handler: read and check the arguments, ask the authority, start the operation; the reply comes when
 * it is done. */

/* What waits for an operation. */
typedef struct PendingCall {
    sd_bus_message *call;
    Verb verb;
} PendingCall;

static int send_result(PendingCall *pending, OperationResult *result)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

    if (result->failure.kind != FAILURE_NONE) {
        (void)error_from_failure(&error, &result->failure);
        return sd_bus_reply_method_error(pending->call, &error);
    }
    switch (pending->verb) {
    case VERB_GET_XML:
        return sd_bus_reply_method_return(pending->call, "s", result->text);
    case VERB_OPEN_GRAPHICS:
    case VERB_OPEN_CONSOLE:
        return sd_bus_reply_method_return(pending->call, "h", result->fd);
    default:
        return sd_bus_reply_method_return(pending->call, NULL);
    }
}

static void on_done(OperationResult *result, void *userdata)
{
    PendingCall *pending = userdata;

    int r = send_result(pending, result);

    if (r < 0) /* as text that is no UTF-8; a caller who left needs no answer either way */
        (void)sd_bus_reply_method_errnof(pending->call, r, "The answer can't be sent: %s", g_strerror(-r));
    sd_bus_message_unref(pending->call);
    g_free(pending);
}

static int start(sd_bus_message *call, VM *vm, const OperationRequest *request, sd_bus_error *error)
{
    PendingCall *pending = g_new0(PendingCall, 1);
    Failure failure = {0};
    int r;

    pending->call = sd_bus_message_ref(call);
    pending->verb = request->verb;
    if (vm_operate(vm, request, on_done, pending, &failure) == 0)
        return 1;
    r = error_from_failure(error, &failure);
    failure_clear(&failure);
    sd_bus_message_unref(pending->call);
    g_free(pending);
    return r;
}

static int authorize(sd_bus_message *call, const VM *vm, Verb verb, sd_bus_error *error)
{
    const AuthorityDetails details = {vm->name, vm->uuid, vm->source->config->label, verb_name(verb)};

    return authority_check(vm_face(vm)->bus->authority, call, &details, error);
}

/* The rest of every handler, after its arguments. */
static int authorize_and_start(sd_bus_message *call, VM *vm, const OperationRequest *request,
                               sd_bus_error *error)
{
    int r = authorize(call, vm, request->verb, error);

    if (r <= 0)
        return r < 0 ? r : 1;
    return start(call, vm, request, error);
}

static int plain(sd_bus_message *call, VM *vm, Verb verb, sd_bus_error *error)
{
    const OperationRequest request = {.verb = verb};
    int r = options_none(call, error);

    return r < 0 ? r : authorize_and_start(call, vm, &request, error);
}

int vm_method_start(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    OperationRequest request = {.verb = VERB_START};
    const MethodOption options[] = {
        {"paused", SD_BUS_TYPE_BOOLEAN, &request.paused},
        {"bypass-saved", SD_BUS_TYPE_BOOLEAN, &request.bypass_saved},
    };
    int r = options_read(call, options, G_N_ELEMENTS(options), error);

    return r < 0 ? r : authorize_and_start(call, userdata, &request, error);
}

static int read_mode(sd_bus_message *call, ShutdownMode *ret, sd_bus_error *error)
{
    const char *mode;
    int r = sd_bus_message_read(call, "s", &mode);

    if (r < 0)
        return r;
    if (g_str_equal(mode, ""))
        *ret = SHUTDOWN_BEST;
    else if (g_str_equal(mode, "agent"))
        *ret = SHUTDOWN_AGENT;
    else if (g_str_equal(mode, "acpi"))
        *ret = SHUTDOWN_ACPI;
    else
        return error_set(error, FAILURE_INVALID_ARGUMENT,
                         "Mode \"%.64s\": it takes \"agent\", \"acpi\" or \"\"", mode);
    return options_none(call, error);
}

static int shutdown_or_reboot(sd_bus_message *call, VM *vm, Verb verb, sd_bus_error *error)
{
    OperationRequest request = {.verb = verb};
    int r = read_mode(call, &request.mode, error);

    return r < 0 ? r : authorize_and_start(call, vm, &request, error);
}

int vm_method_shutdown(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return shutdown_or_reboot(call, userdata, VERB_SHUTDOWN, error);
}

int vm_method_reboot(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return shutdown_or_reboot(call, userdata, VERB_REBOOT, error);
}

int vm_method_reset(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return plain(call, userdata, VERB_RESET, error);
}

int vm_method_force_off(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return plain(call, userdata, VERB_FORCE_OFF, error);
}

int vm_method_pause(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return plain(call, userdata, VERB_PAUSE, error);
}

int vm_method_resume(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return plain(call, userdata, VERB_RESUME, error);
}

int vm_method_wakeup(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return plain(call, userdata, VERB_WAKEUP, error);
}

int vm_method_save(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return plain(call, userdata, VERB_SAVE, error);
}

int vm_method_set_memory(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    OperationRequest request = {.verb = VERB_SET_MEMORY};
    int r = sd_bus_message_read(call, "t", &request.memory);

    if (r >= 0)
        r = options_none(call, error);
    if (r < 0)
        return r;
    if (request.memory < 1024 || request.memory % 1024 != 0 || request.memory > INT64_MAX)
        return error_set(error, FAILURE_INVALID_ARGUMENT, "Memory is set in bytes, in multiples of 1024");
    return authorize_and_start(call, userdata, &request, error);
}

int vm_method_set_autostart(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    OperationRequest request = {.verb = VERB_SET_AUTOSTART};
    int enabled, r;

    r = sd_bus_message_read(call, "b", &enabled);
    if (r < 0)
        return r;
    request.autostart = enabled;
    r = options_none(call, error);
    return r < 0 ? r : authorize_and_start(call, userdata, &request, error);
}

int vm_method_open_graphics(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    OperationRequest request = {.verb = VERB_OPEN_GRAPHICS};
    const VM *vm = userdata;
    int r = sd_bus_message_read(call, "u", &request.index);

    if (r >= 0)
        r = options_none(call, error);
    if (r < 0)
        return r;
    if (!vm_is_active(vm))
        return error_set(error, FAILURE_NOT_RUNNING, "%s does not run, so it has no display", vm->name);
    if (request.index >= vm->details->graphics->len)
        return error_set(error, FAILURE_INVALID_ARGUMENT, "%s has %u displays; there is no number %u",
                         vm->name, vm->details->graphics->len, request.index);
    return authorize_and_start(call, userdata, &request, error);
}

/* The user is known once the authority has let the call pass; it counts against that user's consoles. */
int vm_method_open_console(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    OperationRequest request = {.verb = VERB_OPEN_CONSOLE};
    const MethodOption options[] = {{"force", SD_BUS_TYPE_BOOLEAN, &request.force}};
    VM *vm = userdata;
    Authority *authority = vm_face(vm)->bus->authority;
    int r = sd_bus_message_read(call, "s", &request.device);

    if (r >= 0)
        r = options_read(call, options, G_N_ELEMENTS(options), error);
    if (r < 0)
        return r;
    if (!vm_is_active(vm))
        return error_set(error, FAILURE_NOT_RUNNING, "%s does not run, so it has no console", vm->name);
    r = authorize(call, vm, request.verb, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    r = authority_caller(authority, call, &request.user);
    return r < 0 ? r : start(call, vm, &request, error);
}

/* The definition without secrets is as free as the properties are; with them it is polkit's to allow. */
int vm_method_get_xml(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    OperationRequest request = {.verb = VERB_GET_XML};
    const MethodOption options[] = {
        {"inactive", SD_BUS_TYPE_BOOLEAN, &request.inactive},
        {"secrets", SD_BUS_TYPE_BOOLEAN, &request.secrets},
    };
    int r = options_read(call, options, G_N_ELEMENTS(options), error);

    if (r < 0)
        return r;
    return request.secrets ? authorize_and_start(call, userdata, &request, error)
                           : start(call, userdata, &request, error);
}
