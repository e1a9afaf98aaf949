/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/qemu/qargs.c: what QEMU is told, from domain XML. */
#include "config.h"
#include "tests/unit/testutil.h"
#include "tests/unit/qargstext.h"

#include "hypervisor/api/domcfg.h"
#include "hypervisor/qemu/qargs.h"

#define HEAD  "<domain type='qemu'><name>g</name><uuid>11111111-2222-3333-4444-555555555555</uuid><memory unit='MiB'>"
#define DISK  "<disk type='file' device='disk'><source file='/i.raw'/><target dev='vda' bus='virtio'/></disk>"
#define DISK2 "<disk type='file' device='disk'><source file='/j.raw'/><target dev='vdb' bus='virtio'/></disk>"
#define NIC                                                                                                            \
	"<interface type='bridge'><mac address='52:54:00:01:02:03'/><source bridge='b'/><mtu size='9000'/></interface>"

#define AT(place) "<alias name='ua-hospes-place" place "'/>"
#define CARD(mac, model, more)                                                                                         \
	"<interface type='bridge'><mac address='52:54:00:01:02:" mac "'/><source bridge='b'/><model type='" model      \
	"'/>" more "</interface>"

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
		           .utc_s = 1000000000, /* 2001-09-09T01:46:40 */
		           .local_s = 7200,
		           .sectors = { 2048, 0, 1ull << 30 },
		           .mem = 31,
		           .qmp = 32,
		           .serial = 33,
		           .nic = { 50, 51, 52, 53 },
		           .console = { 34, 35, 36, 39 },
		           .code = cfg->fw.efi ? 37 : -1,
		           .vars = cfg->fw.efi ? 38 : -1,
		           .smm = cfg->fw.secure == DOM_SWITCH_YES };

	return qargs_text(&a);
}

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

/* Cards of QEMU's own: frames go over a socket that it inherits, and nothing of virtio's is said of them. */
static void test_cards(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg =
		parse("64", "<type machine='q35'>hvm</type>",
	              DISK NIC CARD("11", "rtl8139", "") CARD("12", "e1000", AT("2")) CARD("13", "e1000e", ""));
	const char *t;

	(void)state;
	cfg->hvm.places = 8;
	t = line(cfg, false, false);
	HAS(t, " vhost-user,id=net0,chardev=dev1 ");
	HAS(t, " dgram,id=net1,local.type=fd,local.str=51 ");
	HAS(t, " rtl8139,netdev=net1,mac=52:54:00:01:02:11,romfile=,addr=0xd ");
	HAS(t, " dgram,id=plugnet2,local.type=fd,local.str=52 ");
	HAS(t, " e1000,netdev=plugnet2,id=plug2,mac=52:54:00:01:02:12,romfile=,bus=port2,addr=0x0 ");
	HAS(t, " e1000e,netdev=net3,mac=52:54:00:01:02:13,romfile=,addr=0xe ");
	NOT(t, "id=dev2");
}

#define CAME                                                                                                           \
	"<disk type='file' device='disk'><source file='/j.raw'/><target dev='vdb' bus='virtio'/>" AT(                  \
		"3") "</disk>"                                                                                         \
		     "<interface type='bridge'><mac address='52:54:00:01:02:04'/><source bridge='b'/>" AT(             \
			     "8") "</interface>"

/* Devices that came stand where they came to; the others where they always stood. */
static void test_places(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg = parse("64", "<type machine='q35'>hvm</type>", DISK CAME NIC);
	_cleanup_dom_config_ struct dom_config *pc = parse("64", "<type machine='pc'>hvm</type>", DISK);
	const char *t;

	(void)state;
	assert_int_equal(dom_config_places(cfg), 8);
	assert_int_equal(dom_config_places(pc), 4);
	cfg->hvm.places = 8;
	t = line(cfg, false, false);
	HAS(t, " pcie-root-port,id=port1,chassis=1,slot=1,addr=0x1c.0x0,multifunction=on ");
	HAS(t, " pcie-root-port,id=port8,chassis=8,slot=8,addr=0x1c.0x7 ");
	HAS(t, "vhost-user-blk-pci,chardev=dev0,id=vda,num-queues=1,bootindex=1,addr=0x4,");
	HAS(t, " socket,id=plug3,path=/v/18 ");
	HAS(t, "vhost-user-blk-pci,chardev=plug3,id=plug3,num-queues=1,bootindex=2,bus=port3,addr=0x0,");
	HAS(t, " socket,id=plug8,path=/v/23 ");
	HAS(t, " vhost-user,id=plugnet8,chardev=plug8 ");
	HAS(t, "virtio-net-pci,netdev=plugnet8,id=plug8,mac=52:54:00:01:02:04,vectors=0,romfile=,bus=port8,addr=0x0,");
	HAS(t, " socket,id=dev3,path=/v/3 ");
	HAS(t, "virtio-net-pci,netdev=net1,mac=52:54:00:01:02:03,host_mtu=9000,vectors=0,romfile=,addr=0xc,");
	pc->hvm.places = 4;
	pc->disk[0].place = 2;
	t = line(pc, false, true);
	NOT(t, "root-port");
	HAS(t, "vhost-user-blk-pci,chardev=plug2,id=plug2,num-queues=1,bootindex=1,bus=pci.0,addr=0x1d,");
}

static void test_firmware(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg = parse("64", "<type>hvm</type><loader type='pflash'>/f</loader>",
	                                                    DISK);
	_cleanup_dom_config_ struct dom_config *secure =
		parse("64", "<type>hvm</type><loader type='pflash' secure='yes'>/f</loader>", DISK);
	const char *t = line(cfg, false, false);

	(void)state;
	HAS(t, ",smm=off,graphics=off,pflash0=code,pflash1=vars ");
	HAS(t, " driver=file,node-name=code,filename=/fd/37,read-only=on,locking=off ");
	HAS(t, " driver=file,node-name=vars,filename=/fd/38,locking=off ");
	NOT(t, "cfi.pflash01");
	t = line(secure, false, false);
	HAS(t, ",smm=on,");
	HAS(t, " -global driver=cfi.pflash01,property=secure,value=on ");
}

static void test_balloon(void **state)
{
	static const struct {
		const char *xml, *arg;
	} cases[] = {
		{ "<memballoon model='virtio'/>",
		  " virtio-balloon-pci,id=balloon,deflate-on-oom=on,free-page-reporting=off,addr=0x19," },
		{ "<memballoon model='virtio' freePageReporting='on'/>", ",free-page-reporting=on,addr=0x19," },
		{ "<memballoon model='none'/>", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_dom_config_ struct dom_config *cfg = parse("256", "<type>hvm</type><kernel>/k</kernel>",
		                                                    cases[i].xml);
		const char *t = line(cfg, false, false);

		if (cases[i].arg)
			HAS(t, cases[i].arg);
		else
			NOT(t, "balloon");
	}
}

static void test_guest_agent(void **state)
{
	_cleanup_dom_config_ struct dom_config *cfg = parse(
		"64", "<type>hvm</type>",
		"<console type='pty'/><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
		"<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>");
	const char *t = line(cfg, false, false);

	(void)state;
	assert_true(!cfg->n_unknown && cfg->n_notes == 1); /* the other one */
	HAS(t, "max_ports=6,");
	HAS(t, " socket,id=agent,fd=36 ");
	HAS(t, " virtserialport,chardev=agent,bus=consoles.0,nr=2,name=org.qemu.guest_agent.0 ");
	NOT(t, "id=hvc2");
}

static void test_boot_order(void **state)
{
#define ORDER(file, dev, n)                                                                                            \
	"<disk type='file' device='disk'><source file='" file "'/><target dev='" dev "' bus='virtio'/><boot order='" n \
	"'/></disk>"
	_cleanup_dom_config_ struct dom_config *each = parse("64", "<type>hvm</type>",
	                                                     ORDER("/a", "vda", "7") DISK2 ORDER("/c", "vdc", "3"));
	_cleanup_dom_config_ struct dom_config *hd = parse("64", "<type>hvm</type><boot dev='fd'/><boot dev='hd'/>",
	                                                   DISK DISK2);
	_cleanup_dom_config_ struct dom_config *none = parse("64", "<type>hvm</type><boot dev='cdrom'/>", DISK);
#define CD "<disk type='file' device='cdrom'><source file='/c.iso'/><target dev='sdc' bus='sata'/></disk>"
	_cleanup_dom_config_ struct dom_config *cd = parse("64", "<type>hvm</type><boot dev='cdrom'/><boot dev='hd'/>",
	                                                   DISK CD DISK2);
	_cleanup_dom_config_ struct dom_config *usual = parse("64", "<type>hvm</type>", CD DISK);
	const char *t = line(cd, false, false);

	HAS(t, "id=vda,num-queues=1,bootindex=2,");
	HAS(t, "ide-cd,id=sdc,bus=ide.2,unit=0,drive=disk1,rerror=enospc,werror=enospc,write-cache=on,bootindex=1 ");
	HAS(t, "id=vdb,num-queues=1,bootindex=3,");
	t = line(usual, false, false);
	HAS(t, "id=vda,num-queues=1,bootindex=1,");
	HAS(t, "write-cache=on,bootindex=2 ");
	t = line(each, false, false);
	(void)state;
	HAS(t, "id=vda,num-queues=1,bootindex=7,addr=0x4");
	HAS(t, "id=vdb,num-queues=1,addr=0x5");
	HAS(t, "id=vdc,num-queues=1,bootindex=3,addr=0x6");
	t = line(hd, false, false);
	HAS(t, "id=vda,num-queues=1,bootindex=1,");
	HAS(t, "id=vdb,num-queues=1,bootindex=2,");
	NOT(line(none, false, false), "bootindex");
}

/* A card that is booted from has a ROM of one size; none that comes and goes, none beside a kernel, and of <boot dev> the first one only. */
static void test_boot_network(void **state)
{
	_cleanup_dom_config_ struct dom_config *dev =
		parse("64", "<type>hvm</type><boot dev='network'/><boot dev='hd'/>",
	              DISK CARD("11", "e1000", AT("2")) CARD("12", "rtl8139", "") CARD("13", "virtio", ""));
	_cleanup_dom_config_ struct dom_config *each = parse("64", "<type>hvm</type>",
	                                                     ORDER("/a", "vda", "2")
	                                                             CARD("11", "e1000e", "<boot order='3'/>")
	                                                                     CARD("12", "virtio", "<boot order='1'/>"));
	_cleanup_dom_config_ struct dom_config *kernel =
		parse("64", "<type>hvm</type><kernel>/k</kernel><boot dev='network'/>", CARD("11", "virtio", ""));
	const char *t;

	(void)state;
	dev->hvm.places = 8;
	t = line(dev, false, true);
#define ROM(x) "romfile=/usr/lib/ipxe/qemu/efi-" x ".rom,romsize=1048576"
	HAS(t, "e1000,netdev=plugnet2,id=plug2,mac=52:54:00:01:02:11,romfile=,bus=port2,");
	HAS(t, "rtl8139,netdev=net1,mac=52:54:00:01:02:12,bootindex=1," ROM("rtl8139") ",addr=0xc ");
	HAS(t, "virtio-net-pci,netdev=net2,mac=52:54:00:01:02:13,romfile=,addr=0xd,");
	HAS(t, "id=vda,num-queues=1,bootindex=2,");
	t = line(each, false, true);
	HAS(t, "mac=52:54:00:01:02:11,bootindex=3," ROM("e1000e") ",addr=0xc ");
	HAS(t, "mac=52:54:00:01:02:12,bootindex=1," ROM("virtio") ",addr=0xd,");
	HAS(t, "id=vda,num-queues=1,bootindex=2,");
	NOT(line(kernel, false, true), "rom,");
}

#define ON(dev, bus, more)                                                                                             \
	"<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/><source file='/" dev        \
	".qcow2'/>"                                                                                                    \
	"<target dev='" dev "' bus='" bus "'/>" more "</disk>"
#define EMPTY(dev, bus) "<disk type='file' device='cdrom'><target dev='" dev "' bus='" bus "'/></disk>"

static void test_controllers(void **state)
{
	_cleanup_dom_config_ struct dom_config *q35 =
		parse("64", "<type>hvm</type>",
	              ON("sda", "scsi", "<serial>abc</serial><wwn>5000c50015ea71aa</wwn>") DISK ON("sdb", "sata", "")
	                      EMPTY("sdc", "sata") ON("sdd", "usb", "<readonly/>"));
	_cleanup_dom_config_ struct dom_config *pc = parse("64", "<type machine='pc'>hvm</type>",
	                                                   ON("hdb", "ide", "") EMPTY("hdc", "ide")
	                                                           ON("sda", "sata", ""));
	_cleanup_dom_config_ struct dom_config *plain = parse("64", "<type machine='pc'>hvm</type>", DISK);
	const char *t = line(q35, false, false);

	(void)state;
	/* the data is hvdom's: a name and a socket, no file and no format */
	HAS(t, " -blockdev driver=nbd,node-name=disk0,server.type=unix,server.path=/v/0,read-only=off,discard=unmap,"
	       "detect-zeroes=off ");
	HAS(t, " -blockdev driver=nbd,node-name=disk3,server.type=unix,server.path=/v/3,read-only=on,");
	HAS(t, " -device virtio-scsi-pci,id=scsi,num_queues=1,addr=0x16,disable-legacy=on,disable-modern=off ");
	HAS(t, " -device scsi-hd,id=sda,bus=scsi.0,channel=0,scsi-id=0,lun=0,drive=disk0,rerror=enospc,werror=enospc,"
	       "write-cache=on,device_id=abc,serial=abc,wwn=0x5000c50015ea71aa,cyls=2,heads=16,secs=63,bootindex=1 ");
	HAS(t,
	    " -device ide-hd,id=sdb,bus=ide.1,unit=0,drive=disk2,rerror=enospc,werror=enospc,write-cache=on,cyls=16383,"
	    "heads=16,secs=63,bootindex=3 ");
	HAS(t, " -device ide-cd,id=sdc,bus=ide.2,unit=0 ");
	HAS(t,
	    " -device usb-bot,id=sdd-usb,bus=usb.0,port=8 -device scsi-hd,id=sdd,bus=sdd-usb.0,scsi-id=0,lun=0,drive=disk3,");
	HAS(t, " socket,id=dev1,path=/v/1 ");
	assert_true(strstr(t, "qemu-xhci") < strstr(t, "usb-bot"));
	NOT(t, "qcow2");
	NOT(t, "ahci"); /* the chipset's */
	t = line(pc, false, false);
	HAS(t, " -device ahci,id=sata,addr=0x17 ");
	HAS(t, " -device ide-hd,id=hdb,bus=ide.0,unit=1,drive=disk0,");
	HAS(t, " -device ide-cd,id=hdc,bus=ide.1,unit=0 ");
	HAS(t, " -device ide-hd,id=sda,bus=sata.0,unit=0,drive=disk1,");
	NOT(t, "virtio-scsi");
	NOT(t, "usb");
	t = line(plain, false, false);
	NOT(t, "ahci");
	NOT(t, "nbd");
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

static struct dom_config *parse_domain(const char *type, const char *domain, const char *devices)
{
	struct dom_config *cfg = NULL;
	struct err err = { 0 };
	char xml[4096];

	snprintf(xml, sizeof(xml),
	         "<domain type='%s'><name>g</name><memory unit='MiB'>64</memory><vcpu>4</vcpu><os><type>hvm</type>"
	         "<kernel>/k</kernel></os>%s<devices>%s</devices></domain>",
	         type, domain, devices);
	if (dom_config_parse(xml, strlen(xml), "test", &cfg, &err) < 0)
		fail_msg("%s: %s", xml, err.text);
	return cfg;
}

static void test_processor(void **state)
{
	static const struct {
		const char *xml, *tcg, *kvm;
	} c[] = {
		{ "", "max ", "host " },
		{ "<cpu mode='host-passthrough'/>", "max ", "host " },
		{ "<cpu mode='host-model'/>", "max ", "host " },
		{ "<cpu mode='maximum'/>", "max ", "max " },
		{ "<cpu mode='custom' check='none'><model>qemu64</model></cpu>", "qemu64 ", "qemu64,enforce=on " },
		{ "<cpu mode='custom'><model>Haswell-noTSX</model><feature policy='require' name='pcid'/>"
		  "<feature policy='disable' name='hle'/><feature policy='optional' name='vmx'/></cpu>",
		  "Haswell-noTSX,pcid=on,hle=off,enforce=on ", "Haswell-noTSX,pcid=on,hle=off,enforce=on " },
		{ "<cpu mode='host-passthrough'><feature policy='disable' name='vmx'/></cpu>", "max,vmx=off ",
		  "host,vmx=off " },
		{ "<features><hyperv><relaxed state='on'/><spinlocks state='on' retries='8191'/><vpindex state='off'/>"
		  "<vendor_id state='on' value='me'/><emsr_bitmap state='on'/></hyperv><kvm><hidden state='on'/></kvm>"
		  "<pmu state='off'/></features><clock offset='utc'><timer name='hypervclock' present='yes'/></clock>",
		  "max ",
		  "host,hv-relaxed=on,hv-spinlocks=8191,hv-vendor-id=me,hv-emsr-bitmap=on,hv-time=on,kvm=off,pmu=off " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		for (int kvm = 0; kvm < 2; kvm++) {
			_cleanup_dom_config_ struct dom_config *cfg = parse_domain(kvm ? "kvm" : "qemu", c[i].xml, "");
			char want[300];
			snprintf(want, sizeof(want), " -cpu %s", kvm ? c[i].kvm : c[i].tcg);
			HAS(line(cfg, false, kvm), want);
		}
	}
	_cleanup_dom_config_ struct dom_config *plain = parse_domain("qemu", "", "");
	HAS(line(plain, false, false), " -smp 4 ");
	_cleanup_dom_config_ struct dom_config *cfg =
		parse_domain("qemu", "<cpu><topology sockets='1' dies='1' cores='2' threads='2'/></cpu>", "");
	HAS(line(cfg, false, false), " -smp 4,sockets=1,dies=1,cores=2,threads=2 ");
}

static void test_clock(void **state)
{
	static const struct {
		const char *xml, *rtc;
	} c[] = {
		{ "", " -rtc base=utc " },
		{ "<clock offset='utc'><timer name='rtc' tickpolicy='catchup'/></clock>",
		  " -rtc base=utc,driftfix=slew " },
		{ "<clock offset='localtime'/>", " -rtc base=2001-09-09T03:46:40 " },
		{ "<clock offset='variable' adjustment='-100'/>", " -rtc base=2001-09-09T01:45:00 " },
		{ "<clock offset='variable' adjustment='100' basis='localtime'/>", " -rtc base=2001-09-09T03:48:20 " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		_cleanup_dom_config_ struct dom_config *cfg = parse_domain("qemu", c[i].xml, "");
		const char *t = line(cfg, false, false);
		HAS(t, c[i].rtc);
		NOT(t, "hpet");
	}
	_cleanup_dom_config_ struct dom_config *cfg =
		parse_domain("qemu", "<clock offset='utc'><timer name='hpet' present='no'/></clock>", "");
	HAS(line(cfg, false, false), ",hpet=off ");
}

static void test_peripherals(void **state)
{
	_cleanup_dom_config_ struct dom_config
		*none = parse_domain("qemu", "", ""),
		*all = parse_domain("qemu", "<pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='no'/></pm>",
	                            "<video><model type='vga' vram='32768'/></video>"
	                            "<input type='tablet' bus='usb'/><input type='keyboard' bus='usb'/>"
	                            "<watchdog model='i6300esb' action='pause'/>"),
		*other = parse_domain("qemu", "<pm><suspend-to-disk enabled='yes'/></pm>",
	                              "<video><model type='bochs'/></video>"
	                              "<watchdog model='itco' action='inject-nmi'/>"),
		*old = parse_domain("qemu", "", "<watchdog model='ib700'/><video><model type='vga'/></video>");

	(void)state;
	const char *t = line(none, false, false);
	NOT(t, "VGA");
	NOT(t, "xhci");
	NOT(t, "watchdog");
	NOT(t, "disable_s");
	t = line(all, false, false);
	HAS(t, " -device VGA,id=video,addr=0x3,vgamem_mb=32 ");
	HAS(t, " -device qemu-xhci,id=usb,p2=15,p3=15,addr=0x1a ");
	HAS(t, " -device usb-tablet,id=input0,bus=usb.0,port=1 ");
	HAS(t, " -device usb-kbd,id=input1,bus=usb.0,port=2 ");
	HAS(t, " -action watchdog=none -device i6300esb,id=watchdog,addr=0x1b ");
	HAS(t, " -global ICH9-LPC.disable_s3=1 -global ICH9-LPC.disable_s4=1 ");
	t = line(other, false, false);
	HAS(t, " -device bochs-display,id=video,addr=0x3 ");
	HAS(t, " -action watchdog=inject-nmi -global ICH9-LPC.noreboot=off ");
	NOT(t, "disable_s");
	t = line(old, false, false);
	HAS(t, " -device ib700,id=watchdog ");
	HAS(t, " -device VGA,id=video,addr=0x3 ");
}

static void test_screen(void **state)
{
	_cleanup_dom_config_ struct dom_config
		*none = parse_domain("qemu", "", "<video><model type='virtio'/></video>"),
		*open = parse_domain("qemu", "", "<graphics type='vnc'/><video><model type='cirrus'/></video>"),
		*closed = parse_domain("qemu", "",
	                               "<graphics type='vnc' passwd='secret'/><video><model type='qxl'/></video>");

	(void)state;
	const char *t = line(none, false, false);
	HAS(t, " -display none ");
	HAS(t, " -device virtio-vga,id=video,addr=0x3,max_hostmem=100663296 ");
	NOT(t, " -vnc ");
	t = line(open, false, false);
	HAS(t, " -device cirrus-vga,id=video,addr=0x3 ");
	HAS(t, " -display none ");
	HAS(t, " -vnc none "); /* there is nowhere to listen, and it does not */
	t = line(closed, false, false);
	HAS(t, " -device VGA,id=video,addr=0x3 ");
	HAS(t, " -vnc 0.0.0.0:0,password=on ");
	NOT(t, "secret");
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
		cmocka_unit_test(test_direct_kernel), cmocka_unit_test(test_devices),
		cmocka_unit_test(test_firmware),      cmocka_unit_test(test_boot_order),
		cmocka_unit_test(test_boot_network),  cmocka_unit_test(test_places),
		cmocka_unit_test(test_cards),         cmocka_unit_test(test_balloon),
		cmocka_unit_test(test_guest_agent),   cmocka_unit_test(test_machines),
		cmocka_unit_test(test_processor),     cmocka_unit_test(test_clock),
		cmocka_unit_test(test_peripherals),   cmocka_unit_test(test_controllers),
		cmocka_unit_test(test_screen),        cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
