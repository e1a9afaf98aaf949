/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sockets, and what ends with the server. Loop thread. */
#include "config.h"
#include "virtd/virtd_int.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "common/hostname.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/util.h"

#define SCAN_NS (300 * NS_PER_MS)

static void on_client(void *arg, int fd, uint32_t revents)
{
	struct vd_listener *l = arg;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (client < 0)
		return;
	if (l->srv->n_conns >= VD_CLIENTS_MAX) {
		log_warn("%u clients are connected: another one is turned away", l->srv->n_conns);
		close(client);
		return;
	}
	if (!vd_conn_new(l->srv, client, l->readonly, NULL))
		log_error("a client is turned away: out of memory");
}

/* Systemd's, if it listens for us: there it stays when this process ends. */
static int handed_over(bool readonly)
{
	int fd = notify_socket(readonly ? "hospes-virtd-ro.socket" : "hospes-virtd.socket");

	return fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -1 : fd;
}

static int open_socket(struct vd_listener *l, const char *path, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s", path);
	char *slash = strrchr(dir, '/');

	if (!slash || slash == dir)
		return err_set(err, EINVAL, "socket \"%s\": has to be an absolute path", path);
	*slash = 0;
	if (mkdir_p(dir, 0755) < 0)
		return err_sys(err, errno, "make %s", dir);
	l->fd = sock_listen(path, SOCK_STREAM, 64, "hospes-virtd", err);
	if (l->fd < 0)
		return l->fd;
	l->path = xasprintf("%s", path);
	return 0;
}

/* The file's mode says who may connect: root, and the group; the read-only socket is for everybody, as libvirt's. */
static int listen_on(struct vd_server *s, unsigned i, const char *path, bool readonly, gid_t gid, struct err *err)
{
	struct vd_listener *l = &s->listener[i];
	struct sockaddr_un is = { 0 };
	socklen_t len = sizeof(is) - 1;
	int r = 0;

	l->srv = s;
	l->readonly = readonly;
	l->fd = handed_over(readonly);
	if (l->fd < 0)
		r = open_socket(l, path, err);
	else if (getsockname(l->fd, (struct sockaddr *)&is, &len) < 0 || is.sun_family != AF_UNIX || !is.sun_path[0])
		return err_set(err, EINVAL, "the socket from systemd has no file");
	else
		path = is.sun_path;
	if (r < 0)
		return r;
	log_info("serves %s%s", path, readonly ? ", read-only" : "");
	if (gid != (gid_t)-1 && chown(path, (uid_t)-1, gid) < 0)
		return err_sys(err, errno, "give %s to its group", path);
	if (chmod(path, readonly ? 0666 : gid == (gid_t)-1 ? 0600 : 0660) < 0)
		return err_sys(err, errno, "mode of %s", path);
	l->src = loop_add_fd(s->loop, l->fd, EPOLLIN, on_client, l);
	return l->src ? 0 : err_sys(err, ENOMEM, "serve %s", path);
}

static void on_alive(void *arg)
{
	struct vd_server *s = arg;

	for (struct vd_conn *c = s->conns; c; c = c->next)
		vd_conn_ping(c);
	vd_tls_look(s->tls);
	loop_timer_in(s->alive, VD_KEEPALIVE_S * NS_PER_S);
}

static int scan(struct vd_call *c)
{
	c->snapshot = vd_snapshot_take(c);
	if (c->snapshot && c->scope == VD_SYSTEM)
		vd_jobs_read(&c->srv->watch[c->scope].jobs, c->snapshot);
	return 0;
}

/* While somebody wants events: a look at all domains. One at a time. */
static void on_scan(void *arg)
{
	static const struct vd_proc look = { .name = "a look at all domains" };
	struct vd_watch *w = arg;
	struct vd_server *s = w->srv;
	enum vd_scope scope = (enum vd_scope)(w - s->watch);
	struct vd_call *c;

	if (!vd_events_wanted(s, scope) && !w->scanning) {
		vd_jobs_close(&w->jobs);
		vd_snapshot_free(w->seen);
		w->seen = NULL;
		w->known = w->devices = false;
	} else if (!w->scanning && (c = calloc(1, sizeof(*c)))) {
		*c = (struct vd_call){ .srv = s, .proc = &look, .fn = scan, .scope = scope, .fd = -1 };
		w->scanning = true;
		vd_pool_run(s->pool, c);
	}
	loop_timer_in(w->scan, SCAN_NS);
}

struct vd_server *vd_server_new(struct loop *loop, struct vd_config *cfg, struct err *err)
{
	struct vd_server *s = calloc(1, sizeof(*s));
	gid_t gid = (gid_t)-1;
	bool timers = true;
	struct group *g;

	if (!s) {
		(void)err_sys(err, ENOMEM, "server");
		return NULL;
	}
	s->loop = loop;
	s->store = cfg->store;
	cfg->store = (struct vd_store){ 0 };
	s->listener[0].fd = s->listener[1].fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	host_name(s->host, sizeof(s->host));
	xmlInitParser(); /* before there are threads */
	s->alive = loop_add_timer(loop, on_alive, s);
	s->reap = loop_add_timer(loop, vd_conns_reap, s);
	s->pool = vd_pool_new(loop, vd_conn_finished);
	for (size_t i = 0; i < VD_SCOPES; i++) {
		s->watch[i].srv = s;
		vd_jobs_init(&s->watch[i].jobs);
		s->watch[i].scan = loop_add_timer(loop, on_scan, &s->watch[i]);
		timers &= s->watch[i].scan != NULL;
	}
	if (!s->alive || !timers || !s->reap || !s->pool) {
		(void)err_sys(err, ENOMEM, "server");
		goto fail;
	}
	if (cfg->group) {
		g = getgrnam(cfg->group);
		if (!g) {
			(void)err_set(err, ENOENT, "group \"%s\" does not exist: groupadd --system %s", cfg->group,
			              cfg->group);
			goto fail;
		}
		gid = g->gr_gid;
	}
	if (listen_on(s, 0, cfg->socket, false, gid, err) < 0 ||
	    listen_on(s, 1, cfg->socket_ro, true, (gid_t)-1, err) < 0 || vd_tls_new(s, &cfg->tls, &s->tls, err) < 0)
		goto fail;
	loop_timer_in(s->alive, VD_KEEPALIVE_S * NS_PER_S);
	for (size_t i = 0; i < VD_SCOPES; i++)
		loop_timer_in(s->watch[i].scan, SCAN_NS);
	return s;
fail:
	vd_server_free(s);
	return NULL;
}

void vd_server_free(struct vd_server *s)
{
	if (!s)
		return;
	s->stop = 1;
	vd_tls_free(s->tls);
	for (unsigned i = 0; i < 2; i++) {
		loop_del_fd(s->listener[i].src);
		if (s->listener[i].fd >= 0) {
			close(s->listener[i].fd);
			if (s->listener[i].path)
				unlink(s->listener[i].path);
		}
		free(s->listener[i].path);
	}
	loop_del_timer(s->alive);
	for (size_t i = 0; i < VD_SCOPES; i++)
		loop_del_timer(s->watch[i].scan);
	bool all = vd_pool_free(s->pool);
	while (s->conns) {
		struct vd_conn *c = s->conns;

		s->conns = c->next;
		vd_conn_free(c);
	}
	loop_del_timer(s->reap);
	for (size_t i = 0; i < VD_SCOPES; i++)
		vd_snapshot_free(s->watch[i].seen);
	if (!all) /* threads still use it; the process ends next */
		return;
	for (size_t i = 0; i < VD_SCOPES; i++)
		vd_jobs_close(&s->watch[i].jobs);
	pthread_mutex_destroy(&s->lock);
	store_done(&s->store);
	free(s);
}
