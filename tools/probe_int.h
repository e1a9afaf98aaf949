/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of hospes-probe: what its commands (probe_echo.c, probe_redis.c, probe_ask.c) share. One process, one thread. */
#ifndef HOSPES_TOOLS_PROBE_INT_H
#define HOSPES_TOOLS_PROBE_INT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct probe_opts {
	const char *host;        /* numeric IPv4 address; borrowed */
	uint16_t port;
	unsigned interval_ms;    /* echo: between messages; redis: between increments, 0: as fast as answers come */
	unsigned seconds;        /* 0: until SIGINT or SIGTERM */
	unsigned size_bytes;     /* echo: of a message */
	unsigned keys;           /* redis: counters incremented in turn */
	unsigned timeout_s;      /* connecting, and waiting for an answer in ask */
	bool live;               /* a line per second on stderr */
	const char *text;        /* ask: the line to send; borrowed */
};

extern volatile sig_atomic_t probe_stop;   /* SIGINT or SIGTERM came */
extern volatile sig_atomic_t probe_mark;   /* SIGUSR1 came: print what was since the last mark */

uint64_t probe_now_ns(void);
/* Connect within opts->timeout_s, trying again while it is refused or silent. A connected socket with TCP_NODELAY, or -errno. */
int probe_connect(const struct probe_opts *o);

/* Exit status: 0 all as it must be, 1 not, 2 never connected. */
int probe_echo(const struct probe_opts *o);
int probe_redis(const struct probe_opts *o);
int probe_ask(const struct probe_opts *o);
int probe_wait(const struct probe_opts *o);

#endif
