// SPDX-License-Identifier: LGPL-2.1-or-later
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char *argv[])
{
    static const struct option options[] = {{"version", no_argument, NULL, 'V'}, {NULL}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (option != 'V')
            return EXIT_FAILURE;
        printf("guestbus-report %s\n", GUESTBUS_VERSION);
        return EXIT_SUCCESS;
    }
    return EXIT_FAILURE;
}
