/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Corosync's packets dropped by nftables, for as long as somebody asks for it: see aside.h. */
#include "config.h"
#include "clusterd/io/aside.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"

#define REFRESH_NS (4 * NS_PER_S)
#define LIMIT_NS   (3 * NS_PER_S) /* nft takes milliseconds */
#define SCRIPT_MAX 2048u

struct aside {
	struct loop_timer *timer;
	bool on, applied,
		dirty; /* applied: the last script that worked said so; dirty: another one is due when nft ends */
	uint16_t port[CPG_PORTS];
	uint32_t n;
	pid_t pid;
	bool running_on;
	char problem[128];
};

/* Append; *@at is where it would have got to, if that is beyond @cap. */
static __attribute__((format(printf, 4, 5))) void add(char *ret, size_t cap, size_t *at, const char *fmt, ...)
{
	va_list ap;
	size_t from = *at < cap ? *at : cap;

	va_start(ap, fmt);
	*at += (size_t)vsnprintf(ret + from, cap - from, fmt, ap);
	va_end(ap);
}

int aside_script(bool on, const uint16_t *port, uint32_t n, char *ret, size_t cap)
{
	size_t k = 0;

	add(ret, cap, &k, "add table inet hospes_aside\ndelete table inet hospes_aside\n");
	if (on && n) {
		add(ret, cap, &k,
		    "table inet hospes_aside {\nset held {\ntype inet_service\nflags timeout\nelements = { ");
		for (uint32_t i = 0; i < n; i++)
			add(ret, cap, &k, "%s%u timeout %us", i ? ", " : "", port[i], ASIDE_EXPIRES_S);
		add(ret, cap, &k, " }\n}\nchain in {\ntype filter hook input priority -300\nudp dport @held drop\n}\n");
		add(ret, cap, &k, "chain out {\ntype filter hook output priority -300\nudp dport @held drop\n}\n}\n");
	}
	return k < cap ? 0 : -ENOMEM;
}

static _Noreturn void child(int in)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, STDIN_FILENO) == STDIN_FILENO)
		(void)execlp("nft", "nft", "-f", "-", (char *)NULL);
	_exit(127);
}

static void run(struct aside *a)
{
	char script[SCRIPT_MAX];
	_cleanup_close_ int fd = -1;
	pid_t pid;

	loop_timer_in(a->timer, a->on ? REFRESH_NS : LIMIT_NS);
	if (a->pid) {
		a->dirty = true;
		return;
	}
	a->dirty = false;
	fd = memfd_create("hospes-aside", MFD_CLOEXEC);
	if (fd < 0 || aside_script(a->on, a->port, a->n, script, sizeof(script)) < 0 ||
	    pwrite(fd, script, strlen(script), 0) != (ssize_t)strlen(script)) {
		snprintf(a->problem, sizeof(a->problem), "cannot tell nft what to do");
		return;
	}
	pid = fork();
	if (!pid)
		child(fd);
	if (pid < 0)
		return; /* the timer comes again */
	a->pid = pid;
	a->running_on = a->on;
	loop_timer_in(a->timer, LIMIT_NS);
}

static void on_timer(void *arg)
{
	struct aside *a = arg;

	if (a->pid) { /* it hangs; it is a child of ours as long as it was not waited for */
		kill(a->pid, SIGKILL);
		loop_timer_in(a->timer, LIMIT_NS);
		return;
	}
	if (a->on || a->applied)
		run(a);
}

bool aside_child(struct aside *a, pid_t pid, int status)
{
	if (!a || !a->pid || pid != a->pid)
		return false;
	a->pid = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		a->applied = a->running_on;
		a->problem[0] = 0;
	} else {
		const char *why = WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "there is no nft (package nftables)"
		                                                                  : "nft failed";

		if (strcmp(a->problem, why) != 0)
			log_error("cannot take corosync aside: %s", why);
		snprintf(a->problem, sizeof(a->problem), "%s", why);
	}
	if (a->dirty)
		run(a);
	else
		loop_timer_in(a->timer, a->on || a->applied ? REFRESH_NS : UINT64_MAX);
	return true;
}

void aside_set(struct aside *a, bool on, const uint16_t *port, uint32_t n)
{
	a->on = on;
	a->n = n < CPG_PORTS ? n : CPG_PORTS;
	memcpy(a->port, port, a->n * sizeof(*port));
	run(a);
}

struct aside *aside_new(struct loop *loop)
{
	struct aside *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->timer = loop_add_timer(loop, on_timer, a);
	if (!a->timer) {
		free(a);
		return NULL;
	}
	return a;
}

void aside_free(struct aside *a)
{
	if (!a)
		return;
	loop_del_timer(a->timer);
	free(a);
}
