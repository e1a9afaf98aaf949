/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capabilities. The daemon forks hvdom, so its loop thread keeps what hvdom needs and drops the others for good. Threads that read octets
 * of peers (libzmq's and those of the data planes) have none.
 */
#ifndef HOSPES_MIGRATED_IO_PRIV_H
#define HOSPES_MIGRATED_IO_PRIV_H

#include "common/cleanup.h"
#include "common/err.h"

/* Drop what no part of Hospes needs from the process's bounding and permitted sets. Before any thread is made. */
int priv_bound(struct err *err) _must_check_;
/* Drop all capabilities of the calling thread, and so of threads that it makes. */
void priv_none(void);
/* The same, except @cap (a CAP_ constant), if the thread has it. */
void priv_only(unsigned cap);
/* Start the I/O threads of ZeroMQ context @zmq without capabilities. Before its first socket. */
int priv_start_zmq(void *zmq, struct err *err) _must_check_;

#endif
