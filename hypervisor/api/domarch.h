/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The processors that a guest with a machine of its own can have, and the machines around them: the one place that says what is different
 * between them. Code asks here and compares no names. Pure tables. ADR 90.
 */
#ifndef HOSPES_HYPERVISOR_DOMARCH_H
#define HOSPES_HYPERVISOR_DOMARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "hypervisor/api/domcfg.h"

struct dom_arch_info {
	const char *name;              /* as libvirt has it: <type arch> */
	const char *engine;            /* that translates its code */
	/* QEMU: where it is, the variable that names another, the Debian package; firmware's package */
	const char *program, *program_variable, *package, *firmware_package;
	size_t code_bytes_max, vars_bytes_max; /* of UEFI's flash memory */
	const char *code_block;        /* QEMU's name for the memory that has its code */
	bool hosts;                    /* hosts have such processors: KVM can run them */
	/* What only PCs have: VGA, PS/2, HPET, sleep states, devices of the ISA bus, and "enforce" for processors. */
	bool pc;
	unsigned gic;                  /* the version that its interrupt controller has unasked; 0: there are none */
	/* In QEMU's words: the processor without <cpu> where it is translated, and the one of mode maximum */
	const char *cpu, *cpu_maximum;
	const char *machine_options;   /* behind -machine's others; begins with a comma or is empty */
	const char *serial[2];         /* the first serial line, on character device "ttyS0" */
	const char *panic;             /* the device by which a guest tells that it panicked */
};

struct dom_machine {
	enum dom_arch arch;
	const char *alias, *current;   /* what the alias is today */
	const char *family;            /* what the names of all its versions begin with */
	uint64_t ram_start;            /* guest address of its memory */
	uint64_t low_max, low_bytes;   /* memory of @low_max or more is split: @low_bytes, and the rest from 4 GiB on */
	const char *bridge;            /* QEMU's device that has its sleep states; NULL: none */
	bool ide, ahci;                /* it has such a controller for disks by itself */
	unsigned places;               /* for devices that come and go (ADR 88), 9 at most */
	bool ports;                    /* a place is a PCIe root port, and not a slot of its bus */
	bool itco, smm;                /* it has iTCO's watchdog; it has System Management Mode */
};

/* Of @cfg's processor, never NULL. */
const struct dom_arch_info *dom_arch(const struct dom_config *cfg);
/* The architecture of that name of libvirt's, -1: it is not supported; and all of them, by number, up to NULL. */
int dom_arch_named(const char *name);
const struct dom_arch_info *dom_arch_at(unsigned i);
/* All machines, up to NULL; the first one of an architecture is its default. */
const struct dom_machine *dom_machine_at(unsigned i);
/* The machine that @cfg asks for, or its architecture's default. NULL: it is none of them, and @err says which ones there are. */
const struct dom_machine *dom_machine(const struct dom_config *cfg, struct err *err);

#endif
