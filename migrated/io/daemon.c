/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Puts the daemon together, and settles at start what an earlier one left behind. */
#include "config.h"
#include "migrated/io/daemon.h"
#include <errno.h>
#include <string.h>
#include "common/log.h"
#include "common/util.h"
#include "migrated/io/ctl.h"
#include "migrated/io/incoming.h"
#include "migrated/io/preflight_ask.h"
#include "migrated/io/knock.h"
#include "migrated/io/outgoing.h"
#include "migrated/io/recorder.h"

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
	d->helpers = workers_new(loop, PREFLIGHT_HELPERS, PREFLIGHT_NS);
	_cleanup_free_ char *journal = xasprintf("%s/migrations", path_state());
	int r = d->helpers ? mkdir_p(journal, 0700) : -ENOMEM;
	if (r < 0)
		r = err_sys(err, r, "create %s", journal);
	if (r == 0) {
		d->recorder = recorder_new(loop, journal, err);
		r = d->recorder ? 0 : -EIO;
	}
	if (r == 0) {
		r = mkdir_p(path_log(), 0750); /* for the incoming domains, whose processes open their logs there */
		if (r < 0)
			r = err_sys(err, r, "create %s", path_log());
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

/*
 * A session whose hvdom lives and does not answer. Nothing is said of it to anybody: what hvdom was asked for before, to give the domain
 * away or to take it, is done when it goes on.
 */
struct unsettled {
	struct unsettled *next;
	uint64_t session;
	bool source;
	char name[64], peer[64];
	struct migrated *d;
	struct knock *knock; /* it is being asked */
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
	*u = (struct unsettled){ .next = d->unsettled, .session = rec->session, .source = source, .d = d };
	memcpy(u->name, rec->name, sizeof(u->name));
	memcpy(u->peer, rec->peer, sizeof(u->peer));
	d->unsettled = u;
	loop_timer_in(d->unsettled_timer, UNSETTLED_NS);
}

static void unsettled_free(struct unsettled *u)
{
	for (struct unsettled **p = &u->d->unsettled; *p; p = &(*p)->next) {
		if (*p == u) {
			*p = u->next;
			break;
		}
	}
	knock_drop(u->knock);
	free(u);
}

/* It answers, or it is gone: what is asked of it now is answered at once. */
static void answered(void *arg, int status, const struct hv_info *info)
{
	struct unsettled *u = arg;
	struct migrated *d = u->d;
	const struct journal_rec *at = recorder_find(d->recorder, u->session);
	struct journal_rec rec = at ? *at : (struct journal_rec){ 0 };

	(void)info;
	u->knock = NULL;
	if (status == -ETIMEDOUT)
		return;
	unsettled_free(u);
	if (rec.rec)
		recover_one(d, &rec);
}

static void ask_again(void *arg)
{
	struct migrated *d = arg;

	if (d->unsettled)
		loop_timer_in(d->unsettled_timer, UNSETTLED_NS);
	for (struct unsettled *u = d->unsettled; u; u = u->next)
		if (!u->knock)
			u->knock = knock(d->loop, u->name, KNOCK_NS, answered, u);
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
	int r = recorder_each(d->recorder, recover_one, d);
	if (r < 0)
		return err_sys(err, r, "journal");
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
	d->ctl = NULL;
	loop_del_timer(d->unsettled_timer);
	while (d->unsettled)
		unsettled_free(d->unsettled);
	outgoing_free_all(d);
	incoming_free_all(d);
	recorder_free(d->recorder);
	workers_free(d->helpers);
	link_close(d);
	explicit_bzero(d->node.secret_key, sizeof(d->node.secret_key));
	free(d);
}
