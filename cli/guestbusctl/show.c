/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/pager.h"
#include "cli/guestbusctl/show.h"
#include "cli/guestbusctl/snapshot.h"
#include "cli/guestbusctl/state.h"
#include "cli/guestbusctl/table.h"
#include "cli/guestbusctl/target.h"
#include "cli/guestbusctl/text.h"
#include "service/cleanup.h"

/* More of these say little on a screen; --all shows them. */
#define APPLICATIONS_SHOWN 5

typedef struct Sheet {
    Table *table;
    json_object *origins;
    bool all;
} Sheet;

/* One line: what it is, its value, and for what the guest said where from and how old. Lines without a value
 * are left out. */
static void sheet_add_coloured(Sheet *sheet, const char *title, const char *value, const char *property,
                               TableColour colour)
{
    json_object *origin = property ? json_member(sheet->origins, property) : NULL;
    g_autofree char *heading = *title ? g_strconcat(title, ":", NULL) : g_strdup("");
    g_autofree char *note = NULL;

    if (!*value)
        return;
    if (json_object_is_type(origin, json_type_array) && json_object_array_length(origin) == 2) {
        g_autofree char *age =
            text_age(json_object_get_uint64(json_object_array_get_idx(origin, 1)), text_now());

        note = g_strdup_printf("%s, %s", json_element_string(origin, 0), age);
    }
    table_add(sheet->table, heading, COLOUR_NONE);
    table_add(sheet->table, value, colour);
    table_add(sheet->table, note ? note : "", COLOUR_FAINT);
}

static void sheet_add(Sheet *sheet, const char *title, const char *value, const char *property)
{
    sheet_add_coloured(sheet, title, value, property, COLOUR_NONE);
}

static void sheet_add_size(Sheet *sheet, const char *title, json_object *properties, const char *property)
{
    uint64_t bytes = json_member_number(properties, property);
    g_autofree char *text = bytes ? text_size(bytes) : g_strdup("");

    sheet_add(sheet, title, text, property);
}

/* One line for each element, the title before the first. */
static void sheet_add_list(Sheet *sheet, const char *title, json_object *list, const char *property,
                           char *(*element_text)(json_object *), size_t shown)
{
    size_t length = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    size_t count = sheet->all ? length : MIN(length, shown);

    for (size_t i = 0; i < count; i++) {
        g_autofree char *text = element_text(json_object_array_get_idx(list, i));

        sheet_add(sheet, i == 0 ? title : "", text, i == 0 ? property : NULL);
    }
    if (count < length) {
        g_autofree char *more = g_strdup_printf("and %zu more: --all shows them", length - count);

        sheet_add(sheet, "", more, NULL);
    }
}

static char *string_text(json_object *element)
{
    return g_strdup(json_object_get_string(element));
}

static char *graphics_text(json_object *display)
{
    GString *text = g_string_new(json_member_string(display, "type"));
    const char *address = json_member_string(display, "address"),
               *socket = json_member_string(display, "socket");
    static const char *const ports[] = {"port", "tls-port", "websocket"};

    if (*address)
        g_string_append_printf(text, " on %s", address);
    if (*socket)
        g_string_append_printf(text, " on %s", socket);
    for (size_t i = 0; i < G_N_ELEMENTS(ports); i++) {
        if (json_member(display, ports[i]))
            g_string_append_printf(text, ", %s %" PRIu64, ports[i], json_member_number(display, ports[i]));
    }
    return g_string_free(text, FALSE);
}

static char *interface_text(json_object *interface)
{
    GString *text = g_string_new(NULL);
    json_object *addresses = json_object_array_get_idx(interface, 2);

    g_string_printf(text, "%s (%s)", json_element_string(interface, 0), json_element_string(interface, 1));
    for (size_t i = 0; addresses && i < json_object_array_length(addresses); i++) {
        json_object *address = json_object_array_get_idx(addresses, i);

        g_string_append_printf(text, "%s %s/%d", i == 0 ? "" : ",", json_element_string(address, 0),
                               json_object_get_int(json_object_array_get_idx(address, 1)));
    }
    return g_string_free(text, FALSE);
}

static char *user_text(json_object *user)
{
    uint64_t login = json_object_get_uint64(json_object_array_get_idx(user, 2));
    const char *domain = json_element_string(user, 1);
    g_autofree char *since = login ? text_time(login, false) : NULL;

    return g_strdup_printf("%s%s%s%s%s", domain, *domain ? "\\" : "", json_element_string(user, 0),
                           since ? " since " : "", since ? since : "");
}

static char *filesystem_text(json_object *filesystem)
{
    g_autofree char *total = text_size(json_object_get_uint64(json_object_array_get_idx(filesystem, 3)));
    g_autofree char *used = text_size(json_object_get_uint64(json_object_array_get_idx(filesystem, 4)));

    return g_strdup_printf("%s (%s, %s): %s of %s used", json_element_string(filesystem, 0),
                           json_element_string(filesystem, 1), json_element_string(filesystem, 2), used,
                           total);
}

static void sheet_add_state(Sheet *sheet, json_object *vm)
{
    const char *state = json_member_string(vm, "State"), *reason = json_member_string(vm, "StateReason");
    uint64_t since = json_member_number(vm, "StateSince");
    g_autofree char *age = text_age(since, text_now());
    g_autofree char *text =
        g_strdup_printf("%s%s%s%s", state, *reason ? " (" : "", reason, *reason ? ")" : "");
    g_autofree char *line = since ? g_strdup_printf("%s, %s", text, age) : g_strdup(text);

    sheet_add_coloured(sheet, "State", line, NULL, state_colour(state));
}

static void sheet_add_memory(Sheet *sheet, json_object *vm)
{
    g_autofree char *actual = text_size(json_member_number(vm, "MemoryActual"));
    g_autofree char *maximum = text_size(json_member_number(vm, "MemoryMaximum"));
    g_autofree char *text = g_strdup_printf("%s of at most %s", actual, maximum);
    g_autofree char *vcpus = g_strdup_printf("%" PRIu64, json_member_number(vm, "VCPUs"));

    sheet_add(sheet, "Processors", vcpus, NULL);
    sheet_add(sheet, "Memory", text, NULL);
}

static void sheet_add_last_job(Sheet *sheet, json_object *vm)
{
    json_object *job = json_member(vm, "LastJob");
    const char *message = json_element_string(job, 2);
    g_autofree char *text = NULL;

    if (!*json_element_string(job, 0))
        return;
    text = g_strdup_printf("%s %s%s%s", json_element_string(job, 0), json_element_string(job, 1),
                           *message ? ": " : "", message);
    sheet_add(sheet, "Last job", text, NULL);
}

static void sheet_add_vm(Sheet *sheet, const char *path, json_object *vm)
{
    g_autofree char *source = target_path_source(path);
    int id = json_object_get_int(json_member(vm, "Id"));
    g_autofree char *number = id >= 0 ? g_strdup_printf("%d", id) : g_strdup("");

    sheet_add(sheet, "Name", json_member_string(vm, "Name"), NULL);
    sheet_add(sheet, "Title", json_member_string(vm, "Title"), NULL);
    sheet_add(sheet, "Description", json_member_string(vm, "Description"), NULL);
    sheet_add(sheet, "UUID", json_member_string(vm, "UUID"), NULL);
    sheet_add(sheet, "Source", source ? source : "", NULL);
    sheet_add(sheet, "Object", path, NULL);
    sheet_add_state(sheet, vm);
    sheet_add(sheet, "Number", number, NULL);
    sheet_add_memory(sheet, vm);
    sheet_add(sheet, "Persistent", json_member_true(vm, "Persistent") ? "yes" : "no", NULL);
    sheet_add(sheet, "Autostart", json_member_true(vm, "Autostart") ? "yes" : "no", NULL);
    sheet_add(sheet, "Made for", json_member_string(vm, "OSID"), NULL);
    sheet_add_list(sheet, "Display", json_member(vm, "Graphics"), NULL, graphics_text, SIZE_MAX);
    sheet_add_last_job(sheet, vm);
}

static void sheet_add_agents(Sheet *sheet, json_object *guest)
{
    json_object *agents = json_member(guest, "Agents");
    GString *text = g_string_new(NULL);
    g_autofree char *seen = text_age(json_member_number(guest, "LastSeen"), text_now());
    g_autofree char *line = NULL;

    for (size_t i = 0; agents && i < json_object_array_length(agents); i++)
        g_string_append_printf(text, "%s%s", i == 0 ? "" : ", ", json_element_string(agents, i));
    if (text->len == 0)
        g_string_append(text, "none connected");
    else if (!json_member_true(guest, "Responsive"))
        g_string_append(text, ", not answering");
    if (json_member_number(guest, "LastSeen"))
        g_string_append_printf(text, ", last heard %s", seen);
    line = g_string_free(text, FALSE);
    sheet_add(sheet, "Agents", line, NULL);
}

static void sheet_add_timezone(Sheet *sheet, json_object *guest)
{
    json_object *zone = json_member(guest, "Timezone");
    int offset = json_object_get_int(json_object_array_get_idx(zone, 1));
    g_autofree char *text = NULL;

    if (!*json_element_string(zone, 0))
        return;
    text = g_strdup_printf("%s (UTC%+03d:%02d)", json_element_string(zone, 0), offset / 3600,
                           ABS(offset) / 60 % 60);
    sheet_add(sheet, "Time zone", text, "Timezone");
}

static void sheet_add_scheduled(Sheet *sheet, json_object *guest)
{
    json_object *scheduled = json_member(guest, "ScheduledShutdown");
    uint64_t when = json_object_get_uint64(json_object_array_get_idx(scheduled, 1));
    g_autofree char *time = text_time(when, false), *age = text_age(when, text_now()), *text = NULL;

    if (!*json_element_string(scheduled, 0))
        return;
    text = g_strdup_printf("%s at %s, %s", json_element_string(scheduled, 0), time, age);
    sheet_add_coloured(sheet, "Scheduled", text, NULL, COLOUR_WARN);
}

static void sheet_add_guest(Sheet *sheet, json_object *guest)
{
    const char *session = json_member_string(guest, "SessionState");

    sheet_add_agents(sheet, guest);
    sheet_add_scheduled(sheet, guest);
    sheet_add(sheet, "Host name", json_member_string(guest, "HostName"), "HostName");
    sheet_add(sheet, "Full name", json_member_string(guest, "FQDN"), "FQDN");
    sheet_add(sheet, "System", json_member_string(guest, "OSName"), "OSName");
    sheet_add(sheet, "Kind", json_member_string(guest, "OSType"), "OSType");
    sheet_add(sheet, "Version", json_member_string(guest, "OSVersion"), "OSVersion");
    sheet_add(sheet, "Kernel", json_member_string(guest, "KernelRelease"), "KernelRelease");
    sheet_add(sheet, "Machine", json_member_string(guest, "Architecture"), "Architecture");
    sheet_add_timezone(sheet, guest);
    sheet_add_list(sheet, "Addresses", json_member(guest, "IPAddresses"), "IPAddresses", string_text,
                   SIZE_MAX);
    sheet_add_list(sheet, "Interfaces", json_member(guest, "Interfaces"), "Interfaces", interface_text,
                   SIZE_MAX);
    sheet_add_size(sheet, "Free memory", guest, "AvailableMemory");
    sheet_add_size(sheet, "Its memory", guest, "TotalMemory");
    sheet_add(sheet, "Session", strcmp(session, "unknown") == 0 ? "" : session, "SessionState");
    sheet_add(sheet, "Active user", json_member_string(guest, "ActiveUser"), "ActiveUser");
    sheet_add_list(sheet, "Users", json_member(guest, "Users"), "Users", user_text, SIZE_MAX);
    sheet_add_list(sheet, "File systems", json_member(guest, "Filesystems"), "Filesystems", filesystem_text,
                   SIZE_MAX);
    sheet_add_list(sheet, "Applications", json_member(guest, "Applications"), "Applications", string_text,
                   APPLICATIONS_SHOWN);
}

static void show_print(Ctl *ctl, const char *path, json_object *interfaces)
{
    static const char *const titles[] = {">", "", "", NULL};
    json_object *vm = json_member(interfaces, "VM"), *guest = json_member(interfaces, "Guest");
    _cleanup_(table_freep) Table *table = table_new(titles, ctl->colour);
    uint64_t dropped = json_member_number(json_member(interfaces, "QMP"), "Dropped");
    Sheet sheet = {
        .table = table,
        .origins = json_member(guest, "Origins"),
        .all = ctl->options & OPTION_ALL,
    };

    sheet_add_vm(&sheet, path, vm);
    if (guest)
        sheet_add_guest(&sheet, guest);
    if (dropped) {
        g_autofree char *text = g_strdup_printf("%" PRIu64, dropped);

        sheet_add(&sheet, "QMP events dropped", text, NULL);
    }
    if (json_member_true(vm, "Truncated") || json_member_true(guest, "Truncated"))
        sheet_add_coloured(&sheet, "Note", "some values were too long and are cut", NULL, COLOUR_WARN);
    table_print(table, false);
}

int show_verb(Ctl *ctl, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        _cleanup_(json_object_putp) json_object *interfaces = NULL;
        g_autofree char *path = NULL;
        int r;

        r = target_vm(ctl, argv[i], &path);
        if (r == CTL_OK)
            r = snapshot_read_object(ctl, path, &interfaces);
        if (r != CTL_OK)
            return r;
        if (ctl->json != JSON_OFF) {
            json_object_object_add(interfaces, "path", json_object_new_string(path));
            json_print(ctl->json, interfaces);
            continue;
        }
        pager_open(ctl);
        if (i > 1)
            putchar('\n');
        show_print(ctl, path, interfaces);
    }
    return CTL_OK;
}

/* The XML has line breaks that belong to it, and texts that anybody with the right to define VMs wrote. */
static void xml_print(const char *xml)
{
    g_auto(GStrv) lines = g_strsplit(xml, "\n", -1);

    for (char **line = lines; *line; line++) {
        g_autofree char *clean = text_escape(*line);

        if (line[1] || **line)
            puts(clean);
    }
}

int show_xml_verb(Ctl *ctl, int argc, char **argv)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    g_autofree char *path = NULL;
    const char *xml = NULL;
    int r;

    r = target_vm(ctl, argv[1], &path);
    if (r != CTL_OK)
        return r;
    r = ctl_new_call(ctl, path, BUS_INTERFACE("VM"), "GetXML", &call);
    if (r >= 0)
        r = sd_bus_message_append(call, "a{sv}", 2, "inactive", "b", (ctl->options & OPTION_INACTIVE) != 0,
                                  "secrets", "b", (ctl->options & OPTION_SECRETS) != 0);
    if (r < 0)
        return complain_internal(r);
    if (ctl->options & OPTION_SECRETS)
        r = ctl_send(ctl, call, &reply, &error);
    else
        r = sd_bus_call(ctl->bus, call, 0, &error, &reply);
    if (r < 0)
        return complain_call(ctl, argv[1], &error, r);
    r = sd_bus_message_read(reply, "s", &xml);
    if (r < 0)
        return complain_internal(r);
    pager_open(ctl);
    xml_print(xml);
    return CTL_OK;
}
