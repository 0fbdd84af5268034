/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest/observation.h"

#include <string.h>

#include "service/guest/text.h"

enum { MAC_LENGTH = 17 }; /* "52:54:00:12:34:56" */

static void interface_free(void *data)
{
    GuestInterface *interface = data;

    g_free(interface->name);
    g_free(interface->mac);
    g_array_unref(interface->addresses);
    g_free(interface);
}

static void user_free(void *data)
{
    GuestUser *user = data;

    g_free(user->name);
    g_free(user->domain);
    g_free(user);
}

static void filesystem_free(void *data)
{
    GuestFilesystem *filesystem = data;

    g_free(filesystem->mount_point);
    g_free(filesystem->device);
    g_free(filesystem->type);
    g_free(filesystem);
}

GPtrArray *guest_list_new(GuestField field)
{
    static const GDestroyNotify release[GUEST_LIST_COUNT] = {
        [GUEST_INTERFACES - GUEST_NUMBER_END] = interface_free,
        [GUEST_APPLICATIONS - GUEST_NUMBER_END] = g_free,
        [GUEST_USERS - GUEST_NUMBER_END] = user_free,
        [GUEST_FILESYSTEMS - GUEST_NUMBER_END] = filesystem_free,
    };

    return g_ptr_array_new_with_free_func(release[field - GUEST_NUMBER_END]);
}

GuestInterface *guest_interface_new(const char *name, const char *mac)
{
    GuestInterface *interface = g_new(GuestInterface, 1);

    interface->name = g_strdup(name);
    interface->mac = g_strdup(mac);
    interface->addresses = g_array_new(FALSE, FALSE, sizeof(GuestAddress));
    return interface;
}

GuestUser *guest_user_new(const char *name, const char *domain, uint64_t login_time)
{
    GuestUser *user = g_new(GuestUser, 1);

    user->name = g_strdup(name);
    user->domain = g_strdup(domain);
    user->login_time = login_time;
    return user;
}

Observation *observation_new(GuestOrigin origin, uint64_t time)
{
    Observation *observation = g_new0(Observation, 1);

    observation->origin = origin;
    observation->time = time;
    return observation;
}

void observation_free(Observation *observation)
{
    if (!observation)
        return;
    guest_values_clear_all(&observation->values);
    g_free(observation);
}

static char *clean(Observation *observation, GuestField field, const char *text)
{
    unsigned cut = 0;
    char *cleaned = text_clean(text, -1, GUEST_TEXT_MAX, &cut);

    if (cut)
        observation->truncated |= GUEST_BIT(field);
    return cleaned;
}

void observation_set_text(Observation *observation, GuestField field, const char *text)
{
    char *cleaned = clean(observation, field, text);

    g_free(observation->values.text[field]);
    observation->values.text[field] = cleaned;
    observation->values.given |= GUEST_BIT(field);
}

void observation_set_number(Observation *observation, GuestField field, uint64_t number)
{
    guest_values_number(&observation->values, field) = number;
    observation->values.given |= GUEST_BIT(field);
}

void observation_set_timezone(Observation *observation, const char *name, int32_t offset)
{
    observation_set_text(observation, GUEST_TIMEZONE, name);
    observation->values.timezone_offset = offset;
}

void observation_set_list(Observation *observation, GuestField field)
{
    if (!guest_values_list(&observation->values, field))
        guest_values_list(&observation->values, field) = guest_list_new(field);
    observation->values.given |= GUEST_BIT(field);
}

/* The list to add to, or NULL when it is full. */
static GPtrArray *list_with_room(Observation *observation, GuestField field, unsigned max)
{
    GPtrArray *list;

    observation_set_list(observation, field);
    list = guest_values_list(&observation->values, field);
    if (list->len < max)
        return list;
    observation->truncated |= GUEST_BIT(field);
    return NULL;
}

/* Windows writes "52-54-00-..", everybody else colons. What is no MAC is left out: it could only confuse the
 * comparison with the VM's own. */
static void mac_normalize(const char *mac, char ret_mac[static MAC_LENGTH + 1])
{
    ret_mac[0] = '\0';
    if (!mac || strlen(mac) != MAC_LENGTH)
        return;
    for (unsigned i = 0; i < MAC_LENGTH; i++) {
        if (i % 3 == 2 ? mac[i] != ':' && mac[i] != '-' : !g_ascii_isxdigit(mac[i])) {
            ret_mac[0] = '\0';
            return;
        }
        ret_mac[i] = i % 3 == 2 ? ':' : g_ascii_tolower(mac[i]);
    }
    ret_mac[MAC_LENGTH] = '\0';
}

GuestInterface *observation_add_interface(Observation *observation, const char *name, const char *mac)
{
    GPtrArray *list = list_with_room(observation, GUEST_INTERFACES, GUEST_INTAKE_INTERFACES_MAX);
    g_autofree char *cleaned = NULL;
    char normal[MAC_LENGTH + 1];
    GuestInterface *interface;

    if (!list)
        return NULL;
    cleaned = clean(observation, GUEST_INTERFACES, name);
    mac_normalize(mac, normal);
    interface = guest_interface_new(cleaned, normal);
    g_ptr_array_add(list, interface);
    return interface;
}

void observation_add_address(Observation *observation, GuestInterface *interface, const char *text,
                             unsigned prefix)
{
    GuestAddress address;

    if (!interface || !text || guest_address_parse(text, prefix, &address) < 0)
        return;
    for (unsigned i = 0; i < interface->addresses->len; i++)
        if (guest_address_equal(&g_array_index(interface->addresses, GuestAddress, i), &address))
            return;
    if (interface->addresses->len >= GUEST_INTAKE_ADDRESSES_MAX) {
        observation->truncated |= GUEST_BIT(GUEST_INTERFACES);
        return;
    }
    g_array_append_val(interface->addresses, address);
}

void observation_add_application(Observation *observation, const char *name)
{
    GPtrArray *list = list_with_room(observation, GUEST_APPLICATIONS, GUEST_INTAKE_APPLICATIONS_MAX);

    if (!list)
        return;
    observation->application_bytes += strlen(name) + 1;
    if (observation->application_bytes <= GUEST_INTAKE_APPLICATIONS_BYTES)
        g_ptr_array_add(list, clean(observation, GUEST_APPLICATIONS, name));
    else
        observation->truncated |= GUEST_BIT(GUEST_APPLICATIONS);
}

void observation_add_user(Observation *observation, const char *name, const char *domain, uint64_t login_time)
{
    GPtrArray *list = list_with_room(observation, GUEST_USERS, GUEST_INTAKE_USERS_MAX);
    g_autofree char *cleaned_name = NULL, *cleaned_domain = NULL;

    if (!list)
        return;
    cleaned_name = clean(observation, GUEST_USERS, name);
    cleaned_domain = clean(observation, GUEST_USERS, domain);
    g_ptr_array_add(list, guest_user_new(cleaned_name, cleaned_domain, login_time));
}

void observation_add_filesystem(Observation *observation, const char *mount_point, const char *device,
                                const char *type, uint64_t total, uint64_t used)
{
    GPtrArray *list = list_with_room(observation, GUEST_FILESYSTEMS, GUEST_INTAKE_FILESYSTEMS_MAX);
    GuestFilesystem *filesystem;

    if (!list)
        return;
    filesystem = g_new0(GuestFilesystem, 1);
    filesystem->mount_point = clean(observation, GUEST_FILESYSTEMS, mount_point);
    filesystem->device = clean(observation, GUEST_FILESYSTEMS, device);
    filesystem->type = clean(observation, GUEST_FILESYSTEMS, type);
    filesystem->total = total;
    filesystem->used = used;
    g_ptr_array_add(list, filesystem);
}
