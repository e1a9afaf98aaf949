/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmclus leave, remove, replace: a host goes out of the cluster, by itself or without being asked. */
#include "config.h"
#include "tools/vmclus_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/fault.h"
#include "common/util.h"
#include "tools/member_link.h"
#include "tools/member_set.h"

#define LEAVE_MS 60000u

/* leave ------------------------------------------------------------------------------------------------------------ */

/* That the others know is written down: a repeated leave does not ask those that do not know this host any more. */
static char *left_file(void)
{
	return xasprintf("%s/cluster/left-for-good", path_run());
}

static int empty_host(struct cli *v, struct err *err)
{
	_cleanup_json_ json_t *o = NULL;
	json_t *order = json_pack("{s:s, s:b}", "op", "leave", "wait", 1);
	int r = vmclus_timeout(v, 0, order, err);

	if (r == 0)
		r = vmclus_order(order, NULL, NULL, NULL, &o, err);
	if (r == 0 && json_is_false(json_object_get(o, "complete")))
		r = err_set(
			err, EAGAIN,
			"there is no quorum to tell that this host leaves; repeat this when there is (vmclus status), or "
			"--force, and vmclus remove on the others");
	return r;
}

/*
 * Any of the others will do. If this host asked before, and those that answer do not know it any more, the answer was lost: they did what
 * it asked for.
 */
static int tell_one(const struct node *self, const struct conf *c, struct err *err)
{
	_cleanup_peers_ struct peers ps = { 0 };
	bool asked = host_asked(), unknown = false;
	int r = peers_load(&ps, err);

	if (r < 0)
		return r;
	r = err_set(err, ENOENT, "no other host of the cluster is known here, or can be reached");
	for (unsigned i = 0; r < 0 && i < c->n; i++) {
		_cleanup_json_ json_t *o = NULL;
		const struct peer *p = peers_by_name(&ps, c->node[i].name);

		if (!p || !strcmp(p->name, self->name) ||
		    host_connects(p->address, MEMBER_PORT, "hospes-member", err) < 0)
			continue;
		r = host_bind(err);
		if (r < 0)
			break;
		r = member_ask(self, p->address, MEMBER_PORT, p->public_key, json_pack("{s:s}", "op", "leave"),
		               LEAVE_MS, &o, err);
		unknown |= r == -EACCES && asked;
		if (r < 0 && r != -ETIMEDOUT && !(r == -EACCES && asked))
			break;
	}
	if ((r == -EACCES || r == -ETIMEDOUT) && unknown)
		return 0;
	return r < 0 ? err_prefix(
			       err,
			       "this host is empty, but the others could not be told (--force leaves without, then: vmclus remove %s there; "
			       "vmclus shutdown-host --undo stays): ",
			       self->name)
	             : 0;
}

static int forget(const struct node *self, const struct conf *c, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/corosync.conf",
	                                      secure_getenv("HOSPES_COROSYNCDIR") ?: "/etc/corosync");
	_cleanup_free_ char *key = xasprintf("%s/authkey", secure_getenv("HOSPES_COROSYNCDIR") ?: "/etc/corosync");
	_cleanup_free_ char *old = xasprintf("%s.left", path);
	int r = host_units_stop(err);

	(void)fault_point("member", "leave", "units", ".done", 0);
	if (r == 0)
		r = host_clear(err);
	if (r == 0)
		r = host_unpin(self, c, NULL, err);
	if (r == 0 && unlink(key) < 0 && errno != ENOENT)
		r = err_sys(err, errno, "remove %s", key);
	(void)fault_point("member", "leave", "key", ".done", 0);
	/* last: as long as it is there this can be repeated */
	if (r == 0 && rename(path, old) < 0 && errno != ENOENT)
		r = err_sys(err, errno, "rename %s", path);
	return r;
}

static int leave_steps(struct cli *v, const struct node *self, const struct conf *c, const char *told, struct err *err)
{
	bool force = cli_opt(v, 1), alone = c->n == 1;
	int r;

	if (alone && !force)
		return err_set(
			err, EBUSY,
			"this host is the last one of cluster %s: --force ends the cluster, and forgets its domains",
			c->cluster);
	if (access(told, F_OK) < 0) {
		if (!v->json)
			printf("%s is being emptied\n", self->name), fflush(stdout);
		r = empty_host(v, err);
		(void)fault_point("member", "leave", "empty", ".done", 0);
		if (r == 0 && !alone)
			r = tell_one(self, c, err);
		(void)fault_point("member", "leave", "answer", ".done", 0);
		if (r < 0 && !force)
			return r;
		if (r < 0)
			fprintf(stderr, "vmclus: warning: %s\n", err->text);
		r = file_write_atomic(told, "\n", 1, 0600);
		(void)fault_point("member", "leave", "told", ".done", 0);
		if (r < 0)
			return err_sys(err, r, "write %s", told);
	}
	r = forget(self, c, err);
	if (r == 0)
		r = host_witness_set(false, err);
	if (r == 0) {
		unlink(told);
		host_unbind();
	}
	return r;
}

int vmclus_leave(struct cli *v, struct err *err)
{
	_cleanup_free_ char *text = NULL, *told = left_file();
	struct node self;
	struct conf c;
	int r = host_units_ready(host_is_witness(), err);

	if (r == 0)
		r = node_load(&self, false, err);
	if (r == 0)
		r = host_conf(&text, &c, err);
	if (r == 0)
		r = leave_steps(v, &self, &c, told, err);
	explicit_bzero(self.secret_key, sizeof(self.secret_key));
	if (r < 0)
		return r;
	if (v->json)
		cli_print_json_new(v, json_pack("{s:s, s:s, s:s}", "status", "ok", "cluster", c.cluster, "host",
		                                self.name));
	else
		printf("%s is out of cluster %s, and in none; what was in /etc/corosync/corosync.conf is in corosync.conf.left\n",
		       self.name, c.cluster);
	return 0;
}

/* remove ----------------------------------------------------------------------------------------------------------- */

/* May @host be taken out? What a person has to know is asked for with --force. 0, -errno, or VMCLUS_DECLINED. */
static int may_remove(struct cli *v, const char *host, bool force, struct err *err)
{
	_cleanup_json_ json_t *st = NULL;
	int r = host_status(&st, err);
	const char *state = r < 0 ? "" : host_state_of(st, host);

	if (r < 0 && !force)
		return r;
	if (!strcmp(state, "online"))
		return err_set(err, EBUSY, "%s is online: vmclus leave there, which empties it first", host);
	/* a host that is not in the cluster's view knows an old state, or none */
	if (r == 0 && !force && !field_true(st, "quorate"))
		return err_set(
			err, EAGAIN,
			"this host's cluster has no quorum, so what it knows of %s may be old (vmclus status); --force, if %s is "
			"surely off",
			host, host);
	if (!strcmp(state, "safe") || !strcmp(state, "new"))
		return 0;
	if (!force)
		return err_set(
			err, EBUSY,
			"%s is %s: its domains may still run there. When it is surely off, vmclus fence confirm %s; the cluster "
			"may also find out by itself within seconds (vmclus status). Without a quorum: --force",
			host, *state ? state : "not known to clusterd", host);
	if (cli_opt(v, 1))
		return 0;
	printf("You are about to say that %s has no power and runs nothing, and never comes back as it was. The cluster cannot check it.\n"
	       "If it still runs, or is started again, it and this host may both think that they are the cluster: domains will run TWICE\n"
	       "and destroy their disks.\n",
	       host);
	r = vmclus_confirm("Type the host's name to confirm that it is off:", host, err);
	if (r > 0)
		fprintf(stderr, "vmclus: not confirmed, nothing was changed\n");
	return r;
}

static int take_out(struct cli *v, const char *host, const struct node *self, struct err *err)
{
	bool force = cli_opt(v, 0);
	struct member_change m = member_change_by(self);
	int r = may_remove(v, host, force, err);

	m.remove = host;
	m.force = force;
	return r ? r : member_change(&m, err);
}

/* @ret_there: was it in the list? */
static int remove_host(struct cli *v, bool *ret_there, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	const char *host = v->arg[0];
	struct node self;
	struct conf c;
	int r = host_units_ready(host_is_witness(), err);

	if (r == 0)
		r = node_load(&self, false, err);
	if (r == 0)
		r = host_conf(&text, &c, err);
	if (r < 0)
		return r;
	if (!strcmp(self.name, host))
		return err_set(err, EINVAL, "that is this host: vmclus leave");
	*ret_there = conf_named(&c, host);
	/* also one that is not in this host's list: a change that was interrupted may be left to finish */
	if (*ret_there)
		r = take_out(v, host, &self, err);
	else {
		struct member_change m = member_change_by(&self);

		m.remove = host;
		r = member_change(&m, err);
	}
	explicit_bzero(self.secret_key, sizeof(self.secret_key));
	return r;
}

int vmclus_remove(struct cli *v, struct err *err)
{
	const char *host = v->arg[0];
	bool there = false;
	int r = remove_host(v, &there, err);

	if (r)
		return r;
	if (v->json)
		cli_print_json_new(v, json_pack("{s:s, s:s}", "status", "ok", "host", host));
	else
		printf(there ? "%s is not in the cluster any more\n" : "the cluster has no host %s\n", host);
	return 0;
}

int vmclus_replace(struct cli *v, struct err *err)
{
	bool there = false;
	int r = name_is_valid(v->arg[0]) ? remove_host(v, &there, err)
	                                 : err_set(err, CLI_EUSAGE, "\"%s\" cannot be a host's name", v->arg[0]);

	if (r == 0 && !there) /* repeated, or mistyped */
		fprintf(stderr, "vmclus: the cluster has no host %s; the invitation is for a host of that name\n",
		        v->arg[0]);
	return r ? r : vmclus_invite_for(v, v->arg[0], err);
}
