/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See qstate.h. The part of QEMU's stream that is its memory is a list of pages, in sections named "ram" (QEMU's
 * migration/ram.c, savevm.c). Each record says which page and what is in it, so one can be left out. Whatever is not
 * exactly of this form is left alone.
 */
#include "config.h"
#include "hypervisor/qemu/qstate.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define PAGE            4096u
#define FILE_MAGIC      0x5145564du /* "QEVM" */
#define FILE_VERSION    3u
#define SECTION_START   0x01u
#define SECTION_PART    0x02u
#define SECTION_END     0x03u
#define SECTION_FOOTER  0x7eu
#define RAM_VERSION     4u
#define RECORD_ZERO     0x02u
#define RECORD_MEM_SIZE 0x04u
#define RECORD_PAGE     0x08u
#define RECORD_EOS      0x10u
#define RECORD_CONTINUE 0x20u
#define RECORD_FLAGS    (PAGE - 1)
#define HEAD_MAX        4096u /* RAM comes first, behind what the machine is called */
#define BLOCKS_MAX      256u

void qstate_base(const void *p, size_t len, uint64_t ret[2])
{
	XXH128_hash_t h = XXH3_128bits(p, len);

	ret[0] = h.low64 | (!h.low64 && !h.high64);
	ret[1] = h.high64;
}

struct name {
	uint8_t len; /* 0: none */
	const uint8_t *p;
};

struct ctx {
	struct rd in;
	const struct qstate_known *known;
	struct buf *out;
	uint32_t id;          /* of the sections */
	struct name from, to; /* of which block the last record was, as it came and as it goes on */
	long left;
	const uint8_t *kept; /* what begins here was not copied yet */
};

static uint32_t be32(struct rd *in)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 8 | rd_u8(in);
	return v;
}

static uint64_t be64(struct rd *in)
{
	uint64_t high = be32(in);

	return high << 32 | be32(in);
}

static void put_be64(struct buf *b, uint64_t v)
{
	for (int i = 56; i >= 0; i -= 8)
		buf_put_u8(b, (uint8_t)(v >> i));
}

static bool name_of(struct rd *in, struct name *ret)
{
	ret->len = rd_u8(in);
	ret->p = rd_bytes(in, ret->len);
	return ret->len && ret->p;
}

static bool same(const struct name *a, const struct name *b)
{
	return a->len == b->len && !memcmp(a->p, b->p, a->len);
}

static bool is_known(const struct ctx *c, uint64_t at, const uint8_t *page, uint8_t fill)
{
	static const uint8_t zero[PAGE];
	const struct qstate_known *k = c->known;

	if (c->from.len != strlen(k->block) || memcmp(c->from.p, k->block, c->from.len) != 0 || at % PAGE ||
	    at > k->len || k->len - at < PAGE || (!page && fill))
		return false;
	return !memcmp(k->p + at, page ? page : zero, PAGE);
}

/* What came since the last time goes on as it is. */
static void keep(struct ctx *c, const uint8_t *until)
{
	buf_put(c->out, c->kept, (size_t)(until - c->kept));
	c->kept = until;
}

/* One page. 0; 1: the section's records are over. */
static int record(struct ctx *c)
{
	const uint8_t *begin = c->in.p, *page = NULL, *body;
	uint64_t head = be64(&c->in), flags = head & RECORD_FLAGS, kind = flags & ~(uint64_t)RECORD_CONTINUE;
	uint8_t fill = 0;

	if (!c->in.bad && flags == RECORD_EOS)
		return head == RECORD_EOS ? 1 : -EPROTO;
	if (c->in.bad || (kind != RECORD_PAGE && kind != RECORD_ZERO))
		return -EPROTO;
	if (flags & RECORD_CONTINUE ? !c->from.len : !name_of(&c->in, &c->from))
		return -EPROTO;
	body = c->in.p;
	if (kind == RECORD_PAGE)
		page = rd_bytes(&c->in, PAGE);
	else
		fill = rd_u8(&c->in);
	if (c->in.bad || (kind == RECORD_PAGE && !page))
		return -EPROTO;
	if (is_known(c, head - flags, page, fill)) {
		keep(c, begin);
		c->kept = c->in.p;
		c->left++;
		return 0;
	}
	/* the reader has to know the block by the record that it got before */
	bool goes_on = c->to.len && same(&c->to, &c->from);
	if (goes_on != !!(flags & RECORD_CONTINUE)) {
		keep(c, begin);
		put_be64(c->out, (head & ~(uint64_t)RECORD_CONTINUE) | (goes_on ? RECORD_CONTINUE : 0));
		if (!goes_on) {
			buf_put_u8(c->out, c->from.len);
			buf_put(c->out, c->from.p, c->from.len);
		}
		c->kept = body;
	}
	c->to = c->from;
	return 0;
}

static bool footer(struct ctx *c)
{
	return rd_u8(&c->in) == SECTION_FOOTER && be32(&c->in) == c->id && !c->in.bad;
}

/* The first section: which blocks there are. */
static bool set_up(struct ctx *c)
{
	uint64_t head = be64(&c->in), left = head & ~(uint64_t)RECORD_FLAGS;
	unsigned n = 0;

	if (c->in.bad || (head & RECORD_FLAGS) != RECORD_MEM_SIZE)
		return false;
	for (; left && n < BLOCKS_MAX; n++) {
		struct name block;

		if (!name_of(&c->in, &block))
			return false;
		uint64_t bytes = be64(&c->in);
		(void)be64(&c->in); /* its address: x-ignore-shared */
		if (c->in.bad || !bytes || bytes > left)
			return false;
		left -= bytes;
	}
	return !left && be64(&c->in) == RECORD_EOS && footer(c);
}

/* Where the sections of memory begin: behind the header, and the name of the machine. */
static bool find_ram(struct ctx *c)
{
	static const uint8_t name[] = { 3, 'r', 'a', 'm', 0, 0, 0, 0, 0, 0, 0, RAM_VERSION };
	const uint8_t *p = c->in.p, *end = p + (c->in.left < HEAD_MAX ? c->in.left : HEAD_MAX);

	if (be32(&c->in) != FILE_MAGIC || be32(&c->in) != FILE_VERSION || c->in.bad)
		return false;
	for (p = c->in.p; (size_t)(end - p) > 5 + sizeof(name); p++) {
		if (*p != SECTION_START || memcmp(p + 5, name, sizeof(name)) != 0)
			continue;
		(void)rd_bytes(&c->in, (size_t)(p - c->in.p) + 1);
		c->id = be32(&c->in);
		(void)rd_bytes(&c->in, sizeof(name));
		return !c->in.bad;
	}
	return false;
}

static int walk(struct ctx *c)
{
	uint8_t section;

	if (!find_ram(c) || !set_up(c))
		return -EPROTO;
	do {
		int r = 0;

		section = rd_u8(&c->in);
		if ((section != SECTION_PART && section != SECTION_END) || be32(&c->in) != c->id)
			return -EPROTO;
		while (!r)
			r = record(c);
		if (r < 0 || !footer(c))
			return -EPROTO;
	} while (section != SECTION_END);
	keep(c, c->in.p + c->in.left);
	return c->out->failed ? -ENOMEM : 0;
}

long qstate_leave(const void *in, size_t len, const struct qstate_known *known, struct buf *out)
{
	struct ctx c = { .in = rd_of(in, len), .known = known, .out = out, .kept = in };
	size_t before = out->len;
	int r = walk(&c);

	if (r < 0)
		out->len = before;
	return r < 0 ? r : c.left;
}
