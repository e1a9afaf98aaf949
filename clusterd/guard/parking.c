/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domains are parked before the deadline and killed at it: see parking.h. */
#include "config.h"
#include "clusterd/guard/parking.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clusterd/guard/managed.h"
#include "common/log.h"
#include "common/util.h"
#include "hypervisor/api/hvproc.h"

#define GRACE_NS (200 * NS_PER_MS)

static void slot_close(struct parking_slot *s, enum parking_state state)
{
	if (s->state != PARKING_FREE && s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->state = state;
}

void parking_reset(struct parking *p)
{
	for (unsigned i = 0; i < p->n; i++)
		slot_close(&p->slot[i], PARKING_FREE);
	p->n = 0;
	p->deadline_ns = 0;
}

void parking_take_over(struct parking *p, uint64_t now_ns)
{
	parking_reset(p);
	p->grace_ns = now_ns + GRACE_NS;
}

static struct parking_slot *find(struct parking *p, const char *name)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->slot[i].state != PARKING_FREE && !strcmp(p->slot[i].name, name))
			return &p->slot[i];
	return NULL;
}

static struct parking_slot *free_slot(struct parking *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->slot[i].state == PARKING_FREE)
			return &p->slot[i];
	return p->n < PARKING_MAX ? &p->slot[p->n++] : NULL;
}

static void ask(void *arg, const char *name, const char *uuid)
{
	struct parking *p = arg;
	struct {
		struct hv_msg h;
		struct hv_park_req q;
	} m = { .h = { HV_MAGIC, HV_VERSION, HV_OP_PARK, p->deadline_ns, 0, sizeof(m.q) }, .q = { p->deadline_ns } };

	(void)uuid;
	struct parking_slot *s = find(p, name) ? NULL : free_slot(p);
	if (!s || !hvproc_alive(name))
		return;
	/* just coming up, or takes nobody now: asked again at the next look */
	_cleanup_close_ int fd = hvproc_connect(name, SOCK_NONBLOCK);
	if (fd < 0 || send(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(m))
		return;
	*s = (struct parking_slot){ .state = PARKING_ASKED, .fd = steal_fd(&fd) };
	snprintf(s->name, sizeof(s->name), "%s", name);
}

/* What came from one domain; a connection that ended takes with it what was said on it. */
static void hear(struct parking *p, struct parking_slot *s)
{
	struct {
		struct hv_msg h;
		char text[200];
	} m;
	ssize_t n = recv(s->fd, &m, sizeof(m) - 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < (ssize_t)sizeof(m.h) || s->state != PARKING_ASKED) {
		slot_close(s, PARKING_FREE);
		return;
	}
	if (m.h.magic == HV_MAGIC && m.h.op == HV_OP_PARK && m.h.cookie == p->deadline_ns && m.h.status == 0) {
		s->state = PARKING_PARKED;
		log_warn("the lease runs out: domain '%s' is suspended", s->name);
		return;
	}
	((char *)&m)[n] = 0;
	log_warn("domain '%s' cannot be suspended and is ended with the lease: %s", s->name, m.text);
	slot_close(s, PARKING_REFUSED);
}

bool parking_spares(void *arg, const char *name)
{
	const struct parking_slot *s = find(arg, name);

	return s && s->state == PARKING_PARKED;
}

int parking_look(struct parking *p, uint64_t now_ns, uint64_t deadline_ns, uint64_t park_ns,
                 void (*on_kill)(void *arg, const char *name), void *arg)
{
	if (!park_ns || !deadline_ns) {
		parking_reset(p);
		return now_ns < deadline_ns ? 0 : managed_kill_all(NULL, NULL, on_kill, arg);
	}
	if (deadline_ns != p->deadline_ns)
		parking_reset(p);
	p->deadline_ns = deadline_ns;
	if (now_ns + park_ns < deadline_ns)
		return 0;
	for (unsigned i = 0; i < p->n; i++)
		if (p->slot[i].fd >= 0 && p->slot[i].state != PARKING_FREE)
			hear(p, &p->slot[i]);
	if (now_ns >= deadline_ns && now_ns >= p->grace_ns)
		return managed_kill_all(parking_spares, p, on_kill, arg);
	int n = managed_each(ask, p);
	return n < 0 ? n : 0;
}
