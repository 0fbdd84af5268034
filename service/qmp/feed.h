/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/qmp/arrival.h"
#include "service/qmp/gate.h"
#include "service/vm.h"

/* The QMP events of one source in the loop: from what libvirt's thread posted to what observers are told. */
typedef struct QMPFeed QMPFeed;

/* NULL when there are no descriptors to be had: the source is then without QMP events. */
QMPFeed *qmp_feed_new(Source *source);
QMPFeed *qmp_feed_free(QMPFeed *feed);

/* Takes the rate over from the configuration. */
void qmp_feed_apply_rate(QMPFeed *feed);

/* What a registration with libvirt asks before it posts an event. */
QMPGate *qmp_feed_gate(const QMPFeed *feed);

/* Takes one event over: checks it, brings the model up to date with it and tells the observers. What cannot
 * go out is counted in the VM's `Dropped`. An event of a VM that is not known yet waits for it, for a while.
 */
void qmp_feed_take(QMPFeed *feed, QMPArrival *arrival);

/* The VM is known from now on: sends what came before. */
void qmp_feed_welcome(QMPFeed *feed, VM *vm);

/* Counts an event that could not be sent. */
void qmp_feed_lose(QMPFeed *feed, const VM *vm);
