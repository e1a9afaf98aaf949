/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a host says of itself and reads of a domain: configuration, capacity, <hospes:cluster>, files, leases. */
#include "config.h"
#include "tests/unit/testutil.h"
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include "clusterd/io/domspec.h"
#include "clusterd/io/hostinfo.h"
#include "common/util.h"
#include "hypervisor/api/cpufeat.h"

#define UUID "c7a5fdbd-cdaf-9455-926a-d65c16db1809"

static void put(const char *name, const void *p, size_t len)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", test_dir, name);

	assert_int_equal(file_write_atomic(path, p, len, 0600), 0);
}

static void test_conf(void **state)
{
	static const struct {
		const char *text, *err;
	} bad[] = {
		{ "{", ":1:" },
		{ "[]", "not an object" },
		{ "{\"reserve\": 5}", "reserve" },
		{ "{\"memory\": \"many\"}", "memory" },
		{ "{\"cpus\": \"2\"}", "cpus" },
		{ "{\"cpus\": 0}", "cpus" },
		{ "{\"labels\": \"ssd\"}", "labels" },
		{ "{\"labels\": [\"a b\"]}", "label" },
		{ "{\"labels\": [1]}", "label" },
		{ "{\"measure\": \"dom\"}", "measure" },
		{ "{\"stop_grace_s\": -1}", "stop_grace_s" },
	};
	static const char good[] =
		"{\"reserve\": \"1GiB\", \"memory\": \"3GiB\", \"cpus\": 1.5, \"labels\": [\"ssd\", \"rack1\"],"
		"\"measure\": \"domains\", \"stop_grace_s\": 5, \"unknown\": 1}";
	struct hostconf c;
	const struct hostengines pv = { CLU_ENGINE_PV, { "pv 1" } };
	struct clu_capacity cap, again;
	struct err err;
	(void)state;

	assert_int_equal(hostconf_load(&c, &err), 0); /* no file: defaults */
	assert_int_equal(c.stop_grace_ns, 30 * NS_PER_S);
	assert_true(c.migrated_name[0]);
	hostinfo_capacity(&c, &pv, &cap);
	hostinfo_capacity(&c, &pv, &again);
	assert_true(cap.mem_bytes > 1 << 20 && cap.cpu_milli >= 100 && cap.engines == CLU_ENGINE_PV);
	assert_string_equal(cap.build[0], "pv 1");
	assert_memory_equal(&cap, &again, sizeof(cap)); /* an equal host says equal things, octet by octet */
	put("hostname", "host-x\n", 7);
	put("clusterd.json", good, strlen(good));
	assert_int_equal(hostconf_load(&c, &err), 0);
	assert_string_equal(c.migrated_name, "host-x");
	hostinfo_capacity(&c, &pv, &cap);
	assert_int_equal(cap.mem_bytes, 3ull << 30);
	assert_int_equal(cap.cpu_milli, 1500);
	assert_string_equal(cap.label[1], "rack1");
	assert_true(c.domains_only);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put("clusterd.json", bad[i].text, strlen(bad[i].text));
		assert_int_equal(hostconf_load(&c, &err), -EINVAL);
		if (!strstr(err.text, bad[i].err))
			fail_msg("%s: %s", bad[i].text, err.text);
	}
}

static void test_cpu(void **state)
{
	const char *names[CPU_FEATURES_MAX];
	unsigned n = cpu_features_here(names, NULL), bits = 0;
	uint64_t w[CPU_FEATURE_WORDS];
	struct hostcpu h = { 0 };
	(void)state;

	cpu_features_bits(w);
	for (unsigned i = 0; i < CPU_FEATURE_USER_WORDS; i++)
		bits += (unsigned)__builtin_popcountll(w[i]);
	assert_int_equal(bits, n);
#ifdef __x86_64__ /* features are those of x86: another processor has none of them */
	assert_true(n > 5);
#endif
	(void)hostinfo_cpu(&h, 2000);
	for (uint64_t end = h.total + 50, x = 0; h.total < end; x++) { /* burn until the counters moved */
		if (!(x % 1000000))
			assert_true(hostinfo_cpu(&h, 2000) <= 2000);
	}
	assert_true(h.milli > 0);
	assert_true(hostinfo_mem_used() > 1 << 20);
}

/* Domains -------------------------------------------------------------------------------------------------------------- */

static struct dom_config *domain(const char *inside)
{
	_cleanup_free_ char *xml = xasprintf("<domain type='uml'><name>web1</name><uuid>" UUID
	                                     "</uuid><memory unit='MiB'>64</memory>"
	                                     "<os><type>linux</type><kernel>%s/linux</kernel></os>%s</domain>",
	                                     test_dir, inside);
	struct dom_config *cfg = NULL;
	struct err err = { 0 };

	if (dom_config_parse(xml, strlen(xml), "test", &cfg, &err) < 0)
		fail_msg("%s", err.text);
	return cfg;
}

#define META(attrs) "<metadata><hospes:cluster xmlns:hospes='urn:hospes:cluster:1' " attrs "/></metadata>"

static void test_spec(void **state)
{
	static const struct {
		const char *inside;
		struct clu_spec want;
		int r;
	} t[] = {
		{ "", { .ha = true }, 0 },
		{ META("priority='10' order='1' restart-max='3' ha='no' type='bank-a'"),
		  { .priority = 10, .order = 1, .restart_max = 3, .ha = false, .type = "bank-a" },
		  0 },
		{ META("priority='-5' ha='yes'"), { .priority = -5, .ha = true }, 0 },
		{ META("priority='many'"), { 0 }, -EINVAL },
		{ META("priority=''"), { 0 }, -EINVAL },
		{ META("order='-1'"), { 0 }, -EINVAL },
		{ META("ha='maybe'"), { 0 }, -EINVAL },
		{ META("type='two words'"), { 0 }, -EINVAL },
		{ "<metadata><cluster priority='9'/><x:cluster xmlns:x='urn:other' priority='8'/></metadata>",
		  { .ha = true },
		  0 },
		{ "<seclabel type='static' model='hospes'><label>bank-b</label></seclabel>",
		  { .ha = true, .type = "bank-b" },
		  0 },
		{ "<seclabel type='static' model='selinux'><label>system_u:object_r:svirt_t:s0</label></seclabel>",
		  { .ha = true },
		  0 },
		{ META("type='bank-a'") "<seclabel type='static' model='hospes'><label>bank-b</label></seclabel>",
		  { .ha = true, .type = "bank-a" },
		  0 },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_dom_config_ struct dom_config *cfg = domain(t[i].inside);
		struct clu_spec s, want = t[i].want;
		struct err err = { 0 };

		int r = domspec_of(cfg, &s, &err);
		if (r != t[i].r)
			fail_msg("%s: %d %s", t[i].inside, r, err.text);
		if (r < 0)
			continue;
		want.mem_bytes = 64 << 20, want.vcpus = 1, want.engine = CLU_ENGINE_PV;
		assert_memory_equal(&s, &want, sizeof(s));
	}
	_cleanup_dom_config_ struct dom_config *cfg = domain(
		"<devices><interface type='bridge'><source bridge='br0'/></interface><interface type='bridge'><source bridge='br1'/></interface>"
		"<interface type='bridge'><source bridge='br0'/></interface></devices>");
	struct clu_spec s;
	assert_int_equal(domspec_of(cfg, &s, NULL), 0);
	assert_string_equal(s.bridge[0], "br0");
	assert_string_equal(s.bridge[1], "br1");
	assert_string_equal(s.bridge[2], "");
}

static struct dom_config *with_disk(void)
{
	_cleanup_free_ char *inside = xasprintf("<devices><disk type='file' device='disk'><source file='%s/disk.img'/>"
	                                        "<target dev='vda' bus='virtio'/></disk></devices>",
	                                        test_dir);

	return domain(inside);
}

/* Which domains' processors are not their host's: those of kvm that name one. */
static void test_named_cpu(void **state)
{
	static const struct {
		const char *type, *cpu;
		bool named;
	} c[] = { { "kvm", "", false },
		  { "kvm", "<cpu mode='host-passthrough'/>", false },
		  { "kvm", "<cpu mode='host-model'/>", true },
		  { "kvm", "<cpu mode='custom'><model>Haswell</model></cpu>", true },
		  { "qemu", "<cpu mode='custom'><model>Haswell</model></cpu>", false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		_cleanup_free_ char *xml =
			xasprintf("<domain type='%s'><name>g</name><memory>65536</memory><os><type>hvm</type>"
		                  "</os>%s</domain>",
		                  c[i].type, c[i].cpu);
		_cleanup_dom_config_ struct dom_config *cfg = NULL;
		struct clu_spec spec;
		struct err err = { 0 };

		if (dom_config_parse(xml, strlen(xml), "x", &cfg, &err) < 0 || domspec_of(cfg, &spec, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(spec.cpu_named, c[i].named);
	}
}

/* An image that is there, on one that is not: the host could not run it, and says which. */
static void test_reach_below(void **state)
{
	_cleanup_free_ char *inside =
		xasprintf("<devices><disk type='file' device='disk'><driver type='qcow2'/>"
	                  "<source file='%s/q.img'/><target dev='vda' bus='virtio'/></disk></devices>",
	                  test_dir);
	_cleanup_free_ char *make = xasprintf("qemu-img create -q -u -f qcow2 -b gone -F raw '%s/q.img' 1M", test_dir);
	_cleanup_free_ char *rules = xasprintf("{\"images\": [\"%s\"], \"kernels\": [\"%s\"]}", test_dir, test_dir);
	_cleanup_free_ char *gone = xasprintf("%s/gone", test_dir);
	_cleanup_dom_config_ struct dom_config *cfg = domain(inside);
	struct err err;
	(void)state;

	if (system("command -v qemu-img >/dev/null")) {
		print_message("missing: qemu-img (package qemu-utils)\n");
		skip();
	}
	put("paths.json", rules, strlen(rules));
	put("linux", "x", 1);
	assert_int_equal(system(make), 0);
	assert_int_equal(domspec_reach(cfg, NULL, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, gone));
	put("gone", "x", 1);
	assert_int_equal(domspec_reach(cfg, NULL, NULL, &err), 0);
}

static void test_reach(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg = with_disk();
	_cleanup_free_ char *disk = xasprintf("%s/disk.img", test_dir);
	_cleanup_free_ char *rules = xasprintf("{\"images\": [\"%s\"], \"kernels\": [\"%s\"]}", test_dir, test_dir);
	char *warning[8];
	struct err err;
	(void)state;

	put("paths.json", rules, strlen(rules));
	assert_int_equal(domspec_reach(cfg, NULL, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, "kernel"));
	put("linux", "x", 1);
	assert_int_equal(domspec_reach(cfg, NULL, NULL, &err), -ENOENT);
	assert_non_null(strstr(err.text, disk));
	put("disk.img", "x", 1);
	assert_int_equal(domspec_reach(cfg, NULL, NULL, &err), 0);
	assert_int_equal(domspec_warnings(cfg, warning), 0);
	assert_int_equal(unlink(disk), 0);
	assert_int_equal(mkdir(disk, 0700), 0);
	assert_int_equal(domspec_reach(cfg, NULL, NULL, &err), -EINVAL);
	rmdir(disk);
}

/* hvdom alone says which engines there are, whatever /dev has; what it does not say, is not. */
static void test_engines(void **state)
{
	static const struct {
		const char *says, *why;
		int r;
		uint32_t engines;
		const char *build;
	} t[] = {
		{ "{\"engine\":\"pv\",\"runs\":true}\n{\"engine\":\"kvm\",\"runs\":false,\"why\":\"not yet\"}",
		  "no engine kvm here: not yet", 0, CLU_ENGINE_PV, NULL },
		{ "{\"engine\":\"pv\",\"runs\":false,\"why\":\"a\"}\n{\"engine\":\"kvm\",\"runs\":false,\"why\":\"b\"}",
		  "no engine pv here: a; no engine kvm here: b", 0, 0, NULL },
		{ "{\"engine\":\"kvm\",\"runs\":true}\n{\"engine\":\"another\",\"runs\":true}", "", 0, CLU_ENGINE_KVM,
		  NULL },
		{ "{\"engine\":\"qemu\",\"runs\":true}", "", 0, CLU_ENGINE_QEMU, NULL },
		{ "{\"engine\":\"another\",\"runs\":true,\"identity\":\"1\"}\n{\"engine\":\"pv\",\"runs\":true}\n"
		  "{\"engine\":\"qemu\",\"runs\":true,\"identity\":\"7.2.22 tcg and a very long remark\"}",
		  "", 0, CLU_ENGINE_PV | CLU_ENGINE_QEMU, "qemu 7.2.22 tcg and a very long" },
		{ "nonsense", "another version", -EPROTO, 77, NULL },
	};
	_cleanup_free_ char *path = xasprintf("%s/hvdom", test_dir);
	struct hostengines engines;
	struct err err;
	(void)state;

	setenv("HOSPES_LIBEXEC", test_dir, 1);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_free_ char *text = xasprintf("#!/bin/sh\ncat <<X\n%s\nX\n", t[i].says);

		err = (struct err){ 0 };
		engines = (struct hostengines){ 77, { "" } };
		assert_int_equal(file_write_atomic(path, text, strlen(text), 0755), 0);
		assert_int_equal(hostinfo_engines(&engines, &err), t[i].r);
		assert_int_equal(engines.bits, t[i].engines);
		assert_string_equal(engines.build[0], t[i].build ? t[i].build : "");
		assert_string_equal(engines.build[1], "");
		assert_non_null(strstr(err.text, t[i].why));
	}
	assert_int_equal(unlink(path), 0);
	assert_int_equal(hostinfo_engines(&engines, &err), -ENOENT);
	unsetenv("HOSPES_LIBEXEC");
}

/* One slot as lease.md has it. */
static void slot(char *octets, unsigned seq, uint64_t generation, const char *state, const char *owner)
{
	char line[400];
	int n = snprintf(line, sizeof(line), "hospes-lease 1 %u " UUID " %" PRIu64 " %s %s ", seq, generation, state,
	                 owner);

	memset(octets, 0, 512);
	snprintf(octets, 512, "%s%016" PRIx64 "\n", line, (uint64_t)XXH3_64bits(line, (size_t)n));
}

static void test_lease(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg = with_disk();
	char f[1024] = { 0 };
	struct leasepeek l;
	struct err err;
	(void)state;

	assert_int_equal(domspec_lease(cfg, &l, &err), 0); /* no file */
	assert_false(l.there);
	assert_true(l.shared);
	put("disk.img.lease", f, sizeof(f)); /* empty */
	assert_int_equal(domspec_lease(cfg, &l, &err), 0);
	assert_false(l.there);
	slot(f + 512, 1, 4, "running", "host-a");
	put("disk.img.lease", f, sizeof(f));
	assert_int_equal(domspec_lease(cfg, &l, &err), 0);
	assert_true(l.there && !l.taken && l.generation == 4);
	assert_string_equal(l.owner, "host-a");
	assert_true(l.running);
	slot(f, 2, 5, "running", "host-b"); /* given away */
	put("disk.img.lease", f, sizeof(f));
	assert_int_equal(domspec_lease(cfg, &l, &err), 0);
	assert_true(l.generation == 5 && !l.taken);
	assert_string_equal(l.owner, "host-b");
	slot(f + 512, 3, 5, "running", "host-b"); /* taken */
	put("disk.img.lease", f, sizeof(f));
	assert_int_equal(domspec_lease(cfg, &l, &err), 0);
	assert_true(l.generation == 5 && l.taken);
	f[520] ^= 1; /* the newer one is damaged: the other counts */
	put("disk.img.lease", f, sizeof(f));
	assert_int_equal(domspec_lease(cfg, &l, &err), 0);
	assert_true(l.generation == 5 && !l.taken);
	f[8] ^= 1;
	put("disk.img.lease", f, sizeof(f));
	assert_int_equal(domspec_lease(cfg, &l, &err), -EINVAL);
	assert_non_null(strstr(err.text, "damaged"));
	slot(f, 2, 5, "stopped", "-");
	memset(f + 512, 0, 512);
	put("disk.img.lease", f, 600); /* cut short */
	assert_int_equal(domspec_lease(cfg, &l, &err), 0);
	assert_string_equal(l.owner, "");
	strcpy(cfg->uuid, "00000000-0000-0000-0000-000000000000");
	assert_int_equal(domspec_lease(cfg, &l, &err), -EINVAL);
	assert_non_null(strstr(err.text, "two domains"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_conf, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_cpu, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_spec, test_dir_setup, test_dir_teardown),
		cmocka_unit_test(test_named_cpu),
		cmocka_unit_test_setup_teardown(test_reach, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_reach_below, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_engines, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_lease, test_dir_setup, test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
