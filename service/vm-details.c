/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/vm.h"

#include "service/guest/text.h"

#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <string.h>

/* The namespaces that others put into a domain's <metadata>. */
#define NAMESPACE_LIBOSINFO "http://libosinfo.org/xmlns/libvirt/domain/1.0"
#define NAMESPACE_OVIRT_VM "http://ovirt.org/vm/1.0"

/* Where vdsm puts its sockets; a VM with one of these is oVirt's even without its metadata. */
#define OVIRT_CHANNEL_DIRECTORY "/var/lib/libvirt/qemu/channels/"

static void graphics_free(gpointer data)
{
    VMGraphics *graphics = data;

    g_free(graphics->type);
    g_free(graphics->address);
    g_free(graphics->socket);
    g_free(graphics);
}

static void channel_free(gpointer data)
{
    VMChannel *channel = data;

    g_free(channel->name);
    g_free(channel->path);
    g_free(channel);
}

VMDetails *vm_details_new(void)
{
    VMDetails *details = g_new0(VMDetails, 1);

    details->title = g_strdup("");
    details->description = g_strdup("");
    details->os_id = g_strdup("");
    details->graphics = g_ptr_array_new_with_free_func(graphics_free);
    details->channels = g_ptr_array_new_with_free_func(channel_free);
    details->nics = g_ptr_array_new_with_free_func(g_free);
    details->networks = g_ptr_array_new_with_free_func(g_free);
    return details;
}

VMDetails *vm_details_free(VMDetails *details)
{
    if (!details)
        return NULL;
    g_free(details->title);
    g_free(details->description);
    g_free(details->os_id);
    g_ptr_array_unref(details->graphics);
    g_ptr_array_unref(details->channels);
    g_ptr_array_unref(details->nics);
    g_ptr_array_unref(details->networks);
    g_free(details);
    return NULL;
}

bool vm_graphics_equal(const GPtrArray *a, const GPtrArray *b)
{
    if (a->len != b->len)
        return false;
    for (guint i = 0; i < a->len; i++) {
        const VMGraphics *x = a->pdata[i], *y = b->pdata[i];

        if (!g_str_equal(x->type, y->type) || !g_str_equal(x->address, y->address) ||
            !g_str_equal(x->socket, y->socket) || x->port != y->port || x->tls_port != y->tls_port ||
            x->websocket != y->websocket)
            return false;
    }
    return true;
}

/* libxml2's strings are xmlChar and freed by xmlFree; from here on they are ours. */
static char *take_text(xmlChar *text, size_t limit, unsigned *cut)
{
    char *cleaned = text_clean(text ? (const char *)text : "", -1, limit, cut);

    xmlFree(text);
    return cleaned;
}

static char *attribute(const xmlNode *node, const char *name)
{
    return take_text(xmlGetProp(node, BAD_CAST name), VM_TEXT_BYTES_MAX, NULL);
}

static bool attribute_is(const xmlNode *node, const char *name, const char *value)
{
    g_autofree char *text = attribute(node, name);

    return g_str_equal(text, value);
}

static bool is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && g_str_equal((const char *)node->name, name);
}

static xmlNode *child(const xmlNode *node, const char *name)
{
    for (xmlNode *c = node ? node->children : NULL; c; c = c->next)
        if (is_element(c, name))
            return c;
    return NULL;
}

/* A port of a running VM; -1 and what is out of range say that there is none. */
static uint16_t port_attribute(const xmlNode *node, const char *name)
{
    g_autofree char *text = attribute(node, name);
    guint64 port;

    return g_ascii_string_to_unsigned(text, 10, 1, UINT16_MAX, &port, NULL) ? (uint16_t)port : 0;
}

static void read_graphics(VMDetails *details, xmlNode *node)
{
    VMGraphics *graphics;
    xmlNode *listen = child(node, "listen");

    if (details->graphics->len >= VM_GRAPHICS_MAX) {
        details->cut = 1;
        return;
    }
    graphics = g_new0(VMGraphics, 1);
    graphics->type = attribute(node, "type");
    graphics->address = attribute(node, "listen");
    graphics->socket = attribute(node, "socket");
    if (!*graphics->address && listen) {
        g_free(graphics->address);
        graphics->address = attribute(listen, "address");
    }
    if (!*graphics->socket && listen) {
        g_free(graphics->socket);
        graphics->socket = attribute(listen, "socket");
    }
    graphics->port = port_attribute(node, "port");
    graphics->tls_port = port_attribute(node, "tlsPort");
    graphics->websocket = port_attribute(node, "websocket");
    g_ptr_array_add(details->graphics, graphics);
}

static void read_channel(VMDetails *details, xmlNode *node)
{
    xmlNode *target = child(node, "target"), *source = child(node, "source");
    VMChannel *channel;

    if (!target || !attribute_is(target, "type", "virtio") || details->channels->len >= VM_CHANNELS_MAX)
        return;
    channel = g_new0(VMChannel, 1);
    channel->name = attribute(target, "name");
    channel->path = source ? attribute(source, "path") : g_strdup("");
    channel->connected = attribute_is(target, "state", "connected");
    if (g_str_has_prefix(channel->path, OVIRT_CHANNEL_DIRECTORY))
        details->managed_by_ovirt = true;
    g_ptr_array_add(details->channels, channel);
}

static void read_interface(VMDetails *details, xmlNode *node)
{
    xmlNode *mac = child(node, "mac"), *source = child(node, "source");

    if (mac && details->nics->len < VM_NICS_MAX) {
        g_autofree char *address = attribute(mac, "address");

        g_ptr_array_add(details->nics, g_ascii_strdown(address, -1));
    }
    if (attribute_is(node, "type", "bridge"))
        details->bridged = true;
    if (source && attribute_is(node, "type", "network") && details->networks->len < VM_NICS_MAX)
        g_ptr_array_add(details->networks, attribute(source, "network"));
}

static void read_balloon(VMDetails *details, xmlNode *node)
{
    xmlNode *stats = child(node, "stats");
    g_autofree char *period = stats ? attribute(stats, "period") : NULL;

    details->has_balloon = !attribute_is(node, "model", "none");
    if (period)
        details->stats_period = (unsigned)g_ascii_strtoull(period, NULL, 10);
}

static void read_devices(VMDetails *details, xmlNode *devices)
{
    for (xmlNode *node = devices ? devices->children : NULL; node; node = node->next) {
        if (is_element(node, "graphics"))
            read_graphics(details, node);
        else if (is_element(node, "channel"))
            read_channel(details, node);
        else if (is_element(node, "interface"))
            read_interface(details, node);
        else if (is_element(node, "memballoon"))
            read_balloon(details, node);
    }
}

/* The operating system's libosinfo id: <libosinfo:libosinfo><libosinfo:os id="..."/> */
static void read_metadata(VMDetails *details, xmlNode *metadata)
{
    for (xmlNode *node = metadata ? metadata->children : NULL; node; node = node->next) {
        const char *ns = node->ns ? (const char *)node->ns->href : "";

        if (g_str_equal(ns, NAMESPACE_OVIRT_VM))
            details->managed_by_ovirt = true;
        if (g_str_equal(ns, NAMESPACE_LIBOSINFO) && is_element(node, "libosinfo") && child(node, "os")) {
            g_free(details->os_id);
            details->os_id = attribute(child(node, "os"), "id");
        }
    }
}

static void read_text(char **slot, xmlNode *node, size_t limit, unsigned *cut)
{
    if (!node)
        return;
    g_free(*slot);
    *slot = take_text(xmlNodeGetContent(node), limit, cut);
}

VMDetails *vm_details_parse(const char *xml)
{
    VMDetails *details = vm_details_new();
    /* No network, no external entities: the text is the hypervisor's, but parts of it come from others. */
    xmlDoc *doc = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

    if (root && is_element(root, "domain")) {
        read_text(&details->title, child(root, "title"), VM_TEXT_BYTES_MAX, &details->cut);
        read_text(&details->description, child(root, "description"), VM_DESCRIPTION_BYTES_MAX, &details->cut);
        read_metadata(details, child(root, "metadata"));
        read_devices(details, child(root, "devices"));
    }
    xmlFreeDoc(doc);
    return details;
}
