/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source sessions: carry out what migrated/core/source.h asks, with hvdom, the data plane, the journal and the peer. */
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
	bool cluster;      /* ordered by clusterd; of a domain of the cluster nobody else may */
	uint32_t logdirty; /* HV_LOGDIRTY_*, 0: the engine's best */
};

/*
 * Begin, or queue when enough are under way. Reports (owned JSON objects) go to @report, the last one has "type": "result"; after it
 * or after outgoing_detach() @report is not called again. -errno with the text when it cannot even begin.
 */
int outgoing_push(struct migrated *d, const struct push_order *order, void (*report)(void *arg, json_t *obj), void *arg,
                  struct err *err) _must_check_;
void outgoing_detach(struct migrated *d, void *arg); /* the client went away; the migration goes on */
int outgoing_cancel(struct migrated *d, const char *domain, struct err *err) _must_check_;
int outgoing_resolve(struct migrated *d, const char *domain, bool local, struct err *err) _must_check_;
json_t *outgoing_status(struct migrated *d, const char *domain);
int outgoing_recover(struct migrated *d, const struct journal_rec *rec) _must_check_; /* as incoming_recover() */
/* Does a session look after @domain? */
bool outgoing_has(const struct migrated *d, const char *domain);
unsigned outgoing_count(const struct migrated *d);
void outgoing_free_all(struct migrated *d);

#endif
