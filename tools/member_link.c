/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See member_link.h. Keys decide on the connection (ZAP), then each message is bounded, parsed and answered, one at a
 * time.
 */
#include "config.h"
#include "tools/member_link.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>
#include "common/util.h"
#include "tools/jsonconn.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define PARTS_MAX    16u
#define AGAIN_MS     4000u
#define SHORT_MS     20000u /* a question with this time at most is asked again */
#define SHUT_MAX     5u     /* handshakes that the other one broke off: its key is not the one that is asked for */
#define SHUT_NS      (4 * NS_PER_S) /* later ones may be of a host that is busy: a handshake ends after 5 s */

static int set_int(void *s, int opt, int v)
{
	return zmq_setsockopt(s, opt, &v, sizeof(v));
}

static int bounds(void *s)
{
	int64_t max = MEMBER_BYTES_MAX;

	return set_int(s, ZMQ_LINGER, 1000) < 0 || set_int(s, ZMQ_IPV6, 1) < 0 || set_int(s, ZMQ_RCVHWM, 16) < 0 ||
	                       set_int(s, ZMQ_SNDHWM, 16) < 0 || set_int(s, ZMQ_HANDSHAKE_IVL, 5000) < 0 ||
	                       zmq_setsockopt(s, ZMQ_MAXMSGSIZE, &max, sizeof(max)) < 0
	               ? -1
	               : 0;
}

/* Asking ----------------------------------------------------------------------------------------------------------- */

static int answer_of(const char *data, size_t len, const char *address, json_t **ret, struct err *err)
{
	json_t *o = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
	int code;

	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(err, EPROTO, "%s answers with something that is no JSON object", address);
	}
	if (!strcmp(field_text(o, "type"), "error")) {
		char text[ERR_TEXT_MAX - 64];

		snprintf(text, sizeof(text), "%s", field_text(o, "error"));
		text_tidy(text);
		code = (int)field_num(o, "errno");
		json_decref(o);
		return err_set(err, code > 0 && code < 134 ? code : EIO, "%s says: %s", address, text);
	}
	*ret = o;
	return 0;
}

/* What became of handshakes, by ZeroMQ's own monitor: a host that refuses this one otherwise looks like one that is off. */
struct shakes {
	void *monitor; /* NULL: nothing is known of them */
	unsigned shut; /* broken off without a word: the other one cannot read what is meant for another key */
	bool refused;  /* the other one read it, and does not admit this host's key */
};

static void *monitor_of(void *ctx, void *s)
{
	static const char at[] = "inproc://handshakes";
	void *m = zmq_socket_monitor(s, at, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) < 0
	                  ? NULL
	                  : zmq_socket(ctx, ZMQ_PAIR);

	if (m && zmq_connect(m, at) < 0) {
		zmq_close(m);
		m = NULL;
	}
	return m;
}

static void look_at_shakes(struct shakes *h, bool early)
{
	zmq_msg_t m;
	bool more = true;

	while (more) {
		uint16_t event = 0;

		zmq_msg_init(&m);
		more = zmq_msg_recv(&m, h->monitor, ZMQ_DONTWAIT) >= 0;
		if (more && zmq_msg_more(&m) && zmq_msg_size(&m) >= sizeof(event)) /* the other part is the address */
			memcpy(&event, zmq_msg_data(&m), sizeof(event));
		h->refused |= event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
		h->shut += early && event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
		zmq_msg_close(&m);
	}
}

/* 0: nothing is said against it so far. */
static int shakes_say(const struct shakes *h, const char *address, struct err *err)
{
	if (h->refused)
		return err_set(
			err, EACCES,
			"%s refuses this host: it is no member of a cluster with that one, and no invitation is open "
			"there (each is valid for an hour and until that host is booted; vmclus invite there opens "
			"another one)",
			address);
	if (h->shut >= SHUT_MAX)
		return err_set(
			err, EKEYREJECTED,
			"%s has another key than this host was told: is it the host that the token is from, or were "
			"its keys made anew since (vmclus invite there)?",
			address);
	return 0;
}

/* Wait for the answer, for @ms at most. 1: it is there; 0: not; -errno: it will not come. */
static int await_answer(void *s, struct shakes *h, uint64_t began_ns, uint64_t ms, const char *address, struct err *err)
{
	uint64_t now = boot_ns(), until = now + ms * NS_PER_MS;
	int r = 0;

	for (; r == 0 && now < until; now = boot_ns()) {
		zmq_pollitem_t item[] = { { .socket = s, .events = ZMQ_POLLIN },
			                  { .socket = h->monitor, .events = ZMQ_POLLIN } };

		if (zmq_poll(item, h->monitor ? 2 : 1, (long)((until - now) / NS_PER_MS + 1)) <= 0)
			continue;
		if (item[0].revents)
			return 1;
		look_at_shakes(h, now < began_ns + SHUT_NS);
		r = shakes_say(h, address, err);
	}
	return r;
}

static int exchange(void *s, void *monitor, const char *text, const char *address, unsigned wait_ms, json_t **ret,
                    struct err *err)
{
	uint64_t began = boot_ns(), now = began, until = now + wait_ms * NS_PER_MS;
	struct shakes h = { .monitor = monitor };
	zmq_msg_t m;
	int r = 0;

	/*
	 * Again after a while: the one that answers may just have ended because it was idle, with the question in its hands.
	 * Not what takes long: it would be done again after it failed and this host has gone on.
	 */
	for (; r == 0 && now < until; now = boot_ns()) {
		uint64_t left_ms = (until - now) / NS_PER_MS + 1;

		if (zmq_send(s, text, strlen(text), 0) < 0)
			return err_sys(err, errno, "ask %s", address);
		r = await_answer(s, &h, began, left_ms < AGAIN_MS || wait_ms > SHORT_MS ? left_ms : AGAIN_MS, address,
		                 err);
	}
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(
			err, ETIMEDOUT,
			"%s does not answer on TCP port %u: is it up, hospes-member.socket active, the port open, and "
			"has each host the other one's present key?",
			address, MEMBER_PORT);
	zmq_msg_init(&m);
	r = zmq_msg_recv(&m, s, 0) < 0 ? err_sys(err, errno, "answer of %s", address)
	                               : answer_of(zmq_msg_data(&m), zmq_msg_size(&m), address, ret, err);
	zmq_msg_close(&m);
	return r;
}

int member_ask(const struct node *self, const char *address, uint16_t port, const char *key, json_t *req,
               unsigned wait_ms, json_t **ret, struct err *err)
{
	_cleanup_free_ char *ep = xasprintf("tcp://%s:%u", address, port ?: MEMBER_PORT);
	_cleanup_free_ char *text = NULL;
	void *ctx, *s, *monitor = NULL;
	int r;

	if (req)
		(void)json_object_set_new(req, "proto", json_integer(MEMBER_PROTO));
	text = req ? json_dumps(req, JSON_COMPACT) : NULL;
	json_decref(req);
	ctx = text ? zmq_ctx_new() : NULL;
	s = ctx ? zmq_socket(ctx, ZMQ_DEALER) : NULL;
	if (!s || bounds(s) < 0 || set_int(s, ZMQ_LINGER, 0) < 0 ||
	    zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, key, 40) < 0 ||
	    zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, self->public_key, 40) < 0 ||
	    zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, self->secret_key, 40) < 0)
		r = err_sys(err, text ? errno : ENOMEM, "ask %s", address);
	else {
		monitor = monitor_of(ctx, s);
		r = zmq_connect(s, ep) < 0 ? err_set(err, errno, "\"%s\" is not the address or name of a host", address)
		                           : exchange(s, monitor, text, address, wait_ms, ret, err);
	}
	if (text)
		explicit_bzero(text, strlen(text));
	if (monitor) {
		(void)zmq_socket_monitor(s, NULL, 0);
		zmq_close(monitor);
	}
	if (s)
		zmq_close(s);
	if (ctx)
		zmq_ctx_term(ctx);
	return r;
}

/* Answering -------------------------------------------------------------------------------------------------------- */

json_t *member_error(const struct err *err)
{
	return json_pack("{s:s, s:s, s:i}", "type", "error", "error", err->text, "errno", err->code);
}

struct server {
	const struct member_server *srv;
	void *router, *zap;
};

static int recv_parts(void *s, zmq_msg_t *m, size_t *n)
{
	bool more = true;

	for (*n = 0; more && *n < PARTS_MAX; ++*n) {
		zmq_msg_init(&m[*n]);
		if (zmq_msg_recv(&m[*n], s, ZMQ_DONTWAIT) < 0) {
			zmq_msg_close(&m[*n]);
			return -errno;
		}
		more = zmq_msg_more(&m[*n]);
	}
	while (more) { /* too many: all of it is dropped */
		zmq_msg_t spare;

		zmq_msg_init(&spare);
		more = zmq_msg_recv(&spare, s, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&spare);
		zmq_msg_close(&spare);
		if (!more)
			return -EMSGSIZE;
	}
	return 0;
}

static void close_parts(zmq_msg_t *m, size_t n)
{
	while (n)
		zmq_msg_close(&m[--n]);
}

/* ZAP 1.0 (rfc.zeromq.org/spec/27): [routing id][][version][request id][domain][address][identity][mechanism][key] */
static void on_zap(struct server *v)
{
	zmq_msg_t m[PARTS_MAX];
	char key[PEER_KEY_TEXT] = "";
	size_t n;
	int r = recv_parts(v->zap, m, &n);

	if (r == 0 && n >= 8) {
		bool ok = n == 9 && zmq_msg_size(&m[7]) == 5 && !memcmp(zmq_msg_data(&m[7]), "CURVE", 5) &&
		          zmq_msg_size(&m[8]) == 32 && zmq_z85_encode(key, zmq_msg_data(&m[8]), 32) &&
		          v->srv->admits(v->srv->arg, key);
		const char *parts[] = { "", "1.0", NULL, ok ? "200" : "400", ok ? "OK" : "not admitted", ok ? key : "",
			                "" };

		zmq_send(v->zap, zmq_msg_data(&m[0]), zmq_msg_size(&m[0]), ZMQ_SNDMORE | ZMQ_DONTWAIT);
		for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
			zmq_send(v->zap, parts[i] ?: zmq_msg_data(&m[3]),
			         parts[i] ? strlen(parts[i]) : zmq_msg_size(&m[3]),
			         ZMQ_DONTWAIT | (i + 1 < ARRAY_SIZE(parts) ? ZMQ_SNDMORE : 0));
	}
	close_parts(m, n);
}

static json_t *answer(struct server *v, zmq_msg_t *m)
{
	const char *key = zmq_msg_gets(m, "User-Id"), *address = zmq_msg_gets(m, "Peer-Address");
	_cleanup_json_ json_t *req = json_loadb(zmq_msg_data(m), zmq_msg_size(m), JSON_REJECT_DUPLICATES, NULL);
	struct err err = { 0 };

	if (!json_is_object(req) || !key)
		(void)err_set(&err, EPROTO, "that is no JSON object");
	else if (json_integer_value(json_object_get(req, "proto")) != MEMBER_PROTO)
		(void)err_set(
			&err, EPROTO,
			"this host speaks version %u of the protocol (Hospes %s): install the same version on both hosts",
			MEMBER_PROTO, PACKAGE_VERSION);
	else
		return v->srv->answer(v->srv->arg, key, address ?: "", req);
	return member_error(&err);
}

/* True: somebody asked something. */
static bool on_question(struct server *v)
{
	zmq_msg_t m[PARTS_MAX];
	size_t n;
	int r = recv_parts(v->router, m, &n);

	if (r == 0 && n == 2) {
		_cleanup_json_ json_t *o = answer(v, &m[1]);
		_cleanup_free_ char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

		if (text) {
			zmq_send(v->router, zmq_msg_data(&m[0]), zmq_msg_size(&m[0]), ZMQ_SNDMORE | ZMQ_DONTWAIT);
			zmq_send(v->router, text, strlen(text), ZMQ_DONTWAIT);
			explicit_bzero(text, strlen(text));
		}
	}
	close_parts(m, n);
	return r == 0;
}

static int open_server(struct server *v, void *ctx, const struct node *self, int fd, uint16_t port, struct err *err)
{
	_cleanup_free_ char *ep = xasprintf("tcp://*:%u", port);

	v->zap = zmq_socket(ctx, ZMQ_ROUTER);
	v->router = zmq_socket(ctx, ZMQ_ROUTER);
	if (!v->zap || !v->router || zmq_bind(v->zap, ZAP_ENDPOINT) < 0 || bounds(v->router) < 0 ||
	    set_int(v->router, ZMQ_CURVE_SERVER, 1) < 0 ||
	    zmq_setsockopt(v->router, ZMQ_CURVE_SECRETKEY, self->secret_key, 40) < 0 ||
	    zmq_setsockopt(v->router, ZMQ_ZAP_DOMAIN, "member", 6) < 0 ||
	    (fd >= 0 && set_int(v->router, ZMQ_USE_FD, fd) < 0))
		return err_sys(err, errno, "ZeroMQ");
	return zmq_bind(v->router, ep) < 0 ? err_sys(err, errno, "listen on %s", ep) : 0;
}

static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
	(void)sig;
	ended = 1;
}

int member_serve(const struct node *self, int fd, uint16_t port, unsigned idle_ms, const struct member_server *srv,
                 struct err *err)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct server v = { .srv = srv };
	void *ctx = zmq_ctx_new();
	int r = ctx ? open_server(&v, ctx, self, fd, port, err) : err_sys(err, errno, "ZeroMQ");
	uint64_t until = boot_ns() + (uint64_t)idle_ms * NS_PER_MS;

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	while (r == 0 && !ended && boot_ns() < until) {
		zmq_pollitem_t item[] = { { .socket = v.zap, .events = ZMQ_POLLIN },
			                  { .socket = v.router, .events = ZMQ_POLLIN } };

		if (zmq_poll(item, 2, 1000) <= 0)
			continue;
		if (item[0].revents)
			on_zap(&v);
		if (item[1].revents && on_question(&v))
			until = boot_ns() + (uint64_t)idle_ms * NS_PER_MS;
	}
	if (v.router)
		zmq_close(v.router);
	if (v.zap)
		zmq_close(v.zap);
	if (ctx)
		zmq_ctx_term(ctx);
	return r;
}
