/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PARK and UNPARK: what a suspended copy keeps and gives up, and when it may come back. The guest and its devices are stand-ins. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <unistd.h>
#include "common/util.h"
#include "hypervisor/domcall_int.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define G    7

/* What the stand-ins were told, and shall answer. */
static struct {
	bool frozen, locked;
	unsigned synced, announced, ended, answers, lock_ms; /* how long locking takes */
	int stop, go, sync, lock, answer;
} w;

static struct domain d;
static struct dom_config cfg = { .name = "guest01", .uuid = UUID };
static char *dir;
static struct loop *loop;

int domain_stop(struct domain *dom, unsigned flags, void (*then)(struct domain *d, int r, struct err *err),
                struct err *err)
{
	(void)then;
	assert_int_equal(flags, STOP_SYNC | STOP_UNLOCK);
	if (w.stop)
		return err_sys(err, -w.stop, "stop");
	assert_true(w.locked);
	w.synced++;
	if (w.sync)
		return err_sys(err, -w.sync, "sync");
	w.frozen = dom->quiesced = true;
	w.locked = false;
	return 0;
}

int domain_waits_err(const struct domain *dom, int code, const char *other, struct err *err)
{
	(void)dom;
	return err_set(err, code, "%s", other ? other : "it waits");
}

void domain_pend_done(struct domain *dom, int r, struct err *err)
{
	(void)dom, (void)err;
	w.answer = r;
	w.answers++;
}

void domain_cannot_run(struct domain *dom, const char *why)
{
	(void)dom;
	assert_true(why[0]);
	w.ended++;
}

int domain_go(struct domain *dom, struct err *err)
{
	assert_true(w.locked); /* it may run only with its disks */
	if (w.go)
		return err_sys(err, -w.go, "go");
	w.frozen = dom->quiesced = false;
	return 0;
}

void domain_set_state(struct domain *dom, enum hv_dom_state s, const char *text)
{
	(void)text;
	dom->state = s;
}

void domain_announce(struct domain *dom)
{
	(void)dom;
	w.announced++;
}

int devs_lock(struct devs *devs, struct err *err)
{
	(void)devs;
	usleep(w.lock_ms * 1000);
	if (w.lock)
		return err_set(err, -w.lock, "locked");
	w.locked = true;
	return 0;
}

void devs_owned(struct devs *devs)
{
	(void)devs;
}
void devs_unlock(struct devs *devs)
{
	(void)devs;
	w.locked = false;
}

static void lease_is(uint64_t generation, enum lease_state s, const char *owner)
{
	struct lease_record rec = { .generation = generation, .state = s };

	snprintf(rec.owner, sizeof(rec.owner), "%s", owner);
	assert_int_equal(leases_write(&d.leases, &rec, NULL), 0);
}

static int set_up(void **state)
{
	struct err err;

	(void)state;
	memset(&w, 0, sizeof(w));
	dir = test_dir_new();
	setenv("HOSPES_STATEDIR", dir, 1);
	for (int i = 0; i < 2; i++)
		cfg.disk[i].source = xasprintf("%s/disk%d.img", dir, i);
	cfg.n_disks = 2;
	d = (struct domain){ .cfg = &cfg, .state = HV_DOM_RUNNING, .host = "host-a", .generation = G, .owner = true };
	assert_int_equal(leases_open(&d.leases, &cfg, getuid(), &err), 0);
	lease_is(G, LEASE_RUNNING, "host-a");
	w.locked = true;
	loop = loop_new();
	d.slow = slow_new(loop);
	return d.slow ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	slow_free(d.slow);
	loop_free(loop);
	leases_done(&d.leases);
	for (int i = 0; i < 2; i++)
		free(cfg.disk[i].source);
	test_dir_remove(dir);
	return 0;
}

static void expect(enum hv_dom_state state, bool runs)
{
	assert_int_equal(d.state, state);
	assert_int_equal(d.owner, state != HV_DOM_PARKED);
	assert_int_equal(w.locked, state != HV_DOM_PARKED);
	assert_int_equal(w.frozen, !runs);
}

static void park(uint64_t lease_ns)
{
	struct err err;

	assert_int_equal(domain_park(&d, lease_ns, &err), 0);
	expect(HV_DOM_PARKED, false);
}

static void parks_and_comes_back(void **state)
{
	uint64_t now = boot_ns();
	struct lease_record rec;
	struct err err;
	(void)state;

	park(now);
	assert_int_equal(w.synced, 1);
	assert_int_equal(leases_read(&d.leases, &rec, &err), 0);
	assert_int_equal(rec.generation, G);
	assert_int_equal(rec.state, LEASE_RUNNING);
	assert_string_equal(rec.owner, "host-a");
	park(now); /* again: it says the same and does nothing */
	assert_int_equal(w.synced, 1);
	assert_int_equal(domain_unpark(&d, now + NS_PER_S * 60, &err), 0);
	expect(HV_DOM_RUNNING, true);
	assert_int_equal(w.announced, 1);
	assert_int_equal(d.generation, G);
	/* one that was paused is paused again */
	d.paused = true;
	w.frozen = true;
	d.state = HV_DOM_PAUSED;
	park(now + NS_PER_S * 60);
	assert_int_equal(domain_unpark(&d, now + NS_PER_S * 120, &err), 0);
	expect(HV_DOM_PAUSED, false);
}

/* An order that was given before the domain was parked, and comes to be read after it. */
static void late_orders_do_not_count(void **state)
{
	uint64_t far = boot_ns() + 60 * NS_PER_S;
	struct err err;
	(void)state;

	park(far);
	assert_int_equal(domain_unpark(&d, far - 1, &err), -ETIME);
	assert_int_equal(domain_unpark(&d, far, &err), -ETIME);
	park(far - 2); /* of an older guard: forgets nothing */
	assert_int_equal(domain_unpark(&d, far - 1, &err), -ETIME);
	expect(HV_DOM_PARKED, false);
	assert_int_equal(domain_unpark(&d, far + 1, &err), 0);
	expect(HV_DOM_RUNNING, true);
	/* and one that is read when its lease is over */
	d.park_lease_ns = 0;
	park(1);
	assert_int_equal(domain_unpark(&d, boot_ns(), &err), -ETIME);
	expect(HV_DOM_PARKED, false);
	w.lock_ms = 50;
	assert_int_equal(domain_unpark(&d, boot_ns() + 40 * NS_PER_MS, &err), -ETIME);
	expect(HV_DOM_PARKED, false);
}

static void what_cannot_be_parked_runs_on(void **state)
{
	struct err err;
	(void)state;

	w.stop = -ETIMEDOUT;
	assert_int_equal(domain_park(&d, 1, &err), -ETIMEDOUT);
	expect(HV_DOM_RUNNING, true);
	w.stop = 0;
	w.sync = -EIO;
	assert_int_equal(domain_park(&d, 1, &err), -EIO);
	expect(HV_DOM_RUNNING, true);
	w.sync = 0;
	d.logger = (struct hvconn *)&w; /* a push is under way */
	assert_int_equal(domain_park(&d, 1, &err), -EBUSY);
	expect(HV_DOM_RUNNING, true);
	d.logger = NULL;
	d.state = HV_DOM_PAUSED;
	w.frozen = true;
	w.sync = -EIO;
	assert_int_equal(domain_park(&d, 1, &err), -EIO);
	expect(HV_DOM_PAUSED, false);
}

/* Anything but what it left, in any of the leases: never again. */
static void taken_over(void **state)
{
	static const struct {
		uint64_t generation;
		enum lease_state state;
		const char *owner;
	} t[] = {
		{ G + 1, LEASE_RUNNING, "host-b" }, { G + 1, LEASE_RUNNING, "host-a" }, { G, LEASE_RUNNING, "host-b" },
		{ G, LEASE_STOPPED, "host-a" },     { G + 1, LEASE_STOPPED, "host-b" }, { 0, LEASE_NONE, "" },
	};
	uint64_t far = boot_ns() + 60 * NS_PER_S;
	struct err err;
	(void)state;

	park(1);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		lease_is(t[i].generation, t[i].state, t[i].owner);
		assert_int_equal(domain_unpark(&d, far, &err), -ESTALE);
		expect(HV_DOM_PARKED, false);
		assert_int_equal(w.ended, i + 1);
	}
	lease_is(G, LEASE_RUNNING, "host-a");
	/* one of them only: a start that died in the middle */
	for (size_t i = 0; i < d.leases.n; i++) {
		assert_int_equal(ftruncate(d.leases.fd[i], 0), 0);
		assert_int_equal(domain_unpark(&d, far, &err), -ESTALE);
		assert_int_equal(pwrite(d.leases.fd[i], "damage", 6, 0), 6);
		assert_int_equal(domain_unpark(&d, far, &err), -ESTALE);
		expect(HV_DOM_PARKED, false);
		assert_int_equal(ftruncate(d.leases.fd[i], 0), 0);
		lease_is(G, LEASE_RUNNING, "host-a");
	}
	w.lock = -EAGAIN; /* it runs elsewhere now */
	assert_int_equal(domain_unpark(&d, far, &err), -ESTALE);
	expect(HV_DOM_PARKED, false);
}

static void what_cannot_be_read_now_is_tried_again(void **state)
{
	uint64_t far = boot_ns() + 60 * NS_PER_S;
	struct err err;
	int fd;
	(void)state;

	park(1);
	w.lock = -EIO;
	assert_int_equal(domain_unpark(&d, far, &err), -EIO);
	w.lock = 0;
	fd = d.leases.fd[1];
	d.leases.fd[1] = -1;
	assert_int_equal(domain_unpark(&d, far, &err), -EBADF);
	expect(HV_DOM_PARKED, false);
	d.leases.fd[1] = fd;
	assert_int_equal(domain_unpark(&d, far, &err), 0);
	expect(HV_DOM_RUNNING, true);
	/* its devices do not: it is ours, and ends */
	park(far);
	w.go = -EIO;
	assert_int_equal(domain_unpark(&d, far + 1, &err), -ESTALE);
	assert_true(d.owner);
}

/* A file server that does not answer: the main loop goes on, and the answer comes when it is known, however late. */
static void a_slow_lock_holds_nobody_up(void **state)
{
	uint64_t t0, far = boot_ns() + 60 * NS_PER_S;
	struct err err;
	(void)state;

	park(1);
	w.lock_ms = 900;
	t0 = now_ns();
	assert_int_equal(domain_unpark(&d, far, &err), -EINPROGRESS);
	assert_true(now_ns() - t0 < 700 * NS_PER_MS);
	assert_int_equal(d.state, HV_DOM_PARKED);
	assert_false(slow_give_up(d.slow)); /* it may have taken the locks */
	while (!w.answers)
		(void)loop_run_once(loop, 1000);
	assert_int_equal(w.answer, 0);
	expect(HV_DOM_RUNNING, true);
	/* and its lease is over when the lock comes */
	park(1);
	assert_int_equal(domain_unpark(&d, boot_ns() + 500 * NS_PER_MS, &err), -EINPROGRESS);
	while (w.answers < 2)
		(void)loop_run_once(loop, 1000);
	assert_int_equal(w.answer, -ETIME);
	expect(HV_DOM_PARKED, false);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(parks_and_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(late_orders_do_not_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_parked_runs_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(taken_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_now_is_tried_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_slow_lock_holds_nobody_up, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("park", tests, NULL, NULL);
}
