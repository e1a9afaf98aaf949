/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Target sessions: carry out the actions of migrated/core/target.h, with hvdom, the data plane and the journal. Loop thread. */
#ifndef HOSPES_MIGRATED_IO_INCOMING_H
#define HOSPES_MIGRATED_IO_INCOMING_H

#include "migrated/io/daemon.h"
#include "migrated/io/journal.h"

/* Handle a message of a peer, checked by wire_unpack(). */
void incoming_message(struct migrated *d, const struct peer_id *from, const Hospes__Mig__Envelope *env,
                      const struct mig_msg *msg);
/* May @address connect to the data socket? Only if an accepted session comes from there. */
bool incoming_expects(const struct migrated *d, const char *address);
/* At the start: settle the migration that @rec (a record of the target) says was under way. -ETIMEDOUT: its hvdom does not answer. */
int incoming_recover(struct migrated *d, const struct journal_rec *rec) _must_check_;
unsigned incoming_count(const struct migrated *d);
/* Octets of memory promised to sessions whose pages have not arrived yet. */
uint64_t incoming_ram_promised(const struct migrated *d);
/* vmmig's orders. -ENOENT: there is no such session. */
int incoming_cancel(struct migrated *d, const char *domain, struct err *err) _must_check_;
int incoming_resolve(struct migrated *d, const char *domain, bool local, struct err *err) _must_check_;
json_t *incoming_status(const struct migrated *d, const char *domain);
/* Child process @pid ended with wait status @status. */
void incoming_child(struct migrated *d, int pid, int status);
void incoming_free_all(struct migrated *d);

#endif
