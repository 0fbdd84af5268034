/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/error.h"

#include <systemd/sd-bus.h>

/* The API's error names: org.guestbus1.Error.*. */
const char *error_name(FailureKind kind);

/* Sets the error of a failure; returns the negative errno that an sd-bus handler returns with it. */
int error_from_failure(sd_bus_error *error, const Failure *failure);
int error_set(sd_bus_error *error, FailureKind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
