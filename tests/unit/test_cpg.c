/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection to Corosync against stand-ins of its libraries: order of views and messages, a Corosync that is away, busy, dies or
 * says strange things, and what is left of a connection that ended.
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include <corosync/cmap.h>
#include <corosync/cpg.h>
#include <corosync/votequorum.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "clusterd/io/cpg.h"
#include "common/log.h"
#include "common/util.h"

#define STEPS 64u
#define ME    2u

/* What the stand-in will hand over at the next dispatch of cpg or votequorum. */
struct step {
	enum { MEMBERS, RING, MESSAGE, QUORATE } kind;
	uint32_t n, node[4]; /* MEMBERS: node ids; MESSAGE: the sender; QUORATE: n */
	uint64_t ring;
	char text[16];
};

static struct {
	bool up, busy, sync, refuse_join, dispatch_fails, two_node, no_nodeid, bad_name, no_cluster;
	cs_error_t mcast_error;
	uint32_t nodes, added; /* in the node list; of them, added at run time */
	bool told_of_nodes;
	int fd[3]; /* cpg, votequorum, cmap */
	unsigned open, joins, leaves, iter;
	void *context;
	cpg_model_v1_data_t model;
	votequorum_callbacks_t vq;
	uint64_t vq_context;
	cmap_notify_fn_t notify;
	void *notify_arg;
	struct step step[2][STEPS]; /* cpg, votequorum */
	unsigned n_steps[2];
	char sent[256];
} cs;

static struct loop *loop;
static struct cpglink *link_;
static char told[2048], state[ERR_TEXT_MAX];
static int config_result;
static bool rejoin_at_message;

/* ---- Corosync's libraries ---------------------------------------------------------------------------------------------- */

static cs_error_t open_fd(unsigned i, uint64_t *handle)
{
	if (!cs.up)
		return CS_ERR_TRY_AGAIN;
	cs.fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	cs.open++;
	*handle = i + 1;
	return CS_OK;
}

static cs_error_t close_fd(unsigned i)
{
	assert_true(cs.fd[i] >= 0); /* no handle is closed twice */
	close(cs.fd[i]);
	cs.fd[i] = -1;
	cs.open--;
	return CS_OK;
}

static cs_error_t the_fd(unsigned i, int *fd)
{
	*fd = cs.fd[i];
	return CS_OK;
}

cs_error_t cpg_model_initialize(cpg_handle_t *h, cpg_model_t model, cpg_model_data_t *data, void *context)
{
	assert_int_equal(model, CPG_MODEL_V1);
	memcpy(&cs.model, data, sizeof(cs.model));
	cs.context = context;
	return open_fd(0, h);
}

cs_error_t cpg_finalize(cpg_handle_t h)
{
	(void)h;
	return close_fd(0);
}

cs_error_t cpg_fd_get(cpg_handle_t h, int *fd)
{
	(void)h;
	return the_fd(0, fd);
}

cs_error_t cpg_context_get(cpg_handle_t h, void **context)
{
	(void)h;
	*context = cs.context;
	return CS_OK;
}

/* What waits for the end of the synchronization, and the caller with it */
static void not_in_sync(void)
{
	assert_false(cs.sync);
}

cs_error_t cpg_local_get(cpg_handle_t h, unsigned int *node)
{
	(void)h;
	not_in_sync();
	*node = ME;
	return CS_OK;
}

cs_error_t cpg_join(cpg_handle_t h, const struct cpg_name *group)
{
	(void)h;
	assert_int_equal(group->length, 6);
	cs.joins++;
	return cs.refuse_join ? CS_ERR_TRY_AGAIN : CS_OK;
}

cs_error_t cpg_leave(cpg_handle_t h, const struct cpg_name *group)
{
	(void)h, (void)group;
	cs.leaves++;
	return CS_OK;
}

cs_error_t cpg_mcast_joined(cpg_handle_t h, cpg_guarantee_t guarantee, const struct iovec *iov, unsigned int n)
{
	(void)h;
	assert_int_equal(guarantee, CPG_TYPE_AGREED);
	assert_int_equal(n, 1);
	if (cs.mcast_error)
		return cs.mcast_error;
	if (cs.busy || cs.sync)
		return CS_ERR_TRY_AGAIN;
	if (iov->iov_len < 32)
		strncat(cs.sent, iov->iov_base, iov->iov_len);
	return CS_OK;
}

static void hand_over(const struct step *s)
{
	struct cpg_name group = { .length = 6, .value = "hospes" };
	struct cpg_address a[4];
	struct cpg_ring_id ring = { .nodeid = 1, .seq = s->ring };
	char text[sizeof(s->text)];

	switch (s->kind) {
	case MEMBERS:
		for (uint32_t i = 0; i < s->n; i++)
			a[i] = (struct cpg_address){ .nodeid = s->node[i], .pid = 1000 + i };
		cs.model.cpg_confchg_fn(1, &group, a, s->n, NULL, 0, NULL, 0);
		break;
	case RING:
		cs.model.cpg_totem_confchg_fn(1, ring, 0, NULL);
		break;
	case MESSAGE:
		memcpy(text, s->text, sizeof(text));
		cs.model.cpg_deliver_fn(1, &group, s->node[0], 77, text, strlen(text));
		break;
	case QUORATE:
		cs.vq.votequorum_quorum_notify_fn(2, cs.vq_context, s->n, 0, NULL);
		break;
	}
}

static cs_error_t dispatch(unsigned i)
{
	struct step todo[STEPS];
	unsigned n = cs.n_steps[i];
	eventfd_t v;

	eventfd_read(cs.fd[i], &v);
	memcpy(todo, cs.step[i], n * sizeof(todo[0]));
	cs.n_steps[i] = 0;
	for (unsigned k = 0; k < n; k++)
		hand_over(&todo[k]);
	assert_true(cs.fd[i] >= 0); /* nothing is closed under its own dispatch */
	return cs.dispatch_fails ? CS_ERR_LIBRARY : CS_OK;
}

cs_error_t cpg_dispatch(cpg_handle_t h, cs_dispatch_flags_t f)
{
	(void)h, (void)f;
	return dispatch(0);
}

cs_error_t votequorum_initialize(votequorum_handle_t *h, votequorum_callbacks_t *cb)
{
	cs.vq = *cb;
	return open_fd(1, h);
}

cs_error_t votequorum_finalize(votequorum_handle_t h)
{
	(void)h;
	return close_fd(1);
}

cs_error_t votequorum_fd_get(votequorum_handle_t h, int *fd)
{
	(void)h;
	return the_fd(1, fd);
}

cs_error_t votequorum_dispatch(votequorum_handle_t h, cs_dispatch_flags_t f)
{
	(void)h, (void)f;
	return dispatch(1);
}

cs_error_t votequorum_trackstart(votequorum_handle_t h, uint64_t context, unsigned int flags)
{
	(void)h, (void)flags;
	cs.vq_context = context;
	return CS_OK;
}

cs_error_t votequorum_getinfo(votequorum_handle_t h, unsigned int node, struct votequorum_info *info)
{
	(void)h, (void)node;
	info->flags = cs.two_node ? VOTEQUORUM_INFO_TWONODE : 0;
	return CS_OK;
}

cs_error_t cmap_initialize(cmap_handle_t *h)
{
	return open_fd(2, h);
}

cs_error_t cmap_finalize(cmap_handle_t h)
{
	(void)h;
	return close_fd(2);
}

cs_error_t cmap_fd_get(cmap_handle_t h, int *fd)
{
	(void)h;
	return the_fd(2, fd);
}

cs_error_t cmap_dispatch(cmap_handle_t h, cs_dispatch_flags_t f)
{
	struct cmap_notify_value none = { 0 };
	eventfd_t v;

	(void)f;
	eventfd_read(cs.fd[2], &v);
	if (cs.told_of_nodes)
		return CS_OK;
	cs.told_of_nodes = true;
	cs.nodes += cs.added;
	cs.notify(h, 1, CMAP_TRACK_ADD, "nodelist.node.3.nodeid", none, none, cs.notify_arg);
	return CS_OK;
}

cs_error_t cmap_get_uint16(cmap_handle_t h, const char *key, uint16_t *v)
{
	(void)h, (void)key, (void)v;
	not_in_sync();
	return CS_ERR_NOT_EXIST;
}

cs_error_t cmap_get_uint32(cmap_handle_t h, const char *key, uint32_t *v)
{
	unsigned i;
	char what[32];

	(void)h;
	not_in_sync();
	if (!strcmp(key, "runtime.config.totem.token"))
		*v = 1500;
	else if (sscanf(key, "nodelist.node.%u.%31s", &i, what) == 2 && !strcmp(what, "nodeid") && !cs.no_nodeid)
		*v = cs.nodes - i; /* not in order */
	else
		return CS_ERR_NOT_EXIST;
	return CS_OK;
}

cs_error_t cmap_get_string(cmap_handle_t h, const char *key, char **v)
{
	unsigned i;
	char what[32];

	(void)h;
	not_in_sync();
	if (!strcmp(key, "totem.cluster_name") && !cs.no_cluster) {
		*v = strdup("lab");
		return CS_OK;
	}
	if (sscanf(key, "nodelist.node.%u.%31s", &i, what) != 2 || strcmp(what, "name") != 0)
		return CS_ERR_NOT_EXIST;
	*v = cs.bad_name ? strdup("../etc") : xasprintf("host-%u", cs.nodes - i);
	return CS_OK;
}

cs_error_t cmap_iter_init(cmap_handle_t h, const char *prefix, cmap_iter_handle_t *it)
{
	(void)h, (void)prefix;
	not_in_sync();
	cs.iter = 0;
	*it = 1;
	return CS_OK;
}

cs_error_t cmap_iter_next(cmap_handle_t h, cmap_iter_handle_t it, char key[], size_t *len, cmap_value_types_t *type)
{
	(void)h, (void)it, (void)len, (void)type;
	if (cs.iter == 2 * cs.nodes)
		return CS_ERR_NO_SECTIONS;
	snprintf(key, CMAP_KEYNAME_MAXLEN, "nodelist.node.%u.%s", cs.iter / 2, cs.iter % 2 ? "ring0_addr" : "nodeid");
	cs.iter++;
	return CS_OK;
}

cs_error_t cmap_iter_finalize(cmap_handle_t h, cmap_iter_handle_t it)
{
	(void)h, (void)it;
	return CS_OK;
}

cs_error_t cmap_track_add(cmap_handle_t h, const char *key, int32_t what, cmap_notify_fn_t fn, void *arg,
                          cmap_track_handle_t *t)
{
	(void)h, (void)key, (void)what;
	cs.notify = fn;
	cs.notify_arg = arg;
	*t = 1;
	return CS_OK;
}

/* ---- who listens ------------------------------------------------------------------------------------------------------- */

static void tell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *fmt, ...)
{
	size_t at = strlen(told);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(told + at, sizeof(told) - at, fmt, ap);
	va_end(ap);
}

static int on_config(void *arg, const struct cpg_config *c, struct err *err)
{
	(void)arg;
	assert_int_equal(c->node, ME);
	assert_string_equal(c->cluster, "lab");
	assert_int_equal(c->token_ns, 1500 * NS_PER_MS);
	assert_int_equal(c->consensus_ns, 1800 * NS_PER_MS); /* corosync's own default of it */
	for (uint32_t i = 0; i < c->n_nodes; i++) {
		_cleanup_free_ char *name = xasprintf("host-%u", i + 1);
		assert_int_equal(c->id[i], i + 1); /* ascending, names with them */
		assert_string_equal(c->name[i], name);
	}
	tell("config %u%s; ", c->n_nodes, c->two_node ? " two_node" : "");
	return config_result || c->two_node ? err_set(err, ENOTSUP, "refused") : 0;
}

static void on_view(void *arg, uint64_t ring, const uint32_t *member, uint32_t n)
{
	(void)arg;
	tell("view %llu:", (unsigned long long)ring);
	for (uint32_t i = 0; i < n; i++)
		tell(" %u", member[i]);
	tell("; ");
}

static void on_message(void *arg, uint32_t node, const void *p, size_t len)
{
	(void)arg;
	tell("%u says %.*s; ", node, (int)len, (const char *)p);
	if (rejoin_at_message)
		cpglink_rejoin(link_);
}

static void on_quorate(void *arg, bool on)
{
	(void)arg;
	tell(on ? "quorate; " : "not quorate; ");
}

static void on_batch_end(void *arg)
{
	(void)arg;
	tell("end; ");
}

static void on_state(void *arg, const char *text)
{
	(void)arg;
	snprintf(state, sizeof(state), "%s", text ? text : "well");
}

static const struct cpglink_ops ops = { .config = on_config,
	                                .view = on_view,
	                                .message = on_message,
	                                .quorate = on_quorate,
	                                .batch_end = on_batch_end,
	                                .state = on_state };

/* ---- tests ------------------------------------------------------------------------------------------------------------- */

static int setup(void **s)
{
	(void)s;
	memset(&cs, 0, sizeof(cs));
	cs.fd[0] = cs.fd[1] = cs.fd[2] = -1;
	cs.up = true;
	cs.nodes = 3;
	told[0] = 0;
	snprintf(state, sizeof(state), "well"); /* what is wrong is said, and when it is over */
	config_result = 0;
	rejoin_at_message = false;
	loop = loop_new();
	link_ = cpglink_new(loop, &ops, NULL);
	return link_ ? 0 : -1;
}

static int teardown(void **s)
{
	(void)s;
	cpglink_free(link_);
	assert_int_equal(cs.open, 0);
	loop_free(loop);
	return 0;
}

static void turn(unsigned ms)
{
	for (uint64_t end = now_ns() + ms * NS_PER_MS; now_ns() < end;)
		(void)loop_run_once(loop, 1);
}

/* Until @text was told, 5 s at most; then what was told is forgotten. */
static void expect(const char *text)
{
	for (unsigned i = 0; i < 5000 && !strstr(told, text); i++)
		(void)loop_run_once(loop, 1);
	if (!strstr(told, text))
		fail_msg("\"%s\" was not told, but: %s", text, told);
	told[0] = 0;
}

static void expect_state(const char *text)
{
	for (unsigned i = 0; i < 5000 && !strstr(state, text); i++)
		(void)loop_run_once(loop, 1);
	if (!strstr(state, text))
		fail_msg("the state is not \"%s\", but: %s", text, state);
}

static void put(struct step s)
{
	unsigned i = s.kind == QUORATE;

	assert_true(cs.n_steps[i] < STEPS);
	cs.step[i][cs.n_steps[i]++] = s;
}

static void go(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (cs.n_steps[i])
			assert_int_equal(eventfd_write(cs.fd[i], 1), 0);
}

/* Without waiting for the back-off. */
static void again(void)
{
	cpglink_enable(link_, false);
	cpglink_enable(link_, true);
}

/* In the group of three, nothing told any more. */
static void join(uint64_t ring)
{
	expect("config 3; ");
	expect_state("well");
	put((struct step){ .kind = MEMBERS, .n = 3, .node = { 1, 2, 3 } });
	put((struct step){ .kind = RING, .ring = ring });
	go();
	expect("end; ");
}

static void test_views_and_messages(void **s)
{
	(void)s;
	expect("config 3; ");
	expect_state("well");
	/* unsorted, and a daemon that died beside its successor on one node */
	put((struct step){ .kind = MEMBERS, .n = 4, .node = { 3, 1, 2, 3 } });
	put((struct step){ .kind = RING, .ring = 10 });
	put((struct step){ .kind = MESSAGE, .node = { 3 }, .text = "a" });
	go();
	expect("view 10: 1 2 3; 3 says a; end; ");
	/* what came in the old view is told before the new one, what came in the new one behind it */
	put((struct step){ .kind = MESSAGE, .node = { 1 }, .text = "b" });
	put((struct step){ .kind = MEMBERS, .n = 2, .node = { 2, 3 } });
	put((struct step){ .kind = RING, .ring = 14 });
	put((struct step){ .kind = MESSAGE, .node = { 2 }, .text = "c" });
	put((struct step){ .kind = MESSAGE, .node = { 3 }, .text = "d" });
	go();
	expect("1 says b; view 14: 2 3; 2 says c; 3 says d; end; ");
	/* a ring with the same members is another view; the same ring again is none */
	put((struct step){ .kind = RING, .ring = 18 });
	go();
	expect("view 18: 2 3; end; ");
	put((struct step){ .kind = RING, .ring = 18 });
	go();
	turn(20);
	assert_string_equal(told, "end; ");
	/* clusterd of another node left, the ring is as it was */
	put((struct step){ .kind = MEMBERS, .n = 1, .node = { 2 } });
	go();
	expect("view 18: 2; end; ");
	put((struct step){ .kind = QUORATE, .n = 1 });
	go();
	expect("quorate; end; ");
}

static void test_no_view_without_us(void **s)
{
	(void)s;
	expect("config 3; ");
	put((struct step){ .kind = MEMBERS, .n = 2, .node = { 1, 3 } });
	put((struct step){ .kind = RING, .ring = 10 });
	go();
	turn(20);
	assert_null(strstr(told, "view"));
	/* members without a ring are none yet */
	cpglink_rejoin(link_);
	expect("view 0:; ");
	expect_state("well");
	put((struct step){ .kind = MEMBERS, .n = 2, .node = { 1, 2 } });
	go();
	expect("end; ");
	put((struct step){ .kind = RING, .ring = 11 });
	go();
	expect("view 11: 1 2; ");
}

static void test_corosync_comes_later(void **s)
{
	(void)s;
	cs.up = false;
	assert_int_equal(cpglink_send(link_, "x", 1), -ENOTCONN);
	expect_state("waiting for it");
	turn(300);
	assert_string_equal(told, "");
	assert_int_equal(cs.open, 0);
	cs.up = true;
	join(10);
	cs.refuse_join = true;
	cpglink_rejoin(link_);
	expect_state("cannot join");
	cs.refuse_join = false;
	join(11);
}

static void test_sending(void **s)
{
	static char big[8u << 20];
	int r = 0;
	(void)s;

	join(10);
	assert_int_equal(cpglink_send(link_, "a", 1), 0);
	cs.busy = true;
	assert_int_equal(cpglink_send(link_, "b", 1), 0);
	cs.busy = false;
	assert_int_equal(cpglink_send(link_, "c", 1), 0); /* behind what waits, though corosync would take it */
	assert_string_equal(cs.sent, "a");
	turn(20);
	assert_string_equal(cs.sent, "abc");
	cs.busy = true;
	unsigned n = 0;
	while ((r = cpglink_send(link_, big, sizeof(big))) == 0 && n < 100)
		n++;
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(n, 8); /* 64 MiB */
}

/* A connection that ended leaves nothing behind: no quorum, no view, no message of before is sent in the next one. */
static void test_the_end_of_a_connection(void **s)
{
	(void)s;
	join(10);
	cs.busy = true;
	assert_int_equal(cpglink_send(link_, "old", 3), 0);
	cs.busy = false;
	cs.dispatch_fails = true;
	put((struct step){ .kind = MESSAGE, .node = { 1 }, .text = "last" });
	go();
	expect("1 says last; not quorate; view 0:; ");
	expect_state("lost the connection to corosync");
	assert_int_equal(cs.open, 0);
	assert_int_equal(cpglink_send(link_, "x", 1), -ENOTCONN);
	cs.dispatch_fails = false;
	join(11);
	turn(20);
	assert_string_equal(cs.sent, "");
	/* corosync does not take a message: the same, but not under the caller's feet */
	cs.mcast_error = CS_ERR_LIBRARY;
	assert_int_equal(cpglink_send(link_, "x", 1), -ENOTCONN);
	assert_string_equal(told, "");
	expect("not quorate; view 0:; ");
	cs.mcast_error = 0;
	join(12);
}

static void test_leaving_inside_a_message(void **s)
{
	(void)s;
	join(10);
	rejoin_at_message = true;
	put((struct step){ .kind = MESSAGE, .node = { 1 }, .text = "a" });
	put((struct step){ .kind = MESSAGE, .node = { 3 }, .text = "b" });
	go();
	expect("1 says a; not quorate; view 0:; "); /* the second is not heard any more */
	rejoin_at_message = false;
	join(11);
	cpglink_enable(link_, false);
	expect("not quorate; view 0:; ");
	turn(300);
	assert_int_equal(cs.open, 0);
	cpglink_enable(link_, true);
	join(12);
}

static void test_configuration(void **s)
{
	(void)s;
	config_result = -1;
	expect_state("refused");
	assert_int_equal(cs.joins, 0);
	assert_int_equal(cpglink_send(link_, "x", 1), -ENOTCONN);
	config_result = 0;
	told[0] = 0;
	again();
	join(10);
	/* a node more, at run time */
	cs.added = 1;
	assert_int_equal(eventfd_write(cs.fd[2], 1), 0);
	expect("config 4; ");
	/* another one while memberships are synchronized: read after that. votequorum answers even then */
	cs.added = 1;
	cs.told_of_nodes = false;
	cs.sync = true;
	assert_int_equal(cpglink_send(link_, "x", 1), 0); /* waits */
	assert_int_equal(eventfd_write(cs.fd[2], 1), 0);
	turn(2500);
	assert_string_equal(told, "end; ");
	told[0] = 0;
	cs.sync = false;
	expect("config 5; ");
	/* two_node, at run time: out, until it is gone */
	cs.two_node = true;
	expect("config 5 two_node; not quorate; view 0:; ");
	expect_state("refused");
	cs.two_node = false;
	cs.nodes = 3;
	told[0] = 0;
	again();
	join(11);
}

static void test_strange_node_lists(void **s)
{
	(void)s;
	cs.no_nodeid = true;
	expect_state("has no nodeid");
	cs.no_nodeid = false, cs.bad_name = true;
	again();
	expect_state("no name that hospes can use");
	cs.bad_name = false, cs.nodes = 0;
	again();
	expect_state("has no nodelist");
	cs.nodes = CLU_HOSTS_MAX + 1;
	again();
	expect_state("more than 128 nodes");
	cs.nodes = 3, cs.no_cluster = true;
	again();
	expect_state("no totem.cluster_name");
	assert_string_equal(told, "");
	assert_int_equal(cs.joins, 0);
	cs.no_cluster = false;
	again();
	join(10);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_views_and_messages),      T(test_no_view_without_us),
		T(test_corosync_comes_later),    T(test_sending),
		T(test_the_end_of_a_connection), T(test_leaving_inside_a_message),
		T(test_configuration),           T(test_strange_node_lists),
	};

	log_init("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
