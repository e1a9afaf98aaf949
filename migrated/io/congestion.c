/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Congestion control of our connections: see congestion.h. */
#include "config.h"
#include "migrated/io/congestion.h"
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "migrated/io/priv.h"

static char wanted[CONGESTION_MAX];

/* The threads of libzmq have no capabilities. They ask this one, one at a time. */
static struct {
	bool runs;
	pthread_mutex_t turn, lock;
	pthread_cond_t change;
	int fd; /* under lock: asked for and not done yet; -1: none */
} admin = { .turn = PTHREAD_MUTEX_INITIALIZER,
	    .lock = PTHREAD_MUTEX_INITIALIZER,
	    .change = PTHREAD_COND_INITIALIZER,
	    .fd = -1 };

static int apply(int fd)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, wanted, (socklen_t)strlen(wanted)) < 0 ? -errno : 0;
}

static void *admin_main(void *arg)
{
	priv_only(CAP_NET_ADMIN);
	pthread_mutex_lock(&admin.lock);
	for (;;) {
		while (admin.fd < 0)
			pthread_cond_wait(&admin.change, &admin.lock);
		(void)apply(admin.fd);
		admin.fd = -1;
		pthread_cond_broadcast(&admin.change);
	}
	return arg;
}

static void admin_apply(int fd)
{
	pthread_mutex_lock(&admin.turn);
	pthread_mutex_lock(&admin.lock);
	admin.fd = fd;
	pthread_cond_broadcast(&admin.change);
	while (admin.fd >= 0)
		pthread_cond_wait(&admin.change, &admin.lock);
	pthread_mutex_unlock(&admin.lock);
	pthread_mutex_unlock(&admin.turn);
}

int congestion_set(const char *name)
{
	size_t n = strcmp(name, CONGESTION_SYSTEM) == 0 ? 0 : strnlen(name, sizeof(wanted) - 1);
	pthread_t t;

	memcpy(wanted, name, n);
	wanted[n] = '\0';
	if (!n || admin.runs)
		return 0;
	int r = pthread_create(&t, NULL, admin_main, NULL);
	if (r == 0)
		r = pthread_detach(t); /* for as long as the process */
	admin.runs = r == 0;
	return -r;
}

/* In place of the C library's, for all of this program: libzmq finds the program's own first. */
__attribute__((visibility("default"))) int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	bool tcp = *wanted &&
	           (addr->sa_family == AF_INET || addr->sa_family == AF_INET6); /* another kind of socket refuses */

	if (tcp && apply(fd) == -EPERM && admin.runs)
		admin_apply(fd);
	return (int)syscall(SYS_connect, fd, addr, len);
}
