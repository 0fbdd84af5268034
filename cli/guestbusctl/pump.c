/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/guestbusctl/pump.h"
#include "service/cleanup.h"

/* At most PIPE_BUF, so that a pipe that poll() calls writable takes it whole. */
#define FLOW_BYTES 4096

/* One direction: what was read from one side and not yet written to the other. */
typedef struct Flow {
    int from;
    int to;
    char buffer[FLOW_BYTES];
    size_t start;
    size_t length;
    bool ended; /* nothing more comes */
} Flow;

static int flow_fill(Flow *flow)
{
    ssize_t n = read(flow->from, flow->buffer, sizeof(flow->buffer));

    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    flow->ended = n == 0;
    flow->start = 0;
    flow->length = (size_t)n;
    return 0;
}

static int flow_drain(Flow *flow)
{
    ssize_t n = write(flow->to, flow->buffer + flow->start, flow->length);

    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? 0 : -errno;
    flow->start += (size_t)n;
    flow->length -= (size_t)n;
    return 0;
}

/* Whether the escape character is in what was just read; it and all that follows is dropped then. */
static bool flow_cut_at(Flow *flow, int escape)
{
    const char *found = escape < 0 ? NULL : memchr(flow->buffer, escape, flow->length);

    if (found)
        flow->length = (size_t)(found - flow->buffer);
    return found != NULL;
}

/* What poll() is to watch: -1, which it skips, for a side with which there is nothing to do now. */
static struct pollfd flow_poll_from(const Flow *flow)
{
    return (struct pollfd){.fd = flow->length == 0 && !flow->ended ? flow->from : -1, .events = POLLIN};
}

static struct pollfd flow_poll_to(const Flow *flow)
{
    return (struct pollfd){.fd = flow->length > 0 ? flow->to : -1, .events = POLLOUT};
}

static int signals_open(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

enum { POLL_SIGNALS, POLL_IN_FROM, POLL_IN_TO, POLL_OUT_FROM, POLL_OUT_TO, POLL_COUNT };

static int pump_move(Flow *in, Flow *out, const struct pollfd *fds, int escape, bool *ret_escaped)
{
    int r = 0;

    if (fds[POLL_IN_TO].revents)
        r = flow_drain(in);
    if (r >= 0 && fds[POLL_OUT_TO].revents)
        r = flow_drain(out);
    if (r >= 0 && fds[POLL_OUT_FROM].revents)
        r = flow_fill(out);
    if (r >= 0 && fds[POLL_IN_FROM].revents) {
        r = flow_fill(in);
        *ret_escaped = flow_cut_at(in, escape);
        /* The end of a piped input is the end of what we send, not of what the other side still says. */
        if (in->ended)
            shutdown(in->to, SHUT_WR);
    }
    return r;
}

int pump_run(int fd, int escape)
{
    Flow in = {.from = STDIN_FILENO, .to = fd}, out = {.from = fd, .to = STDOUT_FILENO};
    _cleanup_(closep) int signals = signals_open();
    bool escaped = false;
    int r = 0;

    if (signals < 0)
        return signals;
    /* Standard input and output are shared with other processes and stay as they are. */
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        return -errno;
    while (r >= 0 && !(escaped && in.length == 0) && !(out.ended && out.length == 0)) {
        struct pollfd fds[POLL_COUNT] = {
            [POLL_SIGNALS] = {.fd = signals, .events = POLLIN},
            [POLL_IN_FROM] = flow_poll_from(&in),
            [POLL_IN_TO] = flow_poll_to(&in),
            [POLL_OUT_FROM] = flow_poll_from(&out),
            [POLL_OUT_TO] = flow_poll_to(&out),
        };

        if (poll(fds, POLL_COUNT, -1) < 0)
            return -errno;
        if (fds[POLL_SIGNALS].revents)
            return PUMP_SIGNALLED;
        r = pump_move(&in, &out, fds, escape, &escaped);
    }
    if (escaped)
        return PUMP_ESCAPED;
    return r < 0 && r != -ECONNRESET && r != -EPIPE ? r : PUMP_CLOSED;
}
