/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/guestbusctl/complaint.h"
#include "cli/guestbusctl/json.h"
#include "cli/guestbusctl/target.h"
#include "cli/guestbusctl/text.h"
#include "service/cleanup.h"

#define VM_PREFIX BUS_ROOT "/vm"
#define SOURCE_PREFIX BUS_ROOT "/source"

/* The columns of Manager.ListVMs. */
enum { VM_NAME, VM_UUID, VM_SOURCE, VM_STATE, VM_PATH };

static int list_vms(Ctl *ctl, json_object **ret_vms, sd_bus_error *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r;

    r = sd_bus_call_method(ctl->bus, BUS_NAME, BUS_ROOT, BUS_INTERFACE("Manager"), "ListVMs", error, &reply,
                           NULL);
    if (r < 0)
        return r;
    return json_read_value(reply, ret_vms);
}

/* Whether an argument of the form SOURCE/NAME or SOURCE/UUID means this VM. */
static bool vm_is(json_object *vm, const char *argument)
{
    const char *source = json_element_string(vm, VM_SOURCE);
    size_t length = strlen(source);

    if (strncmp(argument, source, length) != 0 || argument[length] != '/')
        return false;
    argument += length + 1;
    return strcmp(argument, json_element_string(vm, VM_NAME)) == 0 ||
           g_ascii_strcasecmp(argument, json_element_string(vm, VM_UUID)) == 0;
}

static int target_in_source(Ctl *ctl, const char *argument, char **ret_path)
{
    _cleanup_(json_object_putp) json_object *vms = NULL;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r;

    r = list_vms(ctl, &vms, &error);
    if (r < 0)
        return complain_call(ctl, argument, &error, r);
    for (size_t i = 0; i < json_object_array_length(vms); i++) {
        json_object *vm = json_object_array_get_idx(vms, i);

        if (!vm_is(vm, argument))
            continue;
        *ret_path = g_strdup(json_element_string(vm, VM_PATH));
        return CTL_OK;
    }
    complain("%s: no such VM; 'guestbusctl list' shows what there is", argument);
    return CTL_NOT_FOUND;
}

int target_vm(Ctl *ctl, const char *argument, char **ret_path)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    const char *path;
    int r;

    if (g_str_has_prefix(argument, VM_PREFIX "/") && sd_bus_object_path_is_valid(argument)) {
        *ret_path = g_strdup(argument);
        return CTL_OK;
    }
    if (!g_utf8_validate(argument, -1, NULL)) {
        complain("%s: no such VM (and not UTF-8)", argument);
        return CTL_NOT_FOUND;
    }
    r = sd_bus_call_method(ctl->bus, BUS_NAME, BUS_ROOT, BUS_INTERFACE("Manager"), "GetVM", &error, &reply,
                           "s", argument);
    /* A name may have a slash in it, so that SOURCE/NAME is tried only now. */
    if (r < 0 && strchr(argument, '/') && sd_bus_error_has_name(&error, BUS_INTERFACE("Error.NoSuchVM")))
        return target_in_source(ctl, argument, ret_path);
    if (r < 0)
        return complain_call(ctl, argument, &error, r);
    r = sd_bus_message_read(reply, "o", &path);
    if (r < 0)
        return complain_internal(r);
    *ret_path = g_strdup(path);
    return CTL_OK;
}

int target_source(const char *label, char **ret_path)
{
    g_autofree char *path = NULL;
    int r;

    r = sd_bus_path_encode(SOURCE_PREFIX, label, &path);
    if (r < 0)
        return complain_internal(r);
    *ret_path = g_strdup(path);
    return CTL_OK;
}

char *target_path_source(const char *path)
{
    g_autofree char *label = NULL, *rest = NULL;

    if (sd_bus_path_decode(path, SOURCE_PREFIX, &label) > 0)
        return g_strdup(label);
    if (sd_bus_path_decode_many(path, VM_PREFIX "/%/%", &label, &rest) > 0)
        return g_strdup(label);
    return NULL;
}

/* A completion goes into the command line that the user sees: nothing that would have to be escaped. */
static void completion_print(const char *name)
{
    g_autofree char *clean = text_escape(name);

    if (*name && strcmp(clean, name) == 0)
        puts(name);
}

static void complete_sources(Ctl *ctl)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(json_object_putp) json_object *paths = NULL;

    if (sd_bus_get_property(ctl->bus, BUS_NAME, BUS_ROOT, BUS_INTERFACE("Manager"), "Sources", &error, &reply,
                            "ao") < 0 ||
        json_read_value(reply, &paths) < 0)
        return;
    for (size_t i = 0; i < json_object_array_length(paths); i++) {
        g_autofree char *label = target_path_source(json_element_string(paths, i));

        if (label)
            completion_print(label);
    }
}

static void complete_vms(Ctl *ctl)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    _cleanup_(json_object_putp) json_object *vms = NULL;

    if (list_vms(ctl, &vms, &error) < 0)
        return;
    for (size_t i = 0; i < json_object_array_length(vms); i++)
        completion_print(json_element_string(json_object_array_get_idx(vms, i), VM_NAME));
}

int target_complete(Ctl *ctl, int argc, char **argv)
{
    /* Pressing a key must not start a service, ask for a password or print a complaint. */
    if (sd_bus_open_system(&ctl->bus) < 0 || sd_bus_get_name_creds(ctl->bus, BUS_NAME, 0, NULL) < 0)
        return CTL_FAILED;
    if (strcmp(argv[1], "sources") == 0)
        complete_sources(ctl);
    else
        complete_vms(ctl);
    return CTL_OK;
}
