/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The codec of the cluster's messages: every kind goes round, odd and hostile input is refused with a reason, snapshots are whole. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "clusterd/io/nodeio_int.h"

#define CLUSTER "acme"
#define UUID    "c7a5fdbd-cdaf-9455-926a-d65c16db1809"

static struct clu_msg *m; /* too big for the stack of a test */

static int setup(void **state)
{
	(void)state;
	m = calloc(1, sizeof(*m));
	return m ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(m);
	return 0;
}

/* Pack @m, unpack it again; the result is the caller's. */
static void round_trip(const char *xml, size_t xml_len, struct cluwire *w)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct err err = { 0 };

	assert_int_equal(cluwire_pack(m, CLUSTER, 3, xml, xml_len, &b), 0);
	if (cluwire_unpack(b.data, b.len, CLUSTER, 3, w, &err) < 0)
		fail_msg("kind %d: %s", (int)m->kind, err.text);
	assert_int_equal(w->msg.kind, m->kind);
	assert_int_equal(w->msg.from, 3);
}

static void test_views(void **state)
{
	struct cluwire w;
	static const enum clu_msg_kind kinds[] = { CLU_MSG_HELLO, CLU_MSG_OPEN, CLU_MSG_PROMISE, CLU_MSG_SYNCED,
		                                   CLU_MSG_RESYNC };
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		memset(m, 0, sizeof(*m));
		m->kind = kinds[i];
		m->ring = 1ull << 60, m->members_sum = 0xfeedface, m->epoch = 7, m->index = 1ull << 40, m->sum = ~0ull;
		m->boot = 0x1234567890abcdef, m->promised = 9, m->seq = 77, m->source = 2;
		m->level = 3, m->idle_ns = 11, m->await_ns[0] = 12, m->await_ns[127] = 1ull << 50;
		m->said[0] = 5, m->said[1] = 1ull << 63, m->behind[1] = 8;
		round_trip(NULL, 0, &w);
		assert_int_equal(w.msg.ring, m->ring);
		if (m->kind == CLU_MSG_HELLO || m->kind == CLU_MSG_SYNCED)
			assert_int_equal(w.msg.level, 3);
		assert_int_equal(w.msg.members_sum, m->members_sum);
		if (m->kind != CLU_MSG_RESYNC)
			assert_int_equal(w.msg.epoch, 7);
		else
			assert_int_equal(w.msg.seq, 77);
		if (m->kind == CLU_MSG_HELLO) {
			assert_int_equal(w.msg.boot, m->boot);
			assert_int_equal(w.msg.promised, 9);
			assert_int_equal(w.msg.sum, m->sum);
			assert_int_equal(w.msg.idle_ns, 11);
			assert_memory_equal(w.msg.await_ns, m->await_ns, sizeof(m->await_ns));
		}
		if (m->kind == CLU_MSG_OPEN) {
			assert_int_equal(w.msg.source, 2);
			assert_memory_equal(w.msg.said, m->said, sizeof(m->said));
			assert_memory_equal(w.msg.behind, m->behind, sizeof(m->behind));
		}
		cluwire_done(&w);
	}
}

static void test_beat(void **state)
{
	struct cluwire w;
	(void)state;

	memset(m, 0, sizeof(*m));
	m->kind = CLU_MSG_BEAT;
	m->epoch = 3, m->index = 9, m->sum = 11, m->boot = 5, m->seq = 1000, m->lease_ns = 5000000000;
	m->ack_boot[0] = 1, m->ack_seq[0] = 2, m->ack_boot[127] = 3, m->ack_seq[127] = 1ull << 50;
	round_trip(NULL, 0, &w);
	assert_memory_equal(w.msg.ack_boot, m->ack_boot, sizeof(m->ack_boot));
	assert_memory_equal(w.msg.ack_seq, m->ack_seq, sizeof(m->ack_seq));
	assert_int_equal(w.msg.lease_ns, m->lease_ns);
	assert_int_equal(w.msg.seq, 1000);
	assert_int_equal(w.msg.sum, 11);
	cluwire_done(&w);
}

/* A command of each kind with every field that any kind has; the fields of its own kind come back. */
static void fill_command(enum clu_cmd_kind kind)
{
	static struct clu_inventory inv[3] = { { UUID, 4 },
		                               { "00000000-0000-0000-0000-000000000001", 1ull << 33 },
		                               { UUID, 6 } };
	struct clu_cmd *c = &m->cmd;

	memset(m, 0, sizeof(*m));
	m->kind = CLU_MSG_CMD;
	*c = (struct clu_cmd){ .kind = kind,
		               .origin = 3,
		               .request = 99,
		               .time_ns = 1ull << 61,
		               .uuid = UUID,
		               .host = 4,
		               .target = 5,
		               .rev = 6,
		               .op_id = 7,
		               .generation = 8,
		               .result = CLU_RESULT_KEPT,
		               .seen = CLU_SEEN_ENDED,
		               .desired = CLU_DESIRED_RUNNING,
		               .safe_by = CLU_SAFE_AGENT,
		               .on = true,
		               .name = "web1",
		               .text = "why, in words",
		               .boot = 10,
		               .lease_ns = 11,
		               .self_fencing = true,
		               .leaving = CLU_LEAVING_ENDING,
		               .clock_stops = true,
		               .witness = true,
		               .level = 12,
		               .needs = 13 };
	c->spec = (struct clu_spec){ .mem_bytes = 1 << 28,
		                     .cpu_named = true,
		                     .vcpus = 1,
		                     .engine = 1,
		                     .priority = -5,
		                     .order = 3,
		                     .restart_max = 2,
		                     .ha = true,
		                     .type = "bank-a",
		                     .bridge = { "br0", "br1" } };
	c->cap = (struct clu_capacity){ .mem_bytes = 1ull << 36,
		                        .cpu_milli = 64000,
		                        .engines = 3,
		                        .cpu_bits = { 1, ~0ull, 3, 4 },
		                        .bridge = { "br0" },
		                        .label = { "ssd", "rack1" },
		                        .build = { "qemu 7.2.22 tcg", "kvm 7.2.22 kvm" } };
	c->rule = (struct clu_rule){ .id = 12,
		                     .kind = CLU_RULE_HOSTS,
		                     .soft = true,
		                     .never = true,
		                     .n = 3,
		                     .member = { "web1", "host-a", "label=ssd" } };
	clu_policy_default(&c->policy);
	c->policy.lease_ns = 7000000000;
	c->policy.auto_balance = true;
	c->policy.no_quorum = CLU_NO_QUORUM_SUSPEND;
	c->policy.on_shutdown = CLU_ON_SHUTDOWN_STOP;
	c->policy.shutdown_ns = 30000000000;
	c->policy.stopping_clocks = CLU_STOPPING_CLOCKS_TRUST;
	c->inventory = inv;
	c->n_inventory = 3;
}

static void test_commands(void **state)
{
	static const char xml[] = "<domain/>";
	(void)state;

	for (int k = CLU_CMD_NONE + 1; k < CLU_CMD_MAX; k++) {
		struct cluwire w;

		fill_command((enum clu_cmd_kind)k);
		round_trip(xml, sizeof(xml) - 1, &w);
		const struct clu_cmd *a = &m->cmd, *b = &w.msg.cmd;
		assert_int_equal(a->kind, b->kind);
		assert_int_equal(a->origin, b->origin);
		assert_string_equal(a->uuid, b->uuid);
		assert_string_equal(a->text, b->text);
		assert_true(a->request == b->request && a->time_ns == b->time_ns && a->host == b->host &&
		            a->target == b->target && a->rev == b->rev && a->op_id == b->op_id &&
		            a->generation == b->generation && a->result == b->result && a->seen == b->seen &&
		            a->desired == b->desired && a->safe_by == b->safe_by && a->on == b->on &&
		            a->boot == b->boot && a->lease_ns == b->lease_ns && a->self_fencing == b->self_fencing &&
		            a->leaving == b->leaving && a->clock_stops == b->clock_stops && a->witness == b->witness &&
		            a->level == b->level && a->needs == b->needs);
		if (k == CLU_CMD_DEFINE) {
			assert_memory_equal(&a->spec, &b->spec, sizeof(a->spec));
			assert_int_equal(w.xml_len, sizeof(xml) - 1);
			assert_memory_equal(w.xml, xml, w.xml_len);
		}
		if (k == CLU_CMD_HOST_UP) {
			assert_memory_equal(&a->cap, &b->cap, sizeof(a->cap));
			assert_int_equal(b->n_inventory, 3);
			assert_memory_equal(a->inventory, b->inventory, 3 * sizeof(a->inventory[0]));
		} else {
			assert_int_equal(b->n_inventory, 0);
		}
		if (k == CLU_CMD_RULE_ADD)
			assert_memory_equal(&a->rule, &b->rule, sizeof(a->rule));
		if (k == CLU_CMD_POLICY)
			assert_memory_equal(&a->policy, &b->policy, sizeof(a->policy));
		cluwire_done(&w);
	}
}

/* What is not to be taken: each case bends one thing of a good DEFINE. */
struct bend {
	const char *what;
	void (*bend)(Hospes__Clu__Envelope *e);
	int want;
};
static char long_text[CLU_TEXT_MAX + 1];
static void bend_none(Hospes__Clu__Envelope *e)
{
	(void)e;
}
static void bend_version(Hospes__Clu__Envelope *e)
{
	e->version = 2;
}
static void bend_version0(Hospes__Clu__Envelope *e)
{
	e->version = 0;
}
static void bend_cluster(Hospes__Clu__Envelope *e)
{
	e->cluster = (char *)"other";
}
static void bend_node(Hospes__Clu__Envelope *e)
{
	e->node = 4;
}
static void bend_kind(Hospes__Clu__Envelope *e)
{
	e->command->kind = CLU_CMD_MAX;
}
static void bend_kind0(Hospes__Clu__Envelope *e)
{
	e->command->kind = 0;
}
static void bend_name(Hospes__Clu__Envelope *e)
{
	e->command->name = (char *)"../etc";
}
static void bend_uuid(Hospes__Clu__Envelope *e)
{
	e->command->uuid = (char *)"short";
}
static void bend_uuid_case(Hospes__Clu__Envelope *e)
{
	e->command->uuid = (char *)"C7A5FDBD-cdaf-9455-926a-d65c16db1809";
}
static void bend_no_uuid(Hospes__Clu__Envelope *e)
{
	e->command->uuid = (char *)"";
}
static void bend_text(Hospes__Clu__Envelope *e)
{
	memset(long_text, 'x', CLU_TEXT_MAX), e->command->text = long_text;
}
static void bend_no_spec(Hospes__Clu__Envelope *e)
{
	e->command->spec = NULL;
}
static void bend_type(Hospes__Clu__Envelope *e)
{
	e->command->spec->type = (char *)"a-word-that-is-much-too-long-for-a-type";
}
static void bend_no_xml(Hospes__Clu__Envelope *e)
{
	e->command->xml.len = 0;
}
static void bend_xml_nul(Hospes__Clu__Envelope *e)
{
	e->command->xml.data = (uint8_t *)"<dom\0in/>";
}
static void bend_result(Hospes__Clu__Envelope *e)
{
	e->command->result = 9;
}
static void bend_seen(Hospes__Clu__Envelope *e)
{
	e->command->seen = 6;
}
static void bend_desired(Hospes__Clu__Envelope *e)
{
	e->command->desired = 2;
}
static void bend_safe(Hospes__Clu__Envelope *e)
{
	e->command->safe_by = 4;
}
static void bend_leaving(Hospes__Clu__Envelope *e)
{
	e->command->leaving = 3;
}

static void test_refused(void **state)
{
	static const struct bend cases[] = {
		{ "as it should be", bend_none, 0 },
		{ "version 2", bend_version, -EPROTONOSUPPORT },
		{ "version 0", bend_version0, -EPROTONOSUPPORT },
		{ "another cluster", bend_cluster, -EXDEV },
		{ "another sender", bend_node, -EPERM },
		{ "unknown command", bend_kind, -EPROTO },
		{ "no command", bend_kind0, -EPROTO },
		{ "name with a path", bend_name, -EPROTO },
		{ "short uuid", bend_uuid, -EPROTO },
		{ "upper-case uuid", bend_uuid_case, -EPROTO },
		{ "no uuid", bend_no_uuid, -EPROTO },
		{ "long text", bend_text, -EPROTO },
		{ "no spec", bend_no_spec, -EPROTO },
		{ "long type", bend_type, -EPROTO },
		{ "no XML", bend_no_xml, -EPROTO },
		{ "XML with a NUL", bend_xml_nul, -EPROTO },
		{ "unknown result", bend_result, -EPROTO },
		{ "unknown seen", bend_seen, -EPROTO },
		{ "unknown desired", bend_desired, -EPROTO },
		{ "unknown safe_by", bend_safe, -EPROTO },
		{ "unknown leaving", bend_leaving, -EPROTO },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		Hospes__Clu__Envelope e = HOSPES__CLU__ENVELOPE__INIT;
		Hospes__Clu__Command c = HOSPES__CLU__COMMAND__INIT;
		Hospes__Clu__Spec spec = HOSPES__CLU__SPEC__INIT;
		uint8_t octets[4096];
		struct cluwire w;
		struct err err = { 0 };

		e.version = CLUWIRE_VERSION, e.cluster = (char *)CLUSTER, e.node = 3;
		e.body_case = HOSPES__CLU__ENVELOPE__BODY_COMMAND;
		e.command = &c;
		c.kind = CLU_CMD_DEFINE, c.uuid = (char *)UUID, c.name = (char *)"web1", c.spec = &spec;
		c.xml = (ProtobufCBinaryData){ .len = 9, .data = (uint8_t *)"<domain/>" };
		cases[i].bend(&e);
		size_t len = hospes__clu__envelope__pack(&e, octets);
		assert_true(len <= sizeof(octets));
		int r = cluwire_unpack(octets, len, CLUSTER, 3, &w, &err);
		if (r != cases[i].want)
			fail_msg("%s: %d, %s", cases[i].what, r, err.text);
		assert_true(r == 0 || (err.text[0] && !w.env));
		cluwire_done(&w);
	}
}

static void test_octets(void **state)
{
	/* version 1, cluster "acme", node 3, body 99 */
	static const uint8_t body99[] = { 0x08, 1, 0x12, 4, 'a', 'c', 'm', 'e', 0x18, 3, 0x9a, 0x06, 0 };
	/* the same with Promise {} and an unknown field 77 behind: skipped */
	static const uint8_t extra[] = { 0x08, 1, 0x12, 4, 'a', 'c', 'm', 'e', 0x18, 3, 0x9a, 0x01, 0, 0xe8, 0x04, 5 };
	_cleanup_free_ uint8_t *big = calloc(1, CLUWIRE_MAX + 1);
	struct cluwire w;
	(void)state;

	assert_int_equal(cluwire_unpack(body99, sizeof(body99), CLUSTER, 3, &w, NULL), -EPROTO);
	assert_int_equal(cluwire_unpack(extra, sizeof(extra), CLUSTER, 3, &w, NULL), 0);
	assert_int_equal(w.msg.kind, CLU_MSG_PROMISE);
	cluwire_done(&w);
	for (size_t n = 0; n < 12; n++)
		assert_true(cluwire_unpack(extra, n, CLUSTER, 3, &w, NULL) < 0);
	assert_int_equal(cluwire_unpack(big, CLUWIRE_MAX + 1, CLUSTER, 3, &w, NULL), -EMSGSIZE);
	assert_int_equal(cluwire_unpack(big, CLUWIRE_MAX, CLUSTER, 3, &w, NULL), -EPROTO);
}

static void test_too_big(void **state)
{
	_cleanup_free_ char *xml = malloc(CLUWIRE_MAX);
	_cleanup_buf_ struct buf b = { 0 };
	struct cluwire w;
	(void)state;

	memset(xml, 'x', CLUWIRE_MAX);
	fill_command(CLU_CMD_DEFINE);
	assert_int_equal(cluwire_pack(m, CLUSTER, 3, xml, CLUWIRE_MAX, &b), -E2BIG);
	assert_int_equal(b.len, 0);
	assert_int_equal(cluwire_pack(m, CLUSTER, 3, xml, CLUWIRE_XML_MAX, &b), 0);
	assert_int_equal(cluwire_unpack(b.data, b.len, CLUSTER, 3, &w, NULL), 0);
	cluwire_done(&w);
	buf_reset(&b);
	assert_int_equal(cluwire_pack(m, CLUSTER, 3, xml, CLUWIRE_XML_MAX + 1, &b), 0);
	assert_int_equal(cluwire_unpack(b.data, b.len, CLUSTER, 3, &w, NULL), -EPROTO);
}

/* Snapshots ------------------------------------------------------------------------------------------------------------ */

#define DOMS 700u
static struct clu_state *from, *to;

struct sink {
	struct buf part[64];
	unsigned n, fail_at;
};

static struct clu_state *state_new(void)
{
	struct clu_state *s = calloc(1, sizeof(*s));

	clu_state_init(s, calloc(CLU_DOMS_MAX, sizeof(struct clu_dom)), CLU_DOMS_MAX);
	return s;
}

static void state_free(struct clu_state *s)
{
	free(s->dom);
	free(s);
}

static const char *text_of(void *arg, uint32_t slot, size_t *ret_len)
{
	/* one letter again and again, from a table of them */
	static char xml[26][CLUWIRE_XML_MAX];

	(void)arg;
	if (slot % 50 == 49)
		return NULL;
	memset(xml[slot % 26], 'a' + (char)(slot % 26), sizeof(xml[0]));
	*ret_len = slot == 7 ? CLUWIRE_XML_MAX : 2000 + slot;
	return xml[slot % 26];
}

static int take_part(void *arg, struct buf *octets)
{
	struct sink *s = arg;

	if (s->n + 1 == s->fail_at)
		return -ENOBUFS;
	assert_true(s->n < ARRAY_SIZE(s->part));
	assert_true(octets->len <= CLUWIRE_MAX);
	s->part[s->n++] = *octets;
	*octets = (struct buf){ 0 };
	return 0;
}

static void sink_done(struct sink *s)
{
	for (unsigned i = 0; i < s->n; i++)
		buf_done(&s->part[i]);
	s->n = 0;
}

static int snapshot_setup(void **state)
{
	static uint32_t node[] = { 1, 2, 3 };
	static char name[3][CLU_NAME_MAX] = { "host-a", "host-b", "host-c" };
	struct clu_changes ch = { 0 };
	struct clu_answer a;

	if (setup(state) < 0)
		return -1;
	from = state_new(), to = state_new();
	clu_nodes_set(from, node, name, 3);
	clu_apply_epoch(from, 4);
	for (uint32_t i = 0; i < DOMS; i++) {
		fill_command(CLU_CMD_DEFINE);
		snprintf(m->cmd.uuid, sizeof(m->cmd.uuid), "00000000-0000-0000-0000-%012u", i);
		snprintf(m->cmd.name, sizeof(m->cmd.name), "d%u", i);
		clu_apply(from, &m->cmd, &ch, &a);
		assert_int_equal(a.status, 0);
	}
	fill_command(CLU_CMD_RULE_ADD);
	clu_apply(from, &m->cmd, &ch, &a);
	return a.status;
}

static int snapshot_teardown(void **state)
{
	state_free(from);
	state_free(to);
	return teardown(state);
}

static void test_snapshot(void **state)
{
	struct sink s = { .n = 0 };
	unsigned texts = 0, records = 0;
	(void)state;

	assert_int_equal(cluwire_snapshot(from, 2, 9, CLUSTER, 1, text_of, take_part, &s), 0);
	assert_true(s.n > 3);
	for (unsigned i = 0; i < s.n; i++) {
		struct cluwire w;
		struct err err = { 0 };

		if (cluwire_unpack(s.part[i].data, s.part[i].len, CLUSTER, 1, &w, &err) < 0)
			fail_msg("part %u: %s", i, err.text);
		const Hospes__Clu__Snapshot *p = w.env->snapshot;
		assert_int_equal(p->part, i);
		assert_int_equal(p->last, i + 1 == s.n);
		assert_int_equal(w.msg.to, 2);
		assert_int_equal(w.msg.seq, 9);
		assert_int_equal(w.msg.index, from->index);
		for (size_t k = 0; k < p->n_records; k++)
			assert_int_equal(clu_record_unpack(to, (enum clu_object)p->records[k]->kind,
			                                   p->records[k]->slot, p->records[k]->data.data,
			                                   p->records[k]->data.len),
			                 0);
		for (size_t k = 0; k < p->n_texts; k++) {
			size_t len = 0;
			uint32_t slot = 0;

			while (from->dom[slot].xml_id != p->texts[k]->id)
				slot++;
			const char *want = text_of(NULL, slot, &len);
			assert_int_equal(p->texts[k]->xml.len, len);
			assert_memory_equal(p->texts[k]->xml.data, want, len);
		}
		texts += (unsigned)p->n_texts;
		records += (unsigned)p->n_records;
		cluwire_done(&w);
	}
	assert_int_equal(texts, DOMS - DOMS / 50);
	assert_int_equal(records, DOMS + 3 + 1 + 2);
	assert_int_equal(to->sum, from->sum);
	assert_int_equal(clu_sum(to), from->sum);
	assert_int_equal(to->index, from->index);
	sink_done(&s);
}

static void test_snapshot_fails(void **state)
{
	struct sink s = { .fail_at = 2 };
	int r = 0;
	(void)state;

	assert_int_equal(cluwire_snapshot(from, 0, 0, CLUSTER, 1, text_of, take_part, &s), -ENOBUFS);
	sink_done(&s);
	s.fail_at = 0;
	FOR_EACH_ALLOC_FAILURE(r = cluwire_snapshot(from, 0, 0, CLUSTER, 1, text_of, take_part, &s))
	{
		assert_int_equal(r, alloc_failed ? -ENOMEM : 0);
		sink_done(&s);
	}
}

/* A text under the same number may be another one: of a command that was applied here, and never committed. */
static void test_snapshot_brings_its_texts(void **state)
{
	struct sink s = { .n = 0 };
	struct nodeio *n = calloc(1, sizeof(*n));
	(void)state;

	n->s = to;
	n->text = calloc(CLU_DOMS_MAX, sizeof(n->text[0]));
	n->node.behind = true;
	n->cfg.node = 2, n->cfg.n_nodes = 3;
	for (uint32_t i = 0; i < 3; i++) {
		n->cfg.id[i] = from->host[i].node;
		memcpy(n->cfg.name[i], from->host[i].name, CLU_NAME_MAX);
	}
	nodeio_text_put(n, 3, from->dom[3].xml_id, "<another/>", 10);
	assert_int_equal(cluwire_snapshot(from, 2, 9, CLUSTER, 1, text_of, take_part, &s), 0);
	for (unsigned i = 0; i < s.n; i++) {
		struct cluwire w;
		struct err err = { 0 };

		if (cluwire_unpack(s.part[i].data, s.part[i].len, CLUSTER, 1, &w, &err) < 0)
			fail_msg("part %u: %s", i, err.text);
		nodeio_snapshot_part(n, &w);
		cluwire_done(&w);
	}
	assert_true(nodeio_snapshot_load(n));
	for (uint32_t i = 0; i < DOMS; i++) {
		size_t len = 0, want_len = 0;
		const char *text = nodeio_text(n, i, &len), *want = text_of(NULL, i, &want_len);

		assert_int_equal(len, want_len);
		assert_true(!want || !memcmp(text, want, len));
		free(n->text[i].xml);
	}
	nodeio_snapshot_drop(n);
	free(n->text);
	free(n);
	sink_done(&s);
}

static void test_call_off(void **state)
{
	static const char *const uuids[] = { UUID, "", UUID "1" };
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(uuids); i++) {
		Hospes__Clu__Envelope env = HOSPES__CLU__ENVELOPE__INIT;
		Hospes__Clu__CallOff c = HOSPES__CLU__CALL_OFF__INIT;
		_cleanup_buf_ struct buf b = { 0 };
		struct cluwire w;
		struct err err;

		c.uuid = (char *)(uintptr_t)uuids[i];
		c.op_id = 1ull << 40;
		env.body_case = HOSPES__CLU__ENVELOPE__BODY_CALL_OFF;
		env.call_off = &c;
		assert_int_equal(cluwire_pack_env(&env, CLUSTER, 3, &b), 0);
		if (i) {
			assert_int_equal(cluwire_unpack(b.data, b.len, CLUSTER, 3, &w, &err), -EPROTO);
			continue;
		}
		assert_int_equal(cluwire_unpack(b.data, b.len, CLUSTER, 3, &w, &err), 0);
		assert_int_equal(w.msg.kind, CLUWIRE_CALL_OFF);
		assert_string_equal(w.env->call_off->uuid, UUID);
		assert_int_equal(w.env->call_off->op_id, 1ull << 40);
		cluwire_done(&w);
	}
}

/* A build is cut where it is made: a longer one is nobody's. */
static void test_usage(void **state)
{
	static const struct {
		const char *build;
		int want;
	} t[] = { { "", 0 },
		  { "qemu 7.2.22 tcg pc-q35-7.2", 0 },
		  { "0123456789012345678901234567890", 0 },
		  { "01234567890123456789012345678901", -EPROTO } };
	Hospes__Clu__DomainUsage du = HOSPES__CLU__DOMAIN_USAGE__INIT, *list = &du;
	Hospes__Clu__Usage u = HOSPES__CLU__USAGE__INIT;
	(void)state;

	du.uuid = (char *)"c7a5fdbd-cdaf-9455-926a-d65c16db1809";
	u.n_domains = 1;
	u.domains = &list;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		Hospes__Clu__Envelope env = HOSPES__CLU__ENVELOPE__INIT;
		_cleanup_buf_ struct buf b = { 0 };
		struct cluwire w;
		struct err err = { 0 };

		du.build = (char *)(uintptr_t)t[i].build;
		env.body_case = HOSPES__CLU__ENVELOPE__BODY_USAGE;
		env.usage = &u;
		assert_int_equal(cluwire_pack_env(&env, "acme", 3, &b), 0);
		assert_int_equal(cluwire_unpack(b.data, b.len, "acme", 3, &w, &err), t[i].want);
		if (t[i].want)
			continue;
		assert_int_equal(w.msg.kind, CLUWIRE_USAGE);
		assert_string_equal(w.env->usage->domains[0]->build, t[i].build);
		cluwire_done(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_views, setup, teardown),
		cmocka_unit_test_setup_teardown(test_beat, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_octets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_big, setup, teardown),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_call_off),
		cmocka_unit_test_setup_teardown(test_snapshot, snapshot_setup, snapshot_teardown),
		cmocka_unit_test_setup_teardown(test_snapshot_fails, snapshot_setup, snapshot_teardown),
		cmocka_unit_test_setup_teardown(test_snapshot_brings_its_texts, snapshot_setup, snapshot_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
