/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/state.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <json-c/json.h>

#include "service/cleanup.h"

/* The text of a State and back. Reading is strict: a file that was cut or edited is not used at all, because
 * half of what was accepted is as wrong as none of it. */

#define STATE_VERSION 1
#define JSON_DEPTH_MAX 12

static void json_freep(json_object **json)
{
    json_object_put(*json);
}

static json_object *text_or_null(const char *text)
{
    return text ? json_object_new_string(text) : NULL;
}

static json_object *format_delivery(const Delivery *delivery)
{
    json_object *json = json_object_new_object(), *hosts = json_object_new_array();

    for (unsigned i = 0; i < delivery->hosts->len; i++) {
        const HostRecord *host = delivery->hosts->pdata[i];
        json_object *pair = json_object_new_array();

        json_object_array_add(pair, json_object_new_string(host->id));
        json_object_array_add(pair, text_or_null(host->system_uuid));
        json_object_array_add(hosts, pair);
    }
    json_object_object_add(json, "hash", json_object_new_string(delivery->hash));
    json_object_object_add(json, "hosts", hosts);
    return json;
}

static json_object *format_refusal(const Refusal *refusal)
{
    json_object *json = json_object_new_object();

    json_object_object_add(json, "hash", json_object_new_string(refusal->hash));
    json_object_object_add(json, "times", json_object_new_int64(refusal->times));
    json_object_object_add(json, "until", json_object_new_int64((int64_t)refusal->until));
    return json;
}

static json_object *format_source(const SourceRecord *source)
{
    json_object *json = json_object_new_object();

    json_object_object_add(json, "last_retrieve", json_object_new_int64((int64_t)source->last_retrieve));
    json_object_object_add(json, "counted", json_object_new_boolean(source->counted));
    json_object_object_add(json, "hypervisors", json_object_new_int64(source->hypervisors));
    json_object_object_add(json, "guests", json_object_new_int64(source->guests));
    return json;
}

typedef json_object *(*Formatter)(const void *record);

static json_object *format_table(GHashTable *table, Formatter format)
{
    json_object *json = json_object_new_object();
    GHashTableIter iter;
    gpointer name, record;

    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &name, &record))
        json_object_object_add(json, name, format(record));
    return json;
}

static json_object *format_destination(const DestinationRecord *record)
{
    json_object *json = json_object_new_object();

    json_object_object_add(json, "accepted", format_table(record->accepted, (Formatter)format_delivery));
    json_object_object_add(json, "in_job", format_table(record->in_job, (Formatter)format_delivery));
    json_object_object_add(json, "refusals", format_table(record->refusals, (Formatter)format_refusal));
    json_object_object_add(json, "job_id", text_or_null(record->job_id));
    json_object_object_add(json, "job_status", text_or_null(record->job_status));
    json_object_object_add(json, "job_hash", text_or_null(record->job_hash));
    json_object_object_add(json, "job_open", json_object_new_boolean(record->job_open));
    json_object_object_add(json, "job_since", json_object_new_int64((int64_t)record->job_since));
    json_object_object_add(json, "last_send", json_object_new_int64((int64_t)record->last_send));
    return json;
}

char *state_format(const State *state)
{
    _cleanup_(json_freep) json_object *json = json_object_new_object();

    json_object_object_add(json, "version", json_object_new_int(STATE_VERSION));
    json_object_object_add(json, "sources", format_table(state->sources, (Formatter)format_source));
    json_object_object_add(json, "destinations",
                           format_table(state->destinations, (Formatter)format_destination));
    return g_strdup(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
}

static bool read_member(json_object *object, const char *name, json_type type, json_object **ret)
{
    return json_object_is_type(object, json_type_object) && json_object_object_get_ex(object, name, ret) &&
           json_object_is_type(*ret, type);
}

static bool read_number(json_object *object, const char *name, uint64_t max, uint64_t *ret)
{
    json_object *value;
    int64_t number;

    if (!read_member(object, name, json_type_int, &value))
        return false;
    number = json_object_get_int64(value);
    *ret = (uint64_t)number;
    return number >= 0 && (uint64_t)number <= max;
}

static bool read_count(json_object *object, const char *name, unsigned *ret)
{
    uint64_t number;

    if (!read_number(object, name, UINT_MAX, &number))
        return false;
    *ret = (unsigned)number;
    return true;
}

static bool read_flag(json_object *object, const char *name, bool *ret)
{
    json_object *value;

    if (!read_member(object, name, json_type_boolean, &value))
        return false;
    *ret = json_object_get_boolean(value);
    return true;
}

static bool read_text(json_object *object, const char *name, char **ret)
{
    json_object *value;

    if (!json_object_object_get_ex(object, name, &value))
        return false;
    *ret = g_strdup(json_object_get_string(value));
    return !value || json_object_is_type(value, json_type_string);
}

static bool read_hash(json_object *object, char ret[ASSOCIATION_HASH_SIZE])
{
    json_object *value;

    return read_member(object, "hash", json_type_string, &value) &&
           g_strlcpy(ret, json_object_get_string(value), ASSOCIATION_HASH_SIZE) < ASSOCIATION_HASH_SIZE;
}

static bool read_host(json_object *pair, Delivery *delivery)
{
    json_object *id, *system_uuid;

    if (!json_object_is_type(pair, json_type_array) || json_object_array_length(pair) != 2)
        return false;
    id = json_object_array_get_idx(pair, 0);
    system_uuid = json_object_array_get_idx(pair, 1);
    if (!json_object_is_type(id, json_type_string) ||
        (system_uuid && !json_object_is_type(system_uuid, json_type_string)))
        return false;
    delivery_add_host(delivery, json_object_get_string(id),
                      system_uuid ? json_object_get_string(system_uuid) : NULL);
    return true;
}

/* Readers put what they read into the table under `name`, and say whether it was as expected. */
typedef bool (*Reader)(void *table, const char *name, json_object *json);

static bool read_delivery(void *table, const char *name, json_object *json)
{
    g_autoptr(Delivery) delivery = delivery_new("");
    json_object *hosts;

    if (!read_hash(json, delivery->hash) || !read_member(json, "hosts", json_type_array, &hosts))
        return false;
    for (size_t i = 0; i < json_object_array_length(hosts); i++)
        if (!read_host(json_object_array_get_idx(hosts, i), delivery))
            return false;
    g_hash_table_insert(table, g_strdup(name), g_steal_pointer(&delivery));
    return true;
}

static bool read_refusal(void *table, const char *name, json_object *json)
{
    Refusal *refusal = g_new0(Refusal, 1);

    g_hash_table_insert(table, g_strdup(name), refusal);
    return read_hash(json, refusal->hash) && read_count(json, "times", &refusal->times) &&
           read_number(json, "until", INT64_MAX, &refusal->until);
}

static bool read_source(void *state, const char *name, json_object *json)
{
    SourceRecord *source = state_get_source(state, name);

    return read_number(json, "last_retrieve", INT64_MAX, &source->last_retrieve) &&
           read_flag(json, "counted", &source->counted) &&
           read_count(json, "hypervisors", &source->hypervisors) &&
           read_count(json, "guests", &source->guests);
}

static bool read_table(json_object *object, const char *member, Reader read, void *table)
{
    json_object *json;

    if (!read_member(object, member, json_type_object, &json))
        return false;
    json_object_object_foreach(json, name, value)
    {
        if (!read(table, name, value))
            return false;
    }
    return true;
}

static bool read_destination(void *state, const char *name, json_object *json)
{
    DestinationRecord *record = state_get_destination(state, name);

    return read_table(json, "accepted", read_delivery, record->accepted) &&
           read_table(json, "in_job", read_delivery, record->in_job) &&
           read_table(json, "refusals", read_refusal, record->refusals) &&
           read_text(json, "job_id", &record->job_id) && read_text(json, "job_status", &record->job_status) &&
           read_text(json, "job_hash", &record->job_hash) && read_flag(json, "job_open", &record->job_open) &&
           (!record->job_open || (record->job_id && record->job_hash)) &&
           read_number(json, "job_since", INT64_MAX, &record->job_since) &&
           read_number(json, "last_send", INT64_MAX, &record->last_send);
}

int state_parse(State *state, const char *text, size_t size)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    _cleanup_(json_freep) json_object *json = NULL;
    uint64_t version;

    if (size > INT_MAX) {
        json_tokener_free(tokener);
        return -EBADMSG;
    }
    json = json_tokener_parse_ex(tokener, text, (int)size);
    if (json_tokener_get_error(tokener) != json_tokener_success ||
        json_tokener_get_parse_end(tokener) != size) {
        json_object_put(json);
        json = NULL;
    }
    json_tokener_free(tokener);
    if (!read_number(json, "version", STATE_VERSION, &version) ||
        !read_table(json, "sources", read_source, state) ||
        !read_table(json, "destinations", read_destination, state))
        return -EBADMSG;
    return 0;
}
