/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the processes that restorer.c has made, all of them asleep in its code, to a frozen guest. The one place where registers of an
 * image are loaded, and it comes after the look at every process from outside: filter, no capabilities, nothing of the restorer left.
 */
#ifndef HOSPES_PV_ADOPT_H
#define HOSPES_PV_ADOPT_H

#include "hypervisor/pv/freeze.h"
#include "hypervisor/pv/image.h"

/*
 * First half, as soon as the stubs stand: list them in @f and look at each, while the restorer is still busy with K. What they
 * lack then they
 * never get. -EPERM: one of them is not locked in. Pins them to @cpu, -1: nowhere.
 */
int pv_adopt_stubs(pid_t k, const struct pv_image *im, int cpu, struct pv_frozen *f, struct err *err) _must_check_;
/*
 * Second half, when the restorer is done: take over K, child of @holder, and its helpers. On success @f is a frozen guest. On failure
 * (-EPERM: as above) K, its helpers and with them the stubs have been killed.
 */
int pv_adopt(pid_t holder, const struct pv_image *im, int cpu, struct pv_frozen *f, struct err *err) _must_check_;

/*
 * Does @text, a /proc/PID/status, show a process that is held: stopped by its tracer @tracer, one thread, no capabilities, no
 * privileges to gain, a seccomp filter? NULL if so; else the line that says otherwise, "" if it is missing.
 */
const char *pv_not_held(const char *text, pid_t tracer);

#endif
