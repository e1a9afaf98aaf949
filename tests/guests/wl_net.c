/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The servers of the test guest: TCP echo (port 7, one process, epoll) and the status port (7007, one child per connection). The
 * status protocol: a line in, one line of JSON out; commands are in docs/testing-guests.md. Nothing is protected: a test network.
 */
#include "tests/guests/wl_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ECHO_BUF 65536

struct echo_conn {
	int fd;
	size_t off, len; /* octets still to send back: buf[off..len) */
	uint8_t buf[ECHO_BUF];
};

static int listen_on(struct wl_slot *s, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = INADDR_ANY };
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 64)) {
		wl_error(s, "port %u: %s", port, strerror(errno));
		return -1;
	}
	return fd;
}

/* False: the connection is over. */
static bool echo_io(struct wl_slot *s, int ep, struct echo_conn *c)
{
	struct epoll_event ev = { .data.ptr = c };

	for (;;) {
		ssize_t n;

		while (c->off < c->len) {
			n = send(c->fd, c->buf + c->off, c->len - c->off, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0) {
				ev.events = EPOLLOUT;
				return errno == EAGAIN && epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev) == 0;
			}
			c->off += (size_t)n;
			atomic_fetch_add(&wl->echo_bytes, (uint64_t)n);
		}
		c->off = c->len = 0;
		n = recv(c->fd, c->buf, sizeof(c->buf), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			ev.events = EPOLLIN;
			return epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev) == 0;
		}
		if (n <= 0)
			return false;
		c->len = (size_t)n;
		s->count++;
	}
}

static void echo_accept(int ep, int lfd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct echo_conn *c;
	int one = 1;
	int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	c = malloc(sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->off = c->len = 0;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	ev.data.ptr = c;
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev)) {
		close(fd);
		free(c);
		return;
	}
	atomic_fetch_add(&wl->echo_conns, 1);
	atomic_fetch_add(&wl->echo_open, 1);
}

void wl_echo(struct wl_slot *s)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int lfd = listen_on(s, WL_ECHO_PORT);
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

	if (ep < 0 || lfd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev))
		return;
	for (;;) {
		struct epoll_event got[16];
		int n = epoll_wait(ep, got, 16, -1);

		for (int i = 0; i < n; i++) {
			struct echo_conn *c = got[i].data.ptr;

			if (!c) {
				echo_accept(ep, lfd);
			} else if (!echo_io(s, ep, c)) {
				close(c->fd);
				free(c);
				atomic_fetch_sub(&wl->echo_open, 1);
			}
		}
	}
}

static void say_status(FILE *f)
{
	uint64_t errors = 0;
	const char *text = "";
	unsigned running = 0;
	const char *kinds[] = {
		"counter", "sum", "fpu", "forker", "disk", "clock", "echo", "dirty", "fill", "witness"
	};

	for (uint32_t i = 0; i < wl->n_slots; i++) {
		errors += wl->slot[i].errors;
		running += wl->slot[i].pid != 0;
		if (wl->slot[i].errors)
			text = wl->slot[i].error_text;
	}
	fprintf(f,
	        "{\"ok\":%s,\"boot_id\":\"%s\",\"generation\":%llu,\"load\":\"%s\",\"uptime_ms\":%llu,\"workers\":%u,\"running\":%u,\"errors\":%llu,"
	        "\"error\":\"",
	        errors || running != wl->n_slots ? "false" : "true", wl->boot_id, (unsigned long long)wl->generation,
	        wl->load, (unsigned long long)((wl_now_ns() - wl->start_ns) / 1000000), (unsigned)wl->n_slots, running,
	        (unsigned long long)errors);
	for (; *text; text++)
		if (*text != '"' && *text != '\\' && *text >= ' ')
			fputc(*text, f);
	fprintf(f,
	        "\",\"max_gap_ms\":%.1f,\"echo_conns\":%llu,\"echo_open\":%llu,\"echo_bytes\":%llu,\"fill_mib\":%u,\"dirty_mib\":%u,"
	        "\"dirty_rate_mib\":%u,\"sum_rate_mib\":%u",
	        (double)wl->max_gap_ns / 1e6, (unsigned long long)wl->echo_conns, (unsigned long long)wl->echo_open,
	        (unsigned long long)wl->echo_bytes, wl->fill.size_mib, wl->dirty.size_mib, wl->dirty.rate_mib,
	        wl->sum.rate_mib);
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		uint64_t count = 0;

		for (uint32_t i = 0; i < wl->n_slots; i++)
			if (!strcmp(wl->slot[i].kind, kinds[k]))
				count += wl->slot[i].count;
		fprintf(f, ",\"%s\":%llu", kinds[k], (unsigned long long)count);
	}
	fprintf(f, "}\n");
}

/* Give an order to the worker behind @o and wait until it is done and all its pages are verified. */
static void say_order(FILE *f, struct wl_order *o)
{
	uint32_t seq = atomic_fetch_add(&o->seq, 1) + 1;

	wl_futex_wake(&o->seq);
	while (o->done < seq)
		wl_sleep_ns(5000000);
	fprintf(f, "{\"ok\":%s,\"mib\":%u,\"rate_mib\":%u,\"pages\":%llu,\"bad\":%llu}\n",
	        o->hash_bad ? "false" : "true", o->size_mib, o->rate_mib, (unsigned long long)o->hash_pages,
	        (unsigned long long)o->hash_bad);
}

static void end_guest(const char *how)
{
	sync();
	if (!strcmp(how, "panic")) {
		int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "c", 1) != 1)
			fprintf(stderr, "workload: panic: %s\n", strerror(errno));
		return;
	}
	if (fork() == 0) {
		execl("/sbin/guest-down", "guest-down", how, (char *)NULL);
		execlp(how, how, (char *)NULL);
		_exit(127);
	}
}

/* The kernel runs on, but no process does any more: this one takes the only CPU and does not give it back. */
static void hang(void)
{
	struct sched_param sp = { .sched_priority = sched_get_priority_max(SCHED_FIFO) };
	int fd = open("/proc/sys/kernel/sched_rt_runtime_us", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "-1", 2) != 2 || sched_setscheduler(0, SCHED_FIFO, &sp) < 0) {
		fprintf(stderr, "workload: hang: %s\n", strerror(errno));
		return;
	}
	for (;;)
		RELAX();
}

static void command(FILE *f, const char *line)
{
	unsigned a = 0, b = 0;

	if (!strcmp(line, "status")) {
		say_status(f);
	} else if (!strcmp(line, "hash")) {
		say_order(f, &wl->fill);
	} else if (sscanf(line, "fill %u", &a) == 1) {
		wl->fill.size_mib = a;
		say_order(f, &wl->fill);
	} else if (sscanf(line, "dirty max %u", &b) == 1) {
		wl->dirty.size_mib = b;
		wl->dirty.rate_mib = WL_RATE_MAX;
		say_order(f, &wl->dirty);
	} else if (sscanf(line, "dirty %u %u", &a, &b) == 2) {
		wl->dirty.size_mib = b;
		wl->dirty.rate_mib = a;
		say_order(f, &wl->dirty);
	} else if (sscanf(line, "sum %u", &a) == 1) {
		wl->sum.rate_mib = a;
		fprintf(f, "{\"ok\":true}\n");
	} else if (!strcmp(line, "gapreset")) {
		wl->max_gap_ns = 0;
		fprintf(f, "{\"ok\":true}\n");
	} else if (!strcmp(line, "hang")) {
		fprintf(f, "{\"ok\":true}\n");
		fflush(f);
		wl_sleep_ns(200000000); /* the answer leaves */
		hang();
	} else if (!strcmp(line, "poweroff") || !strcmp(line, "reboot") || !strcmp(line, "panic")) {
		fprintf(f, "{\"ok\":true}\n");
		fflush(f);
		end_guest(line);
	} else {
		fprintf(f,
		        "{\"ok\":false,\"error\":\"unknown command; known: status, hash, fill MIB, dirty RATE|max MIB, sum RATE, gapreset, "
		        "poweroff, reboot, panic, hang\"}\n");
	}
	fflush(f);
}

static void serve_status(int fd)
{
	char line[256];
	FILE *in = fdopen(fd, "r");
	FILE *out = fdopen(dup(fd), "w");

	while (in && out && fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\r\n")] = 0;
		command(out, line);
	}
}

void wl_status(struct wl_slot *s)
{
	int lfd = listen_on(s, WL_STATUS_PORT);

	signal(SIGCHLD, SIG_IGN);
	while (lfd >= 0) {
		int fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		s->count++;
		if (fork() == 0) {
			close(lfd);
			signal(SIGCHLD, SIG_DFL);
			serve_status(fd);
			_exit(0);
		}
		close(fd);
	}
}
