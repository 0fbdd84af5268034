/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Where the reporter's messages go: as virt-who's, to a file below /var/log/rhsm (or log_dir) where that can
 * be written, and to stderr; as a service to the journal alone. What is said before the file is known is kept
 * for it. */

typedef enum ReportLogMode {
    REPORT_LOG_PROGRAM, /* file and stderr */
    REPORT_LOG_QUIET,   /* the same, but stderr only gets errors: what fails is in the output already */
    REPORT_LOG_SERVICE, /* stderr is the journal */
} ReportLogMode;

/* Begins to log. Without debug, stderr gets warnings and worse, and the file informational messages too. */
void report_log_begin(ReportLogMode mode, bool debug);
/* Now the file is known; does nothing in the service. That it cannot be written is told at the debug level
 * only: an ordinary user never can. */
void report_log_open(const char *directory, const char *file);
void report_log_set_debug(bool debug);
void report_log_close(void);

/* Priority as in syslog. Control characters are escaped. Main thread only. */
void report_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for observers: userdata is not used. */
void report_log_message(int priority, const char *message, void *userdata);
