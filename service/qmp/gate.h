/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "service/qmp/rate.h"

/* Where the rate is kept: in libvirt's event thread, before an event takes a place in the inbox, so that a
 * storm of one VM fills neither the inbox nor the loop. All functions may be called from any thread.
 *
 * What is held back is counted for each VM. The loop collects the counts when the descriptor becomes
 * readable, and again until there is nothing to collect. */

typedef struct QMPGate QMPGate;

/* Called for each VM that lost events since the last collection. */
typedef void (*QMPGateCollect)(const char *uuid, uint64_t lost, void *userdata);

/* Fails with -errno when there is no descriptor to be had. */
int qmp_gate_new(const QMPRate *rate, QMPGate **ret);

/* A registration with libvirt keeps a reference: its callback may run until libvirt lets go of it. */
QMPGate *qmp_gate_ref(QMPGate *gate);
QMPGate *qmp_gate_unref(QMPGate *gate);

/* Readable after the first loss since the last empty collection. */
int qmp_gate_fd(const QMPGate *gate);

/* A new rate, for instance after a reload. Buckets keep what they hold, up to the new burst. */
void qmp_gate_set_rate(QMPGate *gate, const QMPRate *rate);

/* Whether one more event of this VM may pass; if not, it is counted as lost. `now` is monotonic, in µs. */
bool qmp_gate_admit(QMPGate *gate, const char *uuid, uint64_t now);

/* Counts an event that was lost for another reason. */
void qmp_gate_lose(QMPGate *gate, const char *uuid, uint64_t now);

/* Hands over the counts and forgets them; returns how many VMs had lost something. */
unsigned int qmp_gate_collect(QMPGate *gate, QMPGateCollect collect, void *userdata);
