/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes-member: what a host answers to others about the membership of its cluster. Started by hospes-member.socket
 * when somebody connects, ends when nobody asks any more. Hosts whose key is pinned and that are in the node list may
 * read and change it; any other one may only use an invitation that is open. "--sync" is run before Corosync starts: it
 * asks the others whether the node list was changed meanwhile. ADR 85.
 */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zmq.h>
#include "common/fault.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/util.h"
#include "tools/jsonconn.h"
#include "tools/member_link.h"
#include "tools/member_set.h"
#include "tools/member_token.h"

#define IDLE_MS    60000u
#define ASK_MS     8000u
#define SYNC_MS    1000u
#define SYNC_MAX_S 2u
#define CLOCK_S    2
#define ONLINE_S   20u /* for a new host to be online */
#define ALONE_S    6u  /* ... where its vote is needed for quorum: domains run for a lease without */

struct memberd {
	struct node self;
};

static json_t *failed(const struct err *err)
{
	log_warn("%s", err->text);
	return member_error(err);
}

/* Who joins, as it describes itself. Nothing of it is to be believed but what was checked. */
struct joiner {
	uint8_t secret[TOKEN_SECRET];
	struct conf_node node;
	struct peer peer;
	bool witness; /* it will carry no domains, so it has no migrated */
};

static int parse_joiner(const json_t *req, const char *key, struct joiner *ret, struct err *err)
{
	const char *secret = field_text(req, "secret"), *name = field_text(req, "name"), *addr[CONF_ADDRS];
	double port = field_num(req, "port");
	struct joiner j = { .node.id = 0 };

	addr[0] = field_text(req, "addr");
	addr[1] = field_text(req, "addr2");
	if (strlen(secret) != 2 * TOKEN_SECRET || strspn(secret, "0123456789abcdef") != 2 * TOKEN_SECRET)
		return err_set(err, EACCES, "the message has no token");
	for (size_t i = 0; i < TOKEN_SECRET; i++) {
		unsigned v = 0;

		(void)!sscanf(secret + 2 * i, "%2x", &v);
		j.secret[i] = (uint8_t)v;
	}
	if (!name_is_valid(name) || !host_is_address(addr[0]) || (*addr[1] && !host_is_address(addr[1])) || port < 1 ||
	    port > 65534)
		return err_set(err, EPROTO, "name, address or port of the new host is none");
	snprintf(j.node.name, sizeof(j.node.name), "%s", name);
	for (unsigned i = 0; i < CONF_ADDRS; i++)
		snprintf(j.node.addr[i], sizeof(j.node.addr[i]), "%s", addr[i]);
	snprintf(j.peer.name, sizeof(j.peer.name), "%s", name);
	snprintf(j.peer.address, sizeof(j.peer.address), "%s", addr[0]);
	snprintf(j.peer.public_key, sizeof(j.peer.public_key), "%s", key);
	j.peer.port = (uint16_t)port;
	j.witness = field_true(req, "witness");
	*ret = j;
	return 0;
}

/* The cluster as it has to be for a host of @level to come: all there, able to decide, and nothing in its state that the host cannot read. */
static int check_cluster(const struct conf *c, double level, struct err *err)
{
	_cleanup_json_ json_t *st = NULL;
	int r = host_status(&st, err);

	if (r == 0 && !field_true(st, "quorate"))
		r = err_set(err, EAGAIN,
		            "this host's cluster has no quorum: nothing can be changed until it has (vmclus status)");
	if (r == 0 && field_num(st, "level") > level)
		r = err_set(
			err, EPROTONOSUPPORT,
			"the new host has an earlier version of Hospes than this cluster uses (feature level %.0f, not %.0f): "
			"install the later one there (%s/upgrade.md)",
			level, field_num(st, "level"), path_doc());
	for (unsigned i = 0; r == 0 && i < c->n; i++) {
		const char *state = host_state_of(st, c->node[i].name);

		if (strcmp(state, "online") != 0)
			r = err_set(
				err, EAGAIN,
				"%s is %s: a host is added when all others are online (vmclus remove takes out one that is "
				"gone for good)",
				c->node[i].name, *state ? state : "not known to clusterd");
	}
	return r;
}

/* Does it fit into this cluster? -EEXIST, -EINVAL with the text; 1: it is in it already. */
static int check_joiner(const struct conf *c, const struct joiner *j, const json_t *req, struct err *err)
{
	const struct conf_node *there = conf_named(c, j->node.name);
	double ahead = field_num(req, "time_s") - (double)time(NULL);
	_cleanup_peers_ struct peers ps = { 0 };
	int r = peers_load(&ps, err);

	if (r < 0)
		return r;
	if (ahead > CLOCK_S || ahead < -CLOCK_S)
		return err_set(
			err, EINVAL,
			"the clocks differ by %.0f s: run the same time service (chrony) on all hosts, and repeat this",
			ahead < 0 ? -ahead : ahead);
	if (!c->node[0].addr[1][0] != !j->node.addr[1][0])
		return err_set(err, EINVAL,
		               c->node[0].addr[1][0]
		                       ? "the cluster has two links: name the new host's second address by --addr2"
		                       : "the cluster has one link: --addr2 is not for it");
	if (there) {
		const struct peer *p = peers_by_name(&ps, j->node.name);

		if (p && !strcmp(p->public_key, j->peer.public_key) && !strcmp(there->addr[0], j->node.addr[0]))
			return 1;
		return err_set(
			err, EEXIST,
			"the cluster has a host called %s: give the new one another name (/etc/hospes/hostname or the "
			"host name), or, if it takes the place of that one, vmclus replace %s",
			j->node.name, j->node.name);
	}
	return 0;
}

static void warn_of(json_t *to, const json_t *req)
{
	if (strcmp(field_text(req, "version"), PACKAGE_VERSION) != 0)
		(void)json_array_append_new(to, json_sprintf("this host has Hospes %.40s, the inviting one %s",
		                                             field_text(req, "version"), PACKAGE_VERSION));
}

/* Names of the cluster's witnesses, as far as clusterd knows. */
static json_t *witnesses(void)
{
	_cleanup_json_ json_t *st = NULL;
	json_t *a = json_array(), *h;
	struct err e = { 0 };
	size_t i;

	if (host_status(&st, &e) < 0)
		return a;
	json_array_foreach(json_object_get(st, "hosts"), i, h) if (!strcmp(field_text(h, "role"), "witness"))(void)
		json_array_append_new(a, json_string(field_text(h, "name")));
	return a;
}

/* What the new host needs. Nothing is changed here, and it is in no node list yet. */
static json_t *welcome(struct memberd *d, const char *text, const struct conf *c, const struct joiner *j,
                       const json_t *req, bool there, struct err *err)
{
	struct conf_node n = j->node;

	n.id = conf_next(c);
	_cleanup_free_ char *conf = there ? strdup(text) : conf_add(text, &n, err),
			    *authkey = conf ? host_authkey(false, err) : NULL;
	_cleanup_json_ json_t *peers = authkey ? host_peers(&d->self, c, there ? NULL : &j->peer, err) : NULL;
	_cleanup_json_ json_t *warnings = json_array();

	if (!peers)
		return NULL;
	warn_of(warnings, req);
	log_info("%s (%s) is invited to cluster %s", n.name, n.addr[0], c->cluster);
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:O, s:o, s:i, s:O, s:b, s:o}", "type", "welcome", "cluster",
	                      c->cluster, "conf", conf, "authkey", authkey, "peers", peers, "dirs", host_dirs(), "mtu",
	                      (int)host_mtu(c->node[0].addr[0]), "warnings", warnings, "witness", (int)j->witness,
	                      "witnesses", witnesses());
	explicit_bzero(authkey, strlen(authkey));
	return o;
}

/* Who asks to come, and with what right; the list that it comes to. 1: it is in it already; -errno. */
static int take_joiner(const json_t *req, const char *key, struct joiner *j, char **ret_text, struct conf *c,
                       struct err *err)
{
	int r = parse_joiner(req, key, j, err);

	if (r == 0)
		r = invite_use(j->secret, key, j->node.name, err);
	if (r == 0)
		r = host_conf(ret_text, c, err);
	if (r == 0)
		r = check_joiner(c, j, req, err);
	if (r == 0) /* one that is in the list already may be what quorum waits for */
		r = check_cluster(c, field_num(req, "level"), err);
	return r;
}

static json_t *on_join(struct memberd *d, const char *key, const json_t *req)
{
	_cleanup_free_ char *text = NULL;
	struct err err = { 0 };
	struct joiner j;
	struct conf c;
	int r = take_joiner(req, key, &j, &text, &c, &err);
	json_t *o = r < 0 ? NULL : welcome(d, text, &c, &j, req, r == 1, &err);

	return o ?: failed(&err);
}

/* The new host has all files and its daemons run: can the others reach it, and is it the one? */
static int check_back(struct memberd *d, const struct joiner *j, char **ret_conf, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	int r = j->witness ? 0 : host_connects(j->node.addr[0], j->peer.port, "migrated", err);

	if (r == 0 && !j->witness)
		r = host_connects(j->node.addr[0], (uint16_t)(j->peer.port + 1), "migrated, guest memory", err);
	if (r == 0)
		r = member_ask(&d->self, j->node.addr[0], MEMBER_PORT, j->peer.public_key,
		               json_pack("{s:s}", "op", "conf"), ASK_MS, &o, err);
	if (r < 0)
		return err_prefix(err, "from %s: ", d->self.name);
	*ret_conf = strdup(field_text(o, "conf"));
	return *ret_conf ? 0 : err_sys(err, ENOMEM, "%s", j->node.name);
}

/*
 * The new host is in the list. If it does not come, the list is what it was: without its vote there may be no quorum. Not so
 * for one that was there once: it may run domains. @alone: this host was the only one before.
 */
static int await_new(const struct member_change *m, bool alone, struct err *err)
{
	struct member_change undo = *m;
	_cleanup_json_ json_t *st = NULL;
	struct err e = { 0 };
	int r = host_wait(m->add->name, alone ? ALONE_S : ONLINE_S, err);

	if (r == 0 || host_status(&st, &e) < 0 || strcmp(host_state_of(st, m->add->name), "new") != 0)
		return r;
	if (!alone && !field_true(st, "quorate"))
		return r; /* the others may know better */
	log_warn("%s does not come: it is taken out again", m->add->name);
	undo.remove = m->add->name;
	undo.agreed = alone;
	undo.add = NULL;
	undo.peer = NULL;
	undo.expect = NULL;
	if (member_change(&undo, &e) < 0)
		return err_set(err, e.code, "%s does not come, and cannot be taken out of the list: %s", m->add->name,
		               e.text);
	return err_prefix(err, "the change was undone: ");
}

static json_t *on_admit(struct memberd *d, const char *key, const json_t *req)
{
	_cleanup_free_ char *text = NULL, *theirs = NULL;
	struct err err = { 0 };
	struct joiner j;
	struct conf c;
	int r = take_joiner(req, key, &j, &text, &c, &err);

	if (r >= 0)
		r = check_back(d, &j, &theirs, &err);
	if (r == 0) {
		struct member_change m = member_change_by(&d->self);

		m.add = &j.node;
		m.peer = &j.peer;
		m.expect = theirs;
		(void)fault_point("member", "admit", "change", "", 0);
		r = member_change(&m, &err);
		(void)fault_point("member", "admit", "change", ".done", 0);
		if (r == 0)
			r = await_new(&m, c.n == 1, &err);
	}
	if (r < 0)
		return failed(&err);
	log_info("%s is in the cluster", j.node.name);
	return json_pack("{s:s}", "type", "ok");
}

/* A member that has emptied itself. */
static json_t *on_leave(struct memberd *d, const char *name)
{
	struct member_change m = member_change_by(&d->self);
	_cleanup_json_ json_t *st = NULL;
	struct err err = { 0 };
	int r = host_status(&st, &err);

	const char *state = r < 0 ? "" : host_state_of(st, name);

	if (*state && strcmp(state, "safe") != 0 && strcmp(state, "new") != 0)
		r = err_set(&err, EBUSY, "%s has not left in order: it is %s", name, state);
	m.remove = name;
	m.leaves = true;
	if (r == 0)
		r = member_change(&m, &err);
	if (r < 0)
		return failed(&err);
	log_info("%s has left the cluster", name);
	return json_pack("{s:s}", "type", "ok");
}

/* The member with @key: pinned, and in the node list. "" if there is none. */
static void member_with(const char *key, char name[64])
{
	_cleanup_peers_ struct peers ps = { 0 };
	_cleanup_free_ char *text = NULL;
	struct err err = { 0 };
	struct conf c;

	*name = 0;
	if (host_conf(&text, &c, &err) < 0 || peers_load(&ps, &err) < 0)
		return;
	const struct peer *p = peers_by_key(&ps, key);
	if (p && conf_named(&c, p->name))
		snprintf(name, 64, "%s", p->name);
}

static bool admits(void *arg, const char *key)
{
	char name[64];

	(void)arg;
	if (invite_any())
		return true;
	member_with(key, name);
	if (!*name)
		log_warn("a host whose key is not that of a member was refused; no invitation is open");
	return *name;
}

static json_t *answer(void *arg, const char *key, const char *address, const json_t *req)
{
	const char *op = field_text(req, "op");
	struct memberd *d = arg;
	struct err err = { 0 };
	char name[64];

	if (!strcmp(op, "join"))
		return on_join(d, key, req);
	if (!strcmp(op, "admit"))
		return on_admit(d, key, req);
	member_with(key, name);
	if (!*name)
		(void)err_set(&err, EACCES, "only members of the cluster may do that");
	else if (!strcmp(op, "conf"))
		return member_conf_get(&d->self);
	else if (!strcmp(op, "leave"))
		return on_leave(d, name);
	else if (!strcmp(op, "read"))
		return host_read(&err) < 0 ? failed(&err) : json_pack("{s:s}", "type", "ok");
	else if (strcmp(op, "put") != 0)
		(void)err_set(&err, ENOTSUP, "this version of Hospes (%s) does not know how to do that",
		              PACKAGE_VERSION);
	else if (member_conf_put(&d->self, req, &err) == 0)
		return json_pack("{s:s}", "type", "ok");
	log_warn("asked by %s", *name ? name : address);
	return failed(&err);
}

/* Before Corosync starts ------------------------------------------------------------------------------------------- */

/* What @p knows. True: it answered. A newer list is taken over: a member may change this host's at any time anyway. */
static bool sync_with(struct memberd *d, const struct conf *own, const struct peer *p)
{
	_cleanup_json_ json_t *o = NULL, *put = NULL;
	struct err err = { 0 };
	struct conf got;
	int r = member_ask(&d->self, p->address, MEMBER_PORT, p->public_key, json_pack("{s:s}", "op", "conf"), SYNC_MS,
	                   &o, &err);

	if (r == 0)
		r = conf_parse(field_text(o, "conf"), &got, &err);
	if (r < 0)
		return false;
	if (got.version <= own->version)
		return true;
	put = json_pack("{s:O, s:O, s:I}", "conf", json_object_get(o, "conf"), "peers", json_object_get(o, "peers"),
	                "base", (json_int_t)own->version);
	r = put ? member_conf_put(&d->self, put, &err) : err_sys(&err, ENOMEM, "node list");
	if (r < 0)
		log_error("the node list of %s: %s", p->name, err.text);
	else
		log_info("the node list was changed meanwhile: %s has version %" PRIu64 " of it", p->name, got.version);
	return true;
}

/* One that answers is enough: the usual case is that nothing changed, and Corosync waits for this. */
static void sync_any(struct memberd *d)
{
	_cleanup_peers_ struct peers ps = { 0 };
	_cleanup_free_ char *text = NULL;
	uint64_t until = boot_ns() + SYNC_MAX_S * NS_PER_S;
	bool answered = false;
	struct err err = { 0 };
	struct conf own;

	if (host_conf(&text, &own, &err) < 0 || peers_load(&ps, &err) < 0)
		return;
	for (unsigned i = 0; own.version && !answered && i < own.n && boot_ns() < until; i++) {
		const struct peer *p = peers_by_name(&ps, own.node[i].name);

		answered = p && sync_with(d, &own, p);
	}
}

/* An earlier one may have died between the list and the keys of those that are not in it any more. */
static void forget_gone(struct memberd *d)
{
	_cleanup_free_ char *text = NULL;
	struct err err = { 0 };
	struct conf c;

	if (host_conf(&text, &c, &err) == 0 && host_gone_forget(&d->self, &c, &err) < 0)
		log_error("%s", err.text);
}

int main(int argc, char **argv)
{
	static struct memberd d;
	const struct member_server srv = { .arg = &d, .admits = admits, .answer = answer };
	bool sync = argc == 2 && !strcmp(argv[1], "--sync");
	struct err err = { 0 };

	if (argc > 1 && !sync) {
		fputs("usage: hospes-member [--sync]\n"
		      "Answers other hosts about the membership of this host's cluster; run by hospes-member.socket. See vmclus(8).\n"
		      "  --sync   ask the others whether the node list was changed, and take it over\n",
		      !strcmp(argv[1], "--help") ? stdout : stderr);
		return strcmp(argv[1], "--help") ? 2 : 0;
	}
	log_init("hospes-member", LOG_LEVEL_INFO);
	if (node_load(&d.self, false, &err) < 0) {
		log_error("%s", err.text);
		return sync ? 0 : 1;
	}
	forget_gone(&d);
	if (sync) {
		sync_any(&d);
		return 0;
	}
	if (member_serve(&d.self, notify_socket(NULL), MEMBER_PORT, IDLE_MS, &srv, &err) < 0) {
		log_error("%s", err.text);
		return 1;
	}
	return 0;
}
