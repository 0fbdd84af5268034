// SPDX-License-Identifier: LGPL-2.1-or-later
/* -s: whether sources and servers can be used, as text or with -j as JSON. */
#include "cli/report/mode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "cli/report/state-directory.h"
#include "service/reporter/probe.h"
#include "service/reporter/report-log.h"
#include "service/reporter/status.h"

static void on_finished(Probe *probe, void *userdata)
{
    Mode *mode = userdata;

    sd_event_exit(mode->event, EXIT_ALL_WELL);
}

static void write_json(const Probe *probe)
{
    unsigned count = probe_count(probe);
    MappingStatus status;

    status_begin_json(stdout);
    for (unsigned i = 0; i < count; i++) {
        const Mapping *mapping = probe_get(probe, i, &status);

        status_write_json(stdout, mapping, &status, i == 0);
    }
    status_end_json(stdout, count == 0);
}

/* The text has no room for reasons: they go to stderr. */
static void write_text(const Probe *probe)
{
    bool coloured = isatty(STDOUT_FILENO);
    MappingStatus status;

    for (unsigned i = 0; i < probe_count(probe); i++) {
        const Mapping *mapping = probe_get(probe, i, &status);

        status_write_text(stdout, mapping, &status, coloured);
        if (status.source_problem)
            report_log(LOG_ERR, "%s: source: %s", mapping->name, status.source_problem);
        if (status.destination_problem)
            report_log(LOG_ERR, "%s: destination: %s", mapping->name, status.destination_problem);
    }
}

int status_run(Mode *mode)
{
    g_autofree char *directory = state_directory(mode->options->paths);
    g_autoptr(State) state = state_read(directory);
    g_autoptr(Probe) probe = NULL;
    int r = probe_new(mode->event, mode->settings, state, NULL, on_finished, mode, &probe);

    if (r >= 0)
        r = sd_event_loop(mode->event);
    if (r < 0) {
        report_log(LOG_ERR, "cannot try the connections: %s", strerror(-r));
        return EXIT_INCOMPLETE;
    }
    (mode->json ? write_json : write_text)(probe);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        report_log(LOG_ERR, "cannot write the output: %s", strerror(errno));
        return EXIT_INCOMPLETE;
    }
    return probe_all_well(probe) && !mode->settings->dropped ? r : EXIT_INCOMPLETE;
}
