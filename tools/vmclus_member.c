/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmclus init, invite, join: this host becomes a cluster, or one of it. Each step may be interrupted, and is repeated
 * by the same command.
 */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <zmq.h>
#include "clusterd/core/level.h"
#include "common/fault.h"
#include "common/util.h"
#include "tools/member_host.h"
#include "tools/member_link.h"
#include "tools/member_token.h"

#define ALONE_S  30u
#define JOIN_MS  15000u
#define ADMIT_MS 120000u /* all members are asked, and the new host is waited for */

static void say(const struct cli *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct cli *v, const char *fmt, ...)
{
	va_list ap;

	if (v->json)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	fflush(stdout);
}

static void warn(const json_t *list)
{
	json_t *w;
	size_t i;

	json_array_foreach(list, i, w)
	{
		_cleanup_free_ char *text = strdup(json_string_value(w) ?: "?");

		if (!text)
			continue;
		text_tidy(text);
		fprintf(stderr, "vmclus: warning: %s\n", text);
	}
}

/* The addresses of --addr and --addr2. */
static int addresses(struct cli *v, unsigned option, char addr[CONF_ADDRS][64], struct err *err)
{
	for (unsigned i = 0; i < CONF_ADDRS; i++) {
		const char *a = v->value[option + i];
		int r;

		addr[i][0] = 0;
		if (a && strlen(a) >= sizeof(addr[i]))
			return err_set(err, EINVAL, "\"%s\" is no address", a);
		if (a)
			strcpy(addr[i], a);
		r = !i || a ? host_address(addr[i], sizeof(addr[i]), err) : 0;
		if (r < 0)
			return r;
	}
	return strcmp(addr[0], addr[1])
	               ? 0
	               : err_set(err, EINVAL,
	                         "--addr and --addr2 are the same address: a second link needs another network");
}

/* init ------------------------------------------------------------------------------------------------------------- */

/* 0: there is no cluster here yet; 1: there is this one, with so many hosts; -errno. */
static int init_found(const char *cluster, const struct node *self, bool force, unsigned *ret_hosts, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct conf c;
	struct err e = { 0 };
	int r = host_conf(&text, &c, &e);

	if (r == -ENOENT || (r < 0 && force))
		return 0;
	if (r == 0 && !strcmp(c.cluster, cluster) && conf_named(&c, self->name) && c.version) {
		*ret_hosts = c.n;
		return 1;
	}
	if (force)
		return 0;
	return r < 0 ? err_set(err, EEXIST, "%s; --force replaces that file", e.text)
	             : err_set(err, EEXIST,
	                       "this host is in cluster %s already (%u hosts): vmclus leave takes it out; --force forgets that "
	                       "cluster and replaces /etc/corosync/corosync.conf",
	                       c.cluster, c.n);
}

static int init_files(struct cli *v, const struct node *self, struct err *err)
{
	struct conf_node n = { .id = 1 };
	_cleanup_free_ char *authkey = NULL, *text = NULL, *old_text = NULL;
	struct conf old = { .n = 0 };
	struct err none;
	int r = addresses(v, 0, n.addr, err);

	if (r == 0)
		r = host_ports_free(self, n.addr[0], false, err);
	if (r < 0)
		return r;
	snprintf(n.name, sizeof(n.name), "%s", self->name);
	say(v, "%s becomes cluster %s, with address %s%s%s\n", self->name, v->arg[0], n.addr[0],
	    n.addr[1][0] ? " and " : "", n.addr[1]);
	r = host_clear(err);
	/* those of a cluster that is forgotten (--force) are trusted no more; while its list is there, so that this can be repeated */
	if (r == 0 && host_conf(&old_text, &old, &none) == 0)
		r = host_unpin(self, &old, NULL, err);
	if (r == 0)
		r = host_witness_set(false, err);
	(void)fault_point("member", "init", "clear", ".done", 0);
	if (r < 0)
		return r;
	authkey = host_authkey(true, err);
	(void)fault_point("member", "init", "authkey", ".done", 0);
	if (!authkey)
		return -err->code;
	explicit_bzero(authkey, strlen(authkey));
	text = conf_make(v->arg[0], &n);
	r = host_conf_write(text, err);
	(void)fault_point("member", "init", "conf", ".done", 0);
	return r;
}

int vmclus_init(struct cli *v, struct err *err)
{
	const char *cluster = v->arg[0];
	unsigned hosts = 1;
	struct node self;
	int r;

	if (!name_is_valid(cluster) || strlen(cluster) > 32)
		return err_set(err, CLI_EUSAGE, "\"%s\" cannot be a cluster's name: 1 to 32 letters, digits, . _ + -",
		               cluster);
	r = host_units_ready(false, err);
	if (r == 0)
		r = node_load(&self, true, err);
	if (r < 0)
		return r;
	explicit_bzero(self.secret_key, sizeof(self.secret_key));
	r = init_found(cluster, &self, cli_opt(v, 2), &hosts, err);
	if (r == 0)
		r = init_files(v, &self, err);
	if (r < 0)
		return r;
	r = host_units_start(err);
	(void)fault_point("member", "init", "units", ".done", 0);
	if (r == 0)
		r = host_wait(NULL, ALONE_S, err);
	if (r < 0)
		return r;
	if (v->json)
		cli_print_json_new(v,
		                   json_pack("{s:s, s:s, s:s}", "status", "ok", "cluster", cluster, "host", self.name));
	say(v, "cluster %s is there, with %s; vmclus invite prints what another host needs to join\n", cluster,
	    hosts > 1 ? "others beside this host" : "this host alone");
	return 0;
}

/* invite ----------------------------------------------------------------------------------------------------------- */

int vmclus_invite_for(struct cli *v, const char *name, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	struct node self;
	struct conf c = { .n = 0 };
	struct token t;
	uint8_t key[32];
	char line[TOKEN_TEXT_MAX];
	int r = host_units_ready(host_is_witness(), err);

	if (r == 0)
		r = host_conf(&text, &c, err);
	if (r == 0)
		r = node_load(&self, false, err);
	if (r == 0 && !conf_named(&c, self.name))
		r = err_set(err, EINVAL,
		            "this host, %s, is not in the node list of corosync.conf: they must have the same name",
		            self.name);
	if (r == 0)
		r = host_wait(NULL, 5, err);
	if (r < 0)
		return r;
	explicit_bzero(self.secret_key, sizeof(self.secret_key));
	const char *argv[] = { "systemctl", "--quiet", "enable", "--now", "hospes-member.socket", NULL };
	r = host_run(argv, err);
	if (r == 0 && !zmq_z85_decode(key, self.public_key))
		r = err_set(err, EINVAL, "this host's key is none");
	if (r == 0)
		r = invite_make(key, MEMBER_PORT, name, &t, err);
	if (r < 0)
		return r;
	token_print(&t, line);
	explicit_bzero(&t, sizeof(t));
	if (v->json)
		cli_print_json_new(v, json_pack("{s:s, s:s, s:s, s:i}", "status", "ok", "token", line, "address",
		                                conf_named(&c, self.name)->addr[0], "valid_s", 3600));
	else
		printf("vmclus join %s %s\n", conf_named(&c, self.name)->addr[0], line);
	if (!v->json)
		fprintf(stderr,
		        "Run that on the new host, within an hour. It is for one host, and whoever has it can join: keep it secret.\n");
	return 0;
}

int vmclus_invite(struct cli *v, struct err *err)
{
	const char *name = v->value[0];

	if (name && !name_is_valid(name))
		return err_set(err, CLI_EUSAGE, "\"%s\" cannot be a host's name", name);
	return vmclus_invite_for(v, name, err);
}

/* join ------------------------------------------------------------------------------------------------------------- */

struct join {
	struct cli *v;
	struct node self;
	struct token token;
	char key[PEER_KEY_TEXT];
	char addr[CONF_ADDRS][64];
	bool witness;    /* this host is to be one */
	json_t *welcome; /* what the inviter sent */
};

static json_t *join_request(const struct join *j, const char *op)
{
	char secret[2 * TOKEN_SECRET + 1];

	for (unsigned i = 0; i < TOKEN_SECRET; i++)
		sprintf(secret + 2 * i, "%02x", j->token.secret[i]);
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:s, s:b, s:i}", "op", op, "secret", secret, "name",
	                      j->self.name, "addr", j->addr[0], "addr2", j->addr[1], "port", (int)j->self.port,
	                      "time_s", (json_int_t)time(NULL), "version", PACKAGE_VERSION, "witness", (int)j->witness,
	                      "level", CLU_LEVEL);
	explicit_bzero(secret, sizeof(secret));
	return o;
}

static int join_prepare(struct join *j, struct err *err)
{
	struct cli *v = j->v;
	char line[2 * TOKEN_TEXT_MAX] = "";
	int r;

	if (!strcmp(v->arg[1], "-") && fgets(line, sizeof(line), stdin))
		line[strcspn(line, "\n")] = 0;
	r = token_parse(strcmp(v->arg[1], "-") ? v->arg[1] : line, &j->token, err);
	explicit_bzero(line, sizeof(line));

	if (r == 0)
		r = host_units_ready(j->witness, err);
	if (r == 0)
		r = node_load(&j->self, true, err);
	if (r == 0)
		r = addresses(v, 0, j->addr, err);
	if (r == 0)
		r = host_ports_free(&j->self, j->addr[0], j->witness, err);
	if (r == 0 && !zmq_z85_encode(j->key, j->token.key, 32))
		r = err_set(err, EINVAL, "the token holds no key");
	if (r == 0)
		r = host_connects(v->arg[0], j->token.port, "hospes-member of the inviting host", err);
	return r;
}

/* 1: this host has what the inviter sent; 0: it has nothing, or what an earlier attempt left; -errno: it is in a cluster. */
static int join_found(const struct join *j, struct err *err)
{
	const char *cluster = field_text(j->welcome, "cluster");
	_cleanup_json_ json_t *st = NULL;
	_cleanup_free_ char *text = NULL;
	struct conf c;
	struct err e = { 0 };
	int r = host_conf(&text, &c, &e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_set(err, e.code, "%s", e.text);
	bool same = !strcmp(text, field_text(j->welcome, "conf")), role = host_is_witness() == j->witness;
	if (same && role)
		return 1;
	if (same)
		return err_set(
			err, EEXIST,
			"this host is in cluster %s already, or on its way in, %s: to change that, vmclus leave (--force if "
			"it never came in), and join again",
			cluster, j->witness ? "and carries domains" : "as a witness");
	/* half-way in, or taken out meanwhile: it is alone in a list of several */
	if (!strcmp(c.cluster, cluster) && c.n > 1 && (host_status(&st, &e) < 0 || !field_true(st, "quorate")))
		return 0;
	if (!strcmp(c.cluster, cluster) && c.n == 1)
		return err_set(
			err, EEXIST,
			"this host is a cluster %s of its own (vmclus init is for the first host only): vmclus leave "
			"--force ends that one, then repeat this",
			cluster);
	return err_set(err, EEXIST,
	               "this host is in cluster %s already, and the token is for %s: vmclus leave takes it out",
	               c.cluster, cluster);
}

/* Has that host of the cluster domains, or may it have? */
static bool carries(const struct join *j, const char *name)
{
	json_t *w;
	size_t i;

	json_array_foreach(json_object_get(j->welcome, "witnesses"), i,
	                   w) if (!strcmp(json_string_value(w) ?: "", name)) return false;
	return !j->witness;
}

/* What can be tried before anything is changed. */
static int join_checks(const struct join *j, const struct peers *ps, struct err *err)
{
	_cleanup_json_ json_t *missing = json_array();
	unsigned mtu = host_mtu(j->addr[0]), theirs = (unsigned)field_num(j->welcome, "mtu");
	json_t *d;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ps->n; i++) {
		const struct peer *p = &ps->p[i];

		if (!strcmp(p->name, j->self.name))
			continue;
		bool moves = carries(j, p->name);

		r = host_connects(p->address, MEMBER_PORT, "hospes-member", err);
		if (r == 0 && moves)
			r = host_connects(p->address, p->port, "migrated", err);
		if (r == 0 && moves)
			r = host_connects(p->address, (uint16_t)(p->port + 1), "migrated, guest memory", err);
	}
	if (r < 0)
		return r;
	json_array_foreach(json_object_get(j->welcome, "dirs"), i, d)
	{
		const char *path = json_string_value(d);

		if (!j->witness && path && path[0] == '/' && access(path, F_OK) < 0)
			(void)json_array_append_new(
				missing,
				json_sprintf("%s, where the inviting host may have guests' disks, is not here", path));
	}
	if (mtu && theirs && mtu != theirs)
		(void)json_array_append_new(
			missing,
			json_sprintf("the MTU of %s is %u, that of the inviting host %u: large packets may get lost",
		                     j->addr[0], mtu, theirs));
	warn(missing);
	return 0;
}

static int join_files(const struct join *j, struct err *err)
{
	_cleanup_peers_ struct peers ps = { 0 };
	const char *text = field_text(j->welcome, "conf");
	struct conf c;
	int r = conf_parse(text, &c, err);

	if (r == 0 && (!conf_named(&c, j->self.name) || strcmp(c.cluster, field_text(j->welcome, "cluster")) != 0))
		r = err_set(err, EPROTO, "the inviting host sent a configuration without this host");
	if (r == 0)
		r = host_peers_parse(json_object_get(j->welcome, "peers"), &ps, err);
	if (r == 0)
		r = join_checks(j, &ps, err);
	if (r == 0)
		r = host_clear(err);
	if (r == 0)
		r = host_witness_set(j->witness, err);
	(void)fault_point("member", "join", "clear", ".done", 0);
	if (r == 0)
		r = host_authkey_write(field_text(j->welcome, "authkey"), err);
	(void)fault_point("member", "join", "authkey", ".done", 0);
	for (size_t i = 0; r == 0 && i < ps.n; i++)
		if (strcmp(ps.p[i].name, j->self.name) != 0)
			r = host_pin(&ps.p[i], err);
	(void)fault_point("member", "join", "peers", ".done", 0);
	if (r == 0)
		r = host_conf_write(text, err);
	(void)fault_point("member", "join", "conf", ".done", 0);
	return r;
}

static int join_enter(struct join *j, struct err *err)
{
	const char *host = j->v->arg[0];
	_cleanup_json_ json_t *ok = NULL;
	int r = member_ask(&j->self, host, j->token.port, j->key, join_request(j, "join"), JOIN_MS, &j->welcome, err);

	if (r < 0)
		return r;
	warn(json_object_get(j->welcome, "warnings"));
	if (j->witness && !field_true(j->welcome, "witness"))
		return err_set(
			err, ENOTSUP,
			"the inviting host has an older Hospes, which knows no witnesses: update all hosts first");
	r = join_found(j, err);
	if (r < 0)
		return r;
	say(j->v, "%s joins cluster %s%s\n", j->self.name, field_text(j->welcome, "cluster"),
	    j->witness ? " as a witness" : "");
	if (r == 0)
		r = join_files(j, err);
	/* all daemons run and wait for the others before these hear of this host: none of them is missed while it starts */
	if (r >= 0)
		r = host_units_start(err);
	(void)fault_point("member", "join", "units", ".done", 0);
	if (r < 0)
		return r;
	say(j->v, "its daemons run; the other hosts are told\n");
	r = member_ask(&j->self, host, j->token.port, j->key, join_request(j, "admit"), ADMIT_MS, &ok, err);
	(void)fault_point("member", "join", "admit", ".done", 0);
	return r < 0 ? err_prefix(
			       err,
			       "this host is ready, but not in the cluster yet; repeat the command when this is mended: ")
	             : host_wait(j->self.name, ALONE_S, err);
}

int vmclus_join(struct cli *v, struct err *err)
{
	struct join j = { .v = v, .witness = cli_opt(v, 2) };
	int r = join_prepare(&j, err);

	if (r == 0)
		r = join_enter(&j, err);
	if (r == 0 && v->json)
		cli_print_json_new(v, json_pack("{s:s, s:s, s:s}", "status", "ok", "cluster",
		                                field_text(j.welcome, "cluster"), "host", j.self.name));
	if (r == 0)
		say(v, "%s is in cluster %s; vmclus status shows it\n", j.self.name, field_text(j.welcome, "cluster"));
	explicit_bzero(&j.token, sizeof(j.token));
	explicit_bzero(j.self.secret_key, sizeof(j.self.secret_key));
	json_decref(j.welcome);
	return r;
}
