/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <getopt.h>
#include <glib.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/pager.h"
#include "cli/guestbusctl/verb.h"

/* Options without a letter of their own. Those of verbs follow OPT_VERB, in the order of the CtlOptions. */
enum { OPT_VERSION = 256, OPT_JSON, OPT_NO_PAGER, OPT_NO_LEGEND, OPT_NO_ASK_PASSWORD, OPT_VERB };

static const struct {
    const char *name;
    CtlOption option;
    int has_argument;
} verb_options[] = {
    {"paused", OPTION_PAUSED, no_argument},
    {"bypass-saved", OPTION_BYPASS_SAVED, no_argument},
    {"mode", OPTION_MODE, required_argument},
    {"delay", OPTION_DELAY, required_argument},
    {"message", OPTION_MESSAGE, required_argument},
    {"guest-delay", OPTION_GUEST_DELAY, no_argument},
    {"qmp", OPTION_QMP, optional_argument},
    {"force", OPTION_FORCE, no_argument},
    {"device", OPTION_DEVICE, required_argument},
    {"inactive", OPTION_INACTIVE, no_argument},
    {"secrets", OPTION_SECRETS, no_argument},
    {"all", OPTION_ALL, no_argument},
    {"test", OPTION_TEST, no_argument},
};

static const struct option common_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"host", required_argument, NULL, 'H'},
    {"json", required_argument, NULL, OPT_JSON},
    {"no-ask-password", no_argument, NULL, OPT_NO_ASK_PASSWORD},
    {"no-legend", no_argument, NULL, OPT_NO_LEGEND},
    {"no-pager", no_argument, NULL, OPT_NO_PAGER},
    {"version", no_argument, NULL, OPT_VERSION},
};

static void help_print(void)
{
    puts("guestbusctl [OPTION...] [VERB [ARGUMENT...]]\n"
         "\n"
         "Looks at virtual machines on the system bus and acts on them, through guestbusd.\n"
         "VM is a name, a UUID, or SOURCE/NAME where two sources have a VM of that name.");
    verb_help();
    puts("\n"
         "Options:\n"
         "  -H, --host=[USER@]HOST     talk to guestbusd on another machine, over ssh\n"
         "  -j, --json=MODE            short or pretty (-j: what fits), off for tables\n"
         "      --no-pager             do not page long output\n"
         "      --no-legend            no titles and no summary\n"
         "      --no-ask-password      fail instead of asking for authentication\n"
         "      --paused               start: with the processors stopped\n"
         "      --bypass-saved         start: afresh, and drop the saved state\n"
         "      --mode=agent|acpi      shutdown, reboot: only through this\n"
         "      --delay=SECONDS        guest-shutdown, guest-reboot: wait so long\n"
         "      --message=TEXT         guest-shutdown, guest-reboot: tell people inside\n"
         "      --guest-delay          guest-shutdown, guest-reboot: the guest keeps the time\n"
         "      --qmp[=NAME,...]       events: those of QEMU, all or some, instead\n"
         "      --force                console: take it from whoever has it\n"
         "      --device=ALIAS         console: another one than the first\n"
         "      --inactive, --secrets  xml: for the next start; with passwords\n"
         "      --all                  show: long lists in full\n"
         "      --test                 report status: try all connections now\n"
         "  -h, --help                 this text\n"
         "      --version              the version\n"
         "\n"
         "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no such VM or source, 4 not authorized,\n"
         "5 service or bus not reachable. See guestbusctl(1).");
}

static int usage(const char *subject, const char *problem)
{
    complain("%s %s; 'guestbusctl --help' shows how", subject, problem);
    return CTL_USAGE;
}

/* The table for getopt_long(): the common options, then those of verbs. To be freed. */
static struct option *options_table(void)
{
    size_t common = G_N_ELEMENTS(common_options), of_verbs = G_N_ELEMENTS(verb_options);
    struct option *table = g_new0(struct option, common + of_verbs + 1);

    memcpy(table, common_options, sizeof(common_options));
    for (size_t i = 0; i < of_verbs; i++) {
        table[common + i].name = verb_options[i].name;
        table[common + i].has_arg = verb_options[i].has_argument;
        table[common + i].val = OPT_VERB + (int)i;
    }
    return table;
}

static int json_mode_parse(Ctl *ctl, const char *mode)
{
    if (strcmp(mode, "short") == 0)
        ctl->json = JSON_SHORT;
    else if (strcmp(mode, "pretty") == 0)
        ctl->json = JSON_PRETTY;
    else if (strcmp(mode, "off") == 0)
        ctl->json = JSON_OFF;
    else
        return usage("--json", "wants short, pretty or off");
    return CTL_OK;
}

static int delay_parse(Ctl *ctl, const char *text)
{
    guint64 seconds;

    if (!g_ascii_string_to_unsigned(text, 10, 0, UINT32_MAX, &seconds, NULL))
        return usage("--delay", "wants a number of seconds");
    ctl->delay = (uint32_t)seconds;
    return CTL_OK;
}

static int verb_option_parse(Ctl *ctl, CtlOption option, const char *argument)
{
    ctl->options |= option;
    switch (option) {
    case OPTION_MODE:
        if (strcmp(argument, "agent") != 0 && strcmp(argument, "acpi") != 0)
            return usage("--mode", "wants agent or acpi");
        ctl->mode = argument;
        break;
    case OPTION_DELAY:
        return delay_parse(ctl, argument);
    case OPTION_MESSAGE:
        if (!g_utf8_validate(argument, -1, NULL))
            return usage("--message", "is not UTF-8");
        ctl->message = argument;
        break;
    case OPTION_DEVICE:
        ctl->device = argument;
        break;
    case OPTION_QMP:
        ctl->qmp_names = argument;
        break;
    default:
        break;
    }
    return CTL_OK;
}

static int option_parse(Ctl *ctl, int c, const char *argument)
{
    switch (c) {
    case 'H':
        ctl->host = argument;
        break;
    case 'j':
        ctl->json = isatty(STDOUT_FILENO) ? JSON_PRETTY : JSON_SHORT;
        break;
    case OPT_JSON:
        return json_mode_parse(ctl, argument);
    case OPT_NO_PAGER:
        ctl->pager = false;
        break;
    case OPT_NO_LEGEND:
        ctl->legend = false;
        break;
    case OPT_NO_ASK_PASSWORD:
        ctl->ask_password = false;
        break;
    case '?':
        /* getopt_long() has said what is wrong with it. */
        return CTL_USAGE;
    default:
        return verb_option_parse(ctl, verb_options[c - OPT_VERB].option, argument);
    }
    return CTL_OK;
}

/* Reads the options. Returns 0 to go on, or -1 when all is done, with *ret_status as the exit status. */
static int options_parse(Ctl *ctl, int argc, char **argv, int *ret_status)
{
    g_autofree struct option *table = options_table();
    int c;

    *ret_status = CTL_OK;
    while ((c = getopt_long(argc, argv, "hH:j", table, NULL)) >= 0) {
        if (c == 'h') {
            help_print();
            return -1;
        }
        if (c == OPT_VERSION) {
            puts("guestbusctl " GUESTBUS_VERSION);
            return -1;
        }
        *ret_status = option_parse(ctl, c, optarg);
        if (*ret_status != CTL_OK)
            return -1;
    }
    return 0;
}

static int verb_check(const Ctl *ctl, const Verb *verb, int arguments)
{
    if (arguments < verb->min_arguments)
        return usage(verb->name, "wants more arguments");
    if (verb->max_arguments >= 0 && arguments > verb->max_arguments)
        return usage(verb->name, "wants fewer arguments");
    for (size_t i = 0; i < G_N_ELEMENTS(verb_options); i++) {
        CtlOption option = verb_options[i].option;
        g_autofree char *problem = NULL;

        if (!(ctl->options & option) || verb->options & option)
            continue;
        problem = g_strdup_printf("has no option --%s", verb_options[i].name);
        return usage(verb->name, problem);
    }
    return CTL_OK;
}

static int verb_run(Ctl *ctl, int argc, char **argv)
{
    static char *default_arguments[] = {(char *)"list", NULL};
    const Verb *verb;
    int r;

    if (argc == 0) {
        argc = 1;
        argv = default_arguments;
    }
    verb = verb_find(argv[0]);
    if (!verb)
        return usage(argv[0], "is not something that guestbusctl can do");
    r = verb_check(ctl, verb, argc - 1);
    if (r == CTL_OK && !verb->opens_itself)
        r = ctl_open(ctl);
    return r == CTL_OK ? verb->run(ctl, argc, argv) : r;
}

static bool colour_wanted(void)
{
    const char *terminal = getenv("TERM"), *no_colour = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0 && !(no_colour && *no_colour);
}

/* Output that got lost, on a full disk for example, must not look like success. */
static int output_finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    complain("the output cannot be written: %s", g_strerror(errno));
    return status == CTL_OK ? CTL_FAILED : status;
}

int main(int argc, char **argv)
{
    Ctl ctl = {
        .legend = true,
        .pager = true,
        .ask_password = isatty(STDIN_FILENO),
        .colour = colour_wanted(),
    };
    int status;

    setlocale(LC_CTYPE, "");
    if (options_parse(&ctl, argc, argv, &status) < 0)
        return status;
    status = output_finish(verb_run(&ctl, argc - optind, argv + optind));
    pager_close();
    ctl_close(&ctl);
    return status;
}
