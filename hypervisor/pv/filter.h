/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seccomp filter of every guest process (K, helpers, stubs): a list of the system calls that a booted user-mode kernel needs. Those of
 * its shutdown fail with EPERM, any other ends the domain. It is assembled by hand, since a cancelled system call (number -1) must pass.
 */
#ifndef HOSPES_PV_FILTER_H
#define HOSPES_PV_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

#define PV_FILTER_MAX 256

/* Fill @f, which has room for PV_FILTER_MAX instructions. Returns their number. */
size_t pv_filter_build(struct sock_filter *f);

#endif
