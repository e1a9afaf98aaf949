/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Failures: of a domain (its guest crashed), and of one host to take one domain (its start or a move there). The latter never give a
 * domain up: they say who is asked next (place.h).
 */
#include "config.h"
#include "clusterd/core/apply_int.h"
#include "clusterd/core/settings.h"

#include <string.h>

/* Backoff: @ns doubled @times times, at most @max_ns. */
static uint64_t backoff(uint64_t ns, uint32_t times, uint64_t max_ns)
{
	while (times-- && ns < max_ns)
		ns *= 2;
	return ns < max_ns ? ns : max_ns;
}

void apply_crash(struct apply *a, struct clu_dom *d)
{
	const struct clu_policy *p = &a->s->policy;
	uint64_t window_ns;
	uint32_t max = clu_crashes_max(a->s, d, &window_ns);

	if (!d->failures || a->s->time_ns - d->window_ns > window_ns) {
		d->window_ns = a->s->time_ns;
		d->failures = 0;
	}
	d->retry_ns = a->s->time_ns + backoff(p->backoff_ns, d->failures++, p->backoff_max_ns);
	if (d->failures >= max)
		d->phase = CLU_PHASE_FAILED;
}

static void drop(struct clu_dom *d, uint32_t i)
{
	memmove(&d->fail[i], &d->fail[i + 1], (CLU_FAILS_MAX - 1 - i) * sizeof(d->fail[0]));
	memset(&d->fail[CLU_FAILS_MAX - 1], 0, sizeof(d->fail[0]));
}

/* The entry of @node, the last one, its count as known; a full table loses the one whose time is over first. */
static struct clu_fail *entry(struct clu_dom *d, uint32_t node, bool before)
{
	struct clu_fail f = { .node = node, .count = before };
	uint32_t n = 0, first = 0;

	for (uint32_t i = 0; i < CLU_FAILS_MAX; i++) {
		if (d->fail[i].node != node)
			continue;
		f = d->fail[i];
		drop(d, i);
		break;
	}
	while (n < CLU_FAILS_MAX && d->fail[n].node) {
		if (d->fail[n].until_ns < d->fail[first].until_ns)
			first = n;
		n++;
	}
	if (n == CLU_FAILS_MAX) {
		drop(d, first);
		n--;
	}
	d->fail[n] = f;
	return &d->fail[n];
}

bool apply_host_failed(struct apply *a, struct clu_dom *d, uint32_t node, const char *text)
{
	const struct clu_host *h = clu_host_of(a->s, node);

	if (!h)
		return false;
	uint32_t slot = clu_slot(a->s, h);
	bool before = clu_bit(d->failed, slot);
	struct clu_fail *f = entry(d, node, before);
	f->until_ns = a->s->time_ns + backoff(CLU_FAIL_NS, f->count++, CLU_FAIL_MAX_NS);
	memset(f->text, 0, sizeof(f->text));
	memcpy(f->text, text, strnlen(text, sizeof(f->text) - 1));
	clu_bit_set(d->failed, slot);
	return !before;
}

void apply_start_failed(struct apply *a, struct clu_dom *d, uint32_t node, const char *text)
{
	const struct clu_policy *p = &a->s->policy;
	struct clu_host *h = clu_host_of(a->s, node);
	bool first = apply_host_failed(a, d, node, text);
	uint32_t n = 0;

	for (uint32_t i = 0; i < CLU_FAILS_MAX; i++)
		n += d->fail[i].count;
	d->avoid = node;
	d->retry_ns = a->s->time_ns + backoff(p->backoff_ns, n ? n - 1 : 0, p->backoff_max_ns);
	if (!first || !h)
		return;
	apply_open(a, CLU_OBJ_HOST, clu_slot(a->s, h));
	n = ++h->start_fails;
	h->suspect_ns = a->s->time_ns + backoff(CLU_FAIL_NS, n > CLU_SUSPECT ? n - CLU_SUSPECT : 0, CLU_FAIL_MAX_NS);
	apply_close(a, CLU_OBJ_HOST, clu_slot(a->s, h));
}

void apply_host_worked(struct apply *a, struct clu_dom *d, uint32_t node)
{
	const struct clu_host *h = clu_host_of(a->s, node);
	uint32_t slot = h ? clu_slot(a->s, h) : 0;

	if (!h || !clu_bit(d->failed, slot))
		return;
	clu_bit_clear(d->failed, slot);
	for (uint32_t i = CLU_FAILS_MAX; i-- > 0;)
		if (d->fail[i].node == node)
			drop(d, i);
}

void apply_host_trusted(struct apply *a, struct clu_host *h)
{
	if (!h->start_fails && !h->suspect_ns)
		return;
	apply_open(a, CLU_OBJ_HOST, clu_slot(a->s, h));
	h->start_fails = 0;
	h->suspect_ns = 0;
	apply_close(a, CLU_OBJ_HOST, clu_slot(a->s, h));
}

void apply_fails_forget(struct clu_dom *d)
{
	d->avoid = 0;
	memset(d->failed, 0, sizeof(d->failed));
	memset(d->fail, 0, sizeof(d->fail));
}
