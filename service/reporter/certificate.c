// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/certificate.h"

#include <errno.h>
#include <string.h>

#include <glib.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "service/cleanup.h"
#include "service/reporter/text-file.h"

#define CERTIFICATE_FILE_MAX (1024 * 1024)

static void bio_freep(BIO **bio)
{
    BIO_free(*bio);
}

static void x509_freep(X509 **certificate)
{
    X509_free(*certificate);
}

/* One part of the subject as UTF-8, or NULL. */
static char *subject_part(X509 *certificate, int part)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    int index = X509_NAME_get_index_by_NID(subject, part, -1);
    unsigned char *text = NULL;

    if (index < 0)
        return NULL;
    int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));

    if (size <= 0 || memchr(text, '\0', (size_t)size)) {
        OPENSSL_free(text);
        return NULL;
    }
    char *copy = g_strndup((char *)text, (gsize)size);

    OPENSSL_free(text);
    return copy;
}

int certificate_read(const char *path, char **ret_owner, char **ret_uuid)
{
    g_autoptr(Secret) text = NULL;
    size_t size;
    int r = text_file_read(path, CERTIFICATE_FILE_MAX, &text, &size, NULL);

    if (r < 0)
        return r;
    _cleanup_(bio_freep) BIO *bio = BIO_new_mem_buf(text, (int)size);
    _cleanup_(x509_freep) X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    if (!certificate)
        return -EBADMSG;
    *ret_owner = subject_part(certificate, NID_organizationName);
    *ret_uuid = subject_part(certificate, NID_commonName);
    return 0;
}
