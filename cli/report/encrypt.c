// SPDX-License-Identifier: LGPL-2.1-or-later
/* --encrypt-password: what virt-who-password makes. The password is never an argument, which everybody could
 * see. */
#include "cli/report/mode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "service/cleanup.h"
#include "service/reporter/cipher.h"

#define PASSWORD_MAX 4096

/* Reads a line from stdin, with the terminal's echo off if it is one. */
static int read_line(const char *prompt, char line[PASSWORD_MAX])
{
    struct termios before, silent;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;

    if (terminal) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
        fputs(prompt, stderr);
    }
    char *got = fgets(line, PASSWORD_MAX, stdin);

    if (terminal) {
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
        fputc('\n', stderr);
    }
    size_t size = got ? strlen(line) : 0;

    if (size == 0 || (line[size - 1] != '\n' && size == PASSWORD_MAX - 1))
        return -EINVAL;
    line[strcspn(line, "\n")] = '\0';
    return 0;
}

/* Twice from a person, once from a script. */
static int read_password(char password[PASSWORD_MAX])
{
    char again[PASSWORD_MAX];
    int r = read_line("Password: ", password);

    if (r < 0 || !isatty(STDIN_FILENO))
        return r;
    r = read_line("Once more: ", again);
    if (r == 0 && strcmp(password, again) != 0)
        r = -EKEYREJECTED;
    explicit_bzero(again, sizeof(again));
    return r;
}

static int get_key(const char *path, CipherKey *ret_key)
{
    int r = cipher_key_read(path, ret_key);

    if (r == -ENOENT)
        r = cipher_key_create(path, ret_key);
    if (r == -EBADMSG)
        fprintf(stderr, "guestbus-report: %s holds no key\n", path);
    else if (r < 0)
        fprintf(stderr, "guestbus-report: %s: %s\n", path, strerror(-r));
    return r;
}

int encrypt_run(const SettingsPaths *paths)
{
    _cleanup_(cipher_key_wipe) CipherKey key = {};
    char password[PASSWORD_MAX] = "";
    g_autofree char *hex = NULL;

    if (get_key(paths->key, &key) < 0)
        return EXIT_CANNOT_START;
    /* The C library keeps what it read: not longer than needed. */
    char buffer[PASSWORD_MAX];

    setvbuf(stdin, buffer, _IOFBF, sizeof(buffer));
    int r = read_password(password);

    if (r == 0)
        r = cipher_encrypt(&key, password, &hex);
    explicit_bzero(password, sizeof(password));
    explicit_bzero(buffer, sizeof(buffer));
    setvbuf(stdin, NULL, _IONBF, 0);
    if (r < 0) {
        fprintf(stderr, "guestbus-report: %s\n",
                r == -EKEYREJECTED ? "the two are not the same" : "no password, or it is too long");
        return EXIT_CANNOT_START;
    }
    fputs("Use this as encrypted_password (or rhsm_encrypted_password, rhsm_encrypted_proxy_password):\n",
          stderr);
    printf("%s\n", hex);
    return fflush(stdout) == 0 ? EXIT_ALL_WELL : EXIT_INCOMPLETE;
}
