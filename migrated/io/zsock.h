/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ZeroMQ socket on the event loop. libzmq's descriptor is edge-triggered, and a send may consume an edge, so the socket is drained after
 * each. Loop thread.
 */
#ifndef HOSPES_MIGRATED_IO_ZSOCK_H
#define HOSPES_MIGRATED_IO_ZSOCK_H

#include <stddef.h>
#include <stdint.h>
#include <zmq.h>
#include "common/err.h"
#include "common/loop.h"

#define ZSOCK_PARTS_MAX 16u

struct zsock;
/* @sock is owned from now on, also on failure. @fn gets messages of 1 to ZSOCK_PARTS_MAX parts, borrowed; longer ones are dropped. */
struct zsock *zsock_new(struct loop *loop, void *sock, void (*fn)(void *arg, zmq_msg_t *parts, size_t n), void *arg,
                        struct err *err);
void zsock_free(struct zsock *z); /* takes NULL; its callback may call it */
void *zsock_raw(struct zsock *z); /* the ZeroMQ socket, borrowed */
/* Send one message of @n parts, copied, without waiting. -EAGAIN: the peer's queue is full, or there is no peer. */
int zsock_send(struct zsock *z, const void *const *parts, const size_t *len, size_t n);
/* Processor time of this process's ZeroMQ I/O threads so far, in ns, of all its contexts. 0: unknown. Costs a walk over all threads */
uint64_t zsock_io_cpu_ns(void);

#endif
