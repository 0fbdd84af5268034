/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/reporter/sender.h"

#include <string.h>
#include <syslog.h>

#include "service/cleanup.h"
#include "service/reporter/sender-private.h"

/* How a sender gets to its next call. What the answers mean is in sender-answer.c. */

#define TIMER_ACCURACY_USEC (10 * 1000)

static void sender_source_free(void *data)
{
    SenderSource *source = data;

    association_unref(source->plan.association);
    g_free((char *)source->plan.name);
    g_free(source);
}

uint64_t sender_now(const Sender *sender)
{
    uint64_t now = 0;

    sd_event_now(sender->event, CLOCK_MONOTONIC, &now);
    return now;
}

void sender_log(Sender *sender, int priority, const char *format, ...)
{
    g_autofree char *text = NULL, *message = NULL;
    va_list arguments;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    message = g_strdup_printf("%s: %s", sender->destination->name, text);
    sender->observer->log(sender, priority, message, sender->userdata);
}

void sender_save(Sender *sender)
{
    int r = state_save(sender->state);

    if (r < 0)
        sender_log(sender, LOG_WARNING, "cannot write the state to %s: %s", sender->state->directory,
                   g_strerror(-r));
    sender->observer->changed(sender, sender->userdata);
}

static void arm_timer(Sender *sender, uint64_t at)
{
    sd_event_source_set_time(sender->timer, at);
    sd_event_source_set_enabled(sender->timer, SD_EVENT_ONESHOT);
}

const Plan *sender_get_plan(Sender *sender)
{
    g_autofree PlanSource *sources = g_new0(PlanSource, MAX(sender->sources->len, 1));

    if (sender->plan)
        return sender->plan;
    for (unsigned i = 0; i < sender->sources->len; i++)
        sources[i] = ((SenderSource *)sender->sources->pdata[i])->plan;
    sender->plan = plan_new(sources, sender->sources->len, sender->record);
    sender->plan_needed = plan_is_needed(sources, sender->sources->len, sender->record);
    return sender->plan;
}

void sender_forget_plan(Sender *sender)
{
    g_clear_pointer(&sender->plan, plan_free);
}

static bool is_refused(const Sender *sender, const char *key, const char *hash)
{
    const Refusal *refusal = g_hash_table_lookup(sender->record->refusals, key);

    return refusal && strcmp(refusal->hash, hash) == 0 && (uint64_t)g_get_real_time() < refusal->until;
}

/* A guest list that the server does not have yet. */
static SenderSource *find_guest_list(Sender *sender)
{
    for (unsigned i = 0; i < sender->sources->len; i++) {
        SenderSource *source = sender->sources->pdata[i];
        const Delivery *accepted = g_hash_table_lookup(sender->record->accepted, source->plan.name);

        if (!source->plan.association || source->plan.association->kind != ASSOCIATION_GUEST_LIST)
            continue;
        if (source->forced)
            return source;
        if ((!accepted || strcmp(accepted->hash, source->plan.hash) != 0) &&
            !is_refused(sender, source->plan.name, source->plan.hash))
            return source;
    }
    return NULL;
}

static bool is_check_in_due(Sender *sender)
{
    const Plan *plan = sender_get_plan(sender);

    if (plan->associations->len == 0)
        return false;
    return sender->forced || (sender->plan_needed && !is_refused(sender, "", plan->hash));
}

/* Without a source that answered there is nothing to say: a heartbeat would vouch for hosts that nobody has
 * seen. */
static bool is_heartbeat_due(Sender *sender)
{
    return sender->heartbeat_due && sender->destination->owner && sender_get_plan(sender)->deliveries &&
           g_hash_table_size(sender_get_plan(sender)->deliveries) > 0;
}

/* A source that made a report wait once is not waited for again before it answers. */
static uint64_t gather_until(const Sender *sender)
{
    for (unsigned i = 0; i < sender->sources->len; i++) {
        const SenderSource *source = sender->sources->pdata[i];

        if (source->collecting && !source->late)
            return sender->gather_until;
    }
    return 0;
}

static void note_late_sources(Sender *sender)
{
    for (unsigned i = 0; i < sender->sources->len; i++) {
        SenderSource *source = sender->sources->pdata[i];

        source->late = source->collecting;
    }
}

/* What the server can do is asked before anything is sent, but not before each report of a busy day. */
static bool knows_server(const Sender *sender)
{
    return sender->server_until > sender_now(sender);
}

/* What an earlier run was refused is not as it should be either, though this one does not try it again. */
static bool is_waiting_for_refusal(Sender *sender)
{
    const Plan *plan = sender_get_plan(sender);

    if (plan->associations->len > 0 && sender->plan_needed && is_refused(sender, "", plan->hash))
        return true;
    for (unsigned i = 0; i < sender->sources->len; i++) {
        const SenderSource *source = sender->sources->pdata[i];

        if (source->plan.association && source->plan.association->kind == ASSOCIATION_GUEST_LIST &&
            is_refused(sender, source->plan.name, source->plan.hash))
            return true;
    }
    return false;
}

static void settle(Sender *sender)
{
    if (!sender->problem && is_waiting_for_refusal(sender))
        sender_tell_refusal(sender);
    sd_event_source_set_enabled(sender->timer, SD_EVENT_OFF);
    sender->settled = true;
    sender->observer->settled(sender, sender->userdata);
}

void sender_decide(Sender *sender)
{
    SenderSource *guest_list = NULL;
    bool check_in = false, heartbeat = false;
    uint64_t at;

    if (!sender->started || sender->step != STEP_NONE)
        return;
    sender->settled = false;
    if (sender->given_up) {
        settle(sender);
        return;
    }
    if (sender->record->job_open) {
        at = sender->poll_at;
    } else {
        guest_list = find_guest_list(sender);
        check_in = is_check_in_due(sender);
        heartbeat = is_heartbeat_due(sender);
        at = MAX(sender->not_before, gather_until(sender));
        if (!guest_list && !check_in && !heartbeat) {
            settle(sender);
            return;
        }
    }
    if (at > sender_now(sender)) {
        arm_timer(sender, at);
        return;
    }
    if (!sender->record->job_open)
        note_late_sources(sender);
    if (sender->record->job_open)
        sender_ask_job(sender);
    else if (!knows_server(sender))
        sender_ask_server(sender);
    else if (guest_list)
        sender_put_guest_list(sender, guest_list);
    else if (check_in)
        sender_check_in(sender);
    else
        sender_send_heartbeat(sender);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata)
{
    sender_decide(userdata);
    return 0;
}

static void add_source(Sender *sender, const Mapping *mapping)
{
    SenderSource *source = g_new0(SenderSource, 1);

    source->plan.name = g_strdup(mapping->name);
    source->plan.filter = mapping->hosts;
    g_ptr_array_add(sender->sources, source);
}

static SenderSource *find_source(Sender *sender, const char *name)
{
    for (unsigned i = 0; i < sender->sources->len; i++) {
        SenderSource *source = sender->sources->pdata[i];

        if (strcmp(source->plan.name, name) == 0)
            return source;
    }
    return NULL;
}

Sender *sender_new(sd_event *event, HttpEngine *engine, const SenderOptions *options)
{
    Sender *sender = g_new0(Sender, 1);

    sender->event = sd_event_ref(event);
    sender->destination = options->destination;
    sender->interval_usec = options->interval * USEC_PER_SECOND;
    sender->once = options->once;
    sender->state = options->state;
    sender->observer = options->observer;
    sender->userdata = options->userdata;
    sender->record = state_get_destination(options->state, options->destination->name);
    sender->candlepin = candlepin_new(engine, event, options->destination, options->reporter_id);
    sender->sources = g_ptr_array_new_with_free_func(sender_source_free);
    for (unsigned i = 0; i < options->destination->mappings->len; i++)
        add_source(sender, options->destination->mappings->pdata[i]);
    if (sd_event_add_time(event, &sender->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC, on_timer, sender) <
        0)
        g_error("out of memory"); /* as GLib does everywhere else */
    sd_event_source_set_enabled(sender->timer, SD_EVENT_OFF);
    sd_event_source_set_description(sender->timer, "sender");
    return sender;
}

void sender_free(Sender *sender)
{
    if (!sender)
        return;
    candlepin_free(sender->candlepin);
    sd_event_source_disable_unref(sender->timer);
    sender_forget_plan(sender);
    g_ptr_array_unref(sender->sources);
    g_free(sender->problem);
    sd_event_unref(sender->event);
    g_free(sender);
}

const Destination *sender_get_destination(const Sender *sender)
{
    return sender->destination;
}

void sender_start(Sender *sender)
{
    sender->started = true;
    sender->started_at = sender_now(sender);
    if (sender->destination->insecure)
        sender_log(
            sender, LOG_WARNING,
            "the server's certificate is NOT verified (rhsm_insecure): passwords and reports can be read by "
            "whoever is on the way");
    if (sender->record->job_open)
        sender_log(sender, LOG_INFO, "following up job %s of the last run", sender->record->job_id);
    sender_decide(sender);
}

void sender_expect(Sender *sender, const char *name)
{
    SenderSource *source = find_source(sender, name);

    if (!source)
        return;
    source->collecting = true;
    if (gather_until(sender) <= sender_now(sender))
        sender->gather_until = sender_now(sender) + SENDER_GATHER_USEC;
}

/* A guest list belongs to this system's own entry at the server: after a new registration there is another
 * one, which has no list yet. */
static void hash_addressee(const Sender *sender, char hash[ASSOCIATION_HASH_SIZE])
{
    g_autofree char *text = g_strconcat(hash, " ", sender->destination->consumer_uuid, NULL);
    g_autofree char *whole = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);

    g_strlcpy(hash, whole, ASSOCIATION_HASH_SIZE);
}

void sender_take(Sender *sender, const char *name, Association *association)
{
    SenderSource *source = find_source(sender, name);

    if (!source)
        return;
    source->collecting = source->late = false;
    if (association)
        association_ref(association);
    association_unref(source->plan.association);
    source->plan.association = association;
    *source->plan.hash = '\0';
    if (association)
        association_hash(&association, 1, source->plan.hash);
    if (association && association->kind == ASSOCIATION_GUEST_LIST)
        hash_addressee(sender, source->plan.hash);
    sender_forget_plan(sender);
    sender_decide(sender);
}

void sender_tick(Sender *sender)
{
    sender->heartbeat_due = true;
    sender_decide(sender);
}

void sender_force(Sender *sender)
{
    sender->forced = true;
    for (unsigned i = 0; i < sender->sources->len; i++)
        ((SenderSource *)sender->sources->pdata[i])->forced = true;
    if (sender->denials > 0) {
        sender->denials = 0;
        sender->not_before = 0;
    }
    sender_decide(sender);
}

bool sender_is_settled(const Sender *sender)
{
    return sender->settled;
}

const char *sender_get_problem(const Sender *sender)
{
    return sender->problem;
}

bool sender_was_answered(const Sender *sender)
{
    return sender->answered;
}
