/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char *encode(const char *prefix, const char *label)
{
    char *encoded = NULL;
    char *path;

    if (sd_bus_path_encode(prefix, label, &encoded) < 0)
        g_error("out of memory");
    path = g_strdup(encoded);
    free(encoded);
    return path;
}

char *object_source_path(const char *label)
{
    return encode(BUS_SOURCE_PREFIX, label);
}

char *object_vm_path(const char *label, const char *uuid)
{
    g_autofree char *prefix = encode(BUS_VM_PREFIX, label);
    g_autofree char *element = g_strdelimit(g_strdup(uuid), "-", '_');

    return g_strconcat(prefix, "/", element, NULL);
}

void object_add_vm(Bus *bus, VM *vm)
{
    VMFace *face = g_new0(VMFace, 1);

    face->bus = bus;
    face->path = object_vm_path(vm->source->config->label, vm->uuid);
    face->source_path = object_source_path(vm->source->config->label);
    vm->face = face;
    g_hash_table_insert(bus->vms, face->path, vm);
}

void object_remove_vm(Bus *bus, VM *vm)
{
    VMFace *face = vm->face;

    g_hash_table_remove(bus->vms, face->path);
    g_free(face->path);
    g_free(face->source_path);
    g_free(face);
    vm->face = NULL;
}

void object_add_source(Bus *bus, Source *source)
{
    source->face = bus;
    g_hash_table_insert(bus->sources, object_source_path(source->config->label), source);
}

void object_remove_source(Bus *bus, Source *source)
{
    g_autofree char *path = object_source_path(source->config->label);

    g_hash_table_remove(bus->sources, path);
}

static int find(GHashTable *objects, const char *path, void **ret_found)
{
    *ret_found = g_hash_table_lookup(objects, path);
    return *ret_found ? 1 : 0;
}

int object_find_vm(sd_bus *b, const char *path, const char *interface, void *userdata, void **ret_found,
                   sd_bus_error *error)
{
    return find(((Bus *)userdata)->vms, path, ret_found);
}

int object_find_source(sd_bus *b, const char *path, const char *interface, void *userdata, void **ret_found,
                       sd_bus_error *error)
{
    return find(((Bus *)userdata)->sources, path, ret_found);
}

/* sd-bus frees the list with free(). */
static int enumerate(GHashTable *objects, char ***ret_nodes)
{
    char **nodes = calloc(g_hash_table_size(objects) + 1, sizeof *nodes);
    GHashTableIter iter;
    gpointer path;
    size_t n = 0;

    if (!nodes)
        return -ENOMEM;
    g_hash_table_iter_init(&iter, objects);
    while (g_hash_table_iter_next(&iter, &path, NULL)) {
        nodes[n] = strdup(path);
        if (!nodes[n++]) {
            for (size_t i = 0; i < n; i++)
                free(nodes[i]);
            free(nodes);
            return -ENOMEM;
        }
    }
    *ret_nodes = nodes;
    return 0;
}

int object_enumerate_vms(sd_bus *b, const char *prefix, void *userdata, char ***ret_nodes,
                         sd_bus_error *error)
{
    return enumerate(((Bus *)userdata)->vms, ret_nodes);
}

int object_enumerate_sources(sd_bus *b, const char *prefix, void *userdata, char ***ret_nodes,
                             sd_bus_error *error)
{
    return enumerate(((Bus *)userdata)->sources, ret_nodes);
}
