/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* console VM: connects the terminal to a serial console. */
int console_verb(Ctl *ctl, int argc, char **argv);

/* graphics VM [INDEX]: connects standard input and output to a display server, for a viewer to speak to. */
int console_graphics_verb(Ctl *ctl, int argc, char **argv);
