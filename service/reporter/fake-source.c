// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/fake-source.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "service/reporter/json-reader.h"
#include "service/reporter/text-file.h"

/* Bytes of the largest file that is read. */
#define FILE_MAX (64U * 1024 * 1024)
#define TYPE_DEFAULT "fake"

typedef struct FakeSource {
    sd_event_source *collect; /* answers from the loop, never from within the call */
    sd_event_source *test;
} FakeSource;

/* The file's reader and the buffers that all values share. */
typedef struct Parser {
    JsonReader json;
    Association *association;
    GString *name;
    GString *text;
    GString *type;
    GString *facts;
    bool is_hypervisor;
} Parser;

static bool parse_attributes(Parser *parser)
{
    JsonReader *json = &parser->json;

    if (!json_reader_begin(json, '{'))
        return false;
    while (json_reader_member(json, parser->name)) {
        bool type = strcmp(parser->name->str, "virtWhoType") == 0;

        if (type ? !json_reader_string(json, parser->type) : !json_reader_skip(json))
            return false;
    }
    return !json->error;
}

static bool parse_state(Parser *parser, int *ret_state)
{
    long state;

    if (!json_reader_integer(&parser->json, &state))
        return false;
    if (state < 0 || state > INT_MAX)
        return json_reader_fail(&parser->json, "has a guest whose \"state\" is out of range");
    *ret_state = (int)state;
    return true;
}

static bool parse_guest(Parser *parser, AssociationHost *host)
{
    JsonReader *json = &parser->json;
    int state = GUEST_UNKNOWN;
    bool ok = json_reader_begin(json, '{');

    g_string_truncate(parser->text, 0);
    g_string_assign(parser->type, TYPE_DEFAULT);
    while (ok && json_reader_member(json, parser->name)) {
        if (strcmp(parser->name->str, "guestId") == 0)
            ok = json_reader_string(json, parser->text);
        else if (strcmp(parser->name->str, "state") == 0)
            ok = parse_state(parser, &state);
        else if (strcmp(parser->name->str, "attributes") == 0)
            ok = parse_attributes(parser);
        else
            ok = json_reader_skip(json);
    }
    if (json->error)
        return false;
    if (!parser->text->len)
        return json_reader_fail(json, "has a guest without \"guestId\"");
    association_add_guest(parser->association, host, parser->text->str, parser->type->str, state);
    return true;
}

static bool parse_guests(Parser *parser, AssociationHost *host)
{
    if (!json_reader_begin(&parser->json, '['))
        return false;
    while (json_reader_item(&parser->json))
        if (!parse_guest(parser, host))
            return false;
    return !parser->json.error;
}

static bool parse_facts(Parser *parser, AssociationHost *host)
{
    JsonReader *json = &parser->json;

    if (json_reader_peek(json) == 'n')
        return json_reader_skip(json);
    if (!json_reader_begin(json, '{'))
        return false;
    while (json_reader_member(json, parser->name)) {
        g_string_truncate(parser->facts, 0);
        if (!json_reader_copy(json, parser->facts))
            return false;
        association_add_fact_json(parser->association, host, parser->name->str, parser->facts->str);
    }
    return !json->error;
}

/* {"hypervisorId": "<id>"} */
static bool parse_id(Parser *parser, char **ret_id)
{
    JsonReader *json = &parser->json;
    bool ok = json_reader_begin(json, '{');

    while (ok && json_reader_member(json, parser->name)) {
        if (strcmp(parser->name->str, "hypervisorId") != 0) {
            ok = json_reader_skip(json);
            continue;
        }
        ok = json_reader_string(json, parser->text);
        g_free(*ret_id);
        *ret_id = g_strdup(parser->text->str);
    }
    return !json->error;
}

/* A name is a string or null. */
static bool parse_name(Parser *parser, char **ret_name)
{
    if (json_reader_peek(&parser->json) == 'n')
        return json_reader_skip(&parser->json);
    if (!json_reader_string(&parser->json, parser->text))
        return false;
    g_free(*ret_name);
    *ret_name = g_strdup(parser->text->str);
    return true;
}

static bool parse_member(Parser *parser, AssociationHost *host, char **id, char **name)
{
    const char *member = parser->name->str;

    if (strcmp(member, "hypervisorId") == 0)
        return parse_id(parser, id);
    if (strcmp(member, "name") == 0)
        return parse_name(parser, name);
    if (strcmp(member, "guestIds") == 0)
        return parse_guests(parser, host);
    if (strcmp(member, "facts") == 0)
        return parse_facts(parser, host);
    if (strcmp(member, "uuid") == 0 || strcmp(member, "guests") == 0)
        return json_reader_fail(
            &parser->json, "has the old form with \"uuid\" and \"guests\": these are now \"hypervisorId\" "
                           "and \"guestIds\"");
    return json_reader_skip(&parser->json);
}

static bool parse_host(Parser *parser)
{
    Association *association = parser->association;
    AssociationHost *host =
        parser->is_hypervisor ? association_add_host(association, NULL, NULL) : association->hosts->pdata[0];
    g_autofree char *id = NULL, *name = NULL;

    if (!json_reader_begin(&parser->json, '{'))
        return false;
    while (json_reader_member(&parser->json, parser->name))
        if (!parse_member(parser, host, &id, &name))
            return false;
    if (parser->json.error)
        return false;
    if (parser->is_hypervisor && !(id && *id))
        return json_reader_fail(&parser->json, "has a host without \"hypervisorId\"");
    if (!parser->is_hypervisor && id)
        return json_reader_fail(&parser->json,
                                "has a \"hypervisorId\", which must not be there with is_hypervisor=false");
    association_set_host(association, host, id, name);
    return true;
}

static bool parse_hosts(Parser *parser)
{
    bool any = false;

    if (!json_reader_begin(&parser->json, '['))
        return false;
    while (json_reader_item(&parser->json)) {
        /* A guest list is that of one host: what follows it is not looked at. */
        bool wanted = parser->is_hypervisor || !any;

        if (wanted ? !parse_host(parser) : !json_reader_skip(&parser->json))
            return false;
        any = true;
    }
    return !parser->json.error;
}

static bool parse_document(Parser *parser)
{
    JsonReader *json = &parser->json;
    bool found = false;

    if (!json_reader_begin(json, '{'))
        return false;
    while (json_reader_member(json, parser->name)) {
        bool hosts = strcmp(parser->name->str, "hypervisors") == 0 && !found;

        found |= hosts;
        if (hosts ? !parse_hosts(parser) : !json_reader_skip(json))
            return false;
    }
    return json_reader_finish(json) && (found || json_reader_fail(json, "has no \"hypervisors\""));
}

Association *fake_source_parse(const char *text, size_t size, bool is_hypervisor, SourceFailure *ret_failure)
{
    g_autoptr(Association) association =
        association_new(is_hypervisor ? ASSOCIATION_HOSTS : ASSOCIATION_GUEST_LIST);
    g_autoptr(GString) name = g_string_new(NULL), value = g_string_new(NULL), type = g_string_new(NULL);
    g_autoptr(GString) facts = g_string_new(NULL);
    Parser parser = {.association = association,
                     .name = name,
                     .text = value,
                     .type = type,
                     .facts = facts,
                     .is_hypervisor = is_hypervisor};

    json_reader_init(&parser.json, text, size);
    if (parse_document(&parser))
        return g_steal_pointer(&association);
    source_failure_set(ret_failure, SOURCE_ERROR_DATA, "line %u %s", json_reader_line(&parser.json),
                       parser.json.error);
    return NULL;
}

static Association *read_file(const Mapping *mapping, SourceFailure *ret_failure)
{
    g_autoptr(Secret) text = NULL;
    size_t size;
    int r = text_file_read(mapping->fake_file, FILE_MAX, &text, &size, NULL);

    if (r < 0) {
        source_failure_set(ret_failure, SOURCE_ERROR_UNREACHABLE, "%s: cannot be read: %s",
                           mapping->fake_file, r == -EPERM ? "everybody may write to it" : strerror(-r));
        return NULL;
    }
    Association *association = fake_source_parse(text, size, mapping->is_hypervisor, ret_failure);

    if (!association) {
        g_autofree char *detail = g_strdup(ret_failure->message);

        source_failure_set(ret_failure, SOURCE_ERROR_DATA, "%s: %s", mapping->fake_file, detail);
    }
    return association;
}

static int on_collect(sd_event_source *event_source, void *userdata)
{
    Source *source = userdata;
    SourceFailure failure = {};
    Association *association = read_file(source->mapping, &failure);

    source_finish_collect(source, association, association ? NULL : &failure);
    return 0;
}

static int on_test(sd_event_source *event_source, void *userdata)
{
    Source *source = userdata;
    SourceFailure failure = {};
    g_autoptr(Association) association = read_file(source->mapping, &failure);

    source_finish_test(source, association ? NULL : &failure);
    return 0;
}

static int fake_open(Source *source, SourceFailure *ret_failure)
{
    source->data = g_new0(FakeSource, 1);
    return 0;
}

static int fake_collect(Source *source)
{
    FakeSource *fake = source->data;

    sd_event_source_disable_unref(fake->collect);
    return sd_event_add_defer(source->event, &fake->collect, on_collect, source);
}

static int fake_test(Source *source)
{
    FakeSource *fake = source->data;

    sd_event_source_disable_unref(fake->test);
    return sd_event_add_defer(source->event, &fake->test, on_test, source);
}

static void fake_free(Source *source)
{
    FakeSource *fake = source->data;

    sd_event_source_disable_unref(fake->collect);
    sd_event_source_disable_unref(fake->test);
    g_free(fake);
}

const SourceType fake_source = {
    .name = "fake",
    .open = fake_open,
    .collect = fake_collect,
    .test = fake_test,
    .free = fake_free,
};
