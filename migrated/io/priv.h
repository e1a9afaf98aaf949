/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Privileges. The daemon forks hvdom, which needs much, so its loop thread keeps what hvdom needs and gives up the rest for good. The
 * threads that read what peers send (libzmq's and the data planes') need nothing and keep nothing.
 */
#ifndef HOSPES_MIGRATED_IO_PRIV_H
#define HOSPES_MIGRATED_IO_PRIV_H

#include "common/cleanup.h"
#include "common/err.h"

/* Take what no part of Hospes needs out of the bounding and permitted sets of the whole process. Before any thread is made. */
int priv_bound(struct err *err) _must_check_;
/* Give up all capabilities of the calling thread; threads it makes have none either. */
void priv_none(void);
/* The same, but for @cap (a CAP_ constant), if the thread has it. */
void priv_only(unsigned cap);
/* Make the I/O threads of ZeroMQ context @zmq without any capability. Call before its first socket. */
int priv_start_zmq(void *zmq, struct err *err) _must_check_;

#endif
