/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/source-read.h"

#include "service/guest/text.h"
#include "service/source-job.h"

#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

/* What describes the host rather than its VMs; asked once for each connection, after the VMs are on the bus.
 */
typedef struct HostJob {
    SourceJob job;
    char *type, *host_name, *host_uuid, *hypervisor_version, *library_version;
} HostJob;

static xmlNode *child(const xmlNode *node, const char *name)
{
    for (xmlNode *c = node ? node->children : NULL; c; c = c->next)
        if (c->type == XML_ELEMENT_NODE && g_str_equal((const char *)c->name, name))
            return c;
    return NULL;
}

char *capabilities_host_uuid(const char *xml)
{
    xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNode *uuid = doc ? child(child(xmlDocGetRootElement(doc), "host"), "uuid") : NULL;
    xmlChar *text = uuid ? xmlNodeGetContent(uuid) : NULL;
    char *cleaned = text_clean((const char *)text, -1, VM_TEXT_BYTES_MAX, NULL);

    xmlFree(text);
    xmlFreeDoc(doc);
    return cleaned;
}

/* libvirt's version numbers are major * 1,000,000 + minor * 1,000 + release. */
static char *version_text(int result, unsigned long version)
{
    if (result < 0 || version == 0)
        return g_strdup("");
    return g_strdup_printf("%lu.%lu.%lu", version / 1000000, version / 1000 % 1000, version % 1000);
}

static void host_work(SourceJob *job)
{
    HostJob *host = (HostJob *)job;
    char *name = virConnectGetHostname(job->connection);
    char *capabilities = virConnectGetCapabilities(job->connection);
    unsigned long version = 0;
    int r;

    host->type = text_clean(virConnectGetType(job->connection), -1, VM_TEXT_BYTES_MAX, NULL);
    host->host_name = text_clean(name, -1, VM_TEXT_BYTES_MAX, NULL);
    host->host_uuid = capabilities ? capabilities_host_uuid(capabilities) : g_strdup("");
    r = virConnectGetVersion(job->connection, &version);
    host->hypervisor_version = version_text(r, version);
    r = virConnectGetLibVersion(job->connection, &version);
    host->library_version = version_text(r, version);
    free(name);
    free(capabilities);
}

static bool replace(char **slot, char **value)
{
    bool changed = !g_str_equal(*slot, *value);

    g_free(*slot);
    *slot = g_steal_pointer(value);
    return changed;
}

static void host_done(SourceJob *job, Source *source)
{
    HostJob *host = (HostJob *)job;
    bool changed = false;

    if (!source)
        return;
    changed |= replace(&source->type, &host->type);
    changed |= replace(&source->host_name, &host->host_name);
    changed |= replace(&source->host_uuid, &host->host_uuid);
    changed |= replace(&source->hypervisor_version, &host->hypervisor_version);
    changed |= replace(&source->library_version, &host->library_version);
    if (changed)
        source_changed(source, SOURCE_CHANGED_HOST);
}

static void host_free(SourceJob *job)
{
    HostJob *host = (HostJob *)job;

    g_free(host->type);
    g_free(host->host_name);
    g_free(host->host_uuid);
    g_free(host->hypervisor_version);
    g_free(host->library_version);
    g_free(host);
}

static const SourceJobKind host_kind = {host_work, host_done, host_free};

void source_read_host(Source *source)
{
    source_job_submit(source, source->control_lane, &((HostJob *)g_new0(HostJob, 1))->job, &host_kind, false,
                      NULL);
}
