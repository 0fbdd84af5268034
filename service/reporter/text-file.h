/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/stat.h>

#include "service/reporter/secret.h"

/* Reads a regular file of at most max bytes whole, into memory that is wiped when released: any of the
 * reporter's files may hold a password. *ret_stat (may be NULL) tells mode and owner of what was read.
 * -ENOENT, -EACCES ... as open() has them; -EISDIR or -EINVAL when it is no regular file, -EFBIG, -EPERM when
 * everybody may write to it: what anybody can change is not to be trusted. */
int text_file_read(const char *path, size_t max, Secret **ret_text, size_t *ret_size, struct stat *ret_stat);
