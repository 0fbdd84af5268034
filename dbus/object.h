/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "dbus/bus.h"

/* What the bus keeps beside a VM: its path, and the way back. */
typedef struct VMFace {
    Bus *bus;
    char *path;
    char *source_path;
} VMFace;

char *object_source_path(const char *label);
char *object_vm_path(const char *label, const char *uuid);

void object_add_vm(Bus *bus, VM *vm);
void object_remove_vm(Bus *bus, VM *vm);
void object_add_source(Bus *bus, Source *source);
void object_remove_source(Bus *bus, Source *source);

static inline VMFace *vm_face(const VM *vm)
{
    return vm->face;
}

/* sd-bus's find and enumerate functions; userdata is the Bus. A path without an object is UnknownObject. */
int object_find_vm(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                   sd_bus_error *error);
int object_find_source(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                       sd_bus_error *error);
int object_enumerate_vms(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                         sd_bus_error *error);
int object_enumerate_sources(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                             sd_bus_error *error);
