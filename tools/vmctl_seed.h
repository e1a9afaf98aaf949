/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seed that cloud-init in a guest takes its configuration from, for vmctl seed and vmctl create. */
#ifndef HOSPES_TOOLS_VMCTL_SEED_H
#define HOSPES_TOOLS_VMCTL_SEED_H

#include <stddef.h>
#include "common/cleanup.h"
#include "common/err.h"
#include "hypervisor/api/domcfg.h"

enum { SEED_USER_DATA, SEED_META_DATA, SEED_NETWORK_CONFIG, SEED_PARTS };

struct seed_part {
	char *text; /* owned, NULL: there is none */
	size_t len;
};
struct seed_parts {
	struct seed_part part[SEED_PARTS];
};

/* The file @file ("-": standard input), of 1 MiB at most. */
int seed_read_part(const char *file, struct seed_part *ret, struct err *err) _must_check_;
/* Meta data of the domain: its id and name. */
void seed_meta_data(const struct dom_config *cfg, struct seed_part *ret);
/* Warn of user data that cloud-init would ignore. */
void seed_look_at_user_data(const char *text);
/* Make the image @path, or replace it at once; root alone can read it. Needs xorrisofs. vmctl_stopped ends it. */
int seed_make(const struct seed_parts *p, const char *path, struct err *err) _must_check_;
void seed_parts_done(struct seed_parts *p);
static inline void cleanup_seed_parts(struct seed_parts *p)
{
	seed_parts_done(p);
}
#define _cleanup_seed_parts_ __attribute__((cleanup(cleanup_seed_parts)))

#endif
