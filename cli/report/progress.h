/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <systemd/sd-event.h>

/* A line on the terminal that says how far it is, when it takes longer than a second. */
typedef struct Progress Progress;

typedef void (*ProgressCount)(const void *userdata, unsigned *ret_done, unsigned *ret_all);

/* NULL where stderr is no terminal. */
Progress *progress_new(sd_event *event, const char *verb, ProgressCount count, const void *userdata);
/* Takes the line away. NULL is fine. */
void progress_free(Progress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Progress, progress_free)
