/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables: see domarch.h. */
#include "config.h"
#include "hypervisor/api/domarch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MIB (1ull << 20)

static const struct dom_arch_info archs[] = {
	[DOM_ARCH_X86_64] = { .name = "x86_64",
	                      .engine = "qemu",
	                      .program = "/usr/bin/qemu-system-x86_64",
	                      .program_variable = "HOSPES_QEMU",
	                      .package = "qemu-system-x86",
	                      .firmware_package = "ovmf",
	                      .code_bytes_max = 16 * MIB,
	                      .vars_bytes_max = 4 * MIB,
	                      .code_block = "system.flash0",
	                      .hosts = true,
	                      .pc = true,
	                      .cpu = "max",
	                      .cpu_maximum = "max",
	                      .machine_options = ",vmport=off",
	                      .serial = { "-device", "isa-serial,chardev=ttyS0" },
	                      .panic = "pvpanic" },
	/*
	 * "max" signs pointers by a cipher that takes most of the time where it is translated; so does a kernel of Debian's for each of its
	 * calls. The maximum has another one, and what guests get unasked has none. PCs have a bridge where pvpanic stands here.
	 */
	[DOM_ARCH_AARCH64] = { .name = "aarch64",
	                       .engine = "qemu-aarch64",
	                       .program = "/usr/bin/qemu-system-aarch64",
	                       .program_variable = "HOSPES_QEMU_AARCH64",
	                       .package = "qemu-system-arm",
	                       .firmware_package = "qemu-efi-aarch64",
	                       .code_bytes_max = 64 * MIB,
	                       .vars_bytes_max = 64 * MIB,
	                       .code_block = "virt.flash0",
	                       .gic = 3,
	                       .cpu = "cortex-a72",
	                       .cpu_maximum = "max,pauth-impdef=on",
	                       .machine_options = "",
	                       .serial = { "-serial", "chardev:ttyS0" },
	                       .panic = "pvpanic-pci,addr=0x1f" },
};

/* hw/i386/pc_q35.c, hw/i386/pc_piix.c, hw/arm/virt.c of QEMU */
static const struct dom_machine machines[] = {
	{ .alias = "q35",
	  .current = "pc-q35-7.2",
	  .family = "pc-q35-",
	  .low_max = 0xb0000000,
	  .low_bytes = 0x80000000,
	  .bridge = "ICH9-LPC",
	  .ahci = true,
	  .places = 8,
	  .ports = true,
	  .itco = true,
	  .smm = true },
	{ .alias = "pc",
	  .current = "pc-i440fx-7.2",
	  .family = "pc-i440fx-",
	  .low_max = 0xe0000000,
	  .low_bytes = 0xc0000000,
	  .bridge = "PIIX4_PM",
	  .ide = true,
	  .places = 4 },
	{ .arch = DOM_ARCH_AARCH64,
	  .alias = "virt",
	  .current = "virt-7.2",
	  .family = "virt-",
	  .ram_start = 1024 * MIB,
	  .low_max = UINT64_MAX,
	  .places = 8,
	  .ports = true },
};

const struct dom_arch_info *dom_arch_at(unsigned i)
{
	return i < ARRAY_SIZE(archs) ? &archs[i] : NULL;
}

const struct dom_arch_info *dom_arch(const struct dom_config *cfg)
{
	return &archs[cfg->arch];
}

int dom_arch_named(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++)
		if (!strcmp(archs[i].name, name))
			return (int)i;
	return -1;
}

const struct dom_machine *dom_machine_at(unsigned i)
{
	return i < ARRAY_SIZE(machines) ? &machines[i] : NULL;
}

const struct dom_machine *dom_machine(const struct dom_config *cfg, struct err *err)
{
	char names[64] = "";

	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		const struct dom_machine *m = &machines[i];
		size_t at = strlen(names);

		if (m->arch != cfg->arch)
			continue;
		if (!cfg->machine || !strcmp(cfg->machine, m->alias) ||
		    !strncmp(cfg->machine, m->family, strlen(m->family)))
			return m;
		snprintf(names + at, sizeof(names) - at, "%s, ", m->alias);
	}
	(void)err_set(err, ENOTSUP, "machine '%.60s' of domain '%s' is not supported (%sor a version of them)",
	              cfg->machine, cfg->name, names);
	return NULL;
}
