/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order socket `<run>/migrated.sock` (mode 0600): one JSON object per line each way. Orders: push, plan, status, cancel,
 * resolve, loglevel, dump, watch. Answers are objects with "type": progress, result, plan, status, ok, error. After "watch" the client
 * hears progress and result of every push from this host, as those who ordered it do.
 */
#ifndef HOSPES_MIGRATED_IO_CTL_H
#define HOSPES_MIGRATED_IO_CTL_H

#include "common/ctlsock.h"
#include "migrated/io/daemon.h"
#include "migrated/io/outgoing.h"

struct ctlsock *ctl_new(struct migrated *d, struct err *err); /* ctlsock_free() ends it */
bool ctl_watched(const struct migrated *d); /* somebody watches */
void ctl_watchers_tell(struct migrated *d, json_t *o); /* @o is borrowed */
/* Parse a push or plan order. Public for tests and fuzzing. -EINVAL: @err names what is wrong. */
int ctl_parse_push(json_t *o, struct push_order *ret, struct err *err) _must_check_;

#endif
