/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See preflight_ask.h. Same program on both ends: no wire format, but what comes back is looked at. */
#include "config.h"
#include "migrated/io/preflight_ask.h"
#include <errno.h>
#include <string.h>

#define HERE_MAX 64u

static void tell_where(void *arg, const char *what)
{
	worker_at(arg, what);
}

void preflight_serve(struct worker_here *at, const uint8_t *req, size_t len, struct buf *reply)
{
	struct rd rd = rd_of(req, len);
	_cleanup_free_ char *here = rd_str(&rd, HERE_MAX);
	uint64_t promised = rd_u64(&rd);
	struct preflight_found found = { 0 };
	Hospes__Mig__Offer *o = rd.bad ? NULL : hospes__mig__offer__unpack(NULL, rd.left, rd.p);
	struct err err = { 0 };
	int r = here && o ? preflight_check(o, here, promised, tell_where, at, &found, &err)
	                  : err_set(&err, EPROTO, "the helper was asked nonsense");

	if (o)
		hospes__mig__offer__free_unpacked(o, NULL);
	buf_put_u32(reply, (uint32_t)-r);
	buf_put_u64(reply, found.ram_available);
	buf_put_u64(reply, found.base[0]);
	buf_put_u64(reply, found.base[1]);
	buf_put_str(reply, r < 0 ? err.text : "");
}

struct work *preflight_ask(struct workers *ws, const Hospes__Mig__Offer *offer, const char *here, uint64_t promised,
                           work_done_fn *done, void *arg)
{
	_cleanup_buf_ struct buf b = { 0 };
	size_t len = hospes__mig__offer__get_packed_size(offer);
	uint8_t *p;

	buf_put_str(&b, here);
	buf_put_u64(&b, promised);
	p = buf_reserve(&b, len);
	if (!p || b.failed)
		return NULL;
	b.len += hospes__mig__offer__pack(offer, p);
	return workers_ask(ws, WORK_NORMAL, b.data, b.len, done, arg);
}

void preflight_answer_of(int status, const uint8_t *reply, size_t len, const char *here, struct preflight_answer *ret)
{
	struct rd rd = rd_of(reply, len);
	_cleanup_free_ char *text = NULL;
	struct err err = { 0 };

	*ret = (struct preflight_answer){ 0 };
	if (status == -ETIMEDOUT) {
		ret->status = err_set(&err, ETIMEDOUT, "on %s %.300s does not answer (storage that hangs?)", here,
		                      len ? (const char *)reply : "a file of the domain");
	} else if (status < 0) {
		ret->status = err_sys(&err, status, "%s: no helper for the preflight", here);
	} else {
		uint32_t code = rd_u32(&rd);

		ret->found.ram_available = rd_u64(&rd);
		ret->found.base[0] = rd_u64(&rd);
		ret->found.base[1] = rd_u64(&rd);
		text = rd_str(&rd, sizeof(err.text));
		ret->status = rd.bad || !text || code > 4095
		                      ? err_set(&err, EIO, "%s: the preflight said nonsense", here)
		              : code ? err_set(&err, (int)code, "%s", text)
		                     : 0;
	}
	snprintf(ret->text, sizeof(ret->text), "%s", err.text);
}
