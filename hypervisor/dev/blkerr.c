/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See blkerr.h. */
#include "config.h"
#include "hypervisor/dev/blkerr.h"

#include <errno.h>
#include <string.h>

enum blkerr_verdict blkerr_judge(const struct dom_disk *cfg, enum blkio_op op, int res)
{
	enum dom_error_policy p = op == BLKIO_READ ? cfg->rerror_policy : cfg->error_policy;

	if (op == BLKIO_FLUSH)
		return BLKERR_REPORT;
	if (p == DOM_ERROR_DEFAULT) /* as QEMU: werror=enospc, rerror=report; and error_policy alone counts for both */
		p = op == BLKIO_READ && cfg->error_policy != DOM_ERROR_DEFAULT &&
		                    cfg->error_policy != DOM_ERROR_ENOSPACE
		            ? cfg->error_policy
		    : op == BLKIO_READ ? DOM_ERROR_REPORT
		                       : DOM_ERROR_ENOSPACE;
	switch (p) {
	case DOM_ERROR_STOP:
		return BLKERR_HOLD;
	case DOM_ERROR_IGNORE:
		return BLKERR_IGNORE;
	case DOM_ERROR_ENOSPACE:
		return res == -ENOSPC || res == -EDQUOT ? BLKERR_HOLD : BLKERR_REPORT;
	default:
		return BLKERR_REPORT;
	}
}

void blkerr_hold(struct blkerr_held *h, uint16_t head, int res)
{
	if (h->n < BLKERR_HELD_MAX)
		h->head[h->n++] = head;
	atomic_store(&h->err, -res);
}

void blkerr_probe_done(struct blkerr_held *h, int res)
{
	h->probing = false;
	if (res < 0) {
		atomic_store(&h->err, -res);
		return;
	}
	if (h->n)
		memmove(h->head, h->head + 1, --h->n * sizeof(h->head[0]));
	if (!h->n)
		atomic_store(&h->err, 0);
}

void blkerr_clear(struct blkerr_held *h)
{
	h->n = 0;
	h->probing = false;
	atomic_store(&h->err, 0);
}

void blkerr_save(const struct blkerr_held *h, struct buf *out)
{
	if (!h->n)
		return;
	buf_put_u16(out, (uint16_t)h->n);
	for (unsigned i = 0; i < h->n; i++)
		buf_put_u16(out, h->head[i]);
}

int blkerr_load(struct blkerr_held *h, struct rd *in, bool commit)
{
	uint16_t head[BLKERR_HELD_MAX], n = in->left ? rd_u16(in) : 0;
	bool seen[BLKERR_HELD_MAX] = { false };

	if (n > BLKERR_HELD_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		head[i] = rd_u16(in);
		/* one that is answered twice would upset the guest's driver */
		if (head[i] >= BLKERR_HELD_MAX || seen[head[i]])
			return -EINVAL;
		seen[head[i]] = true;
	}
	if (in->bad)
		return -EINVAL;
	if (!commit)
		return 0;
	blkerr_clear(h);
	memcpy(h->head, head, n * sizeof(head[0]));
	h->n = n;
	if (n)
		atomic_store(&h->err, ENOSPC); /* tried again as soon as the device runs */
	return 0;
}
