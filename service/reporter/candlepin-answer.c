/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/candlepin-answer.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include <json-c/json.h>

#include "service/cleanup.h"

/* Real answers nest four deep. */
#define JSON_DEPTH_MAX 16

static void json_freep(json_object **json)
{
    json_object_put(*json);
}

static json_object *parse_json(const char *body, size_t size)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    json_object *json = NULL;

    if (tokener && size > 0 && size <= INT_MAX) {
        json = json_tokener_parse_ex(tokener, body, (int)size);
        if (json_tokener_get_error(tokener) != json_tokener_success) {
            json_object_put(json);
            json = NULL;
        }
    }
    if (tokener)
        json_tokener_free(tokener);
    return json;
}

static json_object *parse_object(const char *body, size_t size)
{
    json_object *json = parse_json(body, size);

    if (json_object_is_type(json, json_type_object))
        return json;
    json_object_put(json);
    return NULL;
}

/* The member when it is of that type, else NULL. */
static json_object *get_member(json_object *object, const char *name, json_type type)
{
    json_object *value = NULL;

    if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, type))
        return NULL;
    return value;
}

/* One line of valid, short text: it goes to logs and terminals. */
static char *clean_text(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    char *end = valid;

    for (char *c = valid; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    g_strstrip(valid);
    if (strlen(valid) > CANDLEPIN_MESSAGE_MAX) {
        while (g_utf8_next_char(end) - valid <= CANDLEPIN_MESSAGE_MAX)
            end = g_utf8_next_char(end);
        *end = '\0';
    }
    return g_steal_pointer(&valid);
}

static char *get_text(json_object *object, const char *name)
{
    json_object *value = get_member(object, name, json_type_string);

    return value && json_object_get_string_len(value) > 0 ? clean_text(json_object_get_string(value)) : NULL;
}

/* Proxies and front ends answer with pages: their title is the message. */
static char *find_page_title(const char *body)
{
    const char *start = strcasestr(body, "<title>");
    const char *end = start ? strcasestr(start, "</title>") : NULL;
    g_autofree char *title = NULL;

    if (!end)
        return NULL;
    start += strlen("<title>");
    title = g_strndup(start, (gsize)(end - start));
    return clean_text(title);
}

/* Candlepin has displayMessage; Katello has it too, or a list of errors. */
static char *find_error_text(const HttpResponse *response)
{
    _cleanup_(json_freep) json_object *json = parse_object(response->body, response->body_size);
    json_object *errors;
    char *text;

    if (!json)
        return find_page_title(response->body);
    text = get_text(json, "displayMessage");
    if (text)
        return text;
    errors = get_member(json, "errors", json_type_array);
    if (errors && json_object_is_type(json_object_array_get_idx(errors, 0), json_type_string))
        return clean_text(json_object_get_string(json_object_array_get_idx(errors, 0)));
    return NULL;
}

static CandlepinOutcome judge_status(long status)
{
    if (status >= 200 && status < 300)
        return CANDLEPIN_OK;
    switch (status) {
    case 429:
    case 503:
        return CANDLEPIN_LATER;
    case 400:
    case 413:
    case 415:
    case 422:
        return CANDLEPIN_REJECTED;
    case 404:
        return CANDLEPIN_MISSING;
    case 410:
        return CANDLEPIN_GONE;
    case 408:
    case 409:
    case 425:
        return CANDLEPIN_TROUBLE;
    default:
        /* Redirects too: something that is not the configured server answers there. */
        return status >= 300 && status < 500 ? CANDLEPIN_DENIED : CANDLEPIN_TROUBLE;
    }
}

static const char *describe_status(long status)
{
    switch (status) {
    case 400:
        return "the request was not understood";
    case 401:
        return "user name, password or certificate were not accepted";
    case 403:
        return "this user or system may not report here";
    case 404:
        return "not found";
    case 410:
        return "the registration of this system was deleted";
    case 413:
        return "the report is too large for the server";
    case 429:
        return "too many requests";
    case 500:
        return "error inside the server";
    case 502:
    case 504:
        return "the server behind the front end does not answer";
    case 503:
        return "the server does not serve at the moment";
    default:
        return status >= 300 && status < 400 ? "redirected, which is not followed" : "unexpected answer";
    }
}

CandlepinOutcome candlepin_judge(const HttpResponse *response, char **ret_message)
{
    g_autofree char *text = NULL;
    CandlepinOutcome outcome;

    if (response->error < 0) {
        *ret_message = clean_text(response->message);
        return CANDLEPIN_TROUBLE;
    }
    outcome = judge_status(response->status);
    if (outcome == CANDLEPIN_OK) {
        *ret_message = NULL;
        return outcome;
    }
    text = find_error_text(response);
    *ret_message =
        g_strdup_printf("HTTP status %ld: %s%s%s%s", response->status, describe_status(response->status),
                        text ? " (" : "", text ?: "", text ? ")" : "");
    return outcome;
}

static bool list_has(json_object *list, const char *text)
{
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        json_object *item = json_object_array_get_idx(list, i);

        if (json_object_is_type(item, json_type_string) && strcmp(json_object_get_string(item), text) == 0)
            return true;
    }
    return false;
}

int candlepin_parse_server(const char *body, size_t size, CandlepinServer **ret)
{
    _cleanup_(json_freep) json_object *json = parse_object(body, size);
    json_object *result, *capabilities;
    CandlepinServer *server;

    if (!json)
        return -EBADMSG;
    server = g_new0(CandlepinServer, 1);
    result = get_member(json, "result", json_type_boolean);
    server->up = !result || json_object_get_boolean(result);
    server->mode_reason = get_text(json, "modeReason");
    capabilities = get_member(json, "managerCapabilities", json_type_array);
    server->has_async_check_in = list_has(capabilities, "hypervisors_async");
    server->has_heartbeat = list_has(capabilities, "hypervisors_heartbeat");
    *ret = server;
    return 0;
}

int candlepin_parse_resources(const char *body, size_t size, const char *name, bool *ret_found)
{
    _cleanup_(json_freep) json_object *json = parse_json(body, size);

    if (!json_object_is_type(json, json_type_array))
        return -EBADMSG;
    *ret_found = false;
    for (size_t i = 0; i < json_object_array_length(json) && !*ret_found; i++) {
        json_object *item = json_object_array_get_idx(json, i);
        json_object *rel =
            json_object_is_type(item, json_type_object) ? get_member(item, "rel", json_type_string) : NULL;

        *ret_found = rel && strcmp(json_object_get_string(rel), name) == 0;
    }
    return 0;
}

/* Candlepin shows five states to the outside; the others are its inner ones, which older servers let out. A
 * word that nobody knows counts as running: the job is then asked for until the deadline for jobs. */
static JobState read_job_state(const char *text)
{
    if (!text)
        return JOB_RUNNING;
    if (strcmp(text, "FINISHED") == 0)
        return JOB_FINISHED;
    if (strcmp(text, "FAILED") == 0 || strcmp(text, "ABORTED") == 0)
        return JOB_FAILED;
    if (strcmp(text, "CANCELED") == 0 || strcmp(text, "CANCELLED") == 0)
        return JOB_CANCELED;
    if (strcmp(text, "CREATED") == 0 || strcmp(text, "WAITING") == 0 || strcmp(text, "SCHEDULED") == 0 ||
        strcmp(text, "QUEUED") == 0 || strcmp(text, "PENDING") == 0)
        return JOB_CREATED;
    return JOB_RUNNING;
}

static unsigned count_items(json_object *result, const char *name)
{
    json_object *list = get_member(result, name, json_type_array);

    return list ? (unsigned)json_object_array_length(list) : 0;
}

static void read_job_result(CandlepinJob *job, json_object *result)
{
    json_object *failed = get_member(result, "failedUpdate", json_type_array);

    job->created = count_items(result, "created");
    job->updated = count_items(result, "updated");
    job->unchanged = count_items(result, "unchanged");
    job->failed = count_items(result, "failedUpdate");
    for (unsigned i = 0; i < job->failed && i < CANDLEPIN_FAILED_MAX; i++) {
        json_object *item = json_object_array_get_idx(failed, i);

        if (json_object_is_type(item, json_type_string))
            g_ptr_array_add(job->failures, clean_text(json_object_get_string(item)));
    }
}

int candlepin_parse_job(const char *body, size_t size, CandlepinJob **ret)
{
    _cleanup_(json_freep) json_object *json = parse_object(body, size);
    g_autofree char *state = json ? get_text(json, "state") : NULL;
    json_object *result;
    CandlepinJob *job;

    if (!state)
        return -EBADMSG;
    job = g_new0(CandlepinJob, 1);
    job->failures = g_ptr_array_new_with_free_func(g_free);
    job->id = get_text(json, "id");
    job->state = read_job_state(state);
    job->message = get_text(json, "resultData");
    result = get_member(json, "resultData", json_type_object);
    if (result)
        read_job_result(job, result);
    /* Candlepin lets one check-in of an owner run at a time and does not queue a second one. It says so with
     * status 200 and this text, which is the only difference to a job that ran and failed. */
    if (job->state == JOB_FAILED && job->message &&
        strcasestr(job->message, "blocked by the following existing jobs"))
        job->state = JOB_BLOCKED;
    *ret = job;
    return 0;
}

const char *job_state_to_string(JobState state)
{
    static const char *const names[] = {
        [JOB_CREATED] = "CREATED", [JOB_RUNNING] = "RUNNING",   [JOB_FINISHED] = "FINISHED",
        [JOB_FAILED] = "FAILED",   [JOB_CANCELED] = "CANCELED", [JOB_BLOCKED] = "FAILED",
    };

    return names[state];
}

bool job_state_is_over(JobState state)
{
    return state != JOB_CREATED && state != JOB_RUNNING;
}

void candlepin_server_free(CandlepinServer *server)
{
    if (!server)
        return;
    g_free(server->mode_reason);
    g_free(server);
}

void candlepin_job_free(CandlepinJob *job)
{
    if (!job)
        return;
    g_ptr_array_unref(job->failures);
    g_free(job->message);
    g_free(job->id);
    g_free(job);
}
