/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rights of a peer over a session. Every message on the control socket that names a session is checked here, and only here. */
#ifndef HOSPES_MIGRATED_IO_STANDING_H
#define HOSPES_MIGRATED_IO_STANDING_H

#include "migrated/io/daemon.h"
#include "migrated/io/recorder.h"

enum standing {
	STANDING_NONE,   /* no rights: the session is another peer's, or this host is its source */
	STANDING_NEW,    /* the session is not known yet */
	STANDING_RECORD, /* the session is the peer's and over; its record is in @ret */
	STANDING_LIVE,   /* the session is the peer's and under way */
};

/*
 * The rights of the peer @from over @session. A peer has rights over migrations whose source it is, and over no others: session numbers are
 * no secret, and a peer that could forget or overrule another one's record could make a domain run twice.
 */
enum standing standing_of(const struct migrated *d, const struct peer_id *from, uint64_t session, struct journal_rec *ret);

#endif
