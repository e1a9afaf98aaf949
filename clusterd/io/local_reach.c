/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which domains' files this host has (REACH), which engines, and the list of the cluster's domains for vmctl and migrated. */
#include "config.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/io/local_int.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/util.h"

#define CHECK_NS   (10 * NS_PER_S)
#define EACH_NS    (50 * NS_PER_MS) /* with many domains one is looked at each so often */
#define SILENT_NS  (60 * NS_PER_S)  /* storage that does not answer is asked again after 10 s, 20 s, at most this */
#define AGAIN_NS   NS_PER_S
#define RECHECK_NS (300 * NS_PER_S) /* hvdom is asked again whether it can run a domain, and which engines there are */
#define PER_LOOK   8u               /* questions begun in one look */
#define BUSY_MAX   16u              /* under way */

struct reach_look {
	struct local *l;
	uint32_t slot;
	char uuid[CLU_UUID_MAX];
	uint64_t xml_id;
	bool slow;
	struct probe probe;
};

static void tell(struct local *l, struct lreach *r, const struct clu_dom *d, const struct probe *p)
{
	struct clu_cmd c = { .kind = CLU_CMD_REACH, .on = p->status == 0 };

	memcpy(c.uuid, d->uuid, sizeof(c.uuid));
	if (p->status < 0)
		snprintf(c.text, sizeof(c.text), "%.190s", p->text);
	if (nodeio_submit(l->n, &c, NULL, 0) == 0)
		r->said_ns = boot_ns();
}

static uint64_t next_time(const struct local *l, const struct lreach *r)
{
	uint64_t each = nodeio_state(l->n)->n_dom * EACH_NS, every = each > CHECK_NS ? each : CHECK_NS;

	if (r->silent)
		every = r->silent < 4 ? CHECK_NS << (r->silent - 1) : SILENT_NS;
	return boot_ns() + (every < SILENT_NS || !r->silent ? every : SILENT_NS);
}

static void on_looked(void *arg)
{
	struct reach_look *k = arg;
	struct local *l = k->l;
	struct lreach *r = &l->reach[k->slot];
	struct clu_state *s = nodeio_state(l->n);
	const struct clu_dom *d = s ? &s->dom[k->slot] : NULL;
	const struct clu_host *h = s ? clu_host_of(s, local_me(l)) : NULL;

	r->look = NULL;
	l->reach_busy[k->slow]--;
	if (d && h && !strcmp(d->uuid, k->uuid) && d->xml_id == k->xml_id && nodeio_acts(l->n)) {
		bool said = clu_bit(d->unreachable, clu_slot(s, h)), lacks = k->probe.status < 0;

		r->xml_id = k->xml_id;
		r->checked_ns = lacks ? 0 : k->probe.op & PROBE_CHECK ? boot_ns() : r->checked_ns;
		r->silent = k->probe.silent ? r->silent + 1 : 0;
		r->next_ns = next_time(l, r);
		if (lacks != said && boot_ns() >= r->said_ns + AGAIN_NS)
			tell(l, r, d, &k->probe);
		if (lacks != said && r->next_ns > boot_ns() + 2 * AGAIN_NS)
			r->next_ns = boot_ns() + 2 * AGAIN_NS; /* until the state says it */
	}
	free(k);
}

static void check_one(struct local *l, const struct clu_dom *d, uint32_t slot)
{
	struct lreach *r = &l->reach[slot];
	struct reach_look *k = calloc(1, sizeof(*k));
	size_t len = 0;
	const char *xml = nodeio_text(l->n, slot, &len);

	if (!k)
		return;
	k->l = l, k->slot = slot, k->xml_id = d->xml_id;
	memcpy(k->uuid, d->uuid, sizeof(k->uuid));
	r->look = k;
	if (r->xml_id != d->xml_id)
		r->silent = 0, r->checked_ns = 0;
	/* hvdom is a process more: not each time, while nothing has changed and all is well */
	enum probe_op op = r->checked_ns && boot_ns() < r->checked_ns + RECHECK_NS ? PROBE_REACH
	                                                                           : PROBE_REACH | PROBE_CHECK;
	k->slow = r->silent != 0;
	l->reach_busy[k->slow]++;
	probe_ask(&k->probe, l->helpers, op, k->slow ? WORK_SLOW : WORK_NORMAL, d->name, xml, len, on_looked, k);
	if (k->probe.answered)
		on_looked(k);
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

		if (r->look || l->reach_busy[r->silent != 0] >= BUSY_MAX || !d->uuid[0] ||
		    !clu_node_committed(nodeio_node(l->n), d->xml_id) || (r->xml_id == d->xml_id && now < r->next_ns))
			continue;
		check_one(l, d, slot);
		done++;
	}
}

static void on_engines(void *arg)
{
	struct local *l = arg;
	const struct probe *p = &l->engines_probe;
	char names[CLU_TEXT_MAX];

	if (p->status < 0)
		log_error("which engines this host has cannot be told: %s", p->text);
	else if (!l->have_engines || memcmp(&p->engines, &l->engines, sizeof(l->engines)) != 0)
		log_info("engines of this host: %s%s%s", clu_engine_names(p->engines.bits, names),
		         p->text[0] ? "; " : "", p->text);
	if (p->status == 0 || p->status == -ENOENT) { /* an hvdom that does not answer in time is there still */
		l->have_engines = true;
		l->engines = p->status == 0 ? p->engines : (struct hostengines){ 0 };
	}
	l->engines_ns = boot_ns() + (p->status < 0 ? CHECK_NS : RECHECK_NS);
}

void local_engines_look(struct local *l)
{
	if (l->engines_probe.work || boot_ns() < l->engines_ns)
		return;
	probe_ask(&l->engines_probe, l->helpers, PROBE_ENGINES, WORK_URGENT, "", "", 0, on_engines, l);
	if (l->engines_probe.answered) /* at once: it could not be asked */
		on_engines(l);
}

int local_engines(const struct local *l, struct hostengines *ret)
{
	if (!l->have_engines)
		return l->engines_ns ? -EIO : -EAGAIN;
	*ret = l->engines;
	return 0;
}

void local_reach_end(struct local *l)
{
	for (uint32_t i = 0; l->reach && i < CLU_DOMS_MAX; i++) {
		struct reach_look *k = l->reach[i].look;

		if (!k)
			continue;
		probe_drop(&k->probe);
		free(k);
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
