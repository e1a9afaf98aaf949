/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See fuzzdevs.h. */
#include "config.h"
#include "tests/fuzz/fuzzdevs.h"

#include <string.h>
#include <sys/mman.h>
#include "hypervisor/dev/blkio.h"
#include "tests/fuzz/fuzz.h"

#define MEM (1u << 20)

struct devs *fuzzdevs(struct guestmem *m)
{
	static struct dom_config cfg;
	static char path[64];
	struct devs *d = NULL;

	int disk = memfd_create("disk", MFD_CLOEXEC), fd = memfd_create("guest", MFD_CLOEXEC);
	FUZZ_CHECK(disk >= 0 && ftruncate(disk, 1 << 20) == 0 && fd >= 0 && ftruncate(fd, MEM) == 0);
	FUZZ_CHECK(guestmem_init(m, fd, MEM, NULL) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk);
	snprintf(cfg.name, sizeof(cfg.name), "fuzz");
	cfg.memory_bytes = MEM;
	cfg.disk[0].source = path;
	snprintf(cfg.disk[0].target, sizeof(cfg.disk[0].target), "vda");
	cfg.disk[0].discard = true;
	static char null[] = "/dev/null";
	cfg.console[0].log = null;
	cfg.n_disks = cfg.n_consoles = cfg.n_rngs = 1;
	cfg.balloon = true;
	FUZZ_CHECK(devs_new(&cfg, NULL, &d, NULL) == 0);
	FUZZ_CHECK(blkio_start(d->blkio, NULL) == 0);
	return d;
}
