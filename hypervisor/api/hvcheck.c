/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See hvcheck.h. */
#include "config.h"
#include "hypervisor/api/hvcheck.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/launch.h"

#define ANSWER_MAX 16384u
#define END_MS     1000u /* for one that was killed: longer only where storage hangs */

static void __attribute__((noreturn)) become(char *const argv[], int in, int out)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever asks may be killed, too */
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	execv(argv[0], argv);
	_exit(127);
}

/* All that comes until the other end is closed, as text in @buf. */
static int read_all(int fd, char buf[ANSWER_MAX], uint64_t deadline_ns)
{
	size_t n = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = now_ns();
		int r = now < deadline_ns ? poll(&p, 1, (int)((deadline_ns - now) / NS_PER_MS) + 1) : 0;

		if (r == 0)
			return -ETIMEDOUT;
		ssize_t got = r < 0 ? r : read(fd, buf + n, ANSWER_MAX - 1 - n);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		n += got > 0 ? (size_t)got : 0;
		if (n == ANSWER_MAX - 1)
			return -EPROTO;
	}
	buf[n] = 0;
	return 0;
}

/* Run hvdom with @arg and perhaps @file, @in as its standard input; what it says in @buf. */
static int ask(const char *arg, const char *file, int in, char buf[ANSWER_MAX], struct err *err)
{
	_cleanup_free_ char *hvdom = NULL;
	int p[2], r = hvlaunch_path(&hvdom, err);
	char *argv[] = { hvdom, (char *)(uintptr_t)arg, (char *)(uintptr_t)file, NULL };

	if (r < 0)
		return r;
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_sys(err, errno, "ask %s", hvdom);
	_cleanup_close_ int rd = p[0], wr = p[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "ask %s", hvdom);
	if (!pid)
		become(argv, in, wr);
	close(steal_fd(&wr));
	r = read_all(rd, buf, now_ns() + HVCHECK_MS * NS_PER_MS);
	kill(pid, SIGKILL); /* our child, not yet waited for: the number is its own */
	for (unsigned i = 0; i < END_MS && waitpid(pid, NULL, WNOHANG) == 0; i++)
		usleep(1000);
	return r < 0 ? err_sys(err, r, "ask %s %s", hvdom, arg) : 0;
}

/* The next line of *@at as an answer; 0: there is none more. */
static int next(char **at, struct hvcheck_engine *ret, struct err *err)
{
	char *line = strsep(at, "\n");
	json_t *o = line && *line ? json_loads(line, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *name = json_string_value(json_object_get(o, "engine")),
		   *why = json_string_value(json_object_get(o, "why")),
		   *identity = json_string_value(json_object_get(o, "identity")),
		   *base = json_string_value(json_object_get(o, "base"));
	const json_t *runs = json_object_get(o, "runs");
	int r = 1;

	if (!line || !*line)
		return 0;
	if (!json_is_boolean(runs) || (!name && json_is_true(runs)) || (name && strlen(name) >= sizeof(ret->name)) ||
	    (identity && strlen(identity) >= sizeof(ret->identity)))
		r = err_set(err, EPROTO, "hvdom says \"%.60s\" when it is asked for engines: is it of another version?",
		            line);
	if (r > 0) {
		*ret = (struct hvcheck_engine){ .runs = json_is_true(runs),
			                        .newer = json_is_true(json_object_get(o, "newer")) };
		snprintf(ret->name, sizeof(ret->name), "%s", name ? name : "");
		snprintf(ret->identity, sizeof(ret->identity), "%s", identity ? identity : "");
		snprintf(ret->why, sizeof(ret->why), "%s", ret->runs ? "" : why ? why : "hvdom does not say why");
		text_tidy(ret->why);
		if (base && sscanf(base, "%16" SCNx64 "%16" SCNx64, &ret->base[0], &ret->base[1]) != 2)
			ret->base[0] = ret->base[1] = 0;
	}
	json_decref(o);
	return r;
}

int hvcheck_engines(struct hvcheck_engine ret[HVCHECK_ENGINES_MAX], struct err *err)
{
	_cleanup_close_ int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char buf[ANSWER_MAX], *at = buf;
	int n = 0, r = ask("--engines", NULL, in, buf, err);

	while (r == 0 && n < (int)HVCHECK_ENGINES_MAX) {
		int one = next(&at, &ret[n], err);

		if (one < 0)
			return one;
		if (!one)
			break;
		n++;
	}
	return r == 0 && !n ? err_set(err, EPROTO, "hvdom names no engine") : r < 0 ? r : n;
}

int hvcheck_domain(const char *xml, size_t len, struct hvcheck_engine *ret, struct err *err)
{
	_cleanup_close_ int in = memfd_create("domain", MFD_CLOEXEC);
	char buf[ANSWER_MAX], *at = buf;
	int r = in < 0 ? -errno : write_full(in, xml, len);

	*ret = (struct hvcheck_engine){ 0 };
	if (r < 0)
		return err_sys(err, r, "hand a definition to hvdom");
	r = ask("--check", "/dev/stdin", in, buf, err);
	if (r == 0)
		r = next(&at, ret, err);
	if (r == 0)
		return err_set(err, EPROTO, "hvdom does not say whether it can run the domain");
	return r < 0 ? r : ret->runs ? 0 : err_set(err, ENOTSUP, "%s", ret->why);
}
