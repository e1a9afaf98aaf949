/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The formats of the cluster's records, octet by octet: on disk, on the wire, in JSON and by what orders take. cluformat.golden was
 * written by code that described each of them by hand; CLUFORMAT_NEW=FILE writes it anew, for new commands. What was there before has to
 * stay: only at the end of JSON objects may there be more. And each field of the policy, as its description says (policy.h).
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include <inttypes.h>
#include <jansson.h>
#include "clusterd/core/record.h"
#include "clusterd/io/cluctl_int.h"
#include "clusterd/io/cluwire.h"
#include "common/util.h"

#define CLUSTER       "acme"
#define UUID          "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
#define DOMS          16u
#define S             1000000000ull
#define GOLDEN_POLICY 18 /* fields of the policy that the golden file knows */

static FILE *out;
static struct clu_state *state, *copy;
static uint64_t rng;

static uint64_t rnd(uint64_t n)
{
	rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
	return rng % n;
}

static void words(char (*w)[CLU_WORD_MAX], unsigned max, const char *stem)
{
	unsigned n = (unsigned)rnd(max + 1);

	for (unsigned i = 0; i < n; i++)
		snprintf(w[i], CLU_WORD_MAX, "%s%u", stem, i);
}

/* Filling: each record with random values that it may have ----------------------------------------------------------------- */

/* @news: how many of the fields that came later say something: 0 to 3. */
static void fill_policy(struct clu_policy *p, unsigned news)
{
	clu_policy_default(p); /* and so what is not named here */
	p->admission = (enum clu_admission)rnd(3);
	p->mem_overcommit_pct = 10 + (uint32_t)rnd(990);
	p->restart_max = 1 + (uint32_t)rnd(100);
	p->restart_window_ns = rnd(1000) * S;
	p->backoff_ns = 1 + rnd(10) * S;
	p->backoff_max_ns = 20 * S + rnd(100) * S;
	p->auto_balance = rnd(2);
	p->balance_threshold_pct = (uint32_t)rnd(101);
	p->balance_hold_ns = rnd(100) * S;
	p->balance_gain_pct = (uint32_t)rnd(101);
	p->balance_cooldown_ns = rnd(1000) * S;
	p->moves_max = 1 + (uint32_t)rnd(128);
	p->lease_ns = rnd(2) * (5 * S + rnd(10 * S));
	p->margin_ns = S + rnd(S);
	if (news >= 1)
		p->no_quorum = CLU_NO_QUORUM_SUSPEND;
	if (news >= 2) {
		p->on_shutdown = (enum clu_on_shutdown)rnd(3);
		p->shutdown_ns = 5 * S + rnd(100) * S;
	}
	if (news >= 3) {
		p->stopping_clocks = CLU_STOPPING_CLOCKS_TRUST;
		p->no_quorum = (enum clu_no_quorum)rnd(2);
	}
}

static void fill_cap(struct clu_capacity *c)
{
	*c = (struct clu_capacity){ .mem_bytes = rng,
		                    .cpu_milli = (uint32_t)rnd(1u << 20),
		                    .engines = (uint32_t)rnd(4) };
	for (unsigned i = 0; i < 4; i++)
		c->cpu_bits[i] = rnd(3) ? rnd(UINT64_MAX) : 0;
	words(c->bridge, CLU_BRIDGES_MAX, "br");
	words(c->label, CLU_LABELS_MAX, "label");
}

static void fill_spec(struct clu_spec *s)
{
	*s = (struct clu_spec){ .mem_bytes = rng,
		                .vcpus = (uint32_t)rnd(64),
		                .engine = 1 + (uint32_t)rnd(2),
		                .priority = (int32_t)rnd(2000) - 1000,
		                .order = (uint32_t)rnd(10),
		                .restart_max = (uint32_t)rnd(10),
		                .ha = rnd(2) };
	if (rnd(2))
		snprintf(s->type, sizeof(s->type), "bank-%u", (unsigned)rnd(100));
	words(s->bridge, CLU_BRIDGES_MAX, "br");
}

static void fill_rule(struct clu_rule *r)
{
	*r = (struct clu_rule){ .id = 1 + (uint32_t)rnd(1000),
		                .kind = (enum clu_rule_kind)(1 + rnd(4)),
		                .soft = rnd(2),
		                .never = rnd(2),
		                .n = (uint32_t)rnd(CLU_MEMBERS_MAX + 1) };
	for (unsigned i = 0; i < r->n; i++)
		snprintf(r->member[i], CLU_NAME_MAX, "%s%u", rnd(2) ? "guest" : "label=", i);
}

static void fill_host(struct clu_host *h, uint32_t node, unsigned news)
{
	*h = (struct clu_host){ .node = node,
		                .state = (enum clu_host_state)rnd(4),
		                .boot = rnd(UINT64_MAX),
		                .up_id = rnd(1000),
		                .lost_id = rnd(1000),
		                .lease_ns = rnd(10 * S),
		                .self_fencing = rnd(2),
		                .maintenance = rnd(2),
		                .safe_by = (enum clu_safe_by)rnd(5) };
	h->waited[0] = rnd(2) ? rnd(UINT64_MAX) : 0;
	snprintf(h->name, sizeof(h->name), "host-%u", node);
	fill_cap(&h->cap);
	h->returning = news == 1;
	h->leaving = (enum clu_leaving)(news >= 2 ? rnd(3) : 0);
	h->start_fails = news >= 2 ? 1 + (uint32_t)rnd(5) : 0;
	h->suspect_ns = news >= 2 ? rnd(S) : 0;
	h->clock_stops = news >= 3;
}

static void fill_dom(struct clu_dom *d, unsigned slot, unsigned news)
{
	*d = (struct clu_dom){ .xml_id = rnd(1000),
		               .desired = (enum clu_desired)rnd(2),
		               .phase = (enum clu_phase)rnd(7),
		               .host = (uint32_t)rnd(5),
		               .target = (uint32_t)rnd(5),
		               .generation = rnd(1000),
		               .generation_max = rnd(1000),
		               .op_id = rnd(1000),
		               .rev = rnd(1000),
		               .force = rnd(2),
		               .failures = (uint32_t)rnd(4),
		               .window_ns = rnd(S),
		               .retry_ns = rnd(S),
		               .avoid = (uint32_t)rnd(4) };
	snprintf(d->uuid, sizeof(d->uuid), "00000000-0000-0000-0000-%012u", slot);
	snprintf(d->name, sizeof(d->name), "guest%u", slot);
	snprintf(d->text, sizeof(d->text), "%s", rnd(2) ? "why it is as it is" : "");
	d->unreachable[1] = rnd(2) ? rnd(UINT64_MAX) : 0;
	fill_spec(&d->spec);
	d->home = news == 1 ? 3 : 0;
	for (unsigned i = 0; news >= 2 && i < 1 + (news - 1) * 2; i++) {
		d->failed[0] |= 1ull << i;
		d->fail[i] = (struct clu_fail){ .node = i + 1, .count = 1 + (uint32_t)rnd(5), .until_ns = rnd(S) };
		snprintf(d->fail[i].text, CLU_FAIL_TEXT, "no such disk, the %uth time", i);
	}
}

static void fill_cmd(struct clu_cmd *c, enum clu_cmd_kind kind, unsigned turn)
{
	static struct clu_inventory inv[2] = { { UUID, 4 }, { "00000000-0000-0000-0000-000000000001", 1ull << 33 } };
	static const char *const texts[] = { "", "why, in words", "guest1" };

	*c = (struct clu_cmd){ .kind = kind, .origin = 3, .uuid = UUID, .name = "web1" };
	if (turn) { /* else: as little as there can be */
		*c = (struct clu_cmd){ .kind = kind,
			               .origin = 3,
			               .request = rnd(1000),
			               .time_ns = rnd(UINT64_MAX),
			               .uuid = UUID,
			               .host = (uint32_t)rnd(1000),
			               .target = (uint32_t)rnd(1000),
			               .rev = rnd(1000),
			               .op_id = rnd(1000),
			               .generation = rnd(1000),
			               .result = (enum clu_result)rnd(9),
			               .seen = (enum clu_seen)rnd(6),
			               .desired = (enum clu_desired)rnd(2),
			               .safe_by = (enum clu_safe_by)rnd(4),
			               .on = rnd(2),
			               .leaving = (enum clu_leaving)rnd(3),
			               .name = "web1",
			               .boot = rnd(UINT64_MAX),
			               .lease_ns = rnd(S),
			               .self_fencing = rnd(2),
			               .clock_stops = rnd(2),
			               .inventory = inv,
			               .n_inventory = (uint32_t)rnd(3) };
		c->level = kind == CLU_CMD_LEVEL ? turn : 0;
		snprintf(c->text, sizeof(c->text), "%s", texts[rnd(3)]);
		fill_spec(&c->spec);
		fill_cap(&c->cap);
		fill_rule(&c->rule);
		fill_policy(&c->policy, turn - 1);
		for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++)
			if (f->number > GOLDEN_POLICY)
				clu_policy_set(&c->policy, f, 0); /* as an older node, which does not say it */
	}
}

/* Writing -------------------------------------------------------------------------------------------------------------------- */

static void hex(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%02x", ((const uint8_t *)p)[i]);
	fputc('\n', out);
}

static void policy_line(const char *what, const struct clu_policy *p)
{
	json_t *o = ctl_policy_json(p);
	char *text = json_dumps(o, JSON_COMPACT);

	fprintf(out, "%s %s\n", what, text);
	free(text);
	json_decref(o);
}

static void record(enum clu_object kind, uint32_t slot)
{
	uint8_t a[CLU_RECORD_MAX], b[CLU_RECORD_MAX];
	size_t n = clu_record_pack(state, kind, slot, a);

	assert_true(n > 0);
	fprintf(out, "record %d %u ", (int)kind, slot);
	hex(a, n);
	assert_int_equal(clu_record_unpack(copy, kind, slot, a, n), 0);
	assert_int_equal(clu_record_pack(copy, kind, slot, b), n);
	assert_memory_equal(a, b, n);
}

static void records(void)
{
	for (unsigned i = 0; i < 16; i++) {
		fill_policy(&state->policy, i % 4);
		record(CLU_OBJ_POLICY, 0);
		assert_memory_equal(&state->policy, &copy->policy, sizeof(copy->policy));
		policy_line("show", &state->policy);
	}
	for (unsigned i = 0; i < DOMS; i++) {
		fill_host(&state->host[i], i + 1, i % 4);
		record(CLU_OBJ_HOST, i);
		fill_rule(&state->rule[i]);
		record(CLU_OBJ_RULE, i);
		fill_dom(&state->dom[i], i, i % 4);
		state->n_dom = i + 1;
		record(CLU_OBJ_DOM, i);
		assert_memory_equal(&state->dom[i], &copy->dom[i], sizeof(copy->dom[i]));
		state->epoch = rnd(100), state->index = rnd(1000), state->time_ns = rnd(UINT64_MAX);
		state->promised = 100 + i; /* never goes back */
		state->sum = clu_sum(state);
		record(CLU_OBJ_META, 0);
	}
	assert_int_equal(clu_sum(copy), state->sum);
}

static void wire(void)
{
	static struct clu_msg m;

	for (int k = CLU_CMD_NONE + 1; k < CLU_CMD_MAX; k++) {
		for (unsigned turn = 0; turn < 5; turn++) {
			_cleanup_buf_ struct buf b = { 0 }, again = { 0 };
			struct cluwire w;
			struct err err = { 0 };

			m = (struct clu_msg){ .kind = CLU_MSG_CMD };
			fill_cmd(&m.cmd, (enum clu_cmd_kind)k, turn);
			assert_int_equal(cluwire_pack(&m, CLUSTER, 3, "<domain/>", 9, &b), 0);
			fprintf(out, "wire %d %u ", k, turn);
			hex(b.data, b.len);
			if (cluwire_unpack(b.data, b.len, CLUSTER, 3, &w, &err) < 0)
				fail_msg("%s: %s", clu_cmd_name((enum clu_cmd_kind)k), err.text);
			if (k == CLU_CMD_POLICY) /* what an older node does not say becomes the default */
				policy_line("read", &w.msg.cmd.policy);
			assert_int_equal(cluwire_pack(&w.msg, CLUSTER, 3, w.xml, w.xml_len, &again), 0);
			if (k != CLU_CMD_POLICY || (turn && CLU_POLICY_N == GOLDEN_POLICY))
				assert_true(b.len == again.len && !memcmp(b.data, again.data, b.len));
			cluwire_done(&w);
		}
	}
}

/* What an order may set, and what the state then takes: the keys that it has afterwards. */
static void order(const char *text)
{
	static struct clu_cmd c;
	json_t *set = json_loads(text, 0, NULL), *shown, *v;
	struct clu_changes ch = { 0 };
	struct clu_answer a;
	struct err err = { 0 };
	const char *key;

	assert_non_null(set);
	c = (struct clu_cmd){ .kind = CLU_CMD_POLICY, .origin = 1 };
	clu_policy_default(&c.policy);
	clu_policy_default(&state->policy);
	fprintf(out, "order %s ", text);
	if (ctl_policy_set(&c.policy, set, &err) < 0) {
		fprintf(out, "%s\n", err.text);
	} else {
		clu_apply(state, &c, &ch, &a);
		fprintf(out, "%d %s", a.status, a.text);
		shown = ctl_policy_json(&state->policy);
		json_object_foreach(set, key, v)
		{
			char *is = json_dumps(json_object_get(shown, key), JSON_ENCODE_ANY);

			fprintf(out, " %s", is);
			free(is);
		}
		fputc('\n', out);
		json_decref(shown);
	}
	json_decref(set);
}

static void orders(void)
{
	static const char *const keys[] = {
		"admission",      "mem_overcommit_pct", "restart_max",        "restart_window_s",
		"backoff_s",      "backoff_max_s",      "auto_balance",       "balance_threshold_pct",
		"balance_hold_s", "balance_gain_pct",   "balance_cooldown_s", "moves_max",
		"lease_s",        "margin_s",           "no_quorum",          "stopping_clocks",
		"on_shutdown",    "shutdown_s",         "no_such_key"
	};
	static const char *const values[] = { "0",
		                              "1",
		                              "2",
		                              "0.05",
		                              "0.1",
		                              "0.4",
		                              "0.5",
		                              "0.9",
		                              "3.5",
		                              "4",
		                              "5",
		                              "4.9",
		                              "9",
		                              "10",
		                              "59",
		                              "100",
		                              "101",
		                              "128",
		                              "129",
		                              "1000",
		                              "1001",
		                              "3600",
		                              "3601",
		                              "1000000",
		                              "1000001",
		                              "10000000",
		                              "10000001",
		                              "-1",
		                              "1e300",
		                              "true",
		                              "false",
		                              "null",
		                              "[]",
		                              "\"\"",
		                              "\"off\"",
		                              "\"warn\"",
		                              "\"refuse\"",
		                              "\"stop\"",
		                              "\"suspend\"",
		                              "\"fence\"",
		                              "\"trust\"",
		                              "\"drain\"",
		                              "\"shutdown\"",
		                              "\"drai\"",
		                              "\"drainx\"" };
	static const char *const pairs[] = {
		"{}",
		"[]",
		"{\"no_quorum\":\"suspend\",\"margin_s\":0.4}",
		"{\"no_quorum\":\"suspend\",\"lease_s\":3.5}",
		"{\"no_quorum\":\"suspend\",\"lease_s\":4,\"margin_s\":0.5}",
		"{\"no_quorum\":\"suspend\",\"lease_s\":3.5,\"shutdown_s\":4}",
		"{\"backoff_s\":20,\"backoff_max_s\":19.5}",
		"{\"backoff_s\":100,\"backoff_max_s\":100,\"shutdown_s\":5,\"on_shutdown\":\"stop\"}",
		"{\"shutdown_s\":4,\"moves_max\":0}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			_cleanup_free_ char *text = xasprintf("{\"%s\":%s}", keys[i], values[v]);

			order(text);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		order(pairs[i]);
}

static struct clu_state *state_new(void)
{
	struct clu_state *s = calloc(1, sizeof(*s));

	clu_state_init(s, calloc(DOMS, sizeof(struct clu_dom)), DOMS);
	return s;
}

static void state_free(struct clu_state *s)
{
	free(s->dom);
	free(s);
}

static void test_as_ever(void **unused)
{
	_cleanup_free_ char *golden = xasprintf("%s/tests/unit/cluformat.golden", getenv("top_srcdir") ?: "."),
			    *now = NULL;
	const char *to = getenv("CLUFORMAT_NEW");
	char line[16384];
	size_t len = 0, at = 0;
	unsigned n = 0;
	FILE *f;
	(void)unused;

	rng = 88172645463325252ull;
	state = state_new(), copy = state_new();
	out = open_memstream(&now, &len);
	assert_non_null(out);
	policy_line("default", &state->policy);
	records();
	wire();
	orders();
	fclose(out);
	state_free(state);
	state_free(copy);
	f = fopen(to ?: golden, to ? "w" : "r");
	assert_non_null(f);
	if (to)
		assert_int_equal(fwrite(now, 1, len, f), len);
	while (!to && fgets(line, sizeof(line), f)) {
		size_t same = strcspn(line, "\n");

		n++;
		if (same && line[same - 1] == '}' && strstr(line, " {\"admission\""))
			same--; /* later fields may follow */
		if (strncmp(now + at, line, same) != 0)
			fail_msg("line %u of %s is now %.*s, not %s", n, golden, (int)strcspn(now + at, "\n"), now + at,
			         line);
		at += strcspn(now + at, "\n") + 1;
		assert_true(at <= len);
	}
	fclose(f);
	assert_true(to || at == len);
}

/* What engines of a host are builds of, which came in version 4 of its record: only then that one is written, and there is one form of it. */
static void test_builds(void **unused)
{
	uint8_t a[CLU_RECORD_MAX], b[CLU_RECORD_MAX];
	size_t n, less;
	(void)unused;

	rng = 88172645463325252ull;
	state = state_new(), copy = state_new();
	for (unsigned i = 0; i < 8; i++) {
		fill_host(&state->host[i], i + 1, i % 4);
		less = clu_record_pack(state, CLU_OBJ_HOST, i, a);
		assert_int_equal(a[0], i % 4 == 0 ? 1 : i % 4 == 3 ? 3 : 2);
		strcpy(state->host[i].cap.build[i % CLU_BUILDS_MAX], "qemu 7.2.22 tcg");
		n = clu_record_pack(state, CLU_OBJ_HOST, i, a);
		assert_int_equal(a[0], 4);
		assert_true(n > less);
		assert_int_equal(clu_record_unpack(copy, CLU_OBJ_HOST, i, a, n), 0);
		assert_memory_equal(&state->host[i].cap, &copy->host[i].cap, sizeof(state->host[i].cap));
		assert_int_equal(copy->host[i].clock_stops, i % 4 == 3);
		assert_int_equal(clu_record_pack(copy, CLU_OBJ_HOST, i, b), n);
		assert_memory_equal(a, b, n);
		for (size_t cut = 1; cut < n; cut++)
			assert_true(clu_record_unpack(copy, CLU_OBJ_HOST, i, a, cut) < 0);
		/* said in version 4 without need */
		memset(a + n - CLU_BUILDS_MAX * 2 - 15, 0, CLU_BUILDS_MAX * 2);
		assert_true(clu_record_unpack(copy, CLU_OBJ_HOST, i, a, n - 15) < 0);
		a[0] = 5;
		assert_true(clu_record_unpack(copy, CLU_OBJ_HOST, i, a, n) < 0);
	}
	state_free(state);
	state_free(copy);
}

/* The policy by its description ------------------------------------------------------------------------------------------------ */

static void schema(const char *name, unsigned number, enum clu_field_kind kind)
{
	static const ProtobufCType types[] = { [CLU_FIELD_FLAG] = PROTOBUF_C_TYPE_BOOL,
		                               [CLU_FIELD_U32] = PROTOBUF_C_TYPE_UINT32,
		                               [CLU_FIELD_NS] = PROTOBUF_C_TYPE_FIXED64,
		                               [CLU_FIELD_WORD] = PROTOBUF_C_TYPE_UINT32 };
	const ProtobufCFieldDescriptor *d =
		protobuf_c_message_descriptor_get_field_by_name(&hospes__clu__policy__descriptor, name);

	if (!d || d->id != number || d->type != types[kind] || d->label != PROTOBUF_C_LABEL_NONE)
		fail_msg("proto/policy.proto has another %s than clusterd/core/policy.h", name);
}

static void test_schema(void **unused)
{
	(void)unused;
#define SCHEMA(number, since, kind, name, ...) schema(#name, number, CLU_FIELD_##kind);
	CLU_POLICY_FIELDS(SCHEMA)
	assert_int_equal(hospes__clu__policy__descriptor.n_fields, CLU_POLICY_N);
}

/* The messages of the other records have their fields, in the same order. */
enum record_kind { U64, U32, I32, FLAG, ENUM, TEXT, BITS, WORDS, MEMBERS };

static void field_of(const ProtobufCMessageDescriptor *of, unsigned *i, enum record_kind kind, const char *name)
{
	static const ProtobufCType types[] = {
		[U64] = PROTOBUF_C_TYPE_FIXED64,  [U32] = PROTOBUF_C_TYPE_UINT32,   [I32] = PROTOBUF_C_TYPE_SINT32,
		[FLAG] = PROTOBUF_C_TYPE_BOOL,    [ENUM] = PROTOBUF_C_TYPE_UINT32,  [TEXT] = PROTOBUF_C_TYPE_STRING,
		[BITS] = PROTOBUF_C_TYPE_FIXED64, [WORDS] = PROTOBUF_C_TYPE_STRING, [MEMBERS] = PROTOBUF_C_TYPE_STRING
	};
	_cleanup_free_ char *want = xasprintf("%s%s", name, kind >= WORDS ? "s" : "");
	const ProtobufCFieldDescriptor *d = &of->fields[*i];

	if (*i >= of->n_fields || strcmp(d->name, want) != 0 || d->id != *i + 1 || d->type != types[kind] ||
	    (d->label == PROTOBUF_C_LABEL_REPEATED) != (kind >= BITS))
		fail_msg("%s of proto/cluster.proto has another %s than clusterd/core/record.h", of->short_name, want);
	++*i;
}

static void test_messages(void **unused)
{
	unsigned spec = 0, cap = 0, rule = 0;
	(void)unused;

#define SPEC(kind, name, ...) field_of(&hospes__clu__spec__descriptor, &spec, kind, #name);
	CLU_SPEC_FIELDS(SPEC)
	SPEC(FLAG, cpu_named) /* of version 3 of a domain's record */
#define CAP(kind, name, ...) field_of(&hospes__clu__capacity__descriptor, &cap, kind, #name);
	CLU_CAPACITY_FIELDS(CAP)
	CLU_CAPACITY_FIELDS_4(CAP)
#define RULE(kind, name, ...) field_of(&hospes__clu__rule__descriptor, &rule, kind, #name);
	CLU_RULE_FIELDS(RULE)
	CLU_RULE_FIELDS_2(RULE)
	assert_int_equal(spec, hospes__clu__spec__descriptor.n_fields);
	assert_int_equal(cap, hospes__clu__capacity__descriptor.n_fields);
	assert_int_equal(rule, hospes__clu__rule__descriptor.n_fields);
}

/* A line that breaks one of these would break older nodes, or could not be said on the wire. */
static void test_lines(void **unused)
{
	(void)unused;
	for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++) {
		bool zero_is_default = f->otherwise == 0 || (f->min > 0 && !f->or_zero);

		if (!f->number || !f->since || f->min > f->max || (f->since > 1 && !zero_is_default))
			fail_msg("%s: its line makes no sense", f->key);
		if ((f->otherwise < f->min && !(f->or_zero && !f->otherwise)) || f->otherwise > f->max)
			fail_msg("%s: the default is out of range", f->key);
		for (uint64_t v = 0; f->kind == CLU_FIELD_WORD && v <= f->max; v++)
			assert_true(v < ARRAY_SIZE(f->word) && f->word[v]);
		for (const struct clu_policy_field *g = clu_policy_field; g < CLU_POLICY_END; g++)
			if (f != g && (f->number == g->number || !strcmp(f->key, g->key) ||
			               (f->since > g->since && f->number < g->number)))
				fail_msg("%s and %s: a number or key twice, or a later field with a lower number",
				         f->key, g->key);
	}
}

static void goes_round(const struct clu_policy_field *f, uint64_t v)
{
	static struct clu_msg m;
	_cleanup_buf_ struct buf b = { 0 };
	struct clu_policy p;
	struct cluwire w;
	struct err err = { 0 };
	uint8_t octets[CLU_RECORD_MAX];
	json_t *o, *set = json_object();
	size_t n;

	clu_policy_default(&state->policy);
	clu_policy_set(&state->policy, f, v);
	assert_int_equal(clu_policy_get(&state->policy, f), v);
	assert_null(clu_policy_wrong(&state->policy));
	n = clu_record_pack(state, CLU_OBJ_POLICY, 0, octets);
	assert_int_equal(octets[0], v == f->otherwise ? 1 : f->since);
	assert_int_equal(clu_record_unpack(copy, CLU_OBJ_POLICY, 0, octets, n), 0);
	assert_memory_equal(&copy->policy, &state->policy, sizeof(p));

	m = (struct clu_msg){ .kind = CLU_MSG_CMD, .cmd = { .kind = CLU_CMD_POLICY, .policy = state->policy } };
	assert_int_equal(cluwire_pack(&m, CLUSTER, 3, NULL, 0, &b), 0);
	assert_int_equal(cluwire_unpack(b.data, b.len, CLUSTER, 3, &w, NULL), 0);
	assert_memory_equal(&w.msg.cmd.policy, &state->policy, sizeof(p));
	cluwire_done(&w);

	o = ctl_policy_json(&state->policy);
	(void)json_object_set(set, f->key, json_object_get(o, f->key));
	clu_policy_default(&p);
	assert_int_equal(ctl_policy_set(&p, set, &err), 0);
	assert_int_equal(clu_policy_get(&p, f), v);
	json_decref(o);
	json_decref(set);
}

static void test_each_field(void **unused)
{
	(void)unused;
	state = state_new(), copy = state_new();
	for (const struct clu_policy_field *f = clu_policy_field; f < CLU_POLICY_END; f++) {
		goes_round(f, f->otherwise);
		goes_round(f, f->min);
		goes_round(f, f->max);
		clu_policy_default(&state->policy);
		if (f->kind != CLU_FIELD_FLAG) {
			clu_policy_set(&state->policy, f, f->max + 1);
			assert_ptr_equal(clu_policy_wrong(&state->policy), f);
		}
		if (f->min) {
			clu_policy_set(&state->policy, f, f->min - 1);
			assert_ptr_equal(clu_policy_wrong(&state->policy), f->min == 1 && f->or_zero ? NULL : f);
		}
	}
	state_free(state);
	state_free(copy);
}

static void test_manual(void **unused)
{
	_cleanup_free_ char *path = xasprintf("%s/docs/man/vmclus.8", getenv("top_srcdir") ?: "."),
			    *text = calloc(1, 1 << 20);
	FILE *f = fopen(path, "r");
	(void)unused;

	assert_non_null(f);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	for (const struct clu_policy_field *p = clu_policy_field; p < CLU_POLICY_END; p++) {
		const char *at = strstr(text, ".It Cm policy\n");

		while (at && (at = strstr(at + 1, p->key)) && (at[-1] != ' ' || !strchr(" \n", at[strlen(p->key)])))
			;
		if (!at)
			fail_msg("%s says nothing of %s", path, p->key);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_as_ever), cmocka_unit_test(test_builds),
		                                   cmocka_unit_test(test_schema),  cmocka_unit_test(test_messages),
		                                   cmocka_unit_test(test_lines),   cmocka_unit_test(test_each_field),
		                                   cmocka_unit_test(test_manual) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
