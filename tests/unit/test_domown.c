/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hypercalls that move ownership while an earlier one, which was given up, still waits for storage: they are refused, and change nothing. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <stdatomic.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/domcall_int.h"

static struct domain d;
static atomic_bool hangs, reads;
static int owned, answered;

int leases_read(struct leases *l, struct lease_record *ret, struct err *err)
{
	(void)l, (void)err;
	atomic_store(&reads, true);
	while (atomic_load(&hangs))
		usleep(1000);
	*ret = (struct lease_record){ .generation = 77, .owner = "of-the-lease" };
	return 0;
}
int leases_write(struct leases *l, const struct lease_record *rec, struct err *err)
{
	(void)l, (void)rec, (void)err;
	return 0;
}
int devs_sync(struct devs *devs, struct err *err)
{
	(void)devs, (void)err;
	return 0;
}
int devs_settle(struct devs *devs, uint64_t limit_ns, struct err *err)
{
	(void)devs, (void)limit_ns, (void)err;
	return 0;
}

int devs_flash_sync(struct devs *devs, struct err *err)
{
	(void)devs, (void)err;
	return 0;
}
void devs_unlock(struct devs *devs)
{
	(void)devs;
}
void devs_hand_over(struct devs *devs)
{
	(void)devs;
}
int domain_own_disks(struct domain *dom, uint64_t *generation, bool named, struct err *err)
{
	(void)dom, (void)generation, (void)named, (void)err;
	return 0;
}
void domain_owned(struct domain *dom, uint64_t generation)
{
	(void)dom;
	assert_int_equal(generation, 9);
	owned++;
}
void domain_set_state(struct domain *dom, enum hv_dom_state s, const char *text)
{
	(void)text;
	dom->state = s;
}
int domain_waits_err(const struct domain *dom, int code, const char *text, struct err *err)
{
	(void)dom;
	return err_set(err, code, "%s", text ? text : "waits");
}
void domain_pend_done(struct domain *dom, int r, struct err *err)
{
	(void)dom, (void)r, (void)err;
	answered++;
}
void domain_end(struct domain *dom, int status)
{
	(void)dom, (void)status;
}
void domain_leave(struct domain *dom)
{
	(void)dom;
}
int domain_park(struct domain *dom, uint64_t lease_ns, struct err *err)
{
	(void)dom, (void)lease_ns, (void)err;
	return 0;
}
int domain_unpark(struct domain *dom, uint64_t lease_ns, struct err *err)
{
	(void)dom, (void)lease_ns, (void)err;
	return 0;
}

static int ask(int (*fn)(struct call *c, struct err *err), uint64_t generation)
{
	struct hv_owner o = { .generation = generation };
	struct call c = { .d = &d, .req = &o };
	struct err err = { 0 };
	__typeof__(*c.rep) rep;

	c.rep = &rep;

	return fn(&c, &err);
}

static void test_what_was_given_up_is_left_alone(void **state)
{
	struct hv_owner before;
	(void)state;

	atomic_store(&hangs, true);
	assert_int_equal(ask(call_lease, 0), -EINPROGRESS);
	assert_true(atomic_load(&reads));
	assert_true(slow_give_up(d.slow));
	d.state = HV_DOM_RELINQUISHED;
	d.pend.owner = (struct hv_owner){ .generation = 5, .owner = "host-b" };
	before = d.pend.owner;
	assert_int_equal(ask(call_reclaim, 9), -EBUSY);
	assert_memory_equal(&d.pend.owner, &before, sizeof(before));
	d.state = HV_DOM_RESTORED;
	assert_int_equal(ask(call_take, 9), -EBUSY);
	assert_memory_equal(&d.pend.owner, &before, sizeof(before));
	d.state = HV_DOM_RELINQUISHED;
	/* nor does it change anything when the storage answers at last */
	atomic_store(&hangs, false);
	for (unsigned i = 0; i < 500 && slow_busy(d.slow); i++)
		(void)loop_run_once(d.loop, 10);
	assert_false(slow_busy(d.slow));
	assert_memory_equal(&d.pend.owner, &before, sizeof(before));
	assert_int_equal(answered, 0);
	assert_int_equal(ask(call_reclaim, 9), 0);
	assert_int_equal(owned, 1);
	assert_int_equal(d.state, HV_DOM_SUSPENDED);
	assert_int_equal(ask(call_lease, 0), 0);
	assert_int_equal(d.pend.owner.generation, 77);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(d.host, sizeof(d.host), "host-a");
	d.loop = loop_new();
	d.slow = slow_new(d.loop);
	return d.slow ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	atomic_store(&hangs, false);
	slow_free(d.slow);
	loop_free(d.loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_was_given_up_is_left_alone) };

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
