/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest-params.h"

#include <string.h>

#define KIB UINT64_C(1024)
#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
/* A time zone is at most this far from UTC, in seconds. */
#define OFFSET_MAX (18 * 3600)

/* Parameters by name: a search for each would take hours where a guest has 100,000 file systems. */
static GHashTable *index_new(const virTypedParameter *params, int count)
{
    GHashTable *index = g_hash_table_new(g_str_hash, g_str_equal);

    for (int i = 0; i < count; i++)
        g_hash_table_insert(index, (gpointer)params[i].field, (gpointer)&params[i]);
    return index;
}

/* The text of a parameter, NULL when it is missing or no text. */
static const char *index_text(GHashTable *index, const char *name)
{
    const virTypedParameter *param = g_hash_table_lookup(index, name);

    return param && param->type == VIR_TYPED_PARAM_STRING ? param->value.s : NULL;
}

static bool param_unsigned(const virTypedParameter *param, uint64_t *ret)
{
    switch (param->type) {
    case VIR_TYPED_PARAM_UINT:
        *ret = param->value.ui;
        return true;
    case VIR_TYPED_PARAM_ULLONG:
        *ret = param->value.ul;
        return true;
    case VIR_TYPED_PARAM_INT:
        *ret = (uint64_t)MAX(param->value.i, 0);
        return param->value.i >= 0;
    case VIR_TYPED_PARAM_LLONG:
        *ret = (uint64_t)MAX(param->value.l, 0);
        return param->value.l >= 0;
    default:
        return false;
    }
}

/* The number of a parameter, 0 when it is missing, negative or no whole number. */
static uint64_t index_number(GHashTable *index, const char *name)
{
    const virTypedParameter *param = g_hash_table_lookup(index, name);
    uint64_t number = 0;

    return param && param_unsigned(param, &number) ? number : 0;
}

/* "user.3.name" and the like. */
static const char *item_text(GHashTable *index, const char *group, unsigned item, const char *name)
{
    char field[VIR_TYPED_PARAM_FIELD_LENGTH];

    g_snprintf(field, sizeof field, "%s.%u.%s", group, item, name);
    return index_text(index, field);
}

static uint64_t item_number(GHashTable *index, const char *group, unsigned item, const char *name)
{
    char field[VIR_TYPED_PARAM_FIELD_LENGTH];

    g_snprintf(field, sizeof field, "%s.%u.%s", group, item, name);
    return index_number(index, field);
}

/* How many items of a list to look at: one more than is taken in, so that the cut shows. */
static unsigned item_count(GHashTable *index, const char *name, unsigned cap)
{
    return (unsigned)MIN(index_number(index, name), (uint64_t)cap + 1);
}

void guest_params_users(Observation *observation, const virTypedParameter *params, int count)
{
    g_autoptr(GHashTable) index = index_new(params, count);
    unsigned users = item_count(index, "user.count", GUEST_INTAKE_USERS_MAX);

    if (!g_hash_table_contains(index, "user.count"))
        return;
    observation_set_list(observation, GUEST_USERS);
    for (unsigned i = 0; i < users; i++) {
        const char *name = item_text(index, "user", i, "name");
        uint64_t login = item_number(index, "user", i, "login-time");

        if (name)
            observation_add_user(observation, name, item_text(index, "user", i, "domain"),
                                 login <= UINT64_MAX / USEC_PER_MSEC ? login * USEC_PER_MSEC : 0);
    }
}

/* qemu-ga tells the distribution ("debian"), not the kind of system. Of what it runs on, Windows and the BSDs
 * name themselves; a Linux without a distribution is known by how its kernel's version begins. */
static const char *os_type(GHashTable *index)
{
    static const char *const own_names[] = {"freebsd", "netbsd", "openbsd", "dragonfly", "solaris", "darwin"};
    const char *id = index_text(index, "os.id");
    const char *version = index_text(index, "os.kernel-version");

    if (!id || !*id)
        return version && *version == '#' ? "linux" : "";
    if (g_str_equal(id, "mswindows"))
        return "windows";
    for (size_t i = 0; i < G_N_ELEMENTS(own_names); i++)
        if (g_str_equal(id, own_names[i]))
            return own_names[i];
    return "linux";
}

static void set_os_name(Observation *observation, GHashTable *index)
{
    const char *pretty = index_text(index, "os.pretty-name"), *name = index_text(index, "os.name");
    const char *version = index_text(index, "os.version");
    g_autofree char *both = NULL;

    if (!(pretty && *pretty) && name)
        pretty = both = g_strdup_printf("%.*s%s%.*s", GUEST_TEXT_MAX, name, version ? " " : "",
                                        GUEST_TEXT_MAX, version ? version : "");
    observation_set_text(observation, GUEST_OS_NAME, pretty);
}

void guest_params_os(Observation *observation, const virTypedParameter *params, int count)
{
    g_autoptr(GHashTable) index = index_new(params, count);
    const char *type = os_type(index), *kernel = index_text(index, "os.kernel-release");
    bool windows = g_str_equal(type, "windows");
    bool any = false;

    for (int i = 0; i < count && !any; i++)
        any = g_str_has_prefix(params[i].field, "os.");
    if (!any)
        return;
    observation_set_text(observation, GUEST_OS_TYPE, type);
    set_os_name(observation, index);
    observation_set_text(observation, GUEST_OS_VERSION,
                         windows ? index_text(index, "os.pretty-name") : kernel);
    observation_set_text(observation, GUEST_KERNEL_RELEASE, kernel);
    observation_set_text(observation, GUEST_ARCHITECTURE, index_text(index, "os.machine"));
}

/* A guest whose host name is a whole one says so; of others the domain is not known. */
void guest_params_host_name(Observation *observation, const virTypedParameter *params, int count)
{
    g_autoptr(GHashTable) index = index_new(params, count);
    const char *name = index_text(index, "hostname");

    if (!name)
        return;
    observation_set_text(observation, GUEST_HOST_NAME, name);
    observation_set_text(observation, GUEST_FQDN, strchr(name, '.') ? name : "");
}

void guest_params_timezone(Observation *observation, const virTypedParameter *params, int count)
{
    g_autoptr(GHashTable) index = index_new(params, count);
    const virTypedParameter *offset = g_hash_table_lookup(index, "timezone.offset");
    const char *name = index_text(index, "timezone.name");
    int seconds = offset && offset->type == VIR_TYPED_PARAM_INT ? offset->value.i : 0;

    if (!name && !(offset && offset->type == VIR_TYPED_PARAM_INT))
        return;
    observation_set_timezone(observation, name, CLAMP(seconds, -OFFSET_MAX, OFFSET_MAX));
}

void guest_params_filesystems(Observation *observation, const virTypedParameter *params, int count)
{
    g_autoptr(GHashTable) index = index_new(params, count);
    unsigned filesystems = item_count(index, "fs.count", GUEST_INTAKE_FILESYSTEMS_MAX);

    if (!g_hash_table_contains(index, "fs.count"))
        return;
    observation_set_list(observation, GUEST_FILESYSTEMS);
    for (unsigned i = 0; i < filesystems; i++) {
        const char *mount_point = item_text(index, "fs", i, "mountpoint");

        if (mount_point)
            observation_add_filesystem(observation, mount_point, item_text(index, "fs", i, "name"),
                                       item_text(index, "fs", i, "fstype"),
                                       item_number(index, "fs", i, "total-bytes"),
                                       item_number(index, "fs", i, "used-bytes"));
    }
}

static void add_addresses(Observation *observation, GuestInterface *interface, const virDomainInterface *from)
{
    for (unsigned i = 0; i < from->naddrs && i <= GUEST_INTAKE_ADDRESSES_MAX; i++)
        if (from->addrs[i].addr)
            observation_add_address(observation, interface, from->addrs[i].addr, from->addrs[i].prefix);
}

void guest_params_interfaces(Observation *observation, const virDomainInterfacePtr *interfaces, int count)
{
    observation_set_list(observation, GUEST_INTERFACES);
    for (int i = 0; i < count && i <= GUEST_INTAKE_INTERFACES_MAX; i++)
        if (interfaces[i] && interfaces[i]->name)
            add_addresses(observation,
                          observation_add_interface(observation, interfaces[i]->name, interfaces[i]->hwaddr),
                          interfaces[i]);
}

/* In KiB, 0 for unknown. */
typedef struct MemoryFigures {
    uint64_t usable, unused, available, caches;
    uint64_t updated; /* seconds since the epoch */
} MemoryFigures;

static uint64_t bytes(uint64_t kib)
{
    return kib <= UINT64_MAX / KIB ? kib * KIB : 0;
}

/* What could be used without swapping, as the guest's kernel says; older ones say only what is free, and what
 * caches hold. */
static uint64_t set_memory(Observation *observation, const MemoryFigures *figures)
{
    uint64_t available = bytes(figures->usable ? figures->usable : figures->unused + figures->caches);
    uint64_t total = bytes(figures->available);

    if (figures->updated == 0 || figures->updated > UINT64_MAX / USEC_PER_SEC || (!available && !total))
        return 0;
    if (available)
        observation_set_number(observation, GUEST_AVAILABLE_MEMORY,
                               total ? MIN(available, total) : available);
    if (total)
        observation_set_number(observation, GUEST_TOTAL_MEMORY, total);
    return figures->updated * USEC_PER_SEC;
}

uint64_t guest_params_balloon(Observation *observation, const virTypedParameter *params, int count)
{
    g_autoptr(GHashTable) index = index_new(params, count);
    const MemoryFigures figures = {
        .usable = index_number(index, "balloon.usable"),
        .unused = index_number(index, "balloon.unused"),
        .available = index_number(index, "balloon.available"),
        .caches = index_number(index, "balloon.disk_caches"),
        .updated = index_number(index, "balloon.last-update"),
    };

    return set_memory(observation, &figures);
}

uint64_t guest_params_memory(Observation *observation, const virDomainMemoryStatStruct *stats, int count)
{
    MemoryFigures figures = {0};

    for (int i = 0; i < count; i++)
        switch (stats[i].tag) {
        case VIR_DOMAIN_MEMORY_STAT_USABLE:
            figures.usable = stats[i].val;
            break;
        case VIR_DOMAIN_MEMORY_STAT_UNUSED:
            figures.unused = stats[i].val;
            break;
        case VIR_DOMAIN_MEMORY_STAT_AVAILABLE:
            figures.available = stats[i].val;
            break;
        case VIR_DOMAIN_MEMORY_STAT_DISK_CACHES:
            figures.caches = stats[i].val;
            break;
        case VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE:
            figures.updated = stats[i].val;
            break;
        }
    return set_memory(observation, &figures);
}
