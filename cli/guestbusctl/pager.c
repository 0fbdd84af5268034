/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/guestbusctl/pager.h"

static pid_t pager_pid;

static void pager_exec(int input)
{
    const char *pager = getenv("PAGER");

    dup2(input, STDIN_FILENO);
    /* F: leave at once when it fits on one screen; R: colours; S: no folding; X: leave it on the screen. */
    setenv("LESS", "FRSXMK", 1);
    /* No shell and no editor from inside: this may be run through sudo. */
    setenv("LESSSECURE", "1", 1);
    if (pager && *pager)
        execl("/bin/sh", "sh", "-c", pager, (char *)NULL);
    execlp("less", "less", (char *)NULL);
    execlp("more", "more", (char *)NULL);
    execlp("cat", "cat", (char *)NULL);
    _exit(127);
}

void pager_open(const Ctl *ctl)
{
    const char *pager = getenv("PAGER");
    int fds[2];

    if (!ctl->pager || pager_pid > 0 || !isatty(STDOUT_FILENO) || (pager && strcmp(pager, "cat") == 0))
        return;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return;
    fflush(stdout);
    pager_pid = fork();
    if (pager_pid == 0)
        pager_exec(fds[0]);
    if (pager_pid > 0)
        dup2(fds[1], STDOUT_FILENO);
    close(fds[0]);
    close(fds[1]);
}

void pager_close(void)
{
    if (pager_pid <= 0)
        return;
    fflush(stdout);
    /* The pager ends when nobody can write to it any more. */
    fclose(stdout);
    while (waitpid(pager_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    pager_pid = 0;
}
