/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See place.h. The hard rules in the order of enum clu_why, then the score: how much of the scarcer of memory and CPU would be left
 * (least loaded first, so that both stay even), less what soft rules weigh; hosts that failed to take the domain go behind the others.
 */
#include "config.h"
#include "clusterd/core/place_int.h"
#include "clusterd/core/say_int.h"
#include "common/builds.h"

#include <assert.h>
#include <string.h>

#define SCORE_FULL    1000000 /* all free */
#define SCORE_SOFT    200000  /* each soft rule broken */
/* Whatever else speaks for it, a host that failed goes behind those that failed less often, one that fails with all behind all of them. */
#define SCORE_FAILED  100000000
#define SCORE_SUSPECT (INT64_C(1) << 50)
#define FAILS_MOST    1000u
#define SCORE_GROUP   300000 /* no room for those it has to be together with */

const char *clu_why_name(enum clu_why w)
{
	static const char *const t[] = { "ok",         "offline",  "maintenance", "engine",     "cpu-features",
		                         "memory",     "bridge",   "files",       "rule-hosts", "rule-together",
		                         "rule-apart", "conflict", "failed-here", "witness",    "spare" };
	_Static_assert(sizeof(t) / sizeof(t[0]) == CLU_WHY_MAX, "one for each");

	return (size_t)w < CLU_WHY_MAX ? t[(size_t)w] : "?";
}

static bool has_bridges(const struct clu_dom *d, const struct clu_host *h, const char **missing)
{
	for (uint32_t i = 0; i < CLU_BRIDGES_MAX; i++) {
		bool found = !d->spec.bridge[i][0];
		for (uint32_t k = 0; !found && k < CLU_BRIDGES_MAX; k++)
			found = !strcmp(d->spec.bridge[i], h->cap.bridge[k]);
		if (!found) {
			*missing = d->spec.bridge[i];
			return false;
		}
	}
	return true;
}

/* How many words of CPU features a running domain may use of its host: none if its processor is not the host's. */
static uint32_t words_seen(const struct clu_spec *d)
{
	if (d->engine == CLU_ENGINE_PV)
		return CLU_CPU_USER_WORDS; /* its programs see the processor, its kernel does not */
	return d->engine != CLU_ENGINE_KVM || d->cpu_named ? 0 : CLU_CPU_WORDS;
}

/* A running domain may go only where all CPU features of its present host are that it may use. */
static bool has_features(const struct place_world *w, uint32_t dom, const struct clu_host *h)
{
	if (w->at[dom] == PLACE_NOWHERE)
		return true;
	const struct clu_host *now = &w->s->host[w->at[dom]];
	for (uint32_t i = 0; now != h && i < words_seen(&w->s->dom[dom].spec); i++)
		if (now->cap.cpu_bits[i] & ~h->cap.cpu_bits[i])
			return false;
	return true;
}

/* What @h has of the engine of that name, as it says; NULL: nothing that a state depends on, or it does not say. */
static const char *build_of(const struct clu_host *h, const char *engine)
{
	size_t len = strlen(engine);

	for (uint32_t i = 0; i < CLU_BUILDS_MAX; i++)
		if (!strncmp(h->cap.build[i], engine, len) && h->cap.build[i][len] == ' ')
			return h->cap.build[i];
	return NULL;
}

/* Of what build is @dom, which runs: by its hvdom, or else as its host has it now. */
static const char *build_now(const struct place_world *w, uint32_t dom, const char *engine)
{
	const struct clu_dom_load *l = w->load && w->load->dom ? &w->load->dom[dom] : NULL;

	return l && l->build[0] ? l->build : build_of(&w->s->host[w->at[dom]], engine);
}

/* The state of a running domain may be of one build of its engine. */
static bool has_build(const struct place_world *w, uint32_t dom, uint32_t slot, struct say *y)
{
	char engine[CLU_TEXT_MAX];

	if (w->at[dom] == PLACE_NOWHERE || w->at[dom] == slot)
		return true;
	clu_engine_names(w->s->dom[dom].spec.engine, engine);
	const char *there = build_of(&w->s->host[slot], engine), *now = there ? build_now(w, dom, engine) : NULL;
	bool newer = w->load && w->load->dom && w->load->dom[dom].newer;
	if (!now || build_takes(now, there, newer, true))
		return true;
	say(y, "it has ");
	say(y, there);
	say(y, ", the running domain is of ");
	say(y, now);
	if (newer)
		say(y, ", and could go on with a later one");
	return false;
}

/* Is it one of those whose features count: does it have KVM, if any host has? One that never came up has none to tell. */
static bool counts(const struct clu_host *h, bool kvm)
{
	uint64_t any = 0;

	for (uint32_t i = 0; i < CLU_CPU_WORDS; i++)
		any |= h->cap.cpu_bits[i];
	return h->node && any && (!kvm || h->cap.engines & CLU_ENGINE_KVM);
}

void clu_cpu_baseline(const struct clu_state *s, uint64_t ret[CLU_CPU_WORDS], uint64_t slots[CLU_HOSTS_MAX / 64])
{
	bool kvm = false, any = false;

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		kvm |= counts(&s->host[i], true);
	memset(slots, 0, CLU_HOSTS_MAX / 8);
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		if (!counts(&s->host[i], kvm))
			continue;
		slots[i / 64] |= UINT64_C(1) << i % 64;
		for (uint32_t k = 0; k < CLU_CPU_WORDS; k++)
			ret[k] = any ? ret[k] & s->host[i].cap.cpu_bits[k] : s->host[i].cap.cpu_bits[k];
		any = true;
	}
	if (!any)
		memset(ret, 0, CLU_CPU_WORDS * sizeof(ret[0]));
}

/* What it would have besides @dom. */
static uint64_t mem_without(const struct place_world *w, uint32_t dom, uint32_t slot)
{
	bool here = w->at[dom] == slot || w->also[dom] == slot;

	return w->mem[slot] - (here ? w->s->dom[dom].spec.mem_bytes : 0);
}

static uint64_t cpu_without(const struct place_world *w, uint32_t dom, uint32_t slot)
{
	uint64_t own = w->at[dom] == slot || w->also[dom] == slot ? place_dom_cpu(w->s, w->load, dom) : 0;

	return w->cpu[slot] > own ? w->cpu[slot] - own : 0;
}

enum clu_why place_fixed(const struct place_world *w, uint32_t dom, uint32_t slot, bool live, struct say *y)
{
	const struct clu_dom *d = &w->s->dom[dom];
	const struct clu_host *h = &w->s->host[slot];
	const char *missing = "";
	char names[CLU_TEXT_MAX];

	if (h->state != CLU_HOST_ONLINE || clu_bit(w->lost, slot)) {
		say(y, "the host is ");
		say(y, clu_host_state_name(h->state));
		return CLU_WHY_OFFLINE;
	}
	if (h->witness) {
		say(y, "the host is a witness: it votes and carries no domains");
		return CLU_WHY_WITNESS;
	}
	if (h->maintenance) {
		say(y, "the host is in maintenance");
		return CLU_WHY_MAINTENANCE;
	}
	if (h->leaving != CLU_LEAVING_NOT) {
		say(y, "the host is being shut down");
		return CLU_WHY_MAINTENANCE;
	}
	if (place_spare_shut(w, slot)) {
		say(y,
		    "the host is a spare: it takes domains when another host is lost or in maintenance (vmclus spare --undo ends that)");
		return CLU_WHY_SPARE;
	}
	if (!(h->cap.engines & d->spec.engine)) {
		say(y, "no engine for it there (");
		say(y, clu_engine_names(d->spec.engine, names));
		say(y, ")");
		return CLU_WHY_ENGINE;
	}
	if (live && !has_build(w, dom, slot, y))
		return CLU_WHY_ENGINE;
	if (live && !has_features(w, dom, h)) {
		say(y, "its CPUs lack features of ");
		say(y, w->s->host[w->at[dom]].name);
		say(y, "'s, which the running domain may use");
		return CLU_WHY_CPU_FEATURES;
	}
	if (!has_bridges(d, h, &missing)) {
		say(y, "no bridge ");
		say(y, missing);
		say(y, " there");
		return CLU_WHY_BRIDGE;
	}
	if (clu_bit(d->unreachable, slot)) {
		say(y, "its files, or what it needs besides, are not there (vmclus events)");
		return CLU_WHY_FILES;
	}
	return CLU_WHY_OK;
}

static enum clu_why memory(const struct place_world *w, uint32_t dom, uint32_t slot, struct say *y)
{
	uint64_t limit = place_mem_limit(w->s, &w->s->host[slot]), used = mem_without(w, dom, slot);
	uint64_t room = limit > used ? limit - used : 0;

	if (w->s->dom[dom].spec.mem_bytes <= room)
		return CLU_WHY_OK;
	say(y, "too little memory: ");
	say_size(y, room);
	say(y, " free of ");
	say_size(y, limit);
	say(y, ", it needs ");
	say_size(y, w->s->dom[dom].spec.mem_bytes);
	return CLU_WHY_MEMORY;
}

static enum clu_why rules(const struct place_bounds *b, uint32_t slot, struct say *y)
{
	static const struct {
		enum clu_why why;
		const char *text;
	} t[] = {
		{ CLU_WHY_RULE_HOSTS, "not one of the hosts that it may run on" },
		{ CLU_WHY_RULE_TOGETHER, "those that it has to be together with are elsewhere" },
		{ CLU_WHY_RULE_APART, "one that it has to be apart from is there" },
		{ CLU_WHY_CONFLICT, "a domain of a type that is in conflict with its own is there" },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (!clu_bit(b->deny[t[i].why], slot))
			continue;
		say(y, t[i].text);
		say(y, " (rule ");
		say_u64(y, b->rule[t[i].why]);
		say(y, ")");
		return t[i].why;
	}
	return CLU_WHY_OK;
}

enum clu_why place_hard(const struct place_world *w, const struct place_bounds *b, uint32_t dom, uint32_t slot,
                        bool live, struct say *y)
{
	struct say none;

	/* memory stands before bridges and files in the order of reasons */
	say_begin(&none, NULL, 0);
	enum clu_why why = place_fixed(w, dom, slot, live, &none), mem;
	if (why == CLU_WHY_OK || (why > CLU_WHY_MEMORY && why < CLU_WHY_WITNESS))
		if ((mem = memory(w, dom, slot, y)) != CLU_WHY_OK)
			return mem;
	if (why != CLU_WHY_OK)
		return place_fixed(w, dom, slot, live, y);
	return rules(b, slot, y);
}

static int64_t left(uint64_t total, uint64_t used)
{
	if (!total || used >= total)
		return 0;
	return (int64_t)((__extension__(unsigned __int128)(total - used) * SCORE_FULL) / total);
}

uint32_t place_fails(const struct place_world *w, uint32_t dom, uint32_t slot)
{
	return clu_fails(w->s, &w->s->dom[dom], slot, w->time_ns, NULL);
}

static void failures(const struct place_world *w, uint32_t dom, uint32_t slot, struct clu_verdict *ret, struct say *y)
{
	const struct clu_fail *f = NULL;
	uint32_t n = clu_fails(w->s, &w->s->dom[dom], slot, w->time_ns, &f);

	ret->score -= (int64_t)(n < FAILS_MOST ? n : FAILS_MOST) * SCORE_FAILED;
	if (f) {
		say(y, "; failed here ");
		say_u64(y, f->count);
		say(y, f->count == 1 ? " time" : " times");
	} else if (n) {
		say(y, "; failed here before");
	}
	if (n)
		say(y, ", so others go first");
	if (f && f->text[0]) {
		say(y, ": ");
		say(y, f->text);
	}
	if (clu_suspected(&w->s->host[slot], w->time_ns)) {
		ret->score -= SCORE_SUSPECT;
		say(y, "; other domains do not start here either: the last choice");
	}
}

static void score(const struct place_world *w, const struct place_bounds *b, uint32_t dom, uint32_t slot,
                  struct clu_verdict *ret, struct say *y)
{
	const struct clu_dom *d = &w->s->dom[dom];
	const struct clu_host *h = &w->s->host[slot];
	uint64_t limit = place_mem_limit(w->s, h), mem_used = mem_without(w, dom, slot) + d->spec.mem_bytes;
	int64_t mem = left(limit, mem_used);
	int64_t cpu = left(h->cap.cpu_milli, cpu_without(w, dom, slot) + place_dom_cpu(w->s, w->load, dom));

	ret->score = (3 * (mem < cpu ? mem : cpu) + mem + cpu) / 5 - (int64_t)b->soft[slot] * SCORE_SOFT;
	say(y, "left with it: ");
	say_u64(y, (uint64_t)mem * 100 / SCORE_FULL);
	say(y, " % of memory, ");
	say_u64(y, (uint64_t)cpu * 100 / SCORE_FULL);
	say(y, " % of CPU");
	if (b->soft[slot]) {
		say(y, "; breaks soft rules: ");
		say_u64(y, b->soft[slot]);
	}
	if (b->group_bytes > limit - mem_used) {
		ret->score -= SCORE_GROUP;
		say(y, "; no room for those it has to be together with");
	}
	failures(w, dom, slot, ret, y);
	if (w->at[dom] == slot) {
		ret->score++; /* all else equal, stay */
		say(y, "; it is here");
	}
}

/* The text only if somebody wants to read it: it costs more than the verdict. */
static void judge(const struct place_world *w, const struct place_bounds *b, uint32_t dom, uint32_t slot,
                  struct clu_verdict *ret, bool text)
{
	struct say y;

	ret->score = INT64_MIN;
	say_begin(&y, text ? ret->text : NULL, text ? sizeof(ret->text) : 0);
	ret->why = place_hard(w, b, dom, slot, true, &y);
	if (ret->why == CLU_WHY_OK)
		score(w, b, dom, slot, ret, &y);
}

/* @d is a record of @s. */
static uint32_t index_of(const struct clu_state *s, const struct clu_dom *d)
{
	assert(d >= s->dom && d < s->dom + s->n_dom);
	return (uint32_t)(d - s->dom);
}

void clu_judge(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, uint32_t slot,
               struct clu_verdict *ret)
{
	struct place_world w;
	struct place_bounds b;

	assert(slot < CLU_HOSTS_MAX);
	place_world_init(&w, s, load);
	place_bounds_init(&b, &w, index_of(s, d));
	judge(&w, &b, index_of(s, d), slot, ret, true);
}

static void say_nowhere(struct say *y, const uint32_t *count, char (*text)[CLU_TEXT_MAX], uint32_t n)
{
	uint32_t top = 0;

	for (uint32_t i = 1; i < CLU_WHY_MAX; i++)
		if (count[i] > count[top])
			top = i;
	if (!top) {
		say(y, "there is no other host");
		return;
	}
	say(y, "no host for it; ");
	say_u64(y, count[top]);
	say(y, " of ");
	say_u64(y, n);
	say(y, ": ");
	say(y, text[top]);
}

uint32_t place_best(const struct place_world *w, uint32_t dom, bool elsewhere, char *why)
{
	struct place_bounds b;
	struct clu_verdict v;
	struct say y;
	uint32_t best = PLACE_NOWHERE, n = 0, count[CLU_WHY_MAX] = { 0 };
	int64_t best_score = INT64_MIN;
	char text[CLU_WHY_MAX][CLU_TEXT_MAX]; /* of the first host refused so */

	place_bounds_init(&b, w, dom);
	for (uint32_t i = 0; i < w->n_host; i++) {
		if (elsewhere && (w->at[dom] == i || w->also[dom] == i))
			continue;
		n++;
		judge(w, &b, dom, i, &v, why != NULL);
		if (v.why != CLU_WHY_OK) {
			if (!count[v.why]++ && why)
				memcpy(text[v.why], v.text, CLU_TEXT_MAX);
		} else if (best == PLACE_NOWHERE || v.score > best_score) {
			best = i;
			best_score = v.score;
		}
	}
	if (best == PLACE_NOWHERE && why) {
		say_begin(&y, why, CLU_TEXT_MAX);
		say_nowhere(&y, count, text, n);
	}
	return best;
}

uint32_t clu_place(const struct clu_state *s, const struct clu_load *load, const struct clu_dom *d, bool elsewhere,
                   char *why)
{
	struct place_world w;

	place_world_init(&w, s, load);
	uint32_t slot = place_best(&w, index_of(s, d), elsewhere, why);
	return slot == PLACE_NOWHERE ? 0 : s->host[slot].node;
}
