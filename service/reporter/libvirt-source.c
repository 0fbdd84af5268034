// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service/reporter/libvirt-source.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "service/cleanup.h"
#include "service/reporter/libvirt-session.h"
#include "service/reporter/libvirt-uri.h"

/* What the thread is asked for; bits, because a test may be wanted beside a collection. */
#define ASK_COLLECT 1U
#define ASK_TEST 2U
#define ASK_STOP 4U

/* Shared by the loop, the thread and libvirt's callbacks: it lives until the last of them lets go. */
typedef struct Worker {
    atomic_uint references;
    LibvirtTarget target;
    int wakeup;          /* eventfd: an answer or a change is there for the loop */
    atomic_bool changed; /* set by libvirt's event thread */

    pthread_mutex_t lock; /* of what follows; never held while libvirt is called */
    pthread_cond_t asked;
    unsigned questions;
    bool started;
    bool collect_busy; /* the thread is at it, or will be */
    bool test_busy;
    bool collect_done; /* an answer for the loop */
    bool test_done;
    bool collect_abandoned;   /* nobody waits for this answer any more */
    Association *association; /* NULL: the failure counts */
    SourceFailure collect_failure;
    SourceFailure test_failure; /* SOURCE_ERROR_NONE: it works */
} Worker;

typedef struct LibvirtSource {
    Worker *worker;
    sd_event_source *io;
} LibvirtSource;

static Worker *worker_ref(Worker *worker)
{
    atomic_fetch_add(&worker->references, 1);
    return worker;
}

static void worker_unref(void *data)
{
    Worker *worker = data;

    if (atomic_fetch_sub(&worker->references, 1) > 1)
        return;
    close(worker->wakeup);
    association_unref(worker->association);
    g_free(worker->target.uri);
    g_free(worker->target.username);
    secret_free(worker->target.password);
    pthread_mutex_destroy(&worker->lock);
    pthread_cond_destroy(&worker->asked);
    g_free(worker);
}

static Worker *worker_new(const Mapping *mapping, char *uri)
{
    Worker *worker = g_new0(Worker, 1);

    worker->references = 1;
    worker->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->asked, NULL);
    worker->target = (LibvirtTarget){
        .uri = uri,
        .username = g_strdup(mapping->username),
        .password = secret_new(mapping->password),
        .by_hostname = mapping->by_hostname,
        .local = mapping->local,
    };
    return worker;
}

static void wake_loop(Worker *worker)
{
    (void)eventfd_write(worker->wakeup, 1);
}

/* --- on libvirt's event thread --- */

static void on_changed(void *userdata)
{
    Worker *worker = userdata;

    atomic_store(&worker->changed, true);
    wake_loop(worker);
}

/* --- on the worker's thread --- */

/* Gives a connection that works, a new one if need be. */
static int connect_session(Worker *worker, LibvirtSession **session, SourceFailure *ret_failure)
{
    if (*session && libvirt_session_alive(*session))
        return 0;
    libvirt_session_close(TAKE_PTR(*session));
    for (int i = 0; i < LIBVIRT_SESSION_LISTENERS; i++)
        worker_ref(worker);
    int r = libvirt_session_open(&worker->target, on_changed, worker, worker_unref, ret_failure, session);

    for (int i = 0; r < 0 && i < LIBVIRT_SESSION_LISTENERS; i++)
        worker_unref(worker);
    return r;
}

static void answer_collect(Worker *worker, LibvirtSession **session)
{
    SourceFailure failure = {};
    Association *association = NULL;

    if (connect_session(worker, session, &failure) == 0) {
        association = libvirt_session_collect(*session, &failure);
        /* After a failure the connection is not trusted any more. */
        if (!association)
            libvirt_session_close(TAKE_PTR(*session));
    }
    pthread_mutex_lock(&worker->lock);
    association_unref(worker->association);
    worker->association = association;
    worker->collect_failure = failure;
    worker->collect_busy = false;
    worker->collect_done = true;
    pthread_mutex_unlock(&worker->lock);
    wake_loop(worker);
}

static void answer_test(Worker *worker, LibvirtSession **session)
{
    SourceFailure failure = {};

    (void)connect_session(worker, session, &failure);
    pthread_mutex_lock(&worker->lock);
    worker->test_failure = failure;
    worker->test_busy = false;
    worker->test_done = true;
    pthread_mutex_unlock(&worker->lock);
    wake_loop(worker);
}

static unsigned next_questions(Worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    while (!worker->questions)
        pthread_cond_wait(&worker->asked, &worker->lock);
    unsigned questions = worker->questions;

    worker->questions = 0;
    pthread_mutex_unlock(&worker->lock);
    return questions;
}

static void *run_worker(void *userdata)
{
    Worker *worker = userdata;
    LibvirtSession *session = NULL;
    unsigned questions;

    while (!((questions = next_questions(worker)) & ASK_STOP)) {
        if (questions & ASK_TEST)
            answer_test(worker, &session);
        if (questions & ASK_COLLECT)
            answer_collect(worker, &session);
    }
    libvirt_session_close(session);
    worker_unref(worker);
    return NULL;
}

/* --- on the loop --- */

/* All signals stay with the main thread. */
static int start_thread(Worker *worker)
{
    sigset_t all, before;
    pthread_t thread;

    if (worker->started)
        return 0;
    int r = libvirt_loop_start();

    if (r < 0)
        return r;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = -pthread_create(&thread, NULL, run_worker, worker_ref(worker));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0) {
        worker_unref(worker);
        return r;
    }
    pthread_detach(thread);
    worker->started = true;
    return 0;
}

static int ask(Worker *worker, unsigned question)
{
    int r = start_thread(worker);

    if (r < 0)
        return r;
    pthread_mutex_lock(&worker->lock);
    worker->questions |= question;
    pthread_cond_signal(&worker->asked);
    pthread_mutex_unlock(&worker->lock);
    return 0;
}

static int libvirt_collect(Source *source)
{
    Worker *worker = ((LibvirtSource *)source->data)->worker;

    pthread_mutex_lock(&worker->lock);
    bool busy = worker->collect_busy;

    worker->collect_busy = true;
    worker->collect_abandoned = false;
    pthread_mutex_unlock(&worker->lock);
    /* A try that was given up and still runs: its answer, if it comes in time, is as good as that of another
     * one. */
    return busy ? 0 : ask(worker, ASK_COLLECT);
}

static int libvirt_test(Source *source)
{
    Worker *worker = ((LibvirtSource *)source->data)->worker;

    pthread_mutex_lock(&worker->lock);
    bool busy = worker->test_busy;

    worker->test_busy = true;
    pthread_mutex_unlock(&worker->lock);
    return busy ? 0 : ask(worker, ASK_TEST);
}

static void libvirt_cancel(Source *source)
{
    Worker *worker = ((LibvirtSource *)source->data)->worker;

    pthread_mutex_lock(&worker->lock);
    worker->collect_abandoned = true;
    pthread_mutex_unlock(&worker->lock);
}

/* Takes the answers out of the worker and hands them on, without its lock. */
static int on_wakeup(sd_event_source *io, int fd, uint32_t events, void *userdata)
{
    Source *source = userdata;
    Worker *worker = ((LibvirtSource *)source->data)->worker;
    eventfd_t count;

    (void)eventfd_read(fd, &count);
    pthread_mutex_lock(&worker->lock);
    bool collected = worker->collect_done && !worker->collect_abandoned, tested = worker->test_done;
    Association *association = TAKE_PTR(worker->association);
    SourceFailure collect_failure = worker->collect_failure, test_failure = worker->test_failure;

    worker->collect_done = worker->test_done = false;
    pthread_mutex_unlock(&worker->lock);
    if (tested)
        source_finish_test(source, test_failure.error ? &test_failure : NULL);
    if (collected)
        source_finish_collect(source, association, association ? NULL : &collect_failure);
    else
        association_unref(association);
    if (atomic_exchange(&worker->changed, false))
        source_changed(source);
    return 0;
}

/* libvirt's own probing gives an ordinary user the VMs of the session: the reporter's user means the
 * system's. */
static char *local_uri(void)
{
    return geteuid() == 0 || getenv("LIBVIRT_DEFAULT_URI") ? NULL : g_strdup("qemu:///system");
}

static int libvirt_open(Source *source, SourceFailure *ret_failure)
{
    const Mapping *mapping = source->mapping;
    char *uri = mapping->local ? local_uri() : libvirt_uri_complete(mapping->server, mapping->username);

    if (!uri && !mapping->local) {
        source_failure_set(ret_failure, SOURCE_ERROR_CONFIGURATION, "\"server\" is neither a host nor a URI");
        return -EINVAL;
    }
    LibvirtSource *libvirt = g_new0(LibvirtSource, 1);

    source->data = libvirt;
    source->connection =
        mapping->local ? g_strdup(getenv("LIBVIRT_DEFAULT_URI") ?: uri) : libvirt_uri_public(uri);
    libvirt->worker = worker_new(mapping, uri);
    int r = libvirt->worker->wakeup < 0
                ? -EMFILE
                : sd_event_add_io(source->event, &libvirt->io, libvirt->worker->wakeup, EPOLLIN, on_wakeup,
                                  source);

    if (r < 0)
        source_failure_set(ret_failure, SOURCE_ERROR_CONFIGURATION, "no descriptor for the source: %s",
                           strerror(-r));
    return r;
}

static int libvirt_watch(Source *source)
{
    /* The session listens from its beginning; whether anybody wants to know is source_changed()'s business.
     */
    return 0;
}

static void libvirt_free(Source *source)
{
    LibvirtSource *libvirt = source->data;

    if (!libvirt)
        return;
    sd_event_source_disable_unref(libvirt->io);
    if (libvirt->worker->started)
        (void)ask(libvirt->worker, ASK_STOP);
    worker_unref(libvirt->worker);
    g_free(libvirt);
}

const SourceType libvirt_source = {
    .name = "libvirt",
    .open = libvirt_open,
    .collect = libvirt_collect,
    .test = libvirt_test,
    .watch = libvirt_watch,
    .cancel = libvirt_cancel,
    .free = libvirt_free,
};
