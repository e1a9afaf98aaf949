/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records as octets, and their sum: docs/wire/cluster.md, section 5. One description of each record serves writing and reading. */
#include "config.h"
#include "clusterd/core/apply_int.h"
#include "clusterd/core/level.h"
#include "clusterd/core/record.h"
#include "clusterd/core/settings.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define RECORD_VERSION 1u
/* Of a record that says more than the version before can; else that one is written, for older nodes and so that there is one form of each. */
#define HOST_LEAVING   2u
#define HOST_CLOCKS    3u
#define HOST_BUILDS    4u
#define HOST_WITNESS   5u
#define HOST_PERMIT    6u
#define HOST_SPARE     7u
#define RULE_AFTER     2u
#define DOM_FAILS      2u
#define DOM_CPU        3u
#define DOM_SET        4u
#define META_LEVEL     2u

/* Octets under way in one direction: out when @w, else in, checked. */
struct cur {
	uint8_t *w;
	const uint8_t *r;
	size_t n, len; /* done; all (reading) */
	bool bad;
};

static void octets(struct cur *c, void *p, size_t len)
{
	if (c->w) {
		assert(c->n + len <= CLU_RECORD_MAX);
		memcpy(c->w + c->n, p, len);
	} else if (c->bad || len > c->len - c->n) {
		c->bad = true;
		memset(p, 0, len);
		return;
	} else {
		memcpy(p, c->r + c->n, len);
	}
	c->n += len;
}

/* The same for a length that the compiler knows: sums are made of these. */
static inline void out(struct cur *c, const void *p, size_t len)
{
	assert(c->n + len <= CLU_RECORD_MAX);
	memcpy(c->w + c->n, p, len);
	c->n += len;
}

static void u64(struct cur *c, uint64_t *v)
{
	uint8_t b[8];

	for (unsigned i = 0; i < 8; i++)
		b[i] = (uint8_t)(*v >> 8 * i);
	if (c->w) {
		out(c, b, 8);
		return;
	}
	octets(c, b, 8);
	*v = 0;
	for (unsigned i = 0; i < 8; i++)
		*v |= (uint64_t)b[i] << 8 * i;
}

static void u32(struct cur *c, uint32_t *v)
{
	uint64_t x = *v;
	uint8_t b[4] = { (uint8_t)x, (uint8_t)(x >> 8), (uint8_t)(x >> 16), (uint8_t)(x >> 24) };

	if (c->w) {
		out(c, b, 4);
		return;
	}
	octets(c, b, 4);
	*v = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* A number below @max. */
static uint32_t small(struct cur *c, uint32_t v, uint32_t max)
{
	u32(c, &v);
	if (v >= max)
		c->bad = true;
	return c->bad ? 0 : v;
}

static void flag(struct cur *c, bool *v)
{
	uint8_t b = *v;

	octets(c, &b, 1);
	if (b > 1)
		c->bad = true;
	*v = b == 1;
}

static void text(struct cur *c, char *s, size_t cap)
{
	size_t len = c->w && s[0] ? strnlen(s, cap - 1) : 0;
	uint8_t b[2] = { (uint8_t)len, (uint8_t)(len >> 8) };

	if (c->w) {
		out(c, b, 2);
		if (len)
			octets(c, s, len);
		return;
	}
	octets(c, b, 2);
	len = (size_t)b[0] | (size_t)b[1] << 8;
	memset(s, 0, cap);
	if (len >= cap)
		c->bad = true;
	if (!c->bad)
		octets(c, s, len);
	if (strlen(s) != (c->bad ? 0 : len))
		c->bad = true;
}

/* A field of @r, by its line in record.h. */
#define DISK(kind, name, ...) DISK_##kind(name, ##__VA_ARGS__)
#define DISK_U64(name)        u64(c, &r->name);
#define DISK_U32(name)        u32(c, &r->name);
#define DISK_I32(name)        u32(c, (uint32_t *)&r->name);
#define DISK_FLAG(name)       flag(c, &r->name);
#define DISK_ENUM(name, most) r->name = (__typeof__(r->name))small(c, r->name, (most) + 1);
#define DISK_TEXT(name)       text(c, r->name, sizeof(r->name));
#define DISK_TEXTS(name, n)                                                                                            \
	for (unsigned i = 0; i < (n); i++)                                                                             \
		text(c, r->name[i], sizeof(r->name[0]));
#define DISK_WORDS(name) DISK_TEXTS(name, sizeof(r->name) / sizeof(r->name[0]))
#define DISK_MEMBERS(name)                                                                                             \
	r->n = small(c, r->n, sizeof(r->name) / sizeof(r->name[0]) + 1);                                               \
	DISK_TEXTS(name, r->n)
#define DISK_BITS(name)                                                                                                \
	for (unsigned i = 0; i < sizeof(r->name) / sizeof(r->name[0]); i++)                                            \
		u64(c, &r->name[i]);

static void capacity(struct cur *c, struct clu_capacity *r)
{
	CLU_CAPACITY_FIELDS(DISK)
}

static void builds(struct cur *c, struct clu_capacity *r)
{
	CLU_CAPACITY_FIELDS_4(DISK)
}

static void spec(struct cur *c, struct clu_spec *r)
{
	CLU_SPEC_FIELDS(DISK)
}

static uint8_t rule_version(const struct clu_rule *r)
{
	return r->kind == CLU_RULE_AFTER ? RULE_AFTER : RECORD_VERSION;
}

static void rule(struct cur *c, struct clu_rule *r, uint8_t version)
{
	CLU_RULE_FIELDS(DISK)
	if (version >= RULE_AFTER) {
		CLU_RULE_FIELDS_2(DISK)
	}
	if (!r->id || !r->kind || rule_version(r) != version)
		c->bad = true;
}

static void meta(struct cur *c, struct clu_state *s, uint8_t version)
{
	u64(c, &s->epoch);
	u64(c, &s->index);
	u64(c, &s->sum);
	u64(c, &s->time_ns);
	u64(c, &s->promised);
	if (version < META_LEVEL)
		return;
	u32(c, &s->level);
	u64(c, &s->level_id);
}

static uint8_t host_version(const struct clu_host *h)
{
	if (h->spare || h->until_back)
		return HOST_SPARE;
	if (h->permit_id)
		return HOST_PERMIT;
	if (h->witness)
		return HOST_WITNESS;
	for (unsigned i = 0; i < CLU_BUILDS_MAX; i++)
		if (h->cap.build[i][0])
			return HOST_BUILDS;
	if (h->clock_stops)
		return HOST_CLOCKS;
	return h->returning || h->leaving || h->start_fails || h->suspect_ns ? HOST_LEAVING : RECORD_VERSION;
}

static void host(struct cur *c, struct clu_host *h, uint8_t version)
{
	u32(c, &h->node);
	h->state = (enum clu_host_state)small(c, h->state, CLU_HOST_SAFE + 1);
	text(c, h->name, sizeof(h->name));
	u64(c, &h->boot);
	u64(c, &h->up_id);
	u64(c, &h->lost_id);
	u64(c, &h->lease_ns);
	flag(c, &h->self_fencing);
	flag(c, &h->maintenance);
	h->safe_by = (enum clu_safe_by)small(c, h->safe_by, CLU_SAFE_LEFT + 1);
	for (unsigned i = 0; i < CLU_HOSTS_MAX / 64; i++)
		u64(c, &h->waited[i]);
	capacity(c, &h->cap);
	if (version < HOST_LEAVING)
		return;
	flag(c, &h->returning);
	h->leaving = (enum clu_leaving)small(c, h->leaving, CLU_LEAVING_ENDING + 1);
	u32(c, &h->start_fails);
	u64(c, &h->suspect_ns);
	if (version >= HOST_CLOCKS)
		flag(c, &h->clock_stops);
	if (version >= HOST_BUILDS)
		builds(c, &h->cap);
	if (version >= HOST_WITNESS)
		flag(c, &h->witness);
	if (version >= HOST_PERMIT) {
		u64(c, &h->permit_id);
		u64(c, &h->permit_ns);
		u64(c, &h->permit_for);
	}
	if (version >= HOST_SPARE) {
		flag(c, &h->spare);
		flag(c, &h->until_back);
	}
	if (host_version(h) != version)
		c->bad = true;
}

static bool dom_is_new(const struct clu_dom *d)
{
	bool failed = false;

	for (unsigned i = 0; i < CLU_HOSTS_MAX / 64; i++)
		failed |= d->failed[i] != 0;
	return d->home || failed;
}

static uint8_t dom_version(const struct clu_dom *d)
{
	return d->set.has ? DOM_SET : d->spec.cpu_named ? DOM_CPU : dom_is_new(d) ? DOM_FAILS : RECORD_VERSION;
}

static void fails(struct cur *c, struct clu_dom *d)
{
	uint32_t n = 0;

	while (n < CLU_FAILS_MAX && d->fail[n].node)
		n++;
	n = small(c, n, CLU_FAILS_MAX + 1);
	for (uint32_t i = 0; i < n; i++) {
		u32(c, &d->fail[i].node);
		u32(c, &d->fail[i].count);
		u64(c, &d->fail[i].until_ns);
		text(c, d->fail[i].text, CLU_FAIL_TEXT);
		if (!d->fail[i].node)
			c->bad = true;
	}
}

static void settings(struct cur *c, struct clu_settings *r)
{
	CLU_SET_FIELDS(DISK)
	if (!clu_settings_ok(r)) /* there is one form of each */
		c->bad = true;
}

static void dom(struct cur *c, struct clu_dom *d, uint8_t version)
{
	text(c, d->uuid, sizeof(d->uuid));
	text(c, d->name, sizeof(d->name));
	spec(c, &d->spec);
	u64(c, &d->xml_id);
	d->desired = (enum clu_desired)small(c, d->desired, CLU_DESIRED_RUNNING + 1);
	d->phase = (enum clu_phase)small(c, d->phase, CLU_PHASE_FAILED + 1);
	u32(c, &d->host);
	u32(c, &d->target);
	u64(c, &d->generation);
	u64(c, &d->generation_max);
	u64(c, &d->op_id);
	u64(c, &d->rev);
	flag(c, &d->force);
	u32(c, &d->failures);
	u64(c, &d->window_ns);
	u64(c, &d->retry_ns);
	for (unsigned i = 0; i < CLU_HOSTS_MAX / 64; i++)
		u64(c, &d->unreachable[i]);
	u32(c, &d->avoid);
	text(c, d->text, sizeof(d->text));
	if (!d->uuid[0] || !d->name[0])
		c->bad = true;
	if (version < DOM_FAILS)
		return;
	u32(c, &d->home);
	for (unsigned i = 0; i < CLU_HOSTS_MAX / 64; i++)
		u64(c, &d->failed[i]);
	fails(c, d);
	if (version >= DOM_CPU)
		flag(c, &d->spec.cpu_named);
	if (version >= DOM_SET) {
		settings(c, &d->set);
		u64(c, &d->moved_ns);
	}
	if (dom_version(d) != version)
		c->bad = true;
}

/* The first version that can say @p; NULL: the last one that there is. */
static uint8_t policy_version(const struct clu_policy *p)
{
	uint8_t version = RECORD_VERSION;

	for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++)
		if (f->since > version && (!p || clu_policy_get(p, f) != f->otherwise))
			version = f->since;
	return version;
}

static void policy(struct cur *c, struct clu_policy *p, uint8_t version)
{
	if (!c->w)
		clu_policy_default(p);
	for (uint8_t since = RECORD_VERSION; since <= version; since++) {
		for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++) {
			void *at = (uint8_t *)p + f->at;

			if (f->since != since)
				continue;
			if (f->kind == CLU_FIELD_FLAG)
				flag(c, at);
			else if (f->kind == CLU_FIELD_NS)
				u64(c, at);
			else if (f->kind == CLU_FIELD_U32)
				u32(c, at);
			else
				clu_policy_set(p, f, small(c, (uint32_t)clu_policy_get(p, f), (uint32_t)f->max + 1));
		}
	}
	if (policy_version(p) !=
	    version) /* there is one form of each record, or equal states would have different sums */
		c->bad = true;
}

static void disarm(struct cur *c, struct clu_disarm *d)
{
	u64(c, &d->id);
	u64(c, &d->at_ns);
	u64(c, &d->for_ns);
	text(c, d->text, sizeof(d->text));
	if (!d->id)
		c->bad = true;
}

static bool slot_used(const struct clu_state *s, enum clu_object kind, uint32_t slot)
{
	switch (kind) {
	case CLU_OBJ_META:
	case CLU_OBJ_POLICY:
		return slot == 0;
	case CLU_OBJ_HOST:
		return slot < CLU_HOSTS_MAX && s->host[slot].node;
	case CLU_OBJ_DOM:
		return slot < s->dom_cap && s->dom[slot].uuid[0];
	case CLU_OBJ_RULE:
		return slot < CLU_RULES_MAX && s->rule[slot].id;
	case CLU_OBJ_DISARM:
		return slot == 0 && s->disarm.id;
	}
	return false;
}

static uint8_t version_of(const struct clu_state *s, enum clu_object kind, uint32_t slot)
{
	switch (kind) {
	case CLU_OBJ_POLICY:
		return policy_version(&s->policy);
	case CLU_OBJ_HOST:
		return host_version(&s->host[slot]);
	case CLU_OBJ_DOM:
		return dom_version(&s->dom[slot]);
	case CLU_OBJ_META:
		return s->level ? META_LEVEL : RECORD_VERSION;
	case CLU_OBJ_RULE:
		return rule_version(&s->rule[slot]);
	case CLU_OBJ_DISARM:
		break;
	}
	return RECORD_VERSION;
}

/* The highest that is read. */
static uint8_t version_max(enum clu_object kind)
{
	return kind == CLU_OBJ_POLICY ? policy_version(NULL)
	       : kind == CLU_OBJ_HOST ? HOST_SPARE
	       : kind == CLU_OBJ_DOM  ? DOM_SET
	       : kind == CLU_OBJ_META ? META_LEVEL
	       : kind == CLU_OBJ_RULE ? RULE_AFTER
	                              : RECORD_VERSION;
}

size_t clu_record_pack(const struct clu_state *s, enum clu_object kind, uint32_t slot, uint8_t *buf)
{
	struct cur c = { .w = buf };
	struct clu_state *m = (struct clu_state *)s; /* the walkers only read when they write octets */
	uint8_t version;

	if (!slot_used(s, kind, slot))
		return 0;
	version = version_of(s, kind, slot);
	octets(&c, &version, 1);
	switch (kind) {
	case CLU_OBJ_META:
		meta(&c, m, version);
		break;
	case CLU_OBJ_HOST:
		host(&c, &m->host[slot], version);
		break;
	case CLU_OBJ_DOM:
		dom(&c, &m->dom[slot], version);
		break;
	case CLU_OBJ_RULE:
		rule(&c, &m->rule[slot], version);
		break;
	case CLU_OBJ_POLICY:
		policy(&c, &m->policy, version);
		break;
	case CLU_OBJ_DISARM:
		disarm(&c, &m->disarm);
		break;
	}
	return c.n;
}

/* Read into a copy first: a record that is wrong changes nothing. What else follows when it is right stands last. */
#define READ_INTO(type, place, walk, ...)                                                                              \
	do {                                                                                                           \
		type v_ = { 0 };                                                                                       \
		walk;                                                                                                  \
		if (!c.bad && c.n == c.len) {                                                                          \
			(place) = v_;                                                                                  \
			__VA_ARGS__;                                                                                   \
			return 0;                                                                                      \
		}                                                                                                      \
	} while (0)

int clu_record_unpack(struct clu_state *s, enum clu_object kind, uint32_t slot, const uint8_t *p, size_t len)
{
	struct cur c = { .r = p, .len = len };
	uint8_t version = 0;

	octets(&c, &version, 1);
	if (c.bad || version < RECORD_VERSION || version > version_max(kind))
		return -EPROTO;
	switch (kind) {
	case CLU_OBJ_META: {
		struct clu_state v = { .level = 0 };
		meta(&c, &v, version);
		if (slot || c.bad || c.n != len || (version == META_LEVEL) != (v.level > 0))
			break;
		if (v.level > CLU_LEVEL) /* of a later release: nothing else in it can be relied on */
			return -EPROTONOSUPPORT;
		s->epoch = v.epoch, s->index = v.index, s->sum = v.sum, s->time_ns = v.time_ns;
		s->level = v.level, s->level_id = v.level_id;
		if (s->promised < v.promised)
			s->promised = v.promised;
		return 0;
	}
	case CLU_OBJ_HOST:
		if (slot < CLU_HOSTS_MAX)
			READ_INTO(struct clu_host, s->host[slot], host(&c, &v_, version));
		break;
	case CLU_OBJ_DOM:
		if (slot < s->dom_cap)
			READ_INTO(struct clu_dom, s->dom[slot], dom(&c, &v_, version),
			          s->n_dom = slot < s->n_dom ? s->n_dom : slot + 1);
		break;
	case CLU_OBJ_RULE:
		if (slot < CLU_RULES_MAX)
			READ_INTO(struct clu_rule, s->rule[slot], rule(&c, &v_, version));
		break;
	case CLU_OBJ_POLICY:
		if (!slot)
			READ_INTO(struct clu_policy, s->policy, policy(&c, &v_, version));
		break;
	case CLU_OBJ_DISARM:
		if (!slot)
			READ_INTO(struct clu_disarm, s->disarm, disarm(&c, &v_));
		break;
	}
	return -EPROTO;
}

uint64_t clu_record_sum(const struct clu_state *s, enum clu_object kind, uint32_t slot)
{
	uint8_t buf[CLU_RECORD_MAX];
	size_t n = clu_record_pack(s, kind, slot, buf);

	return n ? XXH3_64bits_withSeed(buf, n, (uint64_t)kind << 32 | slot) : 0;
}

uint64_t clu_sum(const struct clu_state *s)
{
	uint64_t sum = clu_record_sum(s, CLU_OBJ_POLICY, 0) ^ clu_record_sum(s, CLU_OBJ_DISARM, 0);

	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++)
		sum ^= s->host[i].node ? clu_record_sum(s, CLU_OBJ_HOST, i) : 0;
	for (uint32_t i = 0; i < CLU_RULES_MAX; i++)
		sum ^= s->rule[i].id ? clu_record_sum(s, CLU_OBJ_RULE, i) : 0;
	for (uint32_t i = 0; i < s->n_dom; i++)
		sum ^= s->dom[i].uuid[0] ? clu_record_sum(s, CLU_OBJ_DOM, i) : 0;
	return sum;
}
