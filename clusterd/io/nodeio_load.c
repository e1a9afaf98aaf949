/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state between memory, disk and wire: opening, saving, snapshots, and the texts of domains. */
#include <config.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/io/nodeio_int.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/util.h"

/* Texts ---------------------------------------------------------------------------------------------------------------- */

const char *nodeio_text(const struct nodeio *n, uint32_t slot, size_t *ret_len)
{
	const struct nodeio_text *t = slot < CLU_DOMS_MAX ? &n->text[slot] : NULL;

	if (!t || !t->xml || t->id != n->s->dom[slot].xml_id)
		return NULL;
	*ret_len = t->len;
	return t->xml;
}

void nodeio_text_put(struct nodeio *n, uint32_t slot, uint64_t id, const char *xml, size_t len)
{
	struct nodeio_text *t = &n->text[slot];
	char *copy = xml ? malloc(len + 1) : NULL;

	free(t->xml);
	*t = (struct nodeio_text){ 0 };
	if (!copy) {
		log_error("the definition of %s is not at hand here%s", n->s->dom[slot].name,
		          xml ? ": out of memory" : "");
		return;
	}
	memcpy(copy, xml, len);
	copy[len] = 0;
	*t = (struct nodeio_text){ .id = id, .xml = copy, .len = len };
}

void nodeio_texts_tidy(struct nodeio *n)
{
	for (uint32_t i = 0; i < CLU_DOMS_MAX; i++) {
		if (!n->text[i].xml || n->s->dom[i].uuid[0])
			continue;
		free(n->text[i].xml);
		n->text[i] = (struct nodeio_text){ 0 };
	}
}

static const char *text_of(void *arg, uint32_t slot, size_t *ret_len)
{
	return nodeio_text(arg, slot, ret_len);
}

/* Disk ----------------------------------------------------------------------------------------------------------------- */

static int text_from_disk(void *arg, uint64_t id, const char *xml, size_t len)
{
	struct nodeio *n = arg;

	for (uint32_t i = 0; i < n->s->n_dom; i++)
		if (n->s->dom[i].uuid[0] && n->s->dom[i].xml_id == id)
			nodeio_text_put(n, i, id, xml, len);
	return 0;
}

static void fresh_state(struct nodeio *n)
{
	struct clu_dom *dom = n->s->dom;

	memset(dom, 0, CLU_DOMS_MAX * sizeof(*dom));
	clu_state_init(n->s, dom, CLU_DOMS_MAX);
	clu_nodes_set(n->s, n->cfg.id, n->cfg.name, n->cfg.n_nodes);
	nodeio_texts_tidy(n);
}

static int load(struct nodeio *n, struct err *err)
{
	int r;

	fresh_state(n);
	r = store_load(n->store, n->s, text_from_disk, n, err);
	if (r == -EILSEQ) {
		log_error("%s", err->text);
		r = store_discard(n->store, n->aside_text, err);
		fresh_state(n);
	}
	/* the list may have changed while this node was away */
	if (r == 0)
		clu_nodes_set(n->s, n->cfg.id, n->cfg.name, n->cfg.n_nodes);
	return r;
}

int nodeio_open(struct nodeio *n, struct err *err)
{
	_cleanup_free_ char *dir = xasprintf("%s/cluster", path_state()), *path = xasprintf("%s/state.db", dir);
	int r = mkdir_p(dir, 0700);

	store_close(n->store);
	n->store = NULL;
	if (r < 0)
		r = err_sys(err, r, "create %s", dir);
	else
		r = store_open(path, n->cfg.cluster, &n->store, n->aside_text, err);
	if (r == 0)
		r = load(n, err);
	if (r < 0) {
		store_close(n->store);
		n->store = NULL;
		(void)snprintf(n->disk_text, sizeof(n->disk_text),
		               "%.300s; this node stays out of the cluster until then", err->text);
		return r;
	}
	if (n->aside_text[0])
		log_error("%s", n->aside_text);
	return 0;
}

bool nodeio_save(struct nodeio *n)
{
	struct err err = { 0 };
	int r;

	(void)fault_point("clu", "store", "save", "", 0);
	r = store_save(n->store, n->s, &n->changes, text_of, n, &err);
	(void)fault_point("clu", "store", "save", ".done", 0);
	if (r < 0) {
		/* what is in memory and not on disk is worth nothing: leave, and come back with what the disk holds */
		log_error("%s: leaving the group; domains run on until the lease ends, then others take them over",
		          err.text);
		(void)snprintf(n->disk_text, sizeof(n->disk_text),
		               "%.300s; this node stays out of the cluster until then", err.text);
		n->must_reload = true;
		cpglink_rejoin(n->cpg);
		return false;
	}
	n->disk_text[0] = 0;
	n->changes = (struct clu_changes){ 0 };
	return true;
}

/* Snapshots ------------------------------------------------------------------------------------------------------------ */

static int send_part(void *arg, struct buf *octets)
{
	struct nodeio *n = arg;

	return cpglink_send(n->cpg, octets->data, octets->len);
}

void nodeio_snapshot_send(struct nodeio *n, uint32_t to, uint64_t seq)
{
	int r = cluwire_snapshot(n->s, to, seq, n->cfg.cluster, n->cfg.node, text_of, send_part, n);

	if (r < 0)
		log_error("cannot send the cluster's state: %s", strerror(-r));
	else
		log_info("sending the cluster's state %" PRIu64 ".%" PRIu64, n->s->epoch, n->s->index);
}

void nodeio_snapshot_drop(struct nodeio *n)
{
	for (uint32_t i = 0; i < n->snap.n; i++)
		cluwire_done(&n->snap.part[i]);
	free(n->snap.part);
	n->snap = (struct nodeio_snapshot){ 0 };
}

void nodeio_snapshot_part(struct nodeio *n, struct cluwire *w)
{
	struct nodeio_snapshot *sn = &n->snap;
	const Hospes__Clu__Snapshot *p = w->env->snapshot;
	bool follows = sn->n && sn->from == w->msg.from && p->part == sn->n && sn->epoch == p->epoch &&
	               sn->index == p->index && sn->sum == p->sum && sn->seq == p->seq;

	/* only who waits for one listens; whether it is the right one the core knows */
	if (!n->node.behind || (p->to && p->to != n->cfg.node) || (p->part && !follows))
		return;
	if (!p->part) {
		nodeio_snapshot_drop(n);
		sn->from = w->msg.from;
		sn->epoch = p->epoch, sn->index = p->index, sn->sum = p->sum, sn->seq = p->seq;
	}
	if (sn->n == sn->cap) {
		uint32_t cap = sn->cap ? sn->cap * 2 : 16;
		struct cluwire *parts = cap <= NODEIO_PARTS_MAX ? reallocarray(sn->part, cap, sizeof(*parts)) : NULL;

		if (!parts) {
			nodeio_snapshot_drop(n);
			return;
		}
		sn->part = parts;
		sn->cap = cap;
	}
	sn->part[sn->n++] = *w;
	sn->whole = p->last;
	*w = (struct cluwire){ 0 };
}

static int unpack_all(const struct nodeio_snapshot *sn, struct clu_state *to)
{
	for (uint32_t i = 0; i < sn->n; i++) {
		const Hospes__Clu__Snapshot *p = sn->part[i].env->snapshot;

		for (size_t k = 0; k < p->n_records; k++) {
			const Hospes__Clu__Record *r = p->records[k];

			if (clu_record_unpack(to, (enum clu_object)r->kind, r->slot, r->data.data, r->data.len) < 0)
				return -EPROTO;
		}
	}
	return to->epoch == sn->epoch && to->index == sn->index && to->sum == sn->sum && clu_sum(to) == to->sum
	               ? 0
	               : -EPROTO;
}

static void take_texts(struct nodeio *n)
{
	for (uint32_t i = 0; i < n->snap.n; i++) {
		const Hospes__Clu__Snapshot *p = n->snap.part[i].env->snapshot;

		for (size_t k = 0; k < p->n_texts; k++)
			for (uint32_t slot = 0; slot < n->s->n_dom; slot++)
				if (n->s->dom[slot].uuid[0] && n->s->dom[slot].xml_id == p->texts[k]->id &&
				    n->text[slot].id != p->texts[k]->id)
					nodeio_text_put(n, slot, p->texts[k]->id, (const char *)p->texts[k]->xml.data,
					                p->texts[k]->xml.len);
	}
}

/* Into a state beside the present one first: a snapshot that is wrong changes nothing. */
bool nodeio_snapshot_load(struct nodeio *n)
{
	struct clu_state *fresh = malloc(sizeof(*fresh));
	struct clu_dom *dom = calloc(CLU_DOMS_MAX, sizeof(*dom)), *mine = n->s->dom;
	bool ok = false;

	if (fresh && dom && n->snap.whole) {
		*fresh = *n->s;
		fresh->dom = dom;
		fresh->n_dom = 0;
		clu_state_clear(fresh);
		ok = unpack_all(&n->snap, fresh) == 0;
		if (!ok)
			log_error("the state that node %u sent does not fit together; it is asked for again",
			          n->snap.from);
	}
	if (ok) {
		*n->s = *fresh;
		n->s->dom = mine;
		memcpy(mine, dom, CLU_DOMS_MAX * sizeof(*dom));
		clu_nodes_set(n->s, n->cfg.id, n->cfg.name, n->cfg.n_nodes);
		take_texts(n);
		nodeio_texts_tidy(n);
		n->changes = (struct clu_changes){ .all = true };
		ok = nodeio_save(n);
		log_info("took over the cluster's state %" PRIu64 ".%" PRIu64 " from node %u", n->s->epoch, n->s->index,
		         n->snap.from);
	}
	free(dom);
	free(fresh);
	return ok;
}
