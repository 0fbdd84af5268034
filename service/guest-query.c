/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest-query.h"

#include "service/error.h"
#include "service/guest-params.h"
#include "service/manager.h"

#include <libvirt/virterror.h>
#include <stdlib.h>

/* What the last error says of the agent; the error may be gone afterwards. It answers with errors too: to a
 * command that is switched off or that it does not know, and to most while the guest's file systems are
 * frozen. libvirt passes these on as internal errors, so that all counts as an answer that is not known to be
 * something else. */
static QueryOutcome outcome_of_error(virConnectPtr connection)
{
    switch (virGetLastErrorCode()) {
    case VIR_ERR_AGENT_UNRESPONSIVE:
    case VIR_ERR_AGENT_UNSYNCED:
    case VIR_ERR_OPERATION_TIMEOUT: /* somebody else's question to the agent waits, without a limit */
        return QUERY_MUTE;
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_OPERATION_INVALID:    /* it does not run */
    case VIR_ERR_ARGUMENT_UNSUPPORTED: /* it has no agent's channel any more */
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_INVALID_CONN:
        return QUERY_IMPOSSIBLE;
    default:
        return virConnectIsAlive(connection) == 1 ? QUERY_ANSWERED : QUERY_IMPOSSIBLE;
    }
}

/* One group of virDomainGetGuestInfo(). Each is asked for alone: in a call for several, one that the agent
 * does not know costs all the others. */
static int ask_info(virDomainPtr domain, unsigned type, Observation *observation,
                    void (*take)(Observation *observation, const virTypedParameter *params, int count))
{
    virTypedParameterPtr params = NULL;
    int count = 0;

    if (virDomainGetGuestInfo(domain, type, &params, &count, 0) < 0)
        return -1;
    take(observation, params, count);
    virTypedParamsFree(params, count);
    return 0;
}

static int ask_network(virDomainPtr domain, Observation *observation)
{
    virDomainInterfacePtr *interfaces = NULL;
    int count = virDomainInterfaceAddresses(domain, &interfaces, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, 0);

    if (count < 0)
        return -1;
    guest_params_interfaces(observation, interfaces, count);
    for (int i = 0; i < count; i++)
        virDomainInterfaceFree(interfaces[i]);
    free(interfaces);
    return 0;
}

/* The questions in their order: what is cheap and due most often comes first, and tells whether the agent
 * answers at all. */
static const struct Question {
    PaceTopic topic;
    unsigned type; /* of virDomainGetGuestInfo(); 0: the addresses */
    void (*take)(Observation *observation, const virTypedParameter *params, int count);
} questions[] = {
    {PACE_USERS, VIR_DOMAIN_GUEST_INFO_USERS, guest_params_users},
    {PACE_NETWORK, 0, NULL},
    {PACE_SYSTEM, VIR_DOMAIN_GUEST_INFO_HOSTNAME, guest_params_host_name},
    {PACE_SYSTEM, VIR_DOMAIN_GUEST_INFO_OS, guest_params_os},
    {PACE_SYSTEM, VIR_DOMAIN_GUEST_INFO_TIMEZONE, guest_params_timezone},
    {PACE_FILESYSTEMS, VIR_DOMAIN_GUEST_INFO_FILESYSTEM, guest_params_filesystems},
};

static void note_error(GuestQuery *query)
{
    g_free(query->error);
    query->error = g_strdup(libvirt_error_text());
}

/* Asks until the agent falls silent: a mute one is not waited for twice. */
static void ask_agent(GuestQuery *query, virDomainPtr domain)
{
    query->agent = observation_new(GUEST_ORIGIN_QEMU_GA, manager_now());
    for (size_t i = 0; i < G_N_ELEMENTS(questions); i++) {
        const struct Question *question = &questions[i];
        int r;

        if (!(query->topics & PACE_BIT(question->topic)))
            continue;
        if (question->take)
            r = ask_info(domain, question->type, query->agent, question->take);
        else
            r = ask_network(domain, query->agent);
        if (r < 0) {
            note_error(query);
            query->outcome = outcome_of_error(query->job.connection);
            if (query->outcome != QUERY_ANSWERED)
                return;
        }
        query->outcome = QUERY_ANSWERED;
        query->answered |= PACE_BIT(question->topic);
    }
}

/* libvirtd keeps the timeout for all its clients, and without one a mute agent holds a call for ever: ours is
 * set for our own questions and put back after them. Where it can't be set nothing is asked. */
static void ask_with_timeout(GuestQuery *query, virDomainPtr domain)
{
    if (virDomainAgentSetResponseTimeout(domain, (int)query->agent_timeout, 0) < 0) {
        note_error(query);
        query->outcome = QUERY_IMPOSSIBLE;
        return;
    }
    ask_agent(query, domain);
    (void)virDomainAgentSetResponseTimeout(domain, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
}

static void ask_memory(GuestQuery *query, virDomainPtr domain)
{
    virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
    int count = virDomainMemoryStats(domain, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);

    query->balloon = observation_new(GUEST_ORIGIN_BALLOON, 0);
    query->balloon->time = guest_params_memory(query->balloon, stats, MAX(count, 0));
}

void guest_query_work(SourceJob *job)
{
    GuestQuery *query = (GuestQuery *)job;
    virDomainPtr domain = virDomainLookupByUUIDString(job->connection, query->uuid);

    query->worked = true;
    query->outcome = QUERY_IMPOSSIBLE;
    if (!domain) {
        note_error(query);
        return;
    }
    if (query->topics)
        ask_with_timeout(query, domain);
    if (query->memory)
        ask_memory(query, domain);
    virDomainFree(domain);
}

void guest_query_free(SourceJob *job)
{
    GuestQuery *query = (GuestQuery *)job;

    observation_free(query->agent);
    observation_free(query->balloon);
    g_free(query->error);
    g_free(query);
}

GuestQuery *guest_query_new(const char *uuid, unsigned topics, unsigned agent_timeout)
{
    GuestQuery *query = g_new0(GuestQuery, 1);

    g_strlcpy(query->uuid, uuid, sizeof query->uuid);
    query->topics = topics;
    query->agent_timeout = agent_timeout;
    return query;
}

bool guest_query_alive(virDomainPtr domain, const char *name, Failure *failure)
{
    virTypedParameterPtr params = NULL;
    int count = 0;

    if (virDomainGetGuestInfo(domain, VIR_DOMAIN_GUEST_INFO_HOSTNAME, &params, &count, 0) == 0) {
        virTypedParamsFree(params, count);
        return true;
    }
    failure_set_libvirt(failure, name);
    switch (outcome_of_error(virDomainGetConnect(domain))) {
    case QUERY_ANSWERED:
        failure_clear(failure);
        return true;
    case QUERY_MUTE: /* libvirt has several codes for it */
        failure->kind = FAILURE_AGENT_UNRESPONSIVE;
        break;
    case QUERY_IMPOSSIBLE:
        break;
    }
    return false;
}
