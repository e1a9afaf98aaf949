/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stand-ins for hvdom: see standin.h. */
#include "config.h"
#include "tests/unit/standin.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/procs.h"
#include "common/util.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/hypercall.h"

/* It answers PARK, as its manner is; never returns. Any number of clients, one at a time answered. */
static void answer_park(int s, enum manner how)
{
	struct pollfd p[9] = { { .fd = s, .events = POLLIN } };
	nfds_t n = 1;

	for (;;) {
		struct {
			struct hv_msg h;
			struct hv_park_req q;
		} m;

		poll(p, n, -1);
		if (p[0].revents && n < 9)
			p[n++] = (struct pollfd){ .fd = accept(s, NULL, NULL), .events = POLLIN };
		for (nfds_t i = 1; i < n; i++) {
			if (p[i].fd < 0 || !p[i].revents)
				continue;
			if (recv(p[i].fd, &m, sizeof(m), MSG_DONTWAIT) == sizeof(m) && m.h.op == HV_OP_PARK &&
			    m.h.cookie && m.h.cookie == m.q.lease_ns) {
				m.h.len = 0;
				m.h.status = how == REFUSES ? -EBUSY : 0;
				(void)!send(p[i].fd, &m, sizeof(m.h), MSG_NOSIGNAL);
				if (how != PARKS_AND_HANGS_UP)
					continue;
			}
			close(p[i].fd);
			p[i].fd = -1;
		}
	}
}

pid_t hvdom(const char *name, enum manner how)
{
	_cleanup_free_ char *run = dompath_run(name), *lock = dompath_lock(name), *sock = dompath_sock(name);
	int p[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(mkdir_p(run, 0755), 0);
	pid_t pid = fork();
	if (!pid) {
		struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		struct sockaddr_un a = { .sun_family = AF_UNIX };
		int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600), s = socket(AF_UNIX, SOCK_SEQPACKET, 0);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		strcpy(a.sun_path, sock);
		unlink(sock);
		bool ok = fd >= 0 && fcntl(fd, F_OFD_SETLK, &fl) == 0;
		struct procs me;
		struct err err;
		if (how != UNREGISTERED) /* as one of an older version */
			ok = ok && procs_self(&me) == 0 && procs_write(name, &me, &err) == 0;
		if (how == UNLOCKS) { /* what a hijacked one can do: it is its lock */
			fl.l_type = F_UNLCK;
			ok = ok && fcntl(fd, F_OFD_SETLK, &fl) == 0 && unlink(lock) == 0;
		}
		if (how != NO_SOCKET)
			ok = ok && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 &&
			     listen(s, how == FULL_BACKLOG ? 0 : 8) == 0;
		for (int i = 0; how == FULL_BACKLOG && i < 4; i++) { /* so that nobody gets through any more */
			int c = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
			(void)!connect(c, (struct sockaddr *)&a, sizeof(a));
		}
		(void)!write(p[1], ok ? "+" : "-", 1);
		if (how >= PARKS)
			answer_park(s, how);
		for (;;)
			pause();
	}
	char c = 0;
	close(p[1]);
	if (read(p[0], &c, 1) == 1) /* nothing: a guard without a lease was quicker */
		assert_int_equal(c, '+');
	close(p[0]);
	return pid;
}

void end_child(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

bool ends(pid_t pid, unsigned ms)
{
	for (unsigned i = 0; i <= ms / 5; i++) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		usleep(5000);
	}
	return false;
}
