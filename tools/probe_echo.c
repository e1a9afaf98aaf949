/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes-probe echo: one connection, one numbered message per interval whether or not answers come, every octet of every answer
 * checked. What it calls a gap is the time between two answers: the blackout as a client sees it.
 */
#include "config.h"
#include "tools/probe_int.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RTT_BUCKETS 20000 /* of 100 us: up to 2 s */
#define DRAIN_NS    3000000000u

struct echo_run {
	const struct probe_opts *o;
	int fd;                      /* -1: lost */
	uint64_t next_seq, want_seq; /* next to send; next to be answered */
	uint64_t sent, received, corrupt, resets, connects;
	uint64_t last_answer_ns, longest_gap_ns, gap_at_ns, start_ns;
	uint64_t mark_gap_ns; /* longest gap since the last mark */
	uint64_t rtt_max_ns;
	uint32_t rtt[RTT_BUCKETS];
	uint8_t in[65536];
	size_t in_len;
	uint8_t out[16384]; /* the message being sent */
	size_t out_off, out_len;
};

static void message_make(const struct echo_run *r, uint8_t *p, uint64_t seq, uint64_t sent_ns)
{
	memcpy(p, "hospes:p", 8);
	memcpy(p + 8, &seq, 8);
	memcpy(p + 16, &sent_ns, 8);
	for (size_t i = 24; i < r->o->size_bytes; i++)
		p[i] = (uint8_t)(seq * 31 + i);
}

static void lost_connection(struct echo_run *r, const char *why)
{
	fprintf(stderr, "hospes-probe: connection lost: %s\n", why);
	close(r->fd);
	r->fd = -1;
	r->resets++;
	r->in_len = r->out_len = r->out_off = 0;
}

static void note_gap(struct echo_run *r, uint64_t now)
{
	uint64_t gap = now - r->last_answer_ns;

	if (gap > r->longest_gap_ns) {
		r->longest_gap_ns = gap;
		r->gap_at_ns = r->last_answer_ns - r->start_ns;
	}
	if (gap > r->mark_gap_ns)
		r->mark_gap_ns = gap;
}

static void answer(struct echo_run *r, const uint8_t *p, uint64_t now)
{
	uint8_t want[16384];
	uint64_t seq, sent_ns, rtt;

	memcpy(&seq, p + 8, 8);
	memcpy(&sent_ns, p + 16, 8);
	message_make(r, want, seq, sent_ns);
	if (memcmp(p, want, r->o->size_bytes) || seq != r->want_seq) {
		r->corrupt++;
		return;
	}
	rtt = now - sent_ns;
	if (rtt > r->rtt_max_ns)
		r->rtt_max_ns = rtt;
	r->rtt[rtt / 100000 < RTT_BUCKETS ? rtt / 100000 : RTT_BUCKETS - 1]++;
	r->want_seq++;
	r->received++;
	note_gap(r, now);
	r->last_answer_ns = now;
}

static void take_answers(struct echo_run *r)
{
	size_t size = r->o->size_bytes, off = 0;
	ssize_t n = recv(r->fd, r->in + r->in_len, sizeof(r->in) - r->in_len, MSG_DONTWAIT);
	uint64_t now = probe_now_ns();

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lost_connection(r, n == 0 ? "closed by the guest" : strerror(errno));
		return;
	}
	r->in_len += (size_t)n;
	for (; r->in_len - off >= size; off += size)
		answer(r, r->in + off, now);
	memmove(r->in, r->in + off, r->in_len - off);
	r->in_len -= off;
}

static void send_more(struct echo_run *r)
{
	ssize_t n;

	if (r->out_off == r->out_len)
		return;
	n = send(r->fd, r->out + r->out_off, r->out_len - r->out_off, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		lost_connection(r, strerror(errno));
	if (n > 0)
		r->out_off += (size_t)n;
}

static void send_next(struct echo_run *r)
{
	if (r->out_off < r->out_len)
		return; /* the last one is still not in the socket: the window is closed */
	message_make(r, r->out, r->next_seq++, probe_now_ns());
	r->out_off = 0;
	r->out_len = r->o->size_bytes;
	r->sent++;
	send_more(r);
}

static double percentile_ms(const struct echo_run *r, double part)
{
	uint64_t want = (uint64_t)((double)r->received * part), seen = 0;

	for (size_t i = 0; i < RTT_BUCKETS; i++) {
		seen += r->rtt[i];
		if (seen > want)
			return (double)(i + 1) / 10.0;
	}
	return 0;
}

static void report(struct echo_run *r, uint64_t lost)
{
	uint64_t now = probe_now_ns();

	printf("{\"messages\":%llu,\"answers\":%llu,\"lost\":%llu,\"corrupt\":%llu,\"resets\":%llu,\"connects\":%llu,"
	       "\"longest_gap_ms\":%.1f,\"gap_at_ms\":%.0f,\"mark_gap_ms\":%.1f,\"rtt_median_ms\":%.1f,\"rtt_p95_ms\":%.1f,"
	       "\"rtt_max_ms\":%.1f,\"seconds\":%.1f}\n",
	       (unsigned long long)r->sent, (unsigned long long)r->received, (unsigned long long)lost,
	       (unsigned long long)r->corrupt, (unsigned long long)r->resets, (unsigned long long)r->connects,
	       (double)r->longest_gap_ns / 1e6, (double)r->gap_at_ns / 1e6, (double)r->mark_gap_ns / 1e6,
	       percentile_ms(r, 0.5), percentile_ms(r, 0.95), (double)r->rtt_max_ns / 1e6,
	       (double)(now - r->start_ns) / 1e9);
	fflush(stdout);
	r->mark_gap_ns = 0;
}

/* Wait until @until_ns for answers or room to send. */
static void wait_io(struct echo_run *r, uint64_t until_ns)
{
	uint64_t now = probe_now_ns();
	struct timespec ts = { 0 };
	struct pollfd p = { .fd = r->fd, .events = (short)(POLLIN | (r->out_off < r->out_len ? POLLOUT : 0)) };

	if (until_ns > now) {
		ts.tv_sec = (time_t)((until_ns - now) / 1000000000u);
		ts.tv_nsec = (long)((until_ns - now) % 1000000000u);
	}
	if (ppoll(&p, 1, &ts, NULL) <= 0 || r->fd < 0)
		return;
	if (p.revents & POLLOUT)
		send_more(r);
	if (r->fd >= 0 && p.revents & (POLLIN | POLLERR | POLLHUP))
		take_answers(r);
}

static void reconnect(struct echo_run *r)
{
	struct probe_opts quick = *r->o;

	quick.timeout_s = 0;
	r->fd = probe_connect(&quick);
	if (r->fd >= 0) {
		r->connects++;
		r->want_seq = r->next_seq;
	}
}

int probe_echo(const struct probe_opts *o, int fd)
{
	struct echo_run *r = calloc(1, sizeof(*r));
	uint64_t next, live, end, unanswered;
	bool good;

	if (!r)
		return 2;
	r->o = o;
	r->fd = fd;
	r->connects = 1;
	r->start_ns = r->last_answer_ns = next = probe_now_ns();
	live = next + 1000000000u;
	end = o->seconds ? next + (uint64_t)o->seconds * 1000000000u : UINT64_MAX;
	while (!probe_stop && probe_now_ns() < end) {
		uint64_t now = probe_now_ns();

		if (r->fd < 0)
			reconnect(r);
		if (now >= next) {
			if (r->fd >= 0)
				send_next(r);
			next += (uint64_t)(o->interval_ms ? o->interval_ms : 1) * 1000000u;
			if (next < now)
				next = now;
		}
		if (probe_mark) {
			probe_mark = 0;
			report(r, 0);
		}
		if (o->live && now >= live) {
			fprintf(stderr, "client: %llu answers, longest gap %.1f ms, rtt %.1f ms, %llu resets\n",
			        (unsigned long long)r->received, (double)r->longest_gap_ns / 1e6, percentile_ms(r, 0.5),
			        (unsigned long long)r->resets);
			live += 1000000000u;
		}
		wait_io(r, next);
	}
	/* answers on their way still count */
	end = probe_now_ns() + DRAIN_NS;
	while (r->fd >= 0 && r->want_seq < r->next_seq && probe_now_ns() < end)
		wait_io(r, probe_now_ns() + 10000000u);
	if (r->want_seq < r->next_seq)
		note_gap(r, probe_now_ns());
	unanswered = r->sent - r->received;
	report(r, unanswered);
	good = !unanswered && !r->corrupt && !r->resets;
	if (r->fd >= 0)
		close(r->fd);
	free(r);
	return good ? 0 : 1;
}
