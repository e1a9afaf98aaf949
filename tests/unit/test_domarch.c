/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit tests of guests whose processor is not the hosts': hypervisor/api/domarch.c and domxml_arch.c, and what QEMU is told of such a guest
 * (hypervisor/qemu).
 */
#include "config.h"
#include "tests/unit/testutil.h"
#include "tests/unit/qargstext.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/domarch.h"
#include "hypervisor/api/firmware.h"
#include "hypervisor/qemu/qargs.h"
#include "hypervisor/qemu/qcpu.h"
#include "hypervisor/qemu/qvm_int.h"

static int try(const char *type, const char *os_type, const char *os, const char *domain, const char *devices,
               struct dom_config **ret, struct err *err)
{
	_cleanup_free_ char *xml = xasprintf(
		"<domain type='%s'><name>g</name><memory unit='MiB'>4096</memory><vcpu>9</vcpu><os>%s%s</os>%s"
		"<devices>%s</devices></domain>",
		type, os_type, os, domain, devices);

	return dom_config_parse(xml, strlen(xml), "test", ret, err);
}

#define ARM    "<type arch='aarch64'>hvm</type>"
#define KERNEL "<kernel>/k</kernel>"

static struct dom_config *arm(const char *domain, const char *devices)
{
	struct dom_config *cfg = NULL;
	struct err err = { 0 };

	if (try("qemu", ARM, KERNEL, domain, devices, &cfg, &err) < 0)
		fail_msg("%s", err.text);
	return cfg;
}

static void test_refused(void **state)
{
	static const struct {
		const char *type, *os_type, *os, *domain, *devices, *why;
	} c[] = {
		{ "qemu", "<type arch='riscv64'>hvm</type>", KERNEL, "", "",
		  "arch 'riscv64' is not supported (x86_64, aarch64)" },
		{ "uml", "<type arch='aarch64'>linux</type>", "", "", "", "arch 'aarch64' is not supported (x86_64)" },
		{ "kvm", ARM, KERNEL, "", "", "<domain type='qemu'> translates it" },
		{ "qemu", ARM, "", "", "", "has no BIOS" },
		{ "qemu", ARM, "<loader type='pflash'>/f</loader>" KERNEL, "", "", "UEFI is not supported yet" },
		{ "qemu", ARM, KERNEL, "<cpu mode='host-passthrough'/>", "", "no host has a processor" },
		{ "qemu", ARM, KERNEL, "<cpu mode='host-model'/>", "", "no host has a processor" },
		{ "qemu", ARM, KERNEL, "<cpu><topology sockets='1' dies='3' cores='3' threads='1'/></cpu>", "",
		  "more than one die" },
		{ "qemu", ARM, KERNEL, "", "<watchdog model='itco'/>", "i6300esb is there" },
		{ "qemu", ARM, KERNEL, "", "<watchdog model='ib700'/>", "i6300esb is there" },
		{ "qemu", ARM, KERNEL, "<features><gic version='2'/></features>", "", "up to 8 vCPUs" },
		{ "qemu", ARM, KERNEL, "<features><gic version='host'/></features>", "", "version 'host'" },
		{ "qemu", "<type>hvm</type>", KERNEL, "<features><gic version='3'/></features>", "",
		  "no such interrupt controller" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		struct dom_config *cfg = NULL;
		struct err err = { 0 };
		assert_int_equal(try(c[i].type, c[i].os_type, c[i].os, c[i].domain, c[i].devices, &cfg, &err), -EINVAL);
		if (!strstr(err.text, c[i].why))
			fail_msg("%s: %s", c[i].why, err.text);
	}
}

static void test_names(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg = arm("", ""), *other = NULL;
	struct err err = { 0 };

	(void)state;
	assert_string_equal(dom_engine(cfg), "qemu-aarch64");
	assert_string_equal(qargs_machine(cfg, NULL), "virt-7.2");
	/* no hole below 4 GiB */
	assert_int_equal(qargs_low_bytes(cfg), 4ull << 30);
	assert_int_equal(qargs_ram_start(cfg), 1ull << 30);
	assert_int_equal(try("qemu", "<type arch='aarch64' machine='virt-6.2'>hvm</type>", KERNEL, "", "", &other,
	                     &err),
	                 0);
	assert_string_equal(qargs_machine(other, NULL), "virt-6.2");
	dom_config_free(steal_ptr(&other));
	assert_int_equal(try("qemu", "<type arch='aarch64' machine='q35'>hvm</type>", KERNEL, "", "", &other, &err), 0);
	assert_null(qargs_machine(other, &err));
	assert_non_null(strstr(err.text, "machine 'q35' of domain 'g' is not supported (virt, or a version of them)"));
	dom_config_free(steal_ptr(&other));
	/* the document says which it is, also when it is written */
	_cleanup_free_ char *xml = NULL;
	assert_int_equal(dom_config_format(cfg, &xml, &err), 0);
	assert_non_null(strstr(xml, "arch=\"aarch64\""));
	/* PCs are unchanged */
	assert_int_equal(try("qemu", "<type arch='x86_64'>hvm</type>", KERNEL, "", "", &other, &err), 0);
	assert_string_equal(dom_engine(other), "qemu");
	assert_int_equal(qargs_ram_start(other), 0);
	assert_int_equal(qargs_low_bytes(other), 2ull << 30);
}

static const char *line(const struct dom_config *cfg)
{
	struct qargs a = {
		.cfg = cfg, .program = "/usr/bin/qemu", .mem = 31, .qmp = 32, .serial = 33, .code = -1, .vars = -1
	};

	return qargs_text(&a);
}

static void test_command_line(void **state)
{
	_cleanup_dom_config_ struct dom_config *
		plain = arm(
		       "<pm><suspend-to-mem enabled='no'/></pm><clock offset='utc'><timer name='hpet' present='no'/></clock>",
		       ""),
	       *full = arm(
		       "<features><gic version='3'/></features><cpu mode='custom'><model>cortex-a57</model>"
		       "<feature policy='disable' name='pmu'/></cpu>",
		       "<video><model type='virtio'/></video><input type='keyboard' bus='usb'/><watchdog model='i6300esb'/>"
		       "<disk type='file' device='disk'><source file='/i'/><target dev='vda' bus='virtio'/></disk>"),
	       *most = arm("<cpu mode='maximum'/>", "");
	const char *t = line(plain);

	(void)state;
	HAS(t, " -machine virt-7.2,accel=tcg,memory-backend=ram,dump-guest-core=off,gic-version=3,graphics=off ");
	HAS(t, " -cpu cortex-a72 ");
	HAS(t, " -smp 9 ");
	HAS(t, " -device pvpanic-pci,addr=0x1f ");
	HAS(t, " -chardev socket,id=ttyS0,fd=33 -serial chardev:ttyS0 ");
	NOT(t, "isa-serial");
	NOT(t, "smm");
	NOT(t, "vmport");
	NOT(t, "hpet");
	NOT(t, "disable_s3");
	t = line(full);
	HAS(t, ",gic-version=3,");
	HAS(t, " -cpu cortex-a57,pmu=off ");
	HAS(t, " -device bochs-display,id=video,addr=0x3 ");
	HAS(t, " -device usb-kbd,id=input0,bus=usb.0,port=1 ");
	HAS(t, " -device i6300esb,id=watchdog,addr=0x1b ");
	HAS(t, " -device vhost-user-blk-pci,chardev=dev0,id=vda,");
	HAS(line(most), " -cpu max,pauth-impdef=on ");
	NOT(t, "root-port");
	assert_int_equal(dom_config_places(full), 8);
	full->hvm.places = 8;
	full->disk[0].place = 8;
	t = line(full);
	HAS(t, " pcie-root-port,id=port1,chassis=1,slot=1,addr=0x1c.0x0,multifunction=on ");
	HAS(t, " vhost-user-blk-pci,chardev=plug8,id=plug8,num-queues=1,bootindex=1,bus=port8,addr=0x0,");
}

/* A stand-in for QEMU that has a machine. */
static void put_qemu(const char *variable, const char *name, const char *machine)
{
	_cleanup_free_ char *p = xasprintf("%s/%s", test_dir, name);
	_cleanup_fclose_ FILE *f = fopen(p, "w");

	assert_non_null(f);
	fprintf(f, "#!/bin/sh\necho 'QEMU emulator version 7.2.1 (Debian)'\necho '%s x'\n", machine);
	assert_int_equal(fchmod(fileno(f), 0700), 0);
	setenv(variable, p, 1);
}

static void test_host(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg = arm("", ""),
					       *gic3 = arm("<features><gic version='3'/></features>", ""),
					       *cpu = arm("<cpu mode='custom'><model>cortex-a57</model></cpu>", "");
	const struct dom_arch_info *arch = dom_arch(cfg);
	char id[4][HV_IDENTITY_MAX], places[HV_IDENTITY_MAX];
	struct err err = { 0 };

	(void)state;
	setenv("HOSPES_QEMU_AARCH64", "/nowhere/qemu", 1);
	assert_int_equal(qhost_probe(NULL, arch, false, &err), -ENOTSUP);
	HAS(err.text, "cannot execute /nowhere/qemu (install the package qemu-system-arm)");
	put_qemu("HOSPES_QEMU_AARCH64", "arm", "virt-7.2");
	put_qemu("HOSPES_QEMU", "x86", "pc-q35-7.2");
	assert_int_equal(qhost_identity(NULL, arch, false, id[0], &err), 0);
	assert_string_equal(id[0], "7.2.1 tcg aarch64");
	/* the processor is always in it, and the interrupt controller */
	assert_int_equal(qhost_identity(cfg, arch, false, id[1], &err), 0);
	assert_int_equal(qhost_identity(gic3, arch, false, id[2], &err), 0);
	assert_int_equal(qhost_identity(cpu, arch, false, id[3], &err), 0);
	for (int i = 1; i < 4; i++) {
		assert_int_equal(strncmp(id[i], "7.2.1 tcg aarch64 virt-7.2 ", 27), 0);
		assert_int_equal(strlen(id[i]), 35);
	}
	assert_string_not_equal(id[1], id[3]);
	assert_string_not_equal(id[2], id[3]);
	assert_string_equal(id[1], id[2]); /* which is what it is anyway */
	cfg->hvm.places = 8;
	assert_int_equal(qhost_identity(cfg, arch, false, places, &err), 0);
	assert_int_equal(strlen(places), 35);
	assert_string_not_equal(id[1], places);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_command_line),
		cmocka_unit_test_setup_teardown(test_host, test_dir_setup, test_dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
