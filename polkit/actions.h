/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What action_for_method() says of a method that needs no permission. */
#define ACTION_FREE ""

/* The polkit action that guards a method of ours; ACTION_FREE for one that everybody who reaches the
 * service may call; NULL for a method that has no entry, which nobody may call. */
const char *action_for_method(const char *interface, const char *member);
