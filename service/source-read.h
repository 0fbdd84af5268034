/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/source.h"

/* Brings the model up to date by asking the hypervisor: single VMs after events, all of them in sweeps. */

/* Wants one VM read soon: figures and definition. The domain may be one that the model does not know yet.
 * Wanting it again while a read runs makes that read's figures stale, and another one follows. */
void source_read_vm(Source *source, const char *uuid);

/* An event told a figure itself: what is being read or listed at the moment is older, and must not undo it.
 * Nothing is read for it otherwise. */
void source_read_overtaken(Source *source, VM *vm);

/* Takes over a listing of all VMs: adds, changes and removes. It was asked for when the source's serial was
 * `since`; what was heard after that is newer. */
void source_apply_listing(Source *source, GPtrArray *listing, uint64_t since);

/* Reads the VMs whose events came while the connection was made: the listing may be older than they are. */
void source_read_early(Source *source);

/* Events were lost: lists all VMs, and reads the definition of each. */
void source_resync(Source *source);

/* Lists all VMs now, and then every few minutes. */
void source_sweep(Source *source);
void source_sweep_start(Source *source);

/* Forgets what was wanted; results that are still under way are dropped when they come. */
void source_reads_clear(Source *source);

/* Asks for host name, host UUID and versions, which may take seconds on a cold hypervisor. */
void source_read_host(Source *source);

/* The definition's host parts in capabilities XML, "" when absent; the caller frees. */
char *capabilities_host_uuid(const char *xml);
