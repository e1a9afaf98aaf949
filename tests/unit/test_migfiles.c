/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The journal and the peer files: durable, and patient with what they find. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <fcntl.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>
#include "common/util.h"
#include "migrated/io/journal.h"
#include "migrated/io/leasefile.h"
#include "migrated/io/incoming_int.h"
#include "migrated/io/outgoing_int.h"
#include "migrated/io/peers.h"
#include "migrated/io/standing.h"

#define UUID "c7a5fdbd-cdaf-9455-926a-d65c16db1809"

static void count(void *arg, const struct journal_rec *rec)
{
	unsigned *n = arg;

	*n += rec->session != 0;
}

static void test_journal(void **state)
{
	struct journal_rec r = { .session = 0xabc,
		                 .generation = 7,
		                 .rec = MIG_REC_READY,
		                 .stay_paused = true,
		                 .name = "guest01",
		                 .uuid = UUID,
		                 .peer = "host-b" },
			   got;
	struct err err;
	unsigned n = 0;
	(void)state;

	assert_int_equal(journal_load(test_dir, 0xabc, &got), -ENOENT);
	assert_int_equal(journal_append(test_dir, &r, &err), 0);
	r.rec = MIG_REC_TAKEN;
	assert_int_equal(journal_append(test_dir, &r, &err), 0);
	assert_int_equal(journal_load(test_dir, 0xabc, &got), 0);
	assert_int_equal(got.rec, MIG_REC_TAKEN);
	assert_int_equal(got.generation, 7);
	assert_true(got.stay_paused);
	assert_string_equal(got.peer, "host-b");
	r.session = 0xabd;
	r.rec = MIG_REC_CALLED_OFF;
	assert_int_equal(journal_append(test_dir, &r, &err), 0);
	assert_int_equal(journal_load(test_dir, 0xabd, &got), 0);
	assert_int_equal(got.rec, MIG_REC_CALLED_OFF);
	journal_forget(test_dir, 0xabd);
	/* a torn last line does not count, the one before does */
	_cleanup_free_ char *path = xasprintf("%s/%016x.journal", test_dir, 0xabc);
	int fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "{\"rec\":\"gone\",\"sess", 19), 19);
	close(fd);
	assert_int_equal(journal_load(test_dir, 0xabc, &got), 0);
	assert_int_equal(got.rec, MIG_REC_TAKEN);
	/* and what is written behind it counts again */
	r.session = 0xabc;
	assert_int_equal(journal_append(test_dir, &r, &err), 0);
	assert_int_equal(journal_load(test_dir, 0xabc, &got), 0);
	assert_int_equal(got.rec, MIG_REC_CALLED_OFF);
	/* a text that would add fields is refused */
	r.session = 0xabe;
	strcpy(r.uuid, "\",\"rec\":\"taken\",\"x\":\"-aaaaaaaaaaaa");
	assert_int_equal(journal_append(test_dir, &r, &err), -EINVAL);
	assert_int_equal(journal_load(test_dir, 0xabe, &got), -ENOENT);
	/* a file without any whole record is removed by the scan */
	_cleanup_free_ char *torn = xasprintf("%s/%016x.journal", test_dir, 0xdef);
	fd = open(torn, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "{\"rec", 5), 5);
	close(fd);
	assert_int_equal(journal_scan(test_dir, count, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_true(access(torn, F_OK) < 0);
	journal_forget(test_dir, 0xabc);
	assert_int_equal(journal_load(test_dir, 0xabc, &got), -ENOENT);
	assert_true(journal_append("/nonexistent", &r, &err) < 0);
	assert_non_null(strstr(err.text, "/nonexistent"));
}

static void test_journal_lines(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"null",
		"{\"rec\":\"taken\"}",
		"{\"rec\":\"eaten\",\"session\":\"1\",\"generation\":1,\"name\":\"a\",\"uuid\":\"" UUID
		"\",\"peer\":\"b\"}",
		"{\"rec\":\"taken\",\"session\":\"0\",\"generation\":1,\"name\":\"a\",\"uuid\":\"" UUID
		"\",\"peer\":\"b\"}",
		"{\"rec\":\"taken\",\"session\":\"1\",\"generation\":-1,\"name\":\"a\",\"uuid\":\"" UUID
		"\",\"peer\":\"b\"}",
		"{\"rec\":\"taken\",\"session\":\"1\",\"generation\":1,\"name\":\"a\",\"uuid\":\"../../etc/passwd\",\"peer\":\"b\"}",
		"{\"rec\":\"taken\",\"session\":\"1\",\"generation\":1,\"name\":\"../a\",\"uuid\":\"" UUID
		"\",\"peer\":\"b\"}",
		"{\"rec\":\"taken\",\"session\":\"1z\",\"generation\":1,\"name\":\"a\",\"uuid\":\"" UUID
		"\",\"peer\":\"b\"}",
	};
	struct journal_rec got;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (journal_parse(bad[i], strlen(bad[i]), &got) == 0)
			fail_msg("accepted: %s", bad[i]);
}

static void test_node(void **state)
{
	struct node a, b;
	struct err err;
	struct stat st;
	(void)state;

	assert_true(node_load(&a, false, &err) < 0); /* no keys yet, and none to be made */
	assert_int_equal(node_load(&a, true, &err), 0);
	assert_int_equal(node_load(&b, false, &err), 0);
	assert_string_equal(a.secret_key, b.secret_key);
	/* its name is the one that hvdom writes into leases */
	_cleanup_free_ char *hostname = xasprintf("%s/hostname", test_dir);
	assert_int_equal(file_write_atomic(hostname, "host-x\n", 7, 0644), 0);
	assert_int_equal(node_load(&b, false, &err), 0);
	assert_string_equal(b.name, "host-x");
	assert_int_equal(unlink(hostname), 0);
	_cleanup_free_ char *path = xasprintf("%s/keys/migrated.key", test_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(node_load(&b, false, &err), -EPERM);
	_cleanup_free_ char *conf = xasprintf("%s/migrated.json", test_dir);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(file_write_atomic(conf, "{\"name\": \"../x\"}", 16, 0644), 0);
	assert_int_equal(node_load(&b, false, &err), -EINVAL);
	assert_int_equal(file_write_atomic(conf, "{\"port\": 99999}", 15, 0644), 0);
	assert_int_equal(node_load(&b, false, &err), -EINVAL);
	assert_int_equal(unlink(conf), 0);
}

static void test_peers(void **state)
{
	static const struct {
		const char *name, *address, *key;
		int want;
		const char *host;
		unsigned port;
	} t[] = {
		{ "host-b", "10.0.0.2", "k", 0, "10.0.0.2", 4919 },
		{ "host-c", "host-c.example:5000", "k", 0, "host-c.example", 5000 },
		{ "host-d", "[fe80::1%eth0]:77", "k", 0, "[fe80::1%eth0]", 77 },
		{ "host-e", "fe80::1", "k", 0, "fe80::1", 4919 },
		{ "../x", "10.0.0.2", "k", -EINVAL, NULL, 0 },
		{ "x", "10.0.0.2", "", -EINVAL, NULL, 0 },
		{ "x", "10.0.0.2:0", "k", -EINVAL, NULL, 0 },
		{ "x", "10.0.0.2:99999", "k", -EINVAL, NULL, 0 },
		{ "x", "a;b", "k", -EINVAL, NULL, 0 },
		{ "x", "", "k", -EINVAL, NULL, 0 },
	};
	char pub[41], sec[41];
	struct err err;
	(void)state;

	assert_int_equal(zmq_curve_keypair(pub, sec), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		int r = peer_add(t[i].name, t[i].address, t[i].key[0] ? pub : "not a key", &err);
		if (r != t[i].want)
			fail_msg("%s %s: %d %s", t[i].name, t[i].address, r, r < 0 ? err.text : "");
		_cleanup_peers_ struct peers ps = { 0 };
		assert_int_equal(peers_load(&ps, &err), 0);
		const struct peer *p = peers_by_name(&ps, t[i].name);
		assert_int_equal(p != NULL, r == 0);
		if (p) {
			assert_string_equal(p->address, t[i].host);
			assert_int_equal(p->port, t[i].port);
			assert_non_null(peers_by_key(&ps, pub));
			assert_int_equal(peer_remove(t[i].name, &err), 0);
		}
	}
	assert_int_equal(peer_remove("host-b", &err), -ENOENT);
	_cleanup_free_ char *bad = xasprintf("%s/peers.d/bad.json", test_dir);
	assert_int_equal(file_write_atomic(bad, "{", 1, 0644), 0);
	struct peers ps;
	assert_int_equal(peers_load(&ps, &err), -EINVAL);
	assert_non_null(strstr(err.text, "bad.json"));
}

/* A peer speaks for the migrations that it began, and for no others: neither live ones nor records. */
static void test_standing(void **state)
{
	struct incoming in = { .session = 1, .from = { .name = "host-b" } };
	struct outgoing out = { .session = 2 };
	struct loop *loop = loop_new();
	struct migrated d = { .ins = &in, .outs = &out };
	struct peer_id b = { .name = "host-b" }, c = { .name = "host-c" };
	struct journal_rec r = { .session = 3, .generation = 7, .name = "guest01", .uuid = UUID, .peer = "host-b" },
			   got;
	static const struct {
		enum mig_record rec;
		enum standing own;
	} t[] = { { MIG_REC_READY, STANDING_RECORD },
		  { MIG_REC_TAKEN, STANDING_RECORD },
		  { MIG_REC_GONE, STANDING_RECORD },
		  { MIG_REC_RELINQUISHING, STANDING_NONE },
		  { MIG_REC_CALLED_OFF, STANDING_NONE } };
	struct err err;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		r.rec = t[i].rec;
		assert_int_equal(journal_append(test_dir, &r, &err), 0);
		d.recorder = recorder_new(loop, test_dir, &err);
		assert_non_null(d.recorder);
		assert_int_equal(standing_of(&d, &b, 1, &got), STANDING_LIVE);
		assert_int_equal(standing_of(&d, &c, 1, &got), STANDING_NONE);
		assert_int_equal(standing_of(&d, &b, 2, &got), STANDING_NONE);
		assert_int_equal(standing_of(&d, &b, 4, &got), STANDING_NEW);
		assert_int_equal(standing_of(&d, &b, 3, &got), t[i].own);
		assert_int_equal(got.rec, t[i].rec);
		assert_int_equal(standing_of(&d, &c, 3, &got), STANDING_NONE);
		recorder_free(d.recorder);
	}
	journal_forget(test_dir, 3);
	/* one that cannot be read is nobody's */
	_cleanup_free_ char *path = xasprintf("%s/0000000000000003.journal", test_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	d.recorder = recorder_new(loop, test_dir, &err);
	assert_non_null(d.recorder);
	assert_int_equal(standing_of(&d, &b, 3, &got), STANDING_NONE);
	recorder_free(d.recorder);
	rmdir(path);
	loop_free(loop);
}

/* A lease as hvdom writes it (hypervisor/lease.c), in slot 1. */
static void write_lease(const char *path, const char *uuid, unsigned generation, const char *owner, bool damaged)
{
	char slot[512] = { 0 };
	int len = snprintf(slot, sizeof(slot), "hospes-lease 1 7 %s %u running %s ", uuid, generation, owner);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	snprintf(slot + len, sizeof(slot) - (size_t)len, "%016lx\n",
	         (unsigned long)XXH3_64bits(slot, (size_t)len) + damaged);
	assert_int_equal(pwrite(fd, slot, sizeof(slot), 512), 512);
	close(fd);
}

static void test_leasefile(void **state)
{
	const char *uuid = UUID;
	_cleanup_free_ char *leases = xasprintf("%s/leases", test_dir), *path = xasprintf("%s/%s", leases, uuid);
	uint64_t now = (uint64_t)time(NULL);
	(void)state;

	assert_int_equal(mkdir(leases, 0700), 0);
	assert_false(leasefile_taken(uuid, "host-b", 8, now - 100));
	write_lease(path, uuid, 8, "host-b", false);
	assert_true(leasefile_taken(uuid, "host-b", 8, now - 100));
	assert_false(leasefile_taken(uuid, "host-b", 9, now - 100));
	assert_false(leasefile_taken(uuid, "host-a", 8, now - 100));
	/* of a run before this migration */
	assert_false(leasefile_taken(uuid, "host-b", 8, now + 100));
	write_lease(path, uuid, 8, "host-b", true);
	assert_false(leasefile_taken(uuid, "host-b", 8, now - 100));
	unlink(path);
	rmdir(leases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_journal, test_dir_setup, test_dir_teardown),
		cmocka_unit_test(test_journal_lines),
		cmocka_unit_test_setup_teardown(test_standing, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_leasefile, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_node, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_peers, test_dir_setup, test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
