/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See display.h. */
#include "config.h"
#include "hypervisor/display.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/log.h"
#include "common/pathopen.h"
#include "common/util.h"
#include "hypervisor/relay.h"

#define SOCKET_NAME "vnc.sock"
#define BACKLOG     4
#define TOLD_NS     (60 * NS_PER_S)
#define HANDSHAKE   512u /* octets from the server that a client without the password does not get past */

struct display {
	int fd;                                                    /* owned, -1: none */
	int dir;                                                   /* of the socket, owned, -1: none */
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* of the socket in @dir */
	ino_t ino;
	struct hv_display where; /* but clients */
	struct loop *loop;
	struct loop_fd *src;
	struct loop_timer *next; /* armed while nobody is let in */
	display_client_fn *client;
	void *arg;
	struct relay *relay[DISPLAY_CLIENTS_MAX]; /* oldest first, n of them */
	size_t n;
	uint64_t told_ns;
};

/* Its place --------------------------------------------------------------------------------------------------------------- */

/* What is there already goes if nobody listens to it any more. @at: its name for connect() and bind(). */
static int remove_stale(int dir, const char *name, const struct sockaddr_un *at, const char *path, struct err *err)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return err_sys(err, errno, "graphics: %s", path);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "graphics: %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, EEXIST, "graphics: %s is in the way and no socket; remove it", path);
	if (!connect(fd, (const struct sockaddr *)at, sizeof(*at)) || errno == EAGAIN)
		return err_set(err, EADDRINUSE, "graphics: another program listens on %s", path);
	if (errno != ECONNREFUSED)
		return err_sys(err, errno, "graphics: %s", path);
	return unlinkat(dir, name, 0) < 0 && errno != ENOENT ? err_sys(err, errno, "graphics: remove %s", path) : 0;
}

/* For root, and for the group of its folder. */
static int listen_unix(struct display *s, const char *path, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st, dir;

	snprintf(s->name, sizeof(s->name), "%s", strrchr(path, '/') + 1);
	if (snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/%s", s->dir, s->name) >=
	    (int)sizeof(at.sun_path))
		return err_set(err, ENAMETOOLONG, "graphics: the name of socket %s is too long", path);
	int r = remove_stale(s->dir, s->name, &at, path, err);
	if (r < 0)
		return r;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* the mode of the socket becomes that of the file: no moment with a wider one */
	if (s->fd < 0 || fchmod(s->fd, 0600) < 0 || bind(s->fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return err_sys(err, errno, "graphics: cannot make socket %s", path);
	if (fstatat(s->dir, s->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || fstat(s->dir, &dir) < 0)
		return err_sys(err, errno, "graphics: %s", path);
	s->ino = st.st_ino;
	if ((fchownat(s->dir, s->name, (uid_t)-1, dir.st_gid, AT_SYMLINK_NOFOLLOW) < 0 && geteuid() == 0) ||
	    fchmodat(s->dir, s->name, 0660, 0) < 0 || listen(s->fd, BACKLOG) < 0)
		return err_sys(err, errno, "graphics: cannot open socket %s to its group", path);
	s->where.kind = HV_DISPLAY_SOCKET;
	snprintf(s->where.place, sizeof(s->where.place), "%s", path);
	return 0;
}

static int at_socket(struct display *s, const struct dom_config *cfg, const char *run_dir, struct err *err)
{
	_cleanup_free_ char *own = xasprintf("%s/" SOCKET_NAME, run_dir);
	const char *path = cfg->hvm.display.socket;

	s->dir = path ? path_folder(cfg->paths, PATH_SOCKET, path, "graphics", err)
	              : open(run_dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->dir < 0)
		return path ? s->dir : err_sys(err, errno, "graphics: cannot open %s", run_dir);
	return listen_unix(s, path ?: own, err);
}

/* 0, or -errno: -EADDRINUSE. */
static int listen_tcp(struct display *s, unsigned port)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_port = htons((uint16_t)port),
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	/* connections of before that still end do not keep the port */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	s->fd = steal_fd(&fd);
	s->where.kind = HV_DISPLAY_PORT;
	s->where.port = port;
	snprintf(s->where.place, sizeof(s->where.place), "127.0.0.1");
	return 0;
}

static int at_port(struct display *s, unsigned port, struct err *err)
{
	int r = -EADDRINUSE;

	if (port) {
		r = listen_tcp(s, port);
		if (r == -EADDRINUSE)
			return err_set(
				err, EADDRINUSE,
				"graphics: port %u of 127.0.0.1 is in use on this host (autoport='yes' takes a free one)",
				port);
		return r < 0 ? err_sys(err, -r, "graphics: cannot listen on port %u of 127.0.0.1", port) : 0;
	}
	for (unsigned i = 0; i < DISPLAY_PORTS && r == -EADDRINUSE; i++)
		r = listen_tcp(s, DOM_VNC_PORT_FIRST + i);
	return r < 0 ? err_sys(err, -r, "graphics: cannot listen on any port of 127.0.0.1 from %u to %u",
	                       DOM_VNC_PORT_FIRST, DOM_VNC_PORT_FIRST + DISPLAY_PORTS - 1)
	             : 0;
}

int display_listen(const struct dom_config *cfg, const char *run_dir, struct display **ret, struct err *err)
{
	const struct dom_display *d = &cfg->hvm.display;
	struct display *s = d->on ? calloc(1, sizeof(*s)) : NULL;

	if (!d->on)
		return 0;
	if (!s)
		return err_set(err, ENOMEM, "out of memory");
	*s = (struct display){ .fd = -1, .dir = -1, .where.password = *d->password != 0 };
	int r = d->tcp ? at_port(s, d->port, err) : at_socket(s, cfg, run_dir, err);
	if (r < 0) {
		display_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int display_file(const struct display *s, const char **ret_name, ino_t *ret_ino)
{
	if (!s || !s->ino)
		return -1;
	*ret_name = s->name;
	*ret_ino = s->ino;
	return s->dir;
}

/* Clients ----------------------------------------------------------------------------------------------------------------- */

static void drop(struct display *s, size_t i)
{
	relay_free(s->relay[i]);
	s->n--;
	memmove(s->relay + i, s->relay + i + 1, (s->n - i) * sizeof(s->relay[0]));
}

static void on_over(void *arg, struct relay *r)
{
	struct display *s = arg;

	for (size_t i = 0; i < s->n; i++)
		if (s->relay[i] == r) {
			drop(s, i);
			return;
		}
}

/* One that never said its password gives way to the next. */
static bool make_room(struct display *s)
{
	for (size_t i = 0; i < s->n && s->n == DISPLAY_CLIENTS_MAX; i++)
		if (relay_from_b(s->relay[i]) < HANDSHAKE)
			drop(s, i);
	return s->n < DISPLAY_CLIENTS_MAX;
}

/* Takes @fd. */
static int take_client(struct display *s, int fd, struct err *err)
{
	int sv[2], one = 1;

	(void)!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* a Unix socket has no such thing */
	int r = !make_room(s) ? err_set(err, EBUSY, "%u are connected", DISPLAY_CLIENTS_MAX)
	        : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0
	                ? err_sys(err, errno, "cannot make its connection")
	                : 0;
	if (r < 0) {
		close(fd);
		return r;
	}
	r = s->client(s->arg, sv[1], err);
	if (r < 0) {
		close(fd);
		close(sv[0]);
		return r;
	}
	struct relay *relay = relay_new(s->loop, fd, sv[0], on_over, s);
	if (!relay)
		return err_set(err, ENOMEM, "out of memory");
	s->relay[s->n++] = relay;
	return 0;
}

static void on_listen(void *arg, int fd, uint32_t ev)
{
	struct display *s = arg;
	struct err err = { 0 };
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)ev;
	if (loop_mod_fd(s->src, 0) == 0)
		loop_timer_in(s->next, DISPLAY_ACCEPT_NS);
	if (client < 0 || take_client(s, client, &err) == 0)
		return;
	if (s->told_ns && now_ns() - s->told_ns < TOLD_NS)
		return;
	s->told_ns = now_ns();
	log_info("a client of the guest's screen is turned away: %s", err.text);
}

static void on_next(void *arg)
{
	struct display *s = arg;

	if (loop_mod_fd(s->src, EPOLLIN) < 0)
		loop_timer_in(s->next, DISPLAY_ACCEPT_NS);
}

int display_start(struct display *s, struct loop *loop, display_client_fn *client, void *arg, struct err *err)
{
	if (!s)
		return 0;
	s->loop = loop;
	s->client = client;
	s->arg = arg;
	s->next = loop_add_timer(loop, on_next, s);
	s->src = s->next ? loop_add_fd(loop, s->fd, EPOLLIN, on_listen, s) : NULL;
	return s->src ? 0 : err_set(err, ENOMEM, "out of memory");
}

void display_where(const struct display *s, struct hv_display *ret)
{
	*ret = (struct hv_display){ 0 };
	if (!s)
		return;
	*ret = s->where;
	ret->clients = (uint32_t)s->n;
}

void display_free(struct display *s)
{
	struct stat st;

	if (!s)
		return;
	while (s->n)
		drop(s, s->n - 1);
	loop_del_fd(s->src);
	loop_del_timer(s->next);
	if (s->ino && fstatat(s->dir, s->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == s->ino)
		(void)!unlinkat(s->dir, s->name, 0);
	if (s->fd >= 0)
		close(s->fd);
	if (s->dir >= 0)
		close(s->dir);
	free(s);
}
