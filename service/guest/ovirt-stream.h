/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "service/guest/ovirt-command.h"
#include "service/inbox.h"

#include <libvirt/libvirt.h>

/* The bytes of one open channel, between libvirt's event thread, which reads and writes them, and the loop,
 * which understands them. The thread never waits for the loop: what does not fit is dropped and remembered as
 * a gap, so that a guest that floods costs a fixed amount of memory and its own lines only. (Not reading
 * would not stop it: libvirt's client takes every stream's data off the shared connection and keeps it.) */

enum {
    OVIRT_STREAM_INCOMING_MAX = 128 * 1024, /* bytes that wait for the loop */
    OVIRT_STREAM_OUTGOING_MAX = 32 * 1024,  /* bytes that wait for the guest */
    /* Bytes that one stream may carry to the guest. QEMU keeps some 200 kB for a guest that does not read;
     * when that is full libvirtd stops reading from the connection that all channels of the source share. So
     * the stream is closed, which empties that buffer, and opened anew long before. */
    OVIRT_STREAM_SENT_MAX = 96 * 1024,
};

typedef struct OvirtStream OvirtStream;

/* Called in the loop when there is news; ovirt_stream_take() tells what. */
typedef void (*OvirtStreamNews)(OvirtStream *stream, void *userdata);

typedef struct OvirtStreamState {
    GString *incoming; /* the caller's to free, or NULL */
    bool gap;          /* bytes were lost after `incoming` */
    bool ended;        /* it was the last: end of file, or an error */
    unsigned sent;     /* commands that are wholly on their way since the last time */
} OvirtStreamState;

/* Opens a VM's channel and starts reading. For a worker: blocks as libvirt does. Returns NULL with libvirt's
 * error code and text (the caller's to free) when it cannot. */
OvirtStream *ovirt_stream_open(virDomainPtr domain, const char *channel, Inbox *inbox, int *ret_error,
                               char **ret_text);

/* From now on the loop hears of it. */
void ovirt_stream_attach(OvirtStream *stream, OvirtStreamNews news, void *userdata);

/* Takes what came. */
void ovirt_stream_take(OvirtStream *stream, OvirtStreamState *ret_state);

/* Has the news callback called once more, after others had their turn. */
void ovirt_stream_again(OvirtStream *stream);

/* Queues a command, which it takes over. Returns 0, -ENOBUFS when too much waits, -EMSGSIZE when the stream
 * has carried all that it may. Then the command is still the caller's. */
int ovirt_stream_send(OvirtStream *stream, OvirtCommand *command);

/* Lets go: nothing is called any more, what was not sent is wiped, and the stream is closed in a thread of
 * its own, because closing asks the other side. */
void ovirt_stream_let_go(OvirtStream *stream);
