/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change of the set of hosts, over members that each have files of their own: all of them, some that are silent, a
 * change that is interrupted at each host and finished from any. And the messages: sockets with the real keys, hostile
 * ones among them.
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>
#include "common/util.h"
#include "tools/jsonconn.h"
#include "tools/member_link.h"
#include "tools/member_set.h"

#define HOSTS 4u

static struct world {
	struct node node[HOSTS];
	bool silent[HOSTS];
	unsigned puts, stop_after; /* stop_after: so many "put" succeed, then all fail; 0: no limit */
	unsigned reloads;
	bool strict;                    /* runs[] counts */
	uint64_t runs[HOSTS];           /* what its Corosync goes by */
	bool apart[HOSTS], deaf[HOSTS]; /* in another membership than the others; and it reads no file */
	int reload_result;
} w;

static const char *const names[HOSTS] = { "host-a", "host-b", "host-c", "host-d" };

/* From now on the files are those of host @i. */
static void be(unsigned i)
{
	_cleanup_free_ char *dir = xasprintf("%s/%s", test_dir, names[i]);

	assert_int_equal(mkdir_p(dir, 0755), 0);
	setenv("HOSPES_CONFDIR", dir, 1);
	setenv("HOSPES_COROSYNCDIR", dir, 1);
}

static unsigned current(void)
{
	const char *dir = strrchr(getenv("HOSPES_CONFDIR"), '/') + 1;

	for (unsigned i = 0; i < HOSTS; i++)
		if (!strcmp(names[i], dir))
			return i;
	return HOSTS;
}

static uint64_t on_disk(void)
{
	_cleanup_free_ char *text = NULL;
	struct err err = { 0 };
	struct conf c;

	return host_conf(&text, &c, &err) < 0 ? 0 : c.version;
}

static int ask(const void *arg, const struct peer *to, json_t *req, json_t **ret, struct err *err)
{
	unsigned was = current(), i = 0;
	int r = 0;

	(void)arg;
	while (i + 1 < HOSTS && strcmp(names[i], to->name) != 0)
		i++;
	assert_string_equal(names[i], to->name);
	assert_string_equal(to->public_key, w.node[i].public_key);
	if (w.silent[i]) {
		json_decref(req);
		return err_set(err, ETIMEDOUT, "%s does not answer", to->name);
	}
	be(i);
	if (!strcmp(field_text(req, "op"), "conf")) {
		*ret = member_conf_get(&w.node[i]);
		if (!strcmp(field_text(*ret, "type"), "error"))
			r = err_set(err, (int)field_num(*ret, "errno"), "%s", field_text(*ret, "error"));
	} else if (!strcmp(field_text(req, "op"), "read")) {
		if (w.runs[i] && !w.deaf[i])
			w.runs[i] = on_disk();
		*ret = json_pack("{s:s}", "type", "ok");
	} else if (w.stop_after && w.puts >= w.stop_after) {
		r = err_set(err, ETIMEDOUT, "cut off");
	} else {
		r = member_conf_put(&w.node[i], req, err);
		w.puts += r == 0;
	}
	json_decref(req);
	be(was);
	return r;
}

static int reload(struct err *err)
{
	unsigned was = current();

	w.reloads++;
	for (unsigned i = 0; i < HOSTS && w.reload_result == 0; i++) {
		be(i);
		if (w.runs[i] && !w.apart[i] && !w.silent[i])
			w.runs[i] = on_disk();
	}
	be(was);
	return w.reload_result < 0 ? err_set(err, -w.reload_result, "no reload") : 0;
}

/* A majority of its hosts goes by it, as far as they are in one membership with this one. */
static int goes_by(const struct conf *c, struct err *err)
{
	unsigned k = 0;

	for (unsigned i = 0; i < HOSTS; i++)
		k += conf_named(c, names[i]) && !w.silent[i] && (w.runs[i] == c->version || !w.strict);
	return k > c->n / 2 || !w.strict ? 0 : err_set(err, EAGAIN, "%u go by it", k);
}

static struct peer peer_of(unsigned i)
{
	struct peer p = { .port = 4919 };

	strcpy(p.name, names[i]);
	snprintf(p.address, sizeof(p.address), "10.0.0.%u", i + 1);
	strcpy(p.public_key, w.node[i].public_key);
	return p;
}

/* A cluster of the first @n hosts. */
static int world_setup(void **state)
{
	struct conf_node first = { .id = 1, .name = "host-a", .addr = { "10.0.0.1" } };
	struct err err = { 0 };
	int r = test_dir_setup(state);

	w = (struct world){ 0 };
	for (unsigned i = 0; r == 0 && i < HOSTS; i++) {
		be(i);
		w.node[i].port = 4919;
		strcpy(w.node[i].name, names[i]);
		assert_int_equal(zmq_curve_keypair(w.node[i].public_key, w.node[i].secret_key), 0);
	}
	_cleanup_free_ char *text = conf_make("lab1", &first);
	for (unsigned i = 1; i < 3; i++) {
		struct conf_node n = { .id = i + 1 };

		strcpy(n.name, names[i]);
		snprintf(n.addr[0], sizeof(n.addr[0]), "10.0.0.%u", i + 1);
		char *more = conf_add(text, &n, &err);
		free(text);
		text = more;
	}
	for (unsigned i = 0; i < 3; i++) {
		be(i);
		assert_int_equal(host_conf_write(text, &err), 0);
		for (unsigned k = 0; k < 3; k++) {
			struct peer p = peer_of(k);

			if (k != i)
				assert_int_equal(host_pin(&p, &err), 0);
		}
	}
	be(0);
	return r;
}

static int change(unsigned by, int add, const char *remove, bool force, struct err *err)
{
	struct conf_node n = { .id = 0 };
	struct peer p = { .port = 0 };
	struct member_change m = {
		.self = &w.node[by], .ask = ask, .reload = reload, .goes_by = goes_by, .remove = remove, .force = force
	};

	if (add >= 0) {
		p = peer_of((unsigned)add);
		strcpy(n.name, p.name);
		strcpy(n.addr[0], p.address);
		m.add = &n;
		m.peer = &p;
	}
	be(by);
	*err = (struct err){ 0 };
	return member_change(&m, err);
}

/* HOSTS: "abc": each of these has exactly these in its list, at @version, and their keys. */
static void has(const char *hosts, uint64_t version)
{
	for (const char *h = hosts; *h; h++) {
		_cleanup_peers_ struct peers ps = { 0 };
		_cleanup_free_ char *text = NULL;
		struct err err = { 0 };
		struct conf c;

		be((unsigned)(*h - 'a'));
		assert_int_equal(host_conf(&text, &c, &err), 0);
		assert_int_equal(c.n, strlen(hosts));
		assert_int_equal(c.version, version);
		assert_int_equal(peers_load(&ps, &err), 0);
		assert_int_equal(ps.n, strlen(hosts) - 1);
		for (const char *o = hosts; *o; o++) {
			assert_non_null(conf_named(&c, names[*o - 'a']));
			assert_true(*o == *h || peers_by_name(&ps, names[*o - 'a']));
		}
	}
}

/* A joiner has its files before it is added. */
static void prepare_d(void)
{
	struct conf_node n = { .name = "host-d", .addr = { "10.0.0.4" } };
	_cleanup_free_ char *text = NULL, *more = NULL;
	struct err err = { 0 };
	struct conf c;

	be(0);
	assert_int_equal(host_conf(&text, &c, &err), 0);
	n.id = conf_next(&c);
	more = conf_add(text, &n, &err);
	be(3);
	assert_int_equal(host_conf_write(more, &err), 0);
	for (unsigned k = 0; k < 3; k++) {
		struct peer p = peer_of(k);
		assert_int_equal(host_pin(&p, &err), 0);
	}
}

static void test_add_remove(void **state)
{
	struct err err;

	(void)state;
	has("abc", 3);
	prepare_d();
	assert_int_equal(change(1, 3, NULL, false, &err), 0); /* by host-b */
	has("abcd", 4);
	assert_int_equal(w.reloads, 1);
	assert_int_equal(change(0, 3, NULL, false, &err), 0); /* again: nothing to do but to be sure */
	has("abcd", 4);
	assert_int_equal(change(3, -1, "host-b", false, &err), 0);
	has("acd", 5);
	assert_int_equal(change(3, -1, "host-b", false, &err), 0);
	has("acd", 5);
	/* one that is called like a member, at another address */
	struct conf_node n = { .name = "host-c", .addr = { "10.0.0.9" } };
	struct peer p = peer_of(1);
	struct member_change m = {
		.self = &w.node[0], .ask = ask, .reload = reload, .goes_by = goes_by, .add = &n, .peer = &p
	};
	be(0);
	assert_int_equal(member_change(&m, &err), -EEXIST);
	has("acd", 5);
}

static void test_silent(void **state)
{
	struct err err;

	(void)state;
	prepare_d();
	w.silent[2] = true;
	/* none is added while one is away */
	assert_int_equal(change(0, 3, NULL, false, &err), -ETIMEDOUT);
	assert_non_null(strstr(err.text, "host-c"));
	has("abc", 3);
	/* but one that is away can be taken out by a majority */
	assert_int_equal(change(0, -1, "host-c", false, &err), 0);
	has("ab", 4);
	/* of two, one alone is none */
	w.silent[1] = true;
	assert_int_equal(change(0, -1, "host-b", false, &err), -EAGAIN);
	has("ab", 4);
	assert_int_equal(change(0, -1, "host-b", true, &err), 0);
	has("a", 5);
	/* the one that was taken out knows nothing of it, and cannot undo it */
	w.silent[1] = false;
	assert_int_equal(change(1, 2, NULL, false, &err), -ENOENT);
	has("a", 5);
}

/* It stops after each number of hosts; then another host finishes it, and what it was asked for besides. */
static void test_interrupted(void **state)
{
	struct err err;
	uint64_t version = 3;

	(void)state;
	for (unsigned by = 0; by < 3; by++) {
		for (unsigned after = 0; after < 3; after++) {
			prepare_d();
			w.puts = 0;
			w.stop_after = after;
			w.silent[3] = false;
			int r = change(1, 3, NULL, false, &err);
			assert_int_equal(r, after && after < 2 ? -ETIMEDOUT : 0);
			if (r < 0)
				assert_non_null(strstr(err.text, "repeat this"));
			w.stop_after = 0;
			assert_int_equal(change(by, 3, NULL, false, &err), 0);
			version++;
			has("abcd", version);
			assert_int_equal(change(by, -1, "host-d", false, &err), 0);
			version++;
			has("abc", version);
		}
	}
	/* Corosync that does not read its file: repeated, it is told again */
	w.reload_result = -EIO;
	prepare_d();
	assert_int_equal(change(0, 3, NULL, false, &err), -EIO);
	w.reload_result = 0;
	w.reloads = 0;
	assert_int_equal(change(0, 3, NULL, false, &err), 0);
	assert_int_equal(w.reloads, 1);
}

/*
 * host-b and host-c are in another membership of Corosync than host-a, and answer its questions all the same. Had they only the file,
 * host-a could go on and on, until its list is of itself alone, while the others still go by the first one.
 */
static void test_not_read(void **state)
{
	struct err err;

	(void)state;
	w.strict = true;
	for (unsigned i = 0; i < 3; i++)
		w.runs[i] = 3;
	w.apart[1] = w.apart[2] = w.deaf[1] = w.deaf[2] = true;
	prepare_d();
	w.runs[3] = 4;
	assert_int_equal(change(0, 3, NULL, false, &err), 0);
	has("abcd", 4);
	assert_int_equal(w.runs[1], 3);
	w.silent[3] = true;
	assert_int_equal(change(0, -1, "host-d", false, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "1 go by it"));
	has("abcd", 4);
	/* as soon as they read it when they are told, it goes on */
	w.deaf[1] = w.deaf[2] = false;
	assert_int_equal(change(0, -1, "host-d", false, &err), 0);
	has("abc", 5);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(w.runs[i], 5);
}

/* host-b and host-c have left in order. Each asks another host, and neither of these knows what the other one does. */
static void test_two_leave_at_once(void **state)
{
	struct member_change m = {
		.self = &w.node[0], .ask = ask, .reload = reload, .goes_by = goes_by, .remove = "host-b", .leaves = true
	};
	struct err err;

	(void)state;
	w.silent[0] = true;
	assert_int_equal(change(1, -1, "host-a", false, &err), 0); /* host-b and host-c have version 4 */
	w.silent[0] = false;
	w.silent[2] = true;
	be(0);
	err = (struct err){ 0 };
	/* host-b is asked, too: what it knows is that host-a was taken out */
	assert_int_equal(member_change(&m, &err), -ENOENT);
	assert_non_null(strstr(err.text, "taken out of the cluster"));
}

/* One that asked to be taken out counts for that, and for nothing else. */
static void test_bound(void **state)
{
	struct member_change m = {
		.self = &w.node[0], .ask = ask, .reload = reload, .goes_by = goes_by, .remove = "host-b", .leaves = true
	};
	struct err err;

	(void)state;
	be(1);
	assert_int_equal(host_bind(&err), 0);
	assert_true(host_bound());
	assert_int_equal(change(1, -1, "host-a", false, &err), -EBUSY);
	w.silent[0] = true;
	assert_int_equal(change(2, -1, "host-a", false, &err), -EAGAIN); /* of two that answer one leaves */
	has("abc", 3);
	w.silent[0] = false;
	w.silent[2] = true;
	be(0);
	err = (struct err){ 0 };
	assert_int_equal(member_change(&m, &err), 0);
	be(1);
	assert_int_equal(on_disk(), 3); /* it took over nothing */
	be(0);
	assert_int_equal(on_disk(), 4);
	be(1);
	host_unbind();
	assert_false(host_bound());
}

static void test_two_at_once(void **state)
{
	struct err err = { 0 };
	_cleanup_free_ char *text = NULL;
	struct conf c;

	(void)state;
	be(0);
	assert_int_equal(host_conf(&text, &c, &err), 0);
	/* host-a is ahead by a change that host-c did not see: what follows the old version is refused */
	_cleanup_free_ char *x = conf_remove(text, "host-c", &err), *y = conf_remove(text, "host-b", &err);
	_cleanup_json_ json_t *peers = host_peers(&w.node[0], &c, NULL, &err);
	_cleanup_json_ json_t *first = json_pack("{s:s, s:i, s:O}", "conf", x, "base", 3, "peers", peers);
	_cleanup_json_ json_t *second = json_pack("{s:s, s:i, s:O}", "conf", y, "base", 3, "peers", peers);
	assert_int_equal(member_conf_put(&w.node[0], first, &err), 0);
	assert_int_equal(member_conf_put(&w.node[0], first, &err), 0);
	assert_int_equal(member_conf_put(&w.node[0], second, &err), -ESTALE);
	/* a person's work: the same version, another text */
	be(1);
	_cleanup_free_ char *other = xasprintf("%s# mine\n", x);
	assert_int_equal(host_conf_write(other, &err), 0);
	be(0);
	w.silent[2] = true;
	assert_int_equal(change(0, -1, "host-c", false, &err), -EINVAL);
	assert_non_null(strstr(err.text, "differ"));
}

static bool pinned(const char *name)
{
	_cleanup_peers_ struct peers ps = { 0 };
	struct err err = { 0 };

	assert_int_equal(peers_load(&ps, &err), 0);
	return peers_by_name(&ps, name);
}

/* The key of a host that went goes after the list: it goes, too, if whoever wrote the list died there. */
static void test_gone(void **state)
{
	_cleanup_free_ char *text = NULL, *next = NULL;
	struct err err = { 0 };
	struct conf c, now;

	(void)state;
	be(0);
	assert_int_equal(host_conf(&text, &c, &err), 0);
	next = conf_remove(text, "host-c", &err);
	assert_int_equal(conf_parse(next, &now, &err), 0);
	/* before the list: nothing has happened */
	assert_int_equal(host_gone_note(&w.node[0], &c, &now, &err), 0);
	assert_int_equal(host_gone_forget(&w.node[0], &c, &err), 0);
	assert_true(pinned("host-c"));
	/* behind it: the next one that looks, or the same order once more */
	assert_int_equal(host_gone_note(&w.node[0], &c, &now, &err), 0);
	assert_int_equal(host_conf_write(next, &err), 0);
	_cleanup_json_ json_t *o = json_pack("{s:s, s:i, s:[]}", "conf", next, "base", 3, "peers");
	assert_int_equal(member_conf_put(&w.node[0], o, &err), 0);
	assert_false(pinned("host-c"));
	assert_true(pinned("host-b"));
}

/* What no member may be told. */
static void test_hostile_put(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"conf\":1,\"base\":3,\"peers\":[]}",
		"{\"conf\":\"totem {\",\"base\":3,\"peers\":[]}",
		"{\"conf\":\"totem {\\ncluster_name: lab1\\n}\\n\",\"base\":3,\"peers\":[]}",
		"{\"conf\":\"totem {\\ncluster_name: other\\n}\\nnodelist {\\nnode {\\nname: host-a\\nnodeid: 1\\nring0_addr: x\\n}\\n}\\n\",\"base\":3,\"peers\":[]}",
	};
	_cleanup_free_ char *before = NULL, *after = NULL;
	struct err err = { 0 };
	struct conf c;

	(void)state;
	be(0);
	assert_int_equal(host_conf(&before, &c, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_json_ json_t *o = json_loads(bad[i], 0, NULL);

		assert_true(member_conf_put(&w.node[0], o, &err) < 0);
	}
	/* peers that are none: nothing of it counts */
	_cleanup_free_ char *next = conf_remove(before, "host-c", &err);
	_cleanup_json_ json_t *o = json_pack("{s:s, s:i, s:[{s:s, s:s, s:s}]}", "conf", next, "base", 3, "peers",
	                                     "name", "../../x", "address", "10.0.0.1", "public_key",
	                                     w.node[1].public_key);
	assert_int_equal(member_conf_put(&w.node[0], o, &err), -EINVAL);
	assert_int_equal(host_conf(&after, &c, &err), 0);
	assert_string_equal(before, after);
}

/* Messages --------------------------------------------------------------------------------------------------------- */

#define PORT 14921u

static char admitted[PEER_KEY_TEXT];
static unsigned answered;

static bool admits(void *arg, const char *key)
{
	(void)arg;
	return !strcmp(key, admitted);
}

static json_t *answer(void *arg, const char *key, const char *address, const json_t *req)
{
	(void)arg, (void)address;
	answered++;
	if (!strcmp(field_text(req, "op"), "fail")) {
		struct err err = { .code = ENOENT, .text = "no such thing" };
		return member_error(&err);
	}
	return json_pack("{s:s, s:s}", "type", "ok", "key", key);
}

static void *serve(void *arg)
{
	const struct member_server srv = { .admits = admits, .answer = answer };
	struct err err = { 0 };

	(void)arg;
	return member_serve(&w.node[0], -1, PORT, 3000, &srv, &err) < 0 ? strdup(err.text) : NULL;
}

static void send_raw(const char *key, const void *p, size_t n)
{
	void *ctx = zmq_ctx_new(), *s = zmq_socket(ctx, ZMQ_DEALER);
	int ms = 300;
	char got[256];

	zmq_setsockopt(s, ZMQ_LINGER, &(int){ 200 }, sizeof(int));
	zmq_setsockopt(s, ZMQ_RCVTIMEO, &ms, sizeof(ms));
	zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, key, 40);
	zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, w.node[1].public_key, 40);
	zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, w.node[1].secret_key, 40);
	zmq_connect(s, "tcp://127.0.0.1:14921");
	zmq_send(s, p, n, 0);
	zmq_recv(s, got, sizeof(got), 0);
	zmq_close(s);
	zmq_ctx_term(ctx);
}

static void test_messages(void **state)
{
	_cleanup_json_ json_t *o = NULL, *none = NULL;
	const char *key = w.node[0].public_key;
	struct err err = { 0 };
	pthread_t t;
	void *failed;

	(void)state;
	strcpy(admitted, w.node[1].public_key);
	assert_int_equal(pthread_create(&t, NULL, serve, NULL), 0);
	assert_int_equal(member_ask(&w.node[1], "127.0.0.1", PORT, key, json_pack("{s:s}", "op", "x"), 5000, &o, &err),
	                 0);
	assert_string_equal(field_text(o, "key"), w.node[1].public_key);
	/* an error comes back as one */
	assert_int_equal(member_ask(&w.node[1], "127.0.0.1", PORT, key, json_pack("{s:s}", "op", "fail"), 5000, &none,
	                            &err),
	                 -ENOENT);
	assert_non_null(strstr(err.text, "no such thing"));
	unsigned before = answered;
	/* a key that is not admitted; a server that is another one than the token says: both are said, long before the time is up */
	uint64_t began = boot_ns();
	assert_int_equal(member_ask(&w.node[2], "127.0.0.1", PORT, key, json_pack("{s:s}", "op", "x"), 60000, &none,
	                            &err),
	                 -EACCES);
	assert_non_null(strstr(err.text, "no invitation is open"));
	assert_int_equal(member_ask(&w.node[1], "127.0.0.1", PORT, w.node[2].public_key, json_pack("{s:s}", "op", "x"),
	                            60000, &none, &err),
	                 -EKEYREJECTED);
	assert_true(boot_ns() < began + 30 * NS_PER_S);
	/* nobody is there */
	assert_int_equal(member_ask(&w.node[1], "127.0.0.1", PORT + 1, key, json_pack("{s:s}", "op", "x"), 300, &none,
	                            &err),
	                 -ETIMEDOUT);
	/* what is no question: answered with an error, or not at all; the server goes on */
	_cleanup_free_ char *big = malloc(MEMBER_BYTES_MAX + 1);
	memset(big, '[', MEMBER_BYTES_MAX + 1);
	send_raw(key, "", 0);
	send_raw(key, "[]", 2);
	send_raw(key, "{\"proto\":1", 10);
	send_raw(key, "{\"proto\":99,\"op\":\"x\"}", 21);
	send_raw(key, big, MEMBER_BYTES_MAX);
	send_raw(key, big, MEMBER_BYTES_MAX + 1);
	assert_int_equal(answered, before);
	assert_int_equal(member_ask(&w.node[1], "127.0.0.1", PORT, key, json_pack("{s:s}", "op", "x"), 5000, &none,
	                            &err),
	                 0);
	assert_int_equal(pthread_join(t, &failed), 0); /* it ends by itself */
	assert_null(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_add_remove, world_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_silent, world_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_interrupted, world_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_not_read, world_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_two_leave_at_once, world_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_bound, world_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_two_at_once, world_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_gone, world_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_hostile_put, world_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_messages, world_setup, test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
