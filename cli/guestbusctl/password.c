/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/guestbusctl/password.h"
#include "cli/guestbusctl/text.h"

#define PASSWORD_MAX_BYTES 1024
#define INTERRUPT '\x03'

/* Byte by byte and with read(): a FILE would keep a copy in its buffer, which nobody wipes. */
static int line_read(char *buffer, size_t size)
{
    size_t length = 0;

    for (;;) {
        char c;
        ssize_t n = read(STDIN_FILENO, &c, 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0 || c == '\n')
            break;
        if (c == INTERRUPT)
            return -EINTR;
        if (length + 1 >= size)
            return -EMSGSIZE;
        buffer[length++] = c;
    }
    buffer[length] = '\0';
    return length > 0 ? 0 : -ENODATA;
}

static int line_read_hidden(const char *user, const char *vm, char *buffer, size_t size)
{
    g_autofree char *clean_user = text_escape(user), *clean_vm = text_escape(vm);
    struct termios saved, hidden;
    int r;

    if (tcgetattr(STDIN_FILENO, &saved) < 0)
        return -errno;
    hidden = saved;
    /* ISIG off: an interrupt in between would leave the terminal mute. ^C arrives as a character that ends
     * the line instead. */
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    hidden.c_cc[VEOL] = INTERRUPT;
    fprintf(stderr, "Password of %s in %s: ", clean_user, clean_vm);
    fflush(stderr);
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) < 0)
        return -errno;
    r = line_read(buffer, size);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
    fputc('\n', stderr);
    return r;
}

int password_read(const char *user, const char *vm, char **ret_password)
{
    char *buffer = g_malloc0(PASSWORD_MAX_BYTES);
    int r;

    if (isatty(STDIN_FILENO))
        r = line_read_hidden(user, vm, buffer, PASSWORD_MAX_BYTES);
    else
        r = line_read(buffer, PASSWORD_MAX_BYTES);
    if (r >= 0 && !g_utf8_validate(buffer, -1, NULL))
        r = -EILSEQ;
    *ret_password = buffer;
    if (r < 0)
        password_clearp(ret_password);
    return r;
}

void password_clearp(char **password)
{
    if (!*password)
        return;
    explicit_bzero(*password, PASSWORD_MAX_BYTES);
    g_free(*password);
    *password = NULL;
}
