/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/config.h"

/* The keys of guestbus.conf(5) and what each accepts: one table for each kind of section. */

void config_key_defaults(ServiceConfig *service);

/* Sets one key. Returns -EINVAL with a message that says what is allowed, which the caller frees. */
int config_key_service(ServiceConfig *service, const char *name, const char *value, char **ret_message);
int config_key_source(SourceConfig *source, const char *name, const char *value, char **ret_message);

/* True for a key without which a source must not be used at all: a mistyped `read-only` must not end as
 * a connection that may write. */
bool config_key_is_vital(const char *name);
