/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target sessions: carry out what migrated/core/target.h asks, with hvdom, the data plane and the journal. */
#ifndef HOSPES_MIGRATED_IO_INCOMING_H
#define HOSPES_MIGRATED_IO_INCOMING_H

#include "migrated/io/daemon.h"
#include "migrated/io/journal.h"

/* A checked message of a peer. */
void incoming_message(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env,
                      const struct mig_msg *msg);
/* Does an accepted session come from @address? (who may connect to the data socket) */
bool incoming_expects(const struct migrated *d, const char *address);
/* A journal record of the target found at start. */
/* Settle what @rec says was under way. 0; -ETIMEDOUT: the hvdom that knows lives and does not answer, nothing was done. */
int incoming_recover(struct migrated *d, const struct journal_rec *rec) _must_check_;
unsigned incoming_count(const struct migrated *d);
/* Memory promised to sessions whose pages have not arrived yet. */
uint64_t incoming_ram_promised(const struct migrated *d);
/* vmmig's orders; -ENOENT: no such session. */
int incoming_cancel(struct migrated *d, const char *domain, struct err *err) _must_check_;
int incoming_resolve(struct migrated *d, const char *domain, bool local, struct err *err) _must_check_;
json_t *incoming_status(const struct migrated *d, const char *domain);
/* A child process ended. */
void incoming_child(struct migrated *d, int pid, int status);
void incoming_free_all(struct migrated *d);

#endif
