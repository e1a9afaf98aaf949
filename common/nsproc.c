/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See nsproc.h. */
#include "config.h"
#include "common/nsproc.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/sched.h>

pid_t nsproc_fork(int *ret_pidfd, struct err *err)
{
	int pidfd = -1;
	struct clone_args a = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
		         CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));

	if (pid < 0)
		return err_sys(err, errno,
		               "cannot make the guest's namespaces (unprivileged user namespaces may be switched off: "
		               "sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces)");
	if (pid > 0) {
		fcntl(pidfd, F_SETFD, FD_CLOEXEC);
		*ret_pidfd = pidfd;
	}
	return pid;
}
