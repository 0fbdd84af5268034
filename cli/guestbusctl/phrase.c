/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "cli/guestbusctl/phrase.h"
#include "cli/guestbusctl/target.h"
#include "cli/guestbusctl/text.h"
#include "service/cleanup.h"

#define MAX_ARGUMENTS 2

typedef char *(*ValueWords)(json_object *value);

static char *words_plain(json_object *value)
{
    return json_object_is_type(value, json_type_string) ? g_strdup(json_object_get_string(value))
                                                        : json_compact(value);
}

static char *words_quoted(json_object *value)
{
    return g_strdup_printf("\"%s\"", json_object_get_string(value));
}

static char *words_person(json_object *value)
{
    const char *name = json_object_get_string(value);

    return g_strdup(name && *name ? name : "nobody");
}

static char *words_size(json_object *value)
{
    return text_size(json_object_get_uint64(value));
}

static char *words_yes(json_object *value)
{
    return g_strdup(json_object_get_boolean(value) ? "yes" : "no");
}

static char *words_list(json_object *value)
{
    GString *words = g_string_new(NULL);

    for (size_t i = 0; json_object_is_type(value, json_type_array) && i < json_object_array_length(value);
         i++)
        g_string_append_printf(words, "%s%s", i ? ", " : "", json_element_string(value, i));
    return g_string_free(words->len ? words : g_string_append(words, "none"), FALSE);
}

/* The first members of structures: names of users, of interfaces. */
static char *words_firsts(json_object *value)
{
    GString *words = g_string_new(NULL);

    for (size_t i = 0; json_object_is_type(value, json_type_array) && i < json_object_array_length(value);
         i++)
        g_string_append_printf(words, "%s%s", i ? ", " : "",
                               json_element_string(json_object_array_get_idx(value, i), 0));
    return g_string_free(words->len ? words : g_string_append(words, "none"), FALSE);
}

static char *words_job(json_object *value)
{
    const char *message = json_element_string(value, 2);

    return g_strdup_printf("%s %s%s%s", json_element_string(value, 0), json_element_string(value, 1),
                           *message ? ": " : "", message);
}

static char *words_scheduled(json_object *value)
{
    g_autofree char *time = text_time(json_object_get_uint64(json_object_array_get_idx(value, 1)), false);

    if (!*json_element_string(value, 0))
        return g_strdup("nothing");
    return g_strdup_printf("%s at %s", json_element_string(value, 0), time);
}

static char *words_displays(json_object *value)
{
    GString *words = g_string_new(NULL);

    for (size_t i = 0; json_object_is_type(value, json_type_array) && i < json_object_array_length(value);
         i++) {
        json_object *display = json_object_array_get_idx(value, i);

        g_string_append_printf(words, "%s%s", i ? ", " : "", json_member_string(display, "type"));
        if (json_member(display, "port"))
            g_string_append_printf(words, " on port %" PRIu64, json_member_number(display, "port"));
    }
    return g_string_free(words->len ? words : g_string_append(words, "none"), FALSE);
}

static char *words_time(json_object *value)
{
    return text_time(json_object_get_uint64(value), false);
}

/* How a property reads in a sentence; without words it goes unmentioned, as it only follows another one. */
static const struct {
    const char *property;
    const char *noun;
    ValueWords words;
} nouns[] = {
    {"StateSince", NULL, NULL},
    {"Since", NULL, NULL},
    {"Id", NULL, NULL},
    {"IPv4Addresses", NULL, NULL},
    {"Name", "new name", words_quoted},
    {"Title", "title", words_quoted},
    {"Description", "description", words_quoted},
    {"MemoryActual", "memory", words_size},
    {"MemoryMaximum", "maximum memory", words_size},
    {"TotalMemory", "memory inside", words_size},
    {"VCPUs", "processors", words_plain},
    {"Autostart", "autostart", words_yes},
    {"Persistent", "persistent", words_yes},
    {"Graphics", "displays", words_displays},
    {"LastJob", "last job", words_job},
    {"Agents", "agents", words_list},
    {"Responsive", "agent answers", words_yes},
    {"HostName", "host name", words_plain},
    {"FQDN", "full host name", words_plain},
    {"OSName", "system", words_plain},
    {"IPAddresses", "addresses", words_list},
    {"Interfaces", "interfaces", words_firsts},
    {"Users", "users", words_firsts},
    {"ActiveUser", "active user", words_person},
    {"SessionState", "session", words_plain},
    {"ScheduledShutdown", "scheduled", words_scheduled},
    {"HostUUID", NULL, NULL},
    {"Type", "driver", words_plain},
    {"HypervisorVersion", "hypervisor version", words_plain},
    {"LibraryVersion", "libvirt version", words_plain},
    {"Connected", "connected", words_yes},
    {"LastError", "error", words_quoted},
    {"VMCount", "VMs", words_plain},
    {"Ready", "ready", words_yes},
    {"LastRetrieve", "last read", words_time},
    {"LastSend", "last sent", words_time},
};

/* What a signal says: the sentence, with its arguments in words after it. */
static const struct {
    const char *interface;
    const char *member;
    const char *arguments[MAX_ARGUMENTS];
    const char *sentence;
    ValueWords words;
} sentences[] = {
    {"Guest", "PowerUp", {NULL}, "the guest has started", NULL},
    {"Guest", "PowerDown", {NULL}, "the guest is shutting down", NULL},
    {"Guest", "Heartbeat", {"available_memory"}, "the agent is alive, memory available: ", words_size},
    {"Guest", "UserInfo", {"active_user"}, "at the screen is now ", words_person},
    {"Guest", "SessionLock", {NULL}, "the session was locked", NULL},
    {"Guest", "SessionUnlock", {NULL}, "the session was unlocked", NULL},
    {"Guest", "SessionLogon", {"user"}, "logged on: ", words_person},
    {"Guest", "SessionLogoff", {"user"}, "logged off: ", words_person},
    {"Guest", "AgentUninstalled", {NULL}, "the agent was uninstalled", NULL},
    {"Reporter.Mapping", "Sent", {"job"}, "a report was accepted, job ", words_quoted},
    {"Reporter.Mapping", "Failed", {"stage", "message"}, "a report failed: ", words_plain},
};

static int sentence_find(const char *interface, const char *member)
{
    for (size_t i = 0; i < G_N_ELEMENTS(sentences); i++) {
        if (strcmp(sentences[i].interface, interface) == 0 && strcmp(sentences[i].member, member) == 0)
            return (int)i;
    }
    return -1;
}

json_object *phrase_name_arguments(const char *interface, const char *member, json_object *arguments)
{
    int index = sentence_find(interface, member);
    json_object *named;

    if (index < 0)
        return json_object_get(arguments);
    named = json_object_new_object();
    for (size_t i = 0; i < MAX_ARGUMENTS && sentences[index].arguments[i]; i++)
        json_object_object_add(named, sentences[index].arguments[i],
                               json_object_get(json_object_array_get_idx(arguments, i)));
    return named;
}

/* Adds "noun: value" to a sentence. */
static void clause_add(GString *sentence, const char *noun, const char *value)
{
    g_string_append_printf(sentence, "%s%s: %s", sentence->len ? "; " : "", noun, value);
}

static void property_add(GString *sentence, const char *property, json_object *value)
{
    g_autofree char *words = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(nouns); i++) {
        if (strcmp(nouns[i].property, property) != 0)
            continue;
        if (!nouns[i].noun)
            return;
        words = nouns[i].words(value);
        clause_add(sentence, nouns[i].noun, words);
        return;
    }
    words = words_plain(value);
    clause_add(sentence, property, words);
}

static void state_add(GString *sentence, json_object *changed)
{
    const char *state = json_member_string(changed, "State");
    const char *reason = json_member_string(changed, "StateReason");

    if (*state)
        g_string_append_printf(sentence, "now %s", state);
    /* A reason that nobody knows is none. */
    if (strcmp(reason, "unknown") == 0)
        return;
    if (*state && *reason)
        g_string_append_printf(sentence, " (%s)", reason);
    else if (*reason)
        clause_add(sentence, "reason", reason);
}

static char *phrase_change(json_object *event)
{
    json_object *changed = json_member(event, "changed"), *invalidated = json_member(event, "invalidated");
    GString *sentence = g_string_new(NULL);

    state_add(sentence, changed);
    json_object_object_foreach(changed, property, value)
    {
        if (strcmp(property, "State") != 0 && strcmp(property, "StateReason") != 0)
            property_add(sentence, property, value);
    }
    for (size_t i = 0; invalidated && i < json_object_array_length(invalidated); i++)
        clause_add(sentence, json_element_string(invalidated, i), "changed");
    return g_string_free(sentence, sentence->len == 0);
}

static char *phrase_signal(json_object *event)
{
    json_object *arguments = json_member(event, "arguments");
    int index = sentence_find(json_member_string(event, "interface"), json_member_string(event, "event"));
    GString *sentence;

    if (index < 0) {
        g_autofree char *text = json_compact(arguments);

        return g_strdup_printf("%s %s", json_member_string(event, "event"), text);
    }
    sentence = g_string_new(sentences[index].sentence);
    for (size_t i = 0; i < MAX_ARGUMENTS && sentences[index].arguments[i]; i++) {
        g_autofree char *words =
            sentences[index].words(json_member(arguments, sentences[index].arguments[i]));

        g_string_append_printf(sentence, "%s%s", i ? ": " : "", words);
    }
    return g_string_free(sentence, FALSE);
}

static char *phrase_appearance(json_object *event)
{
    json_object *interfaces = json_member(event, "interfaces"), *vm = json_member(interfaces, "VM");

    if (vm)
        return g_strdup_printf("a new VM on %s, %s", json_member_string(event, "source"),
                               json_member_string(vm, "State"));
    if (json_member(interfaces, "Source"))
        return g_strdup("a new source");
    if (json_member(interfaces, "Reporter"))
        return g_strdup("the reporter has started");
    return g_strdup("appeared");
}

static char *phrase_raw(json_object *event)
{
    const char *kind = json_member_string(event, "event");

    if (json_member(event, "data")) {
        g_autofree char *data = json_compact(json_member(event, "data"));

        return g_strdup_printf("%s %s", kind, data);
    }
    if (strcmp(kind, "PropertiesChanged") == 0)
        return phrase_change(event);
    if (strcmp(kind, "InterfacesAdded") == 0)
        return phrase_appearance(event);
    if (strcmp(kind, "InterfacesRemoved") == 0)
        return g_strdup("is gone");
    if (strcmp(kind, "ServiceStarted") == 0)
        return g_strdup("guestbusd has started");
    if (strcmp(kind, "ServiceStopped") == 0)
        return g_strdup("guestbusd has stopped");
    return phrase_signal(event);
}

char *phrase_event(json_object *event)
{
    g_autofree char *raw = phrase_raw(event);

    return raw ? text_escape(raw) : NULL;
}
