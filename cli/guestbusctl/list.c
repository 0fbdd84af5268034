/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/list.h"
#include "cli/guestbusctl/pager.h"
#include "cli/guestbusctl/snapshot.h"
#include "cli/guestbusctl/state.h"
#include "cli/guestbusctl/table.h"
#include "cli/guestbusctl/target.h"
#include "cli/guestbusctl/text.h"
#include "service/cleanup.h"

/* One line of the table: a VM or a source, in the snapshot that it points into. */
typedef struct Row {
    const char *path;
    json_object *interfaces;
    json_object *properties; /* of its main interface */
    json_object *source;     /* properties of a VM's source */
    const char *name;
    const char *label;
} Row;

static int row_compare(const void *a, const void *b)
{
    const Row *x = a, *y = b;
    int r = strcmp(x->name, y->name);

    return r != 0 ? r : strcmp(x->label, y->label);
}

static bool row_wanted(const Row *row, char **patterns)
{
    if (!*patterns)
        return true;
    for (; *patterns; patterns++) {
        if (g_pattern_match_simple(*patterns, row->name))
            return true;
    }
    return false;
}

static GArray *rows_collect(json_object *snapshot, const char *interface, char **patterns)
{
    GArray *rows = g_array_new(FALSE, TRUE, sizeof(Row));

    json_object_object_foreach(snapshot, path, interfaces)
    {
        Row row = {.path = path, .interfaces = interfaces, .properties = json_member(interfaces, interface)};

        if (!row.properties)
            continue;
        row.source =
            json_member(json_member(snapshot, json_member_string(row.properties, "Source")), "Source");
        row.name = json_member_string(row.properties, strcmp(interface, "VM") == 0 ? "Name" : "Label");
        row.label = json_member_string(row.source, "Label");
        if (row_wanted(&row, patterns))
            g_array_append_val(rows, row);
    }
    g_array_sort(rows, row_compare);
    return rows;
}

static void rows_print_json(JsonMode mode, const GArray *rows)
{
    _cleanup_(json_object_putp) json_object *array = json_object_new_array();

    for (size_t i = 0; i < rows->len; i++) {
        const Row *row = &g_array_index(rows, Row, i);
        json_object *object = json_object_new_object();

        json_object_object_add(object, "path", json_object_new_string(row->path));
        json_object_object_foreach(row->interfaces, name, properties)
            json_object_object_add(object, name, json_object_get(properties));
        json_object_array_add(array, object);
    }
    json_print(mode, array);
}

/* The state, with a mark when it is only the last one known. */
static void state_add(Table *table, const Row *row)
{
    const char *state = json_member_string(row->properties, "State");
    bool stale = !json_member_true(row->source, "Connected");
    g_autofree char *text = g_strconcat(state, stale ? "?" : "", NULL);

    table_add(table, text, stale ? COLOUR_FAINT : state_colour(state));
}

static void vm_row_add(Table *table, const Row *row)
{
    json_object *guest = json_member(row->interfaces, "Guest");
    g_autofree char *memory = text_size(json_member_number(row->properties, "MemoryActual"));
    g_autofree char *vcpus = g_strdup_printf("%" PRIu64, json_member_number(row->properties, "VCPUs"));

    table_add(table, row->name, COLOUR_NONE);
    state_add(table, row);
    table_add(table, json_element_string(json_member(guest, "IPAddresses"), 0), COLOUR_NONE);
    table_add(table, json_member_string(guest, "HostName"), COLOUR_NONE);
    table_add(table, vcpus, COLOUR_NONE);
    table_add(table, memory, COLOUR_NONE);
    table_add(table, row->label, COLOUR_NONE);
}

/* What a table cannot say: how many there are, and whose states may be old. */
static void vm_legend_print(json_object *snapshot, const GArray *rows)
{
    size_t running = 0;

    for (size_t i = 0; i < rows->len; i++)
        running +=
            strcmp(json_member_string(g_array_index(rows, Row, i).properties, "State"), "running") == 0;
    printf("\n%u VM%s, %zu running.\n", rows->len, rows->len == 1 ? "" : "s", running);
    json_object_object_foreach(snapshot, path, interfaces)
    {
        json_object *source = json_member(interfaces, "Source");

        if (source && !json_member_true(source, "Connected")) {
            g_autofree char *label = text_escape(json_member_string(source, "Label"));
            g_autofree char *error = text_escape(json_member_string(source, "LastError"));

            printf("Source %s is not connected%s%s\n", label, *error ? ": " : ".", error);
        }
        (void)path;
    }
}

int list_vms_verb(Ctl *ctl, int argc, char **argv)
{
    static const char *const titles[] = {"NAME",   "STATE",   "ADDRESS", "HOST NAME",
                                         ">VCPUS", ">MEMORY", "SOURCE",  NULL};
    _cleanup_(json_object_putp) json_object *snapshot = NULL;
    _cleanup_(table_freep) Table *table = NULL;
    g_autoptr(GArray) rows = NULL;
    int r;

    r = snapshot_read(ctl, &snapshot);
    if (r != CTL_OK)
        return r;
    rows = rows_collect(snapshot, "VM", argv + 1);
    if (argc > 1 && rows->len == 0) {
        complain("no VM has such a name; 'guestbusctl list' shows what there is");
        return CTL_NOT_FOUND;
    }
    if (ctl->json != JSON_OFF) {
        rows_print_json(ctl->json, rows);
        return CTL_OK;
    }
    pager_open(ctl);
    table = table_new(titles, ctl->colour);
    for (size_t i = 0; i < rows->len; i++)
        vm_row_add(table, &g_array_index(rows, Row, i));
    table_print(table, ctl->legend);
    if (ctl->legend)
        vm_legend_print(snapshot, rows);
    return CTL_OK;
}

static void source_row_add(Table *table, const Row *row)
{
    bool connected = json_member_true(row->properties, "Connected");
    g_autofree char *since = text_age(json_member_number(row->properties, "Since"), text_now());
    g_autofree char *vms = g_strdup_printf("%" PRIu64, json_member_number(row->properties, "VMCount"));
    g_autofree char *state =
        g_strconcat(connected ? "connected" : "not connected",
                    json_member_true(row->properties, "ReadOnly") ? ", read-only" : "", NULL);
    g_autofree char *hypervisor = g_strdup_printf("%s %s", json_member_string(row->properties, "Type"),
                                                  json_member_string(row->properties, "HypervisorVersion"));

    table_add(table, json_member_string(row->properties, "Label"), COLOUR_NONE);
    table_add(table, state, connected ? COLOUR_GOOD : COLOUR_BAD);
    table_add(table, since, COLOUR_NONE);
    table_add(table, vms, COLOUR_NONE);
    table_add(table, g_strstrip(hypervisor), COLOUR_NONE);
    table_add(table, json_member_string(row->properties, "HostName"), COLOUR_NONE);
    table_add(table, json_member_string(row->properties, "URI"), COLOUR_NONE);
    table_add(table, json_member_string(row->properties, "LastError"), COLOUR_BAD);
}

int list_sources_verb(Ctl *ctl, int argc, char **argv)
{
    static const char *const titles[] = {"SOURCE", "STATE", "SINCE", ">VMS", "HYPERVISOR",
                                         "HOST",   "URI",   "ERROR", NULL};
    _cleanup_(json_object_putp) json_object *snapshot = NULL;
    _cleanup_(table_freep) Table *table = NULL;
    g_autoptr(GArray) rows = NULL;
    int r;

    r = snapshot_read(ctl, &snapshot);
    if (r != CTL_OK)
        return r;
    rows = rows_collect(snapshot, "Source", argv + 1);
    if (argc > 1 && rows->len == 0) {
        complain("no source has such a label; 'guestbusctl sources' shows what there is");
        return CTL_NOT_FOUND;
    }
    if (ctl->json != JSON_OFF) {
        rows_print_json(ctl->json, rows);
        return CTL_OK;
    }
    pager_open(ctl);
    table = table_new(titles, ctl->colour);
    for (size_t i = 0; i < rows->len; i++)
        source_row_add(table, &g_array_index(rows, Row, i));
    table_print(table, ctl->legend);
    return CTL_OK;
}
