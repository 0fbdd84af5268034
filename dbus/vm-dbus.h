/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus.h"

/* org.guestbus1.VM. */
int vm_dbus_export(Bus *bus);
void vm_dbus_added(Bus *bus, VM *vm);
void vm_dbus_removed(Bus *bus, VM *vm);
void vm_dbus_changed(Bus *bus, VM *vm, unsigned changes);

/* The methods, in vm-methods.c; userdata is the VM. */
int vm_method_start(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_shutdown(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_reboot(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_reset(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_force_off(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_pause(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_resume(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_wakeup(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_save(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_set_memory(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_set_autostart(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_open_graphics(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_open_console(sd_bus_message *call, void *userdata, sd_bus_error *error);
int vm_method_get_xml(sd_bus_message *call, void *userdata, sd_bus_error *error);
