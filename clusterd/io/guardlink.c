/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The connection to hospes-guard: see guardlink.h. */
#include "config.h"
#include "clusterd/io/guardlink.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "clusterd/guard/guardmsg.h"
#include "clusterd/guard/parking.h"
#include "clusterd/guard/deadline.h"
#include "common/log.h"
#include "common/util.h"

#define AGAIN_NS (200 * NS_PER_MS)
#define SWEEP_NS (100 * NS_PER_MS)

struct guardlink {
	struct loop *loop;
	void (*changed)(void *arg, bool there);
	void *arg;
	int fd;
	struct loop_fd *src;
	struct loop_timer *tick;
	bool there, said;
	bool met; /* it has answered before */
	uint64_t began_ns;
	struct moment wanted;               /* the lease */
	uint64_t park_ns, park_ticks, life; /* its */
	bool stood;                         /* to be told: what is held is over */
	struct moment held;                 /* what the guard said */
	uint64_t heard_ns, ticked_ns;
	struct parking parking; /* while there is no guard */
};

static void set_there(struct guardlink *g, bool there)
{
	if (g->there == there)
		return;
	g->there = there;
	g->met = true;
	parking_take_over(&g->parking, boot_ns());
	loop_timer_in(g->tick, 0); /* what it did is done from here at once */
	if (there)
		log_info("connected to hospes-guard");
	else
		log_error(
			"hospes-guard is gone or hangs: no new lease until it is back (systemctl start hospes-guard); "
			"at the end of the present one clusterd stops the domains itself");
	g->changed(g->arg, there);
}

static void drop(struct guardlink *g)
{
	loop_del_fd(g->src);
	g->src = NULL;
	if (g->fd >= 0)
		close(g->fd);
	g->fd = -1;
	set_there(g, false);
}

static void tell(struct guardlink *g)
{
	struct guard_msg m = { .magic = GUARD_MAGIC,
		               .park_ms = (uint32_t)(g->park_ns / NS_PER_MS),
		               .deadline_ns = g->wanted.boot_ns,
		               .deadline_tsc = g->wanted.tsc,
		               .park_ticks = g->park_ticks,
		               .life = g->life,
		               .flags = g->stood ? GUARD_F_STOOD : 0 };

	/* EAGAIN: it does not read; the next tick sees that it is mute */
	if (g->fd >= 0 && send(g->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		drop(g);
}

static void on_guard(void *arg, int fd, uint32_t revents)
{
	struct guardlink *g = arg;
	struct guard_msg m;
	ssize_t n = recv(fd, &m, sizeof(m), MSG_DONTWAIT);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(m) || m.magic != GUARD_MAGIC) {
		drop(g);
		return;
	}
	g->heard_ns = boot_ns();
	g->held = (struct moment){ .boot_ns = m.deadline_ns, .tsc = m.deadline_tsc };
	set_there(g, true);
}

static void try_connect(struct guardlink *g)
{
	_cleanup_free_ char *path = xasprintf("%s/guard.sock", path_run());
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || strlen(path) >= sizeof(a.sun_path))
		return;
	strcpy(a.sun_path, path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return;
	g->src = loop_add_fd(g->loop, fd, EPOLLIN, on_guard, g);
	if (!g->src)
		return;
	g->fd = steal_fd(&fd);
	g->heard_ns = boot_ns();
	tell(g);
}

static void on_kill(void *arg, const char *name)
{
	const struct guardlink *g = arg;

	if (!g->said)
		log_error("the lease is over and the guard is gone: domain '%s' is ended", name);
}

static void on_tick(void *arg)
{
	struct guardlink *g = arg;
	uint64_t now = boot_ns();
	uint64_t held_now = deadline_now_ns(&g->held, g->park_ns, g->park_ticks);
	bool near = held_now + g->park_ns >= g->held.boot_ns;

	if (now > g->ticked_ns + GUARD_SILENT_NS / 2)
		g->heard_ns = now; /* we stood still ourselves: what it said is not read yet */
	g->ticked_ns = now;
	if (g->fd >= 0 && now > g->heard_ns + GUARD_SILENT_NS)
		drop(g);
	if (g->fd < 0)
		try_connect(g);
	else
		tell(g);
	if (!g->there && near)
		g->said = parking_look(&g->parking, held_now, g->held.boot_ns, g->park_ns, on_kill, g) != 0;
	loop_timer_in(g->tick, g->there ? GUARD_EVERY_NS : near && (g->said || g->park_ns) ? SWEEP_NS : AGAIN_NS);
}

struct guardlink *guardlink_new(struct loop *loop, void (*changed)(void *arg, bool there), void *arg)
{
	struct guardlink *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	*g = (struct guardlink){ .loop = loop, .changed = changed, .arg = arg, .fd = -1, .began_ns = boot_ns() };
	g->tick = loop_add_timer(loop, on_tick, g);
	/* a guard that runs holds what it allowed: give it time to say so before anything is ended in its stead */
	g->held.boot_ns = g->began_ns + GUARD_SILENT_NS;
	if (!g->tick) {
		guardlink_free(g);
		return NULL;
	}
	loop_timer_in(g->tick, 0);
	return g;
}

void guardlink_free(struct guardlink *g)
{
	if (!g)
		return;
	loop_del_fd(g->src);
	if (g->fd >= 0)
		close(g->fd);
	parking_reset(&g->parking);
	loop_del_timer(g->tick);
	free(g);
}

bool guardlink_there(const struct guardlink *g)
{
	return g->there;
}

bool guardlink_awaited(const struct guardlink *g)
{
	return !g->there && !g->met && boot_ns() < g->began_ns + GUARD_SILENT_NS;
}

void guardlink_lease(struct guardlink *g, const struct moment *at, uint64_t park_ns, uint64_t park_ticks, uint64_t life)
{
	if (at->boot_ns <= g->wanted.boot_ns)
		return;
	g->wanted = *at;
	g->park_ns = park_ns;
	g->park_ticks = park_ticks;
	g->life = life;
	g->stood = false;
	tell(g);
}

void guardlink_expire(struct guardlink *g)
{
	g->stood = true;
	g->wanted.tsc = g->held.tsc = MOMENT_OVER_TSC;
	tell(g);
}

uint64_t guardlink_deadline_ns(const struct guardlink *g)
{
	struct moment now = moment_now();

	return g->there && !moment_over(&g->held, &now) ? g->held.boot_ns : 0;
}
