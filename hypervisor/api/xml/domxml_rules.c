/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of the elements and attributes of domain XML that this hypervisor does not use: nothing that anybody would miss, a note
 * that says what the guest has instead, or a refusal where the guest's data or isolation would not be what the document says. What no
 * rule names is kept and listed (domxml_known.c). The first rule that fits counts. ADR 84.
 */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <string.h>

#define FINE(path, attr)                                                                                               \
	{                                                                                                              \
		path, attr, NULL, DX_FINE, false, NULL                                                                 \
	}
#define FINE_IF(path, attr, value)                                                                                     \
	{                                                                                                              \
		path, attr, value, DX_FINE, false, NULL                                                                \
	}
#define NOTE(path, attr, text)                                                                                         \
	{                                                                                                              \
		path, attr, NULL, DX_NOTE, false, text                                                                 \
	}
#define NOTE_IF(path, attr, value, text)                                                                               \
	{                                                                                                              \
		path, attr, value, DX_NOTE, false, text                                                                \
	}
#define REFUSE(path, text)                                                                                             \
	{                                                                                                              \
		path, NULL, NULL, DX_REFUSE, false, text                                                               \
	}
#define REFUSE_IF(path, attr, value, text)                                                                             \
	{                                                                                                              \
		path, attr, value, DX_REFUSE, false, text                                                              \
	}
#define NEVER(path, text)                                                                                              \
	{                                                                                                              \
		path, NULL, NULL, DX_REFUSE, true, text                                                                \
	} /* for all engines */
#define NEVER_IF(path, attr, value, text)                                                                              \
	{                                                                                                              \
		path, attr, value, DX_REFUSE, true, text                                                               \
	}

#define DISK "devices/disk"
#define NIC  "devices/interface"

#define TUNING    "is not done: the guest shares processors, memory and disks as all do"
#define HOTPLUG   "is not supported: the guest would have less memory than the document says"
#define ENCRYPTED "is not supported: the guest would read and write the image without encryption"
#define PIECE     "is not supported: the guest would have the whole image"
#define SHARED    "is not supported: the guest would miss what is shared with it"
#define NETWORK   "is not supported: the interface would be in another network"

static const struct dx_rule rules[] = {
	/* disks */
	NEVER(DISK "/encryption", ENCRYPTED),
	NEVER(DISK "/source/encryption", ENCRYPTED),
	NEVER(DISK "/transient", "is not supported: what the guest writes would stay in the image"),
	NEVER(DISK "/source/slices", PIECE),
	NEVER(DISK "/source/reservations", "is not supported: the guest's reservations would not hold"),
	NEVER(DISK "/source/cookies", "is not supported (file, block)"),
	NEVER(DISK "/mirror", "is not supported: end the block job before, or the copy would be incomplete"),
	NEVER(DISK "/auth", "is not supported (file, block)"),
	NEVER_IF(DISK "/blockio", "logical_block_size", "!512",
	         "has to be 512: the guest would find its partitions elsewhere"),
	NEVER_IF(DISK, "rawio", "yes", "'yes' is not supported: the guest's SCSI commands would not get through"),
	FINE(DISK "/blockio", NULL),
	FINE(DISK, "snapshot"),
	FINE(DISK, "model"),
	FINE(DISK, "rawio"),
	FINE(DISK, "sgio"),
	FINE(DISK "/address", NULL),
	FINE(DISK "/alias", NULL),
	FINE(DISK "/source", "index"),
	FINE(DISK "/source", "startupPolicy"),
	FINE(DISK "/target", "tray"),
	FINE(DISK "/target", "removable"),
	FINE(DISK "/target", "rotation_rate"),
	FINE(DISK "/driver", "io"),
	FINE(DISK "/driver", "iothread"),
	FINE(DISK "/driver", "queues"),
	FINE(DISK "/driver", "queue_size"),
	FINE(DISK "/driver", "ioeventfd"),
	FINE(DISK "/driver", "event_idx"),
	FINE(DISK "/driver", "discard_no_unref"),
	FINE(DISK "/driver", "iommu"),
	FINE(DISK "/driver", "ats"),
	FINE(DISK "/driver", "packed"),
	FINE_IF(DISK "/driver", "copy_on_read", "off"),
	FINE_IF(DISK "/driver", "detect_zeroes", "off"),
	NOTE(DISK "/driver", "copy_on_read", "is not done: blocks stay where they are"),
	NOTE(DISK "/driver", "detect_zeroes", "is not done: zeros take their room in the image"),
	NOTE(DISK "/iotune", NULL, "is not done: the disk is as fast as it can be"),
	NOTE(DISK "/geometry", NULL, "is the engine's own"),
	NOTE(DISK "/vendor", NULL, "is not shown to the guest"),
	NOTE(DISK "/product", NULL, "is not shown to the guest"),

	/* interfaces */
	NEVER(NIC "/vlan", NETWORK),
	NEVER(NIC "/virtualport", NETWORK),
	NEVER(NIC "/filterref", "is not supported: the guest's frames would not be filtered"),
	NEVER(NIC "/backenddomain", NETWORK),
	NEVER(NIC "/script", "is not supported: what it sets up on the host would be missing"),
	NEVER(NIC "/downscript", "is not supported: what it takes down on the host would stay"),
	NEVER_IF(NIC "/port", "isolated", "yes", "isolated='yes' is not supported: other guests could reach this one"),
	NEVER_IF(NIC "/link", "state", "down", "state='down' is not supported: the guest would be connected"),
	NEVER_IF(NIC "/source", "portgroup", NULL, NETWORK),
	FINE(NIC "/source", "network"),
	FINE(NIC "/source", "portid"),
	NEVER_IF(NIC "/target", "managed", "no", "managed='no' is not supported: taps are made at start"),
	FINE(NIC "/target", "managed"),
	FINE(NIC "/port", NULL),
	FINE(NIC "/link", NULL),
	FINE(NIC "/address", NULL),
	FINE(NIC "/alias", NULL),
	FINE(NIC "/mac", "type"),
	FINE(NIC "/mac", "check"),
	FINE(NIC "/driver", NULL),
	NOTE(NIC "/rom", "file", "is not used: a card that is booted from has iPXE, of the package ipxe-qemu"),
	FINE(NIC "/rom", NULL),
	FINE(NIC "/backend", NULL),
	FINE(NIC "/coalesce", NULL),
	FINE(NIC "/acpi", NULL),
	FINE(NIC, "trustGuestRxFilters"),
	NOTE(NIC "/bandwidth", NULL, "is not done: the interface is as fast as it can be"),
	NOTE(NIC "/tune", NULL, "is the engine's own"),

	/* consoles, and what goes with the devices that there are */
	FINE("devices/serial/target/model", NULL),
	FINE("devices/serial/alias", NULL),
	FINE("devices/serial/address", NULL),
	FINE("devices/console/alias", NULL),
	FINE("devices/console/address", NULL),
	FINE("devices/rng/alias", NULL),
	FINE("devices/rng/address", NULL),
	FINE("devices/rng/driver", NULL),
	NOTE("devices/rng/rate", NULL, "is not done: random numbers come as fast as they are read"),
	FINE("devices/memballoon/alias", NULL),
	FINE("devices/memballoon/address", NULL),
	FINE("devices/memballoon/stats", NULL),
	FINE("devices/memballoon", "autodeflate"),
	FINE("devices/memballoon", "freePageReporting"),
	FINE("devices/watchdog/alias", NULL),
	FINE("devices/watchdog/address", NULL),
	FINE("devices/input/alias", NULL),
	FINE("devices/input/address", NULL),
	FINE("devices/input", "model"),
	FINE("devices/video/alias", NULL),
	FINE("devices/video/address", NULL),
	FINE("devices/video/driver", NULL),
	FINE("devices/emulator", NULL),

	/* devices */
	NOTE("devices/sound", NULL, "is left out: the guest has no sound card"),
	FINE("devices/audio", NULL),
	NOTE("devices/smartcard", NULL, "is left out: the guest has no card reader"),
	NOTE("devices/redirdev", NULL, "is left out: nobody can connect USB devices"),
	FINE("devices/redirfilter", NULL),
	NOTE("devices/hub", NULL, "is left out: the controller has ports for all"),
	NOTE_IF("devices/channel", "type", "spicevmc", "of SPICE is left out: the guest's screen can be had by VNC"),
	NOTE_IF("devices/channel", "type", "spiceport", "of SPICE is left out: there is no server for it"),
	NOTE("devices/parallel", NULL, "is left out: the guest has no parallel port"),
	NOTE("devices/vsock", NULL, "is left out: the guest has no such socket to the host"),
	NOTE("devices/crypto", NULL, "is left out: the guest computes by itself"),
	NOTE("devices/iommu", NULL, "is left out: the guest's devices have no translation"),
	NOTE("devices/nvram", NULL, "is left out: it belongs to other processors"),
	NOTE_IF("devices/panic", "model", "hyperv", "is as model 'isa'"),
	FINE("devices/panic", NULL),
	FINE_IF("devices/controller", "type", "pci"),
	FINE_IF("devices/controller", "type", "ide"),
	FINE_IF("devices/controller", "type", "sata"),
	FINE_IF("devices/controller", "type", "scsi"),
	FINE_IF("devices/controller", "type", "fdc"),
	FINE_IF("devices/controller", "type", "virtio-serial"),
	FINE_IF("devices/controller", "type", "ccid"),
	FINE_IF("devices/controller", "type", "usb"), /* dx_parse_hvm_devices() */
	REFUSE("devices/hostdev", "is not supported: a device of the host's cannot move with the guest"),
	REFUSE("devices/tpm", "is not supported: what the guest has sealed in it would be lost"),
	REFUSE("devices/filesystem", SHARED),
	REFUSE("devices/shmem", SHARED),
	REFUSE("devices/memory", HOTPLUG),
	REFUSE("devices/lease", "is not supported: the lock that protects the guest's data would not be held"),

	/* the domain */
	REFUSE("launchSecurity", "is not supported: the host could read the guest's memory"),
	REFUSE("keywrap", "is not supported: the guest's keys would not be wrapped"),
	REFUSE("bootloader", "is not supported (<os><kernel>, or the firmware)"),
	REFUSE("idmap", "is for containers"),
	FINE("bootloader_args", NULL),
	NOTE("genid", NULL, "is not shown to the guest"),
	NOTE("maxMemory", NULL, "is not done: memory is <memory> as long as the guest runs"),
	FINE_IF("memory", "dumpCore", "off"),
	NOTE("memory", "dumpCore", "is not done: dumps never hold the guest's memory"),
	FINE("memory", "slots"),
	FINE("memoryBacking", NULL),
	FINE("memoryBacking/nosharepages", NULL),
	FINE("memoryBacking/source", NULL),
	FINE("memoryBacking/access", NULL),
	FINE("memoryBacking/allocation", NULL),
	FINE("memoryBacking/discard", NULL),
	NOTE("memoryBacking/hugepages", NULL, "is not done: pages are of 4 KiB"),
	NOTE("memoryBacking/locked", NULL, "is not done: the guest's memory may be swapped out"),
	NOTE("memtune", NULL, TUNING),
	NOTE("numatune", NULL, TUNING),
	NOTE("cputune", NULL, TUNING),
	NOTE("blkiotune", NULL, TUNING),
	NOTE("resource", NULL, TUNING),
	NOTE("vcpu", "cpuset", TUNING),
	NOTE("vcpu", "current", "is not done: the guest has all its vCPUs from the start"),
	FINE("vcpus", NULL),
	FINE("iothreads", NULL),
	FINE("iothreadids", NULL),
	FINE("defaultiothread", NULL),
	FINE("perf", NULL),
	FINE("on_lockfailure", NULL),
	NOTE("sysinfo", NULL, "is not shown to the guest"),

	/* the processor */
	FINE("cpu", "match"),
	FINE("cpu", "migratable"),
	FINE("cpu/model", "fallback"),
	NOTE("cpu/model", "vendor_id", "is the model's own"),
	FINE("cpu/topology", "clusters"),
	FINE("cpu/vendor", NULL),
	NOTE("cpu/cache", NULL, "is the model's own"),
	NOTE("cpu/maxphysaddr", NULL, "is the model's own"),
	NOTE("cpu/numa", NULL, "is not done: the guest has one node"),

	/* features */
	FINE("features/acpi", NULL),
	FINE("features/apic", NULL),
	FINE("features/pae", NULL),
	FINE("features/hap", NULL),
	FINE("features/viridian", NULL),
	FINE("features/privnet", NULL),
	FINE("features/vmcoreinfo", NULL),
	FINE_IF("features/vmport", "state", "off"),
	NOTE("features/vmport", NULL, "is off"),
	FINE_IF("features/smm", "state", "off"),
	NOTE("features/ioapic", NULL, "is the engine's own"),
	NOTE("features/pvspinlock", NULL, "is the engine's own"),
	NOTE("features/kvm/hint-dedicated", NULL, "is not done"),
	NOTE("features/kvm/poll-control", NULL, "is the engine's own"),
	NOTE("features/kvm/pv-ipi", NULL, "is the engine's own"),
	NOTE("features/kvm/dirty-ring", NULL, "is not used: writes are tracked otherwise"),
	NOTE("features/tcg", NULL, "is the engine's own"),
	NOTE("features/msrs", NULL, "is the engine's own"),
	NOTE("features/xen", NULL, "is left out: the guest sees no Xen"),
	NOTE("features/async-teardown", NULL, "is not done"),

	/* clock: the timers that are honoured are read in domxml_hvm.c */
	FINE("clock/timer", "track"),
	FINE("clock/timer", "frequency"),
	FINE("clock/timer", "mode"),
	FINE("clock/timer/catchup", NULL),
};

/* Does the attribute @name of @node fit @want? Without a copy: an attribute must not look missing when memory is. */
static bool fits(const xmlNode *node, const char *name, const char *want)
{
	const xmlAttr *a = xmlHasProp(node, (const xmlChar *)name);
	const char *value = a && a->children && a->children->content ? (const char *)a->children->content : "";

	if (!a)
		return false;
	if (!want)
		return true;
	return *want == '!' ? strcmp(value, want + 1) != 0 : !strcmp(value, want);
}

const struct dx_rule *dx_rule(const xmlNode *node, const char *path, const char *attr, enum dom_type type)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct dx_rule *r = &rules[i];

		if ((type == DOM_TYPE_UML && !r->all) || strcmp(r->path, path) != 0)
			continue;
		if (attr && (!r->attr || strcmp(r->attr, attr) != 0))
			continue;
		if (!r->attr || fits(node, r->attr, r->value))
			return r;
	}
	return NULL;
}
