/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* org.freedesktop.LogControl1, as `systemctl service-log-level` speaks it. */
int log_control_export(sd_bus *bus);
