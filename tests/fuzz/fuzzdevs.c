/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See fuzzdevs.h. */
#include "config.h"
#include "tests/fuzz/fuzzdevs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hypervisor/dev/blkio.h"
#include "hypervisor/dev/vudev.h"
#include "tests/fuzz/fuzz.h"

#define MEM (1u << 20)

struct devs *fuzzdevs(struct guestmem *m)
{
	return fuzzdevs_on(m, DOM_BUS_VIRTIO);
}

struct devs *fuzzdevs_on(struct guestmem *m, enum dom_bus bus)
{
	static struct dom_config cfg;
	static char dir[] = "/tmp/hospes-fuzz.XXXXXX", path[64], log[64], past[72];
	struct devs *d = NULL;

	/* regular files under names of their own, as devices open nothing else; the names go at once */
	FUZZ_CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/disk", dir);
	snprintf(log, sizeof(log), "%s/log", dir);
	snprintf(past, sizeof(past), "%s.1", log);
	int disk = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), fd = memfd_create("guest", MFD_CLOEXEC);
	FUZZ_CHECK(disk >= 0 && ftruncate(disk, 1 << 20) == 0 && fd >= 0 && ftruncate(fd, MEM) == 0);
	FUZZ_CHECK(guestmem_init(m, fd, MEM, NULL) == 0);
	snprintf(cfg.name, sizeof(cfg.name), "fuzz");
	cfg.memory_bytes = MEM;
	cfg.disk[0].source = path;
	snprintf(cfg.disk[0].target, sizeof(cfg.disk[0].target), "vda");
	cfg.disk[0].discard = true;
	cfg.disk[0].at.bus = bus;
	cfg.console[0].log = log;
	cfg.n_disks = cfg.n_consoles = cfg.n_rngs = 1;
	cfg.balloon = true;
	FUZZ_CHECK(devs_new(&cfg, &vudev_transport, NULL, &d, NULL) == 0);
	close(disk);
	FUZZ_CHECK(unlink(path) == 0 && unlink(log) == 0 && unlink(past) == 0 && rmdir(dir) == 0);
	FUZZ_CHECK(blkio_start(d->blkio, NULL) == 0);
	return d;
}
