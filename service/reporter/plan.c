/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/plan.h"

#include <string.h>

/* By it a server knows a host again whose hypervisorId changed. */
#define SYSTEM_UUID_FACT "dmi.system.uuid"

static bool is_reported(const PlanSource *source)
{
    return source->association && source->association->kind == ASSOCIATION_HOSTS;
}

bool plan_is_needed(const PlanSource *sources, size_t count, const DestinationRecord *record)
{
    for (size_t i = 0; i < count; i++) {
        const Delivery *accepted = g_hash_table_lookup(record->accepted, sources[i].name);

        if (is_reported(&sources[i]) && (!accepted || strcmp(accepted->hash, sources[i].hash) != 0))
            return true;
    }
    return false;
}

/* The fact's text without the quotes of JSON; a UUID needs no unescaping. */
static char *find_system_uuid(const AssociationHost *host)
{
    for (unsigned i = 0; i < host->facts->len; i++) {
        const AssociationFact *fact = &g_array_index(host->facts, AssociationFact, i);
        size_t size = strlen(fact->json);

        if (strcmp(fact->name, SYSTEM_UUID_FACT) == 0 && size > 2 && *fact->json == '"')
            return g_ascii_strdown(fact->json + 1, (gssize)size - 2);
    }
    return NULL;
}

Delivery *plan_describe(const PlanSource *source)
{
    Delivery *delivery = delivery_new(source->hash);

    if (!is_reported(source))
        return delivery;
    for (unsigned i = 0; i < source->association->hosts->len; i++) {
        const AssociationHost *host = source->association->hosts->pdata[i];
        g_autofree char *system_uuid = find_system_uuid(host);

        delivery_add_host(delivery, host->id, system_uuid);
    }
    return delivery;
}

static void add_present(GHashTable *present, GPtrArray *warnings, char *key, const char *what, const char *id)
{
    const char *other = g_hash_table_lookup(present, key);

    if (other)
        g_ptr_array_add(warnings,
                        g_strdup_printf("the hosts %s and %s have the same %s, the server will take them "
                                        "for one",
                                        other, id, what));
    g_hash_table_replace(present, key, (char *)id);
}

/* Ids and system UUIDs of everything that is there now, in lower case as servers compare them, with the
 * host's id. */
static GHashTable *collect_present(const PlanSource *sources, size_t count, GHashTable *deliveries,
                                   GPtrArray *warnings)
{
    GHashTable *present = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (size_t i = 0; i < count; i++) {
        const Delivery *delivery = g_hash_table_lookup(deliveries, sources[i].name);

        for (unsigned j = 0; delivery && j < delivery->hosts->len; j++) {
            const HostRecord *host = delivery->hosts->pdata[j];

            add_present(present, warnings, g_utf8_strdown(host->id, -1), "id", host->id);
            if (host->system_uuid)
                add_present(present, warnings, g_strdup(host->system_uuid), "system UUID", host->id);
        }
    }
    return present;
}

/* A host that only changed its id (hypervisor_id was set to something else, say) is not gone: reported
 * without guests under the old id it would lose those of the new one, because the server takes both for the
 * same system. */
static bool is_present(GHashTable *present, const HostRecord *host)
{
    g_autofree char *id = g_utf8_strdown(host->id, -1);

    return g_hash_table_contains(present, id) ||
           (host->system_uuid && g_hash_table_contains(present, host->system_uuid));
}

static Association *collect_gone(const PlanSource *sources, size_t count, GHashTable *present,
                                 const DestinationRecord *record)
{
    Association *gone = association_new(ASSOCIATION_HOSTS);

    for (size_t i = 0; i < count; i++) {
        const Delivery *accepted = g_hash_table_lookup(record->accepted, sources[i].name);

        for (unsigned j = 0; accepted && is_reported(&sources[i]) && j < accepted->hosts->len; j++) {
            const HostRecord *host = accepted->hosts->pdata[j];

            if (!is_present(present, host) && filter_matches(sources[i].filter, host->id))
                association_add_host(gone, host->id, NULL);
        }
    }
    association_sort(gone);
    return gone;
}

Plan *plan_new(const PlanSource *sources, size_t count, const DestinationRecord *record)
{
    Plan *plan = g_new0(Plan, 1);
    g_autoptr(GHashTable) present = NULL;
    g_autoptr(Association) gone = NULL;

    plan->warnings = g_ptr_array_new_with_free_func(g_free);
    plan->associations = g_ptr_array_new_with_free_func((GDestroyNotify)association_unref);
    plan->deliveries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)delivery_free);
    for (size_t i = 0; i < count; i++) {
        if (!is_reported(&sources[i]))
            continue;
        g_ptr_array_add(plan->associations, association_ref(sources[i].association));
        g_hash_table_insert(plan->deliveries, g_strdup(sources[i].name), plan_describe(&sources[i]));
    }
    present = collect_present(sources, count, plan->deliveries, plan->warnings);
    gone = collect_gone(sources, count, present, record);
    plan->gone = gone->hosts->len;
    if (plan->gone > 0)
        g_ptr_array_add(plan->associations, g_steal_pointer(&gone));
    association_hash((Association *const *)plan->associations->pdata, plan->associations->len, plan->hash);
    return plan;
}

void plan_free(Plan *plan)
{
    if (!plan)
        return;
    g_ptr_array_unref(plan->associations);
    g_hash_table_unref(plan->deliveries);
    g_ptr_array_unref(plan->warnings);
    g_free(plan);
}
