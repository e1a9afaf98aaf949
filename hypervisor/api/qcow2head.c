/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See qcow2head.h. */
#include "config.h"
#include "hypervisor/api/qcow2head.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC            0x514649fbu
#define V2_BYTES         72u
#define V3_BYTES         104u
#define SIZE_MAX_BYTES   (1ull << 56)
#define EXT_BACKING      0xe2792acau
#define EXT_NAMES        0x6803f857u
#define NAME_ENTRY_BYTES 48u

enum { F_DIRTY = 1, F_CORRUPT = 2, F_DATA_FILE = 4, F_COMPRESSION = 8, F_EXTENDED_L2 = 16 };

struct raw { /* on disk, big-endian; from incompatible on: version 3 */
	uint32_t magic, version;
	uint64_t backing_at;
	uint32_t backing_len, cluster_bits;
	uint64_t size;
	uint32_t crypt, l1_entries;
	uint64_t l1_at, reft_at;
	uint32_t reft_clusters, n_snapshots;
	uint64_t snapshots_at;
	uint64_t incompatible, compatible, autoclear;
	uint32_t refcount_order, header_len;
};
_Static_assert(sizeof(struct raw) == V3_BYTES, "docs/interop/qcow2.txt, Header");
_Static_assert(offsetof(struct raw, reft_at) == QCOW2_REFTABLE_AT, "as above");
_Static_assert(offsetof(struct raw, autoclear) == QCOW2_AUTOCLEAR_AT, "as above");

struct parse {
	const uint8_t *p;
	size_t len; /* octets that are there */
	uint64_t file_bytes;
	struct raw h; /* in host order */
	uint64_t cluster;
	const uint8_t *names; /* table of feature names, NULL: none */
	size_t names_len;
	struct err *err;
};

static uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static void to_host(struct raw *h)
{
	uint32_t *const w[] = {
		&h->magic,      &h->version,       &h->backing_len, &h->cluster_bits,   &h->crypt,
		&h->l1_entries, &h->reft_clusters, &h->n_snapshots, &h->refcount_order, &h->header_len
	};
	uint64_t *const q[] = { &h->backing_at,   &h->size,         &h->l1_at,      &h->reft_at,
		                &h->snapshots_at, &h->incompatible, &h->compatible, &h->autoclear };

	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		*w[i] = be32toh(*w[i]);
	for (size_t i = 0; i < ARRAY_SIZE(q); i++)
		*q[i] = be64toh(*q[i]);
}

static int read_fixed(struct parse *x)
{
	struct raw *h = &x->h;

	if (x->len < V2_BYTES || be32(x->p) != MAGIC)
		return err_set(x->err, EINVAL, "it is no qcow2 image (its first octets are not QFI\\xfb)");
	memcpy(h, x->p, x->len < sizeof(*h) ? x->len : sizeof(*h));
	to_host(h);
	if (h->version != 2 && h->version != 3)
		return err_set(x->err, ENOTSUP, "it has version %u of the format (2 and 3 are supported)", h->version);
	if (h->version == 2) {
		h->incompatible = h->compatible = h->autoclear = 0;
		h->refcount_order = 4;
		h->header_len = V2_BYTES;
	}
	if (h->cluster_bits < 12 || h->cluster_bits > 21)
		return err_set(x->err, ENOTSUP, "its clusters have 2^%u octets (4 KiB to 2 MiB are supported)",
		               h->cluster_bits);
	x->cluster = 1ull << h->cluster_bits;
	if (h->header_len < (h->version == 2 ? V2_BYTES : V3_BYTES) || h->header_len > x->len ||
	    h->header_len > x->cluster || h->header_len % 8)
		return err_set(x->err, EINVAL, "its header is damaged: it says that it has %u octets", h->header_len);
	if (x->len > x->cluster) /* what belongs to the header ends there */
		x->len = x->cluster;
	return 0;
}

/* The name that the image itself has for an incompatible feature, cleaned up; or its number. */
static void feature_name(const struct parse *x, unsigned bit, char *out, size_t size)
{
	snprintf(out, size, "number %u", bit);
	for (size_t at = 0; at + NAME_ENTRY_BYTES <= x->names_len; at += NAME_ENTRY_BYTES) {
		const uint8_t *e = x->names + at;
		if (e[0] != 0 || e[1] != bit)
			continue;
		snprintf(out, size, "'%.46s'", (const char *)e + 2);
		for (char *c = out; *c; c++)
			if (*c < ' ' || *c > '~')
				*c = '?';
	}
}

static int check_features(struct parse *x)
{
	uint64_t f = x->h.incompatible;
	uint8_t compression = x->h.header_len > V3_BYTES ? x->p[V3_BYTES] : 0;
	char name[64];

	if (x->h.crypt)
		return err_set(x->err, ENOTSUP, "it is encrypted (%s), which is not supported",
		               x->h.crypt == 1   ? "AES"
		               : x->h.crypt == 2 ? "LUKS"
		                                 : "an unknown method");
	if (f & F_CORRUPT)
		return err_set(x->err, EINVAL, "it is marked as corrupt: look at it with qemu-img check");
	if (f & F_DIRTY)
		return err_set(x->err, EINVAL,
		               "it was not closed (its dirty bit is set): repair it with qemu-img check -r all");
	if (f & F_DATA_FILE)
		return err_set(x->err, ENOTSUP, "it has an external data file, which is not supported");
	if (f & F_EXTENDED_L2)
		return err_set(x->err, ENOTSUP, "it has extended L2 entries (subclusters), which are not supported");
	if ((f & F_COMPRESSION) || compression)
		return err_set(x->err, ENOTSUP, "its compression is %s (zlib is supported)",
		               compression == 1 ? "zstd" : "of an unknown type");
	for (unsigned bit = 5; bit < 64; bit++) {
		if (!(f >> bit & 1))
			continue;
		feature_name(x, bit, name, sizeof(name));
		return err_set(x->err, ENOTSUP, "it has the feature %s, which is not supported", name);
	}
	if (x->h.refcount_order != 4)
		return err_set(x->err, ENOTSUP, "its refcounts have %llu bits (16 are supported)",
		               x->h.refcount_order < 7 ? 1ull << x->h.refcount_order : 0);
	return 0;
}

static int read_extensions(struct parse *x, struct qcow2_head *ret)
{
	size_t at = x->h.header_len;

	/*
	 * version 2 may have extensions, too; where a version 2 header ends and the name begins at once, there is none
	 */
	while (at + 8 <= x->len && (!x->h.backing_at || at + 8 <= x->h.backing_at)) {
		uint32_t type = be32(x->p + at), len = be32(x->p + at + 4);
		at += 8;
		if (!type)
			return 0;
		if (len > x->len - at)
			return err_set(x->err, EINVAL, "its header is damaged: an extension is longer than it");
		if (type == EXT_BACKING) {
			if (len > QCOW2_FORMAT_MAX || memchr(x->p + at, 0, len))
				return err_set(x->err, EINVAL,
				               "its header is damaged: the format of its backing file is no name");
			memcpy(ret->backing_format, x->p + at, len);
			ret->backing_format[len] = 0;
		} else if (type == EXT_NAMES) {
			x->names = x->p + at;
			x->names_len = len;
		}
		size_t next = at + (((size_t)len + 7) & ~(size_t)7);
		if (next > x->len)
			break;
		at = next;
	}
	return 0;
}

static int read_backing(struct parse *x, struct qcow2_head *ret)
{
	const struct raw *h = &x->h;

	if (!h->backing_at || !h->backing_len)
		return 0;
	if (h->backing_len > QCOW2_NAME_MAX || h->backing_at < h->header_len || h->backing_at > x->len ||
	    h->backing_len > x->len - h->backing_at || memchr(x->p + h->backing_at, 0, h->backing_len))
		return err_set(x->err, EINVAL, "its header is damaged: the name of its backing file");
	memcpy(ret->backing, x->p + h->backing_at, h->backing_len);
	ret->backing[h->backing_len] = 0;
	return 0;
}

/* @bytes from offset @at on are clusters inside the file, behind the header. */
static bool table_ok(const struct parse *x, uint64_t at, uint64_t bytes)
{
	return at && at % x->cluster == 0 && at <= x->file_bytes && bytes <= x->file_bytes - at;
}

static int check_tables(struct parse *x, struct qcow2_head *ret)
{
	const struct raw *h = &x->h;
	uint64_t per_l1 = x->cluster * (x->cluster / 8);

	if (h->size > SIZE_MAX_BYTES)
		return err_set(x->err, EINVAL, "its header is damaged: a disk of %llu octets",
		               (unsigned long long)h->size);
	uint64_t need = h->size / per_l1 + (h->size % per_l1 != 0);
	if (need > QCOW2_TABLE_MAX / 8)
		return err_set(
			x->err, ENOTSUP,
			"its L1 table would have more than %u entries: larger clusters are needed for such a disk",
			QCOW2_TABLE_MAX / 8);
	if (h->l1_entries < need || (need && !table_ok(x, h->l1_at, need * 8)))
		return err_set(x->err, EINVAL, "its header is damaged: the L1 table is not in the file");
	if (!h->reft_clusters || h->reft_clusters > QCOW2_TABLE_MAX >> h->cluster_bits || !table_ok(x, h->reft_at, 8))
		return err_set(x->err, EINVAL, "its header is damaged: the refcount table is not in the file");
	if (h->n_snapshots && !table_ok(x, h->snapshots_at, 40))
		return err_set(x->err, EINVAL, "its header is damaged: the snapshot table is not in the file");
	ret->l1_entries = (uint32_t)need;
	ret->snapshots_at = h->n_snapshots ? h->snapshots_at : 0;
	return 0;
}

int qcow2_head_parse(const void *p, size_t len, uint64_t file_bytes, struct qcow2_head *ret, struct err *err)
{
	struct parse x = {
		.p = p, .len = len < QCOW2_HEAD_MAX ? len : QCOW2_HEAD_MAX, .file_bytes = file_bytes, .err = err
	};
	struct qcow2_head out = { 0 };
	int r = read_fixed(&x);

	if (!r)
		r = read_extensions(&x, &out);
	if (!r)
		r = check_features(&x);
	if (!r)
		r = read_backing(&x, &out);
	if (!r)
		r = check_tables(&x, &out);
	if (r < 0)
		return r;
	out.version = x.h.version;
	out.cluster_bits = x.h.cluster_bits;
	out.size = x.h.size;
	out.l1_at = x.h.l1_at;
	out.reft_at = x.h.reft_at;
	out.reft_clusters = x.h.reft_clusters;
	out.autoclear = x.h.autoclear;
	*ret = out;
	return 0;
}

/* Clusters of a new image: header, refcount table, refcount block, L1 table. */
#define NEW_BITS 16u
#define NEW_SIZE (1u << NEW_BITS)

static void put_be64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, sizeof(v));
}

int qcow2_head_make(uint64_t size, const char *backing, const char *backing_format, void **ret, size_t *ret_len)
{
	uint64_t per_entry = (uint64_t)NEW_SIZE * (NEW_SIZE / 8), entries = (size + per_entry - 1) / per_entry;
	uint64_t l1_clusters = (entries * 8 + NEW_SIZE - 1) / NEW_SIZE;
	size_t name = backing ? strlen(backing) : 0, format = backing && backing_format ? strlen(backing_format) : 0;
	struct raw h = { .magic = MAGIC,
		         .version = 3,
		         .cluster_bits = NEW_BITS,
		         .size = size,
		         .l1_entries = (uint32_t)entries,
		         .l1_at = 3 * NEW_SIZE,
		         .reft_at = NEW_SIZE,
		         .reft_clusters = 1,
		         .refcount_order = 4,
		         .header_len = V3_BYTES };
	uint8_t *p, *ext;

	if (!size || size % 512 || entries * 8 > QCOW2_TABLE_MAX || name > QCOW2_NAME_MAX || format > QCOW2_FORMAT_MAX)
		return -EINVAL;
	*ret_len = (size_t)(3 + l1_clusters) * NEW_SIZE;
	p = calloc(1, *ret_len);
	if (!p)
		return -ENOMEM;
	ext = p + V3_BYTES;
	if (format) {
		const uint32_t head[] = { htobe32(EXT_BACKING), htobe32((uint32_t)format) };

		memcpy(ext, head, sizeof(head));
		memcpy(ext + sizeof(head), backing_format, format);
		ext += sizeof(head) + (format + 7) / 8 * 8;
	}
	ext += 8; /* the end of the extensions: zeros */
	if (name) {
		memcpy(ext, backing, name);
		h.backing_at = (uint64_t)(ext - p);
		h.backing_len = (uint32_t)name;
	}
	to_host(&h); /* and back: the same exchange of octets */
	memcpy(p, &h, sizeof(h));
	put_be64(p + NEW_SIZE, 2 * NEW_SIZE);
	for (uint64_t i = 0; i < 3 + l1_clusters; i++)
		p[2 * NEW_SIZE + 2 * i + 1] = 1;
	*ret = p;
	return 0;
}
