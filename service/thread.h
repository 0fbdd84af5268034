/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Starts a detached thread with all signals blocked: they are the loop's. Returns a negative errno. */
int thread_start(void *(*function)(void *), void *userdata);

/* Waits until every such thread has ended, `usec` at most. Returns false when one hangs: then the process
 * must end without tearing down what that thread may touch. */
bool threads_wait(uint64_t usec);
