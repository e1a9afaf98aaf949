/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seccomp filter of every guest process (K, helpers, stubs): an allow-list of what a booted user-mode kernel needs. Calls of
 * its shutdown path fail with EPERM; anything else ends the domain. Hand-assembled: a cancelled system call (number -1) must pass.
 */
#ifndef HOSPES_PV_FILTER_H
#define HOSPES_PV_FILTER_H

#include <linux/filter.h>
#include <stddef.h>

#define PV_FILTER_MAX 256

/* Fill @f (PV_FILTER_MAX instructions of room). Returns the number of instructions. */
size_t pv_filter_build(struct sock_filter *f);

#endif
