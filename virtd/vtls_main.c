/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes-virtd-tls: started by hospes-virtd (vdtls.c), not by people. Reads keys, gives up everything, accepts, and forks
 * a process for each client. See vtls.h.
 */
#include "config.h"
#include "virtd/vtls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "common/loop.h"
#include "common/util.h"
#include "virtd/vdtlsmsg.h"

#define CLIENTS_MAX 256u

struct app {
	struct vtls_keys *keys;
	struct vtls_filters *filters;
	struct vtls_slots slots;
	struct pollfd *p; /* for the channel, the port, and each slot */
};

static void say(enum vdtls_kind kind, const char *addr, const char *text)
{
	char p[VDTLS_MSG_MAX];
	size_t len = vdtls_msg_write(kind, addr, text, p);

	(void)!sock_send_fds(VTLS_FD_CHANNEL, p, len, NULL, 0);
}

/* Whatever it was at. Only then is its process id given to another one. */
static void end_slot(struct vtls_slot *s)
{
	kill(s->pid, SIGKILL);
	while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(s->pipe);
	*s = (struct vtls_slot){ 0 };
}

/* "[fe80::1]:1234"; an IPv4 address as such. */
static void address_of(const struct sockaddr_storage *from, uint8_t addr[16], char *text, size_t room)
{
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
	const struct sockaddr_in *four = (const struct sockaddr_in *)from;
	char host[INET6_ADDRSTRLEN] = "";

	memset(addr, 0, 16);
	if (from->ss_family == AF_INET6) {
		memcpy(addr, &six->sin6_addr, 16);
	} else {
		addr[10] = addr[11] = 0xff;
		memcpy(addr + 12, &four->sin_addr, 4);
	}
	if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)addr)) {
		inet_ntop(AF_INET, addr + 12, host, sizeof(host));
		snprintf(text, room, "%s:%u", host, ntohs(four->sin_port));
	} else {
		inet_ntop(AF_INET6, addr, host, sizeof(host));
		snprintf(text, room, "[%s]:%u", host, ntohs(six->sin6_port));
	}
}

/* Descriptors of a client's process. */
#define AT_CHANNEL 3
#define AT_CLIENT  4
#define AT_DONE    5

static void __attribute__((noreturn)) be_client(struct app *a, int fd, int done, const char *addr)
{
	/* all three are above those places, or where they have to be */
	if (dup2(fd, AT_CLIENT) < 0 || dup2(done, AT_DONE) < 0 || close_range(AT_DONE + 1, ~0u, 0) < 0 ||
	    vtls_confine_client(a->filters) < 0)
		_exit(1);
	vtls_serve(a->keys, AT_CLIENT, addr, AT_CHANNEL, AT_DONE);
	_exit(0);
}

/* A client that is cut off is noticed, though it has no messages. */
static void watch_over(int fd)
{
	const int yes = 1, idle_s = 30, every_s = 10, unacknowledged_ms = 60000;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

static void on_client(struct app *a)
{
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof(from);
	_cleanup_close_ int fd = accept4(VTLS_FD_LISTEN, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct vtls_slot *s, *victim;
	char text[VDTLS_ADDR_MAX];
	uint8_t addr[16];
	int done[2];
	pid_t pid;

	if (fd < 0)
		return;
	address_of(&from, addr, text, sizeof(text));
	s = vtls_slot_for(&a->slots, &victim);
	if (!s) {
		say(VDTLS_REFUSED, text, "as many clients as may be are connected");
		return;
	}
	if (victim)
		end_slot(victim);
	watch_over(fd);
	if (pipe2(done, O_CLOEXEC | O_NONBLOCK) < 0)
		return;
	pid = fork();
	if (pid == 0)
		be_client(a, fd, done[1], text);
	close(done[1]);
	if (pid < 0) {
		close(done[0]);
		say(VDTLS_REFUSED, text, "no process for it");
		return;
	}
	*s = (struct vtls_slot){ .pid = pid,
		                 .pipe = done[0],
		                 .until_ns = now_ns() + (VTLS_HANDSHAKE_S + 1) * NS_PER_S };
	memcpy(s->addr, addr, sizeof(addr));
}

static void on_pipe(struct vtls_slot *s)
{
	char c;

	if (read(s->pipe, &c, 1) == 1)
		s->until_ns = UINT64_MAX;
	else if (errno != EAGAIN && errno != EINTR)
		end_slot(s);
}

static void serve(struct app *a)
{
	for (;;) {
		uint64_t at = vtls_slots_deadline(&a->slots), now = now_ns();
		int ms = at == UINT64_MAX ? -1 : at > now ? (int)((at - now) / NS_PER_MS) + 1 : 0;

		a->p[0] = (struct pollfd){ .fd = VTLS_FD_CHANNEL };
		a->p[1] = (struct pollfd){ .fd = VTLS_FD_LISTEN, .events = POLLIN };
		for (size_t i = 0; i < a->slots.n; i++)
			a->p[2 + i] = (struct pollfd){ .fd = a->slots.slot[i].pid ? a->slots.slot[i].pipe : -1,
				                       .events = POLLIN };
		if (poll(a->p, 2 + a->slots.n, ms) < 0 && errno != EINTR)
			return;
		if (a->p[0].revents) /* hospes-virtd is no more */
			return;
		now = now_ns();
		for (size_t i = 0; i < a->slots.n; i++) {
			struct vtls_slot *s = &a->slots.slot[i];

			if (s->pid && a->p[2 + i].revents)
				on_pipe(s);
			if (s->pid && s->until_ns <= now)
				end_slot(s);
		}
		if (a->p[1].revents)
			on_client(a);
	}
}

static int set_up(struct app *a, char **argv, struct err *err)
{
	_cleanup_free_ char *root = xasprintf("%s/tls-root", path_run());
	const char *crl = argv[5];
	unsigned handshakes = (unsigned)atoi(argv[1]);
	char text[16];
	int r;

	if (*crl == '-') /* used if it is there */
		crl = !access(crl + 1, F_OK) ? crl + 1 : NULL;
	r = vtls_keys_new(argv[2], argv[3], argv[4], crl, &a->keys, err);
	if (!r)
		r = vtls_filters_new(&a->filters, err);
	if (r < 0)
		return r;
	a->slots = (struct vtls_slots){ .n = handshakes + CLIENTS_MAX,
		                        .handshakes_max = handshakes,
		                        .clients_max = CLIENTS_MAX };
	a->slots.slot = calloc(a->slots.n, sizeof(*a->slots.slot));
	a->p = calloc(a->slots.n + 2, sizeof(*a->p));
	if (!a->slots.slot || !a->p)
		return err_sys(err, ENOMEM, "clients");
	if (mkdir_p(root, 0755) < 0)
		return err_sys(err, errno, "make %s", root);
	r = vtls_confine(a->filters, root, (unsigned)a->slots.n + 8, err);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%d", (int)getpid());
	say(VDTLS_READY, "", text);
	return 0;
}

int main(int argc, char **argv)
{
	struct app a = { 0 };
	struct err err;

	if (argc != 6 || fcntl(VTLS_FD_CHANNEL, F_GETFD) < 0 || fcntl(VTLS_FD_LISTEN, F_GETFD) < 0) {
		fprintf(stderr, "%s: hospes-virtd starts it: see hospes-virtd(8)\n", argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (set_up(&a, argv, &err) < 0) {
		say(VDTLS_FAILED, "", err.text);
		return 1;
	}
	serve(&a);
	return 0;
}
