/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Datagrams between clusterds: see pulseio.h. Their class of service is that of network control: they must pass where bulk data waits. */
#include "config.h"
#include "clusterd/io/pulseio.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/log.h"

#define ADDRS       (CPG_LINKS + 1) /* the last one: learned */
#define LEARNED     CPG_LINKS
#define BATCH_MAX   512u
#define DGRAM_MAX   2048u
#define TOS_CONTROL 0xc0 /* CS6 */
#define PRIORITY    6    /* band 0 of pfifo_fast, the least that needs no capability to exceed */

/* What a thread resolves: an answer for each name, as one message. */
struct question {
	int fd;
	uint32_t n;
	struct {
		uint32_t place, link;
		char name[CPG_ADDR_MAX];
	} ask[CLU_HOSTS_MAX * CPG_LINKS];
};
struct reply {
	uint32_t place, link;
	struct in6_addr addr;
};

struct pulseio {
	struct loop *loop;
	const struct pulseio_ops *ops;
	void *arg;
	int fd, answers; /* answers: reading end of the resolver's socket; -1 none */
	bool v4;         /* this machine has no IPv6 at all */
	uint16_t port;
	struct loop_fd *src, *answers_src;
	struct sockaddr_in6 to[CLU_HOSTS_MAX][ADDRS]; /* sin6_port 0: none */
};

static struct in6_addr mapped(struct in_addr a)
{
	struct in6_addr r = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	memcpy(&r.s6_addr[12], &a, 4);
	return r;
}

static void on_readable(void *arg, int fd, uint32_t revents)
{
	struct pulseio *p = arg;
	uint8_t octets[DGRAM_MAX];

	(void)revents;
	for (unsigned i = 0; i < BATCH_MAX; i++) {
		union {
			struct sockaddr_in6 six;
			struct sockaddr_in four;
		} from;
		socklen_t len = sizeof(from);
		ssize_t r = recvfrom(fd, octets, sizeof(octets), MSG_DONTWAIT, (struct sockaddr *)&from, &len);

		if (r < 0 && errno != ECONNREFUSED)
			break;
		if (r <= 0)
			continue;
		if (p->v4) {
			struct sockaddr_in four = from.four;

			from.six = (struct sockaddr_in6){ .sin6_family = AF_INET6,
				                          .sin6_port = four.sin_port,
				                          .sin6_addr = mapped(four.sin_addr) };
		}
		p->ops->received(p->arg, octets, (size_t)r, &from.six);
	}
	p->ops->batch_end(p->arg);
}

static int open_socket(struct pulseio *p)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(p->port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(p->port) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), off = 0, tos = TOS_CONTROL,
	    priority = PRIORITY;

	p->v4 = fd < 0;
	if (p->v4)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!p->v4) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	}
	setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
	setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority));
	if (bind(fd, p->v4 ? (struct sockaddr *)&four : (struct sockaddr *)&six, p->v4 ? sizeof(four) : sizeof(six)) <
	    0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

struct pulseio *pulseio_new(struct loop *loop, uint16_t port, const struct pulseio_ops *ops, void *arg, struct err *err)
{
	struct pulseio *p = calloc(1, sizeof(*p));

	if (!p) {
		(void)err_sys(err, ENOMEM, "datagrams between hosts");
		return NULL;
	}
	*p = (struct pulseio){ .loop = loop, .ops = ops, .arg = arg, .port = port, .answers = -1 };
	p->fd = open_socket(p);
	if (p->fd < 0) {
		(void)err_sys(err, -p->fd, "UDP port %u (\"reach_port\" in clusterd.json), for datagrams between hosts",
		              port);
		free(p);
		return NULL;
	}
	p->src = loop_add_fd(loop, p->fd, EPOLLIN, on_readable, p);
	if (!p->src) {
		(void)err_sys(err, ENOMEM, "datagrams between hosts");
		pulseio_free(p);
		return NULL;
	}
	return p;
}

static void stop_asking(struct pulseio *p)
{
	loop_del_fd(p->answers_src);
	p->answers_src = NULL;
	if (p->answers >= 0)
		close(p->answers);
	p->answers = -1;
}

void pulseio_free(struct pulseio *p)
{
	if (!p)
		return;
	stop_asking(p);
	loop_del_fd(p->src);
	close(p->fd);
	free(p);
}

/* Addresses -------------------------------------------------------------------------------------------------------------- */

static void set_addr(struct pulseio *p, uint32_t place, uint32_t link, const struct in6_addr *a)
{
	p->to[place][link] =
		(struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(p->port), .sin6_addr = *a };
}

/* A thread that may hang for as long as a name server likes: it owns @arg, and nobody waits for it. */
static void *resolve(void *arg)
{
	struct question *q = arg;

	for (uint32_t i = 0; i < q->n; i++) {
		struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list = NULL;
		struct reply r = { .place = q->ask[i].place, .link = q->ask[i].link };

		if (getaddrinfo(q->ask[i].name, NULL, &hints, &list) != 0)
			continue;
		if (list->ai_family == AF_INET)
			r.addr = mapped(((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr);
		else if (list->ai_family == AF_INET6)
			r.addr = ((struct sockaddr_in6 *)(void *)list->ai_addr)->sin6_addr;
		freeaddrinfo(list);
		if (send(q->fd, &r, sizeof(r), MSG_NOSIGNAL) < 0)
			break; /* nobody wants to know any more */
	}
	close(q->fd);
	free(q);
	return NULL;
}

static void on_answer(void *arg, int fd, uint32_t revents)
{
	struct pulseio *p = arg;
	struct reply r;
	ssize_t k;

	(void)revents;
	while ((k = recv(fd, &r, sizeof(r), MSG_DONTWAIT)) == (ssize_t)sizeof(r))
		if (r.place < CLU_HOSTS_MAX && r.link < CPG_LINKS)
			set_addr(p, r.place, r.link, &r.addr);
	if (k == 0 || (k < 0 && errno != EAGAIN))
		stop_asking(p);
}

static void ask(struct pulseio *p, struct question *q)
{
	pthread_attr_t attr;
	pthread_t thread;
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		free(q);
		return;
	}
	q->fd = pair[1];
	p->answers = pair[0];
	p->answers_src = loop_add_fd(p->loop, pair[0], EPOLLIN, on_answer, p);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = p->answers_src ? pthread_create(&thread, &attr, resolve, q) : ENOMEM;
	pthread_attr_destroy(&attr);
	if (rc) {
		log_warn("cannot look up the names of corosync's node list: %s", strerror(rc));
		close(pair[1]);
		free(q);
		stop_asking(p);
	}
}

void pulseio_peers(struct pulseio *p, const struct cpg_config *c)
{
	struct question *q = calloc(1, sizeof(*q));

	stop_asking(p);
	memset(p->to, 0, sizeof(p->to));
	for (uint32_t i = 0; i < c->n_nodes; i++) {
		for (uint32_t link = 0; link < CPG_LINKS; link++) {
			const char *a = c->addr[i][link];
			struct in6_addr six;
			struct in_addr four;

			if (inet_pton(AF_INET, a, &four) == 1) {
				six = mapped(four);
				set_addr(p, i, link, &six);
			} else if (inet_pton(AF_INET6, a, &six) == 1) {
				set_addr(p, i, link, &six);
			} else if (a[0] && q) {
				q->ask[q->n].place = i;
				q->ask[q->n].link = link;
				snprintf(q->ask[q->n++].name, CPG_ADDR_MAX, "%s", a);
			}
		}
	}
	if (q && q->n)
		ask(p, q);
	else
		free(q);
}

static bool same_host(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
	return a->sin6_port == b->sin6_port && !memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr));
}

void pulseio_learn(struct pulseio *p, uint32_t place, const struct sockaddr_in6 *from)
{
	for (uint32_t i = 0; i < ADDRS; i++)
		if (same_host(&p->to[place][i], from))
			return;
	p->to[place][LEARNED] = *from;
}

void pulseio_send(struct pulseio *p, uint32_t place, const void *octets, size_t len)
{
	for (uint32_t i = 0; i < ADDRS; i++) {
		const struct sockaddr_in6 *to = &p->to[place][i];
		struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = to->sin6_port };

		if (!to->sin6_port)
			continue;
		memcpy(&four.sin_addr, &to->sin6_addr.s6_addr[12], 4);
		(void)!sendto(p->fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		              p->v4 ? (struct sockaddr *)&four : (const struct sockaddr *)to,
		              p->v4 ? sizeof(four) : sizeof(*to));
	}
}
