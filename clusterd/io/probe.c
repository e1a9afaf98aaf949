/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Both ends of a question to storage: see probe.h. Same program on both: no wire format, but what comes back is looked at. */
#include "config.h"
#include "clusterd/io/probe.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/api/hvcheck.h"

#define NAME_MAX_LEN 64u

/* The helper ----------------------------------------------------------------------------------------------------------- */

static void tell_where(void *arg, const char *what)
{
	worker_at(arg, what);
}

static int look(struct worker_here *here, enum probe_op op, const char *name, const char *xml, struct leasepeek *lease,
                struct err *err)
{
	_cleanup_dom_config_ struct dom_config *cfg = NULL;
	struct hvcheck_engine e;
	int r = dom_config_parse(xml, strlen(xml), name, &cfg, err);

	if (r == 0 && op & PROBE_REACH)
		r = domspec_reach(cfg, tell_where, here, err);
	if (r == 0 && op & PROBE_CHECK) {
		worker_at(here, "hvdom --check");
		r = hvcheck_domain(xml, strlen(xml), &e, err);
	}
	if (r == 0 && op & PROBE_LEASE) {
		worker_at(here, "its lease");
		r = domspec_lease(cfg, lease, err);
	}
	return r;
}

void probe_serve(struct worker_here *here, const uint8_t *req, size_t len, struct buf *reply)
{
	struct rd rd = rd_of(req, len);
	enum probe_op op = (enum probe_op)rd_u8(&rd);
	_cleanup_free_ char *name = rd_str(&rd, NAME_MAX_LEN), *xml = rd_str(&rd, WORKER_REQUEST_MAX);
	struct leasepeek lease = { 0 };
	struct err err = { 0 };
	struct hostengines engines = { 0 };
	int r = rd.bad || !name || !xml ? err_set(&err, EPROTO, "a question that is none") : 0;

	if (r == 0)
		r = op == PROBE_ENGINES ? hostinfo_engines(&engines, &err) : look(here, op, name, xml, &lease, &err);
	buf_put_u32(reply, (uint32_t)-r);
	buf_put_str(reply, err.text);
	buf_put_u32(reply, engines.bits);
	for (unsigned i = 0; i < CLU_BUILDS_MAX; i++)
		buf_put_str(reply, engines.build[i]);
	buf_put_u8(reply, lease.there);
	buf_put_u8(reply, lease.shared);
	buf_put_u8(reply, lease.taken);
	buf_put_u8(reply, lease.running);
	buf_put_u64(reply, lease.generation);
	buf_put_str(reply, lease.owner);
}

/* The daemon ----------------------------------------------------------------------------------------------------------- */

static void answer(struct probe *p, int status, const char *text)
{
	p->work = NULL;
	p->answered = true;
	p->answered_ns = boot_ns();
	p->status = status;
	snprintf(p->text, sizeof(p->text), "%s", text);
}

static void take(struct probe *p, struct rd *rd)
{
	uint32_t status = rd_u32(rd);
	_cleanup_free_ char *text = rd_str(rd, ERR_TEXT_MAX), *owner = NULL;

	p->engines.bits = rd_u32(rd);
	for (unsigned i = 0; i < CLU_BUILDS_MAX; i++) {
		_cleanup_free_ char *build = rd_str(rd, CLU_WORD_MAX);

		snprintf(p->engines.build[i], CLU_WORD_MAX, "%s", build ? build : "");
	}
	p->lease.there = rd_u8(rd);
	p->lease.shared = rd_u8(rd);
	p->lease.taken = rd_u8(rd);
	p->lease.running = rd_u8(rd);
	p->lease.generation = rd_u64(rd);
	owner = rd_str(rd, sizeof(p->lease.owner));
	if (rd->bad || !text || !owner || status > 4095) {
		answer(p, -EIO, "the helper's answer makes no sense");
		return;
	}
	snprintf(p->lease.owner, sizeof(p->lease.owner), "%s", owner);
	answer(p, -(int)status, text);
}

static void on_done(void *arg, int status, const uint8_t *reply, size_t len)
{
	struct probe *p = arg;
	char text[ERR_TEXT_MAX];
	struct rd rd = rd_of(reply, len);

	p->silent = status == -ETIMEDOUT;
	if (status == 0) {
		take(p, &rd);
	} else if (p->silent) {
		snprintf(text, sizeof(text), "%.400s does not answer (storage that hangs?)",
		         len ? (const char *)reply : "its storage");
		answer(p, status, text);
	} else {
		snprintf(text, sizeof(text), "no helper looked at its storage: %s", strerror(-status));
		answer(p, status, text);
	}
	p->done(p->arg);
}

void probe_drop(struct probe *p)
{
	work_drop(p->work);
	memset(p, 0, sizeof(*p));
}

void probe_ask(struct probe *p, struct workers *ws, enum probe_op op, enum work_kind kind, const char *name,
               const char *xml, size_t len, void (*done)(void *arg), void *arg)
{
	_cleanup_buf_ struct buf b = { 0 };

	probe_drop(p);
	p->op = op, p->done = done, p->arg = arg;
	if (!xml) {
		answer(p, -ENOENT, "the definition is not at hand here");
		return;
	}
	buf_put_u8(&b, (uint8_t)op);
	buf_put_str(&b, name);
	buf_put_u32(&b, (uint32_t)len);
	buf_put(&b, xml, len);
	if (!b.failed)
		p->work = workers_ask(ws, kind, b.data, b.len, on_done, p);
	if (!p->work)
		answer(p, -ENOMEM, "out of memory");
}
