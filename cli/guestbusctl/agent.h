/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Starts polkit's terminal agent for this process, so that a user without a desktop can be asked for a
 * password. Does nothing for root, a second time, or where the agent is not installed. */
void agent_start(void);

/* Ends the agent and gives the terminal back. */
void agent_stop(void);
