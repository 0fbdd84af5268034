/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/guestbusctl/ctl.h"

/* show VM...: everything known of a VM, what its guest says with origin and age. */
int show_verb(Ctl *ctl, int argc, char **argv);

/* xml VM: its definition in libvirt's XML. */
int show_xml_verb(Ctl *ctl, int argc, char **argv);
