/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <syslog.h>

#include "service/cleanup.h"
#include "service/reporter/sender-private.h"

/* The calls of a sender, and what each answer means for the next one. */

/* A job's state when the server took the report but does not let us see what became of it. */
#define STATUS_UNKNOWN "UNKNOWN"

static void set_problem(Sender *sender, const char *stage, char *message)
{
    g_free(sender->problem);
    sender->problem = message;
    sender->problem_stage = stage;
    sender->observer->failed(sender, stage, message, sender->userdata);
    sender->observer->changed(sender, sender->userdata);
}

static void clear_problem(Sender *sender)
{
    g_clear_pointer(&sender->problem, g_free);
    sender->failures = 0;
    sender->denials = 0;
}

/* In a single run nobody waits for long. */
static void wait_for(Sender *sender, uint64_t usec)
{
    sender->not_before = sender_now(sender) + usec;
    if (sender->once && (usec > SENDER_ONCE_WAIT_USEC || sender->failures >= SENDER_ONCE_TRIES))
        sender->given_up = true;
}

static uint64_t choose_wait(Sender *sender, uint64_t retry_after_usec)
{
    sender->failures++;
    if (retry_after_usec > 0)
        return MIN(retry_after_usec, SENDER_RETRY_AFTER_MAX_USEC);
    return backoff_delay(sender->failures, SENDER_RETRY_USEC, SENDER_RETRY_MAX_USEC);
}

static uint64_t choose_denial_wait(Sender *sender)
{
    sender->denials++;
    return backoff_delay(sender->denials, sender->interval_usec, SENDER_REFUSAL_MAX_USEC);
}

/* Whoever has a wrong password must not be locked out by a reporter that tries it with each change of a VM:
 * what needs an administrator waits for an interval and longer. The rest passes by itself. */
static void handle_failure(Sender *sender, const char *stage, const CandlepinReply *reply)
{
    bool passes = reply->outcome == CANDLEPIN_LATER || reply->outcome == CANDLEPIN_TROUBLE;
    uint64_t wait = passes ? choose_wait(sender, reply->retry_after_usec) : choose_denial_wait(sender);
    bool unknown_owner = reply->outcome == CANDLEPIN_MISSING && strcmp(stage, "send") == 0;
    g_autofree char *message = unknown_owner
                                   ? g_strdup_printf("owner \"%s\" is not known to the server: %s",
                                                     sender->destination->owner ?: "", reply->message)
                                   : g_strdup(reply->message);

    sender->server_until = 0;
    sender_log(sender, passes ? LOG_WARNING : LOG_ERR, "%s; next try in %" PRIu64 " s", message,
               (wait + USEC_PER_SECOND - 1) / USEC_PER_SECOND);
    wait_for(sender, wait);
    set_problem(sender, stage, g_steal_pointer(&message));
}

/* The same content is not sent again for an interval, then for two, and so on: the server had it and could
 * not use it, and each try costs it a job. Other content goes out at once. */
static void refuse(Sender *sender, const char *stage, const char *key, const char *hash, const char *why)
{
    Refusal *refusal = g_hash_table_lookup(sender->record->refusals, key);
    unsigned times = refusal && strcmp(refusal->hash, hash) == 0 ? refusal->times + 1 : 1;
    uint64_t wait = backoff_delay(times, sender->interval_usec, SENDER_REFUSAL_MAX_USEC);

    refusal = g_new0(Refusal, 1);
    g_strlcpy(refusal->hash, hash, sizeof refusal->hash);
    refusal->times = times;
    refusal->until = (uint64_t)g_get_real_time() + wait;
    g_hash_table_insert(sender->record->refusals, g_strdup(key), refusal);
    sender_log(sender, LOG_ERR, "%s; the same report is not sent again for %" PRIu64 " s", why,
               wait / USEC_PER_SECOND);
    set_problem(sender, stage, g_strdup(why));
    sender_save(sender);
}

void sender_tell_refusal(Sender *sender)
{
    static const char text[] = "the server refused this report before, and it is not sent again yet";

    sender_log(sender, LOG_ERR, "%s", text);
    set_problem(sender, "send", g_strdup(text));
}

static void on_server(const CandlepinReply *reply, void *userdata)
{
    Sender *sender = userdata;
    CandlepinReply other = *reply;
    g_autofree char *message = NULL;

    sender->step = STEP_NONE;
    if (reply->outcome == CANDLEPIN_OK && !reply->server->up) {
        message = g_strdup_printf("the server is not ready to serve%s%s",
                                  reply->server->mode_reason ? ": " : "", reply->server->mode_reason ?: "");
        other.outcome = CANDLEPIN_LATER;
    } else if (reply->outcome == CANDLEPIN_OK && !reply->server->has_async_check_in) {
        message = g_strdup("the server cannot take reports (it lacks the capability \"hypervisors_async\")");
        other.outcome = CANDLEPIN_DENIED;
    }
    if (other.outcome != CANDLEPIN_OK) {
        other.message = message ?: reply->message;
        handle_failure(sender, "connect", &other);
    } else {
        sender->answered = true;
        if (sender->problem && strcmp(sender->problem_stage, "connect") == 0) {
            g_clear_pointer(&sender->problem, g_free);
            sender->observer->changed(sender, sender->userdata);
        }
        sender->server_until = sender_now(sender) + SENDER_SERVER_AGE_USEC;
        sender->server_has_heartbeat = reply->server->has_heartbeat;
    }
    sender_decide(sender);
}

void sender_ask_server(Sender *sender)
{
    sender->step = STEP_SERVER;
    candlepin_get_server(sender->candlepin, on_server, sender);
}

/* What the open job carried is now what the server has. */
static void accept_deliveries(Sender *sender)
{
    DestinationRecord *record = sender->record;
    GHashTableIter iter;
    gpointer name, delivery;

    g_hash_table_iter_init(&iter, record->in_job);
    while (g_hash_table_iter_next(&iter, &name, &delivery)) {
        g_hash_table_iter_steal(&iter);
        g_hash_table_replace(record->accepted, name, delivery);
    }
    g_hash_table_remove(record->refusals, "");
}

static void close_job(Sender *sender, const char *status)
{
    DestinationRecord *record = sender->record;

    record->job_open = false;
    g_free(record->job_status);
    record->job_status = g_strdup(status);
    g_hash_table_remove_all(record->in_job);
    sender_forget_plan(sender);
}

/* 0 after the clock was set back. */
static uint64_t job_age(const Sender *sender)
{
    uint64_t now = (uint64_t)g_get_real_time();

    return now > sender->record->job_since ? now - sender->record->job_since : 0;
}

/* A server that needs a minute for a report is not given one every other second. */
static void rest(Sender *sender)
{
    sender->not_before = sender_now(sender) + MIN(job_age(sender), SENDER_REST_MAX_USEC);
}

static void log_result(Sender *sender, const CandlepinJob *job)
{
    for (unsigned i = 0; i < job->failures->len; i++)
        sender_log(sender, LOG_ERR, "the server could not update a host: %s",
                   (char *)job->failures->pdata[i]);
    if (job->failed > job->failures->len)
        sender_log(sender, LOG_ERR, "and %u more", job->failed - job->failures->len);
    sender_log(sender, LOG_INFO, "job %s is finished: %u hosts created, %u updated, %u unchanged, %u failed",
               sender->record->job_id, job->created, job->updated, job->unchanged, job->failed);
}

/* Another reporter, or an older run of this one, has a job under way; Candlepin takes one at a time for each
 * owner. Its jobs may be hidden from us, so we come back later instead of looking at them. A single run waits
 * for the other's job as long as for its own. */
static void wait_for_other_job(Sender *sender, const char *message)
{
    uint64_t wait = backoff_delay(++sender->blocks, SENDER_RETRY_USEC, SENDER_BLOCKED_MAX_USEC);

    sender_log(sender, LOG_INFO,
               "the server still works on another report of this owner, next try in %" PRIu64 " s (%s)",
               (wait + USEC_PER_SECOND - 1) / USEC_PER_SECOND, message ?: "");
    sender->not_before = sender_now(sender) + wait;
    if (sender->once && sender->not_before > sender->started_at + SENDER_ONCE_JOB_USEC) {
        sender->given_up = true;
        set_problem(sender, "send", g_strdup("the server still works on another report of this owner"));
    }
}

static void finish_job(Sender *sender, const CandlepinJob *job)
{
    DestinationRecord *record = sender->record;
    g_autofree char *why = NULL, *hash = g_strdup(record->job_hash);

    if (job->state == JOB_FINISHED) {
        accept_deliveries(sender);
        clear_problem(sender);
        log_result(sender, job);
    } else {
        why = g_strdup_printf("job %s is %s%s%s", record->job_id, job_state_to_string(job->state),
                              job->message ? ": " : "", job->message ?: "");
    }
    close_job(sender, job_state_to_string(job->state));
    rest(sender);
    if (job->state == JOB_BLOCKED)
        wait_for_other_job(sender, job->message);
    else if (why)
        refuse(sender, "job", "", hash, why);
    sender_save(sender);
}

static void poll_later(Sender *sender, uint64_t usec)
{
    uint64_t age = job_age(sender);

    sender->poll_at = sender_now(sender) + usec;
    if (sender->once && age > SENDER_ONCE_JOB_USEC) {
        /* It stays open in the state, and the next run follows it up. */
        set_problem(
            sender, "job",
            g_strdup_printf("the report was taken, but job %s is not over yet", sender->record->job_id));
        sender->given_up = true;
    } else if (age > SENDER_JOB_DEADLINE_USEC) {
        sender_log(sender, LOG_WARNING, "job %s does not end: no longer waiting for it",
                   sender->record->job_id);
        close_job(sender, STATUS_UNKNOWN);
        wait_for(sender, choose_wait(sender, 0));
        sender_save(sender);
    }
}

static void watch_job(Sender *sender, const CandlepinJob *job)
{
    const char *status = job_state_to_string(job->state);

    if (job_state_is_over(job->state)) {
        finish_job(sender, job);
        return;
    }
    if (g_strcmp0(sender->record->job_status, status) != 0) {
        g_free(sender->record->job_status);
        sender->record->job_status = g_strdup(status);
        sender_save(sender);
    }
    poll_later(sender, backoff_delay(++sender->polls, SENDER_POLL_USEC, SENDER_POLL_MAX_USEC));
}

/* The report was taken once. Where only the job cannot be seen, as with users of some Satellites, it counts
 * as accepted: sending it again would end the same way. */
static void handle_hidden_job(Sender *sender, const CandlepinReply *reply)
{
    sender_log(sender, LOG_WARNING, "job %s cannot be seen, taking it as finished: %s",
               sender->record->job_id, reply->message);
    accept_deliveries(sender);
    clear_problem(sender);
    close_job(sender, STATUS_UNKNOWN);
    sender_save(sender);
}

static void handle_lost_job(Sender *sender, const CandlepinReply *reply)
{
    g_autofree char *hash = g_strdup(sender->record->job_hash);
    g_autofree char *why = g_strdup_printf("the server does not know job %s any more: %s",
                                           sender->record->job_id, reply->message);

    close_job(sender, STATUS_UNKNOWN);
    refuse(sender, "job", "", hash, why);
}

static void on_job(const CandlepinReply *reply, void *userdata)
{
    Sender *sender = userdata;

    sender->step = STEP_NONE;
    if (reply->outcome == CANDLEPIN_OK) {
        sender->answered = true;
        sender->failures = 0;
        watch_job(sender, reply->job);
    } else if (reply->outcome == CANDLEPIN_MISSING) {
        handle_lost_job(sender, reply);
    } else if (reply->status == 403) {
        handle_hidden_job(sender, reply);
    } else {
        handle_failure(sender, "job", reply);
        poll_later(sender, sender->not_before - sender_now(sender));
    }
    sender_decide(sender);
}

void sender_ask_job(Sender *sender)
{
    sender->step = STEP_JOB;
    candlepin_get_job(sender->candlepin, sender->record->job_id, on_job, sender);
}

/* On disk before anything else happens: from here on the report is the server's, and a process that is killed
 * must find the job again instead of sending it once more. */
static void open_job(Sender *sender, const CandlepinJob *job)
{
    DestinationRecord *record = sender->record;
    GHashTableIter iter;
    gpointer name, delivery;

    g_free(record->job_id);
    record->job_id = g_strdup(job->id);
    g_free(record->job_hash);
    record->job_hash = g_strdup(sender->hash);
    g_free(record->job_status);
    record->job_status = g_strdup(job_state_to_string(job->state));
    record->job_open = true;
    record->job_since = record->last_send = (uint64_t)g_get_real_time();
    g_hash_table_remove_all(record->in_job);
    g_hash_table_iter_init(&iter, sender->deliveries);
    while (g_hash_table_iter_next(&iter, &name, &delivery)) {
        g_hash_table_iter_steal(&iter);
        g_hash_table_replace(record->in_job, name, delivery);
    }
    sender->polls = 0;
    sender->forced = false;
    sender->heartbeat_due = false;
    sender_save(sender);
    sender->observer->sent(sender, job->id, sender->userdata);
}

static void on_check_in(const CandlepinReply *reply, void *userdata)
{
    Sender *sender = userdata;

    sender->step = STEP_NONE;
    if (reply->outcome == CANDLEPIN_REJECTED) {
        sender->forced = false;
        refuse(sender, "send", "", sender->hash, reply->message);
    } else if (reply->outcome != CANDLEPIN_OK) {
        handle_failure(sender, "send", reply);
    } else if (reply->job->state == JOB_BLOCKED) {
        wait_for_other_job(sender, reply->job->message);
    } else if (!reply->job->id) {
        handle_failure(
            sender, "send",
            &(CandlepinReply){.outcome = CANDLEPIN_TROUBLE, .message = "the server's job has no id"});
    } else {
        sender->failures = sender->denials = sender->blocks = 0;
        open_job(sender, reply->job);
        watch_job(sender, reply->job);
    }
    g_clear_pointer(&sender->deliveries, g_hash_table_unref);
    sender_decide(sender);
}

void sender_check_in(Sender *sender)
{
    const Plan *plan = sender_get_plan(sender);
    Association *const *associations = (Association *const *)plan->associations->pdata;
    unsigned hosts = 0, guests = 0;

    if (!sender->destination->owner) {
        handle_failure(
            sender, "send",
            &(CandlepinReply){.outcome = CANDLEPIN_DENIED, .message = "no owner is configured to report to"});
        sender_decide(sender);
        return;
    }
    for (unsigned i = 0; i < plan->associations->len; i++) {
        hosts += association_count_hosts(associations[i]);
        guests += association_count_guests(associations[i]);
    }
    sender_log(sender, LOG_INFO, "reporting %u hosts with %u guests from %u sources", hosts, guests,
               g_hash_table_size(plan->deliveries));
    if (plan->gone > 0)
        sender_log(sender, LOG_INFO, "%u of the hosts are gone and reported without guests", plan->gone);
    for (unsigned i = 0; i < plan->warnings->len; i++)
        sender_log(sender, LOG_WARNING, "%s", (char *)plan->warnings->pdata[i]);
    g_strlcpy(sender->hash, plan->hash, sizeof sender->hash);
    sender->deliveries = g_hash_table_ref(plan->deliveries);
    sender->step = STEP_CHECK_IN;
    candlepin_check_in(sender->candlepin,
                       association_check_in_body(associations, plan->associations->len, NULL), on_check_in,
                       sender);
    /* The deliveries are this check-in's now; the next plan makes its own. */
    sender_forget_plan(sender);
}

static void on_heartbeat(const CandlepinReply *reply, void *userdata)
{
    Sender *sender = userdata;

    sender->step = STEP_NONE;
    if (reply->outcome == CANDLEPIN_OK) {
        sender->failures = sender->denials = 0;
        if (g_hash_table_size(sender->record->refusals) == 0)
            clear_problem(sender);
        sender_log(sender, LOG_DEBUG, "nothing new, heartbeat sent");
        sender->observer->changed(sender, sender->userdata);
    } else {
        /* One missed heartbeat is made up for by the next; only a report has to get there. */
        handle_failure(sender, "send", reply);
    }
    sender_decide(sender);
}

void sender_send_heartbeat(Sender *sender)
{
    sender->heartbeat_due = false;
    if (!sender->server_has_heartbeat) {
        sender_decide(sender);
        return;
    }
    sender->step = STEP_HEARTBEAT;
    candlepin_send_heartbeat(sender->candlepin, NULL, on_heartbeat, sender);
}

static void on_guests(const CandlepinReply *reply, void *userdata)
{
    Sender *sender = userdata;
    SenderSource *source = sender->guest_list;
    DestinationRecord *record = sender->record;

    sender->step = STEP_NONE;
    source->forced = false;
    if (reply->outcome == CANDLEPIN_REJECTED) {
        refuse(sender, "send", source->plan.name, sender->hash, reply->message);
    } else if (reply->outcome != CANDLEPIN_OK) {
        handle_failure(sender, "send", reply);
    } else {
        clear_problem(sender);
        g_hash_table_replace(record->accepted, g_strdup(source->plan.name), delivery_new(sender->hash));
        g_hash_table_remove(record->refusals, source->plan.name);
        record->last_send = (uint64_t)g_get_real_time();
        sender_log(sender, LOG_INFO, "the guests of this host were reported");
        sender_save(sender);
        sender->observer->sent(sender, "", sender->userdata);
    }
    sender_decide(sender);
}

static void on_resources(const CandlepinReply *reply, void *userdata)
{
    Sender *sender = userdata;

    sender->step = STEP_NONE;
    if (reply->outcome == CANDLEPIN_LATER || reply->outcome == CANDLEPIN_TROUBLE) {
        handle_failure(sender, "connect", reply);
    } else {
        /* Where the list cannot be had the server is a present-day one. */
        sender->guest_ids_known = true;
        sender->guest_ids_plain = reply->outcome == CANDLEPIN_OK && !reply->found;
    }
    sender_decide(sender);
}

void sender_put_guest_list(Sender *sender, SenderSource *source)
{
    const Destination *destination = sender->destination;

    if (!destination->consumer_uuid) {
        source->forced = false;
        refuse(sender, "send", source->plan.name, source->plan.hash,
               "this system is not registered: only a system with a consumer certificate can report its own "
               "guests");
        sender_decide(sender);
        return;
    }
    if (!sender->guest_ids_known) {
        sender->step = STEP_RESOURCES;
        candlepin_find_resource(sender->candlepin, "guestids", on_resources, sender);
        return;
    }
    sender->guest_list = source;
    g_strlcpy(sender->hash, source->plan.hash, sizeof sender->hash);
    sender->step = STEP_GUESTS;
    candlepin_put_guests(sender->candlepin, destination->consumer_uuid,
                         association_guest_list_body(source->plan.association, sender->guest_ids_plain, NULL),
                         on_guests, sender);
}
