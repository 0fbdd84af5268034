// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/report-log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <glib.h>

#define DIRECTORY_MODE 0755
#define FILE_MODE 0600

static struct {
    ReportLogMode mode;
    bool debug;
    char *path;      /* NULL: no file */
    int fd;          /* -1: not open */
    GString *before; /* what was said before the file was known; NULL afterwards */
} state = {.fd = -1};

static const char *level_name(int priority)
{
    if (priority <= LOG_ERR)
        return "ERROR";
    if (priority == LOG_WARNING)
        return "WARNING";
    return priority == LOG_DEBUG ? "DEBUG" : "INFO";
}

/* Also after logrotate has moved the file away. */
static void ensure_file(void)
{
    struct stat open_file, named_file;

    if (state.fd >= 0 && stat(state.path, &named_file) == 0 && fstat(state.fd, &open_file) == 0 &&
        named_file.st_ino == open_file.st_ino && named_file.st_dev == open_file.st_dev)
        return;
    if (state.fd >= 0)
        close(state.fd);
    state.fd = open(state.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, FILE_MODE);
}

static void write_whole(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere to tell it */
        text += n;
        size -= (size_t)n;
    }
}

static void write_file(const char *line)
{
    if (state.before)
        g_string_append(state.before, line);
    if (!state.path)
        return;
    ensure_file();
    if (state.fd >= 0)
        write_whole(state.fd, line, strlen(line));
}

void report_log_begin(ReportLogMode mode, bool debug)
{
    state.mode = mode;
    state.debug = debug;
    state.before = mode == REPORT_LOG_SERVICE ? NULL : g_string_new(NULL);
}

void report_log_set_debug(bool debug)
{
    state.debug = debug;
}

void report_log_open(const char *directory, const char *file)
{
    g_autoptr(GString) before = g_steal_pointer(&state.before);

    if (state.mode == REPORT_LOG_SERVICE || state.path || !before)
        return;
    if (mkdir(directory, DIRECTORY_MODE) < 0 && errno != EEXIST)
        report_log(LOG_DEBUG, "%s: cannot be made: %s", directory, strerror(errno));
    state.path = g_build_filename(directory, file, NULL);
    ensure_file();
    if (state.fd >= 0) {
        write_whole(state.fd, before->str, before->len);
        return;
    }
    int error = errno;
    g_autofree char *path = g_steal_pointer(&state.path);

    report_log(LOG_DEBUG, "%s: cannot be written: %s", path, strerror(error));
}

void report_log_close(void)
{
    if (state.fd >= 0)
        close(state.fd);
    state.fd = -1;
    g_clear_pointer(&state.path, g_free);
    if (state.before)
        g_string_free(g_steal_pointer(&state.before), TRUE);
}

static char *escape(const char *message)
{
    GString *text = g_string_new(NULL);

    for (; *message; message++)
        if ((unsigned char)*message < ' ' || *message == 0x7f)
            g_string_append_printf(text, "\\x%02x", (unsigned char)*message);
        else
            g_string_append_c(text, *message);
    return g_string_free(text, FALSE);
}

static void write_stderr(int priority, const char *message)
{
    int limit = state.debug ? LOG_DEBUG : state.mode == REPORT_LOG_QUIET ? LOG_ERR : LOG_WARNING;

    if (priority > limit)
        return;
    fprintf(stderr, "guestbus-report: %s%s\n", priority == LOG_WARNING ? "warning: " : "", message);
}

/* The number in front is read by the journal as the priority. */
static void write_journal(int priority, const char *message)
{
    if (priority < LOG_DEBUG || state.debug)
        fprintf(stderr, "<%d>%s\n", priority, message);
}

void report_log_message(int priority, const char *message, void *userdata)
{
    g_autofree char *text = escape(message);

    if (state.mode == REPORT_LOG_SERVICE) {
        write_journal(priority, text);
        return;
    }
    write_stderr(priority, text);
    if (priority == LOG_DEBUG && !state.debug)
        return;
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autofree char *stamp = g_date_time_format(now, "%Y-%m-%d %H:%M:%S");
    g_autofree char *line =
        g_strdup_printf("%s,%03d [guestbus-report %s] %s\n", stamp, g_date_time_get_microsecond(now) / 1000,
                        level_name(priority), text);

    write_file(line);
}

void report_log(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    report_log_message(priority, message, NULL);
}
