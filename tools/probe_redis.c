/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes-probe redis: increments counters in turn over one connection and checks every answer: a lost or repeated increment shows
 * at the next answer for that key, a lost connection at once. Speaks RESP itself (redis.io/docs/reference/protocol-spec).
 */
#include "config.h"
#include "tools/probe_int.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct redis_run {
	const struct probe_opts *o;
	int fd;
	char in[512];
	size_t in_len;
	uint64_t *count; /* per key, what it must be now */
	uint64_t increments, wrong, resets;
	uint64_t longest_ns, mark_longest_ns;
	uint64_t start_ns; /* also makes this run's keys its own */
};

/* One reply line without its CRLF into @line. 0 or -errno. */
static int read_line(struct redis_run *r, char *line, size_t cap)
{
	for (;;) {
		char *nl = memchr(r->in, '\n', r->in_len);
		struct pollfd p = { .fd = r->fd, .events = POLLIN };
		ssize_t n;

		if (nl) {
			size_t len = (size_t)(nl - r->in) + 1;
			size_t keep = len >= 2 && nl[-1] == '\r' ? len - 2 : len - 1;

			if (keep >= cap)
				return -EPROTO;
			memcpy(line, r->in, keep);
			line[keep] = 0;
			memmove(r->in, r->in + len, r->in_len - len);
			r->in_len -= len;
			return 0;
		}
		if (r->in_len == sizeof(r->in))
			return -EPROTO;
		n = poll(&p, 1, (int)r->o->timeout_s * 1000);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return -ETIMEDOUT;
		n = recv(r->fd, r->in + r->in_len, sizeof(r->in) - r->in_len, 0);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			r->in_len += (size_t)n;
	}
}

/* INCR or GET of key @k. The value in *@ret. */
static int command(struct redis_run *r, const char *verb, unsigned k, uint64_t *ret)
{
	char key[32], msg[128], line[256];
	char *end = NULL;
	int n = snprintf(key, sizeof(key), "probe:%llx:%u", (unsigned long long)r->start_ns, k);
	int e;

	n = snprintf(msg, sizeof(msg), "*2\r\n$%zu\r\n%s\r\n$%d\r\n%s\r\n", strlen(verb), verb, n, key);
	if (send(r->fd, msg, (size_t)n, MSG_NOSIGNAL) != n)
		return -errno;
	e = read_line(r, line, sizeof(line));
	if (!e && line[0] == '$') /* bulk string: its length, then itself */
		e = read_line(r, line + 1, sizeof(line) - 1);
	if (e < 0)
		return e;
	*ret = strtoull(line + 1, &end, 10);
	if ((line[0] != ':' && line[0] != '$') || *end) {
		fprintf(stderr, "hospes-probe: redis answered '%s'\n", line);
		return -EPROTO;
	}
	return 0;
}

static void report(struct redis_run *r)
{
	printf("{\"increments\":%llu,\"wrong\":%llu,\"resets\":%llu,\"keys\":%u,\"longest_ms\":%.1f,\"mark_longest_ms\":%.1f,"
	       "\"seconds\":%.1f}\n",
	       (unsigned long long)r->increments, (unsigned long long)r->wrong, (unsigned long long)r->resets,
	       r->o->keys, (double)r->longest_ns / 1e6, (double)r->mark_longest_ns / 1e6,
	       (double)(probe_now_ns() - r->start_ns) / 1e9);
	fflush(stdout);
	r->mark_longest_ns = 0;
}

static bool increment(struct redis_run *r, unsigned k)
{
	uint64_t t0 = probe_now_ns(), value = 0, took;
	int e = command(r, "INCR", k, &value);

	if (e < 0) {
		fprintf(stderr, "hospes-probe: connection lost: %s\n", strerror(-e));
		r->resets++;
		return false;
	}
	took = probe_now_ns() - t0;
	r->increments++;
	if (value != r->count[k] + 1) {
		fprintf(stderr, "hospes-probe: key %u is %llu, not %llu\n", k, (unsigned long long)value,
		        (unsigned long long)r->count[k] + 1);
		r->wrong++;
	}
	r->count[k] = value;
	if (took > r->longest_ns)
		r->longest_ns = took;
	if (took > r->mark_longest_ns)
		r->mark_longest_ns = took;
	return true;
}

static void check_all(struct redis_run *r)
{
	for (unsigned k = 0; k < r->o->keys; k++) {
		uint64_t value = 0;
		int e = r->count[k] ? command(r, "GET", k, &value) : 0;

		if (e < 0) {
			fprintf(stderr, "hospes-probe: connection lost: %s\n", strerror(-e));
			r->resets++;
			return;
		}
		if (value != r->count[k]) {
			fprintf(stderr, "hospes-probe: at the end key %u is %llu, not %llu\n", k,
			        (unsigned long long)value, (unsigned long long)r->count[k]);
			r->wrong++;
		}
	}
}

int probe_redis(const struct probe_opts *o, int fd)
{
	struct redis_run r = { .o = o, .fd = fd, .count = calloc(o->keys, sizeof(uint64_t)) };
	uint64_t end, live;
	bool up = true;

	if (!r.count)
		return 2;
	r.start_ns = probe_now_ns();
	live = r.start_ns + 1000000000u;
	end = o->seconds ? r.start_ns + (uint64_t)o->seconds * 1000000000u : UINT64_MAX;
	for (unsigned k = 0; up && !probe_stop && probe_now_ns() < end; k = (k + 1) % o->keys) {
		struct timespec ts = { .tv_sec = o->interval_ms / 1000,
			               .tv_nsec = (long)(o->interval_ms % 1000) * 1000000 };

		up = increment(&r, k);
		if (probe_mark) {
			probe_mark = 0;
			report(&r);
		}
		if (o->live && probe_now_ns() >= live) {
			fprintf(stderr, "client: %llu increments, longest %.1f ms\n", (unsigned long long)r.increments,
			        (double)r.longest_ns / 1e6);
			live += 1000000000u;
		}
		nanosleep(&ts, NULL);
	}
	if (up)
		check_all(&r);
	report(&r);
	close(r.fd);
	free(r.count);
	return r.wrong || r.resets ? 1 : 0;
}
