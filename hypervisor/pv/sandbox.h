/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The namespaces of a guest's processes: user, pid, mount, net, ipc, uts and time. One small process, the holder, is pid 1 there. On
 * hvdom's order it spawns the guest kernel K, by exec (boot) or as a blank process that becomes K (restore). The holder dies with hvdom,
 * and every process in the namespaces dies with the holder.
 * Make it while hvdom is single-threaded and has its final user id. Main thread.
 */
#ifndef HOSPES_PV_SANDBOX_H
#define HOSPES_PV_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

#define SANDBOX_FD_BASE 1000    /* number of the first descriptor of a process that is restored */
#define SANDBOX_FDS_MAX 120

struct pv_sandbox {
	pid_t holder;           /* 0: none */
	int holder_pidfd;       /* owned */
	int sock;               /* owned; SEQPACKET to the holder. Readable: K ended, see pv_sandbox_read_exit() */
};

struct pv_sandbox_cfg {
	const char *kernel;         /* program to boot; this and initrd borrowed for the call */
	const char *initrd;         /* NULL: none */
	uint64_t ram_bytes;
	unsigned n_devs;            /* number of listening sockets /v/0 ... */
	uid_t uid;                  /* of hvdom and of the guest's processes */
	gid_t gid;
	int cpu;                    /* pin to this CPU; -1: no pinning */
};

int pv_sandbox_new(struct pv_sandbox *s, const struct pv_sandbox_cfg *cfg, struct err *err) _must_check_;
void pv_sandbox_done(struct pv_sandbox *s);   /* kills every process there and waits for the holder's end */

/*
 * Boot: exec the kernel with @argv (NULL-terminated). @con (borrowed) becomes its descriptors 0 and 1, @errfd (borrowed) 2. Results: K's
 * pid in hvdom's namespace, a pidfd and @n_listen listening sockets, one per device; the caller owns the descriptors. Before its first
 * instruction K's auxiliary vector is changed so that it does not find the vDSO.
 */
int pv_sandbox_boot(struct pv_sandbox *s, char *const argv[], int con, int errfd, int64_t mono_offset_ns,
                    pid_t *ret_pid, int *ret_pidfd, int *listen, unsigned n_listen, struct err *err) _must_check_;
/*
 * Restore: make a blank process, pid @nspid there, which maps @code and @plan (memfds, borrowed) and enters the restorer. Its descriptors
 * from SANDBOX_FD_BASE on are @fds (borrowed). Results as above.
 */
int pv_sandbox_restore(struct pv_sandbox *s, int code, int plan, uint64_t plan_bytes, const int *fds, unsigned n_fds, int32_t nspid,
                       int64_t mono_offset_ns, pid_t *ret_pid, int *ret_pidfd, struct err *err) _must_check_;
/* Kill every process there except the holder. Returns when all are gone. */
int pv_sandbox_clear(struct pv_sandbox *s, struct err *err) _must_check_;
/* When @s->sock is readable: the wait status of K. -EPIPE: the holder died. */
int pv_sandbox_read_exit(struct pv_sandbox *s, int *ret_status) _must_check_;

#endif
