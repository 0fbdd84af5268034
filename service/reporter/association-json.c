// SPDX-License-Identifier: LGPL-2.1-or-later
/* The three ways in which an association is written: as `virt-who -p` prints it, as a server takes it, and as
 * the text that its hash is made of. */
#include "service/reporter/association.h"

#include <stdlib.h>
#include <string.h>

#include "service/cleanup.h"
#include "service/reporter/json-text.h"

static void put(FILE *stream, const char *text)
{
    fputs_unlocked(text, stream);
}

static const AssociationHost *host_at(const Association *association, unsigned index)
{
    return association->hosts->pdata[index];
}

/* --- print: Python's json.dumps(indent=4), key order as in virt-who --- */

static void print_guest(FILE *stream, const AssociationGuest *guest)
{
    put(stream, "                {\n                    \"guestId\": ");
    json_text_write_string(stream, guest->uuid);
    fprintf(stream, ",\n                    \"state\": %d,\n", guest->state);
    put(stream, "                    \"attributes\": {\n                        \"virtWhoType\": ");
    json_text_write_string(stream, guest->type);
    put(stream, ",\n                        \"active\": ");
    put(stream, association_state_active(guest->state) ? "1" : "0");
    put(stream, "\n                    }\n                }");
}

static void print_guests(FILE *stream, const GArray *guests)
{
    put(stream, "            \"guestIds\": [");
    for (unsigned i = 0; i < guests->len; i++) {
        put(stream, i ? ",\n" : "\n");
        print_guest(stream, &g_array_index(guests, AssociationGuest, i));
    }
    put(stream, guests->len ? "\n            ]" : "]");
}

static void print_facts(FILE *stream, const GArray *facts)
{
    put(stream, ",\n            \"facts\": {");
    for (unsigned i = 0; i < facts->len; i++) {
        const AssociationFact *fact = &g_array_index(facts, AssociationFact, i);

        put(stream, i ? ",\n                " : "\n                ");
        json_text_write_string(stream, fact->name);
        put(stream, ": ");
        json_text_write_indented(stream, fact->json, 4);
    }
    put(stream, "\n            }");
}

static void print_host(FILE *stream, const AssociationHost *host, AssociationKind kind)
{
    put(stream, "        {\n");
    if (kind == ASSOCIATION_HOSTS) {
        put(stream, "            \"hypervisorId\": {\n                \"hypervisorId\": ");
        json_text_write_string(stream, host->id);
        put(stream, "\n            },\n");
        if (host->name) {
            put(stream, "            \"name\": ");
            json_text_write_string(stream, host->name);
            put(stream, ",\n");
        }
    }
    print_guests(stream, host->guests);
    if (kind == ASSOCIATION_HOSTS && host->facts->len)
        print_facts(stream, host->facts);
    put(stream, "\n        }");
}

void association_write_print(Association *const *associations, size_t count, FILE *stream)
{
    bool any = false;

    put(stream, "{\n    \"hypervisors\": [");
    for (size_t i = 0; i < count; i++)
        for (unsigned j = 0; j < associations[i]->hosts->len; j++) {
            put(stream, any ? ",\n" : "\n");
            print_host(stream, host_at(associations[i], j), associations[i]->kind);
            any = true;
        }
    put(stream, any ? "\n    ]\n}\n" : "]\n}\n");
}

/* --- the bodies of requests --- */

static void write_guest(FILE *stream, const AssociationGuest *guest)
{
    put(stream, "{\"guestId\":");
    json_text_write_string(stream, guest->uuid);
    fprintf(stream, ",\"state\":%d,\"attributes\":{\"virtWhoType\":", guest->state);
    json_text_write_string(stream, guest->type);
    /* A string: Candlepin's attributes are strings to strings, a number is tolerated at best. */
    put(stream, association_state_active(guest->state) ? ",\"active\":\"1\"}}" : ",\"active\":\"0\"}}");
}

static void write_guests(FILE *stream, const GArray *guests)
{
    put(stream, "\"guestIds\":[");
    for (unsigned i = 0; i < guests->len; i++) {
        if (i)
            put(stream, ",");
        write_guest(stream, &g_array_index(guests, AssociationGuest, i));
    }
    put(stream, "]");
}

/* Facts go out as strings. One without a value is left out: it would erase what the server knows. */
static void write_facts(FILE *stream, const GArray *facts)
{
    bool any = false;

    for (unsigned i = 0; i < facts->len; i++) {
        const AssociationFact *fact = &g_array_index(facts, AssociationFact, i);

        if (strcmp(fact->json, "null") == 0)
            continue;
        put(stream, any ? "," : ",\"facts\":{");
        any = true;
        json_text_write_string(stream, fact->name);
        put(stream, ":");
        if (fact->json[0] == '"')
            put(stream, fact->json);
        else
            json_text_write_string(stream, fact->json);
    }
    if (any)
        put(stream, "}");
}

static void write_host(FILE *stream, const AssociationHost *host)
{
    put(stream, "{\"hypervisorId\":{\"hypervisorId\":");
    json_text_write_string(stream, host->id);
    put(stream, "},");
    if (host->name) {
        put(stream, "\"name\":");
        json_text_write_string(stream, host->name);
        put(stream, ",");
    }
    write_guests(stream, host->guests);
    write_facts(stream, host->facts);
    put(stream, "}");
}

/* Lower-case id to the host that is sent for it. */
static GHashTable *last_hosts(Association *const *associations, size_t count)
{
    GHashTable *hosts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (size_t i = 0; i < count; i++)
        for (unsigned j = 0; associations[i]->kind == ASSOCIATION_HOSTS && j < associations[i]->hosts->len;
             j++) {
            const AssociationHost *host = host_at(associations[i], j);

            g_hash_table_replace(hosts, g_ascii_strdown(host->id, -1), (void *)host);
        }
    return hosts;
}

static void write_check_in(FILE *stream, Association *const *associations, size_t count)
{
    g_autoptr(GHashTable) last = last_hosts(associations, count);
    bool any = false;

    put(stream, "{\"hypervisors\":[");
    for (size_t i = 0; i < count; i++)
        for (unsigned j = 0; associations[i]->kind == ASSOCIATION_HOSTS && j < associations[i]->hosts->len;
             j++) {
            const AssociationHost *host = host_at(associations[i], j);
            g_autofree char *key = g_ascii_strdown(host->id, -1);

            if (g_hash_table_lookup(last, key) != host)
                continue;
            if (any)
                put(stream, ",");
            write_host(stream, host);
            any = true;
        }
    put(stream, "]}");
}

char *association_check_in_body(Association *const *associations, size_t count, size_t *ret_size)
{
    char *body = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&body, &size);

    if (!stream)
        return NULL;
    write_check_in(stream, associations, count);
    fclose(stream);
    if (ret_size)
        *ret_size = size;
    return body;
}

static void write_plain_guests(FILE *stream, const GArray *guests)
{
    put(stream, "\"guestIds\":[");
    for (unsigned i = 0; i < guests->len; i++) {
        if (i)
            put(stream, ",");
        json_text_write_string(stream, g_array_index(guests, AssociationGuest, i).uuid);
    }
    put(stream, "]");
}

char *association_guest_list_body(const Association *association, bool plain, size_t *ret_size)
{
    const AssociationHost *host = host_at(association, 0);
    char *body = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&body, &size);

    if (!stream)
        return NULL;
    put(stream, "{");
    (plain ? write_plain_guests : write_guests)(stream, host->guests);
    if (host->id) {
        put(stream, ",\"hypervisorId\":{\"hypervisorId\":");
        json_text_write_string(stream, host->id);
        put(stream, "}");
    }
    put(stream, "}");
    fclose(stream);
    if (ret_size)
        *ret_size = size;
    return body;
}

/* --- the hash --- */

static int compare_facts(const void *left, const void *right)
{
    const AssociationFact *a = left, *b = right;

    return strcmp(a->name, b->name) ?: strcmp(a->json, b->json);
}

/* One host with everything in it in order; copies, because an association is shared and never changed. */
static void write_canonical_host(FILE *stream, const AssociationHost *host, AssociationKind kind)
{
    g_autoptr(GArray) guests = g_array_copy(host->guests);
    g_autoptr(GArray) facts = g_array_copy(host->facts);
    AssociationHost sorted = {.id = host->id ?: "", .name = host->name, .guests = guests, .facts = facts};

    association_sort_guests(guests);
    g_array_sort(facts, compare_facts);
    put(stream, kind == ASSOCIATION_HOSTS ? "host" : "list");
    write_host(stream, &sorted);
}

static const AssociationHost **sorted_hosts(const Association *association)
{
    unsigned count = association->hosts->len;
    const AssociationHost **hosts = g_new(const AssociationHost *, count + 1);

    for (unsigned i = 0; i < count; i++)
        hosts[i] = host_at(association, i);
    qsort(hosts, count, sizeof(*hosts), association_compare_hosts);
    return hosts;
}

/* The hash of one association. The order between several does not matter, so each is hashed alone first. */
static void hash_one(const Association *association, char ret_hash[ASSOCIATION_HASH_SIZE])
{
    g_autofree const AssociationHost **hosts = sorted_hosts(association);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    if (!stream)
        g_error("out of memory");
    for (unsigned i = 0; i < association->hosts->len; i++)
        write_canonical_host(stream, hosts[i], association->kind);
    fclose(stream);
    g_autofree char *hash = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)text, size);

    g_strlcpy(ret_hash, hash, ASSOCIATION_HASH_SIZE);
    free(text);
}

static int compare_hashes(const void *left, const void *right)
{
    return memcmp(left, right, ASSOCIATION_HASH_SIZE);
}

void association_hash(Association *const *associations, size_t count, char ret_hash[ASSOCIATION_HASH_SIZE])
{
    g_autofree char(*hashes)[ASSOCIATION_HASH_SIZE] = g_malloc0((count + 1) * ASSOCIATION_HASH_SIZE);

    for (size_t i = 0; i < count; i++)
        hash_one(associations[i], hashes[i]);
    if (count == 1) {
        memcpy(ret_hash, hashes[0], ASSOCIATION_HASH_SIZE);
        return;
    }
    qsort(hashes, count, ASSOCIATION_HASH_SIZE, compare_hashes);
    g_autofree char *hash =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)hashes, count * ASSOCIATION_HASH_SIZE);

    g_strlcpy(ret_hash, hash, ASSOCIATION_HASH_SIZE);
}
