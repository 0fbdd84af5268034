/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/reporter/source.h"

/* type=libvirt. libvirt's calls block, and opening a connection has no deadline, so that each source has a
 * thread of its own. One that hangs is left alone: there is never a second one beside it, and the process
 * does not wait for it when it ends. */
extern const SourceType libvirt_source;
