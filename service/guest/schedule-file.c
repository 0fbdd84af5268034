/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/schedule.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

void schedule_entry_free(ScheduleEntry *entry)
{
    if (!entry)
        return;
    g_free(entry->source);
    g_free(entry->uuid);
    g_free(entry->message);
    g_free(entry);
}

ScheduleEntry *schedule_entry_copy(const ScheduleEntry *entry)
{
    ScheduleEntry *copy = g_new(ScheduleEntry, 1);

    copy->source = g_strdup(entry->source);
    copy->uuid = g_strdup(entry->uuid);
    copy->run = entry->run;
    copy->verb = entry->verb;
    copy->time = entry->time;
    copy->message = g_strdup(entry->message);
    return copy;
}

char *schedule_format(const GPtrArray *entries)
{
    json_object *root = json_object_new_array();
    char *text;

    for (unsigned i = 0; i < entries->len; i++) {
        const ScheduleEntry *entry = entries->pdata[i];
        json_object *object = json_object_new_object();

        json_object_object_add(object, "source", json_object_new_string(entry->source));
        json_object_object_add(object, "uuid", json_object_new_string(entry->uuid));
        json_object_object_add(object, "run", json_object_new_int(entry->run));
        json_object_object_add(object, "verb", json_object_new_string(entry->verb));
        json_object_object_add(object, "time", json_object_new_int64((int64_t)entry->time));
        json_object_object_add(object, "message", json_object_new_string(entry->message));
        json_object_array_add(root, object);
    }
    text = g_strconcat(json_object_to_json_string_ext(root, JSON_C_TO_STRING_PLAIN), "\n", NULL);
    json_object_put(root);
    return text;
}

static const char *member_text(json_object *object, const char *name)
{
    json_object *value;

    if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, json_type_string))
        return NULL;
    return json_object_get_string(value);
}

static bool member_number(json_object *object, const char *name, int64_t min, int64_t max,
                          int64_t *ret_number)
{
    json_object *value;

    if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, json_type_int))
        return false;
    *ret_number = json_object_get_int64(value);
    return *ret_number >= min && *ret_number <= max;
}

static const char *verb_find(const char *verb)
{
    static const char *const verbs[] = {"shutdown", "reboot"};

    for (unsigned i = 0; verb && i < G_N_ELEMENTS(verbs); i++)
        if (strcmp(verb, verbs[i]) == 0)
            return verbs[i];
    return NULL;
}

static int entry_parse(json_object *object, ScheduleEntry **ret_entry)
{
    ScheduleEntry entry;
    int64_t run, time;

    if (!json_object_is_type(object, json_type_object))
        return -EBADMSG;
    entry.source = (char *)member_text(object, "source");
    entry.uuid = (char *)member_text(object, "uuid");
    entry.message = (char *)member_text(object, "message");
    entry.verb = verb_find(member_text(object, "verb"));
    if (!entry.source || !entry.uuid || !entry.message || !entry.verb ||
        !member_number(object, "run", INT_MIN, INT_MAX, &run) ||
        !member_number(object, "time", 0, INT64_MAX, &time))
        return -EBADMSG;
    entry.run = (int)run;
    entry.time = (uint64_t)time;
    *ret_entry = schedule_entry_copy(&entry);
    return 0;
}

static int root_parse(json_object *root, GPtrArray *entries)
{
    if (!json_object_is_type(root, json_type_array) || json_object_array_length(root) > SCHEDULE_ENTRIES_MAX)
        return -EBADMSG;
    for (size_t i = 0; i < json_object_array_length(root); i++) {
        ScheduleEntry *entry;

        if (entry_parse(json_object_array_get_idx(root, i), &entry) < 0)
            return -EBADMSG;
        g_ptr_array_add(entries, entry);
    }
    return 0;
}

int schedule_parse(const char *text, size_t length, GPtrArray *entries)
{
    json_tokener *tokener;
    json_object *root;
    int r = -EBADMSG;

    if (length > SCHEDULE_FILE_MAX)
        return -EBADMSG;
    tokener = json_tokener_new_ex(4);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    root = json_tokener_parse_ex(tokener, text, (int)length);
    if (root)
        r = root_parse(root, entries);
    json_object_put(root);
    json_tokener_free(tokener);
    if (r < 0)
        g_ptr_array_set_size(entries, 0);
    return r;
}
