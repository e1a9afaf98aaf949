/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See standing.h. Loop thread. */
#include "config.h"
#include "migrated/io/standing.h"
#include <string.h>
#include "migrated/io/incoming_int.h"
#include "migrated/io/outgoing_int.h"

enum standing standing_of(const struct migrated *d, const struct peer_id *from, uint64_t session,
                          struct journal_rec *ret)
{
	for (const struct incoming *in = d->ins; in; in = in->next)
		if (in->session == session)
			return strcmp(in->from.name, from->name) ? STANDING_NONE : STANDING_LIVE;
	for (const struct outgoing *o = d->outs; o; o = o->next)
		if (o->session == session)
			return STANDING_NONE;

	const struct journal_rec *rec = recorder_find(d->recorder, session);

	if (!rec)
		return STANDING_NEW;
	*ret = *rec;
	if (!ret->rec || strcmp(ret->peer, from->name) || ret->rec == MIG_REC_RELINQUISHING ||
	    ret->rec == MIG_REC_CALLED_OFF)
		return STANDING_NONE;
	return STANDING_RECORD;
}
