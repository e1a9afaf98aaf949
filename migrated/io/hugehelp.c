/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Helpers that make huge pages: see hugehelp.h. A request is a range and the memory file; the reply is one octet. */
#include "config.h"
#include "migrated/io/hugehelp.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/cleanup.h"
#include "common/loop.h"
#include "common/util.h"
#include "migrated/io/memmap.h"
#include "migrated/io/priv.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* younger than some C libraries */
#endif

#define IDLE_MS 60000 /* a helper without work ends after that */

struct range {
	uint64_t at, len;
};

static bool wanted; /* set before threads are made */
static _Thread_local int helper = -1;
static _Thread_local uint64_t pause_ns, not_before_ns;

/* The helper ----------------------------------------------------------------------------------------------------------- */

/* MADV_COLLAPSE (Linux 6.1) wants a page of each piece to begin with, and one address range for many of them: it waits once for each call. */
static void collapse(int fd, const struct range *g)
{
	uint8_t *room = mmap(NULL, g->len + HUGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (room == MAP_FAILED)
		return;
	uint8_t *p = room + -(uintptr_t)room % HUGE_BYTES;
	if (mmap(p, g->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, (off_t)g->at) == p) {
		uint64_t k = 0;
		while (k < g->len && madvise(p + k, PAGE_BYTES, MADV_POPULATE_WRITE) == 0)
			k += HUGE_BYTES;
		if (k >= g->len)
			(void)!madvise(p, g->len, MADV_COLLAPSE);
	}
	munmap(room, g->len + HUGE_BYTES);
}

void hugehelp_main(int argc, char **argv)
{
	wanted = true;
	if (argc != 2 || strcmp(argv[1], HUGEHELP_ARG) != 0)
		return;
	prctl(PR_SET_NAME, "hospes-huge");
	priv_none();
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	for (;;) {
		_cleanup_close_ int fd = -1;
		struct range g;
		size_t n = 1;

		if (poll(&in, 1, IDLE_MS) != 1 ||
		    sock_recv_fds(STDIN_FILENO, &g, sizeof(g), &fd, &n) != (ssize_t)sizeof(g) || n != 1)
			exit(0);
		collapse(fd, &g);
		if (send(STDIN_FILENO, "", 1, MSG_NOSIGNAL) != 1)
			exit(0);
	}
}

/* Who asks ------------------------------------------------------------------------------------------------------------- */

/* posix_spawn(): the daemon's address space is not copied. */
static int start(void)
{
	static char name[] = "hospes-huge", how[] = HUGEHELP_ARG;
	char *const argv[] = { name, how, NULL };
	posix_spawn_file_actions_t acts;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int sv[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_init(&acts);
	int r = posix_spawnattr_setsigmask(&attr, &none) || posix_spawnattr_setsigdefault(&attr, &all) ||
	                        posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) ||
	                        posix_spawn_file_actions_adddup2(&acts, sv[1], STDIN_FILENO) ||
	                        posix_spawn_file_actions_addclosefrom_np(&acts, STDERR_FILENO + 1)
	                ? ENOMEM
	                : posix_spawn(&pid, "/proc/self/exe", &acts, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&acts);
	posix_spawnattr_destroy(&attr);
	close(sv[1]);
	if (r != 0) {
		close(sv[0]);
		return -r;
	}
	helper = sv[0];
	return 0;
}

/* Not now, and later less and less. */
static void give_up(void)
{
	hugehelp_end();
	pause_ns = !pause_ns                          ? HUGEHELP_PAUSE_NS
	           : pause_ns < HUGEHELP_PAUSE_MAX_NS ? 2 * pause_ns
	                                              : HUGEHELP_PAUSE_MAX_NS;
	not_before_ns = now_ns() + pause_ns;
}

void hugehelp_make(int fd, uint64_t at, uint64_t len)
{
	const struct range g = { at, len };
	uint64_t begun = now_ns(), late = begun + HUGEHELP_LATE_NS, now;
	char c;

	if (!wanted || begun < not_before_ns)
		return;
	if (helper >= 0 && sock_send_fds(helper, &g, sizeof(g), &fd, 1) < 0)
		hugehelp_end(); /* it was idle for long */
	if (helper < 0) {
		if (start() < 0 || sock_send_fds(helper, &g, sizeof(g), &fd, 1) < 0) {
			give_up();
			return;
		}
		late += HUGEHELP_START_NS;
	}
	struct pollfd p = { .fd = helper, .events = POLLIN };
	while ((now = now_ns()) < late) {
		int n = poll(&p, 1, (int)((late - now) / NS_PER_MS) + 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || recv(helper, &c, 1, 0) != 1)
			break;
		pause_ns = 0;
		return;
	}
	give_up();
}

void hugehelp_end(void)
{
	if (helper >= 0)
		close(helper);
	helper = -1;
}
