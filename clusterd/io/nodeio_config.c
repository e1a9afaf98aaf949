/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Corosync's configuration: what of it keeps this node out of the cluster, how a life of this node begins with it, and what follows from a change. */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "clusterd/io/nodeio_int.h"
#include "common/log.h"
#include "common/util.h"

int nodeio_place(const struct cpg_config *c, uint32_t node)
{
	for (uint32_t i = 0; i < c->n_nodes; i++)
		if (c->id[i] == node)
			return (int)i;
	return -1;
}

/* May this node be in a cluster that is configured like that? */
static int check(const struct nodeio *n, const struct cpg_config *c, struct err *err)
{
	int self = nodeio_place(c, c->node);

	if (c->two_node)
		return err_set(
			err, ENOTSUP,
			"corosync.conf has two_node: each half would decide alone; hospes needs a majority: take two_node out, "
			"or add a third node (%s/fencing.md)",
			path_doc());
	if (c->qdevice)
		return err_set(
			err, ENOTSUP,
			"a quorum device votes in this cluster: a side could be quorate without a majority of nodes; hospes needs one: "
			"remove the device, or make it a third node (%s/fencing.md)",
			path_doc());
	if (self < 0)
		return err_set(err, EINVAL, "this node (id %u) is not in corosync's node list", c->node);
	if (!n->have_cfg && strcmp(c->name[self], n->conf->migrated_name) != 0)
		log_warn(
			"corosync calls this host %s, migrated and hvdom call it %s: give it the same name in both places "
			"(%s/hostname), or migrations will not find it",
			c->name[self], n->conf->migrated_name, path_conf());
	if (n->have_cfg && strcmp(c->cluster, n->cfg.cluster) != 0)
		return err_set(err, EXDEV, "the cluster is called %s now, this daemon began with %s: restart clusterd",
		               c->cluster, n->cfg.cluster);
	if (n->have_cfg && c->node != n->cfg.node)
		return err_set(err, EXDEV, "this node has id %u now, this daemon began with %u: restart clusterd",
		               c->node, n->cfg.node);
	if (n->conf->witness)
		return 0;
	if (guardlink_awaited(n->guard))
		return err_set(err, EINPROGRESS, "hospes-guard has not answered yet");
	if (!guardlink_there(n->guard))
		return err_set(err, EAGAIN,
		               "hospes-guard does not run: nothing is done without it (systemctl start hospes-guard)");
	return 0;
}

/* The first time, and after the disk failed: the state is what the disk holds, and this node another life of it. */
static int begin(struct nodeio *n, const struct cpg_config *c, struct err *err)
{
	uint64_t lease;
	int r;

	n->cfg = *c;
	n->have_cfg = false;
	r = nodeio_open(n, err);
	if (r < 0)
		return r;
	n->loaded_wanted = false;
	n->lease_auto = !n->s->policy.lease_ns;
	lease = n->s->policy.lease_ns ? n->s->policy.lease_ns : nodeio_lease_auto_ns(c);
	if (n->conf->witness)
		lease = 0;
	n->life = nodeio_random_id();
	clu_node_init(&n->node, n->s, c->node, nodeio_random_id(), lease, boot_ns());
	n->node.clock_stops = n->clocks == CLOCKS_MAY_STOP;
	n->node.await_least_ns = nodeio_lease_auto_ns(c);
	n->changes = (struct clu_changes){ .all = true }; /* the node list */
	n->have_cfg = true;
	n->must_reload = false;
	n->store_wanted = true;
	nodeio_save(n);
	nodeio_reach_config(n);
	log_info("node %u of cluster %s, state %" PRIu64 ".%" PRIu64 ", lease %.1f s", c->node, c->cluster, n->s->epoch,
	         n->s->index, (double)lease / 1e9);
	return 0;
}

int nodeio_on_config(void *arg, const struct cpg_config *c, struct err *err)
{
	struct nodeio *n = arg;
	int r = check(n, c, err);

	if (r < 0)
		return r;
	if (!n->have_cfg || n->must_reload)
		return begin(n, c, err);
	if (c->n_nodes != n->cfg.n_nodes || memcmp(c->id, n->cfg.id, sizeof(c->id)) != 0 ||
	    memcmp(c->name, n->cfg.name, sizeof(c->name)) != 0) {
		struct clu_event ev = {
			.kind = CLU_EV_VIEW, .ring = n->ring, .member = n->member, .n_members = n->n_members
		};

		log_info("corosync's node list changed: %u nodes now", c->n_nodes);
		clu_node_list(&n->node, c->id, (char(*)[CLU_NAME_MAX])(uintptr_t)c->name, c->n_nodes);
		/* by slot, which are others now; measured and reported again within a second */
		memset(n->load.cpu_used_milli, 0, sizeof(n->load.cpu_used_milli));
		memset(n->load.mem_used_bytes, 0, sizeof(n->load.mem_used_bytes));
		memset(n->awaited, 0, sizeof(n->awaited));
		n->changes.all = true;
		n->cfg = *c;
		n->store_wanted = true;
		if (n->n_members)
			nodeio_feed(n, &ev);
		nodeio_settle(n);
	}
	n->cfg = *c;
	n->node.await_least_ns = nodeio_lease_auto_ns(c);
	nodeio_reach_config(n); /* addresses, ports or the key may be others */
	return 0;
}
