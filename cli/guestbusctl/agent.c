/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/guestbusctl/agent.h"

static const char *const AGENT_PATH = "/usr/bin/pkttyagent";

static pid_t agent_pid;

static void agent_exec(int notify_fd)
{
    char option[32];

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    snprintf(option, sizeof(option), "--notify-fd=%d", notify_fd);
    /* --fallback: an agent of the desktop, which is there already, goes first. */
    execl(AGENT_PATH, AGENT_PATH, option, "--fallback", (char *)NULL);
    _exit(127);
}

void agent_start(void)
{
    int fds[2];
    char ignored;

    if (agent_pid > 0 || geteuid() == 0 || access(AGENT_PATH, X_OK) < 0)
        return;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return;
    agent_pid = fork();
    if (agent_pid == 0) {
        close(fds[0]);
        fcntl(fds[1], F_SETFD, 0);
        agent_exec(fds[1]);
    }
    close(fds[1]);
    /* It closes its end once it is registered, or when it dies: a question before that would find nobody. */
    while (read(fds[0], &ignored, 1) < 0 && errno == EINTR)
        ;
    close(fds[0]);
}

void agent_stop(void)
{
    if (agent_pid <= 0)
        return;
    /* SIGCONT, because an agent that was stopped by the terminal would not see the SIGTERM. */
    kill(agent_pid, SIGTERM);
    kill(agent_pid, SIGCONT);
    while (waitpid(agent_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    agent_pid = 0;
}
