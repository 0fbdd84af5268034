/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/inbox.h"
#include "service/thread.h"
#include "service/worker.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <glib.h>

#include <cmocka.h>

static sd_event *event;
static Inbox *inbox;

/* Jobs wait at this gate, so that a test sees how many run at once. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static unsigned at_gate, highest_at_gate;
static bool gate_open;

static unsigned done_count, cancelled_count;

typedef struct GateJob {
    Job job;
} GateJob;

static void gate_work(Job *job)
{
    pthread_mutex_lock(&gate);
    at_gate++;
    highest_at_gate = MAX(highest_at_gate, at_gate);
    pthread_cond_broadcast(&gate_changed);
    while (!gate_open)
        pthread_cond_wait(&gate_changed, &gate);
    at_gate--;
    pthread_mutex_unlock(&gate);
}

static void gate_done(Job *job)
{
    done_count++;
    cancelled_count += job->cancelled;
}

static void gate_free(Job *job)
{
    g_free(job);
}

static void submit(Lane *lane, const void *key)
{
    GateJob *job = g_new0(GateJob, 1);

    job->job.work = gate_work;
    job->job.done = gate_done;
    job->job.free = gate_free;
    job->job.key = key;
    lane_submit(lane, &job->job);
}

static void wait_at_gate(unsigned count)
{
    pthread_mutex_lock(&gate);
    while (at_gate < count)
        pthread_cond_wait(&gate_changed, &gate);
    pthread_mutex_unlock(&gate);
}

static void set_gate(bool open)
{
    pthread_mutex_lock(&gate);
    gate_open = open;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate);
}

static void run_until_done(unsigned count)
{
    while (done_count < count)
        assert_true(sd_event_run(event, 10 * 1000000) > 0);
}

static int set_up(void **state)
{
    at_gate = highest_at_gate = done_count = cancelled_count = 0;
    gate_open = false;
    assert_true(sd_event_new(&event) >= 0);
    return inbox_new(event, &inbox);
}

static int tear_down(void **state)
{
    inbox_close(inbox);
    inbox = inbox_unref(inbox);
    event = sd_event_unref(event);
    return 0;
}

static void test_no_more_threads_than_allowed(void **state)
{
    Lane *lane = lane_new(inbox, "test", 3, 0);

    for (int i = 0; i < 20; i++)
        submit(lane, NULL);
    wait_at_gate(3);
    assert_int_equal(lane_load(lane), 20);
    set_gate(true);
    run_until_done(20);
    assert_int_equal(highest_at_gate, 3);
    lane_close(lane);
    assert_true(threads_wait(10 * 1000000));
}

/* A VM whose calls hang keeps its own places, and another VM's call passes it in the queue. */
static void test_one_key_never_takes_all_threads(void **state)
{
    Lane *lane = lane_new(inbox, "test", 3, 2);
    static const char stuck, other;

    for (int i = 0; i < 5; i++)
        submit(lane, &stuck);
    wait_at_gate(2);
    submit(lane, &other);
    wait_at_gate(3);
    set_gate(true);
    run_until_done(6);
    lane_close(lane);
    assert_true(threads_wait(10 * 1000000));
}

static void test_closing_drops_what_waits_and_leaves_what_hangs(void **state)
{
    Lane *lane = lane_new(inbox, "test", 1, 0);

    submit(lane, NULL);
    wait_at_gate(1);
    submit(lane, NULL);
    submit(lane, NULL);
    lane_close(lane);
    run_until_done(2);
    assert_int_equal(cancelled_count, 2);
    assert_false(threads_wait(0));
    set_gate(true);
    run_until_done(3);
    assert_int_equal(cancelled_count, 2);
    assert_true(threads_wait(10 * 1000000));
}

/* The thread that ends last frees the lane, while the jobs that waited are still being dropped. */
static void test_closing_while_the_last_thread_ends(void **state)
{
    enum { ROUNDS = 20, WAITING = 2000 };

    for (int i = 1; i <= ROUNDS; i++) {
        Lane *lane = lane_new(inbox, "test", 1, 0);

        set_gate(false);
        submit(lane, NULL);
        wait_at_gate(1);
        for (int j = 0; j < WAITING; j++)
            submit(lane, NULL);
        set_gate(true);
        lane_close(lane);
        run_until_done(i * (WAITING + 1));
        assert_true(threads_wait(10 * 1000000));
    }
}

typedef struct Counted {
    InboxItem item;
} Counted;

static unsigned runs, frees;

static void counted_run(InboxItem *item)
{
    runs++;
}

static void counted_free(InboxItem *item)
{
    frees++;
    g_free(item);
}

static InboxItem *counted_new(void)
{
    Counted *counted = g_new0(Counted, 1);

    counted->item.run = counted_run;
    counted->item.free = counted_free;
    return &counted->item;
}

static void test_inbox_budget(void **state)
{
    runs = frees = 0;
    for (int i = 0; i < 3 * INBOX_BUDGET; i++)
        inbox_post(inbox, counted_new());
    assert_true(sd_event_run(event, 0) > 0);
    assert_int_equal(runs, INBOX_BUDGET);
    while (runs < 3 * INBOX_BUDGET)
        assert_true(sd_event_run(event, 0) > 0);
    assert_int_equal(frees, runs);
    assert_true(sd_event_run(event, 0) >= 0); /* the last wake-up call, which finds nothing */
    assert_int_equal(sd_event_run(event, 0), 0);
}

static void test_inbox_refuses_events_beyond_its_limit_but_no_results(void **state)
{
    InboxItem *refused = counted_new();

    runs = frees = 0;
    for (int i = 0; i < INBOX_EVENTS_MAX; i++)
        assert_true(inbox_post_event(inbox, counted_new()));
    assert_false(inbox_post_event(inbox, refused));
    inbox_post(inbox, counted_new());
    while (runs < INBOX_EVENTS_MAX + 1)
        assert_true(sd_event_run(event, 0) > 0);
    assert_true(inbox_post_event(inbox, refused));
    assert_true(sd_event_run(event, 0) > 0);
    assert_int_equal(frees, INBOX_EVENTS_MAX + 2);
}

static void test_closed_inbox_frees(void **state)
{
    runs = frees = 0;
    inbox_post(inbox, counted_new());
    inbox_close(inbox);
    inbox_post(inbox, counted_new());
    assert_int_equal(runs, 0);
    assert_int_equal(frees, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_more_threads_than_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_key_never_takes_all_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closing_drops_what_waits_and_leaves_what_hangs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_closing_while_the_last_thread_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inbox_budget, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inbox_refuses_events_beyond_its_limit_but_no_results, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_closed_inbox_frees, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
