/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts hvdom (hypervisor/api/launch.h) and waits on the terminal until it is ready; Ctrl-C ends both. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"

static void show_waiting(const struct hvlaunch *l, uint64_t start_ns, bool *shown)
{
	uint64_t s = (now_ns() - start_ns) / NS_PER_S;

	if (!s || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%s '%s' ... %u s (Ctrl-C ends it)\033[K", l->incoming ? "preparing" : "starting", l->name,
	        (unsigned)s);
	*shown = true;
}

/* The line that hvdom says on the pipe, without its newline; "" when it ended without one. */
static int read_ready(const struct hvlaunch *l, char *line, size_t room, struct err *err)
{
	uint64_t start_ns = now_ns();
	bool shown = false;
	size_t len = 0;
	int r = 0;

	while (len < room - 1 && !memchr(line, '\n', len)) {
		struct pollfd p = { .fd = l->ready_fd, .events = POLLIN };
		ssize_t n;

		if (vmctl_stopped) {
			r = err_set(err, EINTR, "interrupted: domain '%s' was not started", l->name);
			break;
		}
		if (poll(&p, 1, 500) <= 0) {
			show_waiting(l, start_ns, &shown);
			continue;
		}
		n = read(l->ready_fd, line + len, room - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (shown)
		fprintf(stderr, "\r\033[K");
	line[len] = 0;
	line[strcspn(line, "\n")] = 0;
	return r;
}

int vmctl_launch(struct hvlaunch *l, struct err *err)
{
	char line[ERR_TEXT_MAX] = "";
	int r;

	vmctl_catch_signals();
	r = hvlaunch_begin(l, err);
	if (r < 0)
		return r;
	r = read_ready(l, line, sizeof(line), err);
	close(l->ready_fd);
	l->ready_fd = -1;
	if (!r)
		r = hvlaunch_result(l, line, err);
	if (!r)
		vmctl_default_signals();
	else
		hvlaunch_kill(l);
	return r;
}
