/* SPDX-License-Identifier: GPL-2.0-or-later */
/* hospes-probe ask: one line to a port and one back, for the status port of the test guests. */
#include "config.h"
#include "tools/probe_int.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int probe_ask(const struct probe_opts *o, int fd)
{
	uint64_t end = probe_now_ns() + (uint64_t)o->timeout_s * 1000000000u;
	int code = 1;

	if (send(fd, o->text, strlen(o->text), MSG_NOSIGNAL) < 0 || send(fd, "\n", 1, MSG_NOSIGNAL) < 0)
		goto out;
	while (!probe_stop) {
		char buf[4096];
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = probe_now_ns();
		ssize_t n;

		if (now >= end || poll(&p, 1, (int)((end - now) / 1000000u) + 1) == 0) {
			fprintf(stderr, "hospes-probe: no answer in %u s\n", o->timeout_s);
			break;
		}
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			fprintf(stderr, "hospes-probe: %s\n", n ? strerror(errno) : "closed without an answer");
			break;
		}
		fwrite(buf, 1, (size_t)n, stdout);
		if (memchr(buf, '\n', (size_t)n)) {
			code = 0;
			break;
		}
	}
out:
	close(fd);
	return code;
}
