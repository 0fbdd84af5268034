/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/guest-lease.h"

#include "service/error.h"
#include "service/guest-params.h"
#include "service/guest/guest.h"
#include "service/guest/pace.h"
#include "service/log.h"
#include "service/manager.h"
#include "service/source-job.h"

#include <libvirt/virterror.h>
#include <stdlib.h>

/* A VM that just started is looked for after this time, then after twice as long, up to the last: most have
 * their lease within a minute, and what has none later is no reason to wake up often. */
#define LOOK_FIRST_USEC (1 * PACE_SECOND)
#define LOOK_LAST_USEC (60 * PACE_SECOND)
/* VMs that are all found at once are looked for over a time that gives each so much. */
#define SPREAD_USEC (10 * 1000ULL)

struct GuestLease {
    sd_event_source *timer;
    bool on;
    bool looking; /* a job is under way */
    uint64_t wait;
};

typedef struct LeaseJob {
    SourceJob job;
    char uuid[VIR_UUID_STRING_BUFLEN];
    bool leases, arp; /* what to look at */
    Observation *lease, *neighbours;
    char *arp_error;
} LeaseJob;

/* What the host says is asked for as long as no agent says it. */
static bool should_look(const VM *vm)
{
    const Guest *guest = vm->guest;
    bool told = guest->responsive && guest->origin[GUEST_INTERFACES] >= 0 &&
                guest->origin[GUEST_INTERFACES] < GUEST_ORIGIN_BALLOON;

    return vm->source->connected && vm_is_active(vm) && !told &&
           (vm->details->networks->len > 0 || vm->details->bridged);
}

static Observation *look(virDomainPtr domain, GuestOrigin origin, unsigned source)
{
    virDomainInterfacePtr *interfaces = NULL;
    int count = virDomainInterfaceAddresses(domain, &interfaces, source, 0);
    Observation *observation;

    if (count < 0)
        return NULL;
    observation = observation_new(origin, manager_now());
    guest_params_interfaces(observation, interfaces, count);
    for (int i = 0; i < count; i++)
        virDomainInterfaceFree(interfaces[i]);
    free(interfaces);
    return observation;
}

static void lease_work(SourceJob *base)
{
    LeaseJob *job = (LeaseJob *)base;
    virDomainPtr domain = virDomainLookupByUUIDString(base->connection, job->uuid);

    if (!domain)
        return;
    if (job->leases)
        job->lease = look(domain, GUEST_ORIGIN_LEASE, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE);
    if (job->arp) {
        job->neighbours = look(domain, GUEST_ORIGIN_ARP, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP);
        if (!job->neighbours)
            job->arp_error = g_strdup(libvirt_error_text());
    }
    virDomainFree(domain);
}

static bool has_address(const Observation *observation)
{
    g_autoptr(GPtrArray) addresses =
        observation ? guest_list_addresses(guest_values_list(&observation->values, GUEST_INTERFACES), false)
                    : g_ptr_array_new();

    return addresses->len > 0;
}

/* libvirt 9.0 can't read the table of the newest kernels. It is no VM's fault and will not pass, so it is
 * said once and the table left alone until the source connects again. */
static void note_arp_error(Source *source, const char *error)
{
    if (!source->guests.arp_broken)
        log_about(LOG_INFO, &(LogSubject){.source = source->config->label},
                  "The host's ARP table can't be read (%s): agents and leases are left for addresses", error);
    source->guests.arp_broken = true;
}

static void arm(VM *vm, uint64_t wait);

static void lease_done(SourceJob *base, Source *source)
{
    LeaseJob *job = (LeaseJob *)base;
    VM *vm = source ? source_find_vm(source, job->uuid) : NULL;
    GuestLease *lease = vm ? vm->lease : NULL;
    bool found = has_address(job->lease) || has_address(job->neighbours);

    if (source && job->arp_error)
        note_arp_error(source, job->arp_error);
    if (!lease)
        return;
    lease->looking = false;
    if (!lease->on)
        return;
    if (job->lease)
        guest_observe(vm->guest, g_steal_pointer(&job->lease));
    if (job->neighbours)
        guest_observe(vm->guest, g_steal_pointer(&job->neighbours));
    if (found) {
        lease->wait = LOOK_FIRST_USEC;
        arm(vm, MAX(source->manager->config->service.system_interval * PACE_SECOND, LOOK_LAST_USEC));
    } else {
        arm(vm, lease->wait);
        lease->wait = MIN(lease->wait * 2, LOOK_LAST_USEC);
    }
}

static void lease_job_free(SourceJob *base)
{
    LeaseJob *job = (LeaseJob *)base;

    observation_free(job->lease);
    observation_free(job->neighbours);
    g_free(job->arp_error);
    g_free(job);
}

static const SourceJobKind lease_kind = {lease_work, lease_done, lease_job_free};

static void start(VM *vm)
{
    LeaseJob *job = g_new0(LeaseJob, 1);

    g_strlcpy(job->uuid, vm->uuid, sizeof job->uuid);
    job->leases = vm->details->networks->len > 0;
    job->arp = !vm->source->guests.arp_broken;
    vm->lease->looking = true;
    source_job_submit(vm->source, vm->source->control_lane, &job->job, &lease_kind, false, vm);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
    VM *vm = userdata;

    if (vm->lease->on && !vm->lease->looking)
        start(vm);
    return 0;
}

static void arm(VM *vm, uint64_t wait)
{
    GuestLease *lease = vm->lease;

    lease->timer = sd_event_source_disable_unref(lease->timer);
    if (sd_event_add_time_relative(vm->source->manager->event, &lease->timer, CLOCK_MONOTONIC, wait,
                                   wait / 10, on_timer, vm) < 0)
        log_error("No timer: leases of %s are not looked for", vm->name);
}

void guest_lease_update(VM *vm)
{
    bool on = should_look(vm);

    if (!vm->lease && !on)
        return;
    if (!vm->lease)
        vm->lease = g_new0(GuestLease, 1);
    if (!vm->source->connected)
        vm->lease->looking = false; /* its answer is dropped */
    if (vm->lease->on == on)
        return;
    vm->lease->on = on;
    vm->lease->wait = LOOK_FIRST_USEC;
    if (on)
        arm(vm, pace_share(SPREAD_USEC * g_hash_table_size(vm->source->vms), pace_phase(vm->uuid)));
    else
        vm->lease->timer = sd_event_source_disable_unref(vm->lease->timer);
}

void guest_lease_refresh(VM *vm)
{
    guest_lease_update(vm);
    if (vm->lease && vm->lease->on && !vm->lease->looking)
        start(vm);
}

void guest_lease_free(VM *vm)
{
    if (vm->lease)
        sd_event_source_disable_unref(vm->lease->timer);
    g_clear_pointer(&vm->lease, g_free);
}
