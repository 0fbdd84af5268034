/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus.h"

/* org.guestbus1.Guest. */
int guest_dbus_export(Bus *bus);
void guest_dbus_changed(Bus *bus, VM *vm, uint32_t changes);
void guest_dbus_signal(Bus *bus, VM *vm, GuestSignal signal, const char *text, uint64_t number);

/* The methods, in guest-methods.c; userdata is the VM. */
int guest_method_lock_screen(sd_bus_message *call, void *userdata, sd_bus_error *error);
int guest_method_login(sd_bus_message *call, void *userdata, sd_bus_error *error);
int guest_method_logoff(sd_bus_message *call, void *userdata, sd_bus_error *error);
int guest_method_shutdown(sd_bus_message *call, void *userdata, sd_bus_error *error);
int guest_method_reboot(sd_bus_message *call, void *userdata, sd_bus_error *error);
int guest_method_cancel_shutdown(sd_bus_message *call, void *userdata, sd_bus_error *error);
int guest_method_refresh(sd_bus_message *call, void *userdata, sd_bus_error *error);
