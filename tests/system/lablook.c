/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lablook QUESTION ARGUMENT...: what the hosts of a lab (VMLAB_DIR, VMLAB_NAME) run, and what their clusterds say. Tests ask this many times a
 * second, so it is one process: it does not enter a host, but finds its sockets and processes by way of /proc/PID/root of the host's init.
 * Domains are those that answer on their hypercall sockets, as vmctl finds them. One thread.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/dompath.h"
#include "hypervisor/api/hvcall.h"
#include "tools/jsonconn.h"

#define HOSTS_MAX  20
#define COPIES_MAX 1024
#define ANSWER_MS  5000 /* a clusterd that says nothing for so long does not answer */
#define INFO_MS    3000 /* an hvdom, as for vmctl */

struct host {
	char name[HV_NAME_MAX];
	pid_t init; /* 0: it is down */
};

static struct host hosts[HOSTS_MAX];
static unsigned n_hosts;

/* Entries of directories ---------------------------------------------------------------------------------------------- */

/* The next name in @d that does not begin with a dot; NULL: there is none. */
static const char *next_name(DIR *d)
{
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			return e->d_name;
	return NULL;
}

static void cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define _cleanup_dir_ __attribute__((cleanup(cleanup_dir)))

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct host *)a)->name, ((const struct host *)b)->name);
}

/* The hosts as they are now, in the order of their names. */
static void hosts_read(void)
{
	_cleanup_free_ char *path = xasprintf("%s/%s/hosts", getenv("VMLAB_DIR") ?: "/var/lib/vmlab",
	                                      getenv("VMLAB_NAME") ?: "lab");
	_cleanup_dir_ DIR *d = opendir(path);
	const char *name;

	n_hosts = 0;
	while (n_hosts < HOSTS_MAX && (name = next_name(d))) {
		_cleanup_free_ char *file = xasprintf("%s/%s/init.pid", path, name), *text = NULL;
		struct host *h = &hosts[n_hosts++];
		size_t len;

		snprintf(h->name, sizeof(h->name), "%.63s", name);
		h->init = file_read(file, 64, &text, &len) ? 0 : atoi(text);
	}
	qsort(hosts, n_hosts, sizeof(*hosts), by_name);
}

static const struct host *host_find(const char *name)
{
	for (unsigned i = 0; i < n_hosts; i++)
		if (!strcmp(hosts[i].name, name))
			return &hosts[i];
	fprintf(stderr, "lablook: the lab has no host %s\n", name);
	exit(2);
}

/* From now on path_run() and path_state() are those of @h. False: it is down. */
static bool at_host(const struct host *h)
{
	_cleanup_free_ char *run = xasprintf("/proc/%d/root/run/hospes", h->init);
	_cleanup_free_ char *state = xasprintf("/proc/%d/root/var/lib/hospes", h->init);

	return h->init && !setenv("HOSPES_RUNDIR", run, 1) && !setenv("HOSPES_STATEDIR", state, 1);
}

/* Domains of a host --------------------------------------------------------------------------------------------------- */

/* As vmctl list --all says it; "": there is no such domain. */
static const char *state_of(const struct host *h, const char *name)
{
	static const char *const names[] = {
		[HV_DOM_BOOTING] = "booting",     [HV_DOM_RUNNING] = "running",         [HV_DOM_PAUSED] = "paused",
		[HV_DOM_SUSPENDED] = "suspended", [HV_DOM_RELINQUISHED] = "moved away", [HV_DOM_INCOMING] = "incoming",
		[HV_DOM_RESTORED] = "restored",   [HV_DOM_SHUTDOWN] = "in shutdown",    [HV_DOM_CRASHED] = "crashed",
		[HV_DOM_PARKED] = "parked",
	};
	struct hv_info info = { 0 };
	struct hvcall c;

	if (!at_host(h))
		return "";
	int r = hvcall_open(&c, name, NULL);
	if (!r) {
		c.timeout_ms = INFO_MS;
		r = hvcall_simple(&c, HV_OP_INFO, NULL, 0, &info, sizeof(info), NULL);
		hvcall_close(&c);
		if (r)
			return "no answer";
		return info.state < ARRAY_SIZE(names) && names[info.state] ? names[info.state] : "unknown";
	}
	_cleanup_free_ char *definition = dompath_definition(name);
	return r == -ECONNREFUSED ? "crashed" : access(definition, F_OK) ? "" : "shut off";
}

static bool runs_on(const struct host *h, const char *name)
{
	return !strcmp(state_of(h, name), "running");
}

/* Call @fn with each domain of @h that is in @state. */
static void each_in_state(const struct host *h, const char *state, void (*fn)(const struct host *h, const char *name))
{
	if (!at_host(h))
		return;
	_cleanup_free_ char *path = dompath_runs();
	_cleanup_dir_ DIR *d = opendir(path);
	const char *name;

	while ((name = next_name(d)))
		if (!strcmp(state_of(h, name), state))
			fn(h, name);
}

static void print_name(const struct host *h, const char *name)
{
	(void)h;
	puts(name);
}

/* HOST STATE: the domains there that have an hvdom and are in that state */
static int q_domains(char **a)
{
	each_in_state(host_find(a[0]), a[1], print_name);
	return 0;
}

/* HOST NAME */
static int q_state(char **a)
{
	const char *state = state_of(host_find(a[0]), a[1]);

	if (*state)
		puts(state);
	return 0;
}

/* NAME: "HOST: STATE" of all hosts that are up */
static int q_states(char **a)
{
	for (unsigned i = 0; i < n_hosts; i++)
		if (hosts[i].init)
			printf("%s: %s\n", hosts[i].name, state_of(&hosts[i], a[0]));
	return 0;
}

/* NAME: the hosts that run it */
static int q_runs(char **a)
{
	for (unsigned i = 0; i < n_hosts; i++)
		if (runs_on(&hosts[i], a[0]))
			puts(hosts[i].name);
	return 0;
}

/* Double copies ------------------------------------------------------------------------------------------------------- */

/* What was seen in this round. */
static struct copy {
	const struct host *host;
	char name[HV_NAME_MAX];
} copies[COPIES_MAX];
static unsigned n_copies;

/* A domain that runs on two hosts, and on the first one still when that is asked again: a move may have been in between. */
static void seen(const struct host *h, const char *name)
{
	for (unsigned i = 0; i < n_copies; i++)
		if (!strcmp(copies[i].name, name) && runs_on(copies[i].host, name)) {
			time_t now = time(NULL);
			char text[16];

			strftime(text, sizeof(text), "%T", localtime(&now));
			printf("%s %s runs on %s and %s\n", text, name, copies[i].host->name, h->name);
		}
	if (n_copies == COPIES_MAX) {
		puts("more domains than the watch can see");
		return;
	}
	copies[n_copies].host = h;
	snprintf(copies[n_copies++].name, sizeof(copies->name), "%.63s", name);
}

/* MS: all hosts again and again, with a pause of so many ms; a line for each double copy, and "." after each round. Until it is killed. */
static int q_watch(char **a)
{
	struct timespec pause = { .tv_sec = atoi(a[0]) / 1000, .tv_nsec = atoi(a[0]) % 1000 * 1000000L };

	for (;;) {
		n_copies = 0;
		hosts_read();
		for (unsigned i = 0; i < n_hosts; i++)
			each_in_state(&hosts[i], "running", seen);
		puts(".");
		if (fflush(stdout))
			return 1;
		nanosleep(&pause, NULL);
	}
}

/* Processes of a host ------------------------------------------------------------------------------------------------- */

/* True if the process in @dir (/proc/PID) holds the lock of the domain @name, or of one whose name begins so. */
static bool holds_lock(const char *dir, const char *name)
{
	_cleanup_free_ char *fds = xasprintf("%s/fd", dir), *want = xasprintf("/dom/%s", name);
	_cleanup_dir_ DIR *d = opendir(fds);
	const char *fd;

	while ((fd = next_name(d))) {
		char to[512];
		ssize_t n = readlinkat(dirfd(d), fd, to, sizeof(to) - 1);

		to[n < 0 ? 0 : n] = 0;
		const char *at = strstr(to, want), *slash = at ? strchr(at + strlen(want), '/') : NULL;
		if (slash && !strcmp(slash, "/" DOMPATH_LOCK))
			return true;
	}
	return false;
}

/*
 * Does it run no guest? One that only says what could run (hvdom --check, --engines): a host asks that all the time. And
 * one that has ended, which nobody has waited for yet: it has no arguments any more.
 */
static bool runs_nothing(const char *dir)
{
	_cleanup_free_ char *file = xasprintf("%s/cmdline", dir), *text = NULL;
	size_t len = 0;

	if (file_read(file, 65536, &text, &len) < 0)
		return false;
	const char *arg = len ? memchr(text, 0, len) : NULL;
	return !len || (arg && (!strcmp(arg + 1, "--check") || !strcmp(arg + 1, "--engines")));
}

/* HOST [NAME]: the process ids, as seen on that host, of all hvdoms, or of those of a domain: without asking any of our programs */
static int q_hvdoms(char **a)
{
	const struct host *h = host_find(a[0]);
	_cleanup_free_ char *proc = xasprintf("/proc/%d/root/proc", h->init);
	_cleanup_dir_ DIR *d = h->init ? opendir(proc) : NULL;
	const char *pid;

	if (!d) {
		fprintf(stderr, "%s is down\n", a[0]);
		return 1;
	}
	while ((pid = next_name(d))) {
		_cleanup_free_ char *dir = xasprintf("%s/%s", proc, pid), *file = xasprintf("%s/comm", dir),
				    *comm = NULL;
		size_t len;

		if (*pid < '0' || *pid > '9' || file_read(file, 64, &comm, &len) || strcmp(comm, "hvdom\n") != 0 ||
		    runs_nothing(dir))
			continue;
		if (!a[1] || holds_lock(dir, a[1]))
			puts(pid);
	}
	return 0;
}

/* The cluster ----------------------------------------------------------------------------------------------------------- */

static const struct jsonconn_peer clusterd = {
	.daemon = "clusterd",
	.start = "lablook asks no further",
	.expected = "a JSON object",
	.lost = "lablook asks no further",
	.line_bytes_max = 64u << 20,
	.answer_s = ANSWER_MS / 1000,
};

/* What the clusterd of @h says of the cluster; the caller owns it. NULL: it does not answer, and standard error says why. */
static json_t *status_of(const struct host *h)
{
	_cleanup_jsonconn_ struct jsonconn c = { .fd = -1 };
	uint64_t end = now_ns() + ANSWER_MS * NS_PER_MS;
	struct err err = { 0 };
	json_t *o = NULL;
	int r = !at_host(h) ? err_set(&err, EHOSTDOWN, "the host is down")
	                    : jsonconn_order(&c, &clusterd, json_pack("{s:s}", "op", "status"), &err);

	while (!r && (r = jsonconn_recv(&c, false, &o, &err)) == -EAGAIN) {
		struct pollfd fd = { .fd = c.fd, .events = POLLIN };

		r = now_ns() >= end ? err_set(&err, ETIMEDOUT, "clusterd does not answer") : 0;
		poll(&fd, 1, r ? 0 : 500);
	}
	if (!r && strcmp(field_text(o, "type"), "status") != 0) {
		r = err_set(&err, EPROTO, "clusterd says: %s", field_text(o, "error"));
		json_decref(o);
	}
	if (r)
		fprintf(stderr, "%s: %s\n", h->name, err.text);
	return r ? NULL : o;
}

/* What @name says, or if that is NULL, the first host that is quorate. */
static json_t *report(const char *name)
{
	if (name)
		return status_of(host_find(name));
	for (unsigned i = 0; i < n_hosts; i++) {
		_cleanup_json_ json_t *o = hosts[i].init ? status_of(&hosts[i]) : NULL;

		if (o && field_true(o, "quorate"))
			return json_incref(o);
	}
	fputs("no host is quorate\n", stderr);
	return NULL;
}

/* The element of that name in the array @key of @o; borrowed; NULL: there is none. */
static json_t *named(const json_t *o, const char *key, const char *name)
{
	json_t *e;
	size_t i;

	json_array_foreach(json_object_get(o, key), i, e) if (!strcmp(field_text(e, "name"), name)) return e;
	return NULL;
}

/* As jq -r */
static void print_value(const json_t *v)
{
	_cleanup_free_ char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

	puts(json_is_string(v) ? json_string_value(v) : text ?: "null");
}

/* [HOST]: as vmclus status --json */
static int q_status(char **a)
{
	_cleanup_json_ json_t *o = report(a[0]);

	if (!o)
		return 1;
	(void)json_object_del(o, "type");
	jsonconn_print(o);
	return 0;
}

/* NAME KEY [HOST] of a domain; nothing: the cluster does not know it, or there is none */
static int q_dom(char **a)
{
	_cleanup_json_ json_t *o = report(a[2]);
	const json_t *d = named(o, "domains", a[0]);

	if (d)
		print_value(json_object_get(d, a[1]));
	return 0;
}

/* NAME KEY of a host */
static int q_host(char **a)
{
	_cleanup_json_ json_t *o = report(NULL);
	const json_t *h = named(o, "hosts", a[0]);

	if (h)
		print_value(json_object_get(h, a[1]));
	return 0;
}

/* HOST true|false */
static int q_quorate(char **a)
{
	_cleanup_json_ json_t *o = report(a[0]);

	return o && json_is_boolean(json_object_get(o, "quorate")) && field_true(o, "quorate") == !strcmp(a[1], "true")
	               ? 0
	               : 1;
}

/* All hosts of the lab are up and see each other online, from each of them. */
static int q_whole(char **a)
{
	(void)a;
	for (unsigned i = 0; i < n_hosts; i++) {
		_cleanup_json_ json_t *o = status_of(&hosts[i]);
		unsigned online = 0;
		json_t *h;
		size_t j;

		json_array_foreach(json_object_get(o, "hosts"), j, h)
			online += !strcmp(field_text(h, "state"), "online");
		if (!o || !field_true(o, "quorate") || online != n_hosts) {
			fprintf(stderr, "%s: %s, %u hosts online\n", hosts[i].name,
			        field_true(o, "quorate") ? "quorate" : "not quorate", online);
			return 1;
		}
	}
	return n_hosts ? 0 : 1;
}

/* NAME...: each of them runs for the cluster, on the host that the cluster says, and on no other one */
static int q_placed(char **a)
{
	_cleanup_json_ json_t *o = report(NULL);

	for (; *a; a++) {
		const json_t *d = named(o, "domains", *a);
		const char *state = field_text(d, "state"), *host = field_text(d, "host");
		unsigned there = 0, elsewhere = 0;

		for (unsigned i = 0; i < n_hosts; i++)
			if (runs_on(&hosts[i], *a))
				*(strcmp(hosts[i].name, host) ? &elsewhere : &there) += 1;
		if (!strcmp(state, "running") && there && !elsewhere)
			continue;
		fprintf(stderr, "%s: the cluster says '%s' on '%s'; it runs", *a, state, host);
		for (unsigned i = 0; i < n_hosts; i++)
			fprintf(stderr, ", %s: '%s'", hosts[i].name, state_of(&hosts[i], *a));
		fputc('\n', stderr);
		return 1;
	}
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(char **a);
	int args_min, args_max;
} questions[] = {
	{ "domains", q_domains, 2, 2 }, { "state", q_state, 2, 2 }, { "states", q_states, 1, 1 },
	{ "runs", q_runs, 1, 1 },       { "watch", q_watch, 1, 1 }, { "hvdoms", q_hvdoms, 1, 2 },
	{ "status", q_status, 0, 1 },   { "dom", q_dom, 2, 3 },     { "host", q_host, 2, 2 },
	{ "quorate", q_quorate, 2, 2 }, { "whole", q_whole, 0, 0 }, { "placed", q_placed, 1, HOSTS_MAX * 10 },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(questions); i++)
		if (!strcmp(questions[i].name, argv[1]) && argc - 2 >= questions[i].args_min &&
		    argc - 2 <= questions[i].args_max) {
			hosts_read();
			return questions[i].fn(argv + 2);
		}
	fputs("usage: lablook QUESTION ARGUMENT... (see lablook.c)\n", stderr);
	return 2;
}
