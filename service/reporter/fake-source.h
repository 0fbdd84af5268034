/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/reporter/source.h"

/* type=fake: an association from a JSON file in the form that print writes. */
extern const SourceType fake_source;

/* Reads such a file's text. NULL and the failure when it is no association; the message has the line. With
 * is_hypervisor unset it gives a guest list, of the first and only element, which must have no id. */
Association *fake_source_parse(const char *text, size_t size, bool is_hypervisor, SourceFailure *ret_failure);
