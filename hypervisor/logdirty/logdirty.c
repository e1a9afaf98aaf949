/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log-dirty: see logdirty.h. Joins what tracking (the engine's) or hashing (hashlog.c) and the devices' bitmap
 * tell. What was found but not yet handed out with `clean` stays in `carry`, so that neither a peek nor a failure loses a
 * page. Main thread only.
 *
 * A stored hash is the content of a page when it was last handed out. The page was copied some time after it was hashed, and may have
 * changed there and back. When tracking, the hash decides about candidates, but not for those of the last hand-out. When hashing, nothing
 * says that a page was touched: all that was ever handed out is handed out again at a collection of a frozen guest.
 */
#include "config.h"
#include "hypervisor/logdirty/logdirty.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/api/hvmsg.h"
#include "hypervisor/logdirty/hashlog.h"

#define AUTO_TRACK_BYTES (64ull << 20) /* AUTO: smaller guests are hashed in a few ms, without arming */

struct logdirty {
	struct logdirty_cfg cfg;
	uint32_t mode;      /* HV_LOGDIRTY_RECORD (tracking), _COMPARE (hashing) or _NONE */
	struct guestmem *m; /* borrowed */
	struct hashlog h;
	uint64_t words;  /* of each bitmap */
	uint64_t *carry; /* found, not yet handed out */
	uint64_t *last;  /* handed out by the last clean collection; hashing: by any */
	uint64_t *found; /* scratch: pages of this collection */
	uint64_t *cand;  /* scratch: pages that may have been written */
	struct logdirty_stats st;
	const struct logdirty_tracker *tracker; /* borrowed; the one that began, NULL: none */
	void *t;                                /* the tracker's, owned; tracking only */
	bool lost;                              /* the last collection failed: every page is a candidate in the next */
	bool fresh;                             /* nothing was handed out yet */
	bool stored;                            /* this collection stored the hashes of all pages already */
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

/* May a test's order be kept with it? */
static bool is_allowed(uint32_t method)
{
	const char *only = getenv("HOSPES_TRACKING");

	return !only || !*only || !strcmp(only, hv_logdirty_by(method));
}

/* The first tracker that begins. -ENOTSUP: there is none. */
static int begin_first(struct logdirty *l, struct err *err)
{
	int r = err_set(err, ENOTSUP, "this host has no tracking of a guest's writes");

	for (const struct logdirty_tracker *const *tr = l->cfg.trackers; *tr; tr++) {
		if (!is_allowed((*tr)->method))
			continue;
		r = (*tr)->begin(l->cfg.arg, l->m, &l->t, err);
		if (!r)
			l->tracker = *tr;
		if (!r || r == -ESRCH)
			return r;
	}
	return r;
}

static int choose(struct logdirty *l, struct err *err)
{
	switch (l->cfg.mode) {
	case HV_LOGDIRTY_BEST:
		l->mode = HV_LOGDIRTY_COMPARE;
		if (l->cfg.trackers && l->m->size > AUTO_TRACK_BYTES && !begin_first(l, err))
			l->mode = HV_LOGDIRTY_RECORD;
		return 0;
	case HV_LOGDIRTY_RECORD:
		l->mode = HV_LOGDIRTY_RECORD;
		if (!l->cfg.trackers)
			return err_set(err, EINVAL, "tracking a guest's writes begins while it is suspended");
		return begin_first(l, err);
	case HV_LOGDIRTY_COMPARE:
	case HV_LOGDIRTY_NONE:
		l->mode = l->cfg.mode;
		return 0;
	}
	return err_set(err, EINVAL, "log-dirty mode %u is not known", l->cfg.mode);
}

uint32_t logdirty_would(const struct logdirty_cfg *cfg, const struct guestmem *m)
{
	struct err ignored;

	if (m->size > AUTO_TRACK_BYTES)
		for (const struct logdirty_tracker *const *tr = cfg->trackers; tr && *tr; tr++)
			if (is_allowed((*tr)->method) && !(*tr)->probe(cfg->arg, m, &ignored))
				return (*tr)->method;
	return HV_LOGDIRTY_BY_HASH;
}

uint32_t logdirty_method(const struct logdirty *l)
{
	return l->mode == HV_LOGDIRTY_RECORD    ? l->tracker->method
	       : l->mode == HV_LOGDIRTY_COMPARE ? HV_LOGDIRTY_BY_HASH
	                                        : HV_LOGDIRTY_BY_NOTHING;
}

int logdirty_new(const struct logdirty_cfg *cfg, struct guestmem *m, struct logdirty **ret, uint32_t *ret_mode,
                 struct err *err)
{
	struct logdirty *l = calloc(1, sizeof(*l));

	if (!l)
		return err_set(err, ENOMEM, "no memory for log-dirty");
	*l = (struct logdirty){
		.cfg = *cfg, .m = m, .words = (m->size / PAGE_BYTES + 63) / 64, .lost = true, .fresh = true
	};
	l->carry = calloc(l->words, 8);
	l->last = calloc(l->words, 8);
	l->found = calloc(l->words, 8);
	l->cand = calloc(l->words, 8);
	int r = l->carry && l->last && l->found && l->cand ? hashlog_init(&l->h, m, err)
	                                                   : err_set(err, ENOMEM, "no memory for log-dirty");
	if (!r)
		r = choose(l, err);
	if (r < 0) {
		logdirty_free(l);
		return r;
	}
	*ret = l;
	*ret_mode = l->mode;
	return 0;
}

/* All that has data; once more what had data the last time. */
static int collect_stopcopy(struct logdirty *l, struct err *err)
{
	int r;

	or_bits(l->carry, l->last, l->words);
	r = hashlog_data(&l->h, l->found, err);
	or_bits(l->carry, l->found, l->words);
	return r;
}

static int collect_hash(struct logdirty *l, bool suspended, struct err *err)
{
	/* the devices' bits first: a write marked after this is seen by the hash, or by the next collection */
	take_dev_dirty(l->m, l->found, l->words);
	int r = hashlog_drop_holes(&l->h, l->found, err);

	or_bits(l->carry, l->found, l->words);
	if (!r)
		r = hashlog_compare(&l->h, NULL, true, l->carry, err);
	if (suspended)
		or_bits(l->carry, l->last, l->words);
	return r;
}

/* All there is goes out first: nobody waits until it is hashed. The next candidates among it go out again, hashed then. */
static bool unhashed(const struct logdirty *l)
{
	return l->fresh && !l->cfg.audit;
}

static int collect_track(struct logdirty *l, bool suspended, bool clean, struct err *err)
{
	const char *why = NULL;
	bool all = false;

	memset(l->cand, 0, l->words * 8);
	take_dev_dirty(l->m, l->found, l->words);
	int r = l->tracker->collect(l->t, suspended, l->found, l->cand, &all, &why, err);
	/* one that was handed out as a hole may have had content meanwhile */
	for (uint64_t i = 0; i < l->words; i++)
		l->carry[i] |= l->found[i] & l->last[i];
	/* the first time all that has data is found anew below, and nobody was told of a page that is a hole now: no need to look at each */
	if (!r && l->lost && unhashed(l))
		memset(l->found, 0, l->words * 8);
	else if (!r)
		r = hashlog_drop_holes(&l->h, l->found, err);
	or_bits(l->carry, l->found, l->words);
	l->lost |= r || all;
	if (r < 0)
		return r;
	if (l->lost) {
		l->st.whole++;
		if (why)
			l->st.why = why;
		or_bits(l->carry, l->last, l->words);
		if (unhashed(l)) {
			r = hashlog_data(&l->h, l->carry, err);
		} else {
			l->stored = clean && (!suspended || l->cfg.audit);
			r = hashlog_compare(&l->h, NULL, l->stored, l->carry, err);
		}
		l->lost = r != 0;
		return r;
	}
	for (uint64_t i = 0; i < l->words; i++) {
		l->carry[i] |= l->cand[i] & l->last[i];
		l->cand[i] &= ~l->carry[i];
	}
	l->st.candidates = count_bits(l->cand, l->words);
	r = hashlog_compare(&l->h, l->cand, false, l->carry, err);
	l->lost = r != 0;
	return r;
}

/* The pages in carry are handed out: note what they hold, or, where time is short, that it is not known. */
static int hand_out(struct logdirty *l, bool suspended, struct err *err)
{
	int r = 0;

	if (l->mode == HV_LOGDIRTY_RECORD && !l->stored)
		r = unhashed(l) || (suspended && !l->cfg.audit) ? hashlog_forget(&l->h, l->carry, err)
		                                                : hashlog_store(&l->h, l->carry, err);
	if (r < 0)
		return r;
	l->fresh = false;
	if (l->mode != HV_LOGDIRTY_COMPARE)
		memset(l->last, 0, l->words * 8);
	or_bits(l->last, l->mode == HV_LOGDIRTY_NONE ? l->found : l->carry, l->words);
	memset(l->carry, 0, l->words * 8);
	return 0;
}

int logdirty_collect(struct logdirty *l, bool suspended, bool clean, uint64_t *bitmap, uint64_t *ret_dirty,
                     struct err *err)
{
	int r;

	memset(l->found, 0, l->words * 8);
	l->stored = false;
	l->st.collections++;
	l->st.candidates = 0;
	if (l->mode == HV_LOGDIRTY_NONE)
		r = collect_stopcopy(l, err);
	else if (l->mode == HV_LOGDIRTY_COMPARE)
		r = collect_hash(l, suspended, err);
	else
		r = collect_track(l, suspended, clean, err);
	if (r < 0)
		return r;
	memcpy(bitmap, l->carry, l->words * 8);
	*ret_dirty = count_bits(bitmap, l->words);
	return clean ? hand_out(l, suspended, err) : 0;
}

int logdirty_audit(struct logdirty *l, uint64_t *bitmap, uint64_t *ret_missed, struct err *err)
{
	int r;

	if (l->mode == HV_LOGDIRTY_RECORD && !l->cfg.audit)
		return err_set(err, EINVAL, "log-dirty was begun without its audit");
	memset(bitmap, 0, l->words * 8);
	if (l->mode == HV_LOGDIRTY_NONE) {
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

void logdirty_stats(const struct logdirty *l, struct logdirty_stats *ret)
{
	*ret = l->st;
}

void logdirty_free(struct logdirty *l)
{
	if (!l)
		return;
	if (l->tracker)
		l->tracker->free(l->t);
	hashlog_done(&l->h);
	free(l->carry);
	free(l->last);
	free(l->found);
	free(l->cand);
	free(l);
}
