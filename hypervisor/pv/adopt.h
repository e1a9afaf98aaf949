/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns the processes that restorer.c has made, all asleep in its code, into a frozen guest. Registers of an image are loaded here only,
 * and only after each process was examined from outside: it has the filter, no capabilities, and nothing of the restorer. Main thread.
 */
#ifndef HOSPES_PV_ADOPT_H
#define HOSPES_PV_ADOPT_H

#include "hypervisor/pv/freeze.h"
#include "hypervisor/pv/image.h"

/*
 * First half, once the stubs are made and while the restorer still works on K: list them in @f, examine each, pin it to @cpu (-1: no
 * pinning). A stub that lacks something now never gets it. -EPERM: one is not locked in.
 */
int pv_adopt_stubs(pid_t k, const struct pv_image *im, int cpu, struct pv_frozen *f, struct err *err) _must_check_;
/*
 * Second half, when the restorer is done: take over K, a child of @holder, and its helpers. On success @f is a frozen guest. On failure
 * (-EPERM: as above) K and its helpers have been killed, and so the stubs.
 */
int pv_adopt(pid_t holder, const struct pv_image *im, int cpu, struct pv_frozen *f, struct err *err) _must_check_;

/*
 * Examine @text, a /proc/PID/status. NULL if it shows a process that is locked in: stopped by its tracer @tracer, one thread, no
 * capabilities, no new privileges, a seccomp filter. Else the line that says otherwise, borrowed from @text; "": a line is missing.
 */
const char *pv_not_held(const char *text, pid_t tracer);

#endif
