/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <glib.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "service/cleanup.h"

static void bio_freep(BIO **bio)
{
    BIO_free_all(*bio);
}

static void x509_freep(X509 **certificate)
{
    X509_free(*certificate);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int list_pem_files(const char *directory, GPtrArray **ret)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = NULL;
    const char *name;

    errno = 0;
    dir = g_dir_open(directory, 0, NULL);
    if (!dir)
        return errno > 0 ? -errno : -EIO;
    while ((name = g_dir_read_name(dir)) && names->len < TRUST_FILES_MAX)
        if (g_str_has_suffix(name, ".pem"))
            g_ptr_array_add(names, g_build_filename(directory, name, NULL));
    g_ptr_array_sort(names, compare_names);
    *ret = g_steal_pointer(&names);
    return 0;
}

/* Text is parsed and written anew, certificate by certificate: libcurl gives up on the whole blob at the
 * first broken one, and one bad file must not make every server unknown. */
static unsigned copy_certificates(const char *path, BIO *out)
{
    _cleanup_(bio_freep) BIO *in = NULL;
    _cleanup_(closep) int fd = -1;
    unsigned copied = 0;
    struct stat st;

    /* O_NONBLOCK: a FIFO in the directory must not stop us. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > TRUST_FILE_SIZE_MAX)
        return 0;
    in = BIO_new_fd(fd, BIO_NOCLOSE);
    while (in) {
        _cleanup_(x509_freep) X509 *certificate = PEM_read_bio_X509_AUX(in, NULL, NULL, NULL);

        if (!certificate || !PEM_write_bio_X509(out, certificate))
            break;
        copied++;
    }
    ERR_clear_error();
    return copied;
}

int trust_load(const char *directory, char **ret_pem, char **ret_skipped)
{
    g_autoptr(GPtrArray) paths = NULL;
    g_autoptr(GString) skipped = g_string_new(NULL);
    _cleanup_(bio_freep) BIO *out = NULL;
    char *text = NULL;
    long size;
    int r;

    r = list_pem_files(directory, &paths);
    if (r < 0)
        return r;
    out = BIO_new(BIO_s_mem());
    if (!out)
        return -ENOMEM;
    for (unsigned i = 0; i < paths->len; i++)
        if (copy_certificates(paths->pdata[i], out) == 0)
            g_string_append_printf(skipped, "%s%s", skipped->len > 0 ? ", " : "", (char *)paths->pdata[i]);
    size = BIO_get_mem_data(out, &text);
    *ret_skipped = skipped->len > 0 ? g_string_free(g_steal_pointer(&skipped), FALSE) : NULL;
    *ret_pem = size > 0 ? g_strndup(text, (gsize)size) : NULL;
    return size > 0 ? 0 : -ENOENT;
}
