/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vmctl shows while something takes long (vmhost.h); Ctrl-C ends it. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <stdio.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"

static bool shown;
static uint64_t shown_ns;

static void waiting(void *arg, const struct hvlaunch *l, uint64_t since_ns)
{
	unsigned s = (unsigned)(since_ns / NS_PER_S);

	(void)arg;
	if (!s || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%s '%s' ... %u s (Ctrl-C ends it)\033[K", l->incoming ? "preparing" : "starting", l->name,
	        s);
	shown = true;
}

static void clear(void *arg)
{
	(void)arg;
	if (shown)
		fprintf(stderr, "\r\033[K");
	shown = false;
}

static void step(void *arg, const char *what, uint64_t done_bytes, uint64_t total_bytes)
{
	uint64_t now = now_ns();
	char size[32];

	(void)arg;
	if (!isatty(STDERR_FILENO) || now - shown_ns <= 200 * NS_PER_MS)
		return;
	shown_ns = now;
	shown = true;
	size_format(done_bytes, size, sizeof(size));
	if (total_bytes)
		fprintf(stderr, "\r%s %3u %%  %s \033[K", what,
		        (unsigned)(100.0 * (double)done_bytes / (double)total_bytes), size);
	else
		fprintf(stderr, "\r%s  %s \033[K", what, size);
}

const struct vmhost_while vmctl_while = {
	.stop = &vmctl_stopped, .starting = waiting, .started = clear, .step = step, .stepped = clear
};
