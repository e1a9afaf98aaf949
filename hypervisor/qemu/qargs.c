/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's command line: see qargs.h. Addresses on the PCI bus are given, so that a device stands where it stood after others came or went. */
#include "config.h"
#include "hypervisor/qemu/qargs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "common/util.h"
#include "hypervisor/api/domarch.h"
#include "hypervisor/qemu/qcpu.h"
#include "hypervisor/qemu/qdisk.h"
#include "hypervisor/qemu/qdisplay.h"
#include "hypervisor/qemu/qnic.h"

#define ARGS_MAX      200u
#define SLOT_CONSOLE  0x2u
#define SLOT_VIDEO    0x3u
#define SLOT_DISK     0x4u /* DOM_DISKS_MAX of them */
#define SLOT_NIC      0xcu /* DOM_NICS_MAX */
#define SLOT_RNG      0x14u
/* 0x16, 0x17: controllers of disks, qdisk.c */
#define SLOT_BALLOON  0x19u
#define SLOT_USB      0x1au
#define SLOT_WATCHDOG 0x1bu
#define SLOT_PLACES   0x1cu /* root ports, one function each; pc: a slot for each place */
#define VIRTIO        QARGS_VIRTIO

struct args {
	char **v;
	size_t n;
	int r; /* the first failure */
};

__attribute__((format(printf, 2, 3))) static void put(struct args *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (a->n + 1 >= ARGS_MAX || vasprintf(&a->v[a->n], fmt, ap) < 0) {
		a->r = a->n + 1 >= ARGS_MAX ? -E2BIG : -ENOMEM;
		a->v[a->n] = NULL;
	} else {
		a->n++;
	}
	va_end(ap);
}

/* Takes @text, which is NULL without memory. */
static void put_own(struct args *a, char *text)
{
	put(a, "%s", text ? text : "");
	if (!text)
		a->r = -ENOMEM;
	free(text);
}

const char *qargs_machine(const struct dom_config *cfg, struct err *err)
{
	const struct dom_machine *m = dom_machine(cfg, err);

	return !m ? NULL : !cfg->machine || !strcmp(cfg->machine, m->alias) ? m->current : cfg->machine;
}

uint64_t qargs_low_bytes(const struct dom_config *cfg)
{
	const struct dom_machine *m = dom_machine(cfg, NULL);

	return !m || cfg->memory_bytes < m->low_max ? cfg->memory_bytes : m->low_bytes;
}

uint64_t qargs_ram_start(const struct dom_config *cfg)
{
	const struct dom_machine *m = dom_machine(cfg, NULL);

	return m ? m->ram_start : 0;
}

/* What only machines of this architecture have, and say so. */
static void machine_options(const struct qargs *q, char ret[64])
{
	const struct dom_config *c = q->cfg;
	const struct dom_arch_info *arch = dom_arch(c);
	char smm[16] = "", gic[24] = "";

	if (arch->pc)
		snprintf(smm, sizeof(smm), ",smm=%s", q->smm ? "on" : "off");
	if (arch->gic)
		snprintf(gic, sizeof(gic), ",gic-version=%u", c->hvm.gic);
	snprintf(ret, 64, "%s%s%s", arch->machine_options, smm, gic);
}

static void put_machine(struct args *a, const struct qargs *q, const char *machine)
{
	const struct dom_config *c = q->cfg;
	char options[64];

	put(a, "-name");
	put(a, "guest=%s,debug-threads=on", c->name);
	put(a, "-uuid");
	put(a, "%s", c->uuid);
	put(a, "-S");
	put(a, "-no-reboot");
	put(a, "-nodefaults");
	put(a, "-no-user-config");
	put(a, "-display");
	put(a, "none");
	put(a, "-sandbox");
	put(a, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	put(a, "-machine");
	machine_options(q, options);
	put(a, "%s,accel=%s,memory-backend=ram,dump-guest-core=off%s,graphics=off%s%s", machine, q->kvm ? "kvm" : "tcg",
	    options, dom_arch(c)->pc && c->hvm.no_hpet ? ",hpet=off" : "",
	    q->vars >= 0 ? ",pflash0=code,pflash1=vars" : "");
	put(a, "-cpu");
	put_own(a, qcpu_text(c, q->kvm));
	put(a, "-smp");
	put_own(a, qcpu_smp(c));
	put(a, "-m");
	put(a, "size=%luk", (unsigned long)(c->memory_bytes / 1024));
	put(a, "-object");
	put(a,
	    "memory-backend-file,id=ram,size=%lu,mem-path=" QARGS_FD_DIR "/%d,share=on,prealloc=off,merge=off,dump=off",
	    (unsigned long)c->memory_bytes, q->mem);
	put(a, "-device");
	put(a, "%s", dom_arch(c)->panic);
}

/* QEMU does not know the host's time zone where it is. */
static void put_clock(struct args *a, const struct qargs *q)
{
	const struct dom_config *c = q->cfg;
	bool variable = c->clock == DOM_CLOCK_VARIABLE,
	     local = c->clock == DOM_CLOCK_LOCALTIME || (variable && c->hvm.clock_basis_local);
	const char *drift = c->hvm.rtc_catchup ? ",driftfix=slew" : "";
	time_t at = (time_t)(q->utc_s + (local ? q->local_s : 0) + (variable ? c->hvm.clock_adjust_s : 0));
	char base[40] = "utc";
	struct tm tm;

	if ((variable || local) && gmtime_r(&at, &tm) && tm.tm_year >= 70 && tm.tm_year < 8100)
		strftime(base, sizeof(base), "%Y-%m-%dT%H:%M:%S", &tm);
	put(a, "-rtc");
	put(a, "base=%s%s", base, drift);
}

static void put_global(struct args *a, const char *driver, const char *property)
{
	put(a, "-global");
	put(a, "%s.%s", driver, property);
}

/* What the south bridge can, and the watchdog, which tells hvdom and does nothing itself: watchdog.c does it. */
static void put_chipset(struct args *a, const struct qargs *q)
{
	const struct dom_hvm *h = &q->cfg->hvm;
	const struct dom_machine *machine = dom_machine(q->cfg, NULL);

	if (h->no_s3 && machine->bridge)
		put_global(a, machine->bridge, "disable_s3=1");
	if (h->no_s4 && machine->bridge)
		put_global(a, machine->bridge, "disable_s4=1");
	if (h->watchdog == DOM_WATCHDOG_NO_DEVICE)
		return;
	put(a, "-action");
	put(a, "watchdog=%s", q->cfg->watchdog == DOM_WATCHDOG_NMI ? "inject-nmi" : "none");
	if (h->watchdog == DOM_WATCHDOG_ITCO) {
		put_global(a, "ICH9-LPC", "noreboot=off");
		return;
	}
	put(a, "-device");
	if (h->watchdog == DOM_WATCHDOG_I6300ESB)
		put(a, "i6300esb,id=watchdog,addr=0x%x", SLOT_WATCHDOG);
	else
		put(a, "ib700,id=watchdog");
}

static void put_screen(struct args *a, const struct qargs *q)
{
	const char *vnc = qdisplay_vnc(q->cfg);
	char video[80];

	if (qdisplay_video(q->cfg, SLOT_VIDEO, video, sizeof(video))) {
		put(a, "-device");
		put(a, "%s", video);
	}
	if (vnc) {
		put(a, "-vnc");
		put(a, "%s", vnc);
	}
}

static void put_peripherals(struct args *a, const struct qargs *q)
{
	static const char *const inputs[] = {
		[DOM_INPUT_TABLET] = "usb-tablet", [DOM_INPUT_KEYBOARD] = "usb-kbd", [DOM_INPUT_MOUSE] = "usb-mouse"
	};
	const struct dom_hvm *h = &q->cfg->hvm;

	for (size_t i = 0; i < h->n_inputs; i++) {
		put(a, "-device");
		put(a, "%s,id=input%zu,bus=usb.0,port=%zu", inputs[h->input[i]], i, i + 1);
	}
}

/* Its two memory files are all that QEMU opens for that; hvdom's locks are no business of its. */
static void put_firmware(struct args *a, const struct qargs *q)
{
	if (q->vars < 0)
		return;
	put(a, "-blockdev");
	put(a, "driver=file,node-name=code,filename=" QARGS_FD_DIR "/%d,read-only=on,locking=off", q->code);
	put(a, "-blockdev");
	put(a, "driver=file,node-name=vars,filename=" QARGS_FD_DIR "/%d,locking=off", q->vars);
	if (!q->smm)
		return;
	put(a, "-global");
	put(a, "driver=cfi.pflash01,property=secure,value=on");
	put(a, "-global");
	put(a, "ICH9-LPC.disable_s3=1");
}

/* Is device @dev of that kind? Of NICs only the first one is, as libvirt has it, and none that came later (its card has no ROM). */
static bool boots_as(const struct dom_config *c, size_t dev, enum dom_boot kind)
{
	if (dev < c->n_disks)
		return kind == (c->disk[dev].cdrom ? DOM_BOOT_CDROM : DOM_BOOT_HD);
	for (size_t i = c->n_disks; i < dev; i++)
		if (!qargs_place(c, i))
			return false;
	return kind == DOM_BOOT_NETWORK && !qargs_place(c, dev);
}

unsigned qargs_boot(const struct dom_config *c, size_t dev)
{
	static const enum dom_boot usual[] = { DOM_BOOT_HD, DOM_BOOT_CDROM };
	const enum dom_boot *kind = c->n_boot ? c->boot : usual;
	size_t n = c->n_boot ? c->n_boot : ARRAY_SIZE(usual), all = c->n_disks + c->n_nics;
	unsigned at = 0;

#define ORDER(i) ((i) < c->n_disks ? c->disk[i].boot_order : c->nic[(i)-c->n_disks].boot_order)
	for (size_t i = 0; i < all; i++)
		if (ORDER(i))
			return ORDER(dev);
#undef ORDER
	for (size_t k = 0; k < n; k++) {
		for (size_t i = 0; i < all; i++) {
			if (!boots_as(c, i, kind[k]))
				continue;
			at++;
			if (i == dev)
				return at;
		}
	}
	return 0;
}

static void put_boot(struct args *a, const struct qargs *q)
{
	const struct dom_config *c = q->cfg;

	if (!c->kernel)
		return;
	put(a, "-kernel");
	put(a, QARGS_KERNEL);
	if (c->initrd) {
		put(a, "-initrd");
		put(a, QARGS_INITRD);
	}
	put(a, "-append");
	put(a, "%s%shospes.agent=hvc%u hospes.generation=%lu", c->cmdline ? c->cmdline : "", c->cmdline ? " " : "",
	    (unsigned)c->n_consoles, (unsigned long)q->generation);
}

static void put_consoles(struct args *a, const struct qargs *q)
{
	size_t n = q->cfg->n_consoles + 1, port = q->cfg->guest_agent ? n : 0;

	put(a, "-chardev");
	put(a, "socket,id=qmp,fd=%d", q->qmp);
	put(a, "-mon");
	put(a, "chardev=qmp,mode=control");
	put(a, "-chardev");
	put(a, "socket,id=ttyS0,fd=%d", q->serial);
	put(a, "%s", dom_arch(q->cfg)->serial[0]);
	put(a, "%s", dom_arch(q->cfg)->serial[1]);
	put(a, "-device");
	put(a, "virtio-serial-pci,id=consoles,max_ports=%u,addr=0x%x," VIRTIO, DOM_CONSOLES_MAX + 1 + (port != 0),
	    SLOT_CONSOLE);
	for (size_t i = 0; i < n; i++) {
		put(a, "-chardev");
		put(a, "socket,id=hvc%zu,fd=%d", i, q->console[i]);
		put(a, "-device");
		put(a, "virtconsole,chardev=hvc%zu,bus=consoles.0,nr=%zu", i, i);
	}
	if (!port)
		return;
	put(a, "-chardev");
	put(a, "socket,id=agent,fd=%d", q->console[port]);
	put(a, "-device");
	put(a, "virtserialport,chardev=agent,bus=consoles.0,nr=%zu,name=org.qemu.guest_agent.0", port);
}

static bool has_ports(const struct dom_config *c)
{
	const struct dom_machine *m = dom_machine(c, NULL);

	return m && m->ports;
}

/* What devices come to and leave: of pc, its bus will do. */
static void put_ports(struct args *a, const struct dom_config *c)
{
	for (unsigned i = 0; has_ports(c) && i < c->hvm.places; i++) {
		put(a, "-device");
		put(a, "pcie-root-port,id=port%u,chassis=%u,slot=%u,addr=0x%x.0x%x%s", i + 1, i + 1, i + 1, SLOT_PLACES,
		    i, i ? "" : ",multifunction=on");
	}
}

unsigned qargs_place(const struct dom_config *c, size_t dev)
{
	unsigned place = dev < c->n_disks ? c->disk[dev].place : c->nic[dev - c->n_disks].place;

	if (dev < c->n_disks && !dom_disk_is_virtio(&c->disk[dev]))
		return 0; /* its controller stays where it is */
	return place <= c->hvm.places ? place : 0;
}

size_t qargs_socket(unsigned place)
{
	return DOM_DISKS_MAX + DOM_NICS_MAX + place - 1;
}

void qargs_bus(const struct dom_config *c, unsigned place, char bus[16], char addr[12])
{
	bool ports = has_ports(c);

	if (ports)
		snprintf(bus, 16, "port%u", place);
	else
		snprintf(bus, 16, "pci.0");
	snprintf(addr, 12, "0x%x", ports ? 0 : SLOT_PLACES + place - 1);
}

/* The names of device @dev's parts, where it stands (at @slot, or at its place), and its socket's number. */
struct stand {
	char chardev[24], netdev[24], at[40];
	size_t socket;
};

static struct stand stand_of(const struct dom_config *c, size_t dev, size_t i, size_t slot)
{
	struct stand s = { .socket = dev };
	unsigned place = qargs_place(c, dev);
	char bus[16], addr[12];

	if (!place) {
		snprintf(s.chardev, sizeof(s.chardev), "dev%zu", dev);
		snprintf(s.netdev, sizeof(s.netdev), "net%zu", i);
		snprintf(s.at, sizeof(s.at), "addr=0x%zx", slot);
		return s;
	}
	qargs_bus(c, place, bus, addr);
	snprintf(s.chardev, sizeof(s.chardev), QARGS_PLUG "%u", place);
	snprintf(s.netdev, sizeof(s.netdev), QARGS_PLUG_NET "%u", place);
	snprintf(s.at, sizeof(s.at), "bus=%s,addr=%s", bus, addr);
	s.socket = qargs_socket(place);
	return s;
}

static bool has_ahci(const struct dom_config *cfg)
{
	const struct dom_machine *m = dom_machine(cfg, NULL);

	return m && m->ahci;
}

static void put_option(struct args *a, const char *option, const char *value)
{
	if (!value)
		return;
	put(a, "%s", option);
	put(a, "%s", value);
}

static void put_qdisk(struct args *a, int r, const struct qdisk *d)
{
	if (r < 0)
		a->r = r;
	put_option(a, "-chardev", d->chardev);
	put_option(a, "-blockdev", d->blockdev);
	put_option(a, "-device", d->bridge);
	put_option(a, "-device", d->device);
}

static void put_disks(struct args *a, const struct qargs *q)
{
	const struct dom_config *c = q->cfg;
	bool ahci = has_ahci(c);
	size_t at = 0; /* of those that have no place: those that come and go leave theirs where they are */

	for (size_t i = 0; i < c->n_disks; i++) {
		_cleanup_qdisk_ struct qdisk d = { 0 };
		struct stand s = stand_of(c, i, i, SLOT_DISK + at);
		struct qdisk_of o = { .disk = &c->disk[i],
			              .dev = i,
			              .id = qargs_place(c, i) ? s.chardev : c->disk[i].target,
			              .chardev = s.chardev,
			              .at = s.at,
			              .socket = s.socket,
			              .sectors = q->sectors[i],
			              .boot = qargs_boot(c, i),
			              .ahci = ahci };
		at += !qargs_place(c, i);
		put_qdisk(a, qdisk_of_disk(&o, &d), &d);
	}
	for (size_t i = 0; i < c->hvm.n_drives; i++) {
		_cleanup_qdisk_ struct qdisk d = { 0 };
		put_qdisk(a, qdisk_of_drive(&c->hvm.drive[i], ahci, &d), &d);
	}
}

static void put_nics(struct args *a, const struct qargs *q)
{
	const struct dom_config *c = q->cfg;
	size_t at = 0; /* of those that have no place, as above */

	for (size_t i = 0; i < c->n_nics; i++) {
		_cleanup_qnic_ struct qnic n = { 0 };
		size_t dev = c->n_disks + i; /* as devs.h numbers them: disks, then NICs */
		struct stand s = stand_of(c, dev, i, SLOT_NIC + at);
		struct qnic_of o = { .nic = &c->nic[i],
			             .kvm = q->kvm,
			             .id = qargs_place(c, dev) ? s.chardev : NULL,
			             .netdev = s.netdev,
			             .at = s.at,
			             .chardev = s.chardev,
			             .socket = s.socket,
			             .fd = q->nic[i],
			             .boot = qargs_boot(c, dev),
			             .rom = qnic_rom(c, i) };

		at += !qargs_place(c, dev);
		if (qnic_of_nic(&o, &n) < 0)
			a->r = -ENOMEM;
		put_option(a, "-chardev", n.chardev);
		put_option(a, "-netdev", n.netdev);
		put_option(a, "-device", n.device);
	}
}

/* What other devices are on, so before them. */
static void put_controllers(struct args *a, const struct qargs *q)
{
	bool ahci = has_ahci(q->cfg);

	put_option(a, "-device", qdisk_controller(q->cfg, DOM_BUS_SCSI, ahci));
	put_option(a, "-device", qdisk_controller(q->cfg, DOM_BUS_SATA, ahci));
	if (!q->cfg->hvm.usb)
		return;
	put(a, "-device");
	put(a, "qemu-xhci,id=usb,p2=15,p3=15,addr=0x%x", SLOT_USB);
}

static void put_devices(struct args *a, const struct qargs *q)
{
	const struct dom_config *c = q->cfg;

	put_ports(a, c);
	put_controllers(a, q);
	put_disks(a, q);
	put_nics(a, q);
	for (size_t i = 0; i < c->n_rngs; i++) {
		put(a, "-object");
		put(a, "rng-builtin,id=rng%zu", i);
		put(a, "-device");
		put(a, "virtio-rng-pci,rng=rng%zu,addr=0x%zx," VIRTIO, i, SLOT_RNG + i);
	}
	if (!c->balloon)
		return;
	put(a, "-device");
	put(a, "virtio-balloon-pci,id=balloon,deflate-on-oom=on,free-page-reporting=%s,addr=0x%x," VIRTIO,
	    c->hvm.page_reporting ? "on" : "off", SLOT_BALLOON);
}

int qargs_build(const struct qargs *q, char ***ret, struct err *err)
{
	const char *machine = qargs_machine(q->cfg, err);
	struct args a = { .v = calloc(ARGS_MAX, sizeof(*a.v)) };

	if (!machine || !a.v) {
		free(a.v);
		return machine ? err_set(err, ENOMEM, "out of memory") : -ENOTSUP;
	}
	put(&a, "%s", q->program);
	put_machine(&a, q, machine);
	put_firmware(&a, q);
	put_clock(&a, q);
	put_chipset(&a, q);
	put_boot(&a, q);
	put_consoles(&a, q);
	put_devices(&a, q);
	put_screen(&a, q);
	put_peripherals(&a, q);
	if (q->incoming) {
		put(&a, "-incoming");
		put(&a, "defer");
	}
	if (a.r < 0) {
		qargs_free(a.v);
		return a.r == -ENOMEM
		               ? err_set(err, ENOMEM, "out of memory")
		               : err_set(err, E2BIG, "QEMU's command line for domain '%s' is too long", q->cfg->name);
	}
	*ret = a.v;
	return 0;
}

void qargs_free(char **argv)
{
	for (char **p = argv; p && *p; p++)
		free(*p);
	free(argv);
}
