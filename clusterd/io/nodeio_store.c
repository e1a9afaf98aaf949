/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state between memory, disk and wire: opening, saving, snapshots, and the texts of domains. */
#include "config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/io/nodeio_int.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/util.h"

#define STUCK_NS (5 * NS_PER_S) /* a disk that takes longer is said to be stuck */

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

/* @xml is definition @id. One that is there already under that id may be another, of a command that was never committed. */
static void take_text(struct nodeio *n, uint64_t id, const char *xml, size_t len)
{
	for (uint32_t i = 0; i < n->s->n_dom; i++)
		if (n->s->dom[i].uuid[0] && n->s->dom[i].xml_id == id)
			nodeio_text_put(n, i, id, xml, len);
}

static void take_image(struct nodeio *n, struct store_image *img)
{
	struct clu_dom *dom = n->s->dom;

	*n->s = *img->s;
	n->s->dom = dom;
	memcpy(dom, img->s->dom, CLU_DOMS_MAX * sizeof(*dom));
	/* the list may have changed while this node was away */
	clu_nodes_set(n->s, n->cfg.id, n->cfg.name, n->cfg.n_nodes);
	for (size_t i = 0; i < img->n_text; i++)
		take_text(n, img->text[i].id, img->text[i].xml, img->text[i].len);
	nodeio_texts_tidy(n);
	eventlist_follow(img->events, n->events);
	eventlist_free(n->events);
	n->events = steal_ptr(&img->events);
	if (img->bad[0])
		log_error("%s", img->bad);
	memcpy(n->aside_text, img->aside, sizeof(n->aside_text));
	if (n->aside_text[0])
		log_error("%s", n->aside_text);
}

int nodeio_open(struct nodeio *n, struct err *err)
{
	_cleanup_free_ char *path = xasprintf("%s/cluster/state.db", path_state());
	int r;

	if (n->image) {
		take_image(n, n->image);
		store_image_free(steal_ptr(&n->image));
		return 0;
	}
	r = storer_open(n->storer, path, n->cfg.cluster, n->cfg.id, n->cfg.name, n->cfg.n_nodes);
	if (r == 0 || r == -EBUSY)
		return err_set(err, EINPROGRESS, "%s is being read", path);
	return err_sys(err, r, "open %s", path);
}

static void say_disk(struct nodeio *n, const struct err *err)
{
	snprintf(n->disk_text, sizeof(n->disk_text), "%.300s; this node stays out of the cluster until then",
	         err->text);
}

static void on_opened(void *arg, struct store_image *img, const struct err *err)
{
	struct nodeio *n = arg;

	if (!img) {
		say_disk(n, err);
		log_error("%s", n->disk_text);
		return; /* corosync's link asks again later */
	}
	store_image_free(n->image);
	n->image = img;
	cpglink_again(n->cpg);
}

static void disk_failed(struct nodeio *n, const struct err *err)
{
	/* what is in memory and not on disk is worth nothing: leave, and come back with what the disk holds */
	log_error("%s: leaving the group; domains run on until the lease ends, then others take them over", err->text);
	say_disk(n, err);
	n->must_reload = true;
	if (n->writing.load)
		nodeio_loaded(n, false);
	cpglink_rejoin(n->cpg);
	nodeio_settle(n);
}

static void on_written(void *arg, int status, const struct err *err)
{
	struct nodeio *n = arg;
	struct clu_event ev = { .kind = CLU_EV_STORED };

	(void)fault_point("clu", "store", "save", ".done", 0);
	nodeio_disk_look(n);
	if (!n->have_cfg) { /* another life of this node waits for the store */
		cpglink_again(n->cpg);
		return;
	}
	if (status < 0) {
		disk_failed(n, err);
		return;
	}
	n->disk_text[0] = 0;
	ev.epoch = n->writing.epoch, ev.index = n->writing.index, ev.promised = n->writing.promised;
	if (!n->writing.load)
		nodeio_feed(n, &ev);
	else if (ev.epoch == n->s->epoch && ev.index == n->s->index && ev.promised == n->s->promised)
		nodeio_loaded(n, true);
	else
		n->loaded_wanted = true; /* it is not what was written: once more */
	nodeio_settle(n);
}

const struct storer_ops nodeio_storer_ops = { .opened = on_opened, .written = on_written };

void nodeio_save(struct nodeio *n)
{
	struct store_batch *b;
	bool load = n->loaded_wanted && n->loaded_ok;
	static const struct err no_memory = { .code = ENOMEM, .text = "out of memory for what is to be stored" };

	if (!n->have_cfg || n->must_reload || storer_busy_ns(n->storer) || (!n->store_wanted && !load))
		return;
	(void)fault_point("clu", "store", "save", "", 0);
	n->writing.epoch = n->s->epoch, n->writing.index = n->s->index, n->writing.promised = n->s->promised;
	n->writing.load = load;
	n->loaded_wanted = n->store_wanted = false;
	b = store_pack(storer_store(n->storer), n->s, &n->changes, text_of, n);
	if (!b) {
		disk_failed(n, &no_memory);
		return;
	}
	n->changes = (struct clu_changes){ 0 };
	storer_write(n->storer, b);
}

void nodeio_disk_look(struct nodeio *n)
{
	uint64_t since = storer_busy_ns(n->storer), now = boot_ns();
	bool stuck = since && now > since + STUCK_NS;
	const struct clu_host *me = n->have_cfg ? clu_host_of(n->s, n->cfg.node) : NULL;

	if (stuck)
		snprintf(n->stuck_text, sizeof(n->stuck_text),
		         "the disk below %s/cluster has not answered for %" PRIu64
		         " s: the state has not been written; this host's domains run on",
		         path_state(), (uint64_t)((now - since) / NS_PER_S));
	if (stuck == n->stuck)
		return;
	n->stuck = stuck;
	if (!stuck)
		snprintf(n->stuck_text, sizeof(n->stuck_text), "the disk below %s/cluster answers again", path_state());
	if (me)
		nodeio_event(n, n->node.commit, "state-stuck", me->name, n->stuck_text);
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

			int e = clu_record_unpack(to, (enum clu_object)r->kind, r->slot, r->data.data, r->data.len);
			if (e < 0)
				return e;
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
			take_text(n, p->texts[k]->id, (const char *)p->texts[k]->xml.data, p->texts[k]->xml.len);
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
		int r = unpack_all(&n->snap, fresh);
		ok = r == 0;
		if (r == -EPROTONOSUPPORT)
			log_error(
				"the cluster has moved on to a later version of Hospes than this one: install that here, too "
				"(%s/upgrade.md)",
				path_doc());
		else if (!ok)
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
		log_info("took over the cluster's state %" PRIu64 ".%" PRIu64 " from node %u", n->s->epoch, n->s->index,
		         n->snap.from);
	}
	free(dom);
	free(fresh);
	return ok;
}
