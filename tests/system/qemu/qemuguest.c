/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does engine qemu keep the contract of hypervisor/engine.h with a real guest, its disk and its console? See tests/system/realguest.h.
 *
 *	qemuguest KERNEL INITRAMFS DISK              status 77: cannot be run here, and why
 *	qemuguest KERNEL INITRAMFS DISK kvm          the same of engine kvm
 *	qemuguest KERNEL INITRAMFS DISK balloon      is log-dirty exact while a balloon takes pages with content?
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hypervisor/logdirty/uffd.h"
#include "tests/system/realguest.h"

/* a kernel that clears what it allocates would write all that its balloon takes */
static char words[] = "console=ttyS0 quiet load=light init_on_alloc=0 hospes.disk=/dev/vda", *kernel;

static void end(struct conform *c)
{
	(void)c;
	if (kill(real.process, SIGKILL) < 0)
		printf("# QEMU cannot be found\n");
}

static void spoil(struct conform *c, bool on)
{
	(void)c;
	real.cfg.kernel = on ? (char *)"/proc/self/mem" : kernel; /* nothing that can be mounted as a file of its own */
}

static bool is_small(struct conform *c)
{
	return real.ops->balloon_bytes(c->vm) >= 80u << 20;
}

static bool is_large(struct conform *c)
{
	return real.ops->balloon_bytes(c->vm) < 8u << 20;
}

/* What the guest never touched gets content, which it does not mind, and is a hole when the balloon has it. */
static uint64_t fill_holes(void)
{
	uint64_t n = 0;

	for (uint64_t at = 0; at < real.mem.size;) {
		off_t d = lseek(real.mem.fd, (off_t)at, SEEK_DATA);
		uint64_t end = d < 0 ? real.mem.size : (uint64_t)d;
		memset(real.mem.base + at, 0x55, end - at);
		n += end - at;
		d = lseek(real.mem.fd, (off_t)end, SEEK_HOLE);
		at = d < 0 ? real.mem.size : (uint64_t)d;
	}
	return n;
}

static const char *breathe(struct conform *c, uint64_t *bits)
{
	uint64_t dirty, missed = 0, most = 0;
	uint32_t mode;

	if (real.ops->logdirty_start(c->vm, HV_LOGDIRTY_RECORD, true, &mode, &real.err) ||
	    real.ops->logdirty_collect(c->vm, true, bits, &dirty, &real.err))
		return "log-dirty does not begin";
	if (real.ops->balloon(c->vm, real.cfg.memory_bytes - (80u << 20), &real.err) || !realguest_until(c, is_small))
		return "the balloon does not grow";
	if (real.ops->suspend(c->vm, 5000, &real.err) || devs_quiesce(real.devs, &real.err) ||
	    real.ops->logdirty_collect(c->vm, true, bits, &dirty, &real.err))
		return "cannot collect";
	most = dirty;
	if (real.ops->logdirty_audit(c->vm, bits, &missed, &real.err))
		return "cannot audit";
	printf("# %llu pages after the balloon grew, %llu missed\n", (unsigned long long)most,
	       (unsigned long long)missed);
	real.ops->logdirty_stop(c->vm);
	if (missed)
		return "log-dirty misses pages that the balloon took";
	if (devs_resume(real.devs, false, &real.err) || real.ops->resume(c->vm, &real.err) ||
	    real.ops->balloon(c->vm, real.cfg.memory_bytes, &real.err) || !realguest_until(c, is_large))
		return "the balloon does not shrink";
	return NULL;
}

static const char *balloon(struct conform *c)
{
	uint64_t *bits = calloc(real.mem.size / PAGE_BYTES / 64 + 1, 8);
	uint64_t filled = fill_holes();
	const char *wrong = !bits || filled < 80u << 20 ? "there is too little to take" : NULL;

	printf("# %llu MiB were never touched\n", (unsigned long long)(filled >> 20));
	for (int i = 0; i < 3 && !wrong; i++)
		wrong = breathe(c, bits);
	free(bits);
	return wrong;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	_cleanup_free_ char *kernel_path = realpath(argv[1], NULL), *initrd = realpath(argv[2], NULL),
			    *disk = realpath(argv[3], NULL);
	if (!kernel_path || !initrd || !disk || access(kernel_path, R_OK) < 0 || access(initrd, R_OK) < 0)
		return realguest_skip("no guest for QEMU: install linux-image-cloud-amd64, make guests");
	kernel = kernel_path;
	bool kvm = argc > 4 && !strcmp(argv[4], "kvm"), balloons = argc > 4 && !kvm;
	real.ops = kvm ? &hv_engine_kvm : &hv_engine_qemu;
	real.patience_ns = 120 * NS_PER_S;
	real.end = end;
	real.spoil = spoil;
	real.cfg = (struct dom_config){ .type = kvm ? DOM_TYPE_KVM : DOM_TYPE_QEMU,
		                        .name = "qemuguest",
		                        .uuid = "11111111-2222-3333-4444-555555555555",
		                        .memory_bytes = (balloons ? 320ull : 192ull) << 20,
		                        .vcpus = 2,
		                        .kernel = kernel,
		                        .initrd = initrd,
		                        .cmdline = words,
		                        .disk = { { .source = disk, .target = "vda" } },
		                        .n_disks = 1,
		                        .balloon = true };
	if (real.ops->probe(&real.cfg, &real.err) < 0)
		return realguest_skip(real.err.text);
	if (balloons && uffd_probe(&real.err) < 0)
		return realguest_skip(real.err.text);
	return balloons ? realguest_do("is up", balloon) : realguest_run();
}
