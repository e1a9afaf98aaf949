/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Octets of the datagrams between clusterds, with HMAC-SHA256 by libgcrypt: see reachwire.h. */
#include "config.h"
#include "clusterd/io/reachwire.h"
#include <errno.h>
#include <gcrypt.h>
#include <string.h>
#include "common/buf.h"

#define MAGIC        0x48435248u /* "HRCH" */
#define FORMAT       1u
#define HEAD         72u
#define MAC          32u
#define LEASE_MAX_NS 86400000000000ull /* waited out when its host is lost: not for ever */
#define OUT          1u                /* flag of a row */

static int hmac(const uint8_t *key, size_t key_len, const void *p, size_t len, const void *q, size_t q_len,
                uint8_t *ret)
{
	gcry_md_hd_t h;
	const uint8_t *mac;

	if (gcry_md_open(&h, GCRY_MD_SHA256, GCRY_MD_FLAG_HMAC))
		return -EIO;
	if (gcry_md_setkey(h, key, key_len)) {
		gcry_md_close(h);
		return -EIO;
	}
	gcry_md_write(h, p, len);
	if (q_len)
		gcry_md_write(h, q, q_len);
	mac = gcry_md_read(h, GCRY_MD_SHA256);
	if (mac)
		memcpy(ret, mac, MAC);
	gcry_md_close(h);
	return mac ? 0 : -EIO;
}

static bool usable(void)
{
	static int ok = -1; /* loop thread */

	if (ok < 0)
		ok = gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P) ||
		     (gcry_check_version(GCRYPT_VERSION) && gcry_control(GCRYCTL_DISABLE_SECMEM, 0) == 0 &&
		      gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0) == 0);
	return ok;
}

int reachwire_key(const char *cluster, const void *key, size_t len, uint8_t *ret, struct err *err)
{
	static const char label[] = "hospes reach 1 ";

	if (!usable() || hmac(len ? key : (const void *)label, len ? len : sizeof(label) - 1, label, sizeof(label) - 1,
	                      cluster, strlen(cluster), ret) < 0)
		return err_set(err, EIO, "libgcrypt makes no HMAC-SHA256");
	return 0;
}

uint64_t reachwire_list(const char *cluster, const uint32_t *id, uint32_t n)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a: it tells lists apart, the key keeps others out */

	for (; *cluster; cluster++)
		h = (h ^ (uint8_t)*cluster) * 0x100000001b3ull;
	for (uint32_t i = 0; i < n; i++)
		for (unsigned k = 0; k < 32; k += 8)
			h = (h ^ (id[i] >> k & 0xff)) * 0x100000001b3ull;
	return h;
}

static uint32_t words(uint32_t nodes)
{
	return (nodes + 63) / 64;
}

static void put(uint8_t **p, uint64_t v, unsigned octets)
{
	for (unsigned i = 0; i < octets; i++)
		*(*p)++ = (uint8_t)(v >> 8 * i);
}

int reachwire_pack(const struct reach_dgram *d, const uint8_t *key, uint8_t *out)
{
	uint8_t *p = out;
	uint32_t w = words(d->nodes), row = 16 + 8 * w, n = d->n, most = (REACHWIRE_MAX - HEAD - MAC) / row;

	if (n > most)
		n = most;
	put(&p, MAGIC, 4);
	put(&p, FORMAT, 1);
	put(&p, HEAD / 8, 1);
	put(&p, n, 1);
	put(&p, d->nodes, 1);
	put(&p, d->list, 8);
	put(&p, d->pulse.from, 4);
	put(&p, d->to, 4);
	put(&p, d->stamp, 8);
	put(&p, d->pulse.boot, 8);
	put(&p, d->pulse.seq, 8);
	put(&p, d->pulse.lease_ns, 8);
	put(&p, d->pulse.ack_boot, 8);
	put(&p, d->pulse.ack_seq, 8);
	for (uint32_t i = 0; i < n; i++) {
		const struct reach_row *r = &d->row[i].row;

		put(&p, d->row[i].of, 1);
		put(&p, r->out ? OUT : 0, 1);
		put(&p, 0, 2);
		put(&p, r->weight, 4);
		put(&p, r->stamp, 8);
		for (uint32_t k = 0; k < w; k++)
			put(&p, r->hears[k], 8);
	}
	if (hmac(key, REACHWIRE_KEY, out, (size_t)(p - out), NULL, 0, p) < 0)
		return -EIO;
	return (int)(p - out + MAC);
}

static bool same(const uint8_t *a, const uint8_t *b)
{
	uint8_t diff = 0;

	for (unsigned i = 0; i < MAC; i++)
		diff |= a[i] ^ b[i];
	return !diff;
}

static int rows(struct rd *r, struct reach_dgram *d)
{
	uint32_t w = words(d->nodes);

	for (uint32_t i = 0; i < d->n; i++) {
		struct reach_row *row = &d->row[i].row;

		*row = (struct reach_row){ 0 };
		d->row[i].of = rd_u8(r);
		row->out = rd_u8(r) & OUT;
		(void)rd_u16(r);
		row->weight = rd_u32(r);
		row->stamp = rd_u64(r);
		for (uint32_t k = 0; k < w; k++)
			row->hears[k] = rd_u64(r);
		if (d->row[i].of >= d->nodes)
			return -EPROTO;
	}
	return r->bad ? -EPROTO : 0;
}

int reachwire_unpack(const void *octets, size_t len, const uint8_t *key, struct reach_dgram *d)
{
	struct rd r = rd_of(octets, len);
	uint8_t mac[MAC];
	uint32_t head;

	if (len < HEAD + MAC || len > REACHWIRE_MAX || rd_u32(&r) != MAGIC)
		return -EBADMSG;
	if (hmac(key, REACHWIRE_KEY, octets, len - MAC, NULL, 0, mac) < 0 ||
	    !same(mac, (const uint8_t *)octets + len - MAC))
		return -EBADMSG;
	r.left -= MAC;
	if (rd_u8(&r) != FORMAT)
		return -EPROTO;
	head = 8u * rd_u8(&r);
	d->n = rd_u8(&r);
	d->nodes = rd_u8(&r);
	d->list = rd_u64(&r);
	d->pulse.from = rd_u32(&r);
	d->to = rd_u32(&r);
	d->stamp = rd_u64(&r);
	d->pulse.boot = rd_u64(&r);
	d->pulse.seq = rd_u64(&r);
	d->pulse.lease_ns = rd_u64(&r);
	d->pulse.ack_boot = rd_u64(&r);
	d->pulse.ack_seq = rd_u64(&r);
	if (d->pulse.lease_ns > LEASE_MAX_NS)
		return -EPROTO;
	if (head < HEAD || d->n > REACHWIRE_ROWS_MAX || !d->nodes || d->nodes > CLU_HOSTS_MAX)
		return -EPROTO;
	(void)rd_bytes(&r, head - HEAD); /* what a later version adds */
	return rows(&r, d);
}
