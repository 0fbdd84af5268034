/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/reporter/candlepin-answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(long status, const char *body, size_t size)
{
    HttpResponse response = {.status = status, .content_type = "", .body = body, .body_size = size};
    g_autofree char *message = NULL;

    if ((candlepin_judge(&response, &message) == CANDLEPIN_OK) != (message == NULL))
        abort();
    /* Goes to logs and terminals as it is. */
    if (message && (!g_utf8_validate(message, -1, NULL) || strchr(message, '\n') || strchr(message, '\033')))
        abort();
}

/* An answer's body, read as each of the things that it may be. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *body = g_strndup((const char *)data, size);
    g_autoptr(CandlepinServer) server = NULL;
    g_autoptr(CandlepinJob) job = NULL;
    bool found;

    judge(500, body, size);
    judge(204, body, size);
    if (candlepin_parse_server(body, size, &server) < 0 && server)
        abort();
    if (candlepin_parse_job(body, size, &job) < 0 && job)
        abort();
    if (job && !job_state_to_string(job->state))
        abort();
    candlepin_parse_resources(body, size, "guestids", &found);
    http_parse_retry_after(body, 784111777);
    return 0;
}
