/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities of the host, and of a kind of domain: what hvdom says of its engines (hvcheck.h), in libvirt's XML. */
#include "config.h"
#include "virtd/vdh_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/api/hvcheck.h"

/* An engine as a <guest> or <domain>. */
static const struct kind {
	const char *engine, *type, *os;
	unsigned vcpus;
} kinds[] = {
	{ "pv", "uml", "linux", 1 },
	{ "kvm", "kvm", "hvm", VDH_VCPUS_QEMU },
	{ "qemu", "qemu", "hvm", VDH_VCPUS_QEMU },
};

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

static void put_guest(struct buf *b, const char *os, const bool runs[ARRAY_SIZE(kinds)], const char *emulator)
{
	bool any = false;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		any |= runs[k] && !strcmp(kinds[k].os, os);
	if (!any)
		return;
	put(b, "  <guest>\n    <os_type>%s</os_type>\n    <arch name='x86_64'>\n      <wordsize>64</wordsize>\n", os);
	put(b, "      <emulator>%s</emulator>\n", emulator);
	if (!strcmp(os, "hvm"))
		put(b, "      <machine maxCpus='%u'>q35</machine>\n      <machine maxCpus='%u'>pc</machine>\n",
		    VDH_VCPUS_QEMU, VDH_VCPUS_QEMU);
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		if (runs[k] && !strcmp(kinds[k].os, os))
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
	put_guest(&b, "linux", runs, emulator);
	put_guest(&b, "hvm", runs, emulator);
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

/* Arguments: emulator, architecture, machine, type. Absent ones: the first that runs here. */
int vdh_domain_caps(struct vd_call *c)
{
	const char *arch = c->args.arg[1].s, *machine = c->args.arg[2].s, *type = c->args.arg[3].s;
	bool runs[ARRAY_SIZE(kinds)], hvm;
	_cleanup_free_ char *emulator = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	struct err err = { 0 };
	size_t k = 0;

	if (running_kinds(c, runs) < 0)
		return -1;
	while (k < ARRAY_SIZE(kinds) && (!runs[k] || (type && strcmp(type, kinds[k].type))))
		k++;
	if (k == ARRAY_SIZE(kinds))
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: this host runs no domains of type '%.20s'",
		               type ? type : "any");
	if (arch && strcmp(arch, "x86_64"))
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: architecture '%.20s': only x86_64", arch);
	hvm = !strcmp(kinds[k].os, "hvm");
	if (machine && (!hvm || (strcmp(machine, "q35") && strcmp(machine, "pc"))))
		return vd_fail(c, VD_E_INVALID_ARG, "invalid argument: machine '%.40s' is not known for type '%s'",
		               machine, kinds[k].type);
	if (hvlaunch_path(&emulator, &err) < 0)
		return vd_fail(c, VD_E_INTERNAL, "%s", err.text);
	put(&b, "<domainCapabilities>\n  <path>%s</path>\n  <domain>%s</domain>\n", emulator, kinds[k].type);
	if (hvm)
		put(&b, "  <machine>%s</machine>\n", machine ? machine : "q35");
	put(&b, "  <arch>x86_64</arch>\n  <vcpu max='%u'/>\n  <os supported='yes'/>\n", kinds[k].vcpus);
	put_devices(&b, hvm, machine && !strcmp(machine, "pc"));
	put(&b, "  <features>\n    <genid supported='no'/>\n  </features>\n</domainCapabilities>\n");
	buf_put(&b, "", 1);
	if (b.failed)
		return vd_fail(c, VD_E_MEMORY, "out of memory");
	xdr_put_string(&c->out, (const char *)b.data);
	return 0;
}
