/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source sessions, their side towards the peer: messages out, messages in, the state of the connection. Loop thread. */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "common/log.h"
#include "common/util.h"
#include "common/fault.h"
#include "migrated/io/outgoing_int.h"
#include "hypervisor/api/cpufeat.h"
#include "hypervisor/api/domcfg.h"
#include "migrated/io/recorder.h"

#define RETRIES_MAX 10u

/* Messages ------------------------------------------------------------------------------------------------------------ */
static void send_ping(struct outgoing *o)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Ping ping = HOSPES__MIG__PING__INIT;

	ping.sent_ns = now_ns();
	env.ping = &ping;
	link_send(o->dealer, NULL, o->session, MIG_MSG_PING, &env);
}

/* Does the guest see this host's own processor? What cannot be read is offered as if it did. */
static bool sees_cpu(const struct outgoing *o)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;

	return dom_config_parse(o->xml, strlen(o->xml), o->order.domain, &cfg, NULL) < 0 ||
	       dom_config_cpu_is_hosts(cfg);
}

static void send_offer(struct outgoing *o, const struct mig_msg *msg)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Offer of = HOSPES__MIG__OFFER__INIT;
	Hospes__Mig__Region reg[MIG_REGIONS_MAX], *regs[MIG_REGIONS_MAX];
	const char *cpu[CPU_FEATURES_MAX];

	of.name = o->info.name;
	of.uuid = o->info.uuid;
	of.engine = o->hello.engine;
	of.kernel_id = o->hello.kernel_id;
	of.xml = (ProtobufCBinaryData){ .len = strlen(o->xml), .data = (uint8_t *)o->xml };
	of.ram_bytes = o->info.ram_bytes;
	of.ram_used_bytes = o->ram_used;
	of.generation = o->info.generation;
	of.n_cpu_features = sees_cpu(o) ? cpu_features_here(cpu, NULL) : 0;
	of.cpu_features = (char **)cpu;
	of.n_regions = o->mem.n;
	for (unsigned i = 0; i < o->mem.n; i++) {
		hospes__mig__region__init(&reg[i]);
		reg[i].index = i;
		reg[i].name = o->mem.r[i].name;
		reg[i].size_bytes = o->mem.r[i].size;
		regs[i] = &reg[i];
	}
	of.regions = regs;
	of.streams = o->order.streams;
	of.plan_only = msg->plan_only;
	of.stay_paused = msg->stay_paused;
	of.persistent = o->order.persistent;
	of.data_key = (ProtobufCBinaryData){ .len = WIRE_KEY_BYTES, .data = o->key };
	of.cluster = o->order.cluster;
	of.lz4 = o->order.compress != OUT_COMPRESS_NONE;
	env.offer = &of;
	link_send(o->dealer, NULL, o->session, MIG_MSG_OFFER, &env);
}

static void send_final(struct outgoing *o)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Final fi = HOSPES__MIG__FINAL__INIT;
	uint64_t frames[MIG_STREAMS_MAX];
	struct out_stats st;

	fi.n_stream_frames = outpipe_frames(o->pipe, frames);
	fi.stream_frames = frames;
	fi.state_bytes = o->state_bytes;
	outpipe_stats(o->pipe, &st);
	fi.pages_data = st.pages_data;
	fi.pages_zero = st.pages_zero;
	if (o->order.verify && o->memhash.n_regions <= MIG_REGIONS_MAX) {
		fi.n_memhash = o->memhash.n_regions;
		fi.memhash = o->memhash.hash;
	}
	env.final = &fi;
	o->final_ns = now_ns();
	link_send(o->dealer, NULL, o->session, MIG_MSG_FINAL, &env);
}

static void send_abort(struct outgoing *o, const struct mig_msg *msg)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Abort ab = HOSPES__MIG__ABORT__INIT;

	ab.reason = msg->reason;
	ab.check_lease = msg->check_lease;
	ab.text = (char *)mig_reason_name(msg->reason);
	env.abort = &ab;
	link_send(o->dealer, NULL, o->session, MIG_MSG_ABORT, &env);
}

static void send_resolve(struct outgoing *o, uint64_t generation)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Resolve re = HOSPES__MIG__RESOLVE__INIT;

	re.uuid = o->info.uuid;
	re.name = o->info.name;
	re.generation = generation;
	env.resolve = &re;
	link_send(o->dealer, NULL, o->session, MIG_MSG_RESOLVE, &env);
}

void outgoing_send(struct outgoing *o, const struct mig_msg *msg)
{
	Hospes__Mig__Envelope env = HOSPES__MIG__ENVELOPE__INIT;
	Hospes__Mig__Hello hello;
	Hospes__Mig__Go go = HOSPES__MIG__GO__INIT;
	Hospes__Mig__Done done = HOSPES__MIG__DONE__INIT;

	if (fault_point("src", "send", mig_msg_name(msg->kind), "", o->info.pid))
		return;
	switch (msg->kind) {
	case MIG_MSG_HELLO:
		link_hello(o->d, &hello, false);
		env.hello = &hello;
		link_send(o->dealer, NULL, o->session, MIG_MSG_HELLO, &env);
		break;
	case MIG_MSG_OFFER:
		send_offer(o, msg);
		break;
	case MIG_MSG_FINAL:
		send_final(o);
		break;
	case MIG_MSG_GO:
		go.generation = msg->generation;
		env.go = &go;
		o->go_ns = now_ns();
		link_send(o->dealer, NULL, o->session, MIG_MSG_GO, &env);
		break;
	case MIG_MSG_ABORT:
		send_abort(o, msg);
		break;
	case MIG_MSG_RESOLVE:
		send_resolve(o, msg->generation);
		break;
	case MIG_MSG_DONE:
		done.generation = msg->generation;
		env.done = &done;
		link_send(o->dealer, NULL, o->session, MIG_MSG_DONE, &env);
		break;
	case MIG_MSG_PING:
		send_ping(o);
		break;
	default:
		break;
	}
	fault_point("src", "send", mig_msg_name(msg->kind), ".after", o->info.pid);
}

/* Peer ---------------------------------------------------------------------------------------------------------------- */
static void keep_text(struct outgoing *o, const char *text)
{
	if (text && text[0])
		snprintf(o->peer_text, sizeof(o->peer_text), "%s", text);
}

static void got_pong(struct outgoing *o, const Hospes__Mig__Pong *p)
{
	uint64_t now = now_ns();

	if (p->sent_ns > now || now - p->sent_ns >= o->rtt_ns)
		return;
	o->rtt_ns = now - p->sent_ns;
	o->clock_offset_ns = (int64_t)p->here_ns - (int64_t)(p->sent_ns + o->rtt_ns / 2);
}

/* The answer to an Abort that is repeated: the peer has let go (or never knew), or it runs the domain and the copy here is long gone. */
static void abort_answered(struct outgoing *o, const struct mig_msg *msg)
{
	bool runs = msg->kind == MIG_MSG_RUNNING || (msg->kind == MIG_MSG_RESOLVED && msg->fate == MIG_FATE_RUNNING);

	if (!runs && (msg->kind != MIG_MSG_RESOLVED || msg->fate != MIG_FATE_GONE))
		return;
	if (runs)
		outgoing_send(o, &(struct mig_msg){ .kind = MIG_MSG_DONE, .generation = o->core.generation_new });
	recorder_forget(o->d->recorder, o->session);
	o->aborting = false;
	o->ended = o->peer_let_go = true;
	o->outcome = MIG_OUTCOME_FAILED;
	o->reason = MIG_REASON_DAEMON;
	loop_timer_in(o->end, 0);
}

/* The target found other memory than was hashed here: did it change here, though the guest is stopped, or on the way? */
static void log_changed(struct outgoing *o)
{
	uint64_t first = 0, n = outpipe_changed(o->pipe, &first);

	log_error("%s: of the memory here %" PRIu64 " pages are not what was sent (first: %" PRIu64 ")",
	          o->order.domain, n, first);
}

static void on_peer(void *arg, zmq_msg_t *parts, size_t n)
{
	struct outgoing *o = arg;
	_cleanup_wire_ Hospes__Mig__Envelope *env = NULL;
	struct mig_event ev = { .kind = MIG_EV_MSG };
	struct err err;

	if (n != 1 || wire_unpack(zmq_msg_data(&parts[0]), zmq_msg_size(&parts[0]), &env, &ev.msg, &err) < 0) {
		log_warn("%s: a message that makes no sense", o->order.host);
		return;
	}
	if (env->session && env->session != o->session)
		return;
	switch (ev.msg.kind) {
	case MIG_MSG_HELLO:
		o->caps = env->hello->caps & MIG_CAPS;
		if (strcmp(env->hello->node, o->peer.name)) {
			snprintf(o->local_text, sizeof(o->local_text), "the host at %s calls itself %s, not %s",
			         o->peer.address, env->hello->node, o->peer.name);
			outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_CANCEL, .reason = MIG_REASON_PROTOCOL });
			return;
		}
		for (int i = 0; i < 3; i++)
			send_ping(o);
		break;
	case MIG_MSG_PONG:
		got_pong(o, env->pong);
		break;
	case MIG_MSG_ACCEPT:
		o->target_ram_available = env->accept->ram_available_bytes;
		o->target_base[0] = env->accept->base_low;
		o->target_base[1] = env->accept->base_high;
		if (!o->order.plan && !o->pipe && outgoing_open_pipe(o, env->accept) < 0) {
			outgoing_feed(o,
			              &(struct mig_event){ .kind = MIG_EV_CANCEL, .reason = MIG_REASON_SOURCE_HVDOM });
			return;
		}
		break;
	case MIG_MSG_REFUSE:
		keep_text(o, env->refuse->text);
		break;
	case MIG_MSG_ABORT:
		keep_text(o, env->abort->text);
		if (o->order.verify && ev.msg.reason == MIG_REASON_DATA && o->core.state == MIG_SRC_FINAL)
			log_changed(o);
		break;
	case MIG_MSG_RESOLVED:
		keep_text(o, env->resolved->text);
		break;
	case MIG_MSG_READY:
		o->ready_ns = now_ns();
		o->there.arrive_ns = env->ready->arrive_ns;
		o->there.ready_ns = env->ready->ready_ns;
		break;
	case MIG_MSG_RUNNING:
		o->there.resume_ns = env->running->resume_ns;
		o->there.receive_ns = env->running->receive_ns;
		o->there.open_ns = env->running->open_ns;
		o->there.place_ns = env->running->place_ns;
		break;
	default:
		break;
	}
	(void)fault_point("src", "recv", mig_msg_name(ev.msg.kind), "", o->info.pid);
	if (o->aborting)
		abort_answered(o, &ev.msg);
	else if (!o->ended)
		outgoing_feed(o, &ev);
	else if (o->core.must_tell)
		abort_answered(o, &ev.msg);
}

/* Connection events of libzmq: [u16 event, u32 value][endpoint]. */
static void on_monitor(void *arg, zmq_msg_t *parts, size_t n)
{
	struct outgoing *o = arg;
	uint16_t event;

	if (n < 1 || zmq_msg_size(&parts[0]) < 6)
		return;
	memcpy(&event, zmq_msg_data(&parts[0]), 2);
	switch (event) {
	case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
		o->connected = o->was_connected = true;
		return;
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		if (!o->was_connected)
			outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_CANCEL, .reason = MIG_REASON_AUTH });
		return;
	case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		if (!o->was_connected && ++o->retries >= 3)
			outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_CANCEL, .reason = MIG_REASON_AUTH });
		return;
	case ZMQ_EVENT_CONNECT_RETRIED:
		if (!o->was_connected && ++o->retries >= RETRIES_MAX)
			outgoing_feed(o,
			              &(struct mig_event){ .kind = MIG_EV_CANCEL, .reason = MIG_REASON_UNREACHABLE });
		return;
	case ZMQ_EVENT_DISCONNECTED:
		if (o->connected)
			outgoing_feed(o, &(struct mig_event){ .kind = MIG_EV_LINK_DOWN });
		o->connected = false;
		return;
	default:
		return;
	}
}

int outgoing_open_peer(struct outgoing *o, struct err *err)
{
	_cleanup_free_ char *ep = xasprintf("tcp://%s:%u", o->peer.address, o->peer.port);
	_cleanup_free_ char *mon = xasprintf("inproc://monitor-%016" PRIx64, o->session);
	void *s = link_dealer(o->d, &o->peer, err);

	if (!s)
		return -EIO;
	int events = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
	             ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
	             ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED;
	void *m = zmq_socket_monitor(s, mon, events) == 0 ? zmq_socket(o->d->zmq, ZMQ_PAIR) : NULL;
	if (!m || zmq_connect(m, mon) < 0 || zmq_connect(s, ep) < 0) {
		int r = err_sys(err, errno, "connect to %s", ep);
		if (m)
			zmq_close(m);
		zmq_close(s);
		return r;
	}
	o->monitor = zsock_new(o->d->loop, m, on_monitor, o, err);
	o->dealer = zsock_new(o->d->loop, s, on_peer, o, err);
	return o->monitor && o->dealer ? 0 : -ENOMEM;
}
