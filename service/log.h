/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <syslog.h>

/* What a message is about; the journal gets these as fields of their own (SOURCE=, VM=, UUID=),
 * a terminal sees them in brackets. NULL: does not apply. */
typedef struct LogSubject {
    const char *source;
    const char *vm;
    const char *uuid;
} LogSubject;

typedef enum LogTarget {
    LOG_TARGET_AUTO, /* the journal where stderr is connected to it, else stderr */
    LOG_TARGET_JOURNAL,
    LOG_TARGET_CONSOLE,
} LogTarget;

/* Sets the name that messages carry. Call it before the first thread starts. */
void log_open(const char *identifier);
const char *log_identifier(void);

/* The highest syslog level that is written, LOG_INFO at first. Any thread may log. */
void log_set_level(int level);
int log_get_level(void);
void log_set_target(LogTarget target);
LogTarget log_get_target(void);

/* The words of LogControl1 and of the configuration: emerg ... debug; journal, console, auto. */
const char *log_level_name(int level);
int log_level_parse(const char *name, int *ret);
const char *log_target_name(LogTarget target);
int log_target_parse(const char *name, LogTarget *ret);

/* Writes one message. The text may quote names that a guest or a remote host chose: control
 * characters in it are written as \xNN, so that nobody can forge a line or drive a terminal. */
void log_about(int level, const LogSubject *subject, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_about(LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(...) log_about(LOG_WARNING, NULL, __VA_ARGS__)
#define log_notice(...) log_about(LOG_NOTICE, NULL, __VA_ARGS__)
#define log_info(...) log_about(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...) log_about(LOG_DEBUG, NULL, __VA_ARGS__)
