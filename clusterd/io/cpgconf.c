/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Corosync's configuration says: node list, names, Totem's times, ports, votes. On the thread of cpgthread.c, which it may hold. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clusterd/io/cpg_int.h"
#include "common/util.h"

static int add_node(struct cpg_config *cfg, uint32_t id, const char *name, uint32_t *ret_at, struct err *err)
{
	uint32_t at = cfg->n_nodes;

	if (cfg->n_nodes == CLU_HOSTS_MAX)
		return err_set(err, E2BIG, "corosync's node list has more than %u nodes", CLU_HOSTS_MAX);
	while (at > 0 && cfg->id[at - 1] > id)
		at--;
	memmove(&cfg->id[at + 1], &cfg->id[at], (cfg->n_nodes - at) * sizeof(cfg->id[0]));
	memmove(cfg->name[at + 1], cfg->name[at], (cfg->n_nodes - at) * sizeof(cfg->name[0]));
	memmove(cfg->addr[at + 1], cfg->addr[at], (cfg->n_nodes - at) * sizeof(cfg->addr[0]));
	memset(cfg->addr[at], 0, sizeof(cfg->addr[at]));
	cfg->id[at] = id;
	snprintf(cfg->name[at], sizeof(cfg->name[at]), "%s", name);
	cfg->n_nodes++;
	*ret_at = at;
	return 0;
}

static void read_addrs(struct cpgthread *t, unsigned i, char addr[CPG_LINKS][CPG_ADDR_MAX])
{
	for (unsigned link = 0; link < CPG_LINKS; link++) {
		char key[CMAP_KEYNAME_MAXLEN + 1], *a = NULL;

		snprintf(key, sizeof(key), "nodelist.node.%u.ring%u_addr", i, link);
		if (cmap_get_string(t->cmap, key, &a) == CS_OK && strlen(a) < CPG_ADDR_MAX)
			snprintf(addr[link], CPG_ADDR_MAX, "%s", a);
		free(a);
	}
}

/* The name in the list, else its address: Corosync itself takes it for one. */
static int read_node(struct cpgthread *t, unsigned i, struct cpg_config *cfg, struct err *err)
{
	char key[CMAP_KEYNAME_MAXLEN + 1], *name = NULL;
	uint32_t id = 0, at = 0;
	int r;

	snprintf(key, sizeof(key), "nodelist.node.%u.nodeid", i);
	if (cmap_get_uint32(t->cmap, key, &id) != CS_OK || !id)
		return err_set(err, EINVAL,
		               "node %u of corosync's node list has no nodeid: give each one in corosync.conf", i);
	snprintf(key, sizeof(key), "nodelist.node.%u.name", i);
	if (cmap_get_string(t->cmap, key, &name) != CS_OK) {
		snprintf(key, sizeof(key), "nodelist.node.%u.ring0_addr", i);
		if (cmap_get_string(t->cmap, key, &name) != CS_OK)
			name = NULL;
	}
	if (!name || !name_is_valid(name))
		r = err_set(
			err, EINVAL,
			"node %u of corosync's node list has no name that hospes can use: give it one in corosync.conf",
			id);
	else
		r = add_node(cfg, id, name, &at, err);
	if (r == 0)
		read_addrs(t, i, cfg->addr[at]);
	free(name);
	return r;
}

static int read_nodes(struct cpgthread *t, struct cpg_config *cfg, struct err *err)
{
	cmap_iter_handle_t it;
	char key[CMAP_KEYNAME_MAXLEN + 1];
	int r = 0;

	if (cmap_iter_init(t->cmap, "nodelist.node.", &it) != CS_OK)
		return err_set(err, EIO, "cannot read corosync's node list");
	while (r == 0 && cmap_iter_next(t->cmap, it, key, NULL, NULL) == CS_OK) {
		unsigned i;
		char what[64] = "";

		if (sscanf(key, "nodelist.node.%u.%60s", &i, what) == 2 && !strcmp(what, "ring0_addr"))
			r = read_node(t, i, cfg, err);
	}
	(void)cmap_iter_finalize(t->cmap, it);
	if (r == 0 && !cfg->n_nodes)
		r = err_set(err, EINVAL, "corosync.conf has no nodelist: hospes takes its hosts from there");
	return r;
}

static uint64_t read_ms(struct cpgthread *t, const char *key, uint64_t fallback_ms)
{
	uint32_t ms;

	return (cmap_get_uint32(t->cmap, key, &ms) == CS_OK && ms ? ms : fallback_ms) * NS_PER_MS;
}

/* As corosync.conf(5) has it: 5405 + the link's number, unless told otherwise. */
static void read_ports(struct cpgthread *t, struct cpg_config *cfg)
{
	for (uint32_t i = 0; i + 1 < CPG_PORTS; i++) {
		char key[CMAP_KEYNAME_MAXLEN + 1];
		uint16_t port;

		snprintf(key, sizeof(key), "totem.interface.%u.mcastport", i);
		if (cmap_get_uint16(t->cmap, key, &port) != CS_OK || !port)
			port = (uint16_t)(5405 + i);
		cfg->port[i + 1] = port;
	}
	cfg->port[0] = (uint16_t)(cfg->port[1] - 1);
}

void cpg_read_votes(struct cpgthread *t, struct cpg_config *cfg)
{
	struct votequorum_info info;

	memset(&info, 0, sizeof(info));
	if (votequorum_getinfo(t->vq, cfg->node, &info) != CS_OK)
		return;
	cfg->two_node = info.flags & VOTEQUORUM_INFO_TWONODE;
	cfg->qdevice = info.flags & VOTEQUORUM_INFO_QDEVICE_REGISTERED;
}

int cpg_read_config(struct cpgthread *t, struct cpg_config *cfg, struct err *err)
{
	unsigned int node = 0;
	char *name = NULL;

	memset(cfg, 0, sizeof(*cfg));
	if (cpg_local_get(t->cpg, &node) != CS_OK || !node)
		return err_set(err, EAGAIN, "corosync does not say which node this is");
	cfg->node = node;
	if (cmap_get_string(t->cmap, "totem.cluster_name", &name) == CS_OK)
		snprintf(cfg->cluster, sizeof(cfg->cluster), "%s", name);
	free(name);
	if (!cfg->cluster[0])
		return err_set(err, EINVAL, "corosync.conf has no totem.cluster_name: give the cluster one");
	cfg->token_ns = read_ms(t, "runtime.config.totem.token", 3000);
	cfg->consensus_ns = read_ms(t, "runtime.config.totem.consensus", cfg->token_ns / NS_PER_MS * 12 / 10);
	read_ports(t, cfg);
	cpg_read_votes(t, cfg);
	return read_nodes(t, cfg, err);
}
