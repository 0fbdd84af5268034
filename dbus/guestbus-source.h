/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* From now on the local libvirt is read over the bus, as guestbusd's client: the reporter's own user need not
 * be one of libvirt's. The bus must outlive all sources. */
void guestbus_source_install(sd_bus *bus);
