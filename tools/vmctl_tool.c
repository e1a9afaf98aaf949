/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs a program and shows what it says, see vmctl_tool.h. */
#include "config.h"
#include "tools/vmctl_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/util.h"
#include "tools/vmctl_int.h"

#define TICK_MS 200

struct run {
	const struct tool *t;
	pid_t pid;
	int out, said;  /* our ends of its pipes; -1: it closed its own */
	char line[512]; /* of its output, unfinished */
	size_t line_len;
	char errors[4096]; /* the last of what it said */
	size_t errors_len;
};

static void close_it(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void child(const struct tool *t, int out, int said, int fail, pid_t parent)
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), to = out, e;

	/* a terminal's Ctrl-C is for us: we end it, in order */
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (t->output)
		to = open(t->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (null >= 0 && to >= 0 && dup2(null, 0) >= 0 && dup2(to, 1) >= 0 && dup2(said, 2) >= 0 &&
	    !prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == parent)
		execvp(t->argv[0], t->argv);
	e = errno ?: EIO;
	(void)!write(fail, &e, sizeof(e));
	_exit(127);
}

/* Fork and exec; *@ret_errno: why exec failed, or 0. */
static int begin(struct run *k, int *ret_errno)
{
	int out[2] = { -1, -1 }, said[2] = { -1, -1 }, fail[2] = { -1, -1 }, r = 0;
	pid_t parent = getpid();

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0 || pipe2(fail, O_CLOEXEC) < 0)
		r = -errno;
	if (!r && (k->pid = fork()) < 0)
		r = -errno;
	if (!r && !k->pid)
		child(k->t, out[1], said[1], fail[1], parent);
	close_it(&out[1]);
	close_it(&said[1]);
	close_it(&fail[1]);
	if (!r && read(fail[0], ret_errno, sizeof(*ret_errno)) != sizeof(*ret_errno))
		*ret_errno = 0;
	close_it(&fail[0]);
	if (r < 0) {
		close_it(&out[0]);
		close_it(&said[0]);
		return r;
	}
	k->out = out[0];
	k->said = said[0];
	return 0;
}

static void take_lines(struct run *k, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != '\n') {
			if (k->line_len < sizeof(k->line) - 1)
				k->line[k->line_len++] = p[i];
			continue;
		}
		k->line[k->line_len] = 0;
		k->line_len = 0;
		text_tidy(k->line);
		k->t->line(k->t->arg, k->line);
	}
}

/* Take what is there on *@fd, which is closed at its end. */
static void take(struct run *k, int *fd)
{
	char piece[2048];
	ssize_t n = read(*fd, piece, sizeof(piece));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		close(*fd);
		*fd = -1;
	} else if (fd == &k->out && k->t->line) {
		take_lines(k, piece, (size_t)n);
	} else {
		size_t room = sizeof(k->errors) - k->errors_len, len = (size_t)n;

		if (len > room) {
			size_t keep = len < sizeof(k->errors) ? sizeof(k->errors) - len : 0;

			memmove(k->errors, k->errors + k->errors_len - keep, keep);
			k->errors_len = keep;
		}
		memcpy(k->errors + k->errors_len, piece, len);
		k->errors_len += len;
	}
}

static void show_errors(const struct run *k)
{
	_cleanup_free_ char *text = strndup(k->errors, k->errors_len);
	char *rest = text;

	for (char *line; rest && (line = strsep(&rest, "\n"));)
		if (*line) {
			text_tidy(line);
			fprintf(stderr, "%s\n", line);
		}
}

int vmctl_tool(const struct tool *t, struct err *err)
{
	struct run k = { .t = t, .out = -1, .said = -1 };
	int why, status = 0, r = begin(&k, &why);
	bool ended = false;

	if (r < 0)
		return err_sys(err, r, "%s: run %s", t->doing, t->argv[0]);
	while (!ended && !vmctl_stopped) {
		struct pollfd p[] = { { .fd = k.out, .events = POLLIN }, { .fd = k.said, .events = POLLIN } };

		if (poll(p, 2, k.out < 0 && k.said < 0 ? 20 : TICK_MS) > 0) {
			if (p[0].revents)
				take(&k, &k.out);
			if (p[1].revents)
				take(&k, &k.said);
		} else {
			/* what it started may hold its pipes open */
			ended = waitpid(k.pid, &status, WNOHANG) == k.pid;
		}
		if (t->tick)
			t->tick(t->arg);
	}
	if (!ended) {
		kill(-k.pid, SIGKILL);
		kill(k.pid, SIGKILL);
		while (waitpid(k.pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close_it(&k.out);
	close_it(&k.said);
	if (!ended)
		r = err_set(err, EINTR, "interrupted: %s", t->doing);
	else if (why == ENOENT)
		r = err_set(err, ENOENT, "%s is missing, which is to %s: install the package %s", t->argv[0], t->doing,
		            t->package);
	else if (why)
		r = err_sys(err, why, "execute %s", t->argv[0]);
	else if (status) {
		show_errors(&k);
		r = err_set(err, EIO, "%s failed to %s%s", t->argv[0], t->doing,
		            k.errors_len ? "; what it said stands above" : "");
	}
	return r;
}
