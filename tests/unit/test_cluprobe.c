/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clusterd's questions to hvdom, through a real helper process, against a stand-in for hvdom: engines, a domain, one that hangs. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <sys/stat.h>
#include <unistd.h>
#include "clusterd/io/probe.h"
#include "common/util.h"

#define LIMIT_NS (500 * NS_PER_MS)

static char *dir, *xml;
static struct loop *loop;
static struct workers *ws;

static void put(const char *name, const char *text, mode_t mode)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	assert_int_equal(file_write_atomic(path, text, strlen(text), mode), 0);
}

static void hvdom(const char *script)
{
	_cleanup_free_ char *text = xasprintf("#!/bin/sh\ncd %s\necho \"$1\" >>asked\n%s\n", dir, script);

	put("hvdom", text, 0755);
}

static int setup(void **state)
{
	(void)state;
	dir = test_dir_new();
	setenv("HOSPES_LIBEXEC", dir, 1);
	setenv("HOSPES_CONFDIR", dir, 1);
	setenv("HOSPES_STATEDIR", dir, 1);
	xml = xasprintf("<domain type='uml'><name>web1</name><memory unit='MiB'>64</memory>"
	                "<os><type>linux</type><kernel>%s/linux</kernel></os></domain>",
	                dir);
	put("linux", "x", 0755);
	_cleanup_free_ char *rules = xasprintf("{\"kernels\": [\"%s\"]}", dir);
	put("paths.json", rules, 0644);
	loop = loop_new();
	ws = workers_new(loop, 2, 20 * LIMIT_NS);
	assert_non_null(ws);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	workers_free(ws);
	loop_free(loop);
	free(xml);
	test_dir_remove(dir);
	return 0;
}

static void on_told(void *arg)
{
	*(bool *)arg = true;
}

static void ask(struct probe *p, enum probe_op op)
{
	uint64_t end = now_ns() + 30 * NS_PER_S;
	bool told = false;

	probe_ask(p, ws, op, WORK_NORMAL, "web1", xml, strlen(xml), on_told, &told);
	while (!told && now_ns() < end)
		(void)loop_run_once(loop, 20);
	assert_true(told && p->answered);
}

/* How often, and for what, hvdom was asked. */
static void asked(const char *what)
{
	_cleanup_free_ char *path = xasprintf("%s/asked", dir), *text = NULL;

	if (!what[0])
		assert_int_equal(access(path, F_OK), -1);
	else if (file_read(path, 1000, &text, NULL) == 0)
		assert_string_equal(text, what);
	else
		fail_msg("hvdom was not asked");
	unlink(path);
}

static void test_engines(void **state)
{
	struct probe p = { 0 };
	(void)state;

	hvdom("echo '{\"engine\":\"qemu\",\"runs\":true,\"identity\":\"7.2 tcg\"}'; echo '{\"engine\":\"kvm\",\"runs\":false,\"why\":\"not yet\"}'");
	ask(&p, PROBE_ENGINES);
	assert_int_equal(p.status, 0);
	assert_int_equal(p.engines.bits, CLU_ENGINE_QEMU);
	assert_string_equal(p.engines.build[0], "qemu 7.2 tcg");
	assert_string_equal(p.engines.build[1], "");
	assert_string_equal(p.text, "no engine kvm here: not yet");
	asked("--engines\n");
	hvdom("exit 1");
	ask(&p, PROBE_ENGINES);
	assert_int_equal(p.status, -EPROTO);
	probe_drop(&p);
}

static void test_domain(void **state)
{
	_cleanup_free_ char *kernel = xasprintf("%s/linux", dir);
	struct probe p = { 0 };
	(void)state;

	hvdom("echo '{\"engine\":\"pv\",\"runs\":true}'");
	ask(&p, PROBE_REACH | PROBE_CHECK);
	assert_int_equal(p.status, 0);
	asked("--check\n");
	hvdom("echo '{\"engine\":\"pv\",\"runs\":false,\"why\":\"two vCPUs\"}'");
	ask(&p, PROBE_REACH | PROBE_CHECK);
	assert_int_equal(p.status, -ENOTSUP);
	assert_string_equal(p.text, "two vCPUs");
	asked("--check\n");
	/* a start learns it from the hvdom that starts */
	ask(&p, PROBE_START);
	assert_int_equal(p.status, 0);
	asked("");
	/* what is not here at all needs no hvdom */
	assert_int_equal(unlink(kernel), 0);
	ask(&p, PROBE_REACH | PROBE_CHECK);
	assert_int_equal(p.status, -ENOENT);
	assert_non_null(strstr(p.text, kernel));
	asked("");
	probe_drop(&p);
}

/* It is killed with the helper, and who asked knows what did not answer. */
static void test_hangs(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/pid", dir), *text = NULL;
	struct probe p = { 0 };
	(void)state;

	workers_free(ws);
	ws = workers_new(loop, 2, LIMIT_NS);
	hvdom("echo $$ >pid; exec sleep 1000");
	ask(&p, PROBE_CHECK);
	assert_int_equal(p.status, -ETIMEDOUT);
	assert_true(p.silent);
	assert_non_null(strstr(p.text, "hvdom --check"));
	assert_int_equal(file_read(path, 100, &text, NULL), 0);
	_cleanup_free_ char *proc = xasprintf("/proc/%d/fd", atoi(text));
	for (int i = 0; i < 1000 && access(proc, R_OK) == 0; i++)
		usleep(5000);
	assert_int_equal(access(proc, R_OK), -1);
	probe_drop(&p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_engines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_domain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hangs, setup, teardown),
	};

	if (argc == 2 && !strcmp(argv[1], WORKER_ARG))
		return worker_main(probe_serve);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
