/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which domains' files this host has (REACH), and the list of the cluster's domains for vmctl and migrated. */
#include <config.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "clusterd/io/domspec.h"
#include "clusterd/io/guardmsg.h"
#include "clusterd/io/local_int.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/util.h"

#define CHECK_NS (10 * NS_PER_S)
#define AGAIN_NS NS_PER_S
#define PER_LOOK 8u /* domains checked in one look: each means reading its XML */

static void check_one(struct local *l, const struct clu_dom *d, uint32_t slot, uint32_t my_slot)
{
	struct lreach *r = &l->reach[slot];
	struct ldom x = { .l = l };
	struct err err = { 0 };
	struct clu_cmd *c;
	uint64_t now = boot_ns();
	bool lacks, said = clu_bit(d->unreachable, my_slot);

	memcpy(x.name, d->name, sizeof(x.name));
	_cleanup_dom_config_ struct dom_config *cfg = ldom_config(&x, d, &err);
	r->xml_id = d->xml_id;
	r->at_ns = now;
	lacks = !cfg || domspec_reach(cfg, &err) < 0;
	if (lacks == said || (r->said_ns && now < r->said_ns + AGAIN_NS))
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->kind = CLU_CMD_REACH;
	c->on = !lacks;
	memcpy(c->uuid, d->uuid, sizeof(c->uuid));
	if (lacks)
		(void)snprintf(c->text, sizeof(c->text), "%.190s", err.text);
	if (nodeio_submit(l->n, c, NULL, 0) == 0)
		r->said_ns = now;
	r->at_ns = 0; /* until the state says it */
	free(c);
}

void local_reach(struct local *l)
{
	struct clu_state *s = nodeio_state(l->n);
	const struct clu_host *h = clu_host_of(s, local_me(l));
	uint32_t done = 0;
	uint64_t now = boot_ns();

	if (!h || h->state != CLU_HOST_ONLINE)
		return;
	for (uint32_t k = 0; k < s->n_dom && done < PER_LOOK; k++) {
		uint32_t slot = l->reach_next++ % s->n_dom;
		const struct clu_dom *d = &s->dom[slot];
		const struct lreach *r = &l->reach[slot];

		if (!d->uuid[0] || !clu_node_committed(nodeio_node(l->n), d->xml_id) ||
		    (r->xml_id == d->xml_id && now < r->at_ns + CHECK_NS))
			continue;
		check_one(l, d, slot, clu_slot(s, h));
		done++;
	}
}

/* "UUID NAME" lines in <run>/cluster/domains, written when it changes: what vmctl and migrated leave to the cluster. */
void local_list(struct local *l)
{
	const struct clu_state *s = nodeio_state(l->n);
	_cleanup_free_ char *dir = xasprintf("%s/cluster", path_run()), *path = xasprintf("%s/domains", dir);
	_cleanup_buf_ struct buf b = { 0 };
	uint64_t sum = 1469598103934665603ull;

	for (uint32_t i = 0; i < s->n_dom; i++) {
		const struct clu_dom *d = &s->dom[i];
		char line[CLU_UUID_MAX + CLU_NAME_MAX + 2];

		if (!d->uuid[0])
			continue;
		buf_put(&b, line, (size_t)snprintf(line, sizeof(line), "%s %s\n", d->uuid, d->name));
	}
	for (size_t i = 0; i < b.len; i++)
		sum = (sum ^ b.data[i]) * 1099511628211ull;
	if (b.failed || sum == l->list_sum)
		return;
	if (mkdir_p(dir, 0755) < 0 || file_write_atomic(path, b.data ? b.data : (uint8_t *)"", b.len, 0644) < 0)
		log_warn("cannot write %s: vmctl does not know which domains are the cluster's", path);
	else
		l->list_sum = sum;
}
