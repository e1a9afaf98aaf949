/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See member_set.h. */
#include "config.h"
#include "tools/member_set.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "common/fault.h"
#include "common/util.h"
#include "tools/jsonconn.h"
#include "tools/member_link.h"

#define SETTLE_LOOKS 10u
#define SETTLE_US    500000u
#define LEAVE_NS     (60 * NS_PER_S) /* well before the host that leaves may think better of it: host_bind() */

/* A member's own files --------------------------------------------------------------------------------------------- */

json_t *member_conf_get(const struct node *self)
{
	_cleanup_free_ char *text = NULL;
	struct err err = { 0 };
	struct conf c;

	_cleanup_json_ json_t *peers = host_conf(&text, &c, &err) < 0 ? NULL : host_peers(self, &c, NULL, &err);
	if (!peers)
		return json_pack("{s:s, s:s, s:i}", "type", "error", "error", err.text, "errno", err.code);
	return json_pack("{s:s, s:s, s:s, s:O, s:b}", "type", "conf", "name", self->name, "conf", text, "peers", peers,
	                 "leaves", (int)host_bound());
}

static int put_peers(const struct node *self, const json_t *list, struct err *err)
{
	_cleanup_peers_ struct peers ps = { 0 };
	int r = host_peers_parse(list, &ps, err);

	for (size_t i = 0; r == 0 && i < ps.n; i++)
		if (strcmp(ps.p[i].name, self->name) != 0)
			r = host_pin(&ps.p[i], err);
	return r;
}

static int refuse_bound(const struct node *self, struct err *err)
{
	return err_set(err, EBUSY,
	               "%s leaves the cluster, and agrees to nothing else for two minutes (vmclus leave there)",
	               self->name);
}

int member_conf_put(const struct node *self, const json_t *req, struct err *err)
{
	_cleanup_free_ char *have = NULL;
	const char *text = field_text(req, "conf");
	struct conf old, now;
	int r = host_conf(&have, &old, err);

	if (r == 0)
		r = conf_parse(text, &now, err);
	if (r < 0)
		return r;
	if (strcmp(old.cluster, now.cluster) != 0 || !conf_named(&now, self->name) || now.unusable)
		return err_set(err, EINVAL, "%s is in cluster %s: that is no configuration for it", self->name,
		               old.cluster);
	if (strcmp(have, text) != 0 && host_bound())
		return refuse_bound(self, err);
	if (strcmp(have, text) != 0 && old.version != (uint64_t)field_num(req, "base"))
		return err_set(err, ESTALE,
		               "%s has version %" PRIu64 " of the node list: somebody else changed it meanwhile",
		               self->name, old.version);
	if (now.version < old.version)
		return err_set(err, ESTALE, "%s has a newer node list", self->name);
	/* whom to trust before who is there; and the file, which says that all of it was done, last but for whom to trust no more */
	r = host_gone_forget(self, &old, err); /* an earlier change that was interrupted */
	if (r == 0)
		r = put_peers(self, json_object_get(req, "peers"), err);
	(void)fault_point("member", "put", "peers", ".done", 0);
	if (r == 0 && strcmp(have, text) != 0)
		r = host_gone_note(self, &old, &now, err);
	if (r == 0 && strcmp(have, text) != 0)
		r = host_conf_write(text, err);
	(void)fault_point("member", "put", "conf", ".done", 0);
	return r < 0 ? r : host_gone_forget(self, &now, err);
}

/* The change ------------------------------------------------------------------------------------------------------- */

struct member {
	const struct conf_node *node;
	const struct peer *peer; /* NULL: this host */
	char *text;              /* NULL: it did not answer */
	json_t *peers;           /* whom it knows */
	uint64_t version;
	struct err err; /* why */
};

struct change {
	const struct member_change *m;
	char *own_text;
	struct conf own, newest;
	const struct member *best; /* one that has it */
	struct peers peers;
	struct member *list; /* in the order of ids */
	unsigned n, heard;   /* of them; those that answered */
	uint64_t began_ns;   /* CLOCK_BOOTTIME */
	char *text;          /* the new one */
};

static void change_done(struct change *c)
{
	for (unsigned i = 0; c->list && i < c->n; i++) {
		free(c->list[i].text);
		json_decref(c->list[i].peers);
	}
	free(c->list);
	free(c->own_text);
	free(c->text);
	peers_done(&c->peers);
}

static int by_id(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return (x->node->id > y->node->id) - (x->node->id < y->node->id);
}

/* The one that asks to be taken out: it counts as one that answers, and takes over nothing. */
static bool is_leaver(const struct change *c, const struct member *v)
{
	return c->m->leaves && !strcmp(v->node->name, c->m->remove);
}

static int ask_conf(struct change *c, struct member *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	struct conf got;
	int r;

	if (!v->peer) {
		v->text = strdup(c->own_text);
		v->version = c->own.version;
		return v->text ? 0 : -ENOMEM;
	}
	r = c->m->ask(c->m->arg, v->peer, json_pack("{s:s}", "op", "conf"), &o, err);
	if (r == 0)
		r = conf_parse(field_text(o, "conf"), &got, err);
	if (r == 0 && strcmp(got.cluster, c->own.cluster) != 0)
		r = err_set(err, EXDEV, "it is in cluster %s, this host in %s", got.cluster, c->own.cluster);
	if (r < 0)
		return r;
	if (field_true(o, "leaves") && !is_leaver(c, v))
		return err_set(err, EBUSY, "it leaves the cluster (vmclus leave there)");
	v->version = got.version;
	v->peers = json_incref(json_object_get(o, "peers"));
	v->text = strdup(field_text(o, "conf"));
	return v->text ? 0 : -ENOMEM;
}

/* What each member has. */
static int ask_all(struct change *c, struct err *err)
{
	const struct node *self = c->m->self;
	int r = host_conf(&c->own_text, &c->own, err);

	if (r == 0)
		r = peers_load(&c->peers, err);
	if (r < 0)
		return r;
	if (!conf_named(&c->own, self->name))
		return err_set(err, EINVAL, "this host, %s, is not in its own node list", self->name);
	c->list = calloc(c->own.n, sizeof(*c->list));
	if (!c->list)
		return err_sys(err, ENOMEM, "hosts");
	c->n = c->own.n;
	for (unsigned i = 0; i < c->n; i++)
		c->list[i].node = &c->own.node[i];
	qsort(c->list, c->n, sizeof(*c->list), by_id);
	for (unsigned i = 0; i < c->n; i++) {
		struct member *v = &c->list[i];
		bool here = !strcmp(v->node->name, self->name);

		if (c->m->remove && !c->m->leaves && !strcmp(v->node->name, c->m->remove) && !here)
			continue;
		v->peer = here ? NULL : peers_by_name(&c->peers, v->node->name);
		if (!here && !v->peer)
			return err_set(
				err, ENOENT,
				"%s is in the cluster, but this host does not know its key: vmmig peers add %s ...",
				v->node->name, v->node->name);
		c->heard += ask_conf(c, v, &v->err) == 0;
	}
	c->heard += c->m->agreed;
	return 0;
}

/* The newest file of all. Two of the same age that differ are a person's work, or that of two orders at one time. */
static int find_newest(struct change *c, struct err *err)
{
	const struct member *best = NULL;
	int r;

	for (unsigned i = 0; i < c->n; i++)
		if (c->list[i].text && (!best || c->list[i].version > best->version))
			best = &c->list[i];
	for (unsigned i = 0; i < c->n; i++) {
		const struct member *v = &c->list[i];

		if (v->text && v->version == best->version && strcmp(v->text, best->text) != 0)
			return err_set(
				err, EINVAL,
				"corosync.conf of %s and of %s differ: make them alike (/etc/corosync), with a higher "
				"totem.config_version, and repeat this",
				best->node->name, v->node->name);
	}
	if (!best) /* this host's own is there at least */
		return err_set(err, ENOMEM, "node lists");
	c->best = best;
	r = conf_parse(best->text, &c->newest, err);
	if (r == 0 && !conf_named(&c->newest, c->m->self->name))
		r = err_set(err, ENOENT,
		            "this host was taken out of the cluster: vmclus leave --force forgets it here, too");
	return r;
}

/* Those that did not answer: enough of the others have to be there. */
static int enough(struct change *c, struct err *err)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct member *v = &c->list[i];
		bool goes = c->m->remove && !strcmp(v->node->name, c->m->remove);

		if (v->text || goes || !conf_named(&c->newest, v->node->name))
			continue;
		if (c->m->add)
			return err_set(err, v->err.code,
			               "%s does not take part: %s; a host is added when all are there (vmclus remove "
			               "takes out one that is gone for good)",
			               v->node->name, v->err.text);
	}
	if (c->heard < c->newest.n / 2 + 1 && !c->m->force)
		return err_set(
			err, EAGAIN,
			"%u of %u hosts answer: no majority; the others might decide otherwise (--force, if they are surely off)",
			c->heard, c->newest.n);
	return 0;
}

static int put_one(struct change *c, const struct member *v, const char *text, const json_t *peers, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	json_t *req = json_pack("{s:s, s:s, s:I, s:O}", "op", "put", "conf", text, "base", (json_int_t)v->version,
	                        "peers", peers);
	int r;

	if (!req)
		return err_sys(err, ENOMEM, "%s", v->node->name);
	if (v->peer)
		return c->m->ask(c->m->arg, v->peer, req, &o, err);
	r = member_conf_put(c->m->self, req, err);
	json_decref(req);
	return r;
}

/*
 * The file and the keys to all that answered and stay. By ids: of two orders at one time the one that comes second to
 * the first host fails there, with nothing changed.
 */
static int put_all(struct change *c, const char *text, const struct conf *now, const json_t *peers, struct err *err)
{
	unsigned done = 0;

	for (unsigned i = 0; i < c->n; i++) {
		struct member *v = &c->list[i];
		struct conf n;

		if (!v->text || !conf_named(now, v->node->name) || is_leaver(c, v))
			continue;
		if (c->m->leaves && boot_ns() > c->began_ns + LEAVE_NS)
			return err_set(err, ETIMEDOUT, "%s takes too long to answer: repeat this", v->node->name);
		(void)fault_point("member", "change", v->node->name, "", 0);
		if (put_one(c, v, text, peers, err) < 0)
			return done ? err_prefix(err,
			                         "%s (the others know of the change: repeat this): ", v->node->name)
			            : err_prefix(err, "%s (nothing was changed): ", v->node->name);
		(void)fault_point("member", "change", v->node->name, ".done", 0);
		done++;
		v->version = conf_parse(text, &n, err) == 0 ? n.version : v->version;
	}
	return 0;
}

/* Earlier changes that did not reach all. */
static int finish_earlier(struct change *c, struct err *err)
{
	bool all = true;

	for (unsigned i = 0; i < c->n; i++)
		all &= !c->list[i].text || c->list[i].version == c->newest.version;
	if (all)
		return 0;
	_cleanup_json_ json_t *peers = c->best->peer ? json_incref(c->best->peers)
	                                             : host_peers(c->m->self, &c->newest, NULL, err);
	return peers ? put_all(c, c->best->text, &c->newest, peers, err) : -err->code;
}

/* Each member of @now that answered has its Corosync read the file: it may be in another membership than this host's. */
static void read_all(const struct change *c, const struct conf *now)
{
	for (unsigned i = 0; i < c->n; i++) {
		const struct member *v = &c->list[i];
		_cleanup_json_ json_t *o = NULL;
		struct err err = { 0 };

		/* one that cannot, or that is of an older version: the next change finds that */
		if (v->text && v->peer && conf_named(now, v->node->name))
			(void)!c->m->ask(c->m->arg, v->peer, json_pack("{s:s}", "op", "read"), &o, &err);
	}
}

/*
 * Of lists that follow each other majorities have a host in common, of others they need not. So the list that is to be changed has
 * to be in force: this host's clusterd decides by it, so a majority of its hosts does, and has all on disk that was decided before.
 */
static int settle(struct change *c, struct err *err)
{
	int r = c->m->force || c->m->agreed ? 0 : c->m->goes_by(&c->newest, err);

	for (unsigned i = 0; r < 0 && i < SETTLE_LOOKS; i++) {
		if (i) {
			usleep(SETTLE_US);
		} else { /* a change that was interrupted; or not all were in one membership then */
			r = c->m->reload(err);
			if (r < 0)
				return r;
			read_all(c, &c->newest);
		}
		r = c->m->goes_by(&c->newest, err);
	}
	return r;
}

/* The new text; NULL: there is nothing to do, or *@ret_failed. */
static char *new_text(struct change *c, bool *ret_failed, struct err *err)
{
	const struct conf_node *there = c->m->add ? conf_named(&c->newest, c->m->add->name) : NULL;
	struct conf_node n;
	char *text;

	*ret_failed = false;
	if (there && !strcmp(there->addr[0], c->m->add->addr[0]))
		return NULL;
	if (!c->m->add && !conf_named(&c->newest, c->m->remove))
		return NULL;
	if (c->m->add) {
		n = *c->m->add;
		n.id = conf_next(&c->newest);
	}
	text = c->m->add ? conf_add(c->best->text, &n, err) : conf_remove(c->best->text, c->m->remove, err);
	*ret_failed = !text;
	return text;
}

static int carry_out(struct change *c, struct err *err)
{
	struct conf now;
	bool failed;
	int r = host_bound() && !c->m->force ? refuse_bound(c->m->self, err) : ask_all(c, err);

	if (r == 0)
		r = find_newest(c, err);
	if (r == 0)
		r = enough(c, err);
	if (r == 0)
		r = finish_earlier(c, err);
	if (r < 0)
		return r;
	c->text = new_text(c, &failed, err);
	if (failed)
		return -err->code;
	if (c->text)
		r = settle(c, err);
	if (r < 0)
		return r;
	if (c->m->expect && strcmp(c->m->expect, c->text ?: c->best->text) != 0)
		return err_set(err, ESTALE, "the cluster's configuration has changed meanwhile: repeat this");
	if (c->text) {
		_cleanup_json_ json_t *peers = NULL;

		r = conf_parse(c->text, &now, err);
		peers = r < 0 ? NULL : host_peers(c->m->self, &now, c->m->peer, err);
		r = peers ? put_all(c, c->text, &now, peers, err) : -err->code;
	}
	if (r == 0)
		r = c->m->reload(err);
	if (r == 0)
		read_all(c, c->text ? &now : &c->newest);
	return r;
}

#define ASK_MS 8000u

static int ask_peer(const void *arg, const struct peer *to, json_t *req, json_t **ret, struct err *err)
{
	return member_ask(arg, to->address, MEMBER_PORT, to->public_key, req, ASK_MS, ret, err);
}

struct member_change member_change_by(const struct node *self)
{
	return (struct member_change){
		.self = self, .ask = ask_peer, .reload = host_reload, .goes_by = host_goes_by, .arg = self
	};
}

int member_change(const struct member_change *m, struct err *err)
{
	struct change c = { .m = m, .began_ns = boot_ns() };
	int r = carry_out(&c, err);

	change_done(&c);
	return r;
}
