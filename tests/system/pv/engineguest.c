/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does pv keep the contract of hypervisor/engine.h with a real guest? See tests/system/realguest.h.
 *
 *	engineguest INITRAMFS      status 77: cannot be run here, and why
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/system/realguest.h"

#define KERNEL "/usr/bin/linux.uml"

static char quick_words[] = "load=light hospes.disk= noreboot", bad_words[2048];

/* Its kernel is the holder's only child. */
static void end(struct conform *c)
{
	char path[64];
	_cleanup_free_ char *text = NULL;

	(void)c;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", real.process, real.process);
	if (file_read(path, 4096, &text, NULL) < 0 || atoi(text) <= 0 || kill(atoi(text), SIGKILL) < 0)
		printf("# the guest's kernel cannot be found\n");
}

static void spoil(struct conform *c, bool on)
{
	(void)c;
	real.cfg.cmdline = on ? bad_words : quick_words;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getuid())
		return realguest_skip("needs root");
	_cleanup_free_ char *initrd = realpath(argv[1], NULL);
	if (!initrd || access(initrd, R_OK) < 0)
		return realguest_skip("no initramfs: make guests");
	if (access(KERNEL, X_OK) < 0)
		return realguest_skip("no " KERNEL ": install user-mode-linux");
	for (size_t i = 0; i + 2 < sizeof(bad_words); i += 2)
		memcpy(bad_words + i, "w ", 2); /* more than a command line may have */
	real.ops = &hv_engine_pv;
	real.patience_ns = 60 * NS_PER_S;
	real.end = end;
	real.spoil = spoil;
	real.cfg = (struct dom_config){ .type = DOM_TYPE_UML,
		                        .name = "engineguest",
		                        .memory_bytes = 64ull << 20,
		                        .vcpus = 1,
		                        .kernel = (char *)KERNEL,
		                        .initrd = initrd,
		                        .cmdline = quick_words };
	return realguest_run();
}
