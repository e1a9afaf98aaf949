/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How an image gets into the library: made, downloaded, imported (vmctl image). Each leaves a whole image or nothing. */
#ifndef HOSPES_TOOLS_VMCTL_IMAGE_H
#define HOSPES_TOOLS_VMCTL_IMAGE_H

#include <stdbool.h>
#include "common/cleanup.h"
#include "common/err.h"

#define IMAGE_RECIPE "debian12"

struct cli;

struct image_add {
	const struct cli *cli; /* how it is said what came of it */
	const char *what;   /* the recipe, the URL or the file */
	const char *name;   /* in the library; NULL: follows from @what */
	const char *engine; /* NULL: pv for what is made, qemu for the others */
	const char *sha256; /* that the file must have; NULL: any */
	bool insecure;      /* a URL may be one of http */
};

int image_make(const struct image_add *a, struct err *err) _must_check_;
int image_pull(const struct image_add *a, struct err *err) _must_check_;
int image_import(const struct image_add *a, struct err *err) _must_check_;
/* Make @dir/disk.raw or disk.qcow2 of @file: raw, qcow2 or OVA, told by its octets. @file may be in @dir, and is then used up. */
int image_take(const char *file, const char *dir, struct err *err) _must_check_;

#endif
