/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The authorities that may sign a server's certificate: the *.pem files of a directory. rhsm's directory
 * holds plain files without the hashed names that OpenSSL's own directory lookup needs, so they are read
 * here. */

/* Files beyond this number or size are left out: a directory of authorities is small. */
#define TRUST_FILES_MAX 512
#define TRUST_FILE_SIZE_MAX (4u * 1024 * 1024)

/* Reads every certificate of every *.pem file in `directory`, in the order of their names, as PEM text. A
 * file that holds none is skipped and named in `ret_skipped` (comma separated, or NULL). -ENOENT: no
 * certificate at all; -errno of the directory else. */
int trust_load(const char *directory, char **ret_pem, char **ret_skipped);
