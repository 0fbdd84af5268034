/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/vm-dbus.h"
#include "dbus/error.h"
int vm_method_open_console(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return error_set(error, FAILURE_NOT_SUPPORTED, "not yet");
}
