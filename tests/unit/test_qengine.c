/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Engine qemu with a QEMU that the test plays: a process whose monitor says what the test wants (struct play). qproc_start() here stands for
 * that of qproc.c. With a real one: tests/system/qemu/qemuguest.c.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/engine.h"
#include "hypervisor/qemu/qproc.h"
#include "hypervisor/qemu/qvm_int.h"

#define RAM   (2u << 20)
#define STATE 4096u

/* Shared with the process. */
static struct play {
	char hello[200];          /* its greeting */
	_Atomic unsigned refuses; /* so many orders to go on are refused; UINT32_MAX: all */
	_Atomic unsigned asked;   /* orders to go on so far */
	_Atomic bool runs;
	_Atomic unsigned period; /* for the guest's statistics, as ordered */
	_Atomic unsigned wanted; /* questions for them so far */
	_Atomic bool deaf;       /* these are not answered */
} * play;

static bool is_order(const char *text, const char *name)
{
	char word[64];

	snprintf(word, sizeof(word), "\"execute\":\"%s\"", name);
	return strstr(text, word);
}

static void write_state(int fd)
{
	char state[STATE];

	memset(state, 's', sizeof(state));
	if (pwrite(fd, state, sizeof(state), 0) != sizeof(state))
		_exit(3);
}

static const char statistics[] =
	"{\"return\": {\"stats\": {\"stat-swap-out\": 0, \"stat-available-memory\": 3000, \"stat-free-memory\": 2000, \"stat-minor-faults\": 7, "
	"\"stat-major-faults\": 5, \"stat-total-memory\": 4000, \"stat-swap-in\": 18446744073709551615, \"stat-disk-caches\": 1}, "
	"\"last-update\": 1700000000}, \"id\": %lld}\r\n";
static const char refusal[] =
	"{\"error\": {\"class\": \"GenericError\", \"desc\": \"Migration is not finalized yet\"}, \"id\": %lld}\r\n";

/* What it says to one order. No memory is taken here: the test's process may have had threads. */
static void answer(const char *text, int fd, char *out, size_t len)
{
	static int state = -1;
	const char *at = strstr(text, "\"id\":");
	long long id = at ? strtoll(at + 5, NULL, 10) : 0;
	bool done = false;

	if (fd >= 0)
		state = fd;
	if (is_order(text, "cont")) {
		unsigned left = play->refuses;
		play->asked++;
		if (left) {
			play->refuses = left == UINT32_MAX ? left : left - 1;
			snprintf(out, len, refusal, id);
			return;
		}
		play->runs = true;
	} else if (is_order(text, "qom-set")) {
		const char *value = strstr(text, "\"value\":");
		play->period = value ? (unsigned)strtoul(value + 8, NULL, 10) : 0;
	} else if (is_order(text, "qom-get")) {
		play->wanted++;
		*out = 0;
		if (!play->deaf)
			snprintf(out, len, statistics, id);
		return;
	} else if (is_order(text, "stop")) {
		play->runs = false;
	} else if (is_order(text, "migrate")) {
		write_state(state);
		done = true;
	} else if (is_order(text, "migrate-incoming")) {
		done = true;
	}
	snprintf(out, len, "{\"return\": {}, \"id\": %lld}\r\n%s", id,
	         done ? "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"completed\"}}\r\n" : "");
}

static _Noreturn void monitor(int fd)
{
	char text[2048], out[1024];

	(void)!write(fd, play->hello, strlen(play->hello));
	for (;;) {
		int got = -1;
		size_t n = 1;
		ssize_t len = sock_recv_fds(fd, text, sizeof(text) - 1, &got, &n);
		if (len <= 0)
			_exit(0);
		text[len] = 0;
		answer(text, n ? got : -1, out, sizeof(out));
		(void)!write(fd, out, strlen(out));
	}
}

int qproc_start(const struct qproc_cfg *cfg, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		monitor(cfg->pass[1]); /* after the memory */
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd_open(pid, 0);
	return *ret_pidfd < 0 ? err_sys(err, errno, "pidfd_open") : 0;
}

/* hvdom around it --------------------------------------------------------------------------------------------------------- */

struct fix {
	struct hv_engine_env env;
	struct dom_config cfg;
	struct guestmem mem;
	char identity[HV_IDENTITY_MAX], failed[ERR_TEXT_MAX];
	unsigned ready;
	void *vm;
};

static void on_ready(void *arg, const struct err *failed)
{
	struct fix *x = arg;

	x->ready++;
	snprintf(x->failed, sizeof(x->failed), "%s", failed ? failed->text : "");
}
static void on_exited(void *arg, enum hv_exit how, const char *text)
{
	(void)arg, (void)how;
	fail_msg("it ended: %s", text);
}
static void on_output(void *arg, const void *p, size_t len)
{
	(void)arg, (void)p, (void)len;
}
static void on_process(void *arg, pid_t pid)
{
	(void)arg, (void)pid;
}
static void on_watchdog(void *arg)
{
	(void)arg;
}

static void version(const char *text)
{
	snprintf(play->hello, sizeof(play->hello), "{\"QMP\": {\"version\": %s, \"capabilities\": []}}\r\n", text);
}

static int setup(void **state)
{
	static struct fix x;
	struct err err;
	int fd = memfd_create("ram", MFD_CLOEXEC), r = test_dir_setup(state);
	_cleanup_free_ char *path = xasprintf("%s/qemu", test_dir);
	static const char program[] = "#!/bin/sh\necho 'QEMU emulator version 7.2.22 (Debian)'\n";

	assert_int_equal(r, 0);
	assert_int_equal(file_write_atomic(path, program, strlen(program), 0755), 0);
	setenv("HOSPES_QEMU", path, 1);
	memset(play, 0, sizeof(*play));
	version("{\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"Debian\"}");
	x = (struct fix){ .cfg = { .type = DOM_TYPE_QEMU,
		                   .name = "g",
		                   .uuid = "11111111-2222-3333-4444-555555555555",
		                   .memory_bytes = RAM,
		                   .vcpus = 1 } };
	assert_int_equal(ftruncate(fd, RAM), 0);
	assert_int_equal(guestmem_init(&x.mem, fd, RAM, &err), 0);
	x.env = (struct hv_engine_env){ .loop = loop_new(),
		                        .cfg = &x.cfg,
		                        .mem = &x.mem,
		                        .identity = x.identity,
		                        .arg = &x,
		                        .ready = on_ready,
		                        .exited = on_exited,
		                        .output = on_output,
		                        .process = on_process,
		                        .watchdog = on_watchdog };
	assert_int_equal(devs_new(&x.cfg, hv_engine_qemu.transport, NULL, &x.env.devs, &err), 0);
	assert_int_equal(hv_engine_qemu.identity(&x.cfg, x.identity, &err), 0);
	*state = &x;
	return 0;
}

static int teardown(void **state)
{
	struct fix *x = *state;

	hv_engine_qemu.close(x->vm);
	devs_free(x->env.devs);
	guestmem_done(&x->mem);
	loop_free(x->env.loop);
	unsetenv("HOSPES_QEMU");
	return test_dir_teardown(state);
}

/* @incoming: memory is there before the engine is. */
static void open_engine(struct fix *x, bool incoming)
{
	struct err err = { 0 };
	uint8_t *base = x->mem.base;

	x->mem.base = incoming ? base : NULL;
	int r = hv_engine_qemu.open(&x->env, &x->vm, &err);
	x->mem.base = base;
	if (r)
		print_error("%s\n", err.text);
	assert_int_equal(r, 0);
}

/* Until ready() was called @n times. */
static void boot(struct fix *x, unsigned n)
{
	struct err err;

	assert_int_equal(hv_engine_qemu.boot(x->vm, &err), 0);
	for (unsigned i = 0; i < 6000 && x->ready < n; i++)
		(void)!loop_run_once(x->env.loop, 10);
	assert_int_equal(x->ready, n);
}

static void save(struct fix *x, struct buf *out)
{
	struct err err = { 0 };

	out->len = 0;
	assert_int_equal(hv_engine_qemu.suspend(x->vm, 1000, &err), 0);
	assert_int_equal(hv_engine_qemu.save(x->vm, NULL, out, &err), 0);
	assert_int_equal(out->len, 16 + STATE);
	assert_false(play->runs);
}

/* Going on ---------------------------------------------------------------------------------------------------------------- */

static void test_refused_once(void **state)
{
	_cleanup_buf_ struct buf out = { 0 };
	struct fix *x = *state;
	struct err err;

	open_engine(x, false);
	boot(x, 1);
	assert_string_equal(x->failed, "");
	assert_int_equal(hv_engine_qemu.resume(x->vm, &err), 0);
	assert_int_equal(play->asked, 1);
	for (unsigned times = 0; times < 3; times++) {
		save(x, &out);
		play->asked = 0;
		play->refuses = times;
		assert_int_equal(hv_engine_qemu.resume(x->vm, &err), 0);
		assert_int_equal(play->asked, times + 1);
		assert_true(play->runs);
	}
}

/* One that never does is no guest that runs: the answer says so, its state is the same, and it may be tried again. */
static void test_refused_for_ever(void **state)
{
	_cleanup_buf_ struct buf out = { 0 }, again = { 0 };
	struct fix *x = *state;
	struct err err;

	open_engine(x, false);
	boot(x, 1);
	assert_int_equal(hv_engine_qemu.resume(x->vm, &err), 0);
	save(x, &out);
	play->refuses = UINT32_MAX;
	uint64_t t = now_ns();
	assert_int_equal(hv_engine_qemu.resume(x->vm, &err), -EREMOTEIO);
	assert_true(now_ns() - t < 60 * NS_PER_S);
	assert_string_equal(err.text, "cont: QEMU refuses: Migration is not finalized yet");
	assert_true(play->asked > 2);
	save(x, &again);
	assert_memory_equal(out.data, again.data, out.len);
	play->refuses = 0;
	assert_int_equal(hv_engine_qemu.resume(x->vm, &err), 0);
	assert_true(play->runs);
}

/* Nothing was asked of it that it might not be done with: there is nothing to wait for. */
static void test_refused_without_a_state(void **state)
{
	struct fix *x = *state;
	struct err err;

	open_engine(x, false);
	boot(x, 1);
	play->refuses = UINT32_MAX;
	assert_int_equal(hv_engine_qemu.resume(x->vm, &err), -EREMOTEIO);
	assert_int_equal(play->asked, 1);
}

/* Statistics -------------------------------------------------------------------------------------------------------------- */

static void run_for(struct fix *x, unsigned ms)
{
	uint64_t until = now_ns() + ms * NS_PER_MS;

	while (now_ns() < until)
		(void)!loop_run_once(x->env.loop, 10);
}

static void test_guest_memory(void **state)
{
	static const uint64_t said[HV_MEM_COUNT] = { 4000, 2000, 3000, 1, UINT64_MAX, 0, 5, 7 };
	struct fix *x = *state;
	struct hv_stats st = { 0 };
	struct err err;

	x->cfg.balloon = true;
	x->cfg.hvm.stats_period_s = 1;
	open_engine(x, false);
	boot(x, 1);
	assert_string_equal(x->failed, "");
	assert_int_equal(play->period, 1);
	assert_int_equal(hv_engine_qemu.resume(x->vm, &err), 0);
	for (unsigned i = 0; i < 100 && !st.mem_at_s; i++) {
		run_for(x, 100);
		hv_engine_qemu.stats(x->vm, &st);
	}
	assert_int_equal(st.mem_at_s, 1700000000);
	assert_memory_equal(st.mem, said, sizeof(said));
	/* one that does not answer is not asked again, and keeps nobody from other orders */
	play->deaf = true;
	run_for(x, 1500);
	unsigned wanted = play->wanted;
	run_for(x, 2500);
	assert_int_equal(play->wanted, wanted);
	assert_int_equal(hv_engine_qemu.suspend(x->vm, 1000, &err), 0);
	/* that took the answer's place */
	play->deaf = false;
	assert_int_equal(hv_engine_qemu.resume(x->vm, &err), 0);
	for (unsigned i = 0; i < 100 && play->wanted == wanted; i++)
		run_for(x, 100);
	assert_true(play->wanted > wanted);
	/* another machine's guest has said nothing yet */
	hv_engine_qemu.kill(x->vm);
	st = (struct hv_stats){ 0 };
	hv_engine_qemu.stats(x->vm, &st);
	assert_int_equal(st.mem_at_s, 0);
}

static void test_guest_memory_unasked(void **state)
{
	struct fix *x = *state;
	struct err err;

	x->cfg.balloon = true;
	open_engine(x, false);
	boot(x, 1);
	assert_int_equal(hv_engine_qemu.resume(x->vm, &err), 0);
	run_for(x, 1500);
	assert_int_equal(play->period, 0);
	assert_int_equal(play->wanted, 0);
}

static void test_guest_memory_nonsense(void **state)
{
	static const char *const said[] = {
		"null", "[]", "3", "{\"stats\": 3, \"last-update\": -1}",
		"{\"stats\": {\"stat-free-memory\": \"x\", \"stat-swap-in\": -3}, \"last-update\": 1e300}"
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		json_t *o = json_loads(said[i], JSON_DECODE_ANY, NULL);
		uint64_t at = 1, mem[HV_MEM_COUNT] = { 0 };

		assert_non_null(o);
		qballoon_read(o, &at, mem);
		json_decref(o);
		assert_int_equal(at, 0);
		for (size_t k = 0; k < HV_MEM_COUNT; k++)
			assert_true(mem[k] == UINT64_MAX);
	}
}

/* Which QEMU it is ----------------------------------------------------------------------------------------------------------- */

static void test_replaced_program(void **state)
{
	struct fix *x = *state;

	assert_string_equal(x->identity, "7.2.22 tcg pc-q35-7.2");
	open_engine(x, false);
	boot(x, 1);
	assert_string_equal(x->identity, "7.2.22 tcg pc-q35-7.2");
	/* the guest reboots after an upgrade, and after another one */
	version("{\"qemu\": {\"micro\": 4, \"minor\": 0, \"major\": 8}}");
	hv_engine_qemu.kill(x->vm);
	boot(x, 2);
	assert_string_equal(x->identity, "8.0.4 tcg pc-q35-7.2");
	version("{\"qemu\": {\"micro\": 0, \"minor\": 1, \"major\": 10}, \"later\": []}");
	hv_engine_qemu.kill(x->vm);
	boot(x, 3);
	assert_string_equal(x->identity, "10.1.0 tcg pc-q35-7.2");
}

static void test_no_version(void **state)
{
	static const char *const bad[] = { "{}", "7", "{\"qemu\": {\"micro\": \"2\", \"minor\": 0, \"major\": 8}}",
		                           "{\"qemu\": {\"micro\": 2, \"minor\": 0, \"major\": 8888}}",
		                           "{\"qemu\": {\"micro\": -2, \"minor\": 0, \"major\": 8}}" };
	struct fix *x = *state;

	open_engine(x, false);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		version(bad[i]);
		boot(x, i + 1);
		assert_string_equal(x->failed, "QEMU does not say its version");
	}
	assert_string_equal(x->identity, "7.2.22 tcg pc-q35-7.2");
}

/* The source was told of another one: the copy that waits is not that, and takes no state. */
static void test_replaced_while_a_copy_waits(void **state)
{
	_cleanup_buf_ struct buf out = { 0 };
	struct fix *x = *state;
	struct err err = { 0 };

	open_engine(x, false);
	boot(x, 1);
	assert_int_equal(hv_engine_qemu.resume(x->vm, &err), 0);
	save(x, &out);
	hv_engine_qemu.close(x->vm);
	x->vm = NULL;
	for (int good = 0; good < 2; good++) {
		struct rd in = rd_of(out.data, out.len);

		if (!good)
			version("{\"qemu\": {\"micro\": 23, \"minor\": 2, \"major\": 7}}");
		else
			version("{\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}}");
		open_engine(x, true);
		assert_int_equal(hv_engine_qemu.load(x->vm, &in, &err), good ? 0 : -EXDEV);
		if (!good)
			assert_string_equal(
				err.text,
				"QEMU was replaced here meanwhile: it was 7.2.22 tcg pc-q35-7.2, and is 7.2.23 tcg pc-q35-7.2: begin anew");
		assert_string_equal(x->identity, "7.2.22 tcg pc-q35-7.2");
		hv_engine_qemu.close(x->vm);
		x->vm = NULL;
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_refused_once),     T(test_refused_for_ever),     T(test_refused_without_a_state),
		T(test_replaced_program), T(test_no_version),           T(test_replaced_while_a_copy_waits),
		T(test_guest_memory),     T(test_guest_memory_unasked), cmocka_unit_test(test_guest_memory_nonsense),
	};

	play = mmap(NULL, sizeof(*play), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return play == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
