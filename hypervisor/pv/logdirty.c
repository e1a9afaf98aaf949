/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log-dirty of pv guests: see logdirty.h. Joins what hashing (hashlog.c) and the devices' bitmap tell. What was found but
 * not yet handed out with `clean` stays in `carry`, so that neither a peek nor a failure loses a page. Main thread only.
 */
#include "config.h"
#include "hypervisor/pv/logdirty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/hypercall.h"
#include "hypervisor/pv/hashlog_int.h"

struct pv_logdirty {
	struct pv_logdirty_cfg cfg;
	uint32_t mode;          /* HV_LOGDIRTY_TRACK, _HASH or _STOPCOPY */
	struct guestmem *m;     /* borrowed */
	struct hashlog h;
	uint64_t words;         /* of each bitmap */
	uint64_t *carry;        /* found, not yet handed out */
	uint64_t *last;         /* handed out by the last clean collection */
	uint64_t *found;        /* scratch: pages of this collection */
};

static void or_bits(uint64_t *to, const uint64_t *from, uint64_t words)
{
	for (uint64_t i = 0; i < words; i++)
		to[i] |= from[i];
}

static uint64_t count_bits(const uint64_t *bits, uint64_t words)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < words; i++)
		n += (uint64_t)__builtin_popcountll(bits[i]);
	return n;
}

static void take_dev_dirty(struct guestmem *m, uint64_t *bits, uint64_t words)
{
	for (uint64_t i = 0; i < words; i++)
		if (__atomic_load_n((uint64_t *)&m->dev_dirty[i], __ATOMIC_RELAXED))
			bits[i] |= __atomic_exchange_n((uint64_t *)&m->dev_dirty[i], 0, __ATOMIC_ACQUIRE);
}

int pv_logdirty_new(const struct pv_logdirty_cfg *cfg, struct guestmem *m, struct pv_frozen *f, struct pv_logdirty **ret,
                    uint32_t *ret_mode, struct err *err)
{
	uint32_t mode = cfg->mode;

	(void)f;
	if (mode == HV_LOGDIRTY_AUTO)
		mode = HV_LOGDIRTY_HASH;
	if (mode == HV_LOGDIRTY_TRACK)
		return err_set(err, ENOTSUP, "this host cannot track a guest's writes; use hashing");
	if (mode != HV_LOGDIRTY_HASH && mode != HV_LOGDIRTY_STOPCOPY)
		return err_set(err, EINVAL, "log-dirty mode %u is not known", mode);
	struct pv_logdirty *l = calloc(1, sizeof(*l));
	if (!l)
		return err_set(err, ENOMEM, "no memory for log-dirty");
	l->cfg = *cfg;
	l->mode = mode;
	l->m = m;
	l->words = (m->size / PAGE_BYTES + 63) / 64;
	l->carry = calloc(l->words, 8);
	l->last = calloc(l->words, 8);
	l->found = calloc(l->words, 8);
	int r = l->carry && l->last && l->found ? hashlog_init(&l->h, m, err) : err_set(err, ENOMEM, "no memory for log-dirty");
	if (r) {
		pv_logdirty_free(l);
		return r;
	}
	*ret = l;
	*ret_mode = mode;
	return 0;
}

/* All that has data; once more what had data the last time. */
static int collect_stopcopy(struct pv_logdirty *l, struct err *err)
{
	int r;

	or_bits(l->carry, l->last, l->words);
	r = hashlog_data(&l->h, l->found, err);
	or_bits(l->carry, l->found, l->words);
	return r;
}

static int collect_hash(struct pv_logdirty *l, struct err *err)
{
	/* the devices' bits first: a write marked after this is seen by the hash, or by the next collection */
	take_dev_dirty(l->m, l->found, l->words);
	int r = hashlog_drop_holes(&l->h, l->found, err);

	or_bits(l->carry, l->found, l->words);
	return r ? r : hashlog_compare(&l->h, NULL, true, l->carry, err);
}

int pv_logdirty_collect(struct pv_logdirty *l, pid_t k, const struct pv_frozen *f, bool clean, uint64_t *bitmap,
                        uint64_t *ret_dirty, struct err *err)
{
	int r;

	(void)k;
	(void)f;
	memset(l->found, 0, l->words * 8);
	if (l->mode == HV_LOGDIRTY_STOPCOPY)
		r = collect_stopcopy(l, err);
	else
		r = collect_hash(l, err);
	if (r)
		return r;
	memcpy(bitmap, l->carry, l->words * 8);
	*ret_dirty = count_bits(bitmap, l->words);
	if (clean) {
		memcpy(l->last, l->mode == HV_LOGDIRTY_STOPCOPY ? l->found : l->carry, l->words * 8);
		memset(l->carry, 0, l->words * 8);
	}
	return 0;
}

int pv_logdirty_audit(struct pv_logdirty *l, uint64_t *bitmap, uint64_t *ret_missed, struct err *err)
{
	int r;

	memset(bitmap, 0, l->words * 8);
	if (l->mode == HV_LOGDIRTY_STOPCOPY) {
		r = hashlog_data(&l->h, bitmap, err);
		for (uint64_t i = 0; i < l->words; i++)
			bitmap[i] &= ~l->last[i];
	} else {
		r = hashlog_compare(&l->h, NULL, false, bitmap, err);
	}
	if (!r)
		*ret_missed = count_bits(bitmap, l->words);
	return r;
}

void pv_logdirty_free(struct pv_logdirty *l)
{
	if (!l)
		return;
	hashlog_done(&l->h);
	free(l->carry);
	free(l->last);
	free(l->found);
	free(l);
}
