/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source sessions: carry out the actions of migrated/core/source.h, with hvdom, the data plane, the journal and the peer. Loop thread. */
#ifndef HOSPES_MIGRATED_IO_OUTGOING_H
#define HOSPES_MIGRATED_IO_OUTGOING_H

#include "migrated/core/controller.h"
#include "migrated/io/daemon.h"
#include "migrated/io/journal.h"
#include "migrated/io/outpipe.h"

struct push_order {
	char domain[64], host[64];
	uint64_t downtime_ns;   /* default 50 ms */
	uint64_t bandwidth_bps; /* 0: no limit */
	uint64_t timeout_ns;    /* 0: none */
	enum out_compress compress;
	unsigned streams; /* 0: choose */
	enum mig_converge converge;
	bool suspend, persistent, plan, verify, audit;
	bool cluster;      /* ordered by clusterd, which alone may push a domain of the cluster */
	uint32_t logdirty; /* HV_LOGDIRTY_*, 0: the engine's best */
};

/*
 * Begin a migration, or queue it while migrations_max are under way. @report gets JSON objects, which it owns, and is not called again
 * after one with "type": "result", or after outgoing_detach(). -errno and @err: it did not begin.
 */
int outgoing_push(struct migrated *d, const struct push_order *order, void (*report)(void *arg, json_t *obj), void *arg,
                  struct err *err) _must_check_;
void outgoing_detach(struct migrated *d, void *arg); /* the client of @arg is gone; its migration goes on */
/* vmmig's orders, as those of incoming.h. -ENOENT: there is no such session. */
int outgoing_cancel(struct migrated *d, const char *domain, struct err *err) _must_check_;
int outgoing_resolve(struct migrated *d, const char *domain, bool local, struct err *err) _must_check_;
json_t *outgoing_status(struct migrated *d, const char *domain);
int outgoing_recover(struct migrated *d, const struct journal_rec *rec) _must_check_; /* as incoming_recover() */
/* Is there a session of @domain? */
bool outgoing_has(const struct migrated *d, const char *domain);
unsigned outgoing_count(const struct migrated *d);
void outgoing_free_all(struct migrated *d);

#endif
