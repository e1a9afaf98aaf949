/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See nbd.h. Numbers are big-endian. */
#include "config.h"
#include "hypervisor/dev/nbd.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define MAGIC         0x4e42444d41474943ull /* "NBDMAGIC" */
#define OPTION_MAGIC  0x49484156454f5054ull /* "IHAVEOPT" */
#define REPLY_MAGIC   0x0003e889045565a9ull
#define REQUEST_MAGIC 0x25609513u
#define ANSWER_MAGIC  0x67446698u

enum { INFO_EXPORT = 0, INFO_BLOCK_SIZE = 3 };

static uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}
static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}
static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

static uint8_t *put16(uint8_t *p, uint16_t v)
{
	v = htobe16(v);
	return (uint8_t *)memcpy(p, &v, sizeof(v)) + sizeof(v);
}
static uint8_t *put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	return (uint8_t *)memcpy(p, &v, sizeof(v)) + sizeof(v);
}
static uint8_t *put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	return (uint8_t *)memcpy(p, &v, sizeof(v)) + sizeof(v);
}

int nbd_parse_flags(const uint8_t *p, size_t len, const char **ret_why)
{
	if (len < 4)
		return 0;
	if (get32(p) != NBD_GREETING_FLAGS) {
		*ret_why = "NBD flags of another client";
		return -EPROTO;
	}
	return 4;
}

int nbd_parse_option(const uint8_t *p, size_t len, struct nbd_option_msg *ret, const char **ret_why)
{
	if (len < NBD_OPTION_BYTES)
		return 0;
	if (get64(p) != OPTION_MAGIC) {
		*ret_why = "no NBD option where one should be";
		return -EPROTO;
	}
	*ret = (struct nbd_option_msg){ .option = get32(p + 8), .len = get32(p + 12), .data = p + NBD_OPTION_BYTES };
	if (ret->len > NBD_OPTION_MAX) {
		*ret_why = "an NBD option that is too long";
		return -EPROTO;
	}
	return len < NBD_OPTION_BYTES + ret->len ? 0 : (int)(NBD_OPTION_BYTES + ret->len);
}

uint32_t nbd_check_go(const struct nbd_option_msg *m)
{
	if (m->len < 6)
		return NBD_REP_ERR_INVALID;
	uint32_t name = get32(m->data);
	if (name > m->len - 6 || 6 + name + 2u * get16(m->data + 4 + name) != m->len)
		return NBD_REP_ERR_INVALID;
	return name ? NBD_REP_ERR_UNKNOWN : 0;
}

int nbd_parse_request(const uint8_t *p, size_t len, struct nbd_request *ret, const char **ret_why)
{
	if (len < NBD_REQUEST_BYTES)
		return 0;
	if (get32(p) != REQUEST_MAGIC) {
		*ret_why = "no NBD request where one should be";
		return -EPROTO;
	}
	*ret = (struct nbd_request){ .flags = get16(p + 4),
		                     .cmd = get16(p + 6),
		                     .cookie = get64(p + 8),
		                     .offset = get64(p + 16),
		                     .bytes = get32(p + 24) };
	return NBD_REQUEST_BYTES;
}

size_t nbd_greeting(uint8_t *buf)
{
	uint8_t *p = put64(buf, MAGIC);

	p = put64(p, OPTION_MAGIC);
	return (size_t)(put16(p, NBD_GREETING_FLAGS) - buf);
}

static uint8_t *reply_head(uint8_t *p, uint32_t option, uint32_t type, uint32_t len)
{
	p = put64(p, REPLY_MAGIC);
	p = put32(p, option);
	p = put32(p, type);
	return put32(p, len);
}

size_t nbd_option_reply(uint8_t *buf, uint32_t option, uint32_t type)
{
	return (size_t)(reply_head(buf, option, type, 0) - buf);
}

size_t nbd_export_info(uint8_t *buf, uint32_t option, const struct nbd_export *e)
{
	uint8_t *p = reply_head(buf, option, NBD_REP_INFO, 12);

	p = put16(p, INFO_EXPORT);
	p = put64(p, e->bytes);
	p = put16(p, e->flags | NBD_FLAG_HAS_FLAGS);
	p = reply_head(p, option, NBD_REP_INFO, 14);
	p = put16(p, INFO_BLOCK_SIZE);
	p = put32(p, e->block_min);
	p = put32(p, e->block_preferred);
	p = put32(p, e->block_max);
	return (size_t)(reply_head(p, option, NBD_REP_ACK, 0) - buf);
}

size_t nbd_reply(uint8_t *buf, uint64_t cookie, enum nbd_error error)
{
	uint8_t *p = put32(buf, ANSWER_MAGIC);

	p = put32(p, error);
	return (size_t)(put64(p, cookie) - buf);
}
