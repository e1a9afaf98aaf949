/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * corosync.conf: what is read of it, what a change leaves as it was, what is refused. Tokens: printed and read,
 * mistyped, used.
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include <unistd.h>
#include "common/util.h"
#include "tools/member_conf.h"
#include "tools/member_token.h"

/* As a person may have written it. */
static const char by_hand[] =
	"# our cluster\n"
	"totem {\n"
	"  version: 2\n"
	"\tcluster_name:   prod\n"
	"\ttoken: 3000   \n"
	"\tinterface {\n\t\tlinknumber: 0\n\t\tknet_transport: udp\n\t}\n"
	"}\n"
	"quorum {\n\tprovider: corosync_votequorum\n\texpected_votes: 2\n}\n"
	"nodelist {\n"
	"\tnode {\n\t\t# the old one\n\t\tring0_addr: 10.0.0.1\n\t\tname: host-a\n\t\tnodeid: 1\n\t\tquorum_votes: 1\n\t}\n"
	"\tnode {\n\t\tname: host-b\n\t\tnodeid: 5\n\t\tring0_addr: 10.0.0.2\n\t\tring1_addr: 10.1.0.2\n\t}\n"
	"}\n"
	"logging {\n\tto_syslog: yes\n\t# name: host-b\n}";

static void test_read(void **state)
{
	struct conf c;
	struct err err = { 0 };

	(void)state;
	assert_int_equal(conf_parse(by_hand, &c, &err), 0);
	assert_string_equal(c.cluster, "prod");
	assert_int_equal(c.n, 2);
	assert_int_equal(c.version, 0);
	assert_false(c.sample || c.unusable);
	assert_string_equal(c.node[1].addr[1], "10.1.0.2");
	assert_int_equal(conf_named(&c, "host-b")->id, 5);
	assert_null(conf_named(&c, "host-c"));
	assert_int_equal(conf_next(&c), 6);
	assert_int_equal(conf_parse("totem {\n cluster_name: debian\n}\nnodelist {\nnode {\nname: node1\nnodeid: 1\n"
	                            "ring0_addr: 127.0.0.1\n}\n}\n",
	                            &c, &err),
	                 0);
	assert_true(c.sample);
	assert_int_equal(conf_parse("quorum {\ntwo_node: 1\n}\n", &c, &err), 0);
	assert_true(c.unusable);
	assert_int_equal(conf_parse("quorum {\ndevice {\nmodel: net\n}\n}\n", &c, &err), 0);
	assert_true(c.unusable);
}

static void test_wrong(void **state)
{
	static const struct {
		const char *text, *says;
	} t[] = {
		{ "totem {\n", "ends inside of totem" },
		{ "}\n", "a } too many" },
		{ "totem\n", "line 1" },
		{ "a {\nb {\nc {\nd {\ne {\nf {\ng {\nh {\ni {\n", "sections in sections" },
		{ "nodelist {\nnode {\nnodeid: 1\nname: a\n}\n}\n", "needs nodeid, name and ring0_addr" },
		{ "nodelist {\nnode {\nnodeid: 1\nname: a/b\nring0_addr: x\n}\n}\n", "needs nodeid, name" },
		{ "nodelist {\nnode {\nnodeid: -1\nname: a\nring0_addr: x\n}\n}\n", "no number" },
		{ "nodelist {\nnode {\nnodeid: 4294967296\nname: a\nring0_addr: x\n}\n}\n", "no number" },
		{ "nodelist {\nnode {\nnodeid: 1\nname: a\nring0_addr: x\n}\nnode {\nnodeid: 1\nname: b\nring0_addr: y\n}\n}\n",
		  "two nodes b" },
		{ "totem {\nconfig_version: x\n}\n", "config_version is no number" },
		{ "totem {\ncluster_name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n}\n",
		  "cluster_name is too long" },
	};
	struct conf c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct err err = { 0 };

		assert_int_equal(conf_parse(t[i].text, &c, &err), -EINVAL);
		if (!strstr(err.text, t[i].says))
			fail_msg("%zu: %s", i, err.text);
	}
	/* more nodes than there can be */
	_cleanup_free_ char *many = malloc(200 * 80);
	strcpy(many, "nodelist {\n");
	for (int i = 1; i <= 129; i++)
		sprintf(many + strlen(many), "node {\nname: h%d\nnodeid: %d\nring0_addr: a%d\n}\n", i, i, i);
	strcat(many, "}\n");
	struct err err = { 0 };
	assert_int_equal(conf_parse(many, &c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "more than 128"));
}

static void test_change(void **state)
{
	struct conf_node n = { .id = 6, .name = "host-c", .addr = { "10.0.0.3", "10.1.0.3" } };
	struct err err = { 0 };
	struct conf c;

	(void)state;
	_cleanup_free_ char *more = conf_add(by_hand, &n, &err);
	assert_non_null(more);
	assert_int_equal(conf_parse(more, &c, &err), 0);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.version, 6);
	assert_int_equal(conf_named(&c, "host-c")->id, 6);
	assert_string_equal(conf_named(&c, "host-c")->addr[1], "10.1.0.3");
	assert_non_null(strstr(more, "expected_votes: 3\n"));
	assert_null(strstr(more, "expected_votes: 2"));
	/* all lines of the person are still there, in their order */
	_cleanup_free_ char *lines = strdup(by_hand);
	const char *at = more;
	char *save = NULL;
	for (char *l = strtok_r(lines, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (strstr(l, "expected_votes"))
			continue;
		at = strstr(at, l);
		if (!at)
			fail_msg("lost: %s", l);
	}
	/* and the same without the new one: only the version differs */
	_cleanup_free_ char *less = conf_remove(more, "host-c", &err);
	assert_non_null(less);
	assert_int_equal(conf_parse(less, &c, &err), 0);
	assert_int_equal(c.version, 7);
	assert_non_null(strstr(less, "expected_votes: 2\n"));
	assert_null(strstr(less, "host-c"));
	assert_non_null(strstr(less, "# name: host-b"));
	/* an id is never used again */
	assert_int_equal(conf_next(&c), 8);
	_cleanup_free_ char *first = conf_remove(less, "host-a", &err);
	assert_non_null(first);
	assert_null(strstr(first, "the old one"));
	assert_non_null(strstr(first, "name: host-b"));
}

static void test_refused(void **state)
{
	struct conf_node n = { .id = 6, .name = "host-b", .addr = { "10.0.0.3" } };
	struct err err = { 0 };

	(void)state;
	assert_null(conf_add(by_hand, &n, &err));
	assert_int_equal(err.code, EEXIST);
	strcpy(n.name, "host-c");
	strcpy(n.addr[0], "10.0.0.2");
	assert_null(conf_add(by_hand, &n, &err));
	assert_int_equal(err.code, EEXIST);
	assert_null(conf_remove(by_hand, "host-x", &err));
	assert_int_equal(err.code, ENOENT);
	/* nothing that would be another line */
	strcpy(n.addr[0], "1\n}\n}\nx {");
	assert_null(conf_add(by_hand, &n, &err));
	/* on one line: read by Corosync, perhaps, but not changed here */
	assert_null(conf_add("totem { version: 2 }\nnodelist {\n}\n", &n, &err));
	assert_int_equal(err.code, EINVAL);
}

static void test_new(void **state)
{
	struct conf_node n = { .id = 1, .name = "host-a", .addr = { "10.0.0.1" } };
	struct err err = { 0 };
	struct conf c;

	(void)state;
	for (int links = 1; links <= 2; links++) {
		_cleanup_free_ char *text = conf_make("lab1", &n);

		assert_int_equal(conf_parse(text, &c, &err), 0);
		assert_string_equal(c.cluster, "lab1");
		assert_int_equal(c.version, 1);
		assert_int_equal(conf_next(&c), 2);
		assert_memory_equal(&c.node[0], &n, sizeof(n));
		assert_null(strstr(text, "expected_votes:"));
		strcpy(n.addr[1], "10.1.0.1");
	}
}

/* Tokens ----------------------------------------------------------------------------------------------------------- */

static void test_token(void **state)
{
	struct token t = { .port = 4921, .expires_s = 0x12345678 }, got;
	char line[TOKEN_TEXT_MAX];
	struct err err = { 0 };

	(void)state;
	for (unsigned i = 0; i < 32; i++)
		t.key[i] = (uint8_t)(i * 37);
	memset(t.secret, 0xfe, sizeof(t.secret));
	token_print(&t, line);
	assert_true(strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") == strlen(line));
	assert_int_equal(token_parse(line, &got, &err), 0);
	assert_memory_equal(got.key, t.key, 32);
	assert_memory_equal(got.secret, t.secret, TOKEN_SECRET);
	assert_int_equal(got.port, 4921);
	assert_int_equal(got.expires_s, t.expires_s);
	/* any character that is another one, any that is missing, one too many */
	for (size_t i = 8; line[i]; i++) {
		char was = line[i];

		line[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(token_parse(line, &got, &err), -EINVAL);
		line[i] = '%';
		assert_int_equal(token_parse(line, &got, &err), -EINVAL);
		line[i] = 0;
		assert_int_equal(token_parse(line, &got, &err), -EINVAL);
		line[i] = was;
	}
	strcat(line, "A");
	assert_int_equal(token_parse(line, &got, &err), -EINVAL);
	assert_non_null(strstr(err.text, "mistyped"));
	assert_int_equal(token_parse("hospes2.AAAA", &got, &err), -EINVAL);
	assert_non_null(strstr(err.text, "another version"));
	assert_int_equal(token_parse("", &got, &err), -EINVAL);
}

static void test_invitation(void **state)
{
	uint8_t key[32] = { 1 };
	struct token a, b;
	struct err err = { 0 };

	(void)state;
	assert_false(invite_any());
	assert_int_equal(invite_use(key, "K1", "host-b", &err), -EACCES);
	assert_int_equal(invite_make(key, 4921, NULL, &a, &err), 0);
	assert_int_equal(invite_make(key, 4921, "host-c", &b, &err), 0);
	assert_true(invite_any());
	assert_memory_not_equal(a.secret, b.secret, TOKEN_SECRET);
	assert_int_equal(invite_use(a.secret, "K1", "host-b", &err), 0);
	assert_int_equal(invite_use(a.secret, "K1", "host-b", &err), 0); /* it comes back */
	assert_int_equal(invite_use(a.secret, "K2", "host-b", &err), -EBUSY);
	assert_int_equal(invite_use(b.secret, "K2", "host-b", &err), -EACCES);
	assert_int_equal(invite_use(b.secret, "K2", "host-c", &err), 0);
	a.secret[15] ^= 1;
	assert_int_equal(invite_use(a.secret, "K1", "host-b", &err), -EACCES);
	/* each is a file; as many as there may be, then no more */
	int r = 0;
	for (unsigned i = 0; i < INVITES_MAX && r == 0; i++)
		r = invite_make(key, 4921, NULL, &b, &err);
	assert_int_equal(r, -EBUSY);
	/* time passes */
	_cleanup_free_ char *cmd = xasprintf("sed -i 's/\"until_ns\":[0-9]*/\"until_ns\":1/' %s/invitations/*.json",
	                                     path_run());
	assert_int_equal(system(cmd), 0);
	assert_false(invite_any());
	a.secret[15] ^= 1;
	r = invite_use(a.secret, "K1", "host-b", &err);
	assert_true(r == -ETIME || r == -EACCES); /* -EACCES: up for longer than a day, and so forgotten */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_token),
		cmocka_unit_test_setup_teardown(test_invitation, test_dir_setup, test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
