/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.c with the fake engine: a domain's boots and ends as any engine reports them. Devices are a flag: whether they are served, which a
 * guest that boots or runs needs.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/domcall_int.h"
#include "tests/unit/fake_engine.h"

static struct {
	bool served, kicked, has_mem;
	int no_resume;
	unsigned events, answered;
	int agent; /* the guest's end of its own agent's port; -1: not connected yet */
} w;

static struct dom_config cfg = { .name = "guest01", .memory_bytes = 64 * PAGE_BYTES, .on_crash = DOM_ACTION_RESTART };
static struct domain d;
static struct hv_engine_ops ops; /* the fake one, and a look at the devices first */

int devs_resume(struct devs *devs, bool kick, struct err *err)
{
	(void)devs;
	if (w.no_resume)
		return err_set(err, -w.no_resume, "the devices do not answer");
	w.served = true;
	w.kicked = kick;
	return 0;
}
int devs_quiesce_begin(struct devs *devs, struct err *err)
{
	(void)devs, (void)err;
	w.served = false;
	return 0;
}
int devs_quiesced(struct devs *devs, uint64_t limit_ns, struct err *err)
{
	(void)devs, (void)limit_ns, (void)err;
	return 0;
}
int devs_quiesce(struct devs *devs, struct err *err)
{
	return devs_quiesce_begin(devs, err);
}
void devs_set_mem(struct devs *devs, struct guestmem *m)
{
	(void)devs;
	w.has_mem = m != NULL;
}
bool devs_waits(const struct devs *devs, const char **name, uint64_t *age)
{
	(void)devs, (void)name, (void)age;
	return false;
}
bool devs_held(const struct devs *devs, const char **name, int *code)
{
	(void)devs, (void)name, (void)code;
	return false;
}
void devs_announce(struct devs *devs)
{
	(void)devs;
}
void devs_beat_anew(struct devs *devs)
{
	(void)devs;
}
void devs_retry(struct devs *devs)
{
	(void)devs;
}
void devs_unlock(struct devs *devs)
{
	(void)devs;
}
int devs_lock(struct devs *devs, struct err *err)
{
	(void)devs, (void)err;
	return 0;
}
int devs_sync(struct devs *devs, struct err *err)
{
	(void)devs, (void)err;
	return 0;
}
void devs_owned(struct devs *devs)
{
	(void)devs;
}
int devs_flash_load(struct devs *devs, struct err *err)
{
	(void)devs, (void)err;
	return 0;
}
int devs_console(struct devs *devs, unsigned index, bool take, struct err *err)
{
	int sv[2];

	(void)devs;
	if (index != DEVS_AGENT_PORT(&cfg) || !take)
		return err_set(err, ENOENT, "no console");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	w.agent = sv[0];
	return sv[1];
}
void hvserver_event(struct hvserver *s, const struct hv_event *ev)
{
	(void)s, (void)ev;
	w.events++;
}
void hvserver_close_door(struct hvserver *s)
{
	(void)s;
}
void domain_plug_ended(struct domain *dom)
{
	(void)dom;
}
void domain_pend_done(struct domain *dom, int r, struct err *err)
{
	(void)dom, (void)r, (void)err;
	w.answered++;
}

static int boot_looked_at(void *vm, struct err *err)
{
	assert_true(w.served); /* a booting guest waits for its devices */
	assert_false(w.has_mem);
	return fake_engine.boot(vm, err);
}

static int resume_looked_at(void *vm, struct err *err)
{
	assert_true(w.served);
	return fake_engine.resume(vm, err);
}

static int set_up(void **state)
{
	struct err err;

	(void)state;
	memset(&w, 0, sizeof(w));
	w.served = true;
	ops = fake_engine;
	ops.boot = boot_looked_at;
	ops.resume = resume_looked_at;
	d = (struct domain){ .cfg = &cfg,
		             .ops = &ops,
		             .loop = loop_new(),
		             .mem.fd = -1,
		             .bitmap_fd = -1,
		             .ready_fd = -1,
		             .lock_fd = -1,
		             .owner = true,
		             .state = HV_DOM_BOOTING };
	assert_int_equal(dommem_new(&d, &err), 0);
	d.env = (struct hv_engine_env){
		.loop = d.loop, .cfg = &cfg, .mem = &d.mem, .arg = &d, .ready = domain_ready, .exited = domain_exited
	};
	assert_int_equal(ops.open(&d.env, &d.vm, &err), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ops.close(d.vm);
	dommem_done(&d);
	loop_free(d.loop);
	return 0;
}

static void until(enum hv_dom_state s)
{
	for (uint64_t end = now_ns() + 10 * NS_PER_S; d.state != s && now_ns() < end;)
		assert_true(loop_run_once(d.loop, 10) >= 0);
	assert_int_equal(d.state, s);
}

static void start(void)
{
	struct err err;

	assert_int_equal(domain_boot(&d, &err), 0);
	until(HV_DOM_RUNNING);
	assert_true(w.served && w.kicked);
}

static void stop(void)
{
	struct err err;

	assert_int_equal(domain_stop(&d, 0, NULL, &err), 0);
	d.state = HV_DOM_SUSPENDED;
	assert_true(d.quiesced && !w.served);
}

/* ready() means that it stands: hvdom lets it go, or not. */
static void test_ready(void **state)
{
	struct err err;

	(void)state;
	d.paused = true;
	assert_int_equal(domain_boot(&d, &err), 0);
	until(HV_DOM_PAUSED);
	assert_false(w.served);
	assert_true(d.quiesced);
	uint64_t age = fake_age(d.vm);
	for (int i = 0; i < 5; i++)
		assert_true(loop_run_once(d.loop, 2) >= 0);
	assert_int_equal(fake_age(d.vm), age);
	assert_int_equal(domain_go(&d, &err), 0);
	assert_true(w.served && w.kicked);
}

static void test_end_while_suspended(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 3; i++) {
		stop();
		d.running_since_ns = 1; /* long ago: a crash that is worth a new start */
		fake_end(d.vm, HV_EXIT_CRASH);
		until(HV_DOM_BOOTING);
		assert_true(w.served);
		assert_false(d.quiesced);
		until(HV_DOM_RUNNING);
		assert_true(w.kicked);
		assert_false(d.exiting);
	}
}

static void test_devices_that_do_not_answer(void **state)
{
	struct err err;

	(void)state;
	start();
	stop();
	w.no_resume = -ETIMEDOUT;
	fake_end(d.vm, HV_EXIT_CRASH);
	until(HV_DOM_CRASHED);
	assert_true(d.exiting);
	assert_int_equal(ops.suspend(d.vm, 0, &err), -ESRCH);
}

static void test_boot_that_fails(void **state)
{
	(void)state;
	start();
	fake_boot_fails = true;
	fake_end(d.vm, HV_EXIT_CRASH);
	until(HV_DOM_CRASHED);
	fake_boot_fails = false;
	assert_true(d.exiting);
}

static void agent_hears(const char *what)
{
	char buf[200] = "";
	ssize_t n = w.agent >= 0 ? read(w.agent, buf, sizeof(buf) - 1) : 0;

	if (w.agent >= 0)
		close(w.agent);
	w.agent = -1;
	assert_true(n > 0 && buf[0] == '\xff');
	assert_non_null(strstr(buf, what));
}

/* Frozen file systems are thawed in time, by nobody but hvdom, and only a guest that runs can hear that. */
static void test_frozen(void **state)
{
	struct err err;

	(void)state;
	w.agent = -1;
	start();
	assert_int_equal(domain_frozen(&d, 1, &err), -ENOENT);
	cfg.guest_agent = true;
	assert_int_equal(domain_frozen(&d, 601, &err), -EINVAL);
	d.logdirty_mode = HV_LOGDIRTY_RECORD;
	assert_int_equal(domain_frozen(&d, 1, &err), -EBUSY);
	d.logdirty_mode = 0;
	assert_int_equal(domain_not_frozen(&d, &err), 0);
	assert_int_equal(domain_frozen(&d, 600, &err), 0);
	assert_int_equal(domain_frozen_s(&d), 600);
	assert_int_equal(domain_not_frozen(&d, &err), -EBUSY);
	assert_int_equal(domain_frozen(&d, 0, &err), 0);
	assert_int_equal(domain_not_frozen(&d, &err), 0);
	assert_int_equal(domain_frozen(&d, 1, &err), 0);
	d.state = HV_DOM_PAUSED; /* not by domain_stop(): only a suspension is refused */
	for (uint64_t end = now_ns() + 3 * NS_PER_S / 2; now_ns() < end;)
		assert_true(loop_run_once(d.loop, 10) >= 0);
	assert_int_equal(w.agent, -1);
	assert_int_equal(domain_frozen_s(&d), 1);
	d.state = HV_DOM_RUNNING;
	for (uint64_t end = now_ns() + 10 * NS_PER_S; w.agent < 0 && now_ns() < end;)
		assert_true(loop_run_once(d.loop, 10) >= 0);
	agent_hears("guest-fsfreeze-thaw");
	assert_int_equal(domain_not_frozen(&d, &err), 0);
	/* a guest that ends has none any more */
	assert_int_equal(domain_frozen(&d, 600, &err), 0);
	d.running_since_ns = 1;
	fake_end(d.vm, HV_EXIT_CRASH);
	until(HV_DOM_BOOTING);
	assert_int_equal(domain_frozen_s(&d), 0);
	until(HV_DOM_RUNNING);
	loop_del_timer(d.thaw_timer);
	cfg.guest_agent = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ready, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_end_while_suspended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_devices_that_do_not_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_frozen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_boot_that_fails, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
