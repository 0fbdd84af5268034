/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dbus/guest-dbus.h"

#include "dbus/getter.h"
#include "dbus/object.h"
#include "service/guest/guest.h"

GETTER(get_agents);
GETTER(get_responsive);
GETTER(get_last_seen);
GETTER(get_host_name);
GETTER(get_fqdn);
GETTER(get_os_type);
GETTER(get_os_name);
GETTER(get_os_version);
GETTER(get_kernel_release);
GETTER(get_architecture);
GETTER(get_timezone);
GETTER(get_ipv4_addresses);
GETTER(get_ip_addresses);
GETTER(get_interfaces);
GETTER(get_applications);
GETTER(get_available_memory);
GETTER(get_total_memory);
GETTER(get_users);
GETTER(get_active_user);
GETTER(get_session_state);
GETTER(get_filesystems);
GETTER(get_origins);
GETTER(get_scheduled_shutdown);
GETTER(get_truncated);

#define INTERFACE "org.guestbus1.Guest"
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define SILENT 0 /* moves all the time */
#define LARGE (SD_BUS_VTABLE_PROPERTY_EXPLICIT | SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION)
#define OPTIONS SD_BUS_PARAM(options)
/* Everybody may call; what acts asks polkit first, in its handler. */
#define METHOD(name, in, in_names, handler)                                                                  \
    SD_BUS_METHOD_WITH_NAMES(name, in, in_names, NULL, , handler, SD_BUS_VTABLE_UNPRIVILEGED)

static const sd_bus_vtable vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("Agents", "as", get_agents, 0, CHANGES),
    SD_BUS_PROPERTY("Responsive", "b", get_responsive, 0, CHANGES),
    SD_BUS_PROPERTY("LastSeen", "t", get_last_seen, 0, SILENT),
    SD_BUS_PROPERTY("HostName", "s", get_host_name, 0, CHANGES),
    SD_BUS_PROPERTY("FQDN", "s", get_fqdn, 0, CHANGES),
    SD_BUS_PROPERTY("OSType", "s", get_os_type, 0, CHANGES),
    SD_BUS_PROPERTY("OSName", "s", get_os_name, 0, CHANGES),
    SD_BUS_PROPERTY("OSVersion", "s", get_os_version, 0, CHANGES),
    SD_BUS_PROPERTY("KernelRelease", "s", get_kernel_release, 0, CHANGES),
    SD_BUS_PROPERTY("Architecture", "s", get_architecture, 0, CHANGES),
    SD_BUS_PROPERTY("Timezone", "(si)", get_timezone, 0, CHANGES),
    SD_BUS_PROPERTY("IPv4Addresses", "as", get_ipv4_addresses, 0, CHANGES),
    SD_BUS_PROPERTY("IPAddresses", "as", get_ip_addresses, 0, CHANGES),
    SD_BUS_PROPERTY("Interfaces", "a(ssa(su))", get_interfaces, 0, CHANGES),
    SD_BUS_PROPERTY("Applications", "as", get_applications, 0, LARGE),
    SD_BUS_PROPERTY("AvailableMemory", "t", get_available_memory, 0, SILENT),
    SD_BUS_PROPERTY("TotalMemory", "t", get_total_memory, 0, CHANGES),
    SD_BUS_PROPERTY("Users", "a(sst)", get_users, 0, CHANGES),
    SD_BUS_PROPERTY("ActiveUser", "s", get_active_user, 0, CHANGES),
    SD_BUS_PROPERTY("SessionState", "s", get_session_state, 0, CHANGES),
    SD_BUS_PROPERTY("Filesystems", "a(ssstt)", get_filesystems, 0, LARGE),
    SD_BUS_PROPERTY("Origins", "a{s(st)}", get_origins, 0, SILENT),
    SD_BUS_PROPERTY("ScheduledShutdown", "(st)", get_scheduled_shutdown, 0, CHANGES),
    SD_BUS_PROPERTY("Truncated", "b", get_truncated, 0, CHANGES),
    METHOD("LockScreen", "a{sv}", OPTIONS, guest_method_lock_screen),
    SD_BUS_METHOD_WITH_NAMES("Login", "ssa{sv}", SD_BUS_PARAM(user) SD_BUS_PARAM(password) OPTIONS, NULL, ,
                             guest_method_login, SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE),
    METHOD("Logoff", "a{sv}", OPTIONS, guest_method_logoff),
    METHOD("Shutdown", "usa{sv}", SD_BUS_PARAM(delay) SD_BUS_PARAM(message) OPTIONS, guest_method_shutdown),
    METHOD("Reboot", "usa{sv}", SD_BUS_PARAM(delay) SD_BUS_PARAM(message) OPTIONS, guest_method_reboot),
    METHOD("CancelShutdown", "a{sv}", OPTIONS, guest_method_cancel_shutdown),
    METHOD("Refresh", "a{sv}", OPTIONS, guest_method_refresh),
    SD_BUS_SIGNAL("PowerUp", NULL, 0),
    SD_BUS_SIGNAL("PowerDown", NULL, 0),
    SD_BUS_SIGNAL_WITH_NAMES("Heartbeat", "t", SD_BUS_PARAM(available_memory), 0),
    SD_BUS_SIGNAL_WITH_NAMES("UserInfo", "s", SD_BUS_PARAM(active_user), 0),
    SD_BUS_SIGNAL("SessionLock", NULL, 0),
    SD_BUS_SIGNAL("SessionUnlock", NULL, 0),
    SD_BUS_SIGNAL_WITH_NAMES("SessionLogon", "s", SD_BUS_PARAM(user), 0),
    SD_BUS_SIGNAL_WITH_NAMES("SessionLogoff", "s", SD_BUS_PARAM(user), 0),
    SD_BUS_SIGNAL("AgentUninstalled", NULL, 0),
    SD_BUS_VTABLE_END,
};

int guest_dbus_export(Bus *bus)
{
    return sd_bus_add_fallback_vtable(bus->bus, NULL, BUS_VM_PREFIX, INTERFACE, vtable, object_find_vm, bus);
}

void guest_dbus_changed(Bus *bus, VM *vm, uint32_t changes)
{
    const char *names[GUEST_PROPERTY_COUNT + 1];
    size_t n = 0;

    if (!bus->manager->announced)
        return;
    for (unsigned property = 0; property < GUEST_PROPERTY_COUNT; property++)
        if (changes & GUEST_BIT(property))
            names[n++] = guest_property_name(property);
    names[n] = NULL;
    (void)sd_bus_emit_properties_changed_strv(bus->bus, vm_face(vm)->path, INTERFACE, (char **)names);
}

void guest_dbus_signal(Bus *bus, VM *vm, GuestSignal signal, const char *text, uint64_t number)
{
    static const struct {
        const char *name;
        char argument; /* s: the text, t: the number, 0: none */
    } table[GUEST_SIGNAL_COUNT] = {
        [GUEST_POWER_UP] = {"PowerUp", 0},
        [GUEST_POWER_DOWN] = {"PowerDown", 0},
        [GUEST_HEARTBEAT] = {"Heartbeat", 't'},
        [GUEST_USER_INFO] = {"UserInfo", 's'},
        [GUEST_SESSION_LOCK] = {"SessionLock", 0},
        [GUEST_SESSION_UNLOCK] = {"SessionUnlock", 0},
        [GUEST_SESSION_LOGON] = {"SessionLogon", 's'},
        [GUEST_SESSION_LOGOFF] = {"SessionLogoff", 's'},
        [GUEST_AGENT_UNINSTALLED] = {"AgentUninstalled", 0},
    };
    const char *path = vm_face(vm)->path, *name = table[signal].name;

    if (!bus->manager->announced)
        return;
    if (table[signal].argument == 's')
        (void)sd_bus_emit_signal(bus->bus, path, INTERFACE, name, "s", text);
    else if (table[signal].argument == 't')
        (void)sd_bus_emit_signal(bus->bus, path, INTERFACE, name, "t", number);
    else
        (void)sd_bus_emit_signal(bus->bus, path, INTERFACE, name, NULL);
}

static const Guest *guest_of(void *userdata)
{
    return ((VM *)userdata)->guest;
}

static const GPtrArray *list_of(void *userdata, GuestField field)
{
    return guest_values_list(&guest_of(userdata)->values, field);
}

/* sd-bus writes a NULL as "". */
static int append_text(sd_bus_message *reply, void *userdata, GuestField field)
{
    return sd_bus_message_append(reply, "s", guest_of(userdata)->values.text[field]);
}

static int append_number(sd_bus_message *reply, void *userdata, GuestField field)
{
    return sd_bus_message_append(reply, "t", guest_values_number(&guest_of(userdata)->values, field));
}

GETTER(get_agents)
{
    int r = sd_bus_message_open_container(reply, 'a', "s");

    for (GuestOrigin origin = 0; r >= 0 && origin < GUEST_ORIGIN_BALLOON; origin++)
        if (guest_has_agent(guest_of(userdata), origin))
            r = sd_bus_message_append(reply, "s", guest_origin_name(origin));
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_responsive)
{
    return sd_bus_message_append(reply, "b", guest_of(userdata)->responsive);
}

GETTER(get_last_seen)
{
    return sd_bus_message_append(reply, "t", guest_of(userdata)->last_seen);
}

GETTER(get_host_name)
{
    return append_text(reply, userdata, GUEST_HOST_NAME);
}

GETTER(get_fqdn)
{
    return append_text(reply, userdata, GUEST_FQDN);
}

GETTER(get_os_type)
{
    return append_text(reply, userdata, GUEST_OS_TYPE);
}

GETTER(get_os_name)
{
    return append_text(reply, userdata, GUEST_OS_NAME);
}

GETTER(get_os_version)
{
    return append_text(reply, userdata, GUEST_OS_VERSION);
}

GETTER(get_kernel_release)
{
    return append_text(reply, userdata, GUEST_KERNEL_RELEASE);
}

GETTER(get_architecture)
{
    return append_text(reply, userdata, GUEST_ARCHITECTURE);
}

GETTER(get_timezone)
{
    const GuestValues *values = &guest_of(userdata)->values;

    return sd_bus_message_append(reply, "(si)", values->text[GUEST_TIMEZONE], values->timezone_offset);
}

static int append_addresses(sd_bus_message *reply, void *userdata, bool four_only)
{
    g_autoptr(GPtrArray) list = guest_list_addresses(list_of(userdata, GUEST_INTERFACES), four_only);
    char buffer[GUEST_ADDRESS_TEXT_MAX];
    int r = sd_bus_message_open_container(reply, 'a', "s");

    for (guint i = 0; r >= 0 && i < list->len; i++)
        r = sd_bus_message_append(reply, "s", guest_address_format(list->pdata[i], buffer));
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_ipv4_addresses)
{
    return append_addresses(reply, userdata, true);
}

GETTER(get_ip_addresses)
{
    return append_addresses(reply, userdata, false);
}

static int append_interface(sd_bus_message *reply, const GuestInterface *interface)
{
    char buffer[GUEST_ADDRESS_TEXT_MAX];
    int r = sd_bus_message_open_container(reply, 'r', "ssa(su)");

    if (r >= 0)
        r = sd_bus_message_append(reply, "ss", interface->name, interface->mac);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(su)");
    for (guint i = 0; r >= 0 && i < interface->addresses->len; i++) {
        const GuestAddress *address = &g_array_index(interface->addresses, GuestAddress, i);

        r = sd_bus_message_append(reply, "(su)", guest_address_format(address, buffer),
                                  (uint32_t)address->prefix);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_interfaces)
{
    const GPtrArray *list = list_of(userdata, GUEST_INTERFACES);
    int r = sd_bus_message_open_container(reply, 'a', "(ssa(su))");

    for (guint i = 0; r >= 0 && list && i < list->len; i++)
        r = append_interface(reply, list->pdata[i]);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_applications)
{
    const GPtrArray *list = list_of(userdata, GUEST_APPLICATIONS);
    int r = sd_bus_message_open_container(reply, 'a', "s");

    for (guint i = 0; r >= 0 && list && i < list->len; i++)
        r = sd_bus_message_append(reply, "s", list->pdata[i]);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_available_memory)
{
    return append_number(reply, userdata, GUEST_AVAILABLE_MEMORY);
}

GETTER(get_total_memory)
{
    return append_number(reply, userdata, GUEST_TOTAL_MEMORY);
}

GETTER(get_users)
{
    const GPtrArray *list = list_of(userdata, GUEST_USERS);
    int r = sd_bus_message_open_container(reply, 'a', "(sst)");

    for (guint i = 0; r >= 0 && list && i < list->len; i++) {
        const GuestUser *user = list->pdata[i];

        r = sd_bus_message_append(reply, "(sst)", user->name, user->domain, user->login_time);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_active_user)
{
    return append_text(reply, userdata, GUEST_ACTIVE_USER);
}

GETTER(get_session_state)
{
    uint64_t session = guest_values_number(&guest_of(userdata)->values, GUEST_SESSION_STATE);

    return sd_bus_message_append(reply, "s", guest_session_name(session));
}

GETTER(get_filesystems)
{
    const GPtrArray *list = list_of(userdata, GUEST_FILESYSTEMS);
    int r = sd_bus_message_open_container(reply, 'a', "(ssstt)");

    for (guint i = 0; r >= 0 && list && i < list->len; i++) {
        const GuestFilesystem *filesystem = list->pdata[i];

        r = sd_bus_message_append(reply, "(ssstt)", filesystem->mount_point, filesystem->device,
                                  filesystem->type, filesystem->total, filesystem->used);
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_origins)
{
    int r = sd_bus_message_open_container(reply, 'a', "{s(st)}");
    GuestOrigin origin;
    uint64_t time;

    for (unsigned i = 0; r >= 0 && i < GUEST_PROPERTY_COUNT; i++)
        if (guest_property_origin(guest_of(userdata), i, &origin, &time))
            r = sd_bus_message_append(reply, "{s(st)}", guest_property_name(i), guest_origin_name(origin),
                                      time);
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

GETTER(get_scheduled_shutdown)
{
    const Guest *guest = guest_of(userdata);

    return sd_bus_message_append(reply, "(st)", guest->scheduled_verb, guest->scheduled_time);
}

GETTER(get_truncated)
{
    return sd_bus_message_append(reply, "b", guest_of(userdata)->cut != 0);
}
