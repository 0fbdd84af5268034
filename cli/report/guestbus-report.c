// SPDX-License-Identifier: LGPL-2.1-or-later
/* Tells an entitlement server which guest runs on which host: options, configuration, mode, end. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <syslog.h>
#include <unistd.h>

#include "cli/report/mode.h"
#include "service/cleanup.h"
#include "service/reporter/report-log.h"

/* Seconds that --timeout takes. */
#define TIMEOUT_MAX 3600

typedef struct Options {
    bool oneshot;
    bool status;
    bool json;
    bool print;
    bool debug;
    bool service;
    bool encrypt;
    const char *interval;
    unsigned timeout; /* seconds, 0: the usual */
    GPtrArray *files;
} Options;

enum { OPTION_VERSION = 256, OPTION_ENCRYPT, OPTION_SERVICE, OPTION_TIMEOUT };

static const struct option long_options[] = {
    {"debug", no_argument, NULL, 'd'},
    {"one-shot", no_argument, NULL, 'o'},
    {"interval", required_argument, NULL, 'i'},
    {"print", no_argument, NULL, 'p'},
    {"status", no_argument, NULL, 's'},
    {"json", no_argument, NULL, 'j'},
    {"config", required_argument, NULL, 'c'},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"encrypt-password", no_argument, NULL, OPTION_ENCRYPT},
    {"service", no_argument, NULL, OPTION_SERVICE},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, 'h'},
    {NULL},
};

static void print_help(void)
{
    printf("Usage: guestbus-report [OPTION]...\n"
           "Tells an entitlement server which guests run on which hosts, at every interval and at every "
           "change.\n\n"
           "  -o, --one-shot           report once and end\n"
           "  -i, --interval=SECONDS   time between reports, at least 60 (default: 3600)\n"
           "  -p, --print              print what would be reported, as JSON, and send nothing\n"
           "  -s, --status             try all sources and servers and print how it went\n"
           "  -j, --json               with --status: as JSON\n"
           "  -c, --config=FILE        take sources from this file only (may be given again)\n"
           "  -d, --debug              say more about what is done\n"
           "      --timeout=SECONDS    with --print: wait for sources at most so long (default: 60)\n"
           "      --encrypt-password   ask for a password and print it as encrypted_password takes it\n"
           "      --service            run as guestbus-reporter.service\n"
           "      --version            print the version\n"
           "  -h, --help               print this\n\n"
           "Exit status: 0 if all went well, 1 without usable configuration, 2 for an unknown option,\n"
           "3 if a source, a server or a section of the configuration failed, 64 if options exclude each "
           "other.\n");
}

static int parse_timeout(const char *text, unsigned *ret_seconds)
{
    guint64 seconds;

    if (!g_ascii_string_to_unsigned(text, 10, 1, TIMEOUT_MAX, &seconds, NULL)) {
        fprintf(stderr, "guestbus-report: the timeout must be a number of seconds between 1 and %d\n",
                TIMEOUT_MAX);
        return EXIT_BAD_OPTION;
    }
    *ret_seconds = (unsigned)seconds;
    return EXIT_ALL_WELL;
}

/* -1: go on. */
static int apply_option(Options *options, int option)
{
    switch (option) {
    case 'd':
        options->debug = true;
        return -1;
    case 'o':
        options->oneshot = true;
        return -1;
    case 'i':
        options->interval = optarg;
        return -1;
    case 'p':
        options->print = true;
        return -1;
    case 's':
        options->status = true;
        return -1;
    case 'j':
        options->json = true;
        return -1;
    case 'c':
        g_ptr_array_add(options->files, g_strdup(optarg));
        return -1;
    case OPTION_TIMEOUT:
        return parse_timeout(optarg, &options->timeout) ?: -1;
    case OPTION_ENCRYPT:
        options->encrypt = true;
        return -1;
    case OPTION_SERVICE:
        options->service = true;
        return -1;
    case OPTION_VERSION:
        printf("guestbus-report %s\n", GUESTBUS_VERSION);
        return EXIT_ALL_WELL;
    case 'h':
        print_help();
        return EXIT_ALL_WELL;
    default:
        fputs("Try: guestbus-report --help\n", stderr);
        return EXIT_BAD_OPTION;
    }
}

static int check_options(const Options *options)
{
    const char *problem = NULL;

    if (options->json && !options->status)
        problem = "--json needs --status";
    else if (options->status + options->oneshot + options->print + options->encrypt + options->service > 1)
        problem = "--one-shot, --print, --status, --encrypt-password and --service exclude each other";
    if (!problem)
        return -1;
    fprintf(stderr, "guestbus-report: %s\n", problem);
    return EXIT_CONTRADICTION;
}

static int parse_options(int argc, char *argv[], Options *options)
{
    int option;

    while ((option = getopt_long(argc, argv, "doi:psjc:h", long_options, NULL)) >= 0) {
        int status = apply_option(options, option);

        if (status >= 0)
            return status;
    }
    if (optind < argc) {
        fprintf(stderr, "guestbus-report: unexpected argument: %s\n", argv[optind]);
        return EXIT_BAD_OPTION;
    }
    return check_options(options);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    return sd_event_exit(sd_event_source_get_event(source), EXIT_INCOMPLETE);
}

/* Before any thread is there: they inherit the blocked signals, and the loop alone takes them. */
static int open_loop(sd_event **ret_event)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int r = sd_event_default(ret_event);

    if (r >= 0)
        r = sd_event_add_signal(*ret_event, NULL, SIGTERM, on_signal, NULL);
    return r < 0 ? r : sd_event_add_signal(*ret_event, NULL, SIGINT, on_signal, NULL);
}

/* The command line wins over [global]; a service has no mode but its own. */
static int run_mode(const Options *options, Mode *mode)
{
    const Settings *settings = mode->settings;
    bool chosen = options->oneshot || options->print || options->status;

    mode->json = options->json || settings->json;
    if (options->print || (!chosen && settings->print))
        return print_run(mode);
    if (options->status || (!chosen && settings->status))
        return status_run(mode);
    if (options->oneshot || (!chosen && settings->oneshot))
        return oneshot_run(mode);
    return interval_run(mode);
}

/* A service without usable configuration stays, on the bus, until it is repaired and reloaded: ending would
 * only start it again and again. */
static int read_configuration(const Options *options, Mode *mode)
{
    int r = settings_read(mode->options, report_log_message, NULL, &mode->settings);

    if (r < 0 && options->service) {
        report_log(LOG_ERR, "nothing is reported until the configuration is repaired and read again");
        mode->settings = settings_new_empty(mode->options);
        return 0;
    }
    return r;
}

static int run(const Options *options, const SettingsPaths *paths)
{
    SettingsOptions how = {
        .paths = paths, .files = options->files, .interval = options->interval, .debug = options->debug};
    Mode mode = {.options = &how, .deadline_usec = options->timeout * UINT64_C(1000000)};
    int r = open_loop(&mode.event);

    if (r < 0) {
        fprintf(stderr, "guestbus-report: no event loop: %s\n", strerror(-r));
        return EXIT_CANNOT_START;
    }
    report_log_begin(options->service  ? REPORT_LOG_SERVICE
                     : options->status ? REPORT_LOG_QUIET
                                       : REPORT_LOG_PROGRAM,
                     options->debug);
    if (read_configuration(options, &mode) < 0)
        return EXIT_CANNOT_START;
    report_log_set_debug(mode.settings->debug);
    report_log_open(mode.settings->log_dir, mode.settings->log_file);
    int status = options->service ? service_run(&mode) : run_mode(options, &mode);

    settings_free(mode.settings);
    return status;
}

int main(int argc, char *argv[])
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
    _cleanup_(settings_paths_clear) SettingsPaths paths = {};
    Options options = {.files = files};
    int status = parse_options(argc, argv, &options);

    if (status < 0) {
        /* Passwords are in this process: no core file, no debugger of another process of the same user. */
        (void)prctl(PR_SET_DUMPABLE, 0);
        settings_paths_init(&paths, NULL);
        status = options.encrypt ? encrypt_run(&paths) : run(&options, &paths);
    }
    fflush(NULL);
    /* A thread that waits in libvirt for a host that hangs must not hold up the end. */
    _exit(status);
}
