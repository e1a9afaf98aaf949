/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of hospes-probe: its options, signals and connection. One thread. */
#ifndef HOSPES_TOOLS_PROBE_INT_H
#define HOSPES_TOOLS_PROBE_INT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe_opts {
	const char *host;        /* numeric IPv4 address; borrowed */
	uint16_t port;
	unsigned interval_ms;    /* echo: between messages; redis: between increments (0: as fast as answers come) */
	unsigned seconds;        /* 0: until SIGINT or SIGTERM */
	unsigned size_bytes;     /* echo: of a message */
	unsigned keys;           /* redis: counters incremented in turn */
	unsigned timeout_s;      /* to connect; ask: for the answer, too */
	bool live;               /* a line per second on stderr */
	const char *text;        /* ask: the line to send; borrowed */
};

extern volatile sig_atomic_t probe_stop;   /* SIGINT or SIGTERM came: end */
extern volatile sig_atomic_t probe_mark;   /* SIGUSR1 came: print the numbers since the last mark */

uint64_t probe_now_ns(void);
/* Connect within o->timeout_s; an attempt that fails is repeated. Returns a socket with TCP_NODELAY, owned by the caller, or -errno. */
int probe_connect(const struct probe_opts *o);

/* The commands. They own @fd, and return the exit status: 0 nothing lost, wrong or reconnected; 1 something was. */
int probe_echo(const struct probe_opts *o, int fd);
int probe_redis(const struct probe_opts *o, int fd);
int probe_ask(const struct probe_opts *o, int fd);

#endif
