/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is a new rule well formed, and could it hold beside those there are? Domains that hard rules keep together (directly or through
 * others) are one bundle: it must not hold two that are kept apart, nor two types in conflict, and some host must be allowed to all
 * of it. Where domains are now plays no part: they can move. Pure; see place.h.
 */
#include "config.h"
#include "clusterd/core/after.h"
#include "clusterd/core/place_int.h"
#include "clusterd/core/say_int.h"

#include <errno.h>
#include <string.h>

#define BUNDLE_MAX 512u /* names; larger ones are refused */

struct check {
	const struct clu_state *s;
	const struct clu_rule *r; /* the new one */
	struct say y;
	uint32_t n;
	const char *name[BUNDLE_MAX];
};

/* All hard rules, the new one last; NULL behind it. */
static const struct clu_rule *rule_at(const struct check *c, uint32_t i)
{
	return i < CLU_RULES_MAX ? &c->s->rule[i] : i == CLU_RULES_MAX ? c->r : NULL;
}

static bool counts(const struct check *c, const struct clu_rule *r, enum clu_rule_kind kind)
{
	return (r->id || r == c->r) && !r->soft && r->kind == kind;
}

static int refuse(struct check *c, int code, const char *a, const char *b, const char *d)
{
	say(&c->y, a);
	say(&c->y, b);
	say(&c->y, d);
	return -code;
}

static int contradicts(struct check *c, const struct clu_rule *by, const char *text)
{
	say(&c->y, text);
	if (by && by != c->r) {
		say(&c->y, " (rule ");
		say_u64(&c->y, by->id);
		say(&c->y, ")");
	}
	return -EINVAL;
}

static bool in_bundle(const struct check *c, const char *name)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (!strcmp(c->name[i], name))
			return true;
	return false;
}

/* Everybody that has to be with @seed. */
static int bundle(struct check *c, const char *seed)
{
	c->n = 1;
	c->name[0] = seed;
	for (bool grew = true; grew;) {
		grew = false;
		const struct clu_rule *r;
		for (uint32_t i = 0; (r = rule_at(c, i)); i++) {
			bool touches = false;
			if (!counts(c, r, CLU_RULE_TOGETHER))
				continue;
			for (uint32_t k = 0; k < r->n; k++)
				touches |= in_bundle(c, r->member[k]);
			for (uint32_t k = 0; touches && k < r->n; k++) {
				if (in_bundle(c, r->member[k]))
					continue;
				if (c->n == BUNDLE_MAX)
					return refuse(c, E2BIG, "more than 512 domains would have to be together", "",
					              "");
				c->name[c->n++] = r->member[k];
				grew = true;
			}
		}
	}
	return 0;
}

static int bundle_apart(struct check *c)
{
	const struct clu_rule *r;

	for (uint32_t i = 0; (r = rule_at(c, i)); i++) {
		uint32_t in = 0;
		for (uint32_t k = 0; counts(c, r, CLU_RULE_APART) && k < r->n; k++)
			in += in_bundle(c, r->member[k]);
		if (in > 1)
			return contradicts(c, r, "two of them have to be together and apart");
	}
	return 0;
}

static int bundle_types(struct check *c)
{
	const struct clu_rule *r;

	for (uint32_t i = 0; (r = rule_at(c, i)); i++) {
		const char *seen = NULL;
		for (uint32_t k = 0; counts(c, r, CLU_RULE_CONFLICT) && k < c->n; k++) {
			const struct clu_dom *d = clu_dom_named(c->s, c->name[k]);
			bool in_set = false;
			for (uint32_t m = 0; d && d->spec.type[0] && m < r->n; m++)
				in_set |= !strcmp(r->member[m], d->spec.type);
			if (in_set && seen && strcmp(seen, d->spec.type) != 0)
				return contradicts(c, r, "two that have to be together are of types in conflict");
			if (in_set)
				seen = d->spec.type;
		}
	}
	return 0;
}

/* Hosts that the rules leave to all of the bundle; a host never seen may yet turn out to have a label. */
static uint32_t bundle_hosts(const struct check *c, uint64_t *ret)
{
	uint32_t n = 0;

	for (uint32_t h = 0; h < CLU_HOSTS_MAX && c->s->host[h].node; h++) {
		const struct clu_host *host = &c->s->host[h];
		const struct clu_rule *r;
		bool ok = true;
		for (uint32_t i = 0; ok && (r = rule_at(c, i)); i++)
			if (counts(c, r, CLU_RULE_HOSTS) && in_bundle(c, r->member[0]))
				ok = place_hosts_rule(r, host) || (host->state == CLU_HOST_NEW && !r->never);
		if (!ok || host->witness)
			continue;
		n++;
		clu_bit_set(ret, h);
	}
	return n;
}

static int check_bundle(struct check *c, const char *seed)
{
	uint64_t hosts[CLU_HOSTS_MAX / 64] = { 0 };
	int r = bundle(c, seed);

	if (r == 0)
		r = bundle_apart(c);
	if (r == 0)
		r = bundle_types(c);
	if (r < 0)
		return r;
	if (c->s->host[0].node && !bundle_hosts(c, hosts))
		return refuse(c, EINVAL, "no host would be left that ", seed, " may run on");
	return 0;
}

/* As many hosts as domains that are apart; not Hall's theorem, but what people get wrong. */
static int check_apart(struct check *c)
{
	uint64_t hosts[CLU_HOSTS_MAX / 64] = { 0 };

	for (uint32_t i = 0; i < c->r->n; i++) {
		int r = check_bundle(c, c->r->member[i]);
		if (r < 0)
			return r;
		(void)bundle_hosts(c, hosts);
	}
	if (c->s->host[0].node && clu_bits_count(hosts) < c->r->n)
		return refuse(c, EINVAL, "there are fewer hosts that they may run on than domains to be kept apart", "",
		              "");
	return 0;
}

static int check_host_words(struct check *c)
{
	const struct clu_rule *r = c->r;

	for (uint32_t i = 1; i < r->n; i++) {
		bool known = !strncmp(r->member[i], "label=", 6) && r->member[i][6];
		for (uint32_t h = 0; !known && h < CLU_HOSTS_MAX && c->s->host[h].node; h++)
			known = !strcmp(c->s->host[h].name, r->member[i]);
		if (!known)
			return refuse(c, ENOENT, "there is no host ", r->member[i], " (a label is written label=WORD)");
	}
	return 0;
}

static int check_shape(struct check *c)
{
	const struct clu_rule *r = c->r;
	bool domains = r->kind == CLU_RULE_TOGETHER || r->kind == CLU_RULE_APART || r->kind == CLU_RULE_AFTER;

	if (!domains && r->kind != CLU_RULE_HOSTS && r->kind != CLU_RULE_CONFLICT)
		return refuse(c, EINVAL, "no such kind of rule", "", "");
	if (r->n < 2 || r->n > CLU_MEMBERS_MAX)
		return refuse(c, EINVAL, "a rule has 2 to 16 members", "", "");
	if (r->never && r->kind != CLU_RULE_HOSTS)
		return refuse(c, EINVAL, "only a rule about hosts can say \"never\"", "", "");
	if ((r->healthy || r->delay_ns) && r->kind != CLU_RULE_AFTER)
		return refuse(c, EINVAL, "only a rule \"after\" can ask for health or a delay", "", "");
	if (r->delay_ns > CLU_DELAY_MAX_NS)
		return refuse(c, EINVAL, "a delay is at most a day", "", "");
	for (uint32_t i = 0; i < r->n; i++) {
		if (!r->member[i][0])
			return refuse(c, EINVAL, "a member without a name", "", "");
		for (uint32_t k = 0; k < i; k++)
			if (!strcmp(r->member[k], r->member[i]) && (k || r->kind != CLU_RULE_HOSTS))
				return refuse(c, EINVAL, r->member[i], " is named twice", "");
		if ((domains || (r->kind == CLU_RULE_HOSTS && !i)) && !clu_dom_named(c->s, r->member[i]))
			return refuse(c, ENOENT, "there is no domain ", r->member[i], "");
	}
	return r->kind == CLU_RULE_HOSTS ? check_host_words(c) : 0;
}

int clu_rule_check(const struct clu_state *s, const struct clu_rule *r, char *why)
{
	struct check c = { .s = s, .r = r };
	int rc;

	say_begin(&c.y, why, why ? CLU_TEXT_MAX : 0);
	rc = check_shape(&c);
	if (rc == 0 && r->kind == CLU_RULE_AFTER)
		return clu_after_cycle(s, r, why) ? -ELOOP : 0;
	if (rc < 0 || r->soft)
		return rc;
	if (r->kind == CLU_RULE_APART)
		return check_apart(&c);
	if (r->kind != CLU_RULE_CONFLICT)
		return check_bundle(&c, r->member[0]);
	for (uint32_t i = 0; i < CLU_RULES_MAX && rc == 0; i++)
		if (counts(&c, &s->rule[i], CLU_RULE_TOGETHER))
			rc = check_bundle(&c, s->rule[i].member[0]);
	return rc;
}
