/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of Corosync's configuration keeps this node out of the cluster. */
#include <config.h>
#include <errno.h>
#include <string.h>
#include "clusterd/io/nodeio_int.h"
#include "common/log.h"
#include "common/util.h"

static int find_self(const struct cpg_config *c)
{
	for (uint32_t i = 0; i < c->n_nodes; i++)
		if (c->id[i] == c->node)
			return (int)i;
	return -1;
}

int nodeio_check_config(struct nodeio *n, const struct cpg_config *c, struct err *err)
{
	int self = find_self(c);

	if (c->two_node)
		return err_set(
			err, ENOTSUP,
			"corosync.conf has two_node: each half would decide alone; hospes needs a majority: take two_node out, "
			"or add a third node (hospes docs: fencing.md)");
	if (c->qdevice)
		return err_set(
			err, ENOTSUP,
			"a quorum device votes in this cluster: a side could be quorate without a majority of nodes; hospes needs one: "
			"remove the device, or make it a third node (hospes docs: fencing.md)");
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
	if (!guardlink_there(n->guard))
		return err_set(err, EAGAIN,
		               "hospes-guard does not run: nothing is done without it (systemctl start hospes-guard)");
	return 0;
}
