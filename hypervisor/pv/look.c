/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See look.h. */
#include "config.h"
#include "hypervisor/pv/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/util.h"

static char *read_proc(pid_t pid, const char *file)
{
	char path[64], *text = NULL;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return file_read(path, 1 << 20, &text, &len) ? NULL : text;
}

/* Its state; adds what it had and waited for (a kernel without schedstat: nothing), and what its children had that are gone. */
static char add_one(pid_t pid, bool with_dead, struct hv_look *ret)
{
	_cleanup_free_ char *stat = read_proc(pid, "stat"), *sched = read_proc(pid, "schedstat");
	const char *p = stat ? strrchr(stat, ')') : NULL;
	unsigned long long ran, waited;
	unsigned long cut = 0, cst = 0;
	char state = '?';

	if (sched && sscanf(sched, "%llu %llu", &ran, &waited) == 2) {
		ret->cpu_ns += ran;
		ret->waited_ns += waited;
	}
	if (!p || sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu %lu", &state, &cut, &cst) != 3)
		return '?';
	if (with_dead)
		ret->cpu_ns += (cut + cst) * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
	ret->runnable |= state == 'R';
	return state;
}

static unsigned long long hex_of(const char *text, const char *name)
{
	const char *p = text ? strstr(text, name) : NULL;

	return p ? strtoull(p + strlen(name), NULL, 16) : 0;
}

void pv_look_at(pid_t k, struct hv_look *ret)
{
	_cleanup_free_ char *status = read_proc(k, "status"), *call = read_proc(k, "syscall"), *kids = NULL;
	char name[48], state = add_one(k, true, ret);
	unsigned n = 0, running = 0;

	snprintf(name, sizeof(name), "task/%d/children", k);
	kids = read_proc(k, name);
	for (char *p = kids, *e; p; p = e, n++) {
		pid_t pid = (pid_t)strtol(p, &e, 10);
		if (e == p)
			break;
		running += add_one(pid, false, ret) == 'R';
	}
	snprintf(ret->text, sizeof(ret->text),
	         "kernel process %d: state %c, system call %.*s, pending %llx, blocked %llx; %u of %u others run", k,
	         state, call ? (int)strcspn(call, " \n") : 1, call ? call : "?",
	         hex_of(status, "\nSigPnd:\t") | hex_of(status, "\nShdPnd:\t"), hex_of(status, "\nSigBlk:\t"), running,
	         n);
}

/* CPU time, of dead children, too, if @with_dead; adds its own memory to @rss_anon, if that is not NULL. */
static uint64_t task_cpu_ns(pid_t pid, bool with_dead, uint64_t *rss_anon)
{
	_cleanup_free_ char *stat = read_proc(pid, "stat"), *status = rss_anon ? read_proc(pid, "status") : NULL;
	const char *p = stat ? strrchr(stat, ')') : NULL, *rss = status ? strstr(status, "RssAnon:") : NULL;
	unsigned long ut, st, cut, cst;

	if (!p ||
	    sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &ut, &st, &cut, &cst) != 4)
		return 0;
	if (rss)
		*rss_anon += strtoull(rss + 8, NULL, 10) * 1024;
	return (ut + st + (with_dead ? cut + cst : 0)) * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

void pv_look_stats(pid_t k, pid_t holder, unsigned helpers, struct hv_stats *st)
{
	_cleanup_free_ char *kids = NULL;
	char name[48];

	task_cpu_ns(holder, false, &st->hv_rss_bytes);
	if (!k)
		return;
	st->cpu_ns = task_cpu_ns(k, true, &st->hv_rss_bytes);
	snprintf(name, sizeof(name), "task/%d/children", k);
	kids = read_proc(k, name);
	for (char *p = kids, *e; p; p = e) {
		pid_t pid = (pid_t)strtol(p, &e, 10);
		if (e == p)
			break;
		st->cpu_ns += task_cpu_ns(pid, false, NULL);
		st->processes++;
	}
	if (st->processes >= helpers)
		st->processes -= helpers;
}
