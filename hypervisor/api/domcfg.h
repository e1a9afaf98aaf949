/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A domain's configuration as a plain struct, and its libvirt-compatible XML form. hypervisor/api/xml/ reads and writes
 * the XML with libxml2; all other code uses only this struct. Valid elements that are not used are kept, together with
 * the original document, and listed once; what is honoured in another way than it is written is noted (ADR 84).
 */
#ifndef HOSPES_HYPERVISOR_DOMCFG_H
#define HOSPES_HYPERVISOR_DOMCFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"
#include "common/err.h"

struct path_rules;

enum dom_type { DOM_TYPE_UML, DOM_TYPE_KVM, DOM_TYPE_QEMU };
enum dom_arch { DOM_ARCH_X86_64, DOM_ARCH_AARCH64 }; /* domarch.h has what is different */
enum dom_action { DOM_ACTION_DESTROY, DOM_ACTION_RESTART, DOM_ACTION_PRESERVE };
/*
 * What to do when the guest's agent misses its heartbeat (docs/wire/agent.md), or its watchdog device runs out; reset is libvirt's
 * default. The last two are a watchdog device's only.
 */
enum dom_watchdog {
	DOM_WATCHDOG_RESET,
	DOM_WATCHDOG_POWEROFF,
	DOM_WATCHDOG_PAUSE,
	DOM_WATCHDOG_NONE,
	DOM_WATCHDOG_SHUTDOWN,
	DOM_WATCHDOG_NMI
};
/* The device; none for uml, whose <watchdog model> is only kept. */
enum dom_watchdog_model { DOM_WATCHDOG_NO_DEVICE, DOM_WATCHDOG_I6300ESB, DOM_WATCHDOG_IB700, DOM_WATCHDOG_ITCO };
enum dom_video { DOM_VIDEO_NONE, DOM_VIDEO_VGA, DOM_VIDEO_BOCHS, DOM_VIDEO_CIRRUS, DOM_VIDEO_VIRTIO };
enum dom_input { DOM_INPUT_TABLET, DOM_INPUT_KEYBOARD, DOM_INPUT_MOUSE };
enum dom_cpu_mode { DOM_CPU_DEFAULT, DOM_CPU_PASSTHROUGH, DOM_CPU_HOST_MODEL, DOM_CPU_CUSTOM, DOM_CPU_MAXIMUM };
enum dom_cpu_policy { DOM_CPU_FORCE, DOM_CPU_REQUIRE, DOM_CPU_OPTIONAL, DOM_CPU_DISABLE };
enum dom_disk_type { DOM_DISK_FILE, DOM_DISK_BLOCK };
enum dom_disk_format { DOM_FORMAT_RAW, DOM_FORMAT_QCOW2 };
/* Where a guest finds a disk: on virtio a device of its own, else on a controller of that kind. */
enum dom_bus { DOM_BUS_VIRTIO, DOM_BUS_IDE, DOM_BUS_SATA, DOM_BUS_SCSI, DOM_BUS_USB };
enum dom_nic_type { DOM_NIC_BRIDGE, DOM_NIC_ETHERNET };
/* The card that the guest sees. */
enum dom_nic_model { DOM_NIC_VIRTIO, DOM_NIC_E1000, DOM_NIC_E1000E, DOM_NIC_RTL8139 };
enum dom_char_type { DOM_CHAR_PTY, DOM_CHAR_FILE };
/* As libvirt's error_policy and rerror_policy. */
enum dom_error_policy { DOM_ERROR_DEFAULT, DOM_ERROR_STOP, DOM_ERROR_REPORT, DOM_ERROR_IGNORE, DOM_ERROR_ENOSPACE };
enum dom_disk_cache { DOM_CACHE_DEFAULT, DOM_CACHE_NONE, DOM_CACHE_WRITEBACK, DOM_CACHE_WRITETHROUGH };
enum dom_clock { DOM_CLOCK_UTC, DOM_CLOCK_LOCALTIME, DOM_CLOCK_VARIABLE };
enum dom_switch { DOM_SWITCH_ANY, DOM_SWITCH_NO, DOM_SWITCH_YES };
enum dom_boot { DOM_BOOT_HD, DOM_BOOT_CDROM, DOM_BOOT_FD, DOM_BOOT_NETWORK };

#define DOM_DISKS_MAX 8
#define DOM_DRIVES_MAX 3
#define DOM_NICS_MAX 8
#define DOM_CONSOLES_MAX 4
#define DOM_RNGS_MAX 2
#define DOM_INPUTS_MAX 4
#define DOM_CPU_FEATURES_MAX 160
#define DOM_HYPERV_MAX 24
#define DOM_BOOT_MAX 4
#define DOM_PLACES_MAX 8
#define DOM_STATS_PERIOD_MAX INT32_MAX
#define DOM_VNC_PASSWORD_MAX 8
#define DOM_VNC_PORT_FIRST 5900
#define DOM_SOCKET_PATH_MAX 107

const char *dom_bus_name(enum dom_bus bus); /* as in XML; static text */
/* A place on a controller. */
struct dom_place {
	enum dom_bus bus;
	unsigned target;         /* ide: the channel; scsi: the target; else 0 */
	unsigned unit;           /* ide: master, slave; sata, usb: the port; scsi: the LUN */
};
struct dom_disk {
	enum dom_disk_type type;
	enum dom_disk_format format;
	char *source;            /* absolute path; owned */
	char target[16];         /* vda, sda, hda... (uml's "ubda" is read as vda) */
	struct dom_place at;
	bool readonly, shareable;
	bool cdrom;              /* on virtio the guest has it as a disk that it only reads */
	char wwn[17];            /* 16 hexadecimal digits, empty: none */
	enum dom_disk_cache cache;  /* none: O_DIRECT when the file system can; writethrough: flush every write */
	bool discard;
	enum dom_error_policy error_policy, rerror_policy; /* of writes; of reads */
	char *serial;            /* owned, NULL: none */
	unsigned boot_order;     /* 1 is the first; 0: not given */
	unsigned place;          /* kvm, qemu: of those in struct dom_hvm, from 1: it may come and go; 0: it stays while the guest runs */
};
static inline bool dom_disk_is_virtio(const struct dom_disk *d)
{
	return d->at.bus == DOM_BUS_VIRTIO;
}
/* A CD-ROM drive without a medium. */
struct dom_drive {
	char target[16];
	struct dom_place at;
};
/* <os firmware>, <loader>, <nvram>; api/firmware.h finds what is not named. */
struct dom_firmware {
	bool efi;                /* false: SeaBIOS */
	char *loader;            /* owned, NULL: any that fits; paths are absolute */
	char *nvram, *template;  /* the domain's variables, and what they begin with; owned, NULL: not named */
	enum dom_switch secure;  /* <loader secure>: only code in SMM writes variables */
	enum dom_switch secure_boot, enrolled_keys; /* <feature> of <firmware> */
};
struct dom_nic {
	enum dom_nic_type type;
	char bridge[16];         /* bridge: source bridge; ethernet: empty */
	char target[16];         /* tap name; empty: chosen at start */
	uint8_t mac[6];          /* generated from the uuid and index when the XML has none, and then written out */
	bool mac_given;
	uint16_t mtu;            /* 0: default */
	unsigned place;          /* as a disk's */
	enum dom_nic_model model; /* uml: virtio */
	unsigned boot_order;     /* as a disk's; only without a place */
};
static inline bool dom_nic_is_virtio(const struct dom_nic *n)
{
	return n->model == DOM_NIC_VIRTIO;
}
const char *dom_nic_model_name(enum dom_nic_model model); /* as in XML; static text */
struct dom_char {
	enum dom_char_type type; /* pty: reachable by `vmctl console`; file: output is appended to path */
	char *path;              /* file; owned */
	char *log;               /* <log file=...>; owned, NULL: <log>/NAME-console.log for the first console */
};

/* libvirt's and QEMU's name of a CPU feature: letters, digits, _ . - only. */
struct dom_cpu_feature {
	char name[32];
	enum dom_cpu_policy policy;
};
struct dom_cpu {
	enum dom_cpu_mode mode;
	char model[32];          /* custom: QEMU's name, of letters, digits, _ . - only */
	bool unchecked;          /* check='none': what cannot be translated may be left out */
	struct dom_cpu_feature feature[DOM_CPU_FEATURES_MAX];
	size_t n_features;
	unsigned sockets, dies, cores, threads; /* their product is vcpus; sockets 0: not given */
};
/* An enlightenment of <features><hyperv>: its name there, with a number or a text or neither. */
struct dom_hyperv {
	char name[24];
	unsigned number;
	char text[13];
};
/* How the guest's screen can be seen, by VNC. */
struct dom_display {
	bool on;
	bool tcp;                /* on a port of 127.0.0.1, with a password; else on a Unix socket */
	unsigned port;           /* 0: the first one from DOM_VNC_PORT_FIRST that is free */
	char *socket;            /* absolute path; owned, NULL: in the domain's run directory */
	char password[DOM_VNC_PASSWORD_MAX + 1]; /* empty: none */
	int64_t valid_until_s;   /* of the password, since the epoch; 0: for ever */
};
/* What guests with a machine of their own have (kvm, qemu); all zeros for uml. */
struct dom_hvm {
	struct dom_cpu cpu;
	struct dom_hyperv hyperv[DOM_HYPERV_MAX];
	size_t n_hyperv;
	bool hypervclock, kvm_hidden, no_pmu, no_hpet, rtc_catchup, no_s3, no_s4;
	int64_t clock_adjust_s;  /* of DOM_CLOCK_VARIABLE, to UTC or to the host's local time */
	bool clock_basis_local;
	enum dom_video video;
	unsigned vram_kib;       /* of DOM_VIDEO_VGA; 0: QEMU's */
	bool usb;                /* a USB controller */
	unsigned stats_period_s; /* the balloon: how often the guest is asked for statistics of its memory; 0: not at all */
	bool page_reporting;     /* the balloon: pages that the guest has free are taken out of memory */
	enum dom_input input[DOM_INPUTS_MAX]; /* USB */
	size_t n_inputs;
	struct dom_drive drive[DOM_DRIVES_MAX];
	size_t n_drives;
	enum dom_watchdog_model watchdog;
	unsigned gic;            /* version of the interrupt controller; 0: the architecture has none */
	unsigned places;         /* the machine was made with so many, for disks and NICs that come and go; 0: none, or not decided */
	struct dom_display display;
};

struct dom_config {
	enum dom_type type;
	enum dom_arch arch;      /* of the guest's processor */
	char name[64];
	char uuid[37];           /* lower case; generated when absent */
	bool uuid_given;         /* the XML has it */
	char *title, *description;  /* owned, NULL: none */
	uint64_t memory_bytes;      /* maximum; multiple of 4096 */
	uint64_t current_memory_bytes;  /* balloon target at boot */
	unsigned vcpus;
	char *machine;           /* <os><type machine>; owned, NULL: the engine's choice */
	char *kernel;            /* <os><kernel>; owned; uml default /usr/bin/linux.uml; NULL: firmware boots from a disk (kvm, qemu) */
	char *initrd;            /* owned, NULL: none */
	char *cmdline;           /* owned, NULL: none */
	struct dom_firmware fw;  /* kvm, qemu */
	enum dom_boot boot[DOM_BOOT_MAX];   /* <boot dev>, in their order */
	size_t n_boot;
	enum dom_clock clock;
	enum dom_action on_poweroff, on_reboot, on_crash;
	struct dom_disk disk[DOM_DISKS_MAX];
	size_t n_disks;
	struct dom_nic nic[DOM_NICS_MAX];
	size_t n_nics;
	struct dom_char console[DOM_CONSOLES_MAX];  /* hvc0.. */
	size_t n_consoles;
	bool guest_agent;        /* kvm, qemu: a channel to the guest's own agent, org.qemu.guest_agent.0 */
	size_t n_rngs;           /* virtio rng with /dev/urandom */
	bool balloon;            /* virtio memballoon */
	enum dom_watchdog watchdog;
	struct dom_hvm hvm;
	char *seclabel;          /* text of <seclabel> type/model/label, owned, NULL: none; for placement rules later */
	char **unknown;          /* xpath-like names of elements kept but not used; owned, n_unknown of them */
	size_t n_unknown;
	char **note;             /* what is mapped or left out, a line each: "devices/sound: the guest has ..."; owned, n_notes of them */
	size_t n_notes;
	const struct path_rules *paths; /* where its files may be, set by who opens them; NULL: anywhere */
	void *doc;               /* the parsed document (xmlDoc), owned: source for dumps that keep unknown elements */
};

#define DOM_XML_MAX (1u << 20) /* octets of a document */

/* Parse @xml (@len octets, at most DOM_XML_MAX; no network, no entities, no XInclude). @origin names it in messages:
 * "FILE:LINE: element: reason".
 * -EINVAL for wrong XML, -E2BIG. On failure *@ret is untouched. */
int dom_config_parse(const char *xml, size_t len, const char *origin, struct dom_config **ret, struct err *err) _must_check_;
int dom_config_load(const char *path, struct dom_config **ret, struct err *err) _must_check_;
/* Replace a generated uuid, and the MAC addresses that were derived from it. */
void dom_config_set_uuid(struct dom_config *cfg, const char *uuid);
/* -ENOTSUP: it has more vCPUs or less memory than its engine can run, on any host. */
int dom_config_limits(const struct dom_config *cfg, struct err *err) _must_check_;
/*
 * The XML text (malloc'd), valid by libvirt's schema, with generated values (uuid, mac) and with unknown elements kept. It has been read
 * again and says the same. -E2BIG, -EINVAL: what would be written could not be read, or would be read differently.
 */
int dom_config_format(const struct dom_config *cfg, char **ret, struct err *err) _must_check_;
/*
 * What becomes of a document that is defined, here or in a cluster: it keeps its engine's limits; if it names no uuid, it gets that of the
 * domain of its name (@uuid, NULL: there is none). *@ret as dom_config_format(). Errors as both have.
 */
int dom_config_settle(struct dom_config *cfg, const char *uuid, char **ret, struct err *err) _must_check_;
/* Take what not everybody may read (passwords) out of the struct and the document: what is formatted then is for showing. */
void dom_config_hide_secrets(struct dom_config *cfg);
/*
 * Put where the screen is of a domain that runs into struct and document, as libvirt has it in documents of running domains: @port, or
 * @socket if that is 0. Who reads it anew lets another host choose a port again. -ENOMEM; no <graphics> of type vnc: nothing is done.
 */
int dom_config_show_screen(struct dom_config *cfg, const char *socket, unsigned port) _must_check_;
/* Give it the processor @cpu, of mode custom, in struct and document. -ENOMEM. */
int dom_config_set_cpu(struct dom_config *cfg, const struct dom_cpu *cpu) _must_check_;
/* The element of <metadata> of namespace @uri as text, malloc'd; *@ret NULL: there is none. */
int dom_config_metadata(const struct dom_config *cfg, const char *uri, char **ret, struct err *err) _must_check_;
/* Have it replaced by the element @xml, whose namespace becomes @uri with prefix @key; @xml NULL: removed. -EINVAL: @xml is no element. */
int dom_config_set_metadata(struct dom_config *cfg, const char *uri, const char *key, const char *xml, struct err *err) _must_check_;
/* Places for devices that come and go in a machine of @cfg that is made now. */
unsigned dom_config_places(const struct dom_config *cfg);

/* A disk or a NIC of a domain. */
struct dom_device {
	bool nic;
	size_t index;   /* in disk[] or nic[] */
	unsigned place;
};
/* @key: a disk's target (vda), a NIC's MAC address or its tap's name. False: there is none. */
bool dom_config_device(const struct dom_config *cfg, const char *key, struct dom_device *ret);
/*
 * The device that the document @xml (<disk> or <interface>) names, as dom_config_device() takes it: its target, its MAC address.
 * -EINVAL: it names none.
 */
int dom_device_key(const char *xml, size_t len, const char *origin, char ret[20], struct err *err) _must_check_;
/*
 * *@ret: @cfg with the device of @xml as the last of its kind, as a parsed document says it. @place 0: at the first that is free; with a
 * machine without places at none. -ENOSPC: all are taken; -EINVAL: it does not fit (its name is taken...), or is no <disk>, <interface>.
 */
int dom_config_attach(const struct dom_config *cfg, const char *xml, size_t len, const char *origin, unsigned place,
                      struct dom_config **ret, struct dom_device *ret_dev, struct err *err) _must_check_;
/* *@ret: @cfg without @dev. */
int dom_config_detach(const struct dom_config *cfg, const struct dom_device *dev, struct dom_config **ret, struct err *err) _must_check_;
/* Disks, NICs and document of @cfg become those of @with, and the other way round. */
void dom_config_swap_devices(struct dom_config *cfg, struct dom_config *with);
/* Does the guest see the host's own processor, so that it can go only where all its features are? */
bool dom_config_cpu_is_hosts(const struct dom_config *cfg);
/* The name of the engine for its type and processor ("pv", "kvm", "qemu", "qemu-aarch64"), a static text. */
const char *dom_engine(const struct dom_config *cfg);
void dom_config_free(struct dom_config *cfg);   /* takes NULL */
static inline void cleanup_dom_config(struct dom_config **c) { dom_config_free(*c); }
#define _cleanup_dom_config_ __attribute__((cleanup(cleanup_dom_config)))

#endif
