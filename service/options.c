/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/options.h"

#include "service/log.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPTION_CHECK = 256,
    OPTION_LOG_LEVEL,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"source", required_argument, NULL, 's'},
    {"check-config", no_argument, NULL, OPTION_CHECK},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {0},
};

static void print_help(void)
{
    printf("guestbusd [OPTION]...\n\n"
           "Puts the virtual machines that libvirt knows on the D-Bus system bus.\n\n"
           "  -c, --config=FILE        read FILE and FILE.d/*.conf instead of " CONFIG_FILE "\n"
           "  -s, --source=LABEL=URI   serve this libvirt URI instead of the configured ones;\n"
           "                           can be given several times\n"
           "      --check-config       say what is wrong with the configuration, and exit\n"
           "      --log-level=LEVEL    err, warning, notice, info or debug\n"
           "  -h, --help               print this\n"
           "      --version            print the version\n\n"
           "See guestbusd(8) and guestbus.conf(5).\n");
}

static int parse_one(int option, Options *options)
{
    int level;

    switch (option) {
    case 'c':
        options->origin.file = optarg;
        return 1;
    case 's':
        g_ptr_array_add(options->sources, optarg);
        return 1;
    case OPTION_CHECK:
        options->check_config = true;
        return 1;
    case OPTION_LOG_LEVEL:
        if (log_level_parse(optarg, &level) == 0) {
            log_set_level(level);
            return 1;
        }
        log_error("--log-level=%s: it takes err, warning, notice, info or debug", optarg);
        return -EINVAL;
    case 'h':
        print_help();
        return 0;
    case OPTION_VERSION:
        printf("guestbusd %s\n", GUESTBUS_VERSION);
        return 0;
    default:
        return -EINVAL; /* getopt has said why */
    }
}

/* A file that somebody names must be there, now and not when it is first needed. */
static int check_file(const char *file)
{
    if (!file || access(file, R_OK) == 0)
        return 0;
    log_error("--config=%s: %s", file, g_strerror(errno));
    return -ENOENT;
}

/* Nor does the service start with fewer sources than were asked for. */
static int check_sources(char *const *arguments)
{
    g_autofree char *problem = config_arguments_problem(arguments);

    if (!problem)
        return 0;
    log_error("%s", problem);
    return -EINVAL;
}

int options_parse(int argc, char *argv[], Options *ret)
{
    Options options = {.sources = g_ptr_array_new()};
    int option, r = 1;

    while (r > 0 && (option = getopt_long(argc, argv, "c:s:h", long_options, NULL)) >= 0)
        r = parse_one(option, &options);
    if (r > 0 && optind < argc) {
        log_error("Unexpected argument \"%s\"; see guestbusd --help", argv[optind]);
        r = -EINVAL;
    }
    if (r > 0 && check_file(options.origin.file) < 0)
        r = -ENOENT;
    g_ptr_array_add(options.sources, NULL);
    if (r > 0 && check_sources((char *const *)options.sources->pdata) < 0)
        r = -EINVAL;
    if (r <= 0) {
        options_clear(&options);
        return r;
    }
    options.origin.arguments = (char *const *)options.sources->pdata;
    *ret = options;
    return 1;
}

void options_clear(Options *options)
{
    g_clear_pointer(&options->sources, g_ptr_array_unref);
}

int options_check_config(const Options *options)
{
    g_autoptr(Config) config = config_read(&options->origin);

    for (guint i = 0; i < config->problems->len; i++)
        fprintf(stderr, "%s\n", (const char *)config->problems->pdata[i]);
    if (config->problems->len > 0)
        return EXIT_FAILURE;
    printf("The configuration is good: %u source%s\n", config->sources->len,
           config->sources->len == 1 ? "" : "s");
    return EXIT_SUCCESS;
}
