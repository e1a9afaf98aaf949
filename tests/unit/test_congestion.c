/* SPDX-License-Identifier: GPL-2.0-or-later */
/* congestion.c: libzmq's own connections, made by threads without capabilities, begin with what was asked for. */
#include "config.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>
#include "migrated/io/congestion.h"
#include "migrated/io/priv.h"
#include "tests/unit/testutil.h"

static const char *const available = "/proc/sys/net/ipv4/tcp_available_congestion_control",
			 *const allowed = "/proc/sys/net/ipv4/tcp_allowed_congestion_control",
			 *const standard = "/proc/sys/net/ipv4/tcp_congestion_control";

/* Is @name among the words of @path? NULL: the last word goes to @word. */
static bool words(const char *path, const char *name, char word[CONGESTION_MAX])
{
	FILE *f = fopen(path, "re");
	bool found = false;

	if (!f)
		return false;
	for (char w[CONGESTION_MAX]; fscanf(f, "%15s", w) == 1;) {
		found |= name && strcmp(name, w) == 0;
		if (!name)
			memcpy(word, w, sizeof(w));
	}
	fclose(f);
	return found;
}

/* What a connection by libzmq begins with; its threads have no capabilities. */
static void connected_with(char name[CONGESTION_MAX])
{
	void *zmq = zmq_ctx_new(), *server = zmq_socket(zmq, ZMQ_PAIR);
	char at[64];
	size_t len = sizeof(at);
	uint8_t ev[6];
	uint32_t fd;
	socklen_t n = CONGESTION_MAX;
	struct err err;
	void *other = zmq_ctx_new();

	assert_int_equal(priv_start_zmq(other, &err), 0);
	void *client = zmq_socket(other, ZMQ_PAIR), *mon = zmq_socket(other, ZMQ_PAIR);
	assert_int_equal(zmq_bind(server, "tcp://127.0.0.1:*"), 0);
	assert_int_equal(zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, at, &len), 0);
	assert_int_equal(zmq_socket_monitor(client, "inproc://connected", ZMQ_EVENT_CONNECTED), 0);
	assert_int_equal(zmq_connect(mon, "inproc://connected"), 0);
	assert_int_equal(zmq_connect(client, at), 0);
	assert_int_equal(zmq_recv(mon, ev, sizeof(ev), 0), sizeof(ev)); /* zmq_socket_monitor(3): event, descriptor */
	memcpy(&fd, ev + 2, sizeof(fd));
	memset(name, 0, CONGESTION_MAX);
	assert_int_equal(getsockopt((int)fd, IPPROTO_TCP, TCP_CONGESTION, name, &n), 0);
	(void)zmq_socket_monitor(client, NULL, 0);
	zmq_close(mon);
	zmq_close(client);
	zmq_close(server);
	zmq_ctx_term(other);
	zmq_ctx_term(zmq);
}

static void test_allowed(void **state)
{
	char got[CONGESTION_MAX];

	(void)state;
	assert_int_equal(congestion_set("reno"), 0); /* everybody may */
	connected_with(got);
	assert_string_equal(got, "reno");
}

static void test_restricted(void **state)
{
	char want[CONGESTION_MAX] = "", got[CONGESTION_MAX];

	(void)state;
	words(available, NULL, want);
	if (geteuid() != 0 && !words(allowed, want, NULL))
		skip(); /* needs CAP_NET_ADMIN */
	assert_int_equal(congestion_set(want), 0);
	connected_with(got);
	assert_string_equal(got, want);
}

static void test_unknown(void **state)
{
	char want[CONGESTION_MAX] = "", got[CONGESTION_MAX];

	(void)state;
	words(standard, NULL, want);
	assert_int_equal(congestion_set("no-such-thing"), 0);
	connected_with(got);
	assert_string_equal(got, want);
	assert_int_equal(congestion_set(CONGESTION_SYSTEM), 0);
	connected_with(got);
	assert_string_equal(got, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_allowed), cmocka_unit_test(test_restricted),
		                            cmocka_unit_test(test_unknown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
