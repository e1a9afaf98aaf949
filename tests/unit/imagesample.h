/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small but complete image of a user-mode guest, for tests of hypervisor/pv/image.h. One thread. */
#ifndef HOSPES_TESTS_UNIT_IMAGESAMPLE_H
#define HOSPES_TESTS_UNIT_IMAGESAMPLE_H

#include "hypervisor/pv/image.h"

#define SAMPLE_MEM_BYTES (64ull << 20)
#define SAMPLE_DEVS 2u

/* Fill @im; everything in it is allocated: pv_image_done() frees it. Aborts without memory. */
void image_sample(struct pv_image *im);

#endif
