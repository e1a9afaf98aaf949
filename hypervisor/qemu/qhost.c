/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this host has for engine qemu: see qvm_int.h. */
#include "config.h"
#include "hypervisor/qemu/qvm_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/builds.h"
#include "common/util.h"
#include "hypervisor/api/cpufeat.h"
#include "hypervisor/api/firmware.h"
#include "hypervisor/qemu/qargs.h"
#include "hypervisor/qemu/qasked.h"
#include "hypervisor/qemu/qcpu.h"
#include "hypervisor/qemu/qdisk.h"
#include "hypervisor/qemu/qnic.h"

const char *qhost_program(const struct dom_arch_info *arch)
{
	const char *p = getenv(arch->program_variable);

	return p && *p ? p : arch->program;
}

/* /dev/kvm alone proves nothing: some are of hypervisors that run no kernel as it is. */
static int kvm_probe(struct err *err)
{
	_cleanup_free_ char *cpu = NULL;
	_cleanup_close_ int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct stat st;

	if (kvm < 0)
		return err_sys(err, ENOTSUP,
		               "this host has no hardware-assisted virtualization: /dev/kvm cannot be opened; "
		               "<domain type='qemu'> runs without");
	if (file_read("/proc/cpuinfo", 1 << 24, &cpu, NULL) < 0 || !(strstr(cpu, " vmx") || strstr(cpu, " svm")))
		return err_set(err, ENOTSUP,
		               "this host's processors have neither VT-x nor AMD-V, whatever /dev/kvm is; "
		               "<domain type='qemu'> runs without");
	if (geteuid() == 0 && fstat(kvm, &st) == 0 && (st.st_mode & 0006) != 0006 &&
	    (!st.st_gid || (st.st_mode & 0060) != 0060))
		return err_set(err, EACCES,
		               "only root may open /dev/kvm, and QEMU does not run as root: give it a group "
		               "(chgrp kvm /dev/kvm; chmod 660 /dev/kvm), as udev does");
	_cleanup_close_ int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	return vm < 0 ? err_sys(err, errno, "this host's KVM makes no virtual machine") : 0;
}

static int host_probe(const struct dom_arch_info *arch, bool kvm, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	if (access(qhost_program(arch), X_OK) < 0)
		return err_sys(err, ENOTSUP, "cannot execute %s (install the package %s)", qhost_program(arch),
		               arch->package);
	if (file_read("/proc/sys/user/max_user_namespaces", 64, &text, NULL) == 0 && !strcmp(text, "0\n"))
		return err_set(
			err, ENOTSUP,
			"user namespaces are switched off (sysctl user.max_user_namespaces), which confine QEMU");
	return kvm ? kvm_probe(err) : 0;
}

/* The beginning of what the program says for these arguments (@b may be NULL); the rest is read, so that it ends. */
static int ask_program(const char *program, const char *a, const char *b, char *buf, size_t len)
{
	char *argv[] = { (char *)(uintptr_t)program, (char *)(uintptr_t)a, (char *)(uintptr_t)b, NULL };
	char *const env[] = { NULL };
	posix_spawn_file_actions_t fa;
	char rest[512] = "";
	int p[2], status;
	size_t n = 0;
	ssize_t k;
	pid_t pid;
	_cleanup_free_ char *question = xasprintf("%s %s", a, b ?: "");
	struct qasked before;

	if (!question)
		return -ENOMEM;
	qasked_about(&before, program, false, question);
	if (qasked_known(&before, buf, len))
		return 0;
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, p[1], 1);
	int r = -posix_spawn(&pid, argv[0], &fa, NULL, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	close(p[1]);
	while (!r && (k = read(p[0], n + 1 < len ? buf + n : rest, n + 1 < len ? len - 1 - n : sizeof(rest))) > 0)
		n += n + 1 < len ? (size_t)k : 0;
	close(p[0]);
	buf[n] = 0;
	if (!r && waitpid(pid, &status, 0) < 0)
		r = -errno;
	if (!r && WIFEXITED(status) && !WEXITSTATUS(status) && strlen(buf) == n && n + 1 < len)
		qasked_keep(&before, program, false, question, buf);
	return r;
}

/*
 * Of the processor, if it is not the one that all guests have without <cpu>; of all that is no PC; of a balloon, and of disks and NICs that
 * are not virtio, which not all of our versions had.
 */
static int cpu_mark(const struct dom_config *cfg, bool kvm, const char *flash, char ret[12], struct err *err)
{
	_cleanup_free_ char *cpu = qcpu_text(cfg, kvm), *smp = qcpu_smp(cfg), *disks = qdisk_identity(cfg),
			    *nics = qnic_identity(cfg);
	uint32_t h = 2166136261u; /* FNV-1a */
	char host[64] = "";

	ret[0] = 0;
	if (!cpu || !smp || !disks || !nics)
		return err_set(err, ENOMEM, "out of memory");
	if (dom_config_cpu_is_hosts(cfg))
		cpu_identity(host);
	else if (!qcpu_is_special(cfg) && dom_arch(cfg)->pc && !cfg->balloon && !*disks && !*nics)
		return 0;
	char gic[16] = "";
	if (dom_arch(cfg)->gic)
		snprintf(gic, sizeof(gic), " gic%u", cfg->hvm.gic);
	_cleanup_free_ char *all = xasprintf("%s\n%s\n%s%s%s%s%s%s", cpu, smp, host, flash, gic,
	                                     cfg->balloon ? " balloon" : "", disks, nics);
	if (!all)
		return err_set(err, ENOMEM, "out of memory");
	for (const char *p = all; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	snprintf(ret, 12, " %08x", h);
	return 0;
}

static int version_of(const char *program, char version[16], struct err *err)
{
	char text[512];
	int r = ask_program(program, "--version", NULL, text, sizeof(text));

	if (r < 0)
		return err_sys(err, -r, "cannot execute %s", program);
	const char *at = strstr(text, "version ");
	if (!at || sscanf(at, "version %15[0-9.]", version) != 1)
		return err_set(err, ENOTSUP, "%s does not say its version", program);
	return 0;
}

/* A newer QEMU has machines that an older one lacks, and a distribution's may have its own. */
static int machine_probe(const char *program, const char *machine, struct err *err)
{
	size_t len = strlen(machine), max = 32768;
	_cleanup_free_ char *text = malloc(max);
	char version[16];
	int r = text ? ask_program(program, "-machine", "help", text, max) : -ENOMEM;

	if (r < 0)
		return err_sys(err, -r, "cannot ask %s for its machines", program);
	for (const char *at = text; (at = strstr(at, machine)); at += len)
		if ((at == text || at[-1] == '\n') && (at[len] == ' ' || at[len] == '\n'))
			return 0;
	r = version_of(program, version, err);
	if (r < 0)
		return r;
	const char *of = strrchr(machine, '-') + 1, *here = version;
	bool newer = *of >= '0' && *of <= '9' && !build_not_older(&of, &here);
	return err_set(err, ENOTSUP, "this host's QEMU %s has no machine %.40s%s", version, machine,
	               newer ? ", which is of a later QEMU" : "");
}

static bool boots_from_network(const struct dom_config *cfg)
{
	bool does = false;

	for (size_t i = 0; i < cfg->n_nics; i++)
		does |= qargs_boot(cfg, cfg->n_disks + i) > 0;
	return does;
}

static int roms_probe(const struct dom_config *cfg, struct err *err)
{
	for (size_t i = 0; i < cfg->n_nics; i++) {
		const char *rom = qnic_rom(cfg, i);
		if (rom && access(rom, R_OK) < 0)
			return err_sys(
				err, ENOTSUP,
				"to boot from the network, interface %zu needs %s (install the package ipxe-qemu)",
				i + 1, rom);
	}
	return 0;
}

int qhost_probe(const struct dom_config *cfg, const struct dom_arch_info *arch, bool kvm, struct err *err)
{
	int r = host_probe(arch, kvm, err);

	if (r < 0 || !cfg)
		return r;
	const char *machine = qargs_machine(cfg, err);
	if (!machine)
		return -ENOTSUP;
	if (!cfg->kernel && !cfg->n_disks && !boots_from_network(cfg))
		return err_set(err, EINVAL, "domain '%s' has neither <kernel> nor a disk or a network to boot from",
		               cfg->name);
	if (cfg->kernel && access(cfg->kernel, R_OK) < 0)
		return err_sys(err, errno, "cannot read kernel %s", cfg->kernel);
	if (cfg->initrd && access(cfg->initrd, R_OK) < 0)
		return err_sys(err, errno, "cannot read initrd %s", cfg->initrd);
	_cleanup_firmware_ struct firmware fw = { 0 };
	r = roms_probe(cfg, err);
	if (!r && cfg->fw.efi)
		r = firmware_find(cfg, &fw, err);
	if (!r)
		r = qhost_cpu_check(cfg, kvm, err);
	return r < 0 ? r : machine_probe(qhost_program(arch), machine, err);
}

/* PCs are what there was first: their text has no architecture. Flash memory as large as others have goes into the mark. */
int qhost_identity(const struct dom_config *cfg, const struct dom_arch_info *arch, bool kvm, char out[HV_IDENTITY_MAX],
                   struct err *err)
{
	char version[16] = "";
	int r = version_of(qhost_program(arch), version, err);

	return r < 0 ? r : qhost_identity_of(cfg, arch, kvm, version, out, err);
}

int qhost_identity_of(const struct dom_config *cfg, const struct dom_arch_info *arch, bool kvm, const char *version,
                      char out[HV_IDENTITY_MAX], struct err *err)
{
	const char *machine = cfg ? qargs_machine(cfg, err) : "";
	char mark[12] = "", places[4] = "";

	if (!machine)
		return -ENOTSUP;
	if (!*version)
		return err_set(err, EPROTO, "QEMU does not say its version");
	_cleanup_firmware_ struct firmware fw = { 0 };
	char flash[48] = "";
	int r = cfg && cfg->fw.efi ? firmware_find(cfg, &fw, err) : 0;
	if (r < 0)
		return r;
	if (cfg && cfg->fw.efi) /* a state has the flash memory's content, and needs its size */
		snprintf(flash, sizeof(flash), " efi%zu+%zu", fw.code_bytes / 1024, fw.vars_bytes / 1024);
	if (cfg && cfg->hvm.places && !arch->pc) /* its text has no room for them; it has a mark always */
		snprintf(flash + strlen(flash), sizeof(flash) - strlen(flash), " places%u", cfg->hvm.places % 10);
	else if (cfg && cfg->hvm.places) /* a machine without them is another one */
		snprintf(places, sizeof(places), "+%u", cfg->hvm.places % 10);
	r = cfg ? cpu_mark(cfg, kvm, flash, mark, err) : 0;
	if (!r)
		snprintf(out, HV_IDENTITY_MAX, "%.8s %s%s%s%s%.14s%s%.12s", version, kvm ? "kvm" : "tcg",
		         arch->pc ? "" : " ", arch->pc ? "" : arch->name, cfg ? " " : "", machine, places,
		         mark[0] ? mark : flash);
	return r;
}
