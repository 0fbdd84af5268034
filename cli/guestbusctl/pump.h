/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What pump_run() returned for. */
typedef enum PumpEnd { PUMP_CLOSED, PUMP_ESCAPED, PUMP_SIGNALLED } PumpEnd;

/* Carries bytes between standard input and output and a socket, both ways at once and waiting for neither,
 * until the other side closes the socket, the escape character is typed (-1 for none), or a signal asks to
 * end. Returns a PumpEnd or -errno. */
int pump_run(int fd, int escape);
