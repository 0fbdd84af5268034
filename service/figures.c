/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/figures.h"

#include <libvirt/virterror.h>
#include <string.h>

#define KIB 1024ULL
#define STATS_WANTED (VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_BALLOON | VIR_DOMAIN_STATS_VCPU)

static void listed_free(gpointer data)
{
    Listed *listed = data;

    if (listed->domain)
        virDomainFree(listed->domain);
    g_free(listed->name);
    g_free(listed);
}

static void take_memory(VMFigures *figures, const virDomainStatsRecord *record)
{
    unsigned long long maximum = 0, current = 0;

    if (virTypedParamsGetULLong(record->params, record->nparams, "balloon.maximum", &maximum) <= 0)
        return;
    figures->memory_known = true;
    figures->memory_maximum = maximum * KIB;
    figures->memory_actual = maximum * KIB;
    if (virTypedParamsGetULLong(record->params, record->nparams, "balloon.current", &current) > 0)
        figures->memory_actual = current * KIB;
}

/* Returns false when the record lacks even the state, as of a driver that ignores the groups asked for. */
static bool take_record(const virDomainStatsRecord *record, VMFigures *figures)
{
    int state = 0;
    unsigned vcpus = 0;

    if (virTypedParamsGetInt(record->params, record->nparams, "state.state", &state) <= 0)
        return false;
    figures->state_known = true;
    figures->state = vm_state_from_libvirt(state);
    (void)virTypedParamsGetInt(record->params, record->nparams, "state.reason", &figures->reason);
    take_memory(figures, record);
    if (virTypedParamsGetUInt(record->params, record->nparams, "vcpu.current", &vcpus) > 0) {
        figures->vcpus_known = true;
        figures->vcpus = vcpus;
    }
    return true;
}

/* The figures of one domain for drivers without statistics, or with fewer of them. */
static int complete(virDomainPtr domain, VMFigures *figures)
{
    virDomainInfo info;
    int state, reason = 0;

    if (virDomainGetInfo(domain, &info) < 0)
        return -1;
    figures->memory_known = figures->vcpus_known = true;
    figures->memory_maximum = info.maxMem * KIB;
    figures->memory_actual = info.memory * KIB;
    figures->vcpus = info.nrVirtCpu;
    if (figures->state_known)
        return 0;
    figures->state_known = true;
    figures->state = vm_state_from_libvirt(info.state);
    if (virDomainGetState(domain, &state, &reason, 0) == 0 && vm_state_from_libvirt(state) == figures->state)
        figures->reason = reason;
    return 0;
}

void figures_settle_id(virDomainPtr domain, VMFigures *figures)
{
    unsigned id = virDomainGetID(domain);

    figures->id = figures->state == VM_SHUT_OFF || id == (unsigned)-1 ? -1 : (int)id;
}

static Listed *add_listed(GPtrArray *listing, virDomainPtr domain)
{
    Listed *listed = g_new0(Listed, 1);

    virDomainRef(domain);
    listed->domain = domain;
    listed->figures = VM_FIGURES_UNKNOWN;
    listed->name = g_strdup(virDomainGetName(domain));
    if (virDomainGetUUIDString(domain, listed->uuid) < 0 || !listed->name) {
        listed_free(listed);
        return NULL;
    }
    g_ptr_array_add(listing, listed);
    return listed;
}

static int list_by_statistics(virConnectPtr connection, GPtrArray *listing)
{
    virDomainStatsRecordPtr *records = NULL;
    int count;

    /* NOWAIT: a domain that is busy with a long job is told with what is known of it. */
    count = virConnectGetAllDomainStats(connection, STATS_WANTED, &records,
                                        VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
    if (count < 0) /* drivers that don't know the flag, or one of the groups */
        count = virConnectGetAllDomainStats(connection, STATS_WANTED, &records, 0);
    if (count < 0)
        count = virConnectGetAllDomainStats(connection, VIR_DOMAIN_STATS_STATE, &records, 0);
    if (count < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        Listed *listed = add_listed(listing, records[i]->dom);

        if (!listed)
            continue;
        /* Memory and vCPUs may be missing: a call for each VM would hold up the names and states of all. */
        if (!take_record(records[i], &listed->figures))
            (void)complete(listed->domain, &listed->figures); /* one that just went stays unknown */
        figures_settle_id(listed->domain, &listed->figures);
    }
    virDomainStatsRecordListFree(records);
    return 0;
}

static int list_one_by_one(virConnectPtr connection, GPtrArray *listing)
{
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(connection, &domains, 0);

    if (count < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        Listed *listed = add_listed(listing, domains[i]);

        if (listed) {
            (void)complete(listed->domain, &listed->figures);
            figures_settle_id(listed->domain, &listed->figures);
        }
        virDomainFree(domains[i]);
    }
    free(domains);
    return 0;
}

typedef enum Flag {
    FLAG_PERSISTENT,
    FLAG_AUTOSTART,
} Flag;

/* Which domains have a flag, from one filtered listing for all. Without that filter it stays untold. */
static void take_flag(virConnectPtr connection, GPtrArray *listing, Flag flag)
{
    g_autoptr(GHashTable) having = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    virDomainPtr *domains = NULL;
    unsigned filter =
        flag == FLAG_PERSISTENT ? VIR_CONNECT_LIST_DOMAINS_PERSISTENT : VIR_CONNECT_LIST_DOMAINS_AUTOSTART;
    int count = virConnectListAllDomains(connection, &domains, filter);

    if (count < 0)
        return;
    for (int i = 0; i < count; i++) {
        char uuid[VIR_UUID_STRING_BUFLEN];

        if (virDomainGetUUIDString(domains[i], uuid) == 0)
            g_hash_table_add(having, g_strdup(uuid));
        virDomainFree(domains[i]);
    }
    free(domains);
    for (guint i = 0; i < listing->len; i++) {
        Listed *listed = listing->pdata[i];
        int value = g_hash_table_contains(having, listed->uuid);

        *(flag == FLAG_PERSISTENT ? &listed->figures.persistent : &listed->figures.autostart) = value;
    }
}

int figures_list(virConnectPtr connection, GPtrArray **ret)
{
    g_autoptr(GPtrArray) listing = g_ptr_array_new_with_free_func(listed_free);

    if (list_by_statistics(connection, listing) < 0 && list_one_by_one(connection, listing) < 0)
        return -1;
    take_flag(connection, listing, FLAG_PERSISTENT);
    take_flag(connection, listing, FLAG_AUTOSTART);
    *ret = g_steal_pointer(&listing);
    return 0;
}

int figures_read(virDomainPtr domain, VMFigures *ret)
{
    VMFigures figures = VM_FIGURES_UNKNOWN;
    int state, autostart;

    if (virDomainGetState(domain, &state, &figures.reason, 0) < 0)
        return -1;
    figures.state_known = true;
    figures.state = vm_state_from_libvirt(state);
    if (complete(domain, &figures) < 0)
        return -1;
    figures_settle_id(domain, &figures);
    figures.persistent = virDomainIsPersistent(domain);
    if (virDomainGetAutostart(domain, &autostart) == 0)
        figures.autostart = autostart;
    *ret = figures;
    return 0;
}
