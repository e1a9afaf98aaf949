/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Crash points for system tests: HOSPES_FAULT=POINT:ACTION in the daemon's environment. Every step of the protocol has
 * a point, named by side and step: src.send.go, src.hv.relinquish, src.hv.relinquish.done, tgt.journal.taken; in
 * clusterd clu.store.save ... Actions: kill (SIGKILL itself), stop (SIGSTOP itself), drop (omit the step; sends only),
 * hvdom (SIGKILL the domain's hvdom), mute (SIGSTOP hvdom: requests to it wait from now on), hold:FILE (wait here while
 * FILE exists).
 */
#ifndef HOSPES_COMMON_FAULT_H
#define HOSPES_COMMON_FAULT_H

#include <stdbool.h>
#include <sys/types.h>

/* True: the caller omits the step. */
bool fault_point(const char *side, const char *kind, const char *what, const char *suffix, pid_t hvdom);

#endif
