/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does engine qemu keep the contract of hypervisor/engine.h with a real guest, its disk and its console? See tests/system/realguest.h.
 *
 *	qemuguest KERNEL INITRAMFS DISK      status 77: cannot be run here, and why
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "tests/system/realguest.h"

static char words[] = "console=ttyS0 quiet load=light hospes.disk=/dev/vda", *kernel;

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
	real.ops = &hv_engine_qemu;
	real.patience_ns = 120 * NS_PER_S;
	real.end = end;
	real.spoil = spoil;
	real.cfg = (struct dom_config){ .type = DOM_TYPE_QEMU,
		                        .name = "qemuguest",
		                        .uuid = "11111111-2222-3333-4444-555555555555",
		                        .memory_bytes = 192ull << 20,
		                        .vcpus = 2,
		                        .kernel = kernel,
		                        .initrd = initrd,
		                        .cmdline = words,
		                        .disk = { { .source = disk, .target = "vda" } },
		                        .n_disks = 1 };
	if (real.ops->probe(&real.cfg, &real.err) < 0)
		return realguest_skip(real.err.text);
	return realguest_run();
}
