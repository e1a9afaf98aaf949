/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hypervisor/api/xml/domxml_rules.c and domxml_hvm.c: what becomes of each thing that people's documents have. */
#include "config.h"
#include "tests/unit/testutil.h"

#include "common/util.h"
#include "hypervisor/api/domcfg.h"

#define VGA "<video><model type='vga'/></video>"

enum slot { DOMAIN, DISK, NIC, DEVICES, CPU, FEATURES, N_SLOTS };
enum verdict { REFUSED, NOTED, SILENT, LISTED };

/* A domain of @type with @fragment in one place. */
static char *document(const char *type, enum slot slot, const char *fragment)
{
	const char *in[N_SLOTS];

	for (int i = 0; i < N_SLOTS; i++)
		in[i] = i == (int)slot ? fragment : "";
	return xasprintf(
		"<domain type='%s' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>g</name>"
		"<uuid>11111111-2222-3333-4444-555555555555</uuid><memory>65536</memory><vcpu>4</vcpu>"
		"<os><type>%s</type></os>%s<cpu>%s</cpu><features>%s</features><devices>"
		"<disk type='file' device='disk'><source file='/i.raw'/><target dev='vda' bus='virtio'/>%s</disk>"
		"<interface type='bridge'><source bridge='b'/>%s</interface>%s</devices></domain>",
		type, !strcmp(type, "uml") ? "linux" : "hvm", in[DOMAIN], in[CPU], in[FEATURES], in[DISK], in[NIC],
		in[DEVICES]);
}

static struct dom_config *parse(const char *type, enum slot slot, const char *fragment, struct err *err)
{
	_cleanup_free_ char *xml = document(type, slot, fragment);
	struct dom_config *cfg = NULL;

	return dom_config_parse(xml, strlen(xml), "x", &cfg, err) < 0 ? NULL : cfg;
}

static struct dom_config *must(const char *type, enum slot slot, const char *fragment)
{
	struct err err = { 0 };
	struct dom_config *cfg = parse(type, slot, fragment, &err);

	if (!cfg)
		fail_msg("%s: %s", fragment, err.text);
	return cfg;
}

static bool any_has(char **line, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(line[i], text))
			return true;
	return false;
}

static void check(const char *type, enum slot slot, const char *fragment, enum verdict v, const char *text)
{
	struct err err = { 0 };
	_cleanup_dom_config_ struct dom_config *cfg = parse(type, slot, fragment, &err);

	if (v == REFUSED) {
		if (cfg || !strstr(err.text, text))
			fail_msg("%s %s: %s instead of a refusal with '%s'", type, fragment,
			         cfg ? "accepted" : err.text, text);
		return;
	}
	if (!cfg)
		fail_msg("%s %s: %s", type, fragment, err.text);
	if (v == NOTED && !any_has(cfg->note, cfg->n_notes, text))
		fail_msg("%s %s: no note with '%s' but %s", type, fragment, text, cfg->n_notes ? cfg->note[0] : "none");
	if (v != NOTED && cfg->n_notes)
		fail_msg("%s %s: a note: %s", type, fragment, cfg->note[0]);
	if (v == LISTED && !any_has(cfg->unknown, cfg->n_unknown, text))
		fail_msg("%s %s: not listed", type, fragment);
	/* uml lists the <features> and <cpu> of every document here */
	if (v != LISTED && strcmp(type, "uml") && cfg->n_unknown)
		fail_msg("%s %s: listed: %s", type, fragment, cfg->unknown[0]);
}

/* What would change the guest's data or isolation, for every engine. */
static void test_never(void **state)
{
	static const struct {
		enum slot slot;
		const char *fragment, *text;
	} c[] = {
		{ DISK, "<encryption format='luks'/>", "encryption: is not supported" },
		{ DISK, "<transient/>", "transient: is not supported" },
		{ DISK, "<mirror type='file'/>", "mirror: is not supported" },
		{ DISK, "<auth username='u'/>", "auth: is not supported" },
		{ DISK, "<wwn>5000c50015ea71aa</wwn>", "wwn: is not supported" },
		{ DISK, "<blockio logical_block_size='4096'/>", "blockio: has to be 512" },
		{ NIC, "<vlan><tag id='42'/></vlan>", "vlan: is not supported" },
		{ NIC, "<virtualport type='openvswitch'/>", "virtualport: is not supported" },
		{ NIC, "<filterref filter='clean-traffic'/>", "filterref: is not supported" },
		{ NIC, "<port isolated='yes'/>", "isolated='yes' is not supported" },
		{ NIC, "<link state='down'/>", "state='down' is not supported" },
		{ NIC, "<script path='/etc/up'/>", "script: is not supported" },
		{ NIC, "<downscript path='/etc/down'/>", "downscript: is not supported" },
		{ NIC, "<backenddomain name='d'/>", "backenddomain: is not supported" },
		{ NIC, "<target dev='t' managed='no'/>", "managed='no' is not supported" },
		{ DEVICES,
		  "<disk type='file'><source file='/j'><encryption format='luks'/></source><target dev='vdb'/></disk>",
		  "encryption: is not supported" },
		{ DEVICES, "<disk type='file'><source file='/j'><slices/></source><target dev='vdb'/></disk>",
		  "slices: is not supported" },
		{ DEVICES,
		  "<disk type='file'><source file='/j'><reservations managed='yes'/></source><target dev='vdb'/></disk>",
		  "reservations: is not supported" },
		{ DEVICES, "<disk type='file' rawio='yes'><source file='/j'/><target dev='vdb'/></disk>",
		  "rawio 'yes'" },
		{ DEVICES, "<disk type='block' device='lun'><source dev='/dev/mapper/j'/><target dev='vdb'/></disk>",
		  "device 'lun' is not supported" },
	};
	static const char *const types[] = { "uml", "qemu", "kvm" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		for (size_t t = 0; t < ARRAY_SIZE(types); t++)
			check(types[t], c[i].slot, c[i].fragment, REFUSED, c[i].text);
}

/* Documents of virtual machines. */
static void test_machines(void **state)
{
	static const struct {
		enum slot slot;
		const char *fragment;
		enum verdict v;
		const char *text;
	} c[] = {
		{ DEVICES, "<hostdev mode='subsystem' type='pci'/>", REFUSED, "hostdev: is not supported" },
		{ DEVICES, "<tpm model='tpm-crb'/>", REFUSED, "tpm: is not supported" },
		{ DEVICES, "<filesystem type='mount'/>", REFUSED, "filesystem: is not supported" },
		{ DEVICES, "<shmem name='s'/>", REFUSED, "shmem: is not supported" },
		{ DEVICES, "<memory model='nvdimm'/>", REFUSED, "memory: is not supported" },
		{ DEVICES, "<lease/>", REFUSED, "lease: is not supported" },
		{ DEVICES, "<input type='evdev'/>", REFUSED, "type 'evdev' is not supported" },
		{ DEVICES, "<input type='passthrough' bus='virtio'/>", REFUSED, "cannot move" },
		{ DEVICES, "<input type='tablet' bus='usb'/><controller type='usb' model='none'/>", REFUSED, "no USB" },
		{ DEVICES, "<watchdog model='diag288'/>", REFUSED, "model 'diag288' is not supported" },
		{ DEVICES, "<watchdog model='i6300esb' action='dump'/>", REFUSED, "action 'dump' is not supported" },
		{ DEVICES, "<video><model type='vga' vram='-1'/></video>", REFUSED, "vram '-1'" },
		{ DOMAIN, "<launchSecurity type='sev'/>", REFUSED, "launchSecurity: is not supported" },
		{ DOMAIN, "<keywrap/>", REFUSED, "keywrap: is not supported" },
		{ DOMAIN, "<bootloader>/x</bootloader>", REFUSED, "bootloader: is not supported" },
		{ DOMAIN, "<qemu:commandline/>", REFUSED, "options for QEMU are not passed on" },
		{ DOMAIN, "<qemu:override/>", REFUSED, "options for QEMU are not passed on" },
		{ DOMAIN, "<clock offset='timezone' timezone='Europe/Oslo'/>", REFUSED, "utc, localtime, variable" },
		{ DOMAIN, "<clock offset='variable' adjustment='soon'/>", REFUSED, "adjustment 'soon'" },
		{ DOMAIN, "<clock offset='utc' adjustment='3600'/>", REFUSED, "goes with offset 'variable'" },
		{ DOMAIN, "<clock offset='utc'><timer/></clock>", REFUSED, "name is missing" },
		{ FEATURES, "<hyperv mode='passthrough'/>", REFUSED, "mode 'passthrough'" },

		{ DEVICES, "<sound model='ich9'/>", NOTED, "devices/sound is left out" },
		{ DEVICES, "<smartcard mode='host'/>", NOTED, "devices/smartcard is left out" },
		{ DEVICES, "<redirdev bus='usb' type='spicevmc'/>", NOTED, "devices/redirdev is left out" },
		{ DEVICES, "<hub type='usb'/>", NOTED, "devices/hub is left out" },
		{ DEVICES, "<graphics type='spice'/>", NOTED,
		  "of type 'spice' is left out: the guest's screen can be had by VNC" },
		{ DEVICES, "<graphics type='vnc'/>" VGA, NOTED, "without passwd is on a Unix socket" },
		{ DEVICES, "<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>" VGA, NOTED,
		  "without passwd is on a Unix socket" },
		{ DEVICES, "<graphics type='vnc' passwd='a' listen='0.0.0.0'/>" VGA, NOTED,
		  "on 127.0.0.1, not on 0.0.0.0" },
		{ DEVICES, "<graphics type='vnc' passwd='a'><listen type='network' network='default'/></graphics>" VGA,
		  NOTED, "on 127.0.0.1, not on a network" },
		{ DEVICES, "<graphics type='vnc' passwd='a' websocket='-1'/>" VGA, NOTED, "@websocket is not done" },
		{ DEVICES, "<graphics type='vnc' passwd='a'/>", NOTED, "has nothing to show" },
		{ DEVICES, "<graphics type='vnc' passwd='a'/><graphics type='vnc' passwd='b'/>" VGA, NOTED,
		  "only the first one" },
		{ DEVICES, "<graphics type='vnc' passwd='123456789'/>", REFUSED, "VNC looks at no more" },
		{ DEVICES, "<graphics type='vnc' passwd=''/>", REFUSED, "passwd has to be" },
		{ DEVICES, "<graphics type='vnc' passwd='a b'/>", REFUSED, "printable ASCII" },
		{ DEVICES, "<graphics type='vnc' passwd='a' passwdValidTo='soon'/>", REFUSED, "is no time" },
		{ DEVICES, "<graphics type='vnc' passwd='a' port='80'/>", REFUSED, "port '80'" },
		{ DEVICES, "<graphics type='vnc' passwd='a' autoport='maybe'/>", REFUSED, "autoport 'maybe'" },
		{ DEVICES, "<graphics type='vnc' socket='vnc.sock'/>", REFUSED, "socket" },
		{ DEVICES, "<graphics type='vnc'><listen type='pigeon'/></graphics>", REFUSED, "type 'pigeon'" },
		{ DEVICES, "<graphics/>", REFUSED, "attribute type is missing" },
		{ DEVICES, "<graphics type='x11'/>", REFUSED, "type 'x11' is not supported" },
		{ DEVICES, "<channel type='spicevmc'/>", NOTED, "SPICE is left out" },
		{ DEVICES, "<parallel type='pty'/>", NOTED, "devices/parallel is left out" },
		{ DEVICES, "<vsock model='virtio'/>", NOTED, "devices/vsock is left out" },
		{ DEVICES, "<crypto model='virtio'/>", NOTED, "devices/crypto is left out" },
		{ DEVICES, "<iommu model='intel'/>", NOTED, "devices/iommu is left out" },
		{ DEVICES, "<panic model='hyperv'/>", NOTED, "as model 'isa'" },
		{ DEVICES, "<video><model type='qxl'/></video>", NOTED, "model 'qxl' is model 'vga'" },
		{ DEVICES, "<video><model type='vga'/></video><video><model type='vga'/></video>", NOTED,
		  "only the first" },
		{ DEVICES, "<controller type='usb' model='piix3-uhci'/>", NOTED, "model 'qemu-xhci'" },
		{ DEVICES, "<input type='keyboard' bus='virtio'/>", NOTED, "the keyboard is on bus 'usb'" },
		{ DEVICES, "<rng model='virtio'><rate bytes='1'/><backend model='random'/></rng>", NOTED, "rng/rate" },
		{ DISK, "<iotune><total_iops_sec>1</total_iops_sec></iotune>", NOTED, "disk/iotune is not done" },
		{ DISK, "<geometry cyls='1' heads='1' secs='1'/>", NOTED, "disk/geometry" },
		{ DISK, "<driver name='qemu' detect_zeroes='on'/>", NOTED, "driver/@detect_zeroes is not done" },
		{ DISK, "<driver name='qemu' copy_on_read='on'/>", NOTED, "driver/@copy_on_read is not done" },
		{ DISK, "<driver cache='unsafe'/>", NOTED, "'unsafe' is 'writeback'" },
		{ DISK, "<driver cache='directsync'/>", NOTED, "'directsync' is 'writethrough'" },
		{ NIC, "<model type='vmxnet3'/>", NOTED, "model 'vmxnet3' is model 'virtio'" },
		{ NIC, "<model type='pcnet'/>", NOTED, "model 'pcnet' is model 'virtio'" },
		{ NIC, "<rom file='/r.rom'/>", NOTED, "interface/rom is not used" },
		{ NIC, "<bandwidth><inbound average='1'/></bandwidth>", NOTED, "interface/bandwidth is not done" },
		{ DOMAIN, "<genid/>", NOTED, "genid is not shown" },
		{ DOMAIN, "<sysinfo type='smbios'/>", NOTED, "sysinfo is not shown" },
		{ DOMAIN, "<maxMemory slots='2'>1000000</maxMemory>", NOTED, "maxMemory is not done" },
		{ DOMAIN, "<memoryBacking><hugepages/></memoryBacking>", NOTED, "memoryBacking/hugepages" },
		{ DOMAIN, "<memoryBacking><locked/></memoryBacking>", NOTED, "memoryBacking/locked" },
		{ DOMAIN, "<memtune/>", NOTED, "memtune is not done" },
		{ DOMAIN, "<numatune/>", NOTED, "numatune is not done" },
		{ DOMAIN, "<cputune/>", NOTED, "cputune is not done" },
		{ DOMAIN, "<blkiotune/>", NOTED, "blkiotune is not done" },
		{ DOMAIN, "<resource/>", NOTED, "resource is not done" },
		{ DOMAIN, "<on_crash>coredump-restart</on_crash>", NOTED, "on_crash is 'restart'" },
		{ DOMAIN, "<clock offset='variable' adjustment='60'/>", NOTED, "clock starts with the adjustment" },
		{ FEATURES, "<vmport state='on'/>", NOTED, "features/vmport is off" },
		{ FEATURES, "<ioapic driver='kvm'/>", NOTED, "features/ioapic" },
		{ FEATURES, "<kvm><poll-control state='on'/></kvm>", NOTED, "poll-control" },
		{ CPU, "<numa/>", NOTED, "cpu/numa is not done" },
		{ CPU, "<cache mode='emulate'/>", NOTED, "cpu/cache" },

		{ FEATURES, "<acpi/><apic/><pae/><vmport state='off'/><pmu state='off'/>", SILENT, "" },
		{ FEATURES, "<kvm><hidden state='on'/></kvm>", SILENT, "" },
		{ DEVICES, "<emulator>/usr/bin/qemu-system-x86_64</emulator>", SILENT, "" },
		{ DEVICES, "<controller type='pci' model='pcie-root-port'/><controller type='sata'/>", SILENT, "" },
		{ DEVICES, "<controller type='usb' model='qemu-xhci'/><input type='tablet' bus='usb'/>", SILENT, "" },
		{ DEVICES, "<input type='mouse' bus='ps2'/><input type='keyboard' bus='ps2'/>", SILENT, "" },
		{ DEVICES, "<panic model='isa'/><audio id='1' type='none'/>", SILENT, "" },
		{ DEVICES, "<video><model type='vga' vram='16384' heads='1' primary='yes'/></video>", SILENT, "" },
		{ DEVICES, "<video><model type='none'/></video>", SILENT, "" },
		{ DEVICES, "<video><model type='cirrus'/></video>", SILENT, "" },
		{ DEVICES, "<video><model type='virtio' heads='1'/></video>", SILENT, "" },
		{ DEVICES, "<graphics type='vnc' port='5901' passwd='secret' passwdValidTo='2030-01-01T00:00:00'/>" VGA,
		  SILENT, "" },
		{ DEVICES, "<graphics type='vnc' socket='/s'/>" VGA, SILENT, "" },
		{ DEVICES, "<graphics type='vnc'><listen type='socket'/></graphics>" VGA, SILENT, "" },
		{ DEVICES, "<graphics type='vnc'><listen type='none'/></graphics>" VGA, SILENT, "" },
		{ DEVICES, "<watchdog model='i6300esb' action='inject-nmi'/>", SILENT, "" },
		{ DEVICES, "<serial type='pty'><target type='isa-serial'><model name='isa-serial'/></target></serial>",
		  SILENT, "" },
		{ DISK, "<driver name='qemu' io='native' queues='2' iothread='1'/><alias name='d'/>", SILENT, "" },
		{ DISK, "<blockio logical_block_size='512' physical_block_size='4096'/>", SILENT, "" },
		{ DISK, "<address type='pci' slot='0x04'/>", SILENT, "" },
		{ NIC, "<model type='e1000'/>", SILENT, "" },
		{ NIC, "<model type='e1000e'/>", SILENT, "" },
		{ NIC, "<rom bar='off'/>", SILENT, "" },
		{ NIC, "<model type='rtl8139'/>", SILENT, "" },
		{ NIC, "<link state='up'/><port isolated='no'/><driver queues='4'/><alias name='n'/>", SILENT, "" },
		{ DOMAIN, "<memoryBacking><nosharepages/><source type='memfd'/></memoryBacking>", SILENT, "" },
		{ DOMAIN, "<pm><suspend-to-mem enabled='no'/></pm><iothreads>1</iothreads>", SILENT, "" },

		{ DEVICES, "<channel type='unix'/>", LISTED, "domain/devices/channel" },
		{ DISK, "<unheard-of/>", LISTED, "domain/devices/disk/unheard-of" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++)
		check("qemu", c[i].slot, c[i].fragment, c[i].v, c[i].text);
}

/* The same is nothing new to uml. */
static void test_uml(void **state)
{
	(void)state;
	check("uml", DEVICES, "<sound model='ich9'/>", LISTED, "domain/devices/sound");
	check("uml", DEVICES, "<hostdev/>", LISTED, "domain/devices/hostdev");
	check("uml", NIC, "<model type='e1000'/>", REFUSED, "type 'e1000' is not supported (virtio)");
	check("uml", DISK, "<driver cache='unsafe'/>", REFUSED, "cache 'unsafe' is not supported");
	check("uml", DOMAIN, "<clock offset='variable'/>", REFUSED, "(utc, localtime)");
	check("uml", DEVICES, "<watchdog model='x' action='shutdown'/>", REFUSED, "(reset, poweroff, pause, none)");
}

#define DISK_OF(dev, bus) "<disk type='file'><source file='/" dev "'/><target dev='" dev "' bus='" bus "'/></disk>"

#define PLACED(dev, bus, address)                                                                                      \
	"<disk type='file'><source file='/" dev "'/><target dev='" dev "' bus='" bus                                   \
	"'/><address type='drive' " address "/></disk>"
#define EMPTY(dev, bus) "<disk type='file' device='cdrom'><target dev='" dev "' bus='" bus "'/></disk>"

/* "sda=scsi:0.1 ..." of disks and then of empty drives. */
static const char *places_of(const struct dom_config *cfg)
{
	static char text[256];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < cfg->n_disks + cfg->hvm.n_drives; i++) {
		const struct dom_drive *e = i < cfg->n_disks ? NULL : &cfg->hvm.drive[i - cfg->n_disks];
		const struct dom_place *at = e ? &e->at : &cfg->disk[i].at;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%s:%u.%u", i ? " " : "",
		                      e ? e->target : cfg->disk[i].target, dom_bus_name(at->bus), at->target, at->unit);
	}
	return text;
}

static void test_targets(void **state)
{
	static const struct {
		const char *devices, *places; /* behind vda */
	} c[] = {
		{ DISK_OF("sda", "sata"), "sda=sata:0.0" },
		{ DISK_OF("sdc", "sata") DISK_OF("sdb", "sata"), "sdc=sata:0.2 sdb=sata:0.1" },
		/* its letter has no place, and one that is free has */
		{ DISK_OF("sdg", "sata") DISK_OF("sda", "sata"), "sdg=sata:0.0 sda=sata:0.1" },
		{ DISK_OF("vdb", "sata") DISK_OF("hdb", "virtio"), "vdb=sata:0.1 hdb=virtio:0.0" },
		/* there is no IDE */
		{ DISK_OF("hda", "ide") DISK_OF("sda", "sata"), "hda=sata:0.0 sda=sata:0.1" },
		{ DISK_OF("sda", "scsi") DISK_OF("sdc", "scsi"), "sda=scsi:0.0 sdc=scsi:0.2" },
		{ "<disk type='file'><source file='/s'/><target dev='sdb'/></disk>", "sdb=scsi:0.1" },
		{ DISK_OF("sdd", "usb") EMPTY("sde", "usb"), "sdd=usb:0.8 sde=usb:0.9" },
		/* by address; who has one comes before those that have none */
		{ PLACED("sda", "scsi", "controller='0' bus='0' target='3' unit='2'"), "sda=scsi:3.2" },
		{ PLACED("sda", "scsi", "controller='2' bus='0' target='3' unit='0'"), "sda=scsi:35.0" },
		{ DISK_OF("sda", "sata") PLACED("sdb", "sata", "controller='0' bus='0' target='0' unit='0'"),
		  "sda=sata:0.1 sdb=sata:0.0" },
		{ PLACED("sdb", "sata", "controller='1' bus='0' target='0' unit='0'"), "sdb=sata:0.1" },
		{ EMPTY("hda", "ide") DISK_OF("hdb", "ide"), "hdb=sata:0.1 hda=sata:0.0" },
		{ "<disk type='file' device='floppy'><source file='/f'/><target dev='fda'/></disk>", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		_cleanup_dom_config_ struct dom_config *cfg = must("kvm", DEVICES, c[i].devices), *again = NULL;
		_cleanup_free_ char *text = NULL, *want = NULL;
		struct err err = { 0 };

		want = xasprintf("vda=virtio:0.0%s%s", *c[i].places ? " " : "", c[i].places);
		assert_string_equal(places_of(cfg), want);
		/* and so it stays */
		if (dom_config_format(cfg, &text, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(dom_config_parse(text, strlen(text), "again", &again, &err), 0);
		assert_string_equal(places_of(again), want);
	}
	_cleanup_dom_config_ struct dom_config *q35 = must("qemu", DEVICES, DISK_OF("hda", "ide")),
					       *usb = must("qemu", DEVICES, DISK_OF("sda", "usb"));
	assert_true(any_has(q35->note, q35->n_notes, "hda of bus 'ide' is on SATA"));
	assert_true(usb->hvm.usb);
	check("qemu", DEVICES, DISK_OF("sdaa", "sata"), REFUSED, "dev 'sdaa' is not supported");
	check("qemu", DEVICES, DISK_OF("sdb", "sd"), REFUSED, "bus 'sd' is not supported");
	check("qemu", DEVICES, DISK_OF("sda", "usb") "<controller type='usb' model='none'/>", REFUSED,
	      "there is no USB");
	check("qemu", DEVICES, DISK_OF("sda", "scsi") EMPTY("sda", "sata"), REFUSED, "target sda is given twice");
	check("qemu", DEVICES, PLACED("sda", "scsi", "unit='1'") PLACED("sdb", "scsi", "unit='1'"), REFUSED,
	      "two disks are at this place");
	check("qemu", DEVICES, PLACED("sda", "sata", "unit='6'"), REFUSED, "no such place");
	check("qemu", DEVICES, PLACED("sda", "scsi", "target='-1'"), REFUSED, "small numbers");
	check("qemu", DEVICES,
	      DISK_OF("sda", "sata") DISK_OF("sdb", "sata") DISK_OF("sdc", "sata") DISK_OF("sdd", "sata")
	              DISK_OF("sde", "sata") DISK_OF("sdf", "sata") DISK_OF("sdg", "sata"),
	      REFUSED, "has no place left for sdg");
	check("qemu", DEVICES, "<disk type='file'><source file='/r'/><target dev='sda' bus='sata'/><readonly/></disk>",
	      REFUSED, "cannot be <readonly/>");
	check("qemu", DEVICES, "<controller type='scsi' model='lsilogic'/>", NOTED, "'virtio-scsi'");
}

static void test_wwn(void **state)
{
#define WWN(bus, wwn) "<disk type='file'><source file='/w'/><target dev='sda' bus='" bus "'/><wwn>" wwn "</wwn></disk>"
	_cleanup_dom_config_ struct dom_config *cfg = must("qemu", DEVICES, WWN("scsi", "5000c50015ea71aa"));

	(void)state;
	assert_string_equal(cfg->disk[1].wwn, "5000c50015ea71aa");
	check("qemu", DEVICES, WWN("virtio", "5000c50015ea71aa"), REFUSED, "would not find its disk by that name");
	check("qemu", DEVICES, WWN("usb", "5000c50015ea71aa"), REFUSED, "would not find its disk by that name");
	check("qemu", DEVICES, WWN("sata", "5000c50015ea71a,"), REFUSED, "16 hexadecimal digits");
}

static void test_cdrom(void **state)
{
#define CD(dev, bus)                                                                                                   \
	"<disk type='file' device='cdrom'><source file='/a.iso'/><target dev='" dev "' bus='" bus "'/></disk>"
	_cleanup_dom_config_ struct dom_config *cfg = must("qemu", DEVICES, CD("sda", "sata") CD("vdc", "virtio"));
	_cleanup_dom_config_ struct dom_config *empty = must("qemu", DEVICES, EMPTY("vdb", "virtio"));

	(void)state;
	assert_int_equal(cfg->n_disks, 3);
	assert_true(cfg->disk[1].readonly && cfg->disk[2].readonly);
	assert_string_equal(places_of(cfg), "vda=virtio:0.0 sda=sata:0.0 vdc=virtio:0.0");
	assert_true(any_has(cfg->note, cfg->n_notes, "the CD-ROM vdc is a virtio disk that the guest only reads"));
	/* <boot dev='cdrom'/> means it, also once the definition is written */
	_cleanup_free_ char *text = NULL;
	_cleanup_dom_config_ struct dom_config *back = NULL;
	assert_int_equal(dom_config_format(cfg, &text, NULL), 0);
	assert_int_equal(dom_config_parse(text, strlen(text), "written", &back, NULL), 0);
	assert_true(back->disk[2].cdrom && dom_disk_is_virtio(&back->disk[2]));
	assert_true(empty->n_disks == 1 && !empty->hvm.n_drives);
	assert_true(any_has(empty->note, empty->n_notes, "the empty CD-ROM vdb is left out"));
}

static void test_values(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/tests/unit/xml/good/machine-windows.xml",
	                                      getenv("top_srcdir") ?: ".");
	_cleanup_dom_config_ struct dom_config *c = NULL;
	struct err err = { 0 };

	(void)state;
	if (dom_config_load(path, &c, &err) < 0)
		fail_msg("%s", err.text);
	const struct dom_hvm *h = &c->hvm;
	assert_int_equal(h->cpu.mode, DOM_CPU_CUSTOM);
	assert_string_equal(h->cpu.model, "Skylake-Client-noTSX-IBRS");
	assert_false(h->cpu.unchecked);
	assert_int_equal(h->cpu.n_features, 2);
	assert_string_equal(h->cpu.feature[0].name, "ssbd");
	assert_int_equal(h->cpu.feature[0].policy, DOM_CPU_REQUIRE);
	assert_int_equal(h->cpu.feature[1].policy, DOM_CPU_DISABLE);
	assert_int_equal(h->cpu.sockets * 1000 + h->cpu.dies * 100 + h->cpu.cores * 10 + h->cpu.threads, 1122);
	assert_int_equal(h->n_hyperv, 5);
	assert_string_equal(h->hyperv[2].name, "spinlocks");
	assert_int_equal(h->hyperv[2].number, 8191);
	assert_string_equal(h->hyperv[3].text, "hospes");
	assert_true(h->kvm_hidden && h->no_pmu && h->hypervclock && h->no_hpet && h->rtc_catchup);
	assert_false(h->no_s3 || h->no_s4);
	assert_int_equal(h->video, DOM_VIDEO_VGA);
	assert_int_equal(h->vram_kib, 32768);
	assert_true(h->usb);
	assert_int_equal(h->n_inputs, 2);
	assert_int_equal(h->input[0], DOM_INPUT_TABLET);
	assert_int_equal(h->input[1], DOM_INPUT_KEYBOARD);
	assert_int_equal(h->watchdog, DOM_WATCHDOG_I6300ESB);
	assert_int_equal(c->watchdog, DOM_WATCHDOG_NMI);
	assert_int_equal(c->on_crash, DOM_ACTION_DESTROY);
	assert_string_equal(c->nic[0].bridge, "virbr0");
	assert_int_equal(c->disk[0].cache, DOM_CACHE_WRITEBACK);
}

static void test_graphics(void **state)
{
	_cleanup_dom_config_ struct dom_config
		*none = must("qemu", DEVICES, VGA),
		*plain = must("qemu", DEVICES, "<graphics type='spice'/><graphics type='vnc' port='5950'/>" VGA),
		*port = must(
			"qemu", DEVICES,
			"<graphics type='vnc' passwd='secret12' port='5901' passwdValidTo='2001-09-09T01:46:40'/>" VGA),
		*any = must("qemu", DEVICES, "<graphics type='vnc' passwd='s' port='5901' autoport='yes'/>" VGA),
		*path = must("qemu", DEVICES,
	                     "<graphics type='vnc' socket='/s'><listen type='socket' socket='/t'/></graphics>" VGA),
		*libvirts = must("qemu", DEVICES,
	                         "<graphics type='vnc'><listen type='socket' "
	                         "socket='/var/lib/libvirt/qemu/domain-3-g/vnc.sock'/></graphics>" VGA),
		*unseen = must("qemu", DEVICES, "<graphics type='vnc'><listen type='none'/></graphics>" VGA);

	(void)state;
	assert_false(none->hvm.display.on);
	assert_true(plain->hvm.display.on && !plain->hvm.display.tcp && !plain->hvm.display.socket);
	const struct dom_display *d = &port->hvm.display;
	assert_true(d->on && d->tcp);
	assert_int_equal(d->port, 5901);
	assert_string_equal(d->password, "secret12");
	assert_int_equal(d->valid_until_s, 1000000000);
	d = &any->hvm.display;
	assert_true(d->on && d->tcp && !d->port && !d->valid_until_s);
	assert_true(path->hvm.display.on && !path->hvm.display.tcp);
	assert_string_equal(path->hvm.display.socket, "/t");
	assert_true(libvirts->hvm.display.on && !libvirts->hvm.display.socket);
	assert_false(unseen->hvm.display.on);
	_cleanup_free_ char *all = NULL, *shown = NULL;
	struct err err;
	assert_int_equal(dom_config_format(port, &all, &err), 0);
	assert_non_null(strstr(all, "passwd=\"secret12\""));
	dom_config_hide_secrets(port);
	assert_int_equal(dom_config_format(port, &shown, &err), 0);
	assert_null(strstr(shown, "secret12"));
	assert_non_null(strstr(shown, "port=\"5901\""));
}

/* A running domain's document says where its screen is; who reads it anew chooses again, unless somebody had chosen. */
static void test_shown_screen(void **state)
{
	static const struct {
		const char *graphics, *socket;
		unsigned port;
		const char *has; /* in the text */
		unsigned port_after;
	} t[] = {
		{ "<graphics type='vnc' passwd='s' port='-1'/>", "127.0.0.1", 5903, "port=\"5903\" autoport=\"yes\"",
		  0 },
		{ "<graphics type='vnc' passwd='s' port='5901' autoport='yes'/>", "127.0.0.1", 5903,
		  "port=\"5903\" autoport=\"yes\"", 0 },
		{ "<graphics type='vnc' passwd='s' port='5903'/>", "127.0.0.1", 5903, "port=\"5903\"/>", 5903 },
		{ "<graphics type='spice'/><graphics type='vnc'/>", "/run/v", 0,
		  "<graphics type=\"vnc\" socket=\"/run/v\"/>", 0 },
		{ "", "/run/v", 0, "<video>", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		_cleanup_free_ char *devices = xasprintf("%s" VGA, t[i].graphics), *text = NULL;
		_cleanup_dom_config_ struct dom_config *c = must("qemu", DEVICES, devices), *again = NULL;
		struct err err;

		assert_int_equal(dom_config_show_screen(c, t[i].socket, t[i].port), 0);
		assert_int_equal(dom_config_format(c, &text, &err), 0);
		if (!strstr(text, t[i].has))
			fail_msg("%zu: %s", i, text);
		assert_int_equal(dom_config_parse(text, strlen(text), "again", &again, &err), 0);
		assert_int_equal(again->hvm.display.port, t[i].port_after);
	}
}

static void test_clock(void **state)
{
	_cleanup_dom_config_ struct dom_config *c =
		must("qemu", DOMAIN, "<clock offset='variable' adjustment='-7200' basis='localtime'/>");

	(void)state;
	assert_int_equal(c->clock, DOM_CLOCK_VARIABLE);
	assert_true(c->hvm.clock_adjust_s == -7200 && c->hvm.clock_basis_local);
}

static void test_cpu(void **state)
{
	static const struct {
		const char *cpu;
		enum dom_cpu_mode mode;
	} good[] = {
		{ "<cpu mode='host-passthrough' check='none' migratable='on'/>", DOM_CPU_PASSTHROUGH },
		{ "<cpu mode='host-model'/>", DOM_CPU_HOST_MODEL },
		{ "<cpu mode='maximum'/>", DOM_CPU_MAXIMUM },
		{ "<cpu match='exact'><model>Haswell</model></cpu>", DOM_CPU_CUSTOM },
		{ "<cpu><topology sockets='2' cores='2' threads='1'/></cpu>", DOM_CPU_DEFAULT },
	};
	static const struct {
		const char *cpu, *text;
	} bad[] = {
		{ "<cpu mode='native'/>", "mode 'native' is not supported" },
		{ "<cpu mode='custom'/>", "needs a <model>" },
		{ "<cpu mode='custom'><model>qemu64,+vmx</model></cpu>", "letters, digits" },
		{ "<cpu mode='custom'><model></model></cpu>", "is not 1 to 31" },
		{ "<cpu mode='custom'><model>host</model></cpu>", "no model of a processor" },
		{ "<cpu><feature policy='require' name='a=b'/></cpu>", "letters, digits" },
		{ "<cpu><feature policy='require'/></cpu>", "name '' is not 1 to 31" },
		{ "<cpu><feature policy='forbid' name='vmx'/></cpu>", "policy 'forbid' is not supported" },
		{ "<cpu><feature name='vmx'/><feature name='vmx'/></cpu>", "vmx is given twice" },
		{ "<cpu><topology sockets='1' cores='2' threads='1'/></cpu>", "make 2, but <vcpu> is 4" },
		{ "<cpu><topology sockets='1' cores='4'/></cpu>", "needs sockets, cores and threads" },
		{ "<cpu><topology sockets='0' cores='4' threads='1'/></cpu>", "sockets '0'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good) + ARRAY_SIZE(bad); i++) {
		bool ok = i < ARRAY_SIZE(good);
		const char *cpu = ok ? good[i].cpu : bad[i - ARRAY_SIZE(good)].cpu;
		_cleanup_free_ char *xml =
			xasprintf("<domain type='kvm'><name>g</name><memory>65536</memory><vcpu>4</vcpu>"
		                  "<os><type>hvm</type></os>%s</domain>",
		                  cpu);
		_cleanup_dom_config_ struct dom_config *cfg = NULL;
		struct err err = { 0 };
		int r = dom_config_parse(xml, strlen(xml), "x", &cfg, &err);

		if (ok && (r < 0 || cfg->hvm.cpu.mode != good[i].mode))
			fail_msg("%s: %s", cpu, err.text);
		if (!ok && (r != -EINVAL || !strstr(err.text, bad[i - ARRAY_SIZE(good)].text)))
			fail_msg("%s: %s", cpu, err.text);
	}
}

static void test_out_of_memory(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/tests/unit/xml/good/machine-server.xml", getenv("top_srcdir") ?: ".");
	_cleanup_free_ char *xml = NULL;
	struct dom_config *cfg = NULL;
	unsigned failures = 0;
	struct err err;
	size_t len;
	int r;

	(void)state;
	assert_int_equal(file_read(path, 1 << 20, &xml, &len), 0);
	FOR_EACH_ALLOC_FAILURE(r = dom_config_parse(xml, len, "x", &cfg, &err))
	{
		/* as in test_domxml.c: what cannot be copied may look missing */
		if (!r)
			dom_config_free(cfg);
		cfg = NULL;
		failures += alloc_failed;
	}
	assert_int_equal(r, 0);
	assert_true(failures > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never),    cmocka_unit_test(test_machines),
		cmocka_unit_test(test_uml),      cmocka_unit_test(test_targets),
		cmocka_unit_test(test_cdrom),    cmocka_unit_test(test_wwn),
		cmocka_unit_test(test_values),   cmocka_unit_test(test_shown_screen),
		cmocka_unit_test(test_clock),    cmocka_unit_test(test_cpu),
		cmocka_unit_test(test_graphics), cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
