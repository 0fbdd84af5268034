/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "service/reporter/backoff.h"
#include "service/reporter/schedule.h"
#include "service/reporter/settings.h"

/* What status prints of each mapping, as virt-who's manual page has it: what never happened is "none", a
 * message is there only with a failure, and counts only without one. */

/* One mapping as text, with an empty line behind it; coloured for a terminal. */
void status_write_text(FILE *stream, const Mapping *mapping, const MappingStatus *status, bool coloured);

/* The JSON document: begin, then each mapping, then end. */
void status_begin_json(FILE *stream);
void status_write_json(FILE *stream, const Mapping *mapping, const MappingStatus *status, bool first);
void status_end_json(FILE *stream, bool empty);
