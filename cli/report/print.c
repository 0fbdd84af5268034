// SPDX-License-Identifier: LGPL-2.1-or-later
/* -p: what would be reported, on stdout. */
#include "cli/report/mode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "cli/report/progress.h"
#include "service/reporter/collection.h"
#include "service/reporter/report-log.h"

static void on_finished(Collection *collection, void *userdata)
{
    Mode *mode = userdata;

    sd_event_exit(mode->event, EXIT_ALL_WELL);
}

/* Says what is missing in the output and why. True when something is. */
static bool tell_missing(const Collection *collection)
{
    unsigned count;
    const CollectionResult *results = collection_results(collection, &count);
    bool missing = false;

    for (unsigned i = 0; i < count; i++) {
        if (results[i].association)
            continue;
        missing = true;
        report_log(LOG_ERR, "%s: %s; its hosts are missing", results[i].mapping->name,
                   results[i].done ? results[i].failure.message : "interrupted");
    }
    return missing;
}

static void count(const void *userdata, unsigned *ret_done, unsigned *ret_all)
{
    const Collection *collection = userdata;

    *ret_done = collection_count_done(collection);
    (void)collection_results(collection, ret_all);
}

int print_run(Mode *mode)
{
    g_autoptr(Collection) collection = NULL;
    g_autoptr(Progress) progress = NULL;
    int r = collection_new(mode->event, mode->settings, NULL, mode->deadline_usec, on_finished, mode,
                           &collection);

    if (r >= 0) {
        progress = progress_new(mode->event, "collecting", count, collection);
        r = sd_event_loop(mode->event);
        g_clear_pointer(&progress, progress_free);
    }
    if (r < 0) {
        report_log(LOG_ERR, "cannot collect: %s", strerror(-r));
        return EXIT_INCOMPLETE;
    }
    collection_write(collection, stdout);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        report_log(LOG_ERR, "cannot write the output: %s", strerror(errno));
        return EXIT_INCOMPLETE;
    }
    return tell_missing(collection) || mode->settings->dropped ? EXIT_INCOMPLETE : r;
}
