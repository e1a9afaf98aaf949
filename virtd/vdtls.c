/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS, as far as this process has to do with it: it listens, starts hospes-virtd-tls (vtls_main.c), which accepts, and
 * takes clients from it with their certificates' names. Who of them may come in is decided here. It never reads what
 * a client sends before that. ADR 103. Loop thread.
 */
#include "config.h"
#include "virtd/virtd_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "common/log.h"
#include "common/notify.h"
#include "common/util.h"
#include "virtd/vdtlsmsg.h"
#include "virtd/vtls.h"

#define PROGRAM   "hospes-virtd-tls"
#define CRL_USUAL "/etc/pki/CA/cacrl.pem"
#define START_MS  20000
#define AGAIN_NS  (1 * NS_PER_S)
#define AT_ONCE   16u /* messages taken in one round of the loop */
#define LINES_MAX 20u /* in the log, of refused clients, in LINES_NS */
#define LINES_NS  (10 * NS_PER_S)
#define BACKLOG   256

struct stamp {
	struct timespec mtime;
	ino_t ino;
	off_t size;
};

struct vd_tls {
	struct vd_server *srv;
	struct vd_tls_config cfg;
	char port[8], handshakes[8];
	char *program;
	int listen;       /* owned */
	int chan, theirs; /* owned; theirs is kept for the next process */
	struct loop_fd *src;
	struct loop_timer *again;
	pid_t now, next; /* 0: none. Who serves, and who will once it says so */
	struct stamp seen[4];
	uint64_t lines_ns; /* since when lines are counted */
	unsigned lines;
	struct err failed; /* why the last one could not serve */
};

static void take_stamps(const struct vd_tls *t, struct stamp ret[4])
{
	const char *const files[4] = { t->cfg.key_file, t->cfg.cert_file, t->cfg.ca_file,
		                       t->cfg.crl_file ?: CRL_USUAL };

	memset(ret, 0, 4 * sizeof(*ret));
	for (size_t i = 0; i < 4; i++) {
		struct stat st;

		if (!stat(files[i], &st))
			ret[i] = (struct stamp){ .mtime = st.st_mtim, .ino = st.st_ino, .size = st.st_size };
	}
}

/* Beside this program (the build tree), else where it is installed. Owned. */
static char *program_path(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = 0;
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = 0;
	char *path = xasprintf("%s/%s", self, PROGRAM);
	if (!access(path, X_OK))
		return path;
	free(path);
	return xasprintf("%s/%s", HOSPES_PKGLIBDIR, PROGRAM);
}

/* Between fork and exec: system calls only. */
static void __attribute__((noreturn)) become(const struct vd_tls *t, char *const argv[])
{
	signals_reset();
	int chan = fcntl(t->theirs, F_DUPFD_CLOEXEC, 10), lis = fcntl(t->listen, F_DUPFD_CLOEXEC, 10);
	if (chan < 0 || lis < 0 || dup2(chan, VTLS_FD_CHANNEL) < 0 || dup2(lis, VTLS_FD_LISTEN) < 0)
		_exit(126);
	close_range(VTLS_FD_LISTEN + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	(void)execv(t->program, argv);
	_exit(126);
}

static int start(struct vd_tls *t, struct err *err)
{
	char *const argv[] = { t->program,
		               t->handshakes,
		               t->cfg.key_file,
		               t->cfg.cert_file,
		               t->cfg.ca_file,
		               t->cfg.crl_file ?: (char *)"-" CRL_USUAL,
		               NULL };
	pid_t pid;

	take_stamps(t, t->seen);
	t->failed = (struct err){ 0 };
	pid = fork();
	if (pid == 0)
		become(t, argv);
	if (pid < 0)
		return err_sys(err, errno, "start %s", t->program);
	t->next = pid;
	return 0;
}

static void on_again(void *arg)
{
	struct vd_tls *t = arg;
	struct err err;

	if (!t->now && !t->next && start(t, &err) < 0) {
		log_error("%s", err.text);
		loop_timer_in(t->again, 5 * AGAIN_NS);
	}
}

static bool fits(const struct vd_strings *l, const char *dn)
{
	for (size_t i = 0; i < l->n; i++)
		if (vdtls_dn_fits(l->s[i], dn))
			return true;
	return false;
}

/* A line about who was not let in: anybody can cause one, so their number is limited. */
static void log_refused(struct vd_tls *t, const char *addr, const char *why)
{
	uint64_t now = now_ns();

	if (now - t->lines_ns > LINES_NS) {
		if (t->lines > LINES_MAX)
			log_warn("%u more clients were refused", t->lines - LINES_MAX);
		t->lines_ns = now;
		t->lines = 0;
	}
	if (t->lines++ < LINES_MAX)
		log_warn("client %s: refused: %s", addr, why);
}

/* The first octet that a client gets: libvirt's protocol has it before all messages. The process copies it as any other. */
static void decide(int fd, bool in)
{
	uint8_t octet = in ? 1 : 0;

	(void)!send(fd, &octet, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* It has no use for anything else, unless somebody else speaks for it. */
static bool is_stream(int fd)
{
	int type = 0, domain = 0;
	socklen_t a = sizeof(type), b = sizeof(domain);

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &a) && type == SOCK_STREAM &&
	       !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &b) && domain == AF_UNIX;
}

/* @fd is owned. */
static void on_named(struct vd_tls *t, const struct vdtls_msg *m, int fd)
{
	bool full = fits(&t->cfg.allowed, m->text), in = full || fits(&t->cfg.readonly, m->text);
	char text[VDTLS_TEXT_MAX + 80];

	if (!in) {
		snprintf(text, sizeof(text), "\"%s\" fits nothing in tls_allowed_dn_list", m->text);
		log_refused(t, m->addr, text);
	} else if (t->srv->n_conns >= VD_CLIENTS_MAX) {
		snprintf(text, sizeof(text), "%u clients are connected", t->srv->n_conns);
		log_refused(t, m->addr, text);
		in = false;
	}
	decide(fd, in);
	if (!in || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		close(fd);
		return;
	}
	snprintf(text, sizeof(text), "%s \"%s\"", m->addr, m->text);
	if (!vd_conn_new(t->srv, fd, !full, text))
		log_error("client %s is turned away: out of memory", m->addr);
}

/* @pid is who says so. */
static void on_serves(struct vd_tls *t, pid_t pid)
{
	if (pid != t->next || !pid)
		return;
	if (t->now) /* the clients that it let in stay */
		kill(t->now, SIGKILL);
	t->now = t->next;
	t->next = 0;
	log_info("serves TLS on port %s by process %d", t->port, (int)t->now);
}

/* One message. False: there is none. */
static bool take(struct vd_tls *t)
{
	char p[VDTLS_MSG_MAX];
	struct vdtls_msg m;
	int fd = -1;
	size_t n_fds = 1;
	ssize_t n = sock_recv_fds(t->chan, p, sizeof(p), &fd, &n_fds);
	_cleanup_close_ int owned = n >= 0 && n_fds ? fd : -1;

	if (n <= 0 && n != -EMSGSIZE)
		return false;
	if (n < 0 || vdtls_msg_read(p, (size_t)n, &m) < 0 ||
	    (m.kind == VDTLS_CLIENT) != (owned >= 0 && is_stream(owned))) {
		log_refused(t, PROGRAM, "a message of it makes no sense");
		return true;
	}
	switch (m.kind) {
	case VDTLS_READY:
		on_serves(t, (pid_t)atoi(m.text));
		break;
	case VDTLS_FAILED:
		err_set(&t->failed, EINVAL, "TLS: %s", m.text);
		if (t->now)
			log_error("%s; the certificates from before are used on", t->failed.text);
		break;
	case VDTLS_REFUSED:
		log_refused(t, m.addr, m.text);
		break;
	case VDTLS_CLIENT:
		on_named(t, &m, steal_fd(&owned));
		break;
	}
	return true;
}

static void on_channel(void *arg, int fd, uint32_t revents)
{
	(void)fd;
	(void)revents;
	for (unsigned i = 0; i < AT_ONCE && take(arg); i++)
		;
}

void vd_tls_child(struct vd_server *s, pid_t pid)
{
	struct vd_tls *t = s ? s->tls : NULL;

	if (!t || (pid != t->now && pid != t->next))
		return;
	if (pid == t->now) {
		t->now = 0;
		log_warn("%s ended; clients that it let in stay, and another one is started", PROGRAM);
	} else {
		t->next = 0;
		while (take(t)) /* why */
			;
		log_error("%s", t->failed.code ? t->failed.text : "TLS: " PROGRAM " ended before it served");
	}
	loop_timer_in(t->again, t->failed.code ? 5 * AGAIN_NS : AGAIN_NS);
}

void vd_tls_look(struct vd_tls *t)
{
	struct stamp is[4];
	struct err err;

	if (!t || t->next)
		return;
	take_stamps(t, is);
	if (!memcmp(is, t->seen, sizeof(is)))
		return;
	log_info("certificates have changed");
	if (start(t, &err) < 0)
		log_error("%s", err.text);
}

static int open_port(struct vd_tls *t, struct err *err)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
		                    .sin6_port = htons((uint16_t)t->cfg.port),
		                    .sin6_addr = IN6ADDR_ANY_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons((uint16_t)t->cfg.port) };
	bool v4 = t->cfg.addr && inet_pton(AF_INET, t->cfg.addr, &four.sin_addr) == 1;
	const int yes = 1, no = 0;

	if (t->cfg.addr && !v4)
		(void)inet_pton(AF_INET6, t->cfg.addr, &six.sin6_addr);
	t->listen = v4 ? -1 : socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->listen < 0 && (v4 || (!t->cfg.addr && errno == EAFNOSUPPORT))) { /* a kernel without IPv6 */
		v4 = true;
		t->listen = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (t->listen < 0)
		return err_sys(err, errno, "TLS: make a socket");
	setsockopt(t->listen, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (!v4)
		setsockopt(t->listen, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	if (bind(t->listen, v4 ? (struct sockaddr *)&four : (struct sockaddr *)&six, v4 ? sizeof(four) : sizeof(six)) <
	            0 ||
	    listen(t->listen, BACKLOG) < 0)
		return err_sys(err, errno, "TLS: listen on %s, port %u", t->cfg.addr ?: "all addresses", t->cfg.port);
	return 0;
}

/* Systemd's is not ours to configure: only what may be said of its port. */
static int get_port(struct vd_tls *t, int handed, struct err *err)
{
	struct sockaddr_in6 a = { 0 };
	socklen_t len = sizeof(a);
	int r = 0;

	t->listen = handed;
	if (handed < 0)
		r = open_port(t, err);
	else if (fcntl(handed, F_SETFL, O_NONBLOCK) < 0)
		r = err_sys(err, errno, "TLS: the socket from systemd");
	if (!r && (getsockname(t->listen, (struct sockaddr *)&a, &len) < 0 ||
	           (a.sin6_family != AF_INET && a.sin6_family != AF_INET6)))
		r = err_set(err, EINVAL, "TLS: the socket from systemd is none of TCP");
	snprintf(t->port, sizeof(t->port), "%u", ntohs(a.sin6_port)); /* at the same place in both families */
	return r;
}

/* Until it serves, or says why not. */
static int wait_for_it(struct vd_tls *t, struct err *err)
{
	for (uint64_t until = now_ns() + START_MS * NS_PER_MS; now_ns() < until && !t->now;) {
		struct pollfd p = { .fd = t->chan, .events = POLLIN };

		(void)poll(&p, 1, 100);
		while (!t->now && !t->failed.code && take(t))
			;
		if (t->failed.code)
			return err_set(err, t->failed.code, "%s", t->failed.text);
		if (!t->now && waitpid(t->next, NULL, WNOHANG) == t->next) {
			t->next = 0;
			break;
		}
	}
	return t->now ? 0 : err_set(err, ETIMEDOUT, "TLS: %s does not serve: is it installed?", t->program);
}

int vd_tls_new(struct vd_server *s, struct vd_tls_config *cfg, struct vd_tls **ret, struct err *err)
{
	int handed = notify_socket("hospes-virtd-tls.socket"), sv[2], r;
	struct vd_tls *t;

	if (handed < 0 && !cfg->on)
		return 0;
	if (!cfg->allowed.n && !cfg->readonly.n)
		return err_set(
			err, EINVAL,
			"TLS: tls_allowed_dn_list has to say whose certificates are good: [\"CN=admin,*\"]; [\"*\"] is everybody "
			"who has one of the CA");
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_sys(err, ENOMEM, "TLS");
	t->srv = s;
	t->cfg = *cfg;
	*cfg = (struct vd_tls_config){ 0 };
	t->listen = t->chan = t->theirs = -1;
	t->program = program_path();
	snprintf(t->handshakes, sizeof(t->handshakes), "%u", t->cfg.handshakes);
	r = get_port(t, handed, err);
	if (!r && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		r = err_sys(err, errno, "TLS");
	if (!r) {
		t->chan = sv[0];
		t->theirs = sv[1];
		t->again = loop_add_timer(s->loop, on_again, t);
		t->src = loop_add_fd(s->loop, t->chan, EPOLLIN, on_channel, t);
		r = t->again && t->src ? start(t, err) : err_sys(err, ENOMEM, "TLS");
	}
	if (!r)
		r = wait_for_it(t, err);
	if (r < 0)
		vd_tls_free(t);
	else
		*ret = t;
	return r;
}

void vd_tls_free(struct vd_tls *t)
{
	if (!t)
		return;
	if (t->now)
		kill(t->now, SIGKILL);
	if (t->next)
		kill(t->next, SIGKILL);
	loop_del_fd(t->src);
	loop_del_timer(t->again);
	if (t->listen >= 0)
		close(t->listen);
	if (t->chan >= 0)
		close(t->chan);
	if (t->theirs >= 0)
		close(t->theirs);
	vd_tls_config_done(&t->cfg);
	free(t->program);
	free(t);
}
