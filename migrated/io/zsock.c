/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ZeroMQ on the loop: see zsock.h. */
#include "config.h"
#include "migrated/io/zsock.h"
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include "common/util.h"

struct zsock {
	struct loop *loop;
	void *sock;
	struct loop_fd *src;
	struct loop_timer *again; /* drain soon: after a send, or when a round was full */
	void (*fn)(void *arg, zmq_msg_t *parts, size_t n);
	void *arg;
	bool busy, freed;
};

static void parts_close(zmq_msg_t *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		zmq_msg_close(&m[i]);
}

/* One message; false when none waits. */
static bool take_one(struct zsock *z)
{
	zmq_msg_t m[ZSOCK_PARTS_MAX];
	size_t n = 0;
	bool more = true, dropped = false;

	while (more) {
		zmq_msg_t spare, *to = n < ZSOCK_PARTS_MAX ? &m[n] : &spare;
		zmq_msg_init(to);
		if (zmq_msg_recv(to, z->sock, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(to);
			parts_close(m, n);
			return false;
		}
		more = zmq_msg_more(to);
		if (to == &spare) {
			zmq_msg_close(to);
			dropped = true;
		} else {
			n++;
		}
	}
	if (!dropped)
		z->fn(z->arg, m, n);
	parts_close(m, n);
	return true;
}

static void drain(struct zsock *z)
{
	bool more = true;

	if (z->busy)
		return;
	z->busy = true;
	for (unsigned i = 0; more && i < 64 && !z->freed; i++)
		more = take_one(z);
	z->busy = false;
	if (z->freed)
		free(z);
	else if (more)
		loop_timer_in(z->again, 0);
}

static void on_fd(void *arg, int fd, uint32_t revents)
{
	(void)fd, (void)revents;
	drain(arg);
}

static void on_again(void *arg)
{
	drain(arg);
}

struct zsock *zsock_new(struct loop *loop, void *sock, void (*fn)(void *arg, zmq_msg_t *parts, size_t n), void *arg,
                        struct err *err)
{
	struct zsock *z = calloc(1, sizeof(*z));
	int fd;
	size_t len = sizeof(fd);

	if (z && zmq_getsockopt(sock, ZMQ_FD, &fd, &len) == 0) {
		*z = (struct zsock){ .loop = loop, .sock = sock, .fn = fn, .arg = arg };
		z->src = loop_add_fd(loop, fd, EPOLLIN, on_fd, z);
		z->again = z->src ? loop_add_timer(loop, on_again, z) : NULL;
		if (z->again) {
			loop_timer_in(z->again, 0);
			return z;
		}
		loop_del_fd(z->src);
	}
	(void)err_sys(err, ENOMEM, "watching a socket");
	zmq_close(sock);
	free(z);
	return NULL;
}

void zsock_free(struct zsock *z)
{
	if (!z || z->freed)
		return;
	loop_del_fd(z->src);
	loop_del_timer(z->again);
	zmq_close(z->sock);
	z->freed = true;
	if (!z->busy)
		free(z);
}

void *zsock_raw(struct zsock *z)
{
	return z->sock;
}

int zsock_send(struct zsock *z, const void *const *parts, const size_t *len, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (zmq_send(z->sock, parts[i], len[i], ZMQ_DONTWAIT | (i + 1 < n ? ZMQ_SNDMORE : 0)) < 0)
			return -errno;
	if (!z->freed)
		loop_timer_in(z->again, 0);
	return 0;
}

/* libzmq names them "ZMQbg/IO/0". */
static uint64_t io_thread_ns(const char *tid)
{
	_cleanup_free_ char *name = xasprintf("/proc/self/task/%s/comm", tid),
			    *stat = xasprintf("/proc/self/task/%s/schedstat", tid), *is = NULL, *ran = NULL;

	if (!name || !stat || file_read(name, 64, &is, NULL) < 0 || strncmp(is, "ZMQbg/IO/", 9) != 0 ||
	    file_read(stat, 128, &ran, NULL) < 0)
		return 0;
	return strtoull(ran, NULL, 10);
}

uint64_t zsock_io_cpu_ns(void)
{
	DIR *d = opendir("/proc/self/task");
	const struct dirent *e;
	uint64_t sum = 0;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			sum += io_thread_ns(e->d_name);
	if (d)
		closedir(d);
	return sum;
}
