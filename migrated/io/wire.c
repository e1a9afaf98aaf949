/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Envelope, frame and credit as octets: see wire.h. */
#include "config.h"
#include "migrated/io/wire.h"
#include <errno.h>
#include <string.h>
#include "common/util.h"

static int pack(const ProtobufCMessage *m, struct buf *out)
{
	uint8_t *p = buf_reserve(out, protobuf_c_message_get_packed_size(m));

	if (!p)
		return -ENOMEM;
	out->len += protobuf_c_message_pack(m, p);
	return 0;
}

int wire_pack(const Hospes__Mig__Envelope *env, struct buf *out)
{
	return pack(&env->base, out);
}

void wire_free(Hospes__Mig__Envelope *env)
{
	if (env)
		hospes__mig__envelope__free_unpacked(env, NULL);
}

static int check_offer(const Hospes__Mig__Offer *o, struct err *err)
{
	if (!o->name || !name_is_valid(o->name))
		return err_set(err, EPROTO, "offer: not a domain name");
	if (!o->uuid || !uuid_is_valid(o->uuid))
		return err_set(err, EPROTO, "offer: not a uuid");
	if (!o->engine || strlen(o->engine) > 15 || !o->kernel_id || strlen(o->kernel_id) > 39)
		return err_set(err, EPROTO, "offer: engine or kernel id too long");
	if (!o->xml.len || o->xml.len > WIRE_XML_MAX)
		return err_set(err, EPROTO, "offer: domain XML of %zu octets", o->xml.len);
	if (o->n_cpu_features > WIRE_CPU_FEATURES_MAX)
		return err_set(err, EPROTO, "offer: %zu CPU features", o->n_cpu_features);
	if (o->data_key.len != WIRE_KEY_BYTES)
		return err_set(err, EPROTO, "offer: data key of %zu octets", o->data_key.len);
	if (o->streams < 1 || o->streams > MIG_STREAMS_MAX)
		return err_set(err, EPROTO, "offer: %u streams", o->streams);
	if (o->n_regions < 1 || o->n_regions > MIG_REGIONS_MAX)
		return err_set(err, EPROTO, "offer: %zu regions", o->n_regions);
	for (size_t i = 0; i < o->n_regions; i++) {
		const Hospes__Mig__Region *r = o->regions[i];
		if (r->index != i || !r->size_bytes || r->size_bytes % PAGE_BYTES || r->size_bytes > 1ull << 44)
			return err_set(err, EPROTO, "offer: region %zu makes no sense", i);
	}
	return 0;
}

static int text_ok(char *s, struct err *err)
{
	if (s && strlen(s) > WIRE_TEXT_MAX)
		return err_set(err, EPROTO, "text of %zu octets", strlen(s));
	if (s)
		text_tidy(s);
	return 0;
}

static int check_hello(const Hospes__Mig__Hello *h, struct mig_msg *m, struct err *err)
{
	if (!h->node || !name_is_valid(h->node))
		return err_set(err, EPROTO, "hello: not a host name");
	m->version = mig_version_agree(h->version_min, h->version_max, h->caps);
	m->caps = h->caps;
	return text_ok(h->build, err);
}

/* Limits and meaning of one body; fills what the machines look at. */
static int check_body(const Hospes__Mig__Envelope *e, struct mig_msg *m, struct err *err)
{
	switch (e->body_case) {
	case HOSPES__MIG__ENVELOPE__BODY_HELLO:
		return check_hello(e->hello, m, err);
	case HOSPES__MIG__ENVELOPE__BODY_OFFER:
		m->generation = e->offer->generation + 1;
		m->plan_only = e->offer->plan_only;
		m->stay_paused = e->offer->stay_paused;
		return check_offer(e->offer, err);
	case HOSPES__MIG__ENVELOPE__BODY_ACCEPT:
		if (!e->accept->streams || e->accept->streams > MIG_STREAMS_MAX || !e->accept->data_port ||
		    e->accept->data_port > 65535 || e->accept->credit_bytes < WIRE_PAYLOAD_MAX)
			return err_set(err, EPROTO, "accept: makes no sense");
		return 0;
	case HOSPES__MIG__ENVELOPE__BODY_REFUSE:
		m->reason = (enum mig_reason)e->refuse->reason;
		return text_ok(e->refuse->text, err);
	case HOSPES__MIG__ENVELOPE__BODY_FINAL:
		if (!e->final->n_stream_frames || e->final->n_stream_frames > MIG_STREAMS_MAX ||
		    e->final->n_memhash > MIG_REGIONS_MAX)
			return err_set(err, EPROTO, "final: makes no sense");
		return 0;
	case HOSPES__MIG__ENVELOPE__BODY_READY:
		m->generation = e->ready->generation;
		return 0;
	case HOSPES__MIG__ENVELOPE__BODY_GO:
		m->generation = e->go->generation;
		return 0;
	case HOSPES__MIG__ENVELOPE__BODY_RUNNING:
		m->generation = e->running->generation;
		m->running_at_ns = e->running->running_at_ns;
		m->stay_paused = e->running->paused;
		return 0;
	case HOSPES__MIG__ENVELOPE__BODY_ABORT:
		m->reason = (enum mig_reason)e->abort->reason;
		m->check_lease = e->abort->check_lease;
		return text_ok(e->abort->text, err);
	case HOSPES__MIG__ENVELOPE__BODY_RESOLVE:
		m->generation = e->resolve->generation;
		if (!e->resolve->uuid || !uuid_is_valid(e->resolve->uuid) || !e->resolve->name ||
		    !name_is_valid(e->resolve->name))
			return err_set(err, EPROTO, "resolve: not a domain");
		return 0;
	case HOSPES__MIG__ENVELOPE__BODY_RESOLVED:
		if (e->resolved->fate < MIG_FATE_RUNNING || e->resolved->fate >= MIG_FATE_MAX)
			return err_set(err, EPROTO, "resolved: fate %u", e->resolved->fate);
		m->fate = (enum mig_fate)e->resolved->fate;
		m->reason = (enum mig_reason)e->resolved->reason;
		return text_ok(e->resolved->text, err);
	case HOSPES__MIG__ENVELOPE__BODY_PING:
	case HOSPES__MIG__ENVELOPE__BODY_PONG:
		return 0;
	case HOSPES__MIG__ENVELOPE__BODY_DONE:
		m->generation = e->done->generation;
		return 0;
	default:
		return err_set(err, EPROTO, "unknown message body");
	}
}

int wire_unpack(const void *p, size_t len, Hospes__Mig__Envelope **ret, struct mig_msg *ret_msg, struct err *err)
{
	struct mig_msg m = { 0 };

	if (len > WIRE_CONTROL_MAX)
		return err_set(err, EMSGSIZE, "control message of %zu octets", len);
	_cleanup_wire_ Hospes__Mig__Envelope *e = hospes__mig__envelope__unpack(NULL, len, p);
	if (!e)
		return err_set(err, EPROTO, "control message does not parse");
	m.kind = (enum mig_msg_kind)e->body_case;
	bool any_version = m.kind == MIG_MSG_HELLO;
	if (!any_version && (e->version < MIG_VERSION_MIN || e->version > MIG_VERSION))
		return err_set(err, EPROTO, "message of protocol version %u, this daemon speaks %u", e->version,
		               MIG_VERSION);
	if (!e->session && m.kind != MIG_MSG_HELLO && m.kind != MIG_MSG_PING && m.kind != MIG_MSG_PONG)
		return err_set(err, EPROTO, "message without a session");
	int r = check_body(e, &m, err);
	if (r < 0)
		return r;
	if ((unsigned)m.reason >= MIG_REASON_MAX)
		m.reason = MIG_REASON_REFUSED; /* a later version's; its text says it */
	*ret = steal_ptr(&e);
	*ret_msg = m;
	return 0;
}

int wire_frame_pack(const struct wire_frame *f, struct buf *out)
{
	Hospes__Mig__Frame pb = HOSPES__MIG__FRAME__INIT;

	pb.session = f->session;
	pb.stream = f->stream;
	pb.seq = f->seq;
	pb.kind = f->kind;
	pb.region = f->region;
	pb.round = f->round;
	pb.codec = f->codec;
	pb.raw_bytes = f->raw_bytes;
	pb.offset = f->offset;
	pb.dense = f->dense;
	pb.dense_end = f->dense_end;
	pb.n_runs = 2 * (size_t)f->n_runs;
	pb.runs = (uint32_t *)f->runs; /* packing does not write */
	return pack(&pb.base, out);
}

int wire_frame_unpack(const void *p, size_t len, struct wire_frame *ret)
{
	if (len > WIRE_HEADER_MAX)
		return -EMSGSIZE;
	Hospes__Mig__Frame *pb = hospes__mig__frame__unpack(NULL, len, p);
	if (!pb)
		return -EPROTO;
	int r = -EPROTO;
	if (pb->stream < MIG_STREAMS_MAX && pb->region < MIG_REGIONS_MAX && pb->raw_bytes <= WIRE_PAYLOAD_MAX &&
	    pb->codec <= WIRE_CODEC_LZ4 && (pb->kind == WIRE_FRAME_PAGES || pb->kind == WIRE_FRAME_STATE) &&
	    pb->n_runs % 2 == 0 && pb->n_runs / 2 <= WIRE_RUNS_MAX &&
	    (pb->kind == WIRE_FRAME_PAGES) == (pb->n_runs > 0)) {
		ret->session = pb->session;
		ret->seq = pb->seq;
		ret->offset = pb->offset;
		ret->dense = pb->dense;
		ret->dense_end = pb->dense_end;
		ret->stream = pb->stream;
		ret->kind = pb->kind;
		ret->region = pb->region;
		ret->round = pb->round;
		ret->codec = pb->codec;
		ret->raw_bytes = pb->raw_bytes;
		ret->n_runs = (uint32_t)(pb->n_runs / 2);
		if (pb->n_runs)
			memcpy(ret->runs, pb->runs, pb->n_runs * sizeof(uint32_t));
		r = 0;
	}
	hospes__mig__frame__free_unpacked(pb, NULL);
	return r;
}

int wire_credit_pack(const struct wire_credit *c, struct buf *out)
{
	Hospes__Mig__Credit pb = HOSPES__MIG__CREDIT__INIT;

	pb.session = c->session;
	pb.stream = c->stream;
	pb.frames = c->frames;
	pb.octets = c->octets;
	pb.work_ns = c->work_ns;
	return pack(&pb.base, out);
}

int wire_credit_unpack(const void *p, size_t len, struct wire_credit *ret)
{
	if (len > 256)
		return -EMSGSIZE;
	Hospes__Mig__Credit *pb = hospes__mig__credit__unpack(NULL, len, p);
	if (!pb)
		return -EPROTO;
	*ret = (struct wire_credit){ .session = pb->session,
		                     .stream = pb->stream,
		                     .frames = pb->frames,
		                     .octets = pb->octets,
		                     .work_ns = pb->work_ns };
	hospes__mig__credit__free_unpacked(pb, NULL);
	return 0;
}

int wire_runs_check(const struct wire_frame *f, uint64_t n_pages)
{
	uint64_t page = 0, data = 0;

	for (uint32_t i = 0; i < f->n_runs; i++) {
		uint64_t count = f->runs[2 * i + 1] >> 1;
		page += f->runs[2 * i];
		if (!count || page > n_pages || count > n_pages - page)
			return -EPROTO;
		page += count;
		if (!(f->runs[2 * i + 1] & 1))
			data += count;
	}
	return data * PAGE_BYTES == f->raw_bytes ? 0 : -EPROTO;
}
