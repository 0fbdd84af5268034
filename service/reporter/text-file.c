// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/text-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "service/cleanup.h"

static int check(const struct stat *file, size_t max)
{
    if (S_ISDIR(file->st_mode))
        return -EISDIR;
    if (!S_ISREG(file->st_mode))
        return -EINVAL;
    if (file->st_mode & S_IWOTH)
        return -EPERM;
    return (size_t)file->st_size > max ? -EFBIG : 0;
}

/* Reads to the end of the file, which may have grown or shrunk since it was measured. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
    size_t used = 0;

    while (used < size) {
        ssize_t n = read(fd, buffer + used, size - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    return (ssize_t)used;
}

int text_file_read(const char *path, size_t max, Secret **ret_text, size_t *ret_size, struct stat *ret_stat)
{
    /* Not blocking, so that a pipe put in the file's place cannot stop us. */
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat file;

    if (fd < 0 || fstat(fd, &file) < 0)
        return -errno;
    int r = check(&file, max);

    if (r < 0)
        return r;
    Secret *text = g_malloc((size_t)file.st_size + 1);
    ssize_t size = read_all(fd, text, (size_t)file.st_size);

    if (size < 0) {
        g_free(text);
        return (int)size;
    }
    text[size] = '\0';
    *ret_text = text;
    if (ret_size)
        *ret_size = (size_t)size;
    if (ret_stat)
        *ret_stat = file;
    return 0;
}
