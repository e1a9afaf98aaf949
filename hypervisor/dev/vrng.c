/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio entropy (virtio 1.2, 5.4): fills what the guest asks for from the host's random generator. No state of its own.
 * Threading: the io thread.
 */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RUN_BUDGET  16    /* chains per turn */
#define CHAIN_BYTES 4096u /* octets per chain: a device may give less than asked (5.4.6.1) */

struct vrng {
	struct vdev v;
	struct vq_elem e;
};

static void vrng_run(struct vdev *v, unsigned qi)
{
	struct vrng *g = (struct vrng *)v;
	struct vq *q = &v->vq[qi];
	uint8_t buf[CHAIN_BYTES];
	int n;

	for (n = 0; n < RUN_BUDGET && vq_pop(q, &g->e) > 0; n++) {
		size_t want = g->e.in_bytes < sizeof(buf) ? (size_t)g->e.in_bytes : sizeof(buf);
		ssize_t got = getrandom(buf, want, 0);
		if (got < 0) {
			v->st.errors++;
			got = 0;
		}
		size_t k = vq_copy_to(q, g->e.iov + g->e.n_out, g->e.n_in, 0, buf, (size_t)got);
		v->st.rd_ops++;
		v->st.rd_bytes += k;
		vq_push(q, g->e.head, (uint32_t)k);
	}
	explicit_bzero(buf, sizeof(buf));
	vdev_flush(v, qi);
	if (n == RUN_BUDGET)
		vdev_again(v, qi);
}

static void vrng_nothing(struct vdev *v)
{
	(void)v;
}
static void vrng_config_set(struct vdev *v, unsigned offset, const uint8_t *p, unsigned len)
{
	(void)v, (void)offset, (void)p, (void)len;
}
static void vrng_save(struct vdev *v, struct buf *out)
{
	(void)v, (void)out;
}
static int vrng_load(struct vdev *v, struct rd *in, bool commit, struct err *err)
{
	(void)v, (void)in, (void)commit, (void)err;
	return 0;
}
static void vrng_free(struct vdev *v)
{
	free(v);
}

static const struct vdev_ops vrng_ops = {
	.virtio_id = 4,
	.acked = vrng_nothing,
	.start = vrng_nothing,
	.stop = vrng_nothing,
	.run = vrng_run,
	.config_set = vrng_config_set,
	.reset = vrng_nothing,
	.save = vrng_save,
	.load = vrng_load,
	.free = vrng_free,
};

int vrng_new(struct devs *d, unsigned index, struct vdev **ret, struct err *err)
{
	struct vrng *g = calloc(1, sizeof(*g));
	char name[16];

	if (!g)
		return err_sys(err, ENOMEM, "rng%u", index);
	snprintf(name, sizeof(name), "rng%u", index);
	vdev_setup(&g->v, d, &vrng_ops, name, 1, 0);
	*ret = &g->v;
	return 0;
}
