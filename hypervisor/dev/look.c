/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What devices and driver were at, in words for the log, when the guest is taken for hung: whose turn it was. A line for each device.
 * Threading: the io thread, asked by the main thread.
 */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"

#include <stdarg.h>
#include <string.h>
#include "common/util.h"

struct text {
	char *p;
	size_t left;
};

static void __attribute__((format(printf, 2, 3))) put(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(t->p, t->left, fmt, ap);
	va_end(ap);
	size_t k = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left - 1;
	t->p += k;
	t->left -= k;
}

static void look_at(struct text *t, const struct vdev *v, uint64_t now)
{
	char waits[96];

	put(t, "%s:%s%s", v->name, v->running ? "" : " stands still", v->broken ? " broken" : "");
	for (unsigned q = 0; q < v->n_vq; q++) {
		struct vq_look l;
		if (!vq_look(&v->vq[q], &l)) {
			put(t, " [%u: off]", q);
			continue;
		}
		/* offered by the driver, taken; answered, called for, what the driver wants to be called for */
		put(t, " [%u: avail %u taken %u, used %u called %u wanted %u%s]", q, l.avail, v->vq[q].c.last_avail,
		    v->vq[q].c.used_idx, v->vq[q].signalled, l.used_event, v->pending & (1u << q) ? ", to run" : "");
	}
	v->transport->look(v, waits, sizeof(waits));
	put(t, " %s", waits);
	const struct vdev_storage_ops *so = v->ops->storage;
	if (so)
		put(t, "; %u under way, the oldest for %.1f s, %u held", so->in_flight(v),
		    (double)so->age_ns(v, now) / 1e9, so->held(v));
	put(t, "\n");
}

static int do_look(struct devs *d, void *arg, struct err *err)
{
	struct text *t = arg;
	uint64_t now = now_ns(), heard = vconsole_heard_ns(d->agent);
	(void)err;

	if (heard)
		put(t, "last heartbeat %.2f s ago\n", (double)(now - heard) / 1e9);
	for (size_t i = 0; i < d->n; i++)
		look_at(t, d->v[i], now);
	return 0;
}

void devs_look(struct devs *d, char *buf, size_t len)
{
	struct text t = { buf, len };
	struct err err;

	buf[0] = 0;
	if (devs_call_for(d, do_look, &t, ASK_NS, &err) < 0)
		put(&t, "%s\n", err.text);
}
