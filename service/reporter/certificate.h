/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who this system is for the entitlement server: the subject of its consumer certificate, CN=<uuid>,
 * O=<owner>. Either may come back as NULL when the subject lacks it. -errno as text_file_read() has them,
 * -EBADMSG when the file holds no certificate. */
int certificate_read(const char *path, char **ret_owner, char **ret_uuid);
