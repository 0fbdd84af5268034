/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads a password: from the terminal without showing it, or the first line of standard input when that is
 * no terminal. Returns 0, -ENODATA for none, or another -errno. Free it with password_clearp(). */
int password_read(const char *user, const char *vm, char **ret_password);

/* Wipes a password and frees it. */
void password_clearp(char **password);
