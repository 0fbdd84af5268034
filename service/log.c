/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/log.h"

#include <errno.h>
#include <glib.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* sd_journal_sendv() is called directly: the macros would add this file's line to every message. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

/* A message is cut here: a guest must not be able to fill a disk with one line. */
#define LOG_LINE_MAX 2048

static const char *const level_names[] = {
    [LOG_EMERG] = "emerg",     [LOG_ALERT] = "alert",   [LOG_CRIT] = "crit", [LOG_ERR] = "err",
    [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice", [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

static const char *const target_names[] = {
    [LOG_TARGET_AUTO] = "auto",
    [LOG_TARGET_JOURNAL] = "journal",
    [LOG_TARGET_CONSOLE] = "console",
};

static const char *identifier = "guestbus";
static atomic_int max_level = LOG_INFO;
static atomic_int current_target = LOG_TARGET_AUTO;
static bool stderr_is_journal;

/* True where stderr is the journal's stream; systemd says so in $JOURNAL_STREAM as "device:inode". */
static bool detect_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(STDERR_FILENO, &st) < 0)
        return false;
    return st.st_dev == (dev_t)device && st.st_ino == (ino_t)inode;
}

void log_open(const char *name)
{
    identifier = name;
    stderr_is_journal = detect_journal();
}

const char *log_identifier(void)
{
    return identifier;
}

void log_set_level(int level)
{
    atomic_store(&max_level, level);
}

int log_get_level(void)
{
    return atomic_load(&max_level);
}

void log_set_target(LogTarget target)
{
    atomic_store(&current_target, (int)target);
}

LogTarget log_get_target(void)
{
    return (LogTarget)atomic_load(&current_target);
}

static int name_index(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (g_str_equal(names[i], name))
            return (int)i;
    return -EINVAL;
}

const char *log_level_name(int level)
{
    return level_names[CLAMP(level, LOG_EMERG, LOG_DEBUG)];
}

int log_level_parse(const char *name, int *ret)
{
    int level = name_index(level_names, G_N_ELEMENTS(level_names), g_str_equal(name, "error") ? "err" : name);

    if (level < 0)
        return level;
    *ret = level;
    return 0;
}

const char *log_target_name(LogTarget target)
{
    return target_names[target];
}

int log_target_parse(const char *name, LogTarget *ret)
{
    int target = name_index(target_names, G_N_ELEMENTS(target_names), name);

    if (target < 0)
        return target;
    *ret = (LogTarget)target;
    return 0;
}

static void escape_controls(GString *text)
{
    for (gsize i = 0; i < text->len; i++) {
        unsigned char c = (unsigned char)text->str[i];
        char escaped[5];

        if (c >= 0x20 && c != 0x7f)
            continue;
        g_snprintf(escaped, sizeof escaped, "\\x%02x", c);
        g_string_erase(text, (gssize)i, 1);
        g_string_insert(text, (gssize)i, escaped);
        i += 3;
    }
}

static void append_field(GPtrArray *fields, const char *name, const char *value)
{
    if (value)
        g_ptr_array_add(fields, g_strdup_printf("%s=%s", name, value));
}

static void write_journal(int level, const LogSubject *subject, const char *message)
{
    g_autoptr(GPtrArray) fields = g_ptr_array_new_with_free_func(g_free);
    struct iovec iov[8];
    char priority[16];

    g_snprintf(priority, sizeof priority, "%d", level);
    append_field(fields, "MESSAGE", message);
    append_field(fields, "PRIORITY", priority);
    append_field(fields, "SYSLOG_IDENTIFIER", identifier);
    if (subject) {
        append_field(fields, "SOURCE", subject->source);
        append_field(fields, "VM", subject->vm);
        append_field(fields, "UUID", subject->uuid);
    }
    for (guint i = 0; i < fields->len; i++)
        iov[i] = (struct iovec){fields->pdata[i], strlen(fields->pdata[i])};
    (void)sd_journal_sendv(iov, (int)fields->len);
}

/* One write() for each line, so that lines of several threads never mix. */
static void write_stderr(int level, const LogSubject *subject, const char *message)
{
    g_autoptr(GString) line = g_string_new(NULL);

    g_string_append_printf(line, "%s: %s%s", identifier,
                           level <= LOG_ERR       ? "error: "
                           : level == LOG_WARNING ? "warning: "
                                                  : "",
                           message);
    if (subject && subject->source)
        g_string_append_printf(line, " [%s%s%s]", subject->source, subject->vm ? "/" : "",
                               subject->vm ? subject->vm : "");
    escape_controls(line);
    g_string_append_c(line, '\n');
    if (write(STDERR_FILENO, line->str, line->len) < 0)
        return; /* nobody is left to be told */
}

void log_about(int level, const LogSubject *subject, const char *format, ...)
{
    g_autoptr(GString) message = NULL;
    LogTarget target = log_get_target();
    va_list ap;
    int saved_errno = errno;

    if (level > log_get_level())
        return;
    message = g_string_new(NULL);
    va_start(ap, format);
    g_string_append_vprintf(message, format, ap);
    va_end(ap);
    if (message->len > LOG_LINE_MAX)
        g_string_truncate(message, LOG_LINE_MAX);
    escape_controls(message);

    if (target == LOG_TARGET_JOURNAL || (target == LOG_TARGET_AUTO && stderr_is_journal))
        write_journal(level, subject, message->str);
    else
        write_stderr(level, subject, message->str);
    errno = saved_errno;
}
