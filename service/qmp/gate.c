/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/qmp/gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <glib.h>

/* Turnstiles before the first sweep for those that need not be remembered. */
#define SWEEP_MIN 64u

typedef struct Turnstile {
    QMPBucket bucket;
    uint64_t lost; /* not yet collected */
} Turnstile;

struct QMPGate {
    atomic_uint references;
    pthread_mutex_t mutex; /* guards what follows, apart from the descriptor */
    QMPRate rate;
    GHashTable *turnstiles; /* UUID → Turnstile */
    unsigned int sweep_at;  /* how many of them start the next sweep */
    bool raised;            /* the loop knows that there is something to collect */
    int fd;
};

int qmp_gate_new(const QMPRate *rate, QMPGate **ret)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    QMPGate *gate;

    if (fd < 0)
        return -errno;
    gate = g_new0(QMPGate, 1);
    atomic_init(&gate->references, 1);
    pthread_mutex_init(&gate->mutex, NULL);
    gate->rate = *rate;
    gate->turnstiles = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    gate->sweep_at = SWEEP_MIN;
    gate->fd = fd;
    *ret = gate;
    return 0;
}

QMPGate *qmp_gate_ref(QMPGate *gate)
{
    atomic_fetch_add(&gate->references, 1);
    return gate;
}

QMPGate *qmp_gate_unref(QMPGate *gate)
{
    if (!gate || atomic_fetch_sub(&gate->references, 1) != 1)
        return NULL;
    g_hash_table_unref(gate->turnstiles);
    pthread_mutex_destroy(&gate->mutex);
    close(gate->fd);
    g_free(gate);
    return NULL;
}

int qmp_gate_fd(const QMPGate *gate)
{
    return gate->fd;
}

void qmp_gate_set_rate(QMPGate *gate, const QMPRate *rate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->rate = *rate;
    pthread_mutex_unlock(&gate->mutex);
}

/* Forgets the turnstiles that are as good as new, so that VMs that are gone are not remembered for ever. */
static void gate_sweep(QMPGate *gate, uint64_t now)
{
    GHashTableIter iter;
    gpointer value;

    g_hash_table_iter_init(&iter, gate->turnstiles);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Turnstile *turnstile = value;
        if (turnstile->lost == 0 && qmp_bucket_is_full(&turnstile->bucket, &gate->rate, now))
            g_hash_table_iter_remove(&iter);
    }
    gate->sweep_at = MAX(SWEEP_MIN, 2 * g_hash_table_size(gate->turnstiles));
}

static Turnstile *gate_turnstile(QMPGate *gate, const char *uuid, uint64_t now)
{
    Turnstile *turnstile = g_hash_table_lookup(gate->turnstiles, uuid);

    if (turnstile)
        return turnstile;
    if (g_hash_table_size(gate->turnstiles) >= gate->sweep_at)
        gate_sweep(gate, now);
    turnstile = g_new0(Turnstile, 1);
    qmp_bucket_fill(&turnstile->bucket, &gate->rate, now);
    g_hash_table_insert(gate->turnstiles, g_strdup(uuid), turnstile);
    return turnstile;
}

static void gate_raise(QMPGate *gate)
{
    if (gate->raised)
        return;
    gate->raised = true;
    /* It cannot fail: the counter is far from its end. */
    (void)eventfd_write(gate->fd, 1);
}

bool qmp_gate_admit(QMPGate *gate, const char *uuid, uint64_t now)
{
    Turnstile *turnstile;
    bool passed;

    pthread_mutex_lock(&gate->mutex);
    turnstile = gate_turnstile(gate, uuid, now);
    passed = qmp_bucket_take(&turnstile->bucket, &gate->rate, now);
    if (!passed) {
        turnstile->lost++;
        gate_raise(gate);
    }
    pthread_mutex_unlock(&gate->mutex);
    return passed;
}

void qmp_gate_lose(QMPGate *gate, const char *uuid, uint64_t now)
{
    pthread_mutex_lock(&gate->mutex);
    gate_turnstile(gate, uuid, now)->lost++;
    gate_raise(gate);
    pthread_mutex_unlock(&gate->mutex);
}

typedef struct Loss {
    char *uuid;
    uint64_t count;
} Loss;

static void loss_clear(gpointer data)
{
    g_free(((Loss *)data)->uuid);
}

static GArray *gate_take_losses(QMPGate *gate)
{
    GArray *losses = g_array_new(false, false, sizeof(Loss));
    GHashTableIter iter;
    gpointer key, value;

    g_array_set_clear_func(losses, loss_clear);
    g_hash_table_iter_init(&iter, gate->turnstiles);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        Turnstile *turnstile = value;
        Loss loss = {.uuid = key, .count = turnstile->lost};

        if (loss.count == 0)
            continue;
        loss.uuid = g_strdup(loss.uuid);
        g_array_append_val(losses, loss);
        turnstile->lost = 0;
    }
    return losses;
}

unsigned int qmp_gate_collect(QMPGate *gate, QMPGateCollect collect, void *userdata)
{
    g_autoptr(GArray) losses = NULL;
    eventfd_t counter;

    pthread_mutex_lock(&gate->mutex);
    (void)eventfd_read(gate->fd, &counter);
    losses = gate_take_losses(gate);
    gate->raised = losses->len > 0;
    pthread_mutex_unlock(&gate->mutex);

    /* Outside of the lock: what is called may take its time, libvirt's thread may not wait for it. */
    for (unsigned int i = 0; i < losses->len; i++) {
        const Loss *loss = &g_array_index(losses, Loss, i);
        collect(loss->uuid, loss->count, userdata);
    }
    return losses->len;
}
