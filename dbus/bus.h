/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "polkit/authorize.h"
#include "service/manager.h"

#include <systemd/sd-bus.h>

#define BUS_NAME "org.guestbus1"
#define BUS_ROOT "/org/guestbus1"
#define BUS_VM_PREFIX BUS_ROOT "/vm"
#define BUS_SOURCE_PREFIX BUS_ROOT "/source"

/* The service on the system bus: the objects, their signals, the name. */
typedef struct Bus {
    sd_bus *bus;
    Manager *manager;
    Authority *authority;
    GHashTable *vms;     /* path -> VM, paths owned by the faces */
    GHashTable *sources; /* path -> Source */
    sd_event_source *trim_timer;
    struct ReporterMirror *reporter;
} Bus;

/* Connects, exports everything, and observes the manager. The name is taken when the manager says that it is
 * ready. When the bus goes away the loop ends with an error. */
int bus_open(Manager *manager, Bus **ret);
void bus_close(Bus *bus);
