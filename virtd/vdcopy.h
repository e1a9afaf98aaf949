/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A volume's octets on their way from or to a client: a thread of the pool copies between the file, which may block, and
 * a socket, whose other end is the client's stream (vdstream.c). The memory that a copy takes is constant.
 */
#ifndef HOSPES_VIRTD_VDCOPY_H
#define HOSPES_VIRTD_VDCOPY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

#define VD_COPIES_MAX 8u /* of all clients: each has one of the threads for long calls */

struct vd_call;

struct vd_copy {
	atomic_uint refs;     /* thread and stream */
	bool upload;
	int file, sock;       /* of the thread, owned: the volume, locked against domains; the stream's other end */
	uint64_t at, left;    /* octets; left UINT64_MAX: to the end of the file, or of what the client sends */
	atomic_bool finished; /* the client has sent all. Else it has gone, or does not want the rest */
	atomic_bool over;     /* failed and text are valid */
	bool failed;
	char text[ERR_TEXT_MAX];
};

/* @file is owned from now on, also on failure. *@ret_fd: the stream's end, owned by the caller, as one reference of *@ret. */
int vd_copy_new(int file, bool upload, uint64_t at, uint64_t len, struct vd_copy **ret, int *ret_fd, struct err *err) _must_check_;
void vd_copy_unref(struct vd_copy *k); /* takes NULL */
/* Have a thread do what the copy of @c is about. Loop thread. False: out of memory. */
bool vd_copy_begin(struct vd_call *c);

#endif
