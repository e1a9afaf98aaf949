/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities of the host, and of a kind of domain: what hvdom says of its engines (hvcheck.h), in libvirt's XML. */
#include "config.h"
#include "virtd/vdh_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/api/domarch.h"
#include "hypervisor/api/hvcheck.h"

/* An engine as a <guest> or <domain>. */
static const struct kind {
	const char *engine, *type, *os;
	unsigned vcpus;
	enum dom_arch arch;
} kinds[] = {
	{ "pv", "uml", "linux", 1, DOM_ARCH_X86_64 },
	{ "kvm", "kvm", "hvm", VDH_VCPUS_QEMU, DOM_ARCH_X86_64 },
	{ "qemu", "qemu", "hvm", VDH_VCPUS_QEMU, DOM_ARCH_X86_64 },
	{ "qemu-aarch64", "qemu", "hvm", VDH_VCPUS_QEMU, DOM_ARCH_AARCH64 },
};

static const char *arch_of(const struct kind *k)
{
	return dom_arch_at(k->arch)->name;
}

static void put(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct buf *b, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	buf_put(b, line, strlen(line));
}

/* Which of kinds[] run here; an error is the call's. */
static int running_kinds(struct vd_call *c, bool ret[ARRAY_SIZE(kinds)])
{
	struct hvcheck_engine e[HVCHECK_ENGINES_MAX];
	struct err err = { 0 };
	int n = hvcheck_engines(e, &err);

	if (n < 0)
		return vd_fail_err(c, n, &err);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		ret[k] = false;
		for (int i = 0; i < n; i++)
			ret[k] |= !strcmp(e[i].name, kinds[k].engine) && e[i].runs;
	}
	return 0;
}

static void put_guest(struct buf *b, const char *os, unsigned arch, const bool runs[ARRAY_SIZE(kinds)],
                      const char *emulator)
{
	const struct dom_machine *m;
	bool any = false;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		any |= runs[k] && !strcmp(kinds[k].os, os) && kinds[k].arch == arch;
	if (!any)
		return;
	put(b, "  <guest>\n    <os_type>%s</os_type>\n    <arch name='%s'>\n      <wordsize>64</wordsize>\n", os,
	    dom_arch_at(arch)->name);
	put(b, "      <emulator>%s</emulator>\n", emulator);
	for (unsigned i = 0; !strcmp(os, "hvm") && (m = dom_machine_at(i)); i++)
		if (m->arch == arch)
			put(b, "      <machine maxCpus='%u'>%s</machine>\n", VDH_VCPUS_QEMU, m->alias);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		if (runs[k] && !strcmp(kinds[k].os, os) && kinds[k].arch == arch)
			put(b, "      <domain type='%s'/>\n", kinds[k].type);
	put(b, "    </arch>\n  </guest>\n");
}

int vdh_caps(struct vd_call *c)
{
	bool runs[ARRAY_SIZE(kinds)];
	_cleanup_free_ char *emulator = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct err err = { 0 };

	if (running_kinds(c, runs) < 0)
		return -1;
	if (hvlaunch_path(&emulator, &err) < 0)
		return vd_fail(c, VD_E_INTERNAL, "%s", err.text);
	put(&b, "<capabilities>\n  <host>\n    <cpu>\n      <arch>x86_64</arch>\n    </cpu>\n");
	put(&b, "    <migration_features>\n      <live/>\n      <uri_transports>\n"
	        "        <uri_transport>hospes</uri_transport>\n      </uri_transports>\n    </migration_features>\n"
	        "  </host>\n");
	put_guest(&b, "linux", DOM_ARCH_X86_64, runs, emulator);
	for (unsigned arch = 0; dom_arch_at(arch); arch++)
		put_guest(&b, "hvm", arch, runs, emulator);
	put(&b, "</capabilities>\n");
	buf_put(&b, "", 1);
	if (b.failed)
		return vd_fail(c, VD_E_MEMORY, "out of memory");
	xdr_put_string(&c->out, (const char *)b.data);
	return 0;
}

static void put_enum(struct buf *b, const char *name, const char *const *values)
{
	put(b, "      <enum name='%s'>\n", name);
	for (; *values; values++)
		put(b, "        <value>%s</value>\n", *values);
	put(b, "      </enum>\n");
}

/* @pc: IDE is what machines of that type have, and no others. */
static void put_devices(struct buf *b, bool hvm, bool pc)
{
	static const char *const disk[] = { "disk", NULL }, *const all[] = { "disk", "cdrom", NULL },
				 *const uml[] = { "uml", NULL }, *const buses[] = { "ide", "scsi", "virtio",
		                                                                    "usb", "sata", NULL };

	put(b, "  <devices>\n    <disk supported='yes'>\n");
	put_enum(b, "diskDevice", hvm ? all : disk);
	put_enum(b, "bus", !hvm ? uml : pc ? buses : buses + 1);
	put(b, "    </disk>\n");
	put(b, "    <graphics supported='no'/>\n    <video supported='no'/>\n    <hostdev supported='no'/>\n"
	       "    <rng supported='yes'>\n      <enum name='model'>\n        <value>virtio</value>\n      </enum>\n"
	       "      <enum name='backendModel'>\n        <value>random</value>\n      </enum>\n"
	       "    </rng>\n  </devices>\n");
}

/* NULL: of that kind of guest there is no such machine. @name NULL: the usual one. */
static const char *machine_of(const struct kind *k, const char *name)
{
	const struct dom_machine *m;

	for (unsigned i = 0; !strcmp(k->os, "hvm") && (m = dom_machine_at(i)); i++)
		if (m->arch == k->arch && (!name || !strcmp(name, m->alias)))
			return m->alias;
	return NULL;
}

/* Arguments: emulator, architecture, machine, type. Absent ones: the first that runs here. */
int vdh_domain_caps(struct vd_call *c)
{
	const char *arch = c->args.arg[1].s, *machine = c->args.arg[2].s, *type = c->args.arg[3].s;
	bool runs[ARRAY_SIZE(kinds)], known = false;
	_cleanup_free_ char *emulator = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct err err = { 0 };
	size_t k = 0;

	if (running_kinds(c, runs) < 0)
		return -1;
	for (; k < ARRAY_SIZE(kinds); k++) {
		bool fits = runs[k] && (!type || !strcmp(type, kinds[k].type));

		known |= fits;
		if (fits && (!arch || !strcmp(arch, arch_of(&kinds[k]))))
			break;
	}
	if (k == ARRAY_SIZE(kinds))
		return vd_fail(
			c, VD_E_INVALID_ARG,
			known ? "invalid argument: this host runs no domains of type '%.20s' with architecture '%.20s'"
			      : "invalid argument: this host runs no domains of type '%.20s'",
			type ? type : "any", arch ? arch : "any");
	if (machine && !machine_of(&kinds[k], machine))
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: machine '%.40s' is not known for type '%s'",
		               machine, kinds[k].type);
	if (hvlaunch_path(&emulator, &err) < 0)
		return vd_fail(c, VD_E_INTERNAL, "%s", err.text);
	put(&b, "<domainCapabilities>\n  <path>%s</path>\n  <domain>%s</domain>\n", emulator, kinds[k].type);
	machine = machine_of(&kinds[k], machine);
	if (machine)
		put(&b, "  <machine>%s</machine>\n", machine);
	put(&b, "  <arch>%s</arch>\n  <vcpu max='%u'/>\n  <os supported='yes'/>\n", arch_of(&kinds[k]), kinds[k].vcpus);
	put_devices(&b, machine != NULL, machine && !strcmp(machine, "pc"));
	put(&b, "  <features>\n    <genid supported='no'/>\n  </features>\n</domainCapabilities>\n");
	buf_put(&b, "", 1);
	if (b.failed)
		return vd_fail(c, VD_E_MEMORY, "out of memory");
	xdr_put_string(&c->out, (const char *)b.data);
	return 0;
}

/* Models are QEMU's, which has more of them than libvirt has names: a definition may name any. Arguments: architecture, are they wanted, flags. */
int vdh_cpu_models(struct vd_call *c)
{
	const char *arch = c->args.arg[0].s;

	for (unsigned i = 0; dom_arch_at(i); i++)
		if (!strcmp(dom_arch_at(i)->name, arch)) {
			xdr_put_u32(&c->out, 0);
			xdr_put_u32(&c->out, 0); /* which libvirt's clients show as: all are accepted */
			return 0;
		}
	return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: this host runs no domains with architecture '%.40s'",
	               arch);
}
