/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clusterd's connections to the guard: see guard_int.h. */
#include "config.h"
#include "clusterd/guard/guard_int.h"
#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clusterd/guard/guardmsg.h"
#include "clusterd/guard/managed.h"
#include "common/log.h"
#include "common/util.h"

#define SLOW_NS                                                                                                        \
	(12 * NS_PER_S) /* how long one may be mute that has no lease yet, or after one was killed; doubles with each */
#define IDLE_NS         (20 * NS_PER_S) /* and where no domain is to be taken over: others may wait for a decision of its */
#define PATIENCE_MAX_NS (300 * NS_PER_S)
#define WELL_NS         (60 * NS_PER_S) /* with leases for so long it is no longer one that hangs again and again */

static void client_drop(struct client *c)
{
	close(c->fd);
	if (c->pidfd >= 0)
		close(c->pidfd);
	*c = (struct client){ .fd = -1, .pidfd = -1 };
}

void guard_on_connect(struct guard *g)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || (peer.uid != 0 && peer.uid != geteuid())) {
		log_warn("refused a client with user id %u", (unsigned)peer.uid);
		close(fd);
		return;
	}
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &g->client[i];

		if (c->fd >= 0)
			continue;
		*c = (struct client){
			.fd = fd, .pidfd = pidfd_open(peer.pid, 0), .pid = peer.pid, .heard_ns = boot_ns()
		};
		return;
	}
	close(fd);
}

/*
 * May @m move the deadline on? Not to where parking would be due at once, or that is past: that is of no use to what runs, and what is
 * parked for the present deadline had to say so anew.
 */
static bool moves_on(const struct guard *g, const struct guard_msg *m)
{
	uint64_t park_ns = m->park_ms * NS_PER_MS;
	struct moment to = { .boot_ns = m->deadline_ns, .tsc = m->deadline_tsc };

	if (m->deadline_ns < g->deadline.boot_ns || m->park_ms > GUARD_PARK_MS ||
	    m->deadline_ns <= deadline_now_ns(&to, park_ns, m->park_ticks) + park_ns)
		return false;
	return m->deadline_ns > g->deadline.boot_ns || (park_ns != g->park_ns && g->deadline.tsc != MOMENT_OVER_TSC);
}

/*
 * A deadline that is over is followed by another one. What ran on beyond it (this guard stood still as well, perhaps the whole machine) goes
 * on only if nobody can have taken it over, which is so as long as this host was not lost in between: its life is the same. Else it has to
 * be gone first. False: it is not yet; clusterd says its word again soon.
 */
static bool may_follow(struct guard *g, const struct guard_msg *m)
{
	if (!guard_is_over(g) || (m->life && m->life == g->life))
		return true;
	if (g->park_ns && boot_ns() < g->parking.grace_ns)
		return false; /* it is just being asked who is suspended */
	guard_sweep(g);
	return !g->over_since_ns;
}

static void take(struct guard *g, const struct guard_msg *m)
{
	g->deadline = (struct moment){ .boot_ns = m->deadline_ns, .tsc = m->deadline_tsc };
	g->park_ns = m->park_ms * NS_PER_MS;
	g->park_ticks = m->park_ticks;
	g->life = m->life;
	guard_save_deadline(g);
}

void guard_on_client(struct guard *g, struct client *c)
{
	struct guard_msg m = { 0 };
	ssize_t n = recv(c->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
	uint64_t now = boot_ns();

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if ((n != (ssize_t)sizeof(m) && n != (ssize_t)GUARD_MSG_OLD) || m.magic != GUARD_MAGIC) {
		client_drop(c);
		return;
	}
	c->heard_ns = now;
	if ((m.flags & GUARD_F_STOOD) && !guard_is_over(g)) {
		log_error("this host's clocks stood still: its lease is over");
		guard_end_deadline(g);
	}
	if (m.deadline_ns > now + GUARD_FAR_NS)
		log_warn("a deadline that is too far off is not taken");
	else if (moves_on(g, &m) && may_follow(g, &m)) {
		take(g, &m);
		if (!c->moved_ns)
			c->moved_ns = now;
		if (now > c->moved_ns + WELL_NS)
			g->kills = 0;
	}
	m.deadline_ns = g->deadline.boot_ns;
	m.deadline_tsc = g->deadline.tsc;
	if (send(c->fd, &m, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		client_drop(c);
}

static void saw(void *arg, const char *name, const char *uuid)
{
	(void)name, (void)uuid;
	*(bool *)arg = true;
}

/*
 * How long may @c be mute? Where domains of the cluster are, or were until the deadline, others wait for its end before they start them.
 * Else they may yet wait for it to decide something, but not in vain if it is only slow: a host that lacks CPU time, or a clusterd that is
 * just starting, is not to be held down by being killed again and again.
 */
static uint64_t patience_ns(const struct guard *g, const struct client *c)
{
	uint64_t ns = g->kills ? SLOW_NS : GUARD_SILENT_NS;
	bool stake = false;

	for (unsigned i = 1; i < g->kills && ns < PATIENCE_MAX_NS; i++)
		ns *= 2;
	if (!c->moved_ns && ns < SLOW_NS)
		ns = SLOW_NS;
	if (managed_each(saw, &stake) == 0 && !stake && ns < IDLE_NS)
		ns = IDLE_NS;
	return ns < PATIENCE_MAX_NS ? ns : PATIENCE_MAX_NS;
}

/* A clusterd that is connected, mute, and whose lease is over hangs; it would stay a member that does nothing. Its end lets others act. */
void guard_look_at_clients(struct guard *g)
{
	uint64_t now = boot_ns();
	bool stalled = now > g->looked_ns + GUARD_SILENT_NS / 2;

	g->looked_ns = now;
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &g->client[i];

		if (stalled) /* the whole machine stood still, or this is the first look: who was mute could not speak */
			c->heard_ns = now;
		if (c->fd < 0 || now < c->heard_ns + GUARD_SILENT_NS || !g->deadline.boot_ns ||
		    now < c->heard_ns + patience_ns(g, c))
			continue;
		g->kills++;
		log_error(
			"clusterd (pid %d) hangs and its lease is over: killing it; the next one that hangs so soon gets %u s",
			(int)c->pid, (unsigned)(patience_ns(g, c) / NS_PER_S));
		if (c->pidfd >= 0)
			pidfd_send_signal(c->pidfd, SIGKILL, NULL, 0);
		client_drop(c);
	}
}
