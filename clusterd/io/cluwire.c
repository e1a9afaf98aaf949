/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cluster messages as octets: see cluwire.h. Commands are in cluwire_cmd.c. */
#include "config.h"
#include "clusterd/io/cluwire.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/io/cluwire_int.h"

#define WORDS     (CLU_HOSTS_MAX / 64)
#define PART_FILL (160u << 10) /* a part is sent when it holds so much: one more XML always fits */
#define PART_N    1024u

/* The plain fields of each message, which struct clu_msg and proto/cluster.proto name alike. */
#define HELLO(F)    F(ring) F(members_sum) F(epoch) F(index) F(sum) F(boot) F(promised) F(idle_ns) F(list) F(anew) F(level)
#define OPEN(F)     F(ring) F(members_sum) F(epoch) F(index) F(sum) F(source)
#define PROMISE(F)  F(ring) F(members_sum) F(epoch)
#define SNAPSHOT(F) F(epoch) F(index) F(sum) F(to) F(seq)
#define SYNCED(F)   F(ring) F(members_sum) F(epoch) F(index) F(sum) F(seq) F(level)
#define RESYNC(F)   F(ring) F(members_sum) F(seq)
#define BEAT(F)     F(ring) F(members_sum) F(epoch) F(index) F(sum) F(boot) F(seq) F(lease_ns) F(clock_ns)
#define TO_PB(name) pb.name = m->name;
#define OF_PB(name) m->name = pb->name;

int cluwire_pack_env(Hospes__Clu__Envelope *env, const char *cluster, uint32_t node, struct buf *out)
{
	size_t len;
	uint8_t *p;

	env->version = CLUWIRE_VERSION;
	env->cluster = (char *)(uintptr_t)cluster;
	env->node = node;
	len = hospes__clu__envelope__get_packed_size(env);
	if (len > CLUWIRE_MAX)
		return -E2BIG;
	p = buf_reserve(out, len);
	if (!p)
		return -ENOMEM;
	out->len += hospes__clu__envelope__pack(env, p);
	return 0;
}

static int pack_beat(Hospes__Clu__Envelope *env, const struct clu_msg *m, const char *cluster, uint32_t node,
                     struct buf *out)
{
	Hospes__Clu__Beat pb = HOSPES__CLU__BEAT__INIT;
	Hospes__Clu__Ack ack[CLU_HOSTS_MAX], *acks[CLU_HOSTS_MAX];

	BEAT(TO_PB)
	pb.acks = acks;
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		if (!m->ack_boot[i] && !m->ack_seq[i])
			continue;
		hospes__clu__ack__init(&ack[i]);
		ack[i].slot = i;
		ack[i].boot = m->ack_boot[i];
		ack[i].seq = m->ack_seq[i];
		acks[pb.n_acks++] = &ack[i];
	}
	env->body_case = HOSPES__CLU__ENVELOPE__BODY_BEAT;
	env->beat = &pb;
	return cluwire_pack_env(env, cluster, node, out);
}

static int pack_hello(Hospes__Clu__Envelope *env, const struct clu_msg *m, const char *cluster, uint32_t node,
                      struct buf *out)
{
	Hospes__Clu__Hello pb = HOSPES__CLU__HELLO__INIT;
	Hospes__Clu__Await await[CLU_HOSTS_MAX], *awaits[CLU_HOSTS_MAX];

	HELLO(TO_PB)
	pb.awaits = awaits;
	for (uint32_t i = 0; i < CLU_HOSTS_MAX; i++) {
		if (!m->await_ns[i])
			continue;
		hospes__clu__await__init(&await[i]);
		await[i].slot = i;
		await[i].left_ns = m->await_ns[i];
		awaits[pb.n_awaits++] = &await[i];
	}
	env->body_case = HOSPES__CLU__ENVELOPE__BODY_HELLO;
	env->hello = &pb;
	return cluwire_pack_env(env, cluster, node, out);
}

static int pack_open(Hospes__Clu__Envelope *env, const struct clu_msg *m, const char *cluster, uint32_t node,
                     struct buf *out)
{
	Hospes__Clu__Open pb = HOSPES__CLU__OPEN__INIT;

	OPEN(TO_PB)
	pb.n_said = pb.n_behind = WORDS;
	pb.said = (uint64_t *)(uintptr_t)m->said; /* packing does not write */
	pb.behind = (uint64_t *)(uintptr_t)m->behind;
	env->body_case = HOSPES__CLU__ENVELOPE__BODY_OPEN;
	env->open = &pb;
	return cluwire_pack_env(env, cluster, node, out);
}

/* A message that is plain fields and no more. */
#define PACK(NAME, Name, name)                                                                                         \
	case CLU_MSG_##NAME: {                                                                                         \
		Hospes__Clu__##Name pb = HOSPES__CLU__##NAME##__INIT;                                                  \
                                                                                                                       \
		NAME(TO_PB)                                                                                            \
		env.body_case = HOSPES__CLU__ENVELOPE__BODY_##NAME;                                                    \
		env.name = &pb;                                                                                        \
		return cluwire_pack_env(&env, cluster, node, out);                                                     \
	}

int cluwire_pack(const struct clu_msg *m, const char *cluster, uint32_t node, const char *xml, size_t xml_len,
                 struct buf *out)
{
	Hospes__Clu__Envelope env = HOSPES__CLU__ENVELOPE__INIT;

	switch (m->kind) {
		PACK(PROMISE, Promise, promise)
		PACK(SYNCED, Synced, synced)
		PACK(RESYNC, Resync, resync)
	case CLU_MSG_HELLO:
		return pack_hello(&env, m, cluster, node, out);
	case CLU_MSG_OPEN:
		return pack_open(&env, m, cluster, node, out);
	case CLU_MSG_BEAT:
		return pack_beat(&env, m, cluster, node, out);
	case CLU_MSG_CMD:
		return cluwire_pack_cmd(&env, &m->cmd, cluster, node, xml, xml_len, out);
	default:
		return -EINVAL;
	}
}

static int unpack_hello(const Hospes__Clu__Hello *pb, struct clu_msg *m, struct err *err)
{
	m->kind = CLU_MSG_HELLO;
	HELLO(OF_PB)
	for (size_t i = 0; i < pb->n_awaits; i++) {
		if (pb->awaits[i]->slot >= CLU_HOSTS_MAX)
			return err_set(err, EPROTO, "hello: no slot %u", pb->awaits[i]->slot);
		m->await_ns[pb->awaits[i]->slot] = pb->awaits[i]->left_ns;
	}
	return 0;
}

static int unpack_open(const Hospes__Clu__Open *pb, struct clu_msg *m, struct err *err)
{
	if (pb->n_said > WORDS || pb->n_behind > WORDS)
		return err_set(err, EPROTO, "open: more hosts than %u", CLU_HOSTS_MAX);
	m->kind = CLU_MSG_OPEN;
	OPEN(OF_PB)
	for (size_t i = 0; i < pb->n_said; i++)
		m->said[i] = pb->said[i];
	for (size_t i = 0; i < pb->n_behind; i++)
		m->behind[i] = pb->behind[i];
	return 0;
}

static int unpack_beat(const Hospes__Clu__Beat *pb, struct clu_msg *m, struct err *err)
{
	if (pb->n_acks > CLU_HOSTS_MAX)
		return err_set(err, EPROTO, "beat: %zu acknowledgements", pb->n_acks);
	m->kind = CLU_MSG_BEAT;
	BEAT(OF_PB)
	for (size_t i = 0; i < pb->n_acks; i++) {
		if (pb->acks[i]->slot >= CLU_HOSTS_MAX)
			return err_set(err, EPROTO, "beat: no slot %u", pb->acks[i]->slot);
		m->ack_boot[pb->acks[i]->slot] = pb->acks[i]->boot;
		m->ack_seq[pb->acks[i]->slot] = pb->acks[i]->seq;
	}
	return 0;
}

static int unpack_snapshot(const Hospes__Clu__Snapshot *pb, struct clu_msg *m, struct err *err)
{
	for (size_t i = 0; i < pb->n_records; i++)
		if (pb->records[i]->kind > CLU_OBJ_LAST || pb->records[i]->data.len > CLU_RECORD_MAX)
			return err_set(err, EPROTO, "snapshot: a record of kind %u and %zu octets",
			               pb->records[i]->kind, pb->records[i]->data.len);
	for (size_t i = 0; i < pb->n_texts; i++)
		if (!pb->texts[i]->id || !pb->texts[i]->xml.len || pb->texts[i]->xml.len > CLUWIRE_XML_MAX)
			return err_set(err, EPROTO, "snapshot: a definition of %zu octets", pb->texts[i]->xml.len);
	m->kind = CLU_MSG_SNAPSHOT;
	SNAPSHOT(OF_PB)
	return 0;
}

static int check_usage(const Hospes__Clu__Usage *u, struct err *err)
{
	if (u->n_domains > CLU_DOMS_MAX)
		return err_set(err, EPROTO, "usage: %zu domains", u->n_domains);
	for (size_t i = 0; i < u->n_domains; i++)
		if (!u->domains[i]->uuid || strlen(u->domains[i]->uuid) != CLU_UUID_MAX - 1)
			return err_set(err, EPROTO, "usage: not a uuid");
		else if (u->domains[i]->build && strlen(u->domains[i]->build) >= CLU_WORD_MAX)
			return err_set(err, EPROTO, "usage: a build of %zu octets", strlen(u->domains[i]->build));
	return 0;
}

#define UNPACK(NAME, Name, name)                                                                                       \
	case HOSPES__CLU__ENVELOPE__BODY_##NAME: {                                                                     \
		const Hospes__Clu__##Name *pb = e->name;                                                               \
                                                                                                                       \
		m->kind = CLU_MSG_##NAME;                                                                              \
		NAME(OF_PB)                                                                                            \
		return 0;                                                                                              \
	}

static int unpack_body(struct cluwire *w, struct err *err)
{
	const Hospes__Clu__Envelope *e = w->env;
	struct clu_msg *m = &w->msg;

	switch (e->body_case) {
		UNPACK(PROMISE, Promise, promise)
		UNPACK(SYNCED, Synced, synced)
		UNPACK(RESYNC, Resync, resync)
	case HOSPES__CLU__ENVELOPE__BODY_HELLO:
		return unpack_hello(e->hello, m, err);
	case HOSPES__CLU__ENVELOPE__BODY_OPEN:
		return unpack_open(e->open, m, err);
	case HOSPES__CLU__ENVELOPE__BODY_SNAPSHOT:
		return unpack_snapshot(e->snapshot, m, err);
	case HOSPES__CLU__ENVELOPE__BODY_BEAT:
		return unpack_beat(e->beat, m, err);
	case HOSPES__CLU__ENVELOPE__BODY_COMMAND:
		return cluwire_unpack_cmd(w, err);
	case HOSPES__CLU__ENVELOPE__BODY_USAGE:
		m->kind = (enum clu_msg_kind)CLUWIRE_USAGE;
		return check_usage(e->usage, err);
	case HOSPES__CLU__ENVELOPE__BODY_PROGRESS:
		m->kind = (enum clu_msg_kind)CLUWIRE_PROGRESS;
		if (!e->progress->uuid || strlen(e->progress->uuid) != CLU_UUID_MAX - 1 ||
		    e->progress->json.len > CLUWIRE_PROGRESS_MAX)
			return err_set(err, EPROTO, "progress: makes no sense");
		return 0;
	case HOSPES__CLU__ENVELOPE__BODY_CALL_OFF:
		m->kind = (enum clu_msg_kind)CLUWIRE_CALL_OFF;
		if (!e->call_off->uuid || strlen(e->call_off->uuid) != CLU_UUID_MAX - 1)
			return err_set(err, EPROTO, "call off: not a uuid");
		return 0;
	default:
		return err_set(err, EPROTO, "a message of unknown kind (a later version's?)");
	}
}

int cluwire_unpack(const void *p, size_t len, const char *cluster, uint32_t node, struct cluwire *w, struct err *err)
{
	int r = 0;

	memset(w, 0, sizeof(*w));
	if (len > CLUWIRE_MAX)
		return err_set(err, EMSGSIZE, "a message of %zu octets, %u are allowed", len, CLUWIRE_MAX);
	w->env = hospes__clu__envelope__unpack(NULL, len, p);
	if (!w->env)
		return err_set(err, EPROTO, "a message of %zu octets does not parse", len);
	if (w->env->version < CLUWIRE_VERSION_MIN || w->env->version > CLUWIRE_VERSION)
		r = err_set(err, EPROTONOSUPPORT,
		            "protocol version %u, this clusterd speaks %u: bring both to the same release",
		            w->env->version, CLUWIRE_VERSION);
	else if (!w->env->cluster || strcmp(w->env->cluster, cluster))
		r = err_set(err, EXDEV, "it is from cluster \"%.60s\", this is \"%.60s\"",
		            w->env->cluster ? w->env->cluster : "", cluster);
	else if (w->env->node != node)
		r = err_set(err, EPERM, "it says that it is from node %u", w->env->node);
	if (r == 0)
		r = unpack_body(w, err);
	if (r < 0) {
		cluwire_done(w);
		return r;
	}
	w->msg.from = node;
	return 0;
}

void cluwire_done(struct cluwire *w)
{
	if (w->env)
		hospes__clu__envelope__free_unpacked(w->env, NULL);
	free(w->inventory);
	memset(w, 0, sizeof(*w));
}

/* Snapshots ------------------------------------------------------------------------------------------------------------ */

struct parts {
	const struct clu_state *s;
	const char *cluster;
	uint32_t node;
	int (*part)(void *arg, struct buf *octets);
	void *arg;
	Hospes__Clu__Snapshot pb;
	Hospes__Clu__Record rec[PART_N], *recs[PART_N];
	Hospes__Clu__Text txt[PART_N], *txts[PART_N];
	struct buf data; /* octets of the records; offsets stand in rec[].data.data until the part is sent */
	size_t at[PART_N];
	size_t filled;
};

static int send_part(struct parts *ps, bool last)
{
	Hospes__Clu__Envelope env = HOSPES__CLU__ENVELOPE__INIT;
	_cleanup_buf_ struct buf out = { 0 };

	if (ps->data.failed)
		return -ENOMEM;
	for (size_t i = 0; i < ps->pb.n_records; i++)
		ps->rec[i].data.data = ps->data.data + ps->at[i];
	ps->pb.last = last;
	env.body_case = HOSPES__CLU__ENVELOPE__BODY_SNAPSHOT;
	env.snapshot = &ps->pb;
	int r = cluwire_pack_env(&env, ps->cluster, ps->node, &out);
	if (r == 0)
		r = ps->part(ps->arg, &out);
	ps->pb.part++;
	ps->pb.n_records = ps->pb.n_texts = 0;
	ps->filled = 0;
	buf_reset(&ps->data);
	return r;
}

static int make_room(struct parts *ps)
{
	bool full = ps->filled >= PART_FILL || ps->pb.n_records == PART_N || ps->pb.n_texts == PART_N;

	return full ? send_part(ps, false) : 0;
}

static int add_record(struct parts *ps, enum clu_object kind, uint32_t slot)
{
	uint8_t octets[CLU_RECORD_MAX];
	size_t len = clu_record_pack(ps->s, kind, slot, octets), i;
	int r = len ? make_room(ps) : 0;

	if (r < 0 || !len)
		return r;
	i = ps->pb.n_records++;
	hospes__clu__record__init(&ps->rec[i]);
	ps->rec[i].kind = kind;
	ps->rec[i].slot = slot;
	ps->rec[i].data.len = len;
	ps->at[i] = ps->data.len;
	ps->recs[i] = &ps->rec[i];
	buf_put(&ps->data, octets, len);
	ps->filled += len + 16;
	return 0;
}

static int add_text(struct parts *ps, uint64_t id, const char *xml, size_t len)
{
	int r = ps->filled && ps->filled + len > PART_FILL ? send_part(ps, false) : make_room(ps);
	size_t i;

	if (r < 0)
		return r;
	i = ps->pb.n_texts++;
	hospes__clu__text__init(&ps->txt[i]);
	ps->txt[i].id = id;
	ps->txt[i].xml = (ProtobufCBinaryData){ .len = len, .data = (uint8_t *)(uintptr_t)xml };
	ps->txts[i] = &ps->txt[i];
	ps->filled += len + 24;
	return 0;
}

int cluwire_snapshot(const struct clu_state *s, uint32_t to, uint64_t seq, const char *cluster, uint32_t node,
                     const char *(*text)(void *arg, uint32_t slot, size_t *ret_len),
                     int (*part)(void *arg, struct buf *octets), void *arg)
{
	struct parts *ps = calloc(1, sizeof(*ps));
	int r;

	if (!ps)
		return -ENOMEM;
	*ps = (struct parts){ .s = s, .cluster = cluster, .node = node, .part = part, .arg = arg };
	hospes__clu__snapshot__init(&ps->pb);
	ps->pb.epoch = s->epoch, ps->pb.index = s->index, ps->pb.sum = s->sum;
	ps->pb.to = to, ps->pb.seq = seq;
	ps->pb.records = ps->recs;
	ps->pb.texts = ps->txts;
	r = add_record(ps, CLU_OBJ_META, 0);
	if (r == 0)
		r = add_record(ps, CLU_OBJ_POLICY, 0);
	if (r == 0)
		r = add_record(ps, CLU_OBJ_DISARM, 0);
	for (uint32_t i = 0; r == 0 && i < CLU_HOSTS_MAX; i++)
		r = add_record(ps, CLU_OBJ_HOST, i);
	for (uint32_t i = 0; r == 0 && i < CLU_RULES_MAX; i++)
		r = add_record(ps, CLU_OBJ_RULE, i);
	for (uint32_t i = 0; r == 0 && i < s->n_dom; i++) {
		size_t len = 0;
		const char *xml = s->dom[i].uuid[0] ? text(arg, i, &len) : NULL;

		r = add_record(ps, CLU_OBJ_DOM, i);
		if (r == 0 && xml && len && len <= CLUWIRE_XML_MAX)
			r = add_text(ps, s->dom[i].xml_id, xml, len);
	}
	if (r == 0)
		r = send_part(ps, true);
	buf_done(&ps->data);
	free(ps);
	return r;
}
