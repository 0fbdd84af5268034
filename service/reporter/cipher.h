/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/reporter/secret.h"

/* virt-who's encrypted passwords: AES-128-CBC with PKCS#7 padding, in lower-case hex. Key and start value are
 * the two lines of a file (0600) that virt-who-password made, 16 bytes each in hex. This hides a password
 * from a look over the shoulder and from a copied configuration, not from who can read the key. */

#define CIPHER_KEY_SIZE 16

typedef struct CipherKey {
    unsigned char key[CIPHER_KEY_SIZE];
    unsigned char start[CIPHER_KEY_SIZE];
} CipherKey;

/* Reads the key file. -ENOENT and others as text_file_read() has them, -EBADMSG when it holds no key, -EACCES
 * also when others than owner and group may read it. */
int cipher_key_read(const char *path, CipherKey *ret_key);
/* Makes a key file with a random key, 0600, and its directory (0700) when there is none. -EEXIST when there
 * is one. */
int cipher_key_create(const char *path, CipherKey *ret_key);
void cipher_key_wipe(CipherKey *key);

/* -EBADMSG when the text is no hex, or was not encrypted with this key. */
int cipher_decrypt(const CipherKey *key, const char *hex, Secret **ret_text);
/* Gives hex, which the caller frees. */
int cipher_encrypt(const CipherKey *key, const char *text, char **ret_hex);
