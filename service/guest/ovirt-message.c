/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/ovirt-message.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "service/guest/text.h"

static const uint64_t kib = 1024, mib = 1024 * 1024;

enum {
    MEMORY_MIB_MAX = 1 << 30, /* a PiB: above it is nonsense, and the product must not overflow */
    TIMEZONE_MINUTES_MAX = 24 * 60,
    NUMBER_DIGITS_MAX = 20,
    MEMBER_TEXT_MAX = GUEST_TEXT_MAX + 4, /* one character more, so that the observation sees that it cuts */
};

static json_object *member(json_object *object, const char *name, json_type type)
{
    json_object *value;

    if (!json_object_object_get_ex(object, name, &value) || !json_object_is_type(value, type))
        return NULL;
    return value;
}

/* A member's text, cleaned (an escaped NUL must not end it); NULL when it is no string. */
static char *member_text(json_object *object, const char *name)
{
    json_object *value = member(object, name, json_type_string);

    if (!value)
        return NULL;
    return text_clean(json_object_get_string(value), json_object_get_string_len(value), MEMBER_TEXT_MAX,
                      NULL);
}

/* A number that is a JSON integer, or, as for free-ram and on Windows, one written in a string. */
static bool member_number(json_object *object, const char *name, uint64_t max, uint64_t *ret_number)
{
    json_object *value;
    const char *text;
    char *end;

    if (!json_object_object_get_ex(object, name, &value))
        return false;
    if (json_object_is_type(value, json_type_int)) {
        int64_t number = json_object_get_int64(value);

        if (number < 0 || (uint64_t)number > max)
            return false;
        *ret_number = (uint64_t)number;
        return true;
    }
    if (!json_object_is_type(value, json_type_string))
        return false;
    text = json_object_get_string(value);
    if (!g_ascii_isdigit(text[0]) || strlen(text) > NUMBER_DIGITS_MAX)
        return false;
    *ret_number = g_ascii_strtoull(text, &end, 10);
    return *end == '\0' && *ret_number <= max;
}

/* Sets a text from a member of the message. */
static int observe_text(json_object *root, const char *name, GuestField field, OvirtMessage *message)
{
    g_autofree char *text = member_text(root, name);

    if (!text)
        return -EBADMSG;
    observation_set_text(message->observation, field, text);
    return 0;
}

/* free-ram is MiB, memory-stat KiB; mem_free is free memory with buffers and cache, which is what free-ram
 * says. */
static void observe_memory(json_object *root, json_object *stat, OvirtMessage *message)
{
    uint64_t number;

    if (member_number(root, "free-ram", MEMORY_MIB_MAX, &number))
        observation_set_number(message->observation, GUEST_AVAILABLE_MEMORY, number * mib);
    else if (stat && member_number(stat, "mem_free", MEMORY_MIB_MAX * kib, &number))
        observation_set_number(message->observation, GUEST_AVAILABLE_MEMORY, number * kib);
    if (stat && member_number(stat, "mem_total", MEMORY_MIB_MAX * kib, &number))
        observation_set_number(message->observation, GUEST_TOTAL_MEMORY, number * kib);
}

static int parse_heartbeat(json_object *root, OvirtMessage *message)
{
    json_object *version = member(root, "apiVersion", json_type_int);

    if (version)
        message->api_version = CLAMP(json_object_get_int(version), 0, OVIRT_API_MAX);
    observe_memory(root, member(root, "memory-stat", json_type_object), message);
    return 0;
}

/* Agents have the code for it and never send it; the figures are the heartbeat's. */
static int parse_memory_stats(json_object *root, OvirtMessage *message)
{
    json_object *memory = member(root, "memory", json_type_object);

    if (!memory)
        return -EBADMSG;
    observe_memory(memory, memory, message);
    return 0;
}

static int parse_host_name(json_object *root, OvirtMessage *message)
{
    return observe_text(root, "name", GUEST_HOST_NAME, message);
}

static int parse_fqdn(json_object *root, OvirtMessage *message)
{
    return observe_text(root, "fqdn", GUEST_FQDN, message);
}

static int parse_os_version(json_object *root, OvirtMessage *message)
{
    return observe_text(root, "version", GUEST_OS_VERSION, message);
}

static int parse_active_user(json_object *root, OvirtMessage *message)
{
    g_autofree char *name = member_text(root, "name");

    if (!name)
        return -EBADMSG;
    /* The agent's word for nobody. (A user of that name cannot be told apart.) */
    observation_set_text(message->observation, GUEST_ACTIVE_USER, strcmp(name, "None") == 0 ? "" : name);
    return 0;
}

/* "debian", "12.11", "bookworm" become one name for people. */
static char *os_name_compose(json_object *root)
{
    static const char *const members[] = {"distribution", "version", "codename"};
    GString *name = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(members); i++) {
        g_autofree char *part = member_text(root, members[i]);

        if (!part || !part[0])
            continue;
        if (name->len)
            g_string_append_c(name, ' ');
        g_string_append_printf(name, i == 2 ? "(%s)" : "%s", part);
    }
    return g_string_free(name, FALSE);
}

static int parse_os_info(json_object *root, OvirtMessage *message)
{
    static const struct {
        const char *name;
        GuestField field;
    } texts[] = {
        {"type", GUEST_OS_TYPE},
        {"arch", GUEST_ARCHITECTURE},
        {"kernel", GUEST_KERNEL_RELEASE},
    };
    g_autofree char *name = os_name_compose(root);

    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        observe_text(root, texts[i].name, texts[i].field, message);
    observation_set_text(message->observation, GUEST_OS_NAME, name);
    return 0;
}

static int parse_timezone(json_object *root, OvirtMessage *message)
{
    g_autofree char *zone = member_text(root, "zone");
    json_object *offset = member(root, "offset", json_type_int);
    int64_t minutes = offset ? json_object_get_int64(offset) : 0;

    if (!zone || minutes < -TIMEZONE_MINUTES_MAX || minutes > TIMEZONE_MINUTES_MAX)
        return -EBADMSG;
    observation_set_timezone(message->observation, zone, (int32_t)minutes * 60);
    return 0;
}

static void observe_addresses(json_object *card, const char *name, GuestInterface *interface,
                              Observation *observation)
{
    json_object *list = member(card, name, json_type_array);

    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        json_object *address = json_object_array_get_idx(list, i);

        /* The protocol has no prefix lengths. */
        if (json_object_is_type(address, json_type_string))
            observation_add_address(observation, interface, json_object_get_string(address), 0);
    }
}

static int parse_interfaces(json_object *root, OvirtMessage *message)
{
    json_object *list = member(root, "interfaces", json_type_array);

    if (!list)
        return -EBADMSG;
    observation_set_list(message->observation, GUEST_INTERFACES);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *card = json_object_array_get_idx(list, i);
        g_autofree char *name = NULL, *mac = NULL;
        GuestInterface *interface;

        if (!json_object_is_type(card, json_type_object))
            continue;
        name = member_text(card, "name");
        mac = member_text(card, "hw");
        interface = observation_add_interface(message->observation, name, mac);
        if (!interface)
            break;
        observe_addresses(card, "inet", interface, message->observation);
        observe_addresses(card, "inet6", interface, message->observation);
    }
    return 0;
}

static int parse_applications(json_object *root, OvirtMessage *message)
{
    json_object *list = member(root, "applications", json_type_array);

    if (!list)
        return -EBADMSG;
    observation_set_list(message->observation, GUEST_APPLICATIONS);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *entry = json_object_array_get_idx(list, i);
        g_autofree char *name = NULL;

        if (!json_object_is_type(entry, json_type_string))
            continue;
        name = text_clean(json_object_get_string(entry), json_object_get_string_len(entry), MEMBER_TEXT_MAX,
                          NULL);
        observation_add_application(message->observation, name);
    }
    return 0;
}

static int parse_disks(json_object *root, OvirtMessage *message)
{
    json_object *list = member(root, "disks", json_type_array);

    if (!list)
        return -EBADMSG;
    observation_set_list(message->observation, GUEST_FILESYSTEMS);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *disk = json_object_array_get_idx(list, i);
        g_autofree char *path = NULL, *type = NULL;
        uint64_t total = 0, used = 0;

        if (!json_object_is_type(disk, json_type_object))
            continue;
        path = member_text(disk, "path");
        type = member_text(disk, "fs");
        member_number(disk, "total", INT64_MAX, &total);
        member_number(disk, "used", INT64_MAX, &used);
        if (path)
            observation_add_filesystem(message->observation, path, "", type, total, used);
    }
    return 0;
}

static const struct {
    const char *name;
    OvirtMessageType type;
    int (*parse)(json_object *root, OvirtMessage *message);
} table[] = {
    {"heartbeat", OVIRT_HEARTBEAT, parse_heartbeat},
    {"session-startup", OVIRT_SESSION_STARTUP, NULL},
    {"session-shutdown", OVIRT_SESSION_SHUTDOWN, NULL},
    {"session-logon", OVIRT_SESSION_LOGON, NULL},
    {"session-logoff", OVIRT_SESSION_LOGOFF, NULL},
    {"session-lock", OVIRT_SESSION_LOCK, NULL},
    {"session-unlock", OVIRT_SESSION_UNLOCK, NULL},
    {"uninstalled", OVIRT_UNINSTALLED, NULL},
    {"host-name", OVIRT_INFORMATION, parse_host_name},
    {"fqdn", OVIRT_INFORMATION, parse_fqdn},
    {"os-version", OVIRT_INFORMATION, parse_os_version},
    {"os-info", OVIRT_INFORMATION, parse_os_info},
    {"timezone", OVIRT_INFORMATION, parse_timezone},
    {"network-interfaces", OVIRT_INFORMATION, parse_interfaces},
    {"applications", OVIRT_INFORMATION, parse_applications},
    {"active-user", OVIRT_INFORMATION, parse_active_user},
    {"disks-usage", OVIRT_INFORMATION, parse_disks},
    {"memory-stats", OVIRT_INFORMATION, parse_memory_stats},
    {"number-of-cpus", OVIRT_IGNORED, NULL},
    {"containers", OVIRT_IGNORED, NULL},
    {"completion", OVIRT_IGNORED, NULL}, /* we never ask for one */
    {"echo", OVIRT_IGNORED, NULL},
};

void ovirt_message_clear(OvirtMessage *message)
{
    g_clear_pointer(&message->observation, observation_free);
}

static int root_parse(json_object *root, OvirtMessage *message)
{
    json_object *name =
        json_object_is_type(root, json_type_object) ? member(root, "__name__", json_type_string) : NULL;

    if (!name)
        return -EBADMSG;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (strcmp(json_object_get_string(name), table[i].name) != 0)
            continue;
        message->type = table[i].type;
        if (!table[i].parse)
            return 0;
        message->observation = observation_new(GUEST_ORIGIN_OVIRT, 0);
        return table[i].parse(root, message);
    }
    return -ENOENT;
}

int ovirt_message_parse(const char *line, size_t length, OvirtMessage *ret_message)
{
    OvirtMessage message = {};
    json_tokener *tokener;
    json_object *root;
    int r = -EBADMSG;

    while (length > 0 && g_ascii_isspace(line[length - 1])) /* a CR before the LF is tolerated */
        length--;
    if (length == 0)
        return -ENODATA;
    if (length > INT_MAX)
        return -EBADMSG;

    tokener = json_tokener_new_ex(OVIRT_DEPTH_MAX);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    root = json_tokener_parse_ex(tokener, line, (int)length);
    if (root && json_tokener_get_parse_end(tokener) == length)
        r = root_parse(root, &message);
    json_object_put(root);
    json_tokener_free(tokener);

    if (r < 0) {
        ovirt_message_clear(&message);
        return r;
    }
    *ret_message = message;
    return 0;
}
