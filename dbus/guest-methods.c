/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/guest-dbus.h"

#include "dbus/error.h"
#include "dbus/object.h"
#include "dbus/options.h"
#include "service/cleanup.h"
#include "service/guest/power.h"
#include "service/guest/schedule.h"

#include <string.h>

/* Every handler: read and check the arguments, ask the authority, start the action; the reply comes when it
 * is done. */

/* Bytes of what a login may carry: above it, it is no name and no password. */
#define CREDENTIAL_BYTES_MAX 1024

static void on_done(const Failure *failure, void *userdata)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = userdata;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

    if (failure->kind == FAILURE_NONE) {
        (void)sd_bus_reply_method_return(call, NULL); /* a caller who left needs no answer */
        return;
    }
    (void)error_from_failure(&error, failure);
    (void)sd_bus_reply_method_error(call, &error);
}

/* Ends a handler that started an action with `sd_bus_message_ref(call)` for its userdata. */
static int started(sd_bus_message *call, int r, Failure *failure, sd_bus_error *error)
{
    if (r == 0)
        return 1;
    r = error_from_failure(error, failure);
    failure_clear(failure);
    sd_bus_message_unref(call);
    return r;
}

static int authorize(sd_bus_message *call, VM *vm, const char *verb, sd_bus_error *error)
{
    const AuthorityDetails details = {vm->name, vm->uuid, vm->source->config->label, verb};

    return authority_check(vm_face(vm)->bus->authority, call, &details, error);
}

/* A method without arguments. */
static int plain(sd_bus_message *call, VM *vm, const char *verb,
                 int (*action)(VM *vm, ActionDone done, void *userdata, Failure *failure),
                 sd_bus_error *error)
{
    Failure failure = {0};
    int r = options_none(call, error);

    if (r >= 0)
        r = authorize(call, vm, verb, error);
    if (r <= 0)
        return r < 0 ? r : 1;
    return started(call, action(vm, on_done, sd_bus_message_ref(call), &failure), &failure, error);
}

int guest_method_lock_screen(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return plain(call, userdata, "lock-screen", action_lock_screen, error);
}

int guest_method_logoff(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return plain(call, userdata, "logoff", action_log_off, error);
}

int guest_method_refresh(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return plain(call, userdata, "refresh", action_refresh, error);
}

/* The vtable marks this method sensitive: sd-bus wipes the message. Nothing here copies the password, and no
 * error quotes an argument. */
int guest_method_login(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    const char *user, *password;
    Failure failure = {0};
    int r;

    r = sd_bus_message_read(call, "ss", &user, &password);
    if (r >= 0)
        r = options_none(call, error);
    if (r < 0)
        return r;
    if (!*user || strlen(user) > CREDENTIAL_BYTES_MAX || strlen(password) > CREDENTIAL_BYTES_MAX)
        return error_set(error, FAILURE_INVALID_ARGUMENT, "A user is needed, and neither may exceed %d bytes",
                         CREDENTIAL_BYTES_MAX);
    r = authorize(call, userdata, "login", error);
    if (r <= 0)
        return r < 0 ? r : 1;
    return started(call, action_login(userdata, user, password, on_done, sd_bus_message_ref(call), &failure),
                   &failure, error);
}

static int power(sd_bus_message *call, VM *vm, bool reboot, sd_bus_error *error)
{
    PowerRequest request = {.reboot = reboot};
    const MethodOption options[] = {{"guest-delay", SD_BUS_TYPE_BOOLEAN, &request.guest_delay}};
    Failure failure = {0};
    int r;

    r = sd_bus_message_read(call, "us", &request.delay, &request.message);
    if (r >= 0)
        r = options_read(call, options, G_N_ELEMENTS(options), error);
    if (r < 0)
        return r;
    if (strlen(request.message) > SCHEDULE_MESSAGE_MAX)
        return error_set(error, FAILURE_INVALID_ARGUMENT, "The message may have %d bytes at most",
                         SCHEDULE_MESSAGE_MAX);
    r = authorize(call, vm, reboot ? "reboot" : "shutdown", error);
    if (r <= 0)
        return r < 0 ? r : 1;
    return started(call, power_request(vm, &request, on_done, sd_bus_message_ref(call), &failure), &failure,
                   error);
}

int guest_method_shutdown(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return power(call, userdata, false, error);
}

int guest_method_reboot(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return power(call, userdata, true, error);
}

int guest_method_cancel_shutdown(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    Failure failure = {0};
    int r = options_none(call, error);

    if (r >= 0)
        r = authorize(call, userdata, "cancel-shutdown", error);
    if (r <= 0)
        return r < 0 ? r : 1;
    if (power_cancel(userdata, &failure) == 0)
        return sd_bus_reply_method_return(call, NULL);
    r = error_from_failure(error, &failure);
    failure_clear(&failure);
    return r;
}
