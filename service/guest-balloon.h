/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/vm.h"

/* Memory figures of the running VMs, from their balloons: all of a source in one call, now and then. */

/* Something changed on which reading depends: the VM's state, its definition, its agent. A balloon that
 * reports nothing by itself gets the configured period. */
void guest_balloon_update(VM *vm);

/* The next reading comes soon. */
void guest_balloon_refresh(VM *vm);

/* The source's connection is gone. */
void guest_balloons_drop(Source *source);
