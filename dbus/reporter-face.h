/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "service/reporter/reporter.h"

/* The reporter's own process on the bus, as org.guestbus1.Reporter. The bus policy lets nobody but guestbusd
 * and root call it: guestbusd has asked polkit before it does. */
typedef struct ReporterFace ReporterFace;

/* Exports the objects, observes the reporter and takes the name. When the bus goes away the loop ends with
 * -ENOTCONN, when the name cannot be had with -EPERM. */
int reporter_face_new(sd_bus *bus, Reporter *reporter, ReporterFace **ret_face);
void reporter_face_free(ReporterFace *face);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReporterFace, reporter_face_free)
