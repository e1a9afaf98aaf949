/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/qemu/qcpu.c and qhost_cpu.c: what host-model comes to, which features are missing, with a stand-in for QEMU. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <sys/stat.h>
#include "common/util.h"
#include "hypervisor/api/cpufeat.h"
#include "hypervisor/qemu/qcpu.h"
#include "hypervisor/qemu/qvm_int.h"

static struct dom_config *parse(const char *type, const char *cpu)
{
	_cleanup_free_ char *xml =
		xasprintf("<domain type='%s'><name>g</name><memory>65536</memory><os><type>hvm</type>"
	                  "<kernel>/k</kernel></os>%s</domain>",
	                  type, cpu);
	struct dom_config *cfg = NULL;
	struct err err = { 0 };

	if (dom_config_parse(xml, strlen(xml), "x", &cfg, &err) < 0)
		fail_msg("%s", err.text);
	return cfg;
}

/* Bits of features by QEMU's names. */
static void bits_of(const char *const *names, uint64_t w[CPU_FEATURE_WORDS])
{
	memset(w, 0, CPU_FEATURE_WORDS * sizeof(w[0]));
	for (; *names; names++) {
		int bit = cpu_feature_bit(*names);

		assert_true(bit >= 0);
		w[bit / 64] |= 1ull << (bit % 64);
	}
}

static void test_pin(void **state)
{
	static const char *const host[] = { "avx", "avx2", "sse4.2", "pcid", "vmx", NULL };
	static const struct {
		const char *cpu, *is;
	} c[] = {
		{ "<cpu mode='host-model'/>", "qemu64,svm=off,avx=on,avx2=on,sse4.2=on,pcid=on,enforce=on" },
		{ "<cpu mode='host-model'><feature policy='disable' name='avx2'/><feature policy='require' name='vmx'/></cpu>",
		  "qemu64,avx2=off,vmx=on,svm=off,avx=on,sse4.2=on,pcid=on,enforce=on" },
		{ "<cpu mode='host-model'><feature policy='optional' name='vmx'/><feature policy='optional' name='xop'/></cpu>",
		  "qemu64,vmx=on,xop=off,svm=off,avx=on,avx2=on,sse4.2=on,pcid=on,enforce=on" },
		{ "<cpu mode='custom'><model>Haswell</model><feature policy='optional' name='xop'/></cpu>",
		  "Haswell,xop=off,enforce=on" },
		{ "<cpu mode='host-passthrough'/>", "host" },
	};
	uint64_t w[CPU_FEATURE_WORDS];

	(void)state;
	bits_of(host, w);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		_cleanup_dom_config_ struct dom_config *cfg = parse("kvm", c[i].cpu);

		qcpu_pin(&cfg->hvm.cpu, w);
		_cleanup_free_ char *is = qcpu_text(cfg, true);
		assert_string_equal(is, c[i].is);
		/* and so it stays, whatever the next host has */
		memset(w, 0, sizeof(w));
		qcpu_pin(&cfg->hvm.cpu, w);
		_cleanup_free_ char *again = qcpu_text(cfg, true);
		assert_string_equal(again, c[i].is);
		bits_of(host, w);
	}
}

/* More features than there is room for, and all that there are. */
static void test_pin_all(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg = parse("kvm", "<cpu mode='host-model'/>");
	uint64_t w[CPU_FEATURE_WORDS];

	(void)state;
	memset(w, 0xff, sizeof(w));
	qcpu_pin(&cfg->hvm.cpu, w);
	for (unsigned bit = 0; bit < 64 * CPU_FEATURE_WORDS; bit++) {
		const char *name = cpu_feature_model_name(bit);
		bool found = !name;
		for (size_t i = 0; i < cfg->hvm.cpu.n_features && !found; i++)
			found = !strcmp(cfg->hvm.cpu.feature[i].name, name);
		if (!found)
			fail_msg("%s is left out", name);
	}
}

static void test_lacking(void **state)
{
	static const char *const host[] = { "avx", "sse4.2", NULL };
	_cleanup_dom_config_ struct dom_config *cfg =
		parse("kvm", "<cpu mode='custom'><model>qemu64</model><feature policy='require' name='avx'/>"
	                     "<feature policy='force' name='avx2'/><feature policy='disable' name='xop'/>"
	                     "<feature policy='optional' name='aes'/><feature policy='require' name='pcid'/>"
	                     "<feature policy='require' name='not-in-the-table'/></cpu>");
	uint64_t w[CPU_FEATURE_WORDS];
	char names[100], little[8];

	(void)state;
	bits_of(host, w);
	assert_int_equal(qcpu_lacking(&cfg->hvm.cpu, w, names, sizeof(names)), 2);
	assert_string_equal(names, "avx2, pcid");
	assert_int_equal(qcpu_lacking(&cfg->hvm.cpu, w, little, sizeof(little)), 2);
	assert_string_equal(little, "avx2");
	qcpu_drop(&cfg->hvm.cpu, "avx2, pcid");
	assert_int_equal(qcpu_lacking(&cfg->hvm.cpu, w, names, sizeof(names)), 0);
	assert_string_equal(names, "");
	assert_int_equal(cfg->hvm.cpu.n_features, 4);
}

static void test_refused(void **state)
{
	static const struct {
		const char *said, *names;
	} c[] = {
		{ "", "" },
		{ "qemu: warning: TCG doesn't support requested feature: CPUID.07H:EBX.avx512f [bit 16]\n", "avx512f" },
		{ "x: warning: host doesn't support requested feature: CPUID.01H:ECX.sse4.1 [bit 19]\n"
		  "x: warning: host doesn't support requested feature: MSR(48FH).vmx-exit-nosave-debugctl [bit 2]\n",
		  "sse4.1, vmx-exit-nosave-debugctl" },
		{ "requested feature: ", "" },
		{ "requested feature: CPUID [bit 1]", "" },
		{ "requested feature: CPUID.07H:EBX.avx2", "" },
		{ "requested feature: MSR( [bit 1]", "" },
	};
	char names[100];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		assert_int_equal(qcpu_refused(c[i].said, names, sizeof(names)) > 0, *c[i].names != 0);
		assert_string_equal(names, c[i].names);
	}
}

/* A program in QEMU's place. */
static void stand_in(const char *script)
{
	_cleanup_free_ char *path = xasprintf("%s/qemu", test_dir), *text = xasprintf("#!/bin/sh\n%s\n", script);

	assert_int_equal(file_write_atomic(path, text, strlen(text), 0700), 0);
	setenv("HOSPES_QEMU", path, 1);
}

static void test_check(void **state)
{
	static const char cpu[] = "<cpu mode='custom'><model>Haswell</model></cpu>";
	_cleanup_dom_config_ struct dom_config *named = parse("qemu", cpu), *plain = parse("qemu", "");
	struct err err = { 0 };

	(void)state;
	/* who names nothing asks nobody */
	stand_in("exit 1");
	assert_int_equal(qhost_cpu_check(plain, false, &err), 0);
	/* it gets the words of a start, and is told to quit */
	stand_in("case \"$*\" in *'-cpu Haswell,enforce=on '*) ;; *) exit 1 ;; esac\n"
	         "read -r a; read -r b; case $b in *'\"quit\"'*) exit 0 ;; esac; exit 1");
	assert_int_equal(qhost_cpu_check(named, false, &err), 0);
	stand_in(
		"echo \"qemu: warning: TCG doesn't support requested feature: CPUID.07H:EBX.hle [bit 4]\" >&2; exit 1");
	assert_int_equal(qhost_cpu_check(named, false, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "translated code lacks hle"));
	stand_in("echo \"unable to find CPU model 'Haswell'\"; exit 1");
	assert_int_equal(qhost_cpu_check(named, false, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "unable to find CPU model 'Haswell'"));
	/* much noise does no harm */
	stand_in("head -c 300000 /dev/zero | tr '\\0' x; exit 0");
	assert_int_equal(qhost_cpu_check(named, false, &err), 0);
	/* who does not end is not waited for: the start will say */
	stand_in("exec sleep 60");
	uint64_t t = now_ns();
	assert_int_equal(qhost_cpu_check(named, false, &err), 0);
	assert_true(now_ns() - t < 20 * NS_PER_S);
}

/* A later QEMU's processor is the same if the document names it and QEMU vouches for it. */
static void test_fixed(void **state)
{
	static const struct {
		const char *cpu;
		bool tcg, kvm;
	} c[] = { { "", false, false },
		  { "<cpu mode='host-passthrough'/>", false, false },
		  { "<cpu mode='maximum'/>", false, false },
		  { "<cpu mode='host-model'/>", false, false }, /* before it is pinned */
		  { "<cpu mode='host-passthrough'><feature policy='require' name='avx'/></cpu>", false, false },
		  { "<cpu mode='custom' check='none'><model>Nehalem</model></cpu>", false, true },
		  { "<cpu mode='custom'><model>Nehalem</model></cpu>", true, true } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		_cleanup_dom_config_ struct dom_config *cfg = parse("kvm", c[i].cpu);
		assert_int_equal(qcpu_is_fixed(cfg, false), c[i].tcg);
		assert_int_equal(qcpu_is_fixed(cfg, true), c[i].kvm);
	}
}

static void test_identity(void **state)
{
	_cleanup_dom_config_ struct dom_config *plain = parse("qemu", ""),
					       *model = parse("qemu", "<cpu mode='host-model'/>"),
					       *a = parse("qemu", "<cpu mode='custom'><model>qemu64</model></cpu>"),
					       *b = parse("qemu", "<cpu mode='custom'><model>Nehalem</model></cpu>"),
					       *host = parse("kvm", "<cpu mode='host-passthrough'/>"),
					       *kvm = parse("kvm", "<cpu mode='custom'><model>qemu64</model></cpu>");
	char id[6][HV_IDENTITY_MAX];
	struct err err = { 0 };

	(void)state;
	stand_in("echo 'QEMU emulator version 7.2.22 (Debian)'");
	assert_int_equal(qhost_identity(plain, dom_arch(plain), false, id[0], &err), 0);
	assert_int_equal(qhost_identity(model, dom_arch(model), false, id[1], &err), 0);
	assert_int_equal(qhost_identity(a, dom_arch(a), false, id[2], &err), 0);
	assert_int_equal(qhost_identity(b, dom_arch(b), false, id[3], &err), 0);
	assert_int_equal(qhost_identity(host, dom_arch(host), true, id[4], &err), 0);
	assert_int_equal(qhost_identity(kvm, dom_arch(kvm), true, id[5], &err), 0);
	/* as versions before had it */
	assert_string_equal(id[0], "7.2.22 tcg pc-q35-7.2");
	assert_string_equal(id[1], id[0]);
	for (int i = 2; i < 6; i++) {
		assert_int_equal(strlen(id[i]), strlen("7.2.22 tcg pc-q35-7.2 01234567"));
		for (int k = 0; k < i; k++)
			assert_string_not_equal(id[i], id[k]);
	}
	assert_non_null(strstr(id[4], " kvm "));
	/* a NIC that is not virtio is something to know, and which one; virtio is what there was */
	for (int i = 0; i < 3; i++) {
		plain->n_nics = 1;
		plain->nic[0].model = i == 0 ? DOM_NIC_VIRTIO : i == 1 ? DOM_NIC_E1000 : DOM_NIC_RTL8139;
		assert_int_equal(qhost_identity(plain, dom_arch(plain), false, id[3 + i], &err), 0);
	}
	assert_string_equal(id[3], id[0]);
	assert_string_not_equal(id[4], id[0]);
	assert_string_not_equal(id[5], id[0]);
	assert_string_not_equal(id[5], id[4]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pin),
		cmocka_unit_test(test_pin_all),
		cmocka_unit_test(test_lacking),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_fixed),
		cmocka_unit_test_setup_teardown(test_check, test_dir_setup, test_dir_teardown),
		cmocka_unit_test_setup_teardown(test_identity, test_dir_setup, test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
