/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets between daemons: the control ROUTER (CURVE), the data ROUTER (sealed frames), and the ZAP handlers that decide who may
 * connect. Control: pinned keys only. Data: addresses that have an accepted session. Runs on the loop's thread.
 */
#include "config.h"
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include "common/log.h"
#include "common/util.h"
#include "migrated/io/daemon.h"
#include "migrated/io/incoming.h"
#include "migrated/io/priv.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define DATA_WORKERS 2u

uint64_t random_u64(void)
{
	uint64_t v = 0;

	while (!v)
		if (getrandom(&v, sizeof(v), 0) != sizeof(v))
			v = 0;
	return v;
}

static bool part_is(zmq_msg_t *m, const char *text)
{
	return zmq_msg_size(m) == strlen(text) && !memcmp(zmq_msg_data(m), text, strlen(text));
}

/* ZAP 1.0 (rfc.zeromq.org/spec/27): [routing id][][version][request id][domain][address][identity][mechanism][credentials...] */
static void zap_reply(struct zsock *z, zmq_msg_t *parts, bool ok, const char *user)
{
	const char *code = ok ? "200" : "400", *text = ok ? "OK" : "not a pinned peer";
	const void *p[] = { zmq_msg_data(&parts[0]), "", "1.0", zmq_msg_data(&parts[3]), code, text, user, "" };
	size_t n[] = { zmq_msg_size(&parts[0]), 0, 3, zmq_msg_size(&parts[3]), 3, strlen(text), strlen(user), 0 };

	if (zsock_send(z, p, n, 8) < 0)
		log_warn("authentication: cannot answer");
}

static void on_zap(void *arg, zmq_msg_t *parts, size_t n)
{
	struct migrated *d = arg;
	char key[PEER_KEY_TEXT];
	_cleanup_peers_ struct peers ps = { 0 };
	struct err err;

	if (n < 8 || !part_is(&parts[2], "1.0"))
		return;
	const struct peer *p = NULL;
	if (n == 9 && part_is(&parts[7], "CURVE") && zmq_msg_size(&parts[8]) == 32 &&
	    zmq_z85_encode(key, zmq_msg_data(&parts[8]), 32)) {
		/* read anew each time: `vmmig peers add` takes effect at once */
		if (peers_load(&ps, &err) < 0)
			log_error("%s", err.text);
		p = peers_by_key(&ps, key);
	}
	if (!p)
		log_warn("refused a connection from %.*s: its key is not pinned", (int)zmq_msg_size(&parts[5]),
		         (char *)zmq_msg_data(&parts[5]));
	zap_reply(d->zap, parts, p != NULL, p ? p->name : "");
}

static void on_zap_data(void *arg, zmq_msg_t *parts, size_t n)
{
	struct migrated *d = arg;
	char address[64] = "";

	if (n < 8 || !part_is(&parts[2], "1.0"))
		return;
	size_t len = zmq_msg_size(&parts[5]) < sizeof(address) - 1 ? zmq_msg_size(&parts[5]) : sizeof(address) - 1;
	memcpy(address, zmq_msg_data(&parts[5]), len);
	zap_reply(d->zap_data, parts, incoming_expects(d, address), "");
}

/* [routing id][envelope] */
static void on_control(void *arg, zmq_msg_t *parts, size_t n)
{
	struct migrated *d = arg;
	struct peer_id from = { .len = zmq_msg_size(&parts[0]) };
	struct mig_msg msg;
	struct err err = { 0 };
	_cleanup_wire_ Hospes__Mig__Envelope *env = NULL;

	if (n != 2 || from.len > PEER_ID_MAX)
		return;
	memcpy(from.id, zmq_msg_data(&parts[0]), from.len);
	const char *name = zmq_msg_gets(&parts[1], "User-Id"), *address = zmq_msg_gets(&parts[1], "Peer-Address");
	if (!name || !name_is_valid(name))
		return;
	snprintf(from.name, sizeof(from.name), "%s", name);
	snprintf(from.address, sizeof(from.address), "%s", address ? address : "");
	if (wire_unpack(zmq_msg_data(&parts[1]), zmq_msg_size(&parts[1]), &env, &msg, &err) < 0) {
		log_warn("%s: %s", from.name, err.text);
		return;
	}
	incoming_message(d, &from, env, &msg);
}

static struct zsock *zap_open(struct migrated *d, void *ctx, void (*fn)(void *arg, zmq_msg_t *parts, size_t n),
                              struct err *err)
{
	void *s = zmq_socket(ctx, ZMQ_ROUTER);

	if (!s || zmq_bind(s, ZAP_ENDPOINT) < 0) {
		(void)err_sys(err, errno, "authentication socket");
		if (s)
			zmq_close(s);
		return NULL;
	}
	return zsock_new(d->loop, s, fn, d, err);
}

static int set_int(void *s, int opt, int v)
{
	return zmq_setsockopt(s, opt, &v, sizeof(v));
}

static int bind_socket(struct migrated *d, void *s, uint16_t port, struct err *err)
{
	_cleanup_free_ char *ep = xasprintf("tcp://%s:%u", d->node.listen, port);
	int64_t max = port == d->node.port ? WIRE_CONTROL_MAX : WIRE_PAYLOAD_MAX + WIRE_HEADER_MAX;

	if (set_int(s, ZMQ_LINGER, 0) < 0 || set_int(s, ZMQ_ROUTER_HANDOVER, 1) < 0 || set_int(s, ZMQ_IPV6, 0) < 0 ||
	    zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &max, sizeof(max)) < 0 || set_int(s, ZMQ_HANDSHAKE_IVL, 5000) < 0)
		return err_sys(err, errno, "listening socket");
	if (zmq_bind(s, ep) < 0)
		return errno == EADDRINUSE
		               ? err_set(err, errno,
		                         "port %u is in use: does another migrated run? (\"port\" in %s/migrated.json)",
		                         port, path_conf())
		               : err_sys(err, errno, "listen on %s", ep);
	return 0;
}

static int open_control(struct migrated *d, struct err *err)
{
	void *s = zmq_socket(d->zmq, ZMQ_ROUTER);

	if (!s)
		return err_sys(err, errno, "control socket");
	if (set_int(s, ZMQ_CURVE_SERVER, 1) < 0 || zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, d->node.secret_key, 40) < 0 ||
	    zmq_setsockopt(s, ZMQ_ZAP_DOMAIN, "migrated", 8) < 0 || set_int(s, ZMQ_RCVHWM, 64) < 0 ||
	    set_int(s, ZMQ_SNDHWM, 64) < 0 || set_int(s, ZMQ_HEARTBEAT_IVL, 1000) < 0 ||
	    set_int(s, ZMQ_HEARTBEAT_TIMEOUT, 3000) < 0) {
		zmq_close(s);
		return err_sys(err, errno, "control socket");
	}
	int r = bind_socket(d, s, d->node.port, err);
	if (r < 0) {
		zmq_close(s);
		return r;
	}
	d->router = zsock_new(d->loop, s, on_control, d, err);
	return d->router ? 0 : -ENOMEM;
}

static int open_data(struct migrated *d, struct err *err)
{
	void *s = zmq_socket(d->zmq_data, ZMQ_ROUTER);

	if (!s)
		return err_sys(err, errno, "data socket");
	if (zmq_setsockopt(s, ZMQ_ZAP_DOMAIN, "migrated-data", 13) < 0 || set_int(s, ZMQ_RCVHWM, 16) < 0 ||
	    set_int(s, ZMQ_SNDHWM, 64) < 0 || set_int(s, ZMQ_RCVBUF, 4 << 20) < 0) {
		zmq_close(s);
		return err_sys(err, errno, "data socket");
	}
	int r = bind_socket(d, s, (uint16_t)(d->node.port + 1), err);
	if (r < 0) {
		zmq_close(s);
		return r;
	}
	d->inpipe = inpipe_new(d->loop, s, DATA_WORKERS, err);
	return d->inpipe ? 0 : -ENOMEM;
}

int link_open(struct migrated *d, struct err *err)
{
	d->zmq = zmq_ctx_new();
	d->zmq_data = zmq_ctx_new();
	if (!d->zmq || !d->zmq_data)
		return err_sys(err, errno, "ZeroMQ");
	(void)zmq_ctx_set(d->zmq, ZMQ_MAX_SOCKETS, 256);
	if (priv_start_zmq(d->zmq, err) < 0 || priv_start_zmq(d->zmq_data, err) < 0)
		return -EIO;
	d->zap = zap_open(d, d->zmq, on_zap, err);
	d->zap_data = zap_open(d, d->zmq_data, on_zap_data, err);
	if (!d->zap || !d->zap_data)
		return -EIO;
	int r = open_data(d, err);
	return r < 0 ? r : open_control(d, err);
}

void link_close(struct migrated *d)
{
	zsock_free(d->router);
	inpipe_free(d->inpipe);
	zsock_free(d->zap);
	zsock_free(d->zap_data);
	if (d->zmq)
		(void)zmq_ctx_term(d->zmq);
	if (d->zmq_data)
		(void)zmq_ctx_term(d->zmq_data);
}

void *link_dealer(struct migrated *d, const struct peer *peer, struct err *err)
{
	void *s = zmq_socket(d->zmq, ZMQ_DEALER);
	int64_t max = WIRE_CONTROL_MAX;

	if (!s || zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, peer->public_key, 40) < 0 ||
	    zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, d->node.public_key, 40) < 0 ||
	    zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, d->node.secret_key, 40) < 0 || set_int(s, ZMQ_LINGER, 3000) < 0 ||
	    set_int(s, ZMQ_SNDHWM, 64) < 0 || set_int(s, ZMQ_RCVHWM, 64) < 0 ||
	    set_int(s, ZMQ_RECONNECT_IVL, 100) < 0 || set_int(s, ZMQ_RECONNECT_IVL_MAX, 500) < 0 ||
	    set_int(s, ZMQ_CONNECT_TIMEOUT, 2000) < 0 || set_int(s, ZMQ_HEARTBEAT_IVL, 1000) < 0 ||
	    set_int(s, ZMQ_HEARTBEAT_TIMEOUT, 3000) < 0 || zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &max, sizeof(max)) < 0) {
		(void)err_sys(err, errno, "socket to %s", peer->name);
		if (s)
			zmq_close(s);
		return NULL;
	}
	return s;
}

void link_send(struct zsock *z, const struct peer_id *to, uint64_t session, enum mig_msg_kind kind,
               Hospes__Mig__Envelope *env)
{
	struct buf b = { 0 };

	env->version = MIG_VERSION;
	env->session = session;
	env->body_case = (Hospes__Mig__Envelope__BodyCase)kind;
	if (z && wire_pack(env, &b) == 0) {
		const void *p[] = { to ? (const void *)to->id : b.data, b.data };
		size_t n[] = { to ? to->len : b.len, b.len };
		int r = zsock_send(z, p, n, to ? 2 : 1);
		if (r < 0)
			log_debug("message %u could not be sent: %s", env->body_case, strerror(-r));
	}
	buf_done(&b);
}

void link_hello(struct migrated *d, Hospes__Mig__Hello *h, bool reply)
{
	hospes__mig__hello__init(h);
	h->version_min = MIG_VERSION_MIN;
	h->version_max = MIG_VERSION;
	h->caps = MIG_CAPS;
	h->node = d->node.name;
	h->build = (char *)PACKAGE_STRING;
	h->reply = reply;
}
