/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "service/reporter/backoff.h"
#include "service/reporter/schedule.h"
#include "service/reporter/settings.h"
#include "service/reporter/state.h"

/* Every source and every destination tried once, all at the same time: what status shows. Nothing is
 * reported; a heartbeat under the name "status_test" proves that the account may report. */

/* All tries together: what is late then has failed. */
#define PROBE_DEADLINE_USEC (13 * USEC_PER_SECOND)

typedef struct Probe Probe;

/* Called once, from the loop. The probe must not be freed in it. */
typedef void (*ProbeFinished)(Probe *probe, void *userdata);

/* Probes one mapping, or with NULL all. Times and counts are the state's. Everything is borrowed. */
int probe_new(sd_event *event, const Settings *settings, State *state, const Mapping *only,
              ProbeFinished finished, void *userdata, Probe **ret_probe);
void probe_free(Probe *probe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Probe, probe_free)

/* How many mappings were tried, and what is known of the index-th. Texts live as long as the probe. */
unsigned probe_count(const Probe *probe);
const Mapping *probe_get(const Probe *probe, unsigned index, MappingStatus *ret_status);
/* True when everything that was tried works. */
bool probe_all_well(const Probe *probe);
