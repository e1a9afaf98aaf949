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
#define UNSETTLED_NS   NS_PER_S

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

/*
 * A session whose hvdom lives and does not answer. Nothing is said of it to anybody: what hvdom was asked for before, to give the domain
 * away or to take it, is done when it goes on.
 */
struct unsettled {
	struct unsettled *next;
	uint64_t session;
	bool source;
	char name[64], peer[64];
};

static void recover_one(void *arg, const struct journal_rec *rec)
{
	struct migrated *d = arg;
	bool source = rec->rec == MIG_REC_RELINQUISHING || rec->rec == MIG_REC_CALLED_OFF;
	struct unsettled *u;

	if ((source ? outgoing_recover(d, rec) : incoming_recover(d, rec)) != -ETIMEDOUT)
		return;
	u = calloc(1, sizeof(*u));
	if (!u)
		return; /* its record stays, and answers "busy" */
	*u = (struct unsettled){ .next = d->unsettled, .session = rec->session, .source = source };
	memcpy(u->name, rec->name, sizeof(u->name));
	memcpy(u->peer, rec->peer, sizeof(u->peer));
	d->unsettled = u;
	loop_timer_in(d->unsettled_timer, UNSETTLED_NS);
}

static void ask_again(void *arg)
{
	struct migrated *d = arg;
	struct unsettled *list = d->unsettled;
	struct journal_rec rec;

	d->unsettled = NULL;
	for (struct unsettled *u; (u = list);) {
		list = u->next;
		if (journal_load(d->journal_dir, u->session, &rec) == 0)
			recover_one(d, &rec);
		free(u);
	}
}

bool migrated_is_unsettled(const struct migrated *d, const char *domain)
{
	for (const struct unsettled *u = d->unsettled; u; u = u->next)
		if (!strcmp(u->name, domain))
			return true;
	return false;
}

void migrated_unsettled(const struct migrated *d, const char *domain, json_t *list)
{
	for (const struct unsettled *u = d->unsettled; u; u = u->next)
		if (!domain || !strcmp(domain, u->name))
			(void)json_array_append_new(
				list,
				json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "type", "progress", "role",
			                  u->source ? "source" : "target", "domain", u->name, "from",
			                  u->source ? d->node.name : u->peer, "to", u->source ? u->peer : d->node.name,
			                  "phase", "waiting for hvdom", "help",
			                  "its hvdom lives and does not answer; it may have been asked to give "
			                  "the domain away or to take it, and does so when it goes on"));
}

int migrated_recover(struct migrated *d, struct err *err)
{
	d->unsettled_timer = loop_add_timer(d->loop, ask_again, d);
	if (!d->unsettled_timer)
		return err_sys(err, ENOMEM, "timer");
	int r = journal_scan(d->journal_dir, recover_one, d, err);
	for (const struct unsettled *u = d->unsettled; u; u = u->next)
		log_warn("%s: its hvdom lives and does not answer: its migration %s %s is settled when it does",
		         u->name, u->source ? "to" : "from", u->peer);
	return r;
}

void migrated_free(struct migrated *d)
{
	if (!d)
		return;
	d->closing = true;
	ctlsock_free(d->ctl);
	loop_del_timer(d->unsettled_timer);
	for (struct unsettled *u; (u = d->unsettled);) {
		d->unsettled = u->next;
		free(u);
	}
	outgoing_free_all(d);
	incoming_free_all(d);
	link_close(d);
	explicit_bzero(d->node.secret_key, sizeof(d->node.secret_key));
	free(d->journal_dir);
	free(d);
}
