/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which directories a definition's files may be in: <conf>/paths.json over defaults, see hospes-domain(5). Opening is common/pathopen.h. */
#ifndef HOSPES_HYPERVISOR_PATHCONF_H
#define HOSPES_HYPERVISOR_PATHCONF_H

#include "common/pathopen.h"

struct dom_config;

/* The defaults and what <conf>/paths.json adds. -EINVAL: the file is wrong. On failure @ret holds nothing. */
int path_rules_load(struct path_rules *ret, struct err *err) _must_check_;
/*
 * Look at every file that @cfg needs, and tell @at (NULL: nobody looks) before each what it is: so that a helper whose storage hangs leaves
 * behind which file it was. What is found is not judged.
 */
void path_touch_config(const struct dom_config *cfg, void (*at)(void *arg, const char *what), void *arg);
/* Would every path of @cfg be opened, as far as it exists? */
int path_check_config(const struct path_rules *p, const struct dom_config *cfg, struct err *err) _must_check_;

#endif
