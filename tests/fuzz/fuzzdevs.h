/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device set without privileges or files, for fuzz targets: disk of 1 MiB in a memfd, console, rng, balloon. */
#ifndef HOSPES_TESTS_FUZZ_FUZZDEVS_H
#define HOSPES_TESTS_FUZZ_FUZZDEVS_H

#include "hypervisor/dev/vdev_int.h"

/* Made once, never freed; its loop is run by the caller. @m: 1 MiB of guest memory. */
struct devs *fuzzdevs(struct guestmem *m);
struct devs *fuzzdevs_on(struct guestmem *m, enum dom_bus bus); /* the disk */

#endif
