/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include <glib.h>

/* Text that must not stay in memory: allocated apart, wiped when released. Never log one, never put one into
 * an error or a command line. */
typedef char Secret;

/* Copies up to a zero byte. NULL gives NULL. */
Secret *secret_new(const char *text);
/* Copies exactly size bytes and ends them with a zero. */
Secret *secret_new_bytes(const void *bytes, size_t size);
/* Wipes and frees; NULL is fine. */
void secret_free(Secret *secret);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Secret, secret_free)
