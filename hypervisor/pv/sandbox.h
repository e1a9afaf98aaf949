/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The place where a guest's processes live: user, pid, mount, net, ipc, uts and time namespaces held by one small process,
 * the holder (pid 1 there). hvdom asks it to spawn the guest kernel K, by exec (boot) or as a blank process that becomes K
 * (restore). The holder dies with hvdom, and everything in the namespaces with the holder.
 * Create it while hvdom is still single-threaded and has its final user id.
 */
#ifndef HOSPES_PV_SANDBOX_H
#define HOSPES_PV_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/cleanup.h"
#include "common/err.h"

#define SANDBOX_FD_BASE 1000    /* numbers at which a restored process starts with its descriptors */
#define SANDBOX_FDS_MAX 120

struct pv_sandbox {
	pid_t holder;           /* 0: none */
	int holder_pidfd;       /* owned */
	int sock;               /* owned; SEQPACKET to the holder; readable: K ended (sandbox_read_exit) */
};

struct pv_sandbox_cfg {
	const char *kernel;         /* program to boot */
	const char *initrd;         /* NULL: none */
	uint64_t ram_bytes;
	unsigned n_devs;            /* listening sockets /v/0 ... */
	uid_t uid;                  /* hvdom's own, and the guest's */
	gid_t gid;
	int cpu;                    /* pin to this CPU; -1: no pinning */
};

int pv_sandbox_new(struct pv_sandbox *s, const struct pv_sandbox_cfg *cfg, struct err *err) _must_check_;
void pv_sandbox_done(struct pv_sandbox *s);   /* kills all that lives there; waits for the holder */

/*
 * Boot: exec the kernel with @argv (NULL-terminated). @con and @errfd (borrowed) become fds 0, 1 and 2. Returns K's pid (in
 * hvdom's namespace), a pidfd and one listening socket per device. K stands before its first instruction is run: its auxiliary
 * vector hides the vDSO, then it goes.
 */
int pv_sandbox_boot(struct pv_sandbox *s, char *const argv[], int con, int errfd, int64_t mono_offset_ns,
                    pid_t *ret_pid, int *ret_pidfd, int *listen, unsigned n_listen, struct err *err) _must_check_;
/*
 * Restore: a blank process, pid @nspid there, that maps @code and @plan (memfds, borrowed) and enters the restorer.
 * @fds (borrowed) arrive as SANDBOX_FD_BASE + index.
 */
int pv_sandbox_restore(struct pv_sandbox *s, int code, int plan, uint64_t plan_bytes, const int *fds, unsigned n_fds, int32_t nspid,
                       int64_t mono_offset_ns, pid_t *ret_pid, int *ret_pidfd, struct err *err) _must_check_;
/* Kill every process there but the holder; returns when all are gone. */
int pv_sandbox_clear(struct pv_sandbox *s, struct err *err) _must_check_;
/* After sock became readable: K's wait status. -EPIPE: the holder died. */
int pv_sandbox_read_exit(struct pv_sandbox *s, int *ret_status) _must_check_;

#endif
