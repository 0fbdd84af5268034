/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/json.h"
#include "cli/guestbusctl/table.h"

/* What an event says, in words and cleaned for the terminal; NULL when there is nothing worth a line.
 * To be freed. */
char *phrase_event(json_object *event);

/* The arguments of a signal as an object of argument names, or as they are for a signal not known here. */
json_object *phrase_name_arguments(const char *interface, const char *member, json_object *arguments);
