/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/qemu/qargs.c: what QEMU is told, from domain XML. */
#include "config.h"
#include "tests/unit/testutil.h"

#include "hypervisor/api/domcfg.h"
#include "hypervisor/qemu/qargs.h"

#define HEAD  "<domain type='qemu'><name>g</name><uuid>11111111-2222-3333-4444-555555555555</uuid><memory unit='MiB'>"
#define DISK  "<disk type='file' device='disk'><source file='/i.raw'/><target dev='vda' bus='virtio'/></disk>"
#define DISK2 "<disk type='file' device='disk'><source file='/j.raw'/><target dev='vdb' bus='virtio'/></disk>"
#define NIC                                                                                                            \
	"<interface type='bridge'><mac address='52:54:00:01:02:03'/><source bridge='b'/><mtu size='9000'/></interface>"

static struct dom_config *parse(const char *mem, const char *os, const char *devices)
{
	struct dom_config *cfg = NULL;
	struct err err = { 0 };
	char xml[2048];

	snprintf(xml, sizeof(xml), HEAD "%s</memory><vcpu>3</vcpu><os>%s</os><devices>%s</devices></domain>", mem, os,
	         devices);
	int r = dom_config_parse(xml, strlen(xml), "test", &cfg, &err);
	if (r)
		print_error("%s\n", err.text);
	assert_int_equal(r, 0);
	return cfg;
}

/* All on one line, with a blank before and after each. */
static char *line(const struct dom_config *cfg, bool incoming, bool kvm)
{
	struct qargs a = { .cfg = cfg,
		           .program = "/usr/bin/qemu",
		           .incoming = incoming,
		           .kvm = kvm,
		           .generation = 9,
		           .mem = 31,
		           .qmp = 32,
		           .serial = 33,
		           .console = { 34, 35, 36 } };
	static char text[8192];
	struct err err = { 0 };
	char **argv;

	assert_int_equal(qargs_build(&a, &argv, &err), 0);
	strcpy(text, " ");
	for (char **p = argv; *p; p++) {
		strcat(text, *p);
		strcat(text, " ");
	}
	qargs_free(argv);
	return text;
}

#define HAS(text, what) assert_non_null(strstr(text, what))
#define NOT(text, what) assert_null(strstr(text, what))

static void test_direct_kernel(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg =
		parse("256",
	              "<type>hvm</type><kernel>/k</kernel><initrd>/i</initrd><cmdline>console=ttyS0 a,b</cmdline>",
	              "<console type='pty'/>");
	const char *t = line(cfg, false, false);

	(void)state;
	HAS(t, " -kernel /kernel -initrd /initrd -append console=ttyS0 a,b hospes.agent=hvc1 hospes.generation=9 ");
	HAS(t, " -machine pc-q35-7.2,accel=tcg,memory-backend=ram,");
	HAS(t, " -smp 3 ");
	HAS(t, " -m size=262144k ");
	HAS(t, "size=268435456,mem-path=/fd/31,share=on");
	HAS(t, " socket,id=qmp,fd=32 ");
	HAS(t, " socket,id=ttyS0,fd=33 ");
	HAS(t, " socket,id=hvc0,fd=34 ");
	HAS(t, " socket,id=hvc1,fd=35 "); /* the agent's */
	NOT(t, "id=hvc2");
	NOT(t, "-incoming");
	NOT(t, "vhost-user");
	/* nobody gets in, and it starts nothing */
	HAS(t, " -S ");
	HAS(t, " -no-user-config ");
	HAS(t, " -nodefaults ");
	HAS(t, " -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny ");
}

static void test_devices(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg =
		parse("64", "<type machine='pc'>hvm</type>",
	              DISK DISK2 NIC "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>");
	const char *t = line(cfg, true, true);

	(void)state;
	HAS(t, "pc-i440fx-7.2,accel=kvm");
	HAS(t, " socket,id=dev0,path=/v/0 ");
	HAS(t, "vhost-user-blk-pci,chardev=dev0,id=vda,num-queues=1,bootindex=1,addr=0x4");
	HAS(t, "vhost-user-blk-pci,chardev=dev1,id=vdb,num-queues=1,bootindex=2,addr=0x5");
	HAS(t, " socket,id=dev2,path=/v/2 ");
	HAS(t, " vhost-user,id=net0,chardev=dev2 ");
	HAS(t, "virtio-net-pci,netdev=net0,mac=52:54:00:01:02:03,host_mtu=9000,romfile=,addr=0xc");
	HAS(t, "virtio-rng-pci,rng=rng0");
	HAS(t, " -incoming defer ");
	NOT(t, "-kernel");
	/* it opens no image and no tap */
	NOT(t, "raw");
	NOT(t, "-drive");
	NOT(t, "tap");
}

static void test_machines(void **state)
{
	static const struct {
		const char *os, *machine;
		uint64_t mib, low_mib;
	} c[] = {
		{ "<type>hvm</type>", "pc-q35-7.2", 1024, 1024 },
		{ "<type machine='q35'>hvm</type>", "pc-q35-7.2", 2815, 2815 },
		{ "<type machine='q35'>hvm</type>", "pc-q35-7.2", 2816, 2048 },
		{ "<type machine='pc'>hvm</type>", "pc-i440fx-7.2", 3583, 3583 },
		{ "<type machine='pc'>hvm</type>", "pc-i440fx-7.2", 3584, 3072 },
		{ "<type machine='pc-q35-6.0'>hvm</type>", "pc-q35-6.0", 8192, 2048 },
		{ "<type machine='microvm'>hvm</type>", NULL, 64, 64 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		char mem[24];
		snprintf(mem, sizeof(mem), "%lu", (unsigned long)c[i].mib);
		_cleanup_dom_config_ struct dom_config *cfg = parse(mem, c[i].os, DISK);
		struct err err = { 0 };
		const char *m = qargs_machine(cfg, &err);
		if (!c[i].machine) {
			assert_null(m);
			HAS(err.text, "microvm");
			continue;
		}
		assert_string_equal(m, c[i].machine);
		assert_int_equal(qargs_low_bytes(cfg), c[i].low_mib << 20);
	}
}

static void test_out_of_memory(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg = parse("64", "<type>hvm</type><kernel>/k</kernel>", DISK NIC);
	struct qargs a = { .cfg = cfg, .program = "/usr/bin/qemu" };
	struct err err;
	char **argv;
	int r;

	(void)state;
	FOR_EACH_ALLOC_FAILURE(r = qargs_build(&a, &argv, &err))
	{
		if (!r)
			qargs_free(argv);
		else
			assert_int_equal(r, -ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct_kernel),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_machines),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
