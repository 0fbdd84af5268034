// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/libvirt-session.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "service/cleanup.h"

#define GUEST_TYPE "libvirt"
/* A connection that does not answer for 5 s three times is dead. */
#define KEEPALIVE_SECONDS 5
#define KEEPALIVE_COUNT 3
/* Xen's own domain, which is the host. */
#define DOMAIN_0 "00000000-0000-0000-0000-000000000000"

struct LibvirtSession {
    virConnectPtr connection;
    const LibvirtTarget *target;
    int callback; /* of domain events, -1 when there is none */
    bool close_callback;
};

static void ignore_error(void *userdata, virErrorPtr error)
{
    /* libvirt prints errors to stderr unless it is given a function; they are taken with virGetLastError().
     */
}

static void *run_loop(void *unused)
{
    for (;;)
        if (virEventRunDefaultImpl() < 0)
            usleep(100 * 1000); /* only out of memory or descriptors: no reason to spin */
    return NULL;
}

static int loop_result;

static void start_loop(void)
{
    pthread_t thread;

    virSetErrorFunc(NULL, ignore_error);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0) {
        loop_result = -EIO;
        return;
    }
    loop_result = -pthread_create(&thread, NULL, run_loop, NULL);
    if (loop_result == 0)
        pthread_detach(thread);
}

int libvirt_loop_start(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, start_loop);
    return loop_result;
}

static SourceError classify(int code)
{
    switch (code) {
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_ACCESS_DENIED:
    case VIR_ERR_OPERATION_DENIED:
        return SOURCE_ERROR_AUTHENTICATION;
    case VIR_ERR_INVALID_ARG:
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_CONFIG_UNSUPPORTED:
        return SOURCE_ERROR_CONFIGURATION;
    default:
        return SOURCE_ERROR_UNREACHABLE;
    }
}

/* The last error of this thread. libvirt's messages hold names, addresses and ssh's output, never the
 * password. */
static void take_error(const char *what, SourceFailure *ret_failure)
{
    const virError *error = virGetLastError();
    g_autofree char *message = g_strdup(error && error->message ? error->message : "unknown error");

    g_strdelimit(message, "\n\r", ' ');
    source_failure_set(ret_failure, classify(error ? error->code : 0), "%s: %s", what, message);
}

static int answer_credential(virConnectCredentialPtr credentials, unsigned count, void *userdata)
{
    const LibvirtTarget *target = userdata;

    for (unsigned i = 0; i < count; i++) {
        bool name = credentials[i].type == VIR_CRED_AUTHNAME || credentials[i].type == VIR_CRED_USERNAME;
        const char *answer = name ? target->username : target->password;

        if (!answer)
            return -1;
        /* libvirt frees it; strdup() because libvirt uses free(). */
        credentials[i].result = strdup(answer);
        if (!credentials[i].result)
            return -1;
        credentials[i].resultlen = (unsigned)strlen(answer);
    }
    return 0;
}

static virConnectPtr open_connection(const LibvirtTarget *target)
{
    int types[] = {VIR_CRED_AUTHNAME, VIR_CRED_USERNAME, VIR_CRED_PASSPHRASE, VIR_CRED_NOECHOPROMPT};
    virConnectAuth auth = {.credtype = types,
                           .ncredtype = G_N_ELEMENTS(types),
                           .cb = answer_credential,
                           .cbdata = (void *)target};

    if (!target->password)
        return virConnectOpenReadOnly(target->uri);
    return virConnectOpenAuth(target->uri, &auth, VIR_CONNECT_RO);
}

/* What a callback is given; freed when libvirt has dropped it. */
typedef struct Listener {
    LibvirtChanged changed;
    void *userdata;
    void (*release)(void *);
} Listener;

static Listener *listener_new(LibvirtChanged changed, void *userdata, void (*release)(void *))
{
    Listener *listener = g_new(Listener, 1);

    *listener = (Listener){changed, userdata, release};
    return listener;
}

static void listener_free(void *data)
{
    Listener *listener = data;

    listener->release(listener->userdata);
    g_free(listener);
}

static int on_domain_event(virConnectPtr connection, virDomainPtr domain, int event, int detail,
                           void *userdata)
{
    const Listener *listener = userdata;

    listener->changed(listener->userdata);
    return 0;
}

static void on_close(virConnectPtr connection, int reason, void *userdata)
{
    const Listener *listener = userdata;

    listener->changed(listener->userdata);
}

/* Neither is there with every driver: then the source is polled, and a dead connection found out by that. */
static void watch_connection(LibvirtSession *session, LibvirtChanged changed, void *userdata,
                             void (*release)(void *))
{
    Listener *events = listener_new(changed, userdata, release),
             *closed = listener_new(changed, userdata, release);

    (void)virConnectSetKeepAlive(session->connection, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
    session->callback =
        virConnectDomainEventRegisterAny(session->connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_domain_event), events, listener_free);
    if (session->callback < 0)
        listener_free(events);
    session->close_callback =
        virConnectRegisterCloseCallback(session->connection, on_close, closed, listener_free) == 0;
    if (!session->close_callback)
        listener_free(closed);
}

int libvirt_session_open(const LibvirtTarget *target, LibvirtChanged changed, void *userdata,
                         void (*release)(void *), SourceFailure *ret_failure, LibvirtSession **ret_session)
{
    LibvirtSession *session;
    virConnectPtr connection = open_connection(target);

    if (!connection) {
        take_error("libvirt cannot be reached", ret_failure);
        return -ENOTCONN;
    }
    session = g_new0(LibvirtSession, 1);
    session->connection = connection;
    session->target = target;
    watch_connection(session, changed, userdata, release);
    *ret_session = session;
    return 0;
}

void libvirt_session_close(LibvirtSession *session)
{
    if (!session)
        return;
    if (session->callback >= 0)
        (void)virConnectDomainEventDeregisterAny(session->connection, session->callback);
    if (session->close_callback)
        (void)virConnectUnregisterCloseCallback(session->connection, on_close);
    (void)virConnectClose(session->connection);
    g_free(session);
}

bool libvirt_session_alive(LibvirtSession *session)
{
    int alive = virConnectIsAlive(session->connection);

    /* A driver that cannot tell has nothing that could die. */
    return alive == 1 || (alive < 0 && virGetLastErrorCode() == VIR_ERR_NO_SUPPORT);
}

/* --- the host --- */

typedef struct HostFacts {
    char *uuid;    /* NULL: the driver has none */
    char *sockets; /* NULL: not known */
    char *name;
    char *type;
    unsigned long version; /* 0: not known */
} HostFacts;

static void host_facts_clear(HostFacts *facts)
{
    g_free(facts->uuid);
    g_free(facts->sockets);
    g_free(facts->name);
    g_free(facts->type);
}

/* The value of an XPath, NULL when empty. */
static char *xml_text(xmlXPathContextPtr context, const char *path)
{
    xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)path, context);
    char *text = NULL;

    if (found && found->stringval && found->stringval[0])
        text = g_strdup((const char *)found->stringval);
    xmlXPathFreeObject(found);
    return text;
}

static int parse_capabilities(const char *xml, HostFacts *facts)
{
    xmlDocPtr document = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
                                       XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlXPathContextPtr context = document ? xmlXPathNewContext(document) : NULL;

    if (context) {
        facts->uuid = xml_text(context, "string(/capabilities/host/uuid)");
        facts->sockets = xml_text(context, "string(/capabilities/host/cpu/topology/@sockets)");
    }
    xmlXPathFreeContext(context);
    xmlFreeDoc(document);
    return context ? 0 : -EBADMSG;
}

/* libvirt allocates with malloc(). */
static char *adopt(char *text)
{
    char *copy = g_strdup(text);

    free(text);
    return copy;
}

static int read_host(LibvirtSession *session, HostFacts *facts, SourceFailure *ret_failure)
{
    g_autofree char *capabilities = adopt(virConnectGetCapabilities(session->connection));
    const char *type = virConnectGetType(session->connection);

    facts->name = adopt(virConnectGetHostname(session->connection));
    if (!capabilities || !facts->name || !type) {
        take_error("libvirt does not describe its host", ret_failure);
        return -EIO;
    }
    facts->type = g_strdup(type);
    if (virConnectGetVersion(session->connection, &facts->version) < 0)
        facts->version = 0;
    if (parse_capabilities(capabilities, facts) < 0) {
        source_failure_set(ret_failure, SOURCE_ERROR_DATA, "libvirt's capabilities are no XML");
        return -EBADMSG;
    }
    return 0;
}

/* The test driver and a few others have no host UUID: the name is all that identifies them. */
static const char *host_id(const LibvirtTarget *target, const HostFacts *facts)
{
    return target->by_hostname || !facts->uuid ? facts->name : facts->uuid;
}

static void add_facts(Association *association, AssociationHost *host, const HostFacts *facts)
{
    char version[24];

    association_add_fact(association, host, "cpu.cpu_socket(s)", facts->sockets);
    association_add_fact(association, host, "hypervisor.type", facts->type);
    if (facts->version) {
        g_snprintf(version, sizeof(version), "%lu", facts->version);
        association_add_fact_json(association, host, "hypervisor.version", version);
    }
    if (facts->uuid)
        association_add_fact(association, host, "dmi.system.uuid", facts->uuid);
}

/* --- its guests --- */

static int add_guest(Association *association, virDomainPtr domain, int state)
{
    AssociationHost *host = association->hosts->pdata[0];
    char uuid[VIR_UUID_STRING_BUFLEN];

    if (virDomainGetUUIDString(domain, uuid) < 0)
        return -EIO;
    /* Its numbers are ours from "no state" to "suspended"; a newer libvirt's are unknown. */
    if (strcmp(uuid, DOMAIN_0) != 0)
        association_add_guest(association, host, uuid, GUEST_TYPE,
                              state >= GUEST_UNKNOWN && state <= GUEST_PM_SUSPENDED ? state : GUEST_UNKNOWN);
    return 0;
}

static int state_of(const virDomainStatsRecord *record)
{
    for (int i = 0; i < record->nparams; i++)
        if (strcmp(record->params[i].field, "state.state") == 0)
            return record->params[i].value.i;
    return GUEST_UNKNOWN;
}

static void stats_freep(virDomainStatsRecordPtr **records)
{
    if (*records)
        virDomainStatsRecordListFree(*records);
}

/* All names and states in one answer. */
static int add_guests_in_bulk(LibvirtSession *session, Association *association)
{
    _cleanup_(stats_freep) virDomainStatsRecordPtr *records = NULL;
    int count = virConnectGetAllDomainStats(session->connection, VIR_DOMAIN_STATS_STATE, &records, 0);

    if (count < 0)
        return virGetLastErrorCode() == VIR_ERR_NO_SUPPORT ? -EOPNOTSUPP : -EIO;
    for (int i = 0; i < count; i++)
        if (add_guest(association, records[i]->dom, state_of(records[i])) < 0)
            return -EIO;
    return 0;
}

/* For drivers without bulk statistics: one question for each state. */
static int add_guests_one_by_one(LibvirtSession *session, Association *association)
{
    virDomainPtr *domains = NULL;
    int count = virConnectListAllDomains(session->connection, &domains, 0), r = count < 0 ? -EIO : 0;

    for (int i = 0; i < count; i++) {
        int state, reason;

        if (r == 0 && virDomainGetState(domains[i], &state, &reason, 0) == 0)
            r = add_guest(association, domains[i], state);
        else if (r == 0 && virGetLastErrorCode() != VIR_ERR_NO_DOMAIN) /* gone since the list was made */
            r = -EIO;
        virDomainFree(domains[i]);
    }
    free(domains);
    return r;
}

Association *libvirt_session_collect(LibvirtSession *session, SourceFailure *ret_failure)
{
    const LibvirtTarget *target = session->target;
    g_autoptr(Association) association =
        association_new(target->local ? ASSOCIATION_GUEST_LIST : ASSOCIATION_HOSTS);
    _cleanup_(host_facts_clear) HostFacts facts = {};

    if (read_host(session, &facts, ret_failure) < 0)
        return NULL;
    if (!target->local)
        association_add_host(association, "", NULL);
    AssociationHost *host = association->hosts->pdata[0];

    association_set_host(association, host, host_id(target, &facts), facts.name);
    if (!target->local)
        add_facts(association, host, &facts);
    int r = add_guests_in_bulk(session, association);

    if (r == -EOPNOTSUPP)
        r = add_guests_one_by_one(session, association);
    if (r < 0) {
        take_error("libvirt does not list its VMs", ret_failure);
        return NULL;
    }
    association_sort(association);
    return g_steal_pointer(&association);
}
