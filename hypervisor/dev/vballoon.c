/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio balloon (virtio 1.2, 5.5): inflated and reported free pages become holes in the memory file, so they cost the host
 * nothing and a migration sends nothing for them. They are marked as written: their content changed to zeros.
 * Threading: the io thread.
 */
#include "config.h"
#include "hypervisor/dev/vdev_int.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

#define F_DEFLATE_ON_OOM (1ull << 2)
#define F_REPORTING      (1ull << 5)
#define INFLATE          0u
#define DEFLATE          1u
#define REPORT           2u /* compact numbering: neither statistics nor hint queues are offered */
#define RUN_BUDGET       16 /* chains per turn */
#define PFNS_PER_CHAIN   1024u
#define CONFIG_RETRIES   8
#define RETRY_NS         (50 * NS_PER_MS)

struct config_space {
	uint32_t num_pages, actual;
}; /* virtio 1.2, 5.5.4 */

struct vballoon {
	struct vdev v;
	struct loop_timer *retry; /* tell the driver of a new target again */
	unsigned tries;
	struct vq_elem e;
};

static struct config_space config_get(const struct vdev *v)
{
	struct config_space c;

	memcpy(&c, v->config, sizeof(c));
	return c;
}

static void punch(struct vballoon *b, const uint8_t *at, uint64_t bytes)
{
	struct guestmem *m = b->v.devs->mem;

	/* memory that cannot have holes keeps its pages: the balloon saves nothing then, and harms nothing */
	if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)guestmem_offset(m, at), (off_t)bytes) <
	    0)
		b->v.st.errors++;
	else
		guestmem_mark(m, at, bytes);
}

static const uint8_t *pfn_at(const struct guestmem *m, uint32_t pfn)
{
	return guestmem_at(m, (struct gpa){ (uint64_t)le32toh(pfn) * PAGE_BYTES }, PAGE_BYTES);
}

static const char *inflate(struct vballoon *b)
{
	struct guestmem *m = b->v.devs->mem;
	uint32_t pfn[PFNS_PER_CHAIN];
	size_t n = vq_copy_from(b->e.iov, b->e.n_out, 0, pfn, sizeof(pfn)) / 4;
	const uint8_t *at = NULL, *p;
	uint64_t len = 0;

	if (b->e.out_bytes > sizeof(pfn) || b->e.out_bytes % 4)
		return "a balloon request is too long or not whole";
	for (size_t i = 0; i < n; i++)
		if (!pfn_at(m, pfn[i]))
			return "a balloon page is outside guest memory";
	/* neighbours in one go: the driver gives pages in any order, mostly falling */
	for (size_t i = 0; i < n; i++) {
		p = pfn_at(m, pfn[i]);
		if (len && p == at + len) {
			len += PAGE_BYTES;
		} else if (len && p + PAGE_BYTES == at) {
			at = p;
			len += PAGE_BYTES;
		} else {
			if (len)
				punch(b, at, len);
			at = p;
			len = PAGE_BYTES;
		}
	}
	if (len)
		punch(b, at, len);
	b->v.st.wr_ops += n;
	b->v.st.wr_bytes += n * PAGE_BYTES;
	return NULL;
}

static const char *report(struct vballoon *b)
{
	const struct guestmem *m = b->v.devs->mem;

	for (unsigned i = 0; i < b->e.n_in; i++) {
		const struct iovec *iov = &b->e.iov[b->e.n_out + i];
		uint64_t at = guestmem_offset(m, iov->iov_base), end = at + iov->iov_len;
		at = (at + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
		end &= ~(uint64_t)(PAGE_BYTES - 1);
		if (at >= end)
			continue;
		punch(b, m->base + at, end - at);
		b->v.st.rd_ops++;
		b->v.st.rd_bytes += end - at;
	}
	return NULL;
}

static void vballoon_run(struct vdev *v, unsigned qi)
{
	struct vballoon *b = (struct vballoon *)v;
	struct vq *q = &v->vq[qi];
	int n;

	for (n = 0; n < RUN_BUDGET && vq_pop(q, &b->e) > 0; n++) {
		/* deflate: the pages are the guest's again at the first touch */
		const char *why = qi == INFLATE ? inflate(b) : qi == REPORT ? report(b) : NULL;
		if (why) {
			q->broken = why;
			return;
		}
		vq_push(q, b->e.head, 0);
	}
	vdev_flush(v, qi);
	if (n == RUN_BUDGET)
		vdev_again(v, qi);
}

/*
 * virtio_uml (6.1) forgets a config change that arrives together with a queue's call until its next interrupt, so it is told
 * again until it has read the config.
 */
static void on_retry(void *arg)
{
	struct vballoon *b = arg;

	if (!b->v.config_news || !b->v.running || b->tries >= CONFIG_RETRIES)
		return;
	b->tries++;
	vdev_config_changed(&b->v);
	loop_timer_in(b->retry, RETRY_NS << b->tries);
}

static void config_set_pages(struct vballoon *b, uint32_t pages)
{
	struct config_space c = config_get(&b->v);

	c.num_pages = htole32(pages);
	memcpy(b->v.config, &c, sizeof(c));
}

static void vballoon_target(struct vdev *v, uint64_t target_bytes)
{
	struct vballoon *b = (struct vballoon *)v;
	uint64_t all = v->devs->cfg->memory_bytes;
	uint64_t take = target_bytes < all ? all - target_bytes : 0;

	config_set_pages(b, (uint32_t)(take / PAGE_BYTES));
	b->tries = 0;
	vdev_config_changed(v);
	loop_timer_in(b->retry, RETRY_NS);
}

static uint64_t vballoon_bytes(const struct vdev *v)
{
	uint64_t bytes = (uint64_t)le32toh(config_get(v).actual) * PAGE_BYTES;

	/* the driver says so: no more than there is */
	return bytes < v->devs->cfg->memory_bytes ? bytes : v->devs->cfg->memory_bytes;
}

static void vballoon_start(struct vdev *v)
{
	struct vballoon *b = (struct vballoon *)v;

	if (v->config_news) {
		b->tries = 0;
		loop_timer_in(b->retry, RETRY_NS);
	}
}

static void vballoon_stop(struct vdev *v)
{
	loop_timer_at(((struct vballoon *)v)->retry, UINT64_MAX);
}
static void vballoon_acked(struct vdev *v)
{
	(void)v;
}

static void vballoon_reset(struct vdev *v)
{
	struct config_space c = config_get(v);

	c.actual = 0;
	memcpy(v->config, &c, sizeof(c));
}

static void vballoon_config_set(struct vdev *v, unsigned offset, const uint8_t *p, unsigned len)
{
	/* only `actual` is the driver's */
	if (offset == 4 && len == 4)
		memcpy(v->config + 4, p, 4);
}

static void vballoon_save(struct vdev *v, struct buf *out)
{
	struct config_space c = config_get(v);

	buf_put_u32(out, le32toh(c.num_pages));
	buf_put_u32(out, le32toh(c.actual));
}

static int vballoon_load(struct vdev *v, struct rd *in, bool commit, struct err *err)
{
	struct config_space c;

	c.num_pages = htole32(rd_u32(in));
	c.actual = htole32(rd_u32(in));
	if (in->bad)
		return err_set(err, EINVAL, "saved state of device %s: it ends early", v->name);
	if (commit)
		memcpy(v->config, &c, sizeof(c));
	return 0;
}

static void vballoon_free(struct vdev *v)
{
	loop_del_timer(((struct vballoon *)v)->retry);
	free(v);
}

static const struct vdev_balloon_ops vballoon_balloon = { .target = vballoon_target, .bytes = vballoon_bytes };

static const struct vdev_ops vballoon_ops = {
	.virtio_id = 5,
	.acked = vballoon_acked,
	.start = vballoon_start,
	.stop = vballoon_stop,
	.run = vballoon_run,
	.config_set = vballoon_config_set,
	.reset = vballoon_reset,
	.save = vballoon_save,
	.load = vballoon_load,
	.free = vballoon_free,
	.balloon = &vballoon_balloon,
};

int vballoon_new(struct devs *d, struct vdev **ret, struct err *err)
{
	struct vballoon *b = calloc(1, sizeof(*b));
	const struct dom_config *cfg = d->cfg;

	if (!b)
		return err_sys(err, ENOMEM, "balloon0");
	vdev_setup(&b->v, d, &vballoon_ops, "balloon0", 3, F_DEFLATE_ON_OOM | F_REPORTING);
	b->v.config_len = sizeof(struct config_space);
	b->retry = loop_add_timer(d->loop, on_retry, b);
	if (!b->retry) {
		vballoon_free(&b->v);
		return err_sys(err, ENOMEM, "balloon0");
	}
	if (cfg->current_memory_bytes && cfg->current_memory_bytes < cfg->memory_bytes)
		config_set_pages(b, (uint32_t)((cfg->memory_bytes - cfg->current_memory_bytes) / PAGE_BYTES));
	*ret = &b->v;
	return 0;
}
