/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The directories in which a definition's files may be: the defaults and <conf>/paths.json, see hospes-domain(5).
 * common/pathopen.h opens the files.
 */
#ifndef HOSPES_HYPERVISOR_PATHCONF_H
#define HOSPES_HYPERVISOR_PATHCONF_H

#include "common/pathopen.h"

struct dom_config;

/* Load the defaults and <conf>/paths.json. -EINVAL: that file is wrong. On failure @ret holds nothing. */
int path_rules_load(struct path_rules *ret, struct err *err) _must_check_;
/*
 * Access every file that @cfg needs, and call @at (may be NULL) with its name before. So a helper whose storage hangs
 * can say which file it was. The results are ignored.
 */
void path_touch_config(const struct dom_config *cfg, void (*at)(void *arg, const char *what), void *arg);
/* Check that every path of @cfg would be opened, as far as it exists. */
int path_check_config(const struct path_rules *p, const struct dom_config *cfg, struct err *err) _must_check_;

#endif
