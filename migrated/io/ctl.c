/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Orders from vmmig: see ctl.h. */
#include "config.h"
#include "migrated/io/ctl.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "common/log.h"
#include "common/util.h"
#include "migrated/io/incoming.h"
#include "migrated/io/orphan.h"
#include "migrated/io/recorder.h"

struct client {
	struct ctlsock_client c;
	bool watches; /* it is told what is told of every push from here */
};

static void report(void *arg, json_t *o)
{
	ctlsock_reply(arg, o);
}

static void fail(struct ctlsock_client *c, const char *why)
{
	ctlsock_reply(c, json_pack("{s:s, s:s}", "type", "error", "error", why));
}

static const char *text_of(json_t *o, const char *key, size_t cap)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s && strlen(s) < cap ? s : NULL;
}

/* A number in [0, @max]; absent: @ret untouched. */
static int number_of(json_t *o, const char *key, double max, double *ret, struct err *err)
{
	json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return 0;
	double d = json_number_value(v);
	if (!json_is_number(v) || !(d >= 0) || d > max)
		return err_set(err, EINVAL, "\"%s\" must be a number from 0 to %.0f", key, max);
	*ret = d;
	return 0;
}

static int choice_of(json_t *o, const char *key, const char *const *names, unsigned n, unsigned *ret, struct err *err)
{
	json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return 0;
	for (unsigned i = 0; i < n; i++) {
		if (json_is_string(v) && !strcmp(json_string_value(v), names[i])) {
			*ret = i;
			return 0;
		}
	}
	return err_set(err, EINVAL, "\"%s\" has an unknown value", key);
}

int ctl_parse_push(json_t *o, struct push_order *ret, struct err *err)
{
	static const char *const compress[] = { "auto", "lz4", "none" },
				 *const converge[] = { "auto", "throttle", "fail" },
				 *const logdirty[] = { "auto", "track", "hash", "stopcopy" };
	const char *domain = text_of(o, "domain", 64), *host = text_of(o, "host", 64);
	double downtime_ms = 50, mib = 0, timeout = 0, streams = 0;
	unsigned comp = 0, conv = 0, ld = 0;
	struct push_order p = { 0 };

	if (!domain || !name_is_valid(domain))
		return err_set(err, EINVAL, "\"domain\" is missing or no domain name");
	if (!host || !name_is_valid(host))
		return err_set(err, EINVAL, "\"host\" is missing or no host name");
	int r = number_of(o, "downtime_ms", 600000, &downtime_ms, err);
	r = r < 0 ? r : number_of(o, "bandwidth_mib", 1e6, &mib, err);
	r = r < 0 ? r : number_of(o, "timeout_s", 1e6, &timeout, err);
	r = r < 0 ? r : number_of(o, "streams", MIG_STREAMS_MAX, &streams, err);
	r = r < 0 ? r : choice_of(o, "compress", compress, 3, &comp, err);
	r = r < 0 ? r : choice_of(o, "converge", converge, 3, &conv, err);
	r = r < 0 ? r : choice_of(o, "logdirty", logdirty, 4, &ld, err);
	if (r < 0)
		return r;
	strcpy(p.domain, domain);
	strcpy(p.host, host);
	p.downtime_ns = (uint64_t)(downtime_ms * 1e6);
	p.bandwidth_bps = (uint64_t)(mib * 1048576);
	p.timeout_ns = (uint64_t)(timeout * 1e9);
	p.streams = (unsigned)streams;
	p.compress = (enum out_compress)comp;
	p.converge = (enum mig_converge)conv;
	p.logdirty = ld;
	p.suspend = json_is_true(json_object_get(o, "suspend"));
	p.persistent = json_is_true(json_object_get(o, "persistent"));
	p.cluster = json_is_true(json_object_get(o, "cluster"));
	p.audit = json_is_true(json_object_get(o, "audit")) || getenv("HOSPES_AUDIT");
	p.verify = p.audit || json_is_true(json_object_get(o, "verify"));
	*ret = p;
	return 0;
}

static int do_push(struct migrated *d, struct ctlsock_client *c, json_t *o, bool plan, struct err *err)
{
	struct push_order order;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	int r = ctl_parse_push(o, &order, err);
	if (r < 0)
		return r;
	order.plan = plan;
	if (!order.streams)
		order.streams = cpus >= 4 ? 4 : cpus >= 2 ? 2 : 1;
	return outgoing_push(d, &order, report, c, err);
}

static json_t *doubt_help(const char *domain)
{
	_cleanup_free_ char *t = xasprintf(
		"the other host does not answer; it is asked until it does. Only when you have made sure that the domain cannot run there: "
		"vmmig resolve %s --owner local (or HOST)",
		domain);

	return json_string(t);
}

/* The words for one that waits for its journal's disk, if that hangs. */
static void journal_help(struct migrated *d, json_t *v, const char *phase)
{
	static const char *const wait[] = { "journal", "restore", "take", "note" };
	struct err err = { 0 };

	if (recorder_hangs(d->recorder, &err) == 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(wait); i++)
		if (!strcmp(phase, wait[i]))
			(void)json_object_set_new(v, "help", json_string(err.text));
}

static json_t *status_object(struct migrated *d, const char *domain)
{
	json_t *list = outgoing_status(d, domain), *in = incoming_status(d, domain);
	size_t i;
	json_t *v;

	(void)json_array_extend(list, in);
	json_decref(in);
	orphan_status(d, domain, list);
	migrated_unsettled(d, domain, list);
	json_array_foreach(list, i, v)
	{
		const char *phase = json_string_value(json_object_get(v, "phase"));
		if (phase)
			journal_help(d, v, phase);
		if (phase && !strcmp(phase, "in-doubt"))
			(void)json_object_set_new(v, "help",
			                          doubt_help(json_string_value(json_object_get(v, "domain"))));
	}
	return json_pack("{s:s, s:s, s:o}", "type", "status", "host", d->node.name, "migrations", list);
}

static int do_cancel(struct migrated *d, const char *domain, struct err *err)
{
	int r = outgoing_cancel(d, domain, err);

	return r == -ENOENT ? incoming_cancel(d, domain, err) : r;
}

static int do_resolve(struct migrated *d, const char *domain, json_t *o, struct err *err)
{
	const char *owner = text_of(o, "owner", 64);
	bool local = owner && (!strcmp(owner, "local") || !strcmp(owner, d->node.name));

	if (!owner)
		return err_set(err, EINVAL, "\"owner\" is missing");
	int r = outgoing_resolve(d, domain, local, err);
	if (r == -ENOENT)
		r = incoming_resolve(d, domain, local, err);
	return r == -ENOENT ? orphan_resolve(d, domain, local, err) : r;
}

static int do_loglevel(json_t *o, struct err *err)
{
	const char *text = text_of(o, "level", 16);
	enum log_level level;

	if (!text || log_level_parse(text, &level) < 0)
		return err_set(err, EINVAL, "\"level\" is error, warn, info or debug");
	log_level_set(level);
	return 0;
}

static void do_order(struct migrated *d, struct ctlsock_client *c, json_t *o)
{
	const char *op = text_of(o, "op", 32), *domain = text_of(o, "domain", 64);
	struct err err = { 0 };
	json_t *answer = NULL; /* NULL: ok */
	int r = 0;

	if (domain && !name_is_valid(domain))
		domain = NULL;
	if (!op) {
		r = err_set(&err, EINVAL, "\"op\" is missing");
	} else if (!strcmp(op, "push") || !strcmp(op, "plan")) {
		r = do_push(d, c, o, op[1] == 'l', &err);
		if (r == 0)
			return; /* it reports */
	} else if (!strcmp(op, "status") || !strcmp(op, "dump")) {
		answer = status_object(d, domain);
	} else if (!strcmp(op, "watch")) {
		((struct client *)c)->watches = true;
	} else if (!strcmp(op, "loglevel")) {
		r = do_loglevel(o, &err);
	} else if (domain && !strcmp(op, "cancel")) {
		r = do_cancel(d, domain, &err);
	} else if (domain && !strcmp(op, "resolve")) {
		r = do_resolve(d, domain, o, &err);
	} else {
		r = err_set(&err, EINVAL, "unknown order \"%s\", or \"domain\" is missing", op);
	}
	if (r < 0)
		fail(c, err.text);
	else
		ctlsock_reply(c, answer ? answer : json_pack("{s:s}", "type", "ok"));
}

static void on_order(void *arg, struct ctlsock_client *c, json_t *o, const char *wrong)
{
	if (o)
		do_order(arg, c, o);
	else
		fail(c, wrong);
	json_decref(o);
}

static void on_gone(void *arg, struct ctlsock_client *c)
{
	outgoing_detach(arg, c);
}

static const struct ctlsock_type type = {
	.name = "migrated",
	.client_bytes = sizeof(struct client),
	.clients_max = 64,
	.backlog = 16,
	.read_bytes = 4096,
	.in_bytes_max = 65536,
	.out_bytes_max = 1u << 20,
	.order = on_order,
	.gone = on_gone,
};

struct ctlsock *ctl_new(struct migrated *d, struct err *err)
{
	return ctlsock_new(d->loop, &type, d, err);
}

bool ctl_watched(const struct migrated *d)
{
	for (struct ctlsock_client *c = d->ctl ? ctlsock_clients(d->ctl) : NULL; c; c = c->next)
		if (((struct client *)c)->watches && !c->dead)
			return true;
	return false;
}

void ctl_watchers_tell(struct migrated *d, json_t *o)
{
	for (struct ctlsock_client *c = ctlsock_clients(d->ctl); c; c = c->next)
		if (((struct client *)c)->watches && !c->dead)
			ctlsock_reply(c, json_incref(o));
}
