/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the octets of a qcow2 disk are, and reading them: tables, compressed clusters, images below. See qcow2_int.h.
 */
#include "config.h"
#include "hypervisor/dev/qcow2_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* Where ------------------------------------------------------------------------------------------------------------ */

int qc_entry(struct qcow2 *q, unsigned img, uint64_t off, uint64_t *ret)
{
	struct qc_image *g = &q->img[img];
	uint64_t table = g->l1[off >> (2 * g->cbits - 3)] & QC_OFFSET;
	uint64_t index = (off >> g->cbits) & (g->csize / 8 - 1), at = table + (index * 8 & ~(uint64_t)(QC_PAGE - 1));

	if (!table) {
		*ret = 0;
		return 1;
	}
	struct qc_page *p = qc_cache_find(&g->cache, at);
	if (!p) {
		*ret = at;
		return 0;
	}
	const uint64_t *e = qc_data(&g->cache, p);
	uint64_t v = be64toh(e[index % (QC_PAGE / 8)]);
	/* version 2 knows no zero clusters; a compressed cluster has other bits there */
	if (g->m->head.version == 2 && !(v & QC_PACKED))
		v &= ~QC_ZERO;
	if (!(v & QC_PACKED) && ((v & QC_OFFSET) % g->csize || (v & QC_OFFSET) >= g->file_end))
		return -EUCLEAN;
	*ret = v;
	return 1;
}

/* @e is DATA at e->at: as far as the file goes, zeros behind that. */
static void clip_to_file(const struct qc_image *g, struct qc_ext *e)
{
	uint64_t there = e->at < g->file_end ? g->file_end - e->at : 0;

	if (e->bytes <= there)
		return;
	if (there >= 512) {
		e->bytes = there & ~511ull;
	} else if (there) { /* half a sector */
		e->kind = QC_IS_SLOW;
		e->bytes = 512;
	} else {
		e->kind = QC_IS_ZERO;
	}
}

int qc_map(struct qcow2 *q, unsigned from, uint64_t off, uint64_t bytes, struct qc_ext *ret)
{
	struct qc_ext e = { .kind = QC_IS_ZERO, .bytes = bytes };

	if (!q->loaded)
		return -EPERM;
	for (unsigned i = from; i < q->chain.n; i++) {
		struct qc_image *g = &q->img[i];
		uint64_t entry;
		e.img = i;
		if (off >= g->size) /* also the images below it end there */
			break;
		if (e.bytes > g->size - off)
			e.bytes = (g->size - off + 511) & ~511ull;
		if (!g->qcow2) {
			e.kind = QC_IS_DATA;
			e.at = off;
			clip_to_file(g, &e);
			break;
		}
		if (e.bytes > g->csize - off % g->csize)
			e.bytes = g->csize - off % g->csize;
		int r = qc_entry(q, i, off, &entry);
		if (r < 0)
			return r;
		if (!r) {
			e.kind = QC_IS_AWAY;
			e.at = entry;
			break;
		}
		if (entry & QC_PACKED) {
			e.kind = QC_IS_SLOW;
			e.entry = entry;
			break;
		}
		if (entry & QC_ZERO)
			break;
		if (entry & QC_OFFSET) {
			e.kind = QC_IS_DATA;
			e.at = (entry & QC_OFFSET) + off % g->csize;
			clip_to_file(g, &e);
			break;
		}
	}
	*ret = e;
	return 0;
}

int qc_map_write(struct qcow2 *q, uint64_t off, uint64_t bytes, struct qc_ext *ret)
{
	const struct qc_image *g = &q->img[0];
	struct qc_ext e = { .kind = QC_IS_ZERO, .bytes = bytes };
	uint64_t entry;

	if (!q->loaded)
		return -EPERM;
	if (e.bytes > g->csize - off % g->csize)
		e.bytes = g->csize - off % g->csize;
	int r = qc_entry(q, 0, off, &entry);
	if (r < 0)
		return r;
	if (!r) {
		e.kind = QC_IS_AWAY;
		e.at = entry;
	} else if (!(entry & (QC_PACKED | QC_ZERO)) && (entry & QC_COPIED) && (entry & QC_OFFSET)) {
		/* an image may have been made so that its guest would write its tables */
		if (qc_set_has(&q->own, (entry & QC_OFFSET) >> g->cbits))
			return -EUCLEAN;
		e.kind = QC_IS_DATA;
		e.at = (entry & QC_OFFSET) + off % g->csize;
		e.in_place = true;
	}
	*ret = e;
	return 0;
}

/* Reading, under op ------------------------------------------------------------------------------------------------ */

int qc_pread(const struct qc_image *g, void *buf, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t k = pread(g->m->fd, (uint8_t *)buf + done, len - done, (off_t)(at + done));
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		done += (size_t)k;
		/* the end; one amid a sector cannot be asked for again with O_DIRECT */
		if (!k || k % 512) {
			memset((uint8_t *)buf + done, 0, len - done);
			return 0;
		}
	}
	return 0;
}

/*
 * A page makes room. Only those of the disk's own image may be dirty: what may be written at any time goes first, then
 * all.
 */
static int make_room(struct qcow2 *q, unsigned img, struct qc_page **ret)
{
	struct qc_cache *c = &q->img[img].cache;
	int r = 0;

	for (unsigned step = 0; !r; step++) {
		pthread_mutex_lock(&q->map);
		*ret = qc_cache_victim(c);
		pthread_mutex_unlock(&q->map);
		if (*ret)
			return 0;
		r = step == 0 ? qc_write_dirty(q, QC_PAGE_REF) : step == 1 ? qc_flush(q, false) : -EIO;
	}
	return r;
}

int qc_load_page(struct qcow2 *q, unsigned img, uint64_t at, enum qc_page_kind kind)
{
	struct qc_image *g = &q->img[img];
	struct qc_page *p = NULL;
	int r = 0;

	if (!q->loaded)
		return -EPERM;
	r = make_room(q, img, &p);
	/* only now: making room uses the buffer as well */
	if (!r)
		r = qc_pread(g, q->page, QC_PAGE, at);
	if (r < 0)
		return r;
	pthread_mutex_lock(&q->map);
	if (!qc_cache_find(&g->cache, at)) /* two requests may have missed it */
		qc_cache_put(&g->cache, p, at, kind, q->page);
	pthread_mutex_unlock(&q->map);
	return 0;
}

int qc_page_get(struct qcow2 *q, unsigned img, uint64_t at, enum qc_page_kind kind, struct qc_page **ret)
{
	for (unsigned try = 0; try < 2; try++) {
		pthread_mutex_lock(&q->map);
		*ret = qc_cache_find(&q->img[img].cache, at);
		pthread_mutex_unlock(&q->map);
		if (*ret)
			/* the same octets as a table of another kind: two tables lie over each other */
			return (*ret)->kind == kind ? 0 : -EUCLEAN;
		int r = qc_load_page(q, img, at, kind);
		if (r < 0)
			return r;
	}
	return -EIO;
}

int qc_entry_op(struct qcow2 *q, uint64_t off, uint64_t *ret)
{
	for (unsigned try = 0; try < 2; try++) {
		pthread_mutex_lock(&q->map);
		int r = q->loaded ? qc_entry(q, 0, off, ret) : -EPERM;
		pthread_mutex_unlock(&q->map);
		if (r)
			return r < 0 ? r : 0;
		r = qc_load_page(q, 0, *ret, QC_PAGE_L2);
		if (r < 0)
			return r;
	}
	return -EIO;
}

int qc_map_op(struct qcow2 *q, unsigned from, uint64_t off, uint64_t bytes, struct qc_ext *ret)
{
	/* one page of each image may have to be loaded */
	for (unsigned try = 0; try <= IMGCHAIN_MAX; try++) {
		pthread_mutex_lock(&q->map);
		int r = qc_map(q, from, off, bytes, ret);
		pthread_mutex_unlock(&q->map);
		if (!r && ret->kind == QC_IS_AWAY)
			r = qc_load_page(q, ret->img, ret->at, QC_PAGE_L2);
		else
			return r;
		if (r < 0)
			return r;
	}
	return -EIO;
}

/* A cluster that is compressed as deflate makes it, without header. */
static int inflate_cluster(struct qc_image *g, uint64_t entry)
{
	unsigned x = 62 - (g->cbits - 8);
	uint64_t at = entry & ((1ull << x) - 1), n = (entry >> x & ((1ull << (g->cbits - 8)) - 1)) + 1;
	size_t len = (size_t)n * 512, skip = at % 512;
	_cleanup_free_ void *src = NULL;
	z_stream z = { 0 };

	if (at >= g->file_end)
		return -EUCLEAN;
	if (posix_memalign(&src, QC_PAGE, len))
		return -ENOMEM;
	int r = qc_pread(g, src, len, at - skip);
	if (r < 0)
		return r;
	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return -ENOMEM;
	z.next_in = (uint8_t *)src + skip;
	z.avail_in = (uInt)(len - skip);
	z.next_out = g->plain;
	z.avail_out = (uInt)g->csize;
	int how = inflate(&z, Z_FINISH);
	(void)inflateEnd(&z);
	/* what is behind its end in the last sector is another's */
	return (how == Z_STREAM_END || how == Z_BUF_ERROR || how == Z_OK) && !z.avail_out ? 0 : -EUCLEAN;
}

int qc_read_slow(struct qcow2 *q, const struct qc_ext *e, uint64_t off, const uint8_t **ret)
{
	struct qc_image *g = &q->img[e->img];
	void *plain = NULL;

	if (!q->loaded)
		return -EPERM;
	if (!e->entry) {
		*ret = q->page;
		return qc_pread(g, q->page, 512, e->at);
	}
	if (!g->plain) {
		if (posix_memalign(&plain, QC_PAGE, g->csize))
			return -ENOMEM;
		g->plain = plain;
	}
	if (g->plain_entry != e->entry) {
		g->plain_entry = 0;
		int r = inflate_cluster(g, e->entry);
		if (r < 0)
			return r;
		g->plain_entry = e->entry;
	}
	*ret = g->plain + off % g->csize;
	return 0;
}

int qc_read(struct qcow2 *q, uint64_t off, void *buf, size_t len)
{
	const uint8_t *from;
	struct qc_ext e;

	for (size_t done = 0; done < len; done += e.bytes) {
		uint8_t *to = (uint8_t *)buf + done;
		int r = qc_map_op(q, 0, off + done, len - done, &e);
		if (r < 0)
			return r;
		if (e.kind == QC_IS_DATA) {
			r = qc_pread(&q->img[e.img], to, e.bytes, e.at);
		} else if (e.kind == QC_IS_SLOW) {
			r = qc_read_slow(q, &e, off + done, &from);
			if (!r)
				memcpy(to, from, e.bytes);
		} else {
			memset(to, 0, e.bytes);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

int qc_is_zero(struct qcow2 *q, uint64_t off, uint64_t len)
{
	struct qc_ext e;

	for (uint64_t done = 0; done < len; done += e.bytes) {
		int r = qc_map_op(q, 0, off + done, len - done, &e);
		if (r < 0)
			return r;
		if (e.kind != QC_IS_ZERO)
			return 0;
	}
	return 1;
}
