/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/operation-work.h"

#include "service/cleanup.h"
#include "service/figures.h"
#include "service/guest-query.h"

#include <libvirt/virterror.h>

#define KIB 1024

/* Each returns what libvirt returns: negative with its last error set. */

static int do_start(Operation *operation)
{
    unsigned flags = 0;

    if (operation->request.paused)
        flags |= VIR_DOMAIN_START_PAUSED;
    if (operation->request.bypass_saved)
        flags |= VIR_DOMAIN_START_FORCE_BOOT;
    /* Without flags the older call is made, which every driver has. */
    return flags ? virDomainCreateWithFlags(operation->domain, flags) : virDomainCreate(operation->domain);
}

static int do_shutdown(Operation *operation, bool by_agent)
{
    if (by_agent)
        return virDomainShutdownFlags(operation->domain, VIR_DOMAIN_SHUTDOWN_GUEST_AGENT);
    if (operation->request.mode == SHUTDOWN_ACPI) {
        int r = virDomainShutdownFlags(operation->domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN);

        /* Drivers with one way only refuse to be told which. */
        if (r == 0 || virGetLastErrorCode() != VIR_ERR_INVALID_ARG)
            return r;
    }
    return virDomainShutdown(operation->domain);
}

static int do_reboot(Operation *operation, bool by_agent)
{
    unsigned flags = 0;
    int r;

    if (by_agent)
        flags = VIR_DOMAIN_REBOOT_GUEST_AGENT;
    else if (operation->request.mode == SHUTDOWN_ACPI)
        flags = VIR_DOMAIN_REBOOT_ACPI_POWER_BTN;
    r = virDomainReboot(operation->domain, flags);
    if (r < 0 && flags == VIR_DOMAIN_REBOOT_ACPI_POWER_BTN && virGetLastErrorCode() == VIR_ERR_INVALID_ARG)
        r = virDomainReboot(operation->domain, 0);
    return r;
}

/* Both the running VM and its definition, as far as there are both: else the next start forgets it. */
static int do_set_memory(Operation *operation)
{
    unsigned long kib = (unsigned long)(operation->request.memory / KIB);
    unsigned flags = 0;
    int r;

    if (virDomainIsActive(operation->domain) > 0)
        flags |= VIR_DOMAIN_AFFECT_LIVE;
    if (virDomainIsPersistent(operation->domain) > 0)
        flags |= VIR_DOMAIN_AFFECT_CONFIG;
    r = virDomainSetMemoryFlags(operation->domain, kib, flags);
    /* Some drivers take one of the two at a time. */
    if (r == 0 || virGetLastErrorCode() != VIR_ERR_INVALID_ARG ||
        flags != (VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG))
        return r;
    r = virDomainSetMemoryFlags(operation->domain, kib, VIR_DOMAIN_AFFECT_LIVE);
    return r < 0 ? r : virDomainSetMemoryFlags(operation->domain, kib, VIR_DOMAIN_AFFECT_CONFIG);
}

static int do_get_xml(Operation *operation)
{
    unsigned flags = 0;

    if (operation->request.inactive)
        flags |= VIR_DOMAIN_XML_INACTIVE;
    if (operation->request.secrets)
        flags |= VIR_DOMAIN_XML_SECURE;
    operation->text = virDomainGetXMLDesc(operation->domain, flags);
    return operation->text ? 0 : -1;
}

/* Never skips the display's own password. */
static int do_open_graphics(Operation *operation)
{
    operation->fd = virDomainOpenGraphicsFD(operation->domain, operation->request.index, 0);
    return operation->fd >= 0 ? 0 : -1;
}

/* The place that was reserved is the console's from here on, whatever comes of it. */
static void open_console(Operation *operation)
{
    operation->fd = console_start(TAKE_PTR(operation->console), operation->domain, operation->device,
                                  operation->request.force, operation->name, &operation->failure);
}

static int call(Operation *operation)
{
    virDomainPtr domain = operation->domain;

    switch (operation->request.verb) {
    case VERB_START:
        return do_start(operation);
    case VERB_SHUTDOWN:
        return do_shutdown(operation, false);
    case VERB_REBOOT:
        return do_reboot(operation, false);
    case VERB_RESET:
        return virDomainReset(domain, 0);
    case VERB_FORCE_OFF:
        return virDomainDestroy(domain);
    case VERB_PAUSE:
        return virDomainSuspend(domain);
    case VERB_RESUME:
        return virDomainResume(domain);
    case VERB_WAKEUP:
        return virDomainPMWakeup(domain, 0);
    case VERB_SAVE:
        return virDomainManagedSave(domain, 0);
    case VERB_SET_MEMORY:
        return do_set_memory(operation);
    case VERB_SET_AUTOSTART:
        return virDomainSetAutostart(domain, operation->request.autostart);
    case VERB_OPEN_GRAPHICS:
        return do_open_graphics(operation);
    case VERB_GET_XML:
        return do_get_xml(operation);
    case VERB_OPEN_CONSOLE:
    case VERB_COUNT:
        break;
    }
    return -1;
}

/* Drivers have several codes for a VM that runs, or does not: its state tells which it is. */
static void explain(Operation *operation)
{
    Verb verb = operation->request.verb;
    int active;

    failure_set_libvirt(&operation->failure, operation->name);
    if (verb == VERB_START && operation->failure.kind == FAILURE_INVALID_ARGUMENT)
        operation->failure.kind =
            FAILURE_NOT_SUPPORTED; /* the only argument is how to start: flags that the driver lacks */
    if (operation->failure.kind != FAILURE_HYPERVISOR || verb == VERB_SET_AUTOSTART ||
        verb == VERB_SET_MEMORY)
        return;
    active = virDomainIsActive(operation->domain);
    if (verb == VERB_START && active > 0)
        failure_set(&operation->failure, FAILURE_ALREADY_RUNNING, "%s runs already", operation->name);
    else if (verb != VERB_START && active == 0)
        failure_set(&operation->failure, FAILURE_NOT_RUNNING, "%s does not run", operation->name);
}

/* What the verb changed, and no more: the caller waits for each of these round trips. A read of everything
 * follows. */
static int read_changes(Operation *operation, VMFigures *figures)
{
    int state, autostart;

    switch (operation->request.verb) {
    case VERB_GET_XML:
    case VERB_OPEN_GRAPHICS:
    case VERB_OPEN_CONSOLE:
        return -1;
    case VERB_SET_MEMORY:
        return figures_read(operation->domain, figures);
    case VERB_SET_AUTOSTART:
        if (virDomainGetAutostart(operation->domain, &autostart) < 0)
            return -1;
        figures->autostart = autostart;
        return 0;
    default:
        if (virDomainGetState(operation->domain, &state, &figures->reason, 0) < 0)
            return -1;
        figures->state_known = true;
        figures->state = vm_state_from_libvirt(state);
        figures_settle_id(operation->domain, figures);
        return 0;
    }
}

/* Tells the agent. It is asked something harmless first: what is written to an agent that hangs is done when
 * it wakes up, which may be hours later, and libvirt waits a minute for the effect before it complains. */
static int tell_agent(Operation *operation)
{
    if (!guest_query_alive(operation->domain, operation->name, &operation->failure)) {
        if (virDomainIsActive(operation->domain) == 0)
            failure_set(&operation->failure, FAILURE_NOT_RUNNING, "%s does not run", operation->name);
        return -1;
    }
    atomic_store(&operation->sent, true);
    if ((operation->request.verb == VERB_REBOOT ? do_reboot : do_shutdown)(operation, true) == 0)
        return 0;
    explain(operation);
    if (operation->failure.kind == FAILURE_HYPERVISOR) /* libvirt has no code for an agent's own error */
        operation->failure.kind = FAILURE_GUEST_REFUSED;
    return -1;
}

/* libvirtd keeps the timeout for all its clients; ours is set only around our own calls. Who did not insist
 * on the agent gets the power button pressed when the agent fails. */
static void work_by_agent(Operation *operation)
{
    int r;

    (void)virDomainAgentSetResponseTimeout(operation->domain, (int)operation->agent_timeout, 0);
    r = tell_agent(operation);
    (void)virDomainAgentSetResponseTimeout(operation->domain, VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0);
    if (r == 0 || operation->request.mode == SHUTDOWN_AGENT || operation->failure.kind == FAILURE_NOT_RUNNING)
        return;
    failure_clear(&operation->failure);
    atomic_store(&operation->sent, true);
    if (call(operation) < 0)
        explain(operation);
}

static void run(Operation *operation)
{
    if (operation->by_agent)
        work_by_agent(operation);
    else if (operation->request.verb == VERB_OPEN_CONSOLE)
        open_console(operation);
    else if (call(operation) < 0)
        explain(operation);
    operation->figures = VM_FIGURES_UNKNOWN;
    operation->figures_known = read_changes(operation, &operation->figures) == 0;
}

/* The domain is let go here and not in the loop: with a connection that was dropped meanwhile, the last one
 * to let go closes it, which can hang. */
void operation_work(SourceJob *job)
{
    Operation *operation = (Operation *)job;

    operation->worked = true;
    if (!operation->by_agent)
        atomic_store(&operation->sent, true);
    if (!operation->domain)
        operation->domain = virDomainLookupByUUIDString(job->connection, operation->uuid);
    if (operation->domain)
        run(operation);
    else
        failure_set_libvirt(&operation->failure, operation->name);
    if (operation->domain)
        virDomainFree(operation->domain);
    operation->domain = NULL;
}
