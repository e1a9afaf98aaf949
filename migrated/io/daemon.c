/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Puts the daemon together, and settles at start what an earlier one left behind. */
#include <config.h>
#include "migrated/io/daemon.h"
#include <errno.h>
#include <string.h>
#include "common/log.h"
#include "common/util.h"
#include "migrated/io/ctl.h"
#include "migrated/io/incoming.h"
#include "migrated/io/journal.h"
#include "migrated/io/outgoing.h"

#define RATE_GUESS_BPS (400ull << 20)

struct migrated *migrated_new(struct loop *loop, struct err *err)
{
	struct migrated *d = calloc(1, sizeof(*d));

	if (!d) {
		(void)err_sys(err, ENOMEM, "migrated");
		return NULL;
	}
	d->loop = loop;
	d->rate_bps = RATE_GUESS_BPS;
	d->journal_dir = xasprintf("%s/migrations", path_state());
	int r = mkdir_p(d->journal_dir, 0700);
	if (r < 0)
		r = err_sys(err, r, "create %s", d->journal_dir);
	if (r == 0) {
		r = mkdir_p(path_run(), 0755);
		if (r < 0)
			r = err_sys(err, r, "create %s", path_run());
	}
	if (r == 0)
		r = node_load(&d->node, true, err);
	if (r == 0)
		r = link_open(d, err);
	if (r == 0) {
		d->ctl = ctl_new(d, err);
		r = d->ctl ? 0 : -EIO;
	}
	if (r < 0) {
		migrated_free(d);
		return NULL;
	}
	return d;
}

static void recover_one(void *arg, const struct journal_rec *rec)
{
	if (rec->rec == MIG_REC_RELINQUISHING || rec->rec == MIG_REC_CALLED_OFF)
		outgoing_recover(arg, rec);
	else
		incoming_recover(arg, rec);
}

int migrated_recover(struct migrated *d, struct err *err)
{
	return journal_scan(d->journal_dir, recover_one, d, err);
}

void migrated_free(struct migrated *d)
{
	if (!d)
		return;
	d->closing = true;
	ctl_free(d->ctl);
	outgoing_free_all(d);
	incoming_free_all(d);
	link_close(d);
	explicit_bzero(d->node.secret_key, sizeof(d->node.secret_key));
	free(d->journal_dir);
	free(d);
}
