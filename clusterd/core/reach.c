/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The reach matrix and who yields: see reach.h. */
#include "config.h"
#include "clusterd/core/reach.h"

#include <string.h>

#define FORGET_NS 10000000000ull /* silent for so long: a host whose clock was set back may begin again */
#define STEPS_MAX 20000u         /* of the search; then the best so far counts, the same on all hosts */

static bool talk(const struct reach_view *v, uint32_t a, uint32_t b)
{
	return a == b || (clu_bit(v->row[a].hears, b) && clu_bit(v->row[b].hears, a));
}

/* The search: of a pair that cannot talk one must go. ------------------------------------------------------------------- */

struct search {
	const struct reach_view *v;
	uint32_t least, steps; /* a majority */
	uint64_t best[REACH_WORDS];
	uint32_t best_n;
	uint64_t best_weight;
};

static uint64_t weigh(const struct reach_view *v, const uint64_t *bits)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < v->n; i++)
		sum += clu_bit(bits, i) ? v->row[i].weight : 0;
	return sum;
}

/* Of two sets that are worth the same: the one with the lowest place that the other lacks. */
static bool lower(const uint64_t *a, const uint64_t *b)
{
	for (uint32_t i = 0; i < REACH_WORDS; i++)
		if (a[i] != b[i])
			return a[i] >> __builtin_ctzll(a[i] ^ b[i]) & 1;
	return false;
}

static void consider(struct search *s, const uint64_t *left)
{
	uint32_t k = clu_bits_count(left);
	uint64_t weight = weigh(s->v, left);

	if (k < s->least || k < s->best_n || (k == s->best_n && weight < s->best_weight) ||
	    (k == s->best_n && weight == s->best_weight && !lower(left, s->best)))
		return;
	memcpy(s->best, left, sizeof(s->best));
	s->best_n = k;
	s->best_weight = weight;
}

static uint32_t broken_of(const struct reach_view *v, const uint64_t *left, uint32_t i)
{
	uint32_t k = 0;

	for (uint32_t j = 0; j < v->n; j++)
		k += clu_bit(left, j) && !talk(v, i, j);
	return k;
}

/* The host of @left with most pairs broken; of several the lightest, then the highest. n: all is whole. */
static uint32_t worst(const struct reach_view *v, const uint64_t *left)
{
	uint32_t at = v->n, most = 0;

	for (uint32_t i = 0; i < v->n; i++) {
		uint32_t k = clu_bit(left, i) ? broken_of(v, left, i) : 0;

		if (k && (k > most || (k == most && v->row[i].weight <= v->row[at].weight))) {
			at = i;
			most = k;
		}
	}
	return at;
}

/* Either the worst goes, or all that it cannot talk to. Depth: at most the hosts that a majority can spare. */
static void branch(struct search *s, const uint64_t *left)
{
	uint64_t next[REACH_WORDS];
	uint32_t i = worst(s->v, left), k = clu_bits_count(left);

	if (i == s->v->n) {
		consider(s, left);
		return;
	}
	if (k <= s->least || k - 1 < s->best_n || ++s->steps > STEPS_MAX)
		return;
	memcpy(next, left, sizeof(next));
	clu_bit_clear(next, i);
	branch(s, next);
	memcpy(next, left, sizeof(next));
	for (uint32_t j = 0; j < s->v->n; j++)
		if (clu_bit(left, j) && !talk(s->v, i, j))
			clu_bit_clear(next, j);
	if (clu_bits_count(next) >= s->least)
		branch(s, next);
}

void reach_decide(const struct reach_view *v, uint64_t *keep)
{
	struct search s = { .v = v, .least = v->n / 2 + 1 };
	uint64_t from[REACH_WORDS];

	for (uint32_t i = 0; i < REACH_WORDS; i++)
		from[i] = v->alive[i] & ~v->out[i];
	if (clu_bits_count(from) >= s.least)
		branch(&s, from);
	if (!s.best_n) { /* not without some of those that are out */
		s.steps = 0;
		if (clu_bits_count(v->alive) >= s.least)
			branch(&s, v->alive);
	}
	for (uint32_t i = 0; s.best_n && i < v->n; i++) {
		bool all = clu_bit(v->alive, i) && clu_bit(v->out, i) && !clu_bit(s.best, i);

		for (uint32_t j = 0; all && j < v->n; j++)
			all = !clu_bit(s.best, j) || talk(v, i, j);
		if (all)
			clu_bit_set(s.best, i);
	}
	memcpy(keep, s.best, sizeof(s.best));
}

/* What one host knows ---------------------------------------------------------------------------------------------------- */

void reach_init(struct reach *r, uint32_t n, uint32_t me)
{
	memset(r, 0, sizeof(*r));
	r->n = n;
	r->me = me;
	r->back_ns = REACH_BACK_NS;
}

static bool silent(const struct reach *r, uint32_t i, uint64_t now, uint64_t limit)
{
	return !r->row[i].stamp || now > r->grown_ns[i] + limit;
}

bool reach_fresh(const struct reach *r, uint32_t i, uint64_t now)
{
	return !silent(r, i, now, REACH_ALIVE_NS);
}

bool reach_coming(const struct reach *r, uint32_t i, uint64_t since, uint64_t now)
{
	return i < r->n && now < since + REACH_COME_NS && reach_fresh(r, i, now) && !r->row[i].out;
}

bool reach_heard(struct reach *r, uint32_t from, uint64_t stamp, uint64_t now)
{
	if (from >= r->n || from == r->me || !stamp)
		return false;
	if (stamp <= r->direct[from] && !silent(r, from, now, FORGET_NS))
		return false;
	r->direct[from] = stamp;
	return true;
}

void reach_learn(struct reach *r, uint32_t of, const struct reach_row *row, uint64_t now)
{
	/* of a host that was silent for long any stamp will do: an old row may have come late, and its clock may have been set back */
	if (of >= r->n || of == r->me || !row->stamp ||
	    (row->stamp <= r->row[of].stamp && !silent(r, of, now, FORGET_NS)))
		return;
	if (silent(r, of, now, REACH_ALIVE_NS)) {
		r->met_ns = now;
		if (r->direct[of] < row->stamp || silent(r, of, now, FORGET_NS))
			r->direct[of] = row->stamp; /* others may hear it a moment sooner: counted from here */
	}
	r->row[of] = *row;
	r->grown_ns[of] = now;
}

void reach_mine(struct reach *r, uint64_t stamp, uint32_t weight, uint64_t now)
{
	struct reach_row *m = &r->row[r->me];

	*m = (struct reach_row){ .stamp = stamp, .weight = weight, .out = r->out };
	r->grown_ns[r->me] = now;
	clu_bit_set(m->hears, r->me);
	for (uint32_t i = 0; i < r->n; i++)
		if (!silent(r, i, now, REACH_ALIVE_NS) && r->row[i].stamp <= r->direct[i] + REACH_LAG_NS)
			clu_bit_set(m->hears, i);
}

static struct reach_view look(const struct reach *r, uint64_t now)
{
	struct reach_view v = { .n = r->n, .row = r->row };

	for (uint32_t i = 0; i < r->n; i++) {
		if (silent(r, i, now, REACH_ALIVE_NS))
			continue;
		clu_bit_set(v.alive, i);
		if (i == r->me ? r->out : r->row[i].out)
			clu_bit_set(v.out, i);
	}
	return v;
}

bool reach_sure(struct reach *r, const uint64_t *members, uint64_t now)
{
	struct reach_view v = look(r, now);
	bool whole = clu_bits_count(members) > r->n / 2;

	for (uint32_t i = 0; i < r->n && whole; i++)
		whole = !clu_bit(members, i) || i == r->me || (clu_bit(v.alive, i) && talk(&v, r->me, i));
	if (whole)
		r->whole_ns = now;
	if (!whole || !r->broken_ns)
		r->broken_ns = now;
	if (now > r->broken_ns + REACH_SURE_NS)
		r->sure = true;
	else if (now > r->whole_ns + REACH_UNSURE_NS)
		r->sure = false;
	return r->sure;
}

uint32_t reach_broken(const struct reach *r, uint64_t now, uint32_t *a, uint32_t *b)
{
	struct reach_view v = look(r, now);
	uint32_t k = 0;

	for (uint32_t i = 0; i < r->n; i++)
		for (uint32_t j = 0; j < i; j++)
			if (clu_bit(v.alive, i) && clu_bit(v.alive, j) && !talk(&v, i, j)) {
				*a = j;
				*b = i;
				k++;
			}
	return k;
}

/* Out: back when those that stay hear me, and I them, for long enough. In: out when those that stay are others. */
bool reach_judge(struct reach *r, bool trouble, uint64_t now)
{
	struct reach_view v = look(r, now);
	uint64_t keep[REACH_WORDS], hold = r->out ? r->back_ns : REACH_HOLD_NS;
	bool other;

	reach_decide(&v, keep);
	if (r->out)
		other = clu_bit(keep, r->me);
	else
		other = trouble && now > r->met_ns + REACH_MET_NS && clu_bits_count(keep) && !clu_bit(keep, r->me);
	if (!other) {
		r->since_ns = 0;
		return r->out;
	}
	if (!r->since_ns)
		r->since_ns = now;
	if (now < r->since_ns + hold)
		return r->out;
	r->since_ns = 0;
	r->out = !r->out;
	if (r->out) {
		bool soon = r->out_ns && now < r->out_ns + 4 * r->back_ns + 30000000000ull;

		r->back_ns = !soon ? REACH_BACK_NS : r->back_ns * 2 > REACH_BACK_MAX ? REACH_BACK_MAX : r->back_ns * 2;
	}
	r->out_ns = now;
	return r->out;
}
