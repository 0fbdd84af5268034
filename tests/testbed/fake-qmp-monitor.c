/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libvirt/libvirt-qemu.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Loaded into guestbusd with LD_PRELOAD: pretends that any connection is QEMU's, and hands over the QMP
 * events that a test writes. What no real QEMU can be made to send gets into the real service this way, at
 * the place where libvirt would call.
 *
 * FAKE_QMP_SOCKET is a datagram socket that the test owns the path of. One datagram is one event:
 * UUID, name, seconds, microseconds and details, with a tab between them; without the last tab there are no
 * details. */

enum {
    DATAGRAM_MAX = 256 * 1024,
};

static struct {
    virConnectPtr connection;
    virConnectDomainQemuMonitorEventCallback callback;
    void *userdata;
    virFreeCallback release;
    virDomainPtr domain; /* of the last event: asking libvirtd each time would be the slowest part */
    bool started;
} fake;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what)
{
    perror(what);
    abort();
}

static int open_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("FAKE_QMP_SOCKET");
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (!path || strlen(path) >= sizeof address.sun_path || fd < 0)
        die("FAKE_QMP_SOCKET");
    strcpy(address.sun_path, path);
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
        die(path);
    return fd;
}

static virDomainPtr find_domain(const char *uuid)
{
    char known[VIR_UUID_STRING_BUFLEN];

    if (fake.domain && virDomainGetUUIDString(fake.domain, known) == 0 && strcmp(known, uuid) == 0)
        return fake.domain;
    if (fake.domain)
        virDomainFree(fake.domain);
    fake.domain = virDomainLookupByUUIDString(fake.connection, uuid);
    return fake.domain;
}

/* With the lock held, so that the registration does not go meanwhile. */
static void deliver(char *text)
{
    char *rest = text;
    const char *uuid = strsep(&rest, "\t"), *name = strsep(&rest, "\t"), *seconds = strsep(&rest, "\t"),
               *micros = strsep(&rest, "\t");

    if (micros && fake.callback && find_domain(uuid))
        fake.callback(fake.connection, fake.domain, name, atoll(seconds), (unsigned int)atol(micros), rest,
                      fake.userdata);
}

static void *run(void *argument)
{
    static char text[DATAGRAM_MAX + 1];
    int fd = open_socket();

    for (;;) {
        ssize_t size = recv(fd, text, DATAGRAM_MAX, 0);

        if (size < 0)
            die("recv");
        text[size] = '\0';
        pthread_mutex_lock(&lock);
        deliver(text);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

/* Only this driver is asked for QMP events. */
const char *virConnectGetType(virConnectPtr connection)
{
    return "QEMU";
}

int virConnectDomainQemuMonitorEventRegister(virConnectPtr connection, virDomainPtr domain, const char *event,
                                             virConnectDomainQemuMonitorEventCallback callback,
                                             void *userdata, virFreeCallback release, unsigned int flags)
{
    pthread_t thread;

    pthread_mutex_lock(&lock);
    fake.connection = connection;
    fake.callback = callback;
    fake.userdata = userdata;
    fake.release = release;
    if (!fake.started && pthread_create(&thread, NULL, run, NULL) != 0)
        die("pthread_create");
    fake.started = true;
    pthread_mutex_unlock(&lock);
    return 1;
}

int virConnectDomainQemuMonitorEventDeregister(virConnectPtr connection, int callback)
{
    pthread_mutex_lock(&lock);
    fake.callback = NULL;
    if (fake.domain)
        virDomainFree(fake.domain);
    fake.domain = NULL;
    if (fake.release)
        fake.release(fake.userdata);
    fake.release = NULL;
    pthread_mutex_unlock(&lock);
    return 0;
}
