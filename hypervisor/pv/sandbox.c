/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hvdom's side of the sandbox: creates the holder (holder.c) and talks to it. See sandbox.h. Main thread only.
 */
#include "config.h"
#include "hypervisor/pv/sandbox.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/sched.h>
#include "common/nsproc.h"
#include "common/util.h"
#include "hypervisor/pv/holder_int.h"
#include "hypervisor/pv/pt.h"

#define EXEC_US 30000000u /* reading its file may take a while */

int pv_sandbox_new(struct pv_sandbox *s, const struct pv_sandbox_cfg *cfg, struct err *err)
{
	int sv[2], pidfd = -1;
	struct holder_msg m;

	*s = (struct pv_sandbox){ .holder_pidfd = -1, .sock = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return err_sys(err, errno, "cannot make a socket pair");
	pid_t pid = nsproc_fork(&pidfd, err);
	if (pid == 0) {
		close(sv[0]);
		holder_main(sv[1], cfg);
	}
	close(sv[1]);
	if (pid < 0) {
		close(sv[0]);
		return pid;
	}
	*s = (struct pv_sandbox){ .holder = pid, .holder_pidfd = pidfd, .sock = sv[0] };
	ssize_t n = recv(s->sock, &m, sizeof(m), 0);
	if (n != sizeof(m) || m.op != HOLDER_READY) {
		int r = n == sizeof(m) && m.op == HOLDER_FAILED
		                ? err_sys(err, m.status, "cannot prepare the guest's sandbox: %.200s", m.text)
		                : err_set(err, EPIPE, "the guest's sandbox ended during its set-up");
		pv_sandbox_done(s);
		return r;
	}
	return 0;
}

void pv_sandbox_done(struct pv_sandbox *s)
{
	if (s->holder > 0) {
		kill(s->holder, SIGKILL);
		while (waitpid(s->holder, NULL, __WALL) < 0 && errno == EINTR)
			;
	}
	if (s->sock >= 0)
		close(s->sock);
	if (s->holder_pidfd >= 0)
		close(s->holder_pidfd);
	*s = (struct pv_sandbox){ .holder_pidfd = -1, .sock = -1 };
}

static void close_all(const int *fds, size_t n)
{
	while (n)
		close(fds[--n]);
}

/* Ask and wait. Exit reports of an earlier K that come in between are dropped: the caller knows that it asked for a new one. */
static int ask(struct pv_sandbox *s, const struct holder_msg *m, const int *fds, size_t n_fds, struct holder_msg *rep,
               int *rep_fds, size_t *n_rep, struct err *err)
{
	int r = sock_send_fds(s->sock, m, sizeof(*m), fds, n_fds);

	if (r < 0)
		return err_sys(err, -r, "cannot reach the guest's sandbox");
	for (;;) {
		size_t room = *n_rep;
		struct pollfd p = { .fd = s->sock, .events = POLLIN };
		if (poll(&p, 1, 10000) == 0) {
			/* a late answer would be taken for that to another question: this sandbox is done for */
			kill(s->holder, SIGKILL);
			return err_set(err, ETIMEDOUT, "the guest's sandbox does not answer");
		}
		ssize_t n = sock_recv_fds(s->sock, rep, sizeof(*rep), rep_fds, &room);
		bool answers = n == sizeof(*rep) && rep->op != HOLDER_EXIT && rep->op != HOLDER_FAILED;
		if (n >= 0 && !answers)
			close_all(rep_fds, room);
		if (n != sizeof(*rep))
			return err_set(err, EPIPE, "the guest's sandbox ended");
		if (rep->op == HOLDER_EXIT)
			continue;
		*n_rep = answers ? room : 0;
		if (!answers)
			return err_sys(err, rep->status, "cannot start the guest: %.200s", rep->text);
		return 0;
	}
}

/* The pid of @pidfd as hvdom's /proc numbers it. */
static pid_t pid_of(int pidfd)
{
	char path[64], *text = NULL;
	size_t len;
	pid_t pid = -1;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	if (file_read(path, 4096, &text, &len) == 0) {
		char *p = strstr(text, "Pid:");
		if (p)
			pid = (pid_t)strtol(p + 4, NULL, 10);
	}
	free(text);
	return pid;
}

/* At the exec stop: turn AT_SYSINFO_EHDR into AT_IGNORE, so that no code of K ever calls the vDSO, which another host lacks. */
static int hide_vdso(pid_t pid, struct err *err)
{
	struct user_regs_struct r;
	uint64_t w, at;
	int e = pt_get_regs(pid, &r);

	if (e < 0)
		return err_sys(err, -e, "cannot read the new guest kernel's registers");
	at = r.rsp;
	if (pt_read(pid, at, &w, 8) || w > 4096)
		return err_set(err, EIO, "cannot read the new guest kernel's stack");
	at += 8 * (w + 2); /* argc, argv, NULL */
	do {
		if (pt_read(pid, at, &w, 8) < 0)
			return err_set(err, EIO, "cannot read the new guest kernel's stack");
		at += 8;
	} while (w); /* envp, NULL */
	for (;; at += 16) {
		if (pt_read(pid, at, &w, 8) < 0)
			return err_set(err, EIO, "cannot read the new guest kernel's auxiliary vector");
		if (w == AT_NULL)
			return 0;
		if (w == AT_SYSINFO_EHDR) {
			w = AT_IGNORE;
			if (pt_write(pid, at, &w, 8) < 0)
				return err_set(err, EIO, "cannot write the new guest kernel's auxiliary vector");
		}
	}
}

static int follow_exec(pid_t pid, int go, struct err *err)
{
	bool stopped;
	int status, r;

	if (ptrace(PTRACE_SEIZE, pid, 0, (void *)(PTRACE_O_TRACEEXEC)) < 0)
		return err_sys(err, errno, "cannot attach to the new guest kernel");
	if (write(go, "g", 1) != 1)
		return err_sys(err, errno, "cannot start the guest kernel");
	for (;;) {
		r = pt_wait(pid, EXEC_US, &stopped, &status);
		if (!r && !stopped)
			return err_set(
				err, ETIMEDOUT,
				"the guest kernel was not executed within %u s: does this machine's storage answer, or is it "
				"overloaded?",
				EXEC_US / 1000000);
		if (r < 0)
			return err_set(
				err, ENOEXEC,
				"the guest kernel could not be executed (is it an x86-64 user-mode Linux kernel?)");
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8))
			break;
		ptrace(PTRACE_CONT, pid, 0, (void *)(intptr_t)(status >> 16 ? 0 : WSTOPSIG(status)));
	}
	r = hide_vdso(pid, err);
	pt_detach(pid);
	return r;
}

/* The devices' sockets follow the answer, some in each message. */
static int receive_listeners(struct pv_sandbox *s, int *listen, unsigned n_listen, unsigned *got, struct err *err)
{
	struct holder_msg m;

	while (*got < n_listen) {
		size_t room = n_listen - *got;
		ssize_t n = sock_recv_fds(s->sock, &m, sizeof(m), listen + *got, &room);
		*got += n < 0 ? 0 : (unsigned)room;
		if (n != sizeof(m) || m.op != HOLDER_FDS || !room)
			return err_set(err, EPROTO, "the guest's sandbox answered with the wrong descriptors");
	}
	return 0;
}

int pv_sandbox_boot(struct pv_sandbox *s, char *const argv[], int con, int errfd, int64_t mono_offset_ns,
                    pid_t *ret_pid, int *ret_pidfd, int *listen, unsigned n_listen, struct err *err)
{
	struct holder_msg m = { .op = HOLDER_BOOT, .offset_ns = mono_offset_ns, .nspid = 2 }, rep;
	int go[2], fds[1];
	size_t n = ARRAY_SIZE(fds), used = 0;

	for (; argv[m.argc]; m.argc++) {
		size_t l = strlen(argv[m.argc]) + 1;
		if (used + l > sizeof(m.text))
			return err_set(err, E2BIG, "the guest's kernel command line is too long");
		memcpy(m.text + used, argv[m.argc], l);
		used += l;
	}
	if (pipe2(go, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	_cleanup_close_ int go_r = go[0], go_w = go[1];
	int r = ask(s, &m, (int[]){ con, errfd, go_r }, 3, &rep, fds, &n, err);
	if (r < 0)
		return r;
	unsigned got = 0;
	if (n == 1)
		r = receive_listeners(s, listen, n_listen, &got, err);
	else
		r = err_set(err, EPROTO, "the guest's sandbox answered with the wrong descriptors");
	pid_t pid = r ? -1 : pid_of(fds[0]);
	if (!r)
		r = pid > 0 ? follow_exec(pid, go_w, err) : err_set(err, EIO, "cannot find the new guest kernel");
	if (r < 0) {
		close_all(fds, n);
		close_all(listen, got);
		return r;
	}
	*ret_pid = pid;
	*ret_pidfd = fds[0];
	return 0;
}

int pv_sandbox_restore(struct pv_sandbox *s, int code, int plan, uint64_t plan_bytes, const int *fds, unsigned n_fds,
                       int32_t nspid, int64_t mono_offset_ns, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
	struct holder_msg m = { .op = HOLDER_RESTORE,
		                .offset_ns = mono_offset_ns,
		                .nspid = nspid,
		                .plan_bytes = plan_bytes },
			  rep;
	int out[2];
	size_t n_out = 2;

	if (n_fds > SANDBOX_FDS_MAX)
		return err_set(err, E2BIG, "the guest kernel has too many descriptors (%u)", n_fds);
	/* 16 descriptors a message: code and plan in the order itself, the others before it */
	for (unsigned i = 0; i < n_fds;) {
		unsigned c = n_fds - i > 16 ? 16 : n_fds - i;
		struct holder_msg f = { .op = HOLDER_FDS, .argc = c };
		int r = sock_send_fds(s->sock, &f, sizeof(f), fds + i, c);
		if (r < 0)
			return err_sys(err, -r, "cannot pass descriptors to the guest's sandbox");
		i += c;
	}
	int r = ask(s, &m, (int[]){ code, plan }, 2, &rep, out, &n_out, err);
	if (r < 0)
		return r;
	if (n_out != 1) {
		close_all(out, n_out);
		return err_set(err, EPROTO, "the guest's sandbox answered with the wrong descriptors");
	}
	pid_t pid = pid_of(out[0]);
	if (pid <= 0) {
		close(out[0]);
		return err_set(err, EIO, "cannot find the new guest process");
	}
	*ret_pid = pid;
	*ret_pidfd = out[0];
	return 0;
}

int pv_sandbox_clear(struct pv_sandbox *s, struct err *err)
{
	struct holder_msg m = { .op = HOLDER_CLEAR }, rep;
	size_t n = 0;

	return ask(s, &m, NULL, 0, &rep, NULL, &n, err);
}

int pv_sandbox_read_exit(struct pv_sandbox *s, int *ret_status)
{
	struct holder_msg m;
	ssize_t n = recv(s->sock, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n != sizeof(m))
		return -EPIPE;
	if (m.op != HOLDER_EXIT)
		return -EAGAIN;
	*ret_status = m.status;
	return 0;
}
