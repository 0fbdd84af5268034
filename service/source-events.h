/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/source-connect.h"

/* Registers for all domain events that the driver has; notes the callbacks in the result. Worker threads. */
void source_events_register(ConnectResult *result);
