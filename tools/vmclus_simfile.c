/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A described cluster as a snapshot for the balancer. What is read is judged: it may be anybody's. See vmclus_simulate.h. */
#include "config.h"
#include "tools/vmclus_simulate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME_OF(o) json_string_value(json_object_get(o, "name"))

/* A number of an object, from 0 to @most. */
struct field {
	const char *key;
	double most, dflt, *to;
};

static int numbers(json_t *o, const char *what, const struct field *f, size_t n, struct err *err)
{
	for (; n; f++, n--) {
		json_t *v = json_object_get(o, f->key);

		*f->to = f->dflt;
		if (!v || json_is_null(v))
			continue;
		*f->to = json_number_value(v);
		if (!json_is_number(v) || !(*f->to >= 0) || *f->to > f->most)
			return err_set(err, EINVAL, "%s: \"%s\" has to be a number from 0 to %g", what, f->key,
			               f->most);
	}
	return 0;
}

static bool has_word(json_t *list, const char *word)
{
	json_t *v;
	size_t i;

	json_array_foreach(list, i, v) if (json_is_string(v) && !strcmp(json_string_value(v), word)) return true;
	return false;
}

/* All of @want is in @have. */
static bool has_words(json_t *have, json_t *want)
{
	json_t *v;
	size_t i;

	json_array_foreach(want, i, v) if (json_is_string(v) && !has_word(have, json_string_value(v))) return false;
	return true;
}

static bool text_is(json_t *o, const char *key, const char *dflt, const char *is)
{
	return !strcmp(json_string_value(json_object_get(o, key)) ?: dflt, is);
}

static int list_of(json_t *doc, const char *key, json_t **ret, size_t *ret_n, struct err *err)
{
	*ret = json_object_get(doc, key);
	*ret_n = json_array_size(*ret);
	if (*ret && !json_is_array(*ret))
		return err_set(err, EINVAL, "\"%s\" has to be an array", key);
	if (*ret_n >= CLU_PLAN_ANY / 4)
		return err_set(err, E2BIG, "too many %s", key);
	return 0;
}

static int add_name(json_t *index, json_t *o, size_t i, const char *kind, const char **ret, struct err *err)
{
	const char *name = NAME_OF(o);

	if (!name || !*name)
		return err_set(err, EINVAL, "%s number %zu has no \"name\"", kind, i + 1);
	if (json_object_get(index, name))
		return err_set(err, EEXIST, "%s %s is there twice", kind, name);
	*ret = name;
	return json_object_set_new(index, name, json_integer((json_int_t)i)) ? err_set(err, ENOMEM, "out of memory")
	                                                                     : 0;
}

static uint32_t find(json_t *index, const char *name)
{
	json_t *v = name ? json_object_get(index, name) : NULL;

	return v ? (uint32_t)json_integer_value(v) : CLU_PLAN_ANY;
}

static int read_hosts(struct simfile *f, json_t *list, struct err *err)
{
	double pct = f->policy.mem_overcommit_pct / 100.0;
	json_t *o;
	size_t i;
	int r;

	json_array_foreach(list, i, o)
	{
		struct clu_plan_host *h = &f->host[i];
		double mem, other, cpu, cpu_used;
		const struct field fields[] = { { "mem_total_bytes", 0x1p60, 0, &mem },
			                        { "mem_other_bytes", 0x1p60, 0, &other },
			                        { "cpu_total", 4e6, 0, &cpu },
			                        { "cpu_used", 4e6, 0, &cpu_used } };
		r = add_name(f->host_of, o, i, "host", &f->host_name[i], err);
		if (!r)
			r = numbers(o, NAME_OF(o), fields, ARRAY_SIZE(fields), err);
		if (r < 0)
			return r;
		h->mem_bytes = (uint64_t)(mem * pct);
		h->mem_other_bytes = (uint64_t)other;
		h->cpu_milli = (uint32_t)lround(cpu * 1000);
		h->cpu_other_milli = (uint32_t)lround(cpu_used * 1000);
		h->usable =
			text_is(o, "state", "online", "online") && !json_is_true(json_object_get(o, "maintenance")) &&
			!text_is(o, "role", "witness", "host") &&
			(!json_is_true(json_object_get(o, "spare")) || json_is_true(json_object_get(o, "spare_open")));
	}
	return 0;
}

static int read_domain(struct simfile *f, json_t *o, struct err *err)
{
	const char *host = json_string_value(json_object_get(o, "host"));
	struct clu_plan_dom *d = &f->dom[f->snap.n_dom];
	double mem, cpu, used, dirty;
	const struct field fields[] = { { "mem_bytes", 0x1p60, 0, &mem },
		                        { "cpu_used", 4e6, 0, &cpu },
		                        { "used_bytes", 0x1p60, 0, &used },
		                        { "dirty_bps", 0x1p60, 0, &dirty } };
	int r;

	if (!host)
		return 0; /* runs nowhere */
	r = add_name(f->dom_of, o, f->snap.n_dom, "domain", &f->dom_name[f->snap.n_dom], err);
	if (!r)
		r = numbers(o, NAME_OF(o), fields, ARRAY_SIZE(fields), err);
	if (r < 0)
		return r;
	d->host = find(f->host_of, host);
	if (d->host == CLU_PLAN_ANY)
		return err_set(err, ENOENT, "domain %s is on %s, which is not among the hosts", NAME_OF(o), host);
	d->mem_bytes = (uint64_t)mem;
	d->cpu_milli = (uint32_t)lround(cpu * 1000);
	d->used_bytes = (uint64_t)used;
	d->dirty_bps = (uint64_t)dirty;
	d->allow = d->prefer = CLU_PLAN_ANY;
	d->pinned = !text_is(o, "state", "running", "running") || !text_is(o, "desired", "running", "running") ||
	            json_is_true(json_object_get(o, "pinned")) || json_is_false(json_object_get(o, "balance"));
	struct clu_plan_host *h = &f->host[d->host]; /* measured use is the domains' and the rest */
	h->cpu_other_milli -= h->cpu_other_milli < d->cpu_milli ? h->cpu_other_milli : d->cpu_milli;
	f->snap.n_dom++;
	return 0;
}

/* A new row with all bits @on; CLU_PLAN_ANY: no memory. */
static uint32_t new_row(struct simfile *f, bool on)
{
	size_t words = (f->snap.n_host + 63) / 64, n = f->snap.n_row;

	if (n == f->row_cap) {
		size_t cap = n ? 2 * n : 16;
		uint64_t *p = reallocarray(f->row, cap, words * sizeof(*p));
		if (!p)
			return CLU_PLAN_ANY;
		f->row = p;
		f->row_cap = cap;
	}
	memset(f->row + n * words, on ? 0xff : 0, words * sizeof(*f->row));
	if (on && f->snap.n_host % 64) /* no bits of hosts that there are not */
		f->row[n * words + words - 1] = (1ull << (f->snap.n_host % 64)) - 1;
	return f->snap.n_row++;
}

static void row_keep(struct simfile *f, uint32_t row, uint32_t host, bool keep)
{
	if (!keep)
		f->row[(size_t)row * ((f->snap.n_host + 63) / 64) + host / 64] &= ~(1ull << (host % 64));
}

/* Engine, bridges, CPU features of its present host: domains that ask for the same share a row. */
static int needs(struct simfile *f, uint32_t dom, json_t *o, json_t *rows, struct err *err)
{
	json_t *hosts = json_object_get(f->doc, "hosts"), *here = json_array_get(hosts, f->dom[dom].host), *h;
	json_t *bridges = json_object_get(o, "bridges"), *features = json_object_get(here, "cpu_features");
	const char *engine = json_string_value(json_object_get(o, "engine"));
	size_t i;

	if (!engine && !json_array_size(bridges) && !json_array_size(features))
		return 0;
	_cleanup_json_ json_t *key = json_pack("[s?, O?, O?]", engine, bridges, features);
	_cleanup_free_ char *text = key ? json_dumps(key, JSON_COMPACT) : NULL;
	uint32_t row = text ? find(rows, text) : CLU_PLAN_ANY;
	if (row == CLU_PLAN_ANY) {
		row = text ? new_row(f, true) : CLU_PLAN_ANY;
		if (row == CLU_PLAN_ANY || json_object_set_new(rows, text, json_integer(row)))
			return err_set(err, ENOMEM, "out of memory");
		json_array_foreach(hosts, i, h)
			row_keep(f, row, (uint32_t)i,
		                 (!engine || has_word(json_object_get(h, "engines"), engine)) &&
		                         has_words(json_object_get(h, "bridges"), bridges) &&
		                         has_words(json_object_get(h, "cpu_features"), features));
	}
	f->dom[dom].allow = row;
	return 0;
}

static int read_domains(struct simfile *f, json_t *list, struct err *err)
{
	_cleanup_json_ json_t *rows = json_object();
	json_t *o;
	size_t i;
	int r;

	json_array_foreach(list, i, o)
	{
		uint32_t dom = f->snap.n_dom;
		r = read_domain(f, o, err);
		if (!r && f->snap.n_dom > dom)
			r = needs(f, dom, o, rows, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A row of its own for @dom, which keeps what it had. */
static uint32_t own_row(struct simfile *f, uint32_t *row)
{
	size_t words = (f->snap.n_host + 63) / 64;
	uint32_t n = new_row(f, true);

	if (n != CLU_PLAN_ANY && *row != CLU_PLAN_ANY)
		memcpy(f->row + n * words, f->row + *row * words, words * sizeof(*f->row));
	return *row = n;
}

static int rule_hosts(struct simfile *f, json_t *members, bool soft, bool never, struct err *err)
{
	const char *name = json_string_value(json_array_get(members, 0));
	json_t *hosts = json_object_get(f->doc, "hosts"), *h, *m;
	uint32_t dom = find(f->dom_of, name);
	size_t i, k;

	if (dom == CLU_PLAN_ANY)
		return 0; /* does not run */
	uint32_t row = own_row(f, soft ? &f->dom[dom].prefer : &f->dom[dom].allow);
	if (row == CLU_PLAN_ANY)
		return err_set(err, ENOMEM, "out of memory");
	json_array_foreach(hosts, i, h)
	{
		bool named = false;
		json_array_foreach(members, k, m)
		{
			const char *word = json_string_value(m) ?: "";
			named |= k && (!strcmp(word, NAME_OF(h)) || (!strncmp(word, "label=", 6) &&
			                                             has_word(json_object_get(h, "labels"), word + 6)));
		}
		row_keep(f, row, (uint32_t)i, named != never);
	}
	return 0;
}

struct tie_of {
	uint32_t dom;
	struct clu_plan_tie tie;
};
struct ties {
	struct tie_of *t;
	size_t n, cap;
};

static int add_tie(struct ties *z, uint32_t dom, struct clu_plan_tie tie, struct err *err)
{
	if (z->n == z->cap) {
		size_t cap = z->cap ? 2 * z->cap : 64;
		struct tie_of *p = reallocarray(z->t, cap, sizeof(*p));
		if (!p)
			return err_set(err, ENOMEM, "out of memory");
		z->t = p;
		z->cap = cap;
	}
	z->t[z->n++] = (struct tie_of){ dom, tie };
	return 0;
}

/* Together, and no way around it: they stay where most are. */
static int bind_together(struct simfile *f, json_t *members, struct err *err)
{
	uint32_t most = CLU_PLAN_ANY, most_n = 0;
	json_t *a, *b;
	size_t i, k;

	json_array_foreach(members, i, a)
	{
		uint32_t dom = find(f->dom_of, json_string_value(a)), n = 0;
		json_array_foreach(members, k, b)
		{
			uint32_t other = find(f->dom_of, json_string_value(b));
			n += dom != CLU_PLAN_ANY && other != CLU_PLAN_ANY && f->dom[other].host == f->dom[dom].host;
		}
		if (n > most_n) {
			most = f->dom[dom].host;
			most_n = n;
		}
	}
	json_array_foreach(members, i, a)
	{
		uint32_t dom = find(f->dom_of, json_string_value(a));
		if (dom == CLU_PLAN_ANY)
			continue;
		f->dom[dom].pinned |= f->dom[dom].host == most;
		uint32_t row = own_row(f, &f->dom[dom].allow);
		if (row == CLU_PLAN_ANY)
			return err_set(err, ENOMEM, "out of memory");
		for (uint32_t h = 0; h < f->snap.n_host; h++)
			row_keep(f, row, h, h == most);
	}
	return 0;
}

static int rule_types(struct simfile *f, struct ties *z, uint32_t group, json_t *members, bool soft, struct err *err)
{
	json_t *o, *m;
	size_t i, k;

	json_array_foreach(json_object_get(f->doc, "domains"), i, o)
	{
		const char *type = json_string_value(json_object_get(o, "type"));
		uint32_t dom = find(f->dom_of, NAME_OF(o));
		if (!type || dom == CLU_PLAN_ANY)
			continue;
		json_array_foreach(members, k, m)
		{
			if (!json_is_string(m) || strcmp(json_string_value(m), type) != 0)
				continue;
			int r = add_tie(z, dom, (struct clu_plan_tie){ group, (uint32_t)k, CLU_PLAN_APART, soft }, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int read_rule(struct simfile *f, struct ties *z, uint32_t group, json_t *rule, struct err *err)
{
	json_t *members = json_object_get(rule, "members"), *m;
	bool soft = json_is_true(json_object_get(rule, "soft")), together = text_is(rule, "kind", "", "together");
	size_t i;
	int r = 0;

	if (json_array_size(members) < 2)
		return err_set(err, EINVAL, "rule number %u has fewer than two \"members\"", group + 1);
	if (text_is(rule, "kind", "", "hosts"))
		return rule_hosts(f, members, soft, json_is_true(json_object_get(rule, "never")), err);
	if (text_is(rule, "kind", "", "conflict"))
		return rule_types(f, z, group, members, soft, err);
	if (!together && !text_is(rule, "kind", "", "apart"))
		return err_set(err, EINVAL, "rule number %u: \"kind\" is together, apart, hosts or conflict",
		               group + 1);
	if (together && !soft)
		return bind_together(f, members, err);
	json_array_foreach(members, i, m)
	{
		uint32_t dom = find(f->dom_of, json_string_value(m));
		struct clu_plan_tie t = { group, (uint32_t)i, together ? CLU_PLAN_TOGETHER : CLU_PLAN_APART, soft };
		if (dom != CLU_PLAN_ANY && !r)
			r = add_tie(z, dom, t, err);
	}
	return r;
}

static int by_domain(const void *a, const void *b)
{
	const struct tie_of *x = a, *y = b;

	if (x->dom != y->dom)
		return x->dom < y->dom ? -1 : 1;
	return x->tie.group < y->tie.group ? -1 : x->tie.group > y->tie.group;
}

static int read_rules(struct simfile *f, json_t *list, struct err *err)
{
	struct ties z = { 0 };
	json_t *o;
	size_t i;
	int r = 0;

	json_array_foreach(list, i, o) if (!r) r = read_rule(f, &z, (uint32_t)i, o, err);
	f->tie = r < 0 ? NULL : calloc(z.n + 1, sizeof(*f->tie));
	if (!r && !f->tie)
		r = err_set(err, ENOMEM, "out of memory");
	if (!r && z.n)
		qsort(z.t, z.n, sizeof(*z.t), by_domain);
	for (i = 0; !r && i < z.n; i++) {
		struct clu_plan_dom *d = &f->dom[z.t[i].dom];
		if (!d->n_ties++)
			d->tie = (uint32_t)i;
		f->tie[i] = z.t[i].tie;
	}
	f->snap.n_tie = (uint32_t)z.n;
	free(z.t);
	return r;
}

static int read_policy(struct simfile *f, json_t *o, struct err *err)
{
	double over, threshold, gain, bw;
	const struct field fields[] = { { "mem_overcommit_pct", 10000, 100, &over },
		                        { "balance_threshold_pct", 100, f->policy.balance_threshold_pct, &threshold },
		                        { "balance_gain_pct", 100, f->policy.balance_gain_pct, &gain },
		                        { "bandwidth_bps", 0x1p60, 0, &bw } };
	int r = numbers(o, "policy", fields, ARRAY_SIZE(fields), err);

	if (r < 0)
		return r;
	f->policy.mem_overcommit_pct = over >= 1 ? (uint32_t)over : 100;
	f->policy.balance_threshold_pct = (uint32_t)threshold;
	f->policy.balance_gain_pct = (uint32_t)gain;
	f->bandwidth_bps = (uint64_t)bw;
	f->has_policy = json_object_get(o, "balance_threshold_pct") || json_object_get(o, "balance_gain_pct");
	return 0;
}

int simfile_read(struct simfile *f, json_t *doc, struct err *err)
{
	json_t *hosts, *domains, *rules;
	size_t n_host, n_dom, n_rule;
	int r;

	*f = (struct simfile){ .doc = doc };
	f->policy.mem_overcommit_pct = 100;
	f->policy.balance_threshold_pct = 20;
	f->policy.balance_gain_pct = 10;
	if (!json_is_object(doc))
		r = err_set(err, EINVAL, "a description is an object with \"hosts\" and \"domains\"");
	else if (!(r = list_of(doc, "hosts", &hosts, &n_host, err)) &&
	         !(r = list_of(doc, "domains", &domains, &n_dom, err)) &&
	         !(r = list_of(doc, "rules", &rules, &n_rule, err))) {
		f->host = calloc(n_host + 1, sizeof(*f->host));
		f->dom = calloc(n_dom + 1, sizeof(*f->dom));
		f->host_name = calloc(n_host + 1, sizeof(*f->host_name));
		f->dom_name = calloc(n_dom + 1, sizeof(*f->dom_name));
		f->host_of = json_object();
		f->dom_of = json_object();
		f->snap.n_host = (uint32_t)n_host;
		if (!f->host || !f->dom || !f->host_name || !f->dom_name || !f->host_of || !f->dom_of)
			r = err_set(err, ENOMEM, "out of memory");
		else if (!(r = read_policy(f, json_object_get(doc, "policy"), err)) &&
		         !(r = read_hosts(f, hosts, err)) && !(r = read_domains(f, domains, err)))
			r = read_rules(f, rules, err);
	}
	f->snap.host = f->host;
	f->snap.dom = f->dom;
	f->snap.tie = f->tie;
	f->snap.row = f->row;
	if (r < 0)
		simfile_done(f);
	return r;
}

void simfile_done(struct simfile *f)
{
	free(f->host);
	free(f->dom);
	free(f->tie);
	free(f->row);
	free(f->host_name);
	free(f->dom_name);
	json_decref(f->host_of);
	json_decref(f->dom_of);
	json_decref(f->doc);
	*f = (struct simfile){ 0 };
}

int simfile_place(struct simfile *f, const char *path, struct err *err)
{
	FILE *in = fopen(path, "re");
	char dom[256], host[256];
	int r = 0;

	if (!in)
		return err_sys(err, errno, "cannot read %s", path);
	while (!r && fscanf(in, "%255s %255s", dom, host) == 2) {
		uint32_t d = find(f->dom_of, dom), h = find(f->host_of, host);
		if (d == CLU_PLAN_ANY || h == CLU_PLAN_ANY)
			r = err_set(err, ENOENT, "%s: no domain %s or no host %s in the description", path, dom, host);
		else
			f->dom[d].host = h;
	}
	fclose(in);
	return r;
}
