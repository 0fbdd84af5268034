// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/secret.h"

#include <string.h>

Secret *secret_new(const char *text)
{
    return text ? secret_new_bytes(text, strlen(text)) : NULL;
}

Secret *secret_new_bytes(const void *bytes, size_t size)
{
    Secret *secret = g_malloc(size + 1);

    memcpy(secret, bytes, size);
    secret[size] = '\0';
    return secret;
}

void secret_free(Secret *secret)
{
    if (!secret)
        return;
    explicit_bzero(secret, strlen(secret));
    g_free(secret);
}
