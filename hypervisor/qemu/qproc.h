/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's process: it has user, mount, pid, net, ipc and uts namespaces of its own, a read-only root with only the files that it reads, no
 * capabilities, and no way to gain any. It dies with the thread that started it. Main thread.
 */
#ifndef HOSPES_QEMU_QPROC_H
#define HOSPES_QEMU_QPROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

struct qproc_cfg {
	char *const *argv;           /* argv[0]: the program, below /usr */
	const char *kernel, *initrd; /* paths, NULL: none */
	bool kvm;                    /* give it /dev/kvm */
	bool keep_heap;              /* it keeps the memory that it frees: it will need it at once, while a guest stands still */
	uid_t uid;                   /* of the caller and of QEMU */
	gid_t gid;
	const int *pass;             /* descriptors that it inherits under the same numbers */
	size_t n_pass;
	const int *listen;           /* fresh sockets: socket i is bound to QARGS_SOCKET_DIR/i and listens. -1: none */
	size_t n_listen;
	int err;                     /* its standard output and error */
};

/* Start it: returns when the program is executed. Everything in @cfg is borrowed. */
int qproc_start(const struct qproc_cfg *cfg, pid_t *ret_pid, int *ret_pidfd, struct err *err) _must_check_;

#endif
