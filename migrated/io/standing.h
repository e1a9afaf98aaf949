/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who may speak about which migration: every message on the control socket that names a session is judged here, and nowhere else. */
#ifndef HOSPES_MIGRATED_IO_STANDING_H
#define HOSPES_MIGRATED_IO_STANDING_H

#include "migrated/io/daemon.h"
#include "migrated/io/recorder.h"

enum standing {
	STANDING_NONE,   /* the session is another peer's, or one that this host is the source of: nothing may be done */
	STANDING_NEW,    /* nobody's yet */
	STANDING_RECORD, /* the peer's own; no session is under way, its record is in @ret */
	STANDING_LIVE,   /* the peer's own, and under way */
};

/*
 * A pinned peer is believed about the migrations that it is the source of, and about no other: a session number is no secret, and a
 * record that somebody else could forget or overrule is a domain that runs twice.
 */
enum standing standing_of(const struct migrated *d, const struct peer_id *from, uint64_t session, struct journal_rec *ret);

#endif
