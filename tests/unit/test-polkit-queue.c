/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit/queue.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { ALICE = 1001, BOB, CAROL };

typedef struct Line {
    QueueTicket tickets[256];
    unsigned n;
} Line;

/* Puts that many tickets of one user; returns how many were taken. */
static unsigned put(Queue *q, Line *line, uid_t uid, QueueKind kind, unsigned n, int expected_refusal)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < n; i++) {
        QueueTicket *t = &line->tickets[line->n];
        int r;

        *t = (QueueTicket){.uid = uid, .kind = kind};
        r = queue_put(q, t);
        if (r < 0) {
            assert_int_equal(r, expected_refusal);
            continue;
        }
        line->n++;
        taken++;
    }
    return taken;
}

static unsigned start_all(Queue *q)
{
    unsigned n = 0;

    while (queue_next(q))
        n++;
    return n;
}

static void leave_all(Queue *q, Line *line)
{
    for (unsigned i = 0; i < line->n; i++)
        queue_leave(q, &line->tickets[i]);
    line->n = 0;
}

static void test_slots_of_each_kind(void **state)
{
    Line alice = {0}, bob = {0};
    Queue *q = queue_new();

    assert_int_equal(put(q, &alice, ALICE, QUEUE_PLAIN, 32, 0), 32);
    assert_int_equal(start_all(q), QUEUE_FLYING_PLAIN_MAX);
    assert_int_equal(put(q, &alice, ALICE, QUEUE_PLAIN, 33, -EDQUOT), 32);
    assert_int_equal(start_all(q), 0);
    /* the other kind is not affected */
    assert_int_equal(put(q, &bob, BOB, QUEUE_INTERACTIVE, 9, 0), 9);
    assert_int_equal(start_all(q), QUEUE_FLYING_INTERACTIVE_PER_UID);
    leave_all(q, &alice);
    leave_all(q, &bob);
    queue_free(q);
}

static void test_waiting_limit_counts_both_kinds(void **state)
{
    Line alice = {0}, bob = {0};
    Queue *q = queue_new();

    assert_int_equal(put(q, &alice, ALICE, QUEUE_PLAIN, 20, 0), 20);
    assert_int_equal(put(q, &alice, ALICE, QUEUE_INTERACTIVE, 20, -EDQUOT), 12);
    assert_int_equal(put(q, &bob, BOB, QUEUE_PLAIN, 1, 0), 1);
    leave_all(q, &alice);
    leave_all(q, &bob);
    queue_free(q);
}

static void test_limit_of_all_users(void **state)
{
    Line lines[33] = {0};
    Queue *q = queue_new();

    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(put(q, &lines[i], ALICE + i, QUEUE_PLAIN, 32, 0), 32);
    assert_int_equal(put(q, &lines[32], ALICE + 32, QUEUE_PLAIN, 1, -ENOBUFS), 0);
    for (unsigned i = 0; i < 33; i++)
        leave_all(q, &lines[i]);
    queue_free(q);
}

/* A user with a long line and one with a single ticket: the latter is the next but one. */
static void test_users_take_turns(void **state)
{
    Line alice = {0}, bob = {0}, carol = {0};
    Queue *q = queue_new();
    QueueTicket *first, *second, *third;

    put(q, &alice, ALICE, QUEUE_PLAIN, 32, 0);
    start_all(q);
    put(q, &alice, ALICE, QUEUE_PLAIN, 32, 0);
    put(q, &bob, BOB, QUEUE_PLAIN, 2, 0);
    put(q, &carol, CAROL, QUEUE_PLAIN, 1, 0);
    for (int i = 0; i < 3; i++)
        queue_leave(q, &alice.tickets[i]);
    first = queue_next(q);
    second = queue_next(q);
    third = queue_next(q);
    assert_null(queue_next(q));
    assert_int_equal(first->uid, ALICE);
    assert_int_equal(second->uid, BOB);
    assert_int_equal(third->uid, CAROL);
    /* next round: carol has nothing left */
    queue_leave(q, first);
    queue_leave(q, second);
    assert_int_equal(queue_next(q)->uid, ALICE);
    assert_int_equal(queue_next(q)->uid, BOB);
    leave_all(q, &alice);
    leave_all(q, &bob);
    leave_all(q, &carol);
    queue_free(q);
}

static void test_user_at_own_limit_is_passed_over(void **state)
{
    Line alice = {0}, bob = {0};
    Queue *q = queue_new();

    put(q, &alice, ALICE, QUEUE_INTERACTIVE, 30, 0);
    assert_int_equal(start_all(q), QUEUE_FLYING_INTERACTIVE_PER_UID);
    put(q, &bob, BOB, QUEUE_INTERACTIVE, 1, 0);
    assert_int_equal(queue_next(q)->uid, BOB);
    assert_null(queue_next(q));
    /* one of the dialogs is answered: the next of that user opens */
    queue_leave(q, &alice.tickets[0]);
    assert_ptr_equal(queue_next(q), &alice.tickets[QUEUE_FLYING_INTERACTIVE_PER_UID]);
    leave_all(q, &alice);
    leave_all(q, &bob);
    queue_free(q);
}

static void test_interactive_never_fills_all_slots(void **state)
{
    Line lines[20] = {0}, carol = {0};
    Queue *q = queue_new();
    unsigned started;

    for (unsigned i = 0; i < 20; i++)
        put(q, &lines[i], 2000 + i, QUEUE_INTERACTIVE, 10, 0);
    started = start_all(q);
    assert_int_equal(started, QUEUE_FLYING_INTERACTIVE_MAX);
    put(q, &carol, CAROL, QUEUE_PLAIN, 32, 0);
    started += start_all(q);
    assert_int_equal(started, QUEUE_FLYING_MAX);
    for (unsigned i = 0; i < 20; i++)
        leave_all(q, &lines[i]);
    leave_all(q, &carol);
    queue_free(q);
}

/* Tickets that wait leave from the middle; leaving twice, or without having been in, does nothing. */
static void test_leave_while_waiting(void **state)
{
    QueueTicket stranger = {.uid = BOB};
    Line alice = {0};
    Queue *q = queue_new();

    put(q, &alice, ALICE, QUEUE_PLAIN, 3, 0);
    queue_leave(q, &alice.tickets[1]);
    queue_leave(q, &alice.tickets[1]);
    queue_leave(q, &stranger);
    assert_ptr_equal(queue_next(q), &alice.tickets[0]);
    assert_ptr_equal(queue_next(q), &alice.tickets[2]);
    assert_null(queue_next(q));
    leave_all(q, &alice);
    queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_of_each_kind),
        cmocka_unit_test(test_waiting_limit_counts_both_kinds),
        cmocka_unit_test(test_limit_of_all_users),
        cmocka_unit_test(test_users_take_turns),
        cmocka_unit_test(test_user_at_own_limit_is_passed_over),
        cmocka_unit_test(test_interactive_never_fills_all_slots),
        cmocka_unit_test(test_leave_while_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
