// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/association.h"

#include <string.h>

#include "service/reporter/json-text.h"

/* Bytes that the text of an association grows by. */
#define TEXT_BLOCK 16384

static void host_free(void *data)
{
    AssociationHost *host = data;

    g_array_unref(host->guests);
    g_array_unref(host->facts);
    g_free(host);
}

static AssociationHost *host_new(Association *association, const char *id, const char *name)
{
    AssociationHost *host = g_new0(AssociationHost, 1);

    host->id = id ? g_string_chunk_insert(association->text, id) : NULL;
    host->name = name && *name ? g_string_chunk_insert(association->text, name) : NULL;
    host->guests = g_array_new(FALSE, FALSE, sizeof(AssociationGuest));
    host->facts = g_array_new(FALSE, FALSE, sizeof(AssociationFact));
    g_ptr_array_add(association->hosts, host);
    return host;
}

Association *association_new(AssociationKind kind)
{
    Association *association = g_new0(Association, 1);

    association->kind = kind;
    association->references = 1;
    association->hosts = g_ptr_array_new_with_free_func(host_free);
    association->text = g_string_chunk_new(TEXT_BLOCK);
    if (kind == ASSOCIATION_GUEST_LIST)
        host_new(association, NULL, NULL);
    return association;
}

Association *association_ref(Association *association)
{
    association->references++;
    return association;
}

void association_unref(Association *association)
{
    if (!association || --association->references > 0)
        return;
    g_ptr_array_unref(association->hosts);
    g_string_chunk_free(association->text);
    g_free(association);
}

AssociationHost *association_add_host(Association *association, const char *id, const char *name)
{
    return host_new(association, id, name);
}

void association_set_host(Association *association, AssociationHost *host, const char *id, const char *name)
{
    host->id = id ? g_string_chunk_insert(association->text, id) : NULL;
    host->name = name && *name ? g_string_chunk_insert(association->text, name) : NULL;
}

void association_add_guest(Association *association, AssociationHost *host, const char *uuid,
                           const char *type, int state)
{
    AssociationGuest guest = {
        .uuid = g_string_chunk_insert(association->text, uuid),
        .type = g_string_chunk_insert_const(association->text, type),
        .state = state,
    };

    g_array_append_val(host->guests, guest);
}

void association_add_fact_json(Association *association, AssociationHost *host, const char *name,
                               const char *json)
{
    AssociationFact fact = {
        .name = g_string_chunk_insert_const(association->text, name),
        .json = g_string_chunk_insert(association->text, json ?: "null"),
    };

    g_array_append_val(host->facts, fact);
}

void association_add_fact(Association *association, AssociationHost *host, const char *name,
                          const char *value)
{
    g_autoptr(GString) json = g_string_new(NULL);

    if (value)
        json_text_append_string(json, value);
    association_add_fact_json(association, host, name, value ? json->str : NULL);
}

bool association_state_active(int state)
{
    return state == GUEST_RUNNING || state == GUEST_PAUSED;
}

unsigned association_count_hosts(const Association *association)
{
    return association->kind == ASSOCIATION_HOSTS ? association->hosts->len : 0;
}

unsigned association_count_guests(const Association *association)
{
    unsigned count = 0;

    for (unsigned i = 0; i < association->hosts->len; i++)
        count += ((const AssociationHost *)association->hosts->pdata[i])->guests->len;
    return count;
}

int association_compare_hosts(const void *left, const void *right)
{
    const AssociationHost *const *a = left, *const *b = right;

    return g_strcmp0((*a)->id, (*b)->id) ?: g_strcmp0((*a)->name, (*b)->name);
}

static int compare_guests(const void *left, const void *right)
{
    const AssociationGuest *a = left, *b = right;

    return strcmp(a->uuid, b->uuid) ?: a->state - b->state;
}

void association_sort_guests(GArray *guests)
{
    g_array_sort(guests, compare_guests);
}

void association_sort(Association *association)
{
    g_ptr_array_sort(association->hosts, association_compare_hosts);
    for (unsigned i = 0; i < association->hosts->len; i++)
        association_sort_guests(((AssociationHost *)association->hosts->pdata[i])->guests);
}
