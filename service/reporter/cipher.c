// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/cipher.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "service/cleanup.h"
#include "service/reporter/text-file.h"

#define KEY_FILE_MAX 4096
/* Bytes of an encrypted password. */
#define ENCRYPTED_MAX 8192

static int decode_hex(const char *hex, size_t digits, unsigned char *ret_bytes)
{
    for (size_t i = 0; i < digits; i += 2) {
        int high = g_ascii_xdigit_value(hex[i]), low = high < 0 ? -1 : g_ascii_xdigit_value(hex[i + 1]);

        if (low < 0)
            return -EBADMSG;
        ret_bytes[i / 2] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

static char *encode_hex(const unsigned char *bytes, size_t size)
{
    char *hex = g_malloc(size * 2 + 1);

    for (size_t i = 0; i < size; i++)
        sprintf(hex + i * 2, "%02x", bytes[i]);
    hex[size * 2] = '\0';
    return hex;
}

/* Two lines; more digits than a key needs are ignored, as virt-who does. */
static int parse_key(const char *text, CipherKey *ret_key)
{
    const char *second = strchr(text, '\n');

    if (!second || second - text < CIPHER_KEY_SIZE * 2)
        return -EBADMSG;
    second++;
    int r = decode_hex(text, CIPHER_KEY_SIZE * 2, ret_key->key);

    return r < 0 ? r : decode_hex(second, CIPHER_KEY_SIZE * 2, ret_key->start);
}

int cipher_key_read(const char *path, CipherKey *ret_key)
{
    g_autoptr(Secret) text = NULL;
    struct stat file;
    int r = text_file_read(path, KEY_FILE_MAX, &text, NULL, &file);

    if (r < 0)
        return r;
    if (file.st_mode & S_IROTH)
        return -EACCES;
    r = parse_key(text, ret_key);
    if (r < 0)
        cipher_key_wipe(ret_key);
    return r;
}

void cipher_key_wipe(CipherKey *key)
{
    explicit_bzero(key, sizeof(*key));
}

static int write_key(int fd, const CipherKey *key)
{
    g_autoptr(Secret) first = encode_hex(key->key, CIPHER_KEY_SIZE);
    g_autoptr(Secret) second = encode_hex(key->start, CIPHER_KEY_SIZE);

    if (dprintf(fd, "%s\n%s\n", first, second) < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

int cipher_key_create(const char *path, CipherKey *ret_key)
{
    g_autofree char *directory = g_path_get_dirname(path);

    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return -errno;
    _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return -errno;
    int r = getrandom(ret_key, sizeof(*ret_key), 0) == (ssize_t)sizeof(*ret_key) ? 0 : -EIO;

    if (r == 0)
        r = write_key(fd, ret_key);
    if (r < 0) {
        (void)unlink(path);
        cipher_key_wipe(ret_key);
    }
    return r;
}

static void context_freep(EVP_CIPHER_CTX **context)
{
    EVP_CIPHER_CTX_free(*context);
}

/* Runs the cipher over input, whose result has at most one block more. */
static int run(const CipherKey *key, int encrypt, const unsigned char *input, size_t size,
               unsigned char *ret_output, size_t *ret_size)
{
    _cleanup_(context_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int first = 0, last = 0;

    if (!context || !EVP_CipherInit_ex(context, EVP_aes_128_cbc(), NULL, key->key, key->start, encrypt))
        return -ENOMEM;
    if (!EVP_CipherUpdate(context, ret_output, &first, input, (int)size) ||
        !EVP_CipherFinal_ex(context, ret_output + first, &last))
        return -EBADMSG;
    *ret_size = (size_t)(first + last);
    return 0;
}

int cipher_decrypt(const CipherKey *key, const char *hex, Secret **ret_text)
{
    size_t digits = strlen(hex), size;

    if (digits == 0 || digits % (CIPHER_KEY_SIZE * 2) || digits / 2 > ENCRYPTED_MAX)
        return -EBADMSG;
    g_autofree unsigned char *bytes = g_malloc(digits / 2);
    unsigned char *text = g_malloc0(digits / 2 + CIPHER_KEY_SIZE);
    int r = decode_hex(hex, digits, bytes);

    if (r == 0)
        r = run(key, 0, bytes, digits / 2, text, &size);
    /* A zero byte would cut the password short: a lockout at the hypervisor after some tries. */
    if (r == 0 && memchr(text, '\0', size))
        r = -EBADMSG;
    if (r == 0)
        *ret_text = secret_new_bytes(text, size);
    explicit_bzero(text, digits / 2 + CIPHER_KEY_SIZE);
    g_free(text);
    return r;
}

int cipher_encrypt(const CipherKey *key, const char *text, char **ret_hex)
{
    size_t size = strlen(text);

    if (size >= ENCRYPTED_MAX)
        return -E2BIG;
    g_autofree unsigned char *bytes = g_malloc(size + CIPHER_KEY_SIZE);
    int r = run(key, 1, (const unsigned char *)text, size, bytes, &size);

    if (r == 0)
        *ret_hex = encode_hex(bytes, size);
    return r;
}
