/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include <glib.h>
#include <systemd/sd-bus.h>

/* The objects /org/guestbus1/reporter and below, in two places: the reporter's own process offers them, and
 * guestbusd shows the same below its root. What differs is who fills in the values and what the methods do.
 */

#define REPORTER_BUS_NAME "org.guestbus1.Reporter"
#define REPORTER_PATH "/org/guestbus1/reporter"
#define REPORTER_INTERFACE "org.guestbus1.Reporter"
#define MAPPING_INTERFACE "org.guestbus1.Reporter.Mapping"

/* The properties of the two interfaces. Texts are never NULL once they are shown. */
typedef struct ReporterValues {
    uint32_t interval;
    char *reporter_id;
} ReporterValues;

typedef struct MappingValues {
    char *name;
    char *source_connection;
    char *source_status;
    char *source_message;
    char *destination_connection;
    char *destination_status;
    char *destination_message;
    uint64_t last_retrieve;
    uint64_t last_send;
    char *last_job_status;
    uint32_t hypervisors;
    uint32_t guests;
} MappingValues;

void reporter_values_clear(ReporterValues *values);
void mapping_values_clear(MappingValues *values);

/* Reads a{sv} as GetManagedObjects and PropertiesChanged have it; what is not there stays as it is, what is
 * not known or of another type is skipped. */
int reporter_values_read(sd_bus_message *message, ReporterValues *values);
int mapping_values_read(sd_bus_message *message, MappingValues *values);

typedef struct ReporterObjects ReporterObjects;

/* Exports the objects, hidden at first. Every method of Reporter ends in handler, with userdata. */
int reporter_objects_new(sd_bus *bus, sd_bus_message_handler_t handler, void *userdata,
                         ReporterObjects **ret_objects);
void reporter_objects_free(ReporterObjects *objects);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReporterObjects, reporter_objects_free)

/* Each takes the values over, and signals what became different. */
void reporter_objects_set_reporter(ReporterObjects *objects, ReporterValues *values);
void reporter_objects_set_mapping(ReporterObjects *objects, const char *path, MappingValues *values);
void reporter_objects_remove_mapping(ReporterObjects *objects, const char *path);
/* Takes everything away. */
void reporter_objects_hide(ReporterObjects *objects);

/* The values of a mapping that is shown, else NULL. */
const MappingValues *reporter_objects_get_mapping(const ReporterObjects *objects, const char *path);
const ReporterValues *reporter_objects_get_reporter(const ReporterObjects *objects);
/* The paths of the mappings, in order. */
char **reporter_objects_list_mappings(const ReporterObjects *objects);
void reporter_objects_free_list(char **paths);
/* Copies of all texts. */
void mapping_values_copy(const MappingValues *from, MappingValues *to);
void reporter_values_copy(const ReporterValues *from, ReporterValues *to);

void reporter_objects_emit_sent(ReporterObjects *objects, const char *path, const char *job);
void reporter_objects_emit_failed(ReporterObjects *objects, const char *path, const char *stage,
                                  const char *message);

/* The path of a mapping's object. The caller frees. */
char *reporter_mapping_path(const char *name);
