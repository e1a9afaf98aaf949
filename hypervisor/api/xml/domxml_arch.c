/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads which processor a guest has, and refuses what only machines with another one have. What is different between them is said in
 * hypervisor/api/domarch.c. The document keeps these elements as they are.
 */
#include "config.h"
#include "hypervisor/api/xml/domxml_int.h"

#include <string.h>
#include "hypervisor/api/domarch.h"

#define GIC2_VCPUS 8u

int dx_arch(struct dx *x, const xmlNode *type, const char *name, struct dom_config *cfg)
{
	int i = dom_arch_named(name);

	if (i < 0 || (i != DOM_ARCH_X86_64 && cfg->type == DOM_TYPE_UML))
		return dx_fail(x, type, "arch '%.40s' is not supported (%s)", name,
		               cfg->type == DOM_TYPE_UML ? "x86_64" : "x86_64, aarch64");
	if (cfg->type == DOM_TYPE_KVM && !dom_arch_at((unsigned)i)->hosts)
		return dx_fail(x, type,
		               "arch '%s' is not that of a host's processor: <domain type='qemu'> translates it", name);
	cfg->arch = (enum dom_arch)i;
	return 0;
}

static int parse_gic(struct dx *x, const xmlNode *domain, struct dom_config *cfg)
{
	xmlNode *gic = dx_child(dx_child(domain, "features"), "gic");
	_cleanup_free_ char *version = gic ? dx_attr(gic, "version") : NULL;

	cfg->hvm.gic = dom_arch(cfg)->gic;
	if (!gic)
		return 0;
	if (!dom_arch(cfg)->gic)
		return dx_fail(x, gic, "arch '%s' has no such interrupt controller", dom_arch(cfg)->name);
	if (version && strcmp(version, "2") && strcmp(version, "3"))
		return dx_fail(x, gic, "version '%.20s' is not supported (2, 3)", version);
	if (version)
		cfg->hvm.gic = (unsigned)(*version - '0');
	if (cfg->hvm.gic == 2 && cfg->vcpus > GIC2_VCPUS)
		return dx_fail(x, gic, "version 2 is for up to %u vCPUs", GIC2_VCPUS);
	return 0;
}

static int refuse(struct dx *x, const xmlNode *node, const struct dom_config *cfg, const char *what)
{
	return dx_fail(x, node, "%s: not for arch '%s'", what, dom_arch(cfg)->name);
}

int dx_check_arch(struct dx *x, const xmlNode *domain, struct dom_config *cfg)
{
	const xmlNode *devices = dx_child(domain, "devices"), *os = dx_child(domain, "os");
	const struct dom_hvm *h = &cfg->hvm;
	int r = parse_gic(x, domain, cfg);

	if (r < 0 || dom_arch(cfg)->pc)
		return r;
	if (cfg->fw.efi)
		return refuse(x, os, cfg, "UEFI is not supported yet (boot a <kernel>)");
	if (!cfg->kernel)
		return dx_fail(x, os, "arch '%s' has no BIOS: it needs a <kernel>", dom_arch(cfg)->name);
	if (h->cpu.mode == DOM_CPU_PASSTHROUGH || h->cpu.mode == DOM_CPU_HOST_MODEL)
		return dx_fail(
			x, dx_child(domain, "cpu"),
			"no host has a processor of arch '%s': mode 'custom' with a <model> (cortex-a57, cortex-a72), "
			"or 'maximum'",
			dom_arch(cfg)->name);
	if (h->cpu.dies > 1)
		return refuse(x, dx_child(dx_child(domain, "cpu"), "topology"), cfg, "more than one die");
	if (h->watchdog == DOM_WATCHDOG_IB700 || h->watchdog == DOM_WATCHDOG_ITCO)
		return refuse(x, dx_child(devices, "watchdog"), cfg, "a watchdog of this model (i6300esb is there)");
	return 0;
}
