/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes-probe: the client that watches a guest from outside while it moves. This file: command line and connecting. The manual is
 * docs/man/hospes-probe.1. It knows nothing about Hospes: it would measure any other echo or Redis server.
 */
#include "config.h"
#include "tools/probe_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

volatile sig_atomic_t probe_stop;
volatile sig_atomic_t probe_mark;

uint64_t probe_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		probe_mark = 1;
	else
		probe_stop = 1;
}

static int connect_once(const struct sockaddr_in *sa, int timeout_ms)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int one = 1, error = 0;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) && errno != EINPROGRESS)
		error = errno;
	else if (poll(&p, 1, timeout_ms) <= 0)
		error = ETIMEDOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	if (error) {
		close(fd);
		return -error;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	return fd;
}

int probe_connect(const struct probe_opts *o)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(o->port) };
	uint64_t end = probe_now_ns() + (uint64_t)o->timeout_s * 1000000000u;

	if (inet_pton(AF_INET, o->host, &sa.sin_addr) != 1)
		return -EINVAL;
	for (;;) {
		struct timespec pause = { .tv_nsec = 50000000 };
		int r = connect_once(&sa, 500);

		if (r >= 0 || probe_stop || probe_now_ns() >= end)
			return r;
		nanosleep(&pause, NULL);
	}
}

static int probe_wait(const struct probe_opts *o, int fd)
{
	(void)o;
	close(fd);
	return 0;
}

static int usage(int code)
{
	fprintf(code ? stderr : stdout,
	        "usage: hospes-probe echo ADDRESS[:PORT] [--interval MS] [--seconds S] [--size OCTETS] [--timeout S] [--live]\n"
	        "       hospes-probe redis ADDRESS[:PORT] [--interval MS] [--seconds S] [--keys N] [--timeout S] [--live]\n"
	        "       hospes-probe ask ADDRESS:PORT LINE [--timeout S]     send a line, print the answer's line\n"
	        "       hospes-probe wait ADDRESS:PORT [--timeout S]         until the port accepts\n"
	        "It ends after --seconds or at SIGINT/SIGTERM with one line of JSON; SIGUSR1 prints one for the time since the last.\n"
	        "Exit status: 0 nothing lost, wrong or reconnected; 1 something was; 2 never connected.\n");
	return code;
}

static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *ret)
{
	char *end = NULL;
	unsigned long v = strtoul(text, &end, 10);

	if (end == text || *end || v < min || v > max || *text == '-') {
		fprintf(stderr, "hospes-probe: '%s' is not a number from %u to %u\n", text, min, max);
		return false;
	}
	*ret = (unsigned)v;
	return true;
}

static bool parse_options(int argc, char **argv, struct probe_opts *o)
{
	static const struct option longs[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "seconds", required_argument, NULL, 's' },
		{ "size", required_argument, NULL, 'b' },
		{ "keys", required_argument, NULL, 'k' },
		{ "timeout", required_argument, NULL, 't' },
		{ "live", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		bool ok = true;

		switch (c) {
		case 'i':
			ok = parse_number(optarg, 0, 60000, &o->interval_ms);
			break;
		case 's':
			ok = parse_number(optarg, 1, 1000000, &o->seconds);
			break;
		case 'b':
			ok = parse_number(optarg, 24, 16384, &o->size_bytes);
			break;
		case 'k':
			ok = parse_number(optarg, 1, 100000, &o->keys);
			break;
		case 't':
			ok = parse_number(optarg, 0, 3600, &o->timeout_s);
			break;
		case 'l':
			o->live = true;
			break;
		default:
			ok = false;
			break;
		}
		if (!ok)
			return false;
	}
	return true;
}

static bool parse_address(char *text, unsigned default_port, struct probe_opts *o)
{
	char *colon = strrchr(text, ':');
	struct in_addr a;
	unsigned port = default_port;

	if (colon) {
		*colon = 0;
		if (!parse_number(colon + 1, 1, 65535, &port))
			return false;
	}
	if (port == 0 || inet_pton(AF_INET, text, &a) != 1) {
		fprintf(stderr, "hospes-probe: '%s' is not an IPv4 address%s\n", text, port ? "" : " with :PORT");
		return false;
	}
	o->host = text;
	o->port = (uint16_t)port;
	return true;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		unsigned port, args;
		int (*fn)(const struct probe_opts *o, int fd);
	} commands[] = {
		{ "echo", 7, 1, probe_echo },
		{ "redis", 6379, 1, probe_redis },
		{ "ask", 0, 2, probe_ask },
		{ "wait", 0, 1, probe_wait },
	};
	struct probe_opts o = { .interval_ms = 10, .size_bytes = 64, .keys = 16, .timeout_s = 10 };
	struct sigaction sa = { .sa_handler = on_signal };

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return usage(0);
	if (!parse_options(argc, argv, &o) || argc - optind < 2)
		return usage(2);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[optind], commands[i].name))
			continue;
		if ((unsigned)(argc - optind) != commands[i].args + 1)
			return usage(2);
		if (!parse_address(argv[optind + 1], commands[i].port, &o))
			return 2;
		o.text = argv[optind + 2];
		int fd = probe_connect(&o);
		if (fd >= 0)
			return commands[i].fn(&o, fd);
		fprintf(stderr, "hospes-probe: %s port %u: %s\n", o.host, o.port, strerror(-fd));
		return 2;
	}
	return usage(2);
}
