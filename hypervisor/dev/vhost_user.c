/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vhost-user messages as octets; see vhost_user.h. Every length is fixed by the request, or bounded and checked. */
#include "config.h"
#include "hypervisor/dev/vhost_user.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return le32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return le64toh(v);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, 4);
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, 8);
}

enum body { BODY_NONE, BODY_U64, BODY_STATE, BODY_ADDR, BODY_MEM, BODY_CONFIG, BODY_SKIP };

static const struct {
	uint8_t req, body, fds;
} bodies[] = {
	{ VU_GET_FEATURES, BODY_NONE, 0 },
	{ VU_SET_FEATURES, BODY_U64, 0 },
	{ VU_SET_OWNER, BODY_NONE, 0 },
	{ VU_RESET_OWNER, BODY_NONE, 0 },
	{ VU_SET_MEM_TABLE, BODY_MEM, 1 },
	{ VU_SET_LOG_BASE, BODY_SKIP, 1 },
	{ VU_SET_LOG_FD, BODY_SKIP, 1 },
	{ VU_SET_VRING_NUM, BODY_STATE, 0 },
	{ VU_SET_VRING_ADDR, BODY_ADDR, 0 },
	{ VU_SET_VRING_BASE, BODY_STATE, 0 },
	{ VU_GET_VRING_BASE, BODY_STATE, 0 },
	{ VU_SET_VRING_KICK, BODY_U64, 1 },
	{ VU_SET_VRING_CALL, BODY_U64, 1 },
	{ VU_SET_VRING_ERR, BODY_U64, 1 },
	{ VU_GET_PROTOCOL_FEATURES, BODY_NONE, 0 },
	{ VU_SET_PROTOCOL_FEATURES, BODY_U64, 0 },
	{ VU_GET_QUEUE_NUM, BODY_NONE, 0 },
	{ VU_SET_VRING_ENABLE, BODY_STATE, 0 },
	{ VU_SET_BACKEND_REQ_FD, BODY_NONE, 1 },
	{ VU_GET_CONFIG, BODY_CONFIG, 0 },
	{ VU_SET_CONFIG, BODY_CONFIG, 0 },
	{ VU_VRING_KICK, BODY_STATE, 0 },
};

static int proto(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EPROTO;
}

static int parse_mem(const uint8_t *p, uint32_t len, struct vu_msg *m, const char **ret_why)
{
	if (len < 8)
		return proto(ret_why, "a memory table is too short");
	m->mem.n = get32(p);
	/* virtio_uml always sends room for two regions, whatever the number */
	if (m->mem.n > VU_REGIONS_MAX || len < 8 + 32 * m->mem.n)
		return proto(ret_why, "a memory table has too many regions");
	for (uint32_t i = 0; i < m->mem.n; i++) {
		const uint8_t *r = p + 8 + 32ul * i;
		m->mem.region[i] = (struct vu_region){ get64(r), get64(r + 8), get64(r + 16), get64(r + 24) };
	}
	return 0;
}

static int parse_config(const uint8_t *p, uint32_t len, struct vu_msg *m, const char **ret_why)
{
	if (len < 12)
		return proto(ret_why, "a config message is too short");
	m->config.offset = get32(p);
	m->config.bytes = get32(p + 4);
	m->config.flags = get32(p + 8);
	m->config.data = p + 12;
	if (m->config.bytes != len - 12 || m->config.bytes > VU_CONFIG_MAX ||
	    m->config.offset > VU_CONFIG_MAX - m->config.bytes)
		return proto(ret_why, "a config message has a wrong size");
	return 0;
}

static int parse_body(int body, const uint8_t *p, uint32_t len, struct vu_msg *m, const char **ret_why)
{
	static const uint8_t sizes[] = { [BODY_NONE] = 0, [BODY_U64] = 8, [BODY_STATE] = 8, [BODY_ADDR] = 40 };

	if (body <= BODY_ADDR && len != sizes[body])
		return proto(ret_why, "a message has a wrong size for its request");
	switch (body) {
	case BODY_U64:
		m->u64 = get64(p);
		return 0;
	case BODY_STATE:
		m->state.index = get32(p);
		m->state.num = get32(p + 4);
		return 0;
	case BODY_ADDR:
		m->addr.index = get32(p);
		m->addr.desc = get64(p + 8);
		m->addr.used = get64(p + 16);
		m->addr.avail = get64(p + 24);
		return 0;
	case BODY_MEM:
		return parse_mem(p, len, m, ret_why);
	case BODY_CONFIG:
		return parse_config(p, len, m, ret_why);
	default:
		return 0;
	}
}

int vu_parse(const uint8_t *p, size_t len, struct vu_msg *ret, const char **ret_why)
{
	if (len < VU_HEADER_BYTES)
		return 0;
	uint32_t req = get32(p), flags = get32(p + 4), size = get32(p + 8);
	if ((flags & VU_FLAG_VERSION_MASK) != VU_FLAG_VERSION || (flags & VU_FLAG_REPLY))
		return proto(ret_why, "a message has wrong flags");
	if (size > VU_PAYLOAD_MAX)
		return proto(ret_why, "a message is too large");
	size_t i = 0;
	while (i < ARRAY_SIZE(bodies) && bodies[i].req != req)
		i++;
	if (i == ARRAY_SIZE(bodies))
		return proto(ret_why, "a request is unknown or not offered");
	if (len < VU_HEADER_BYTES + size)
		return 0;
	struct vu_msg m = { .req = req, .takes_fds = bodies[i].fds };
	int r = parse_body(bodies[i].body, p + VU_HEADER_BYTES, size, &m, ret_why);
	if (r < 0)
		return r;
	/* an index of a ring, and whether no descriptor comes with it */
	if (bodies[i].body == BODY_U64 && m.u64 & VU_VRING_NOFD)
		m.takes_fds = false;
	*ret = m;
	return (int)(VU_HEADER_BYTES + size);
}

static size_t header(uint8_t *buf, uint32_t req, uint32_t flags, uint32_t size)
{
	put32(buf, req);
	put32(buf + 4, VU_FLAG_VERSION | flags);
	put32(buf + 8, size);
	return VU_HEADER_BYTES + size;
}

size_t vu_reply_u64(uint8_t *buf, uint32_t req, uint64_t v)
{
	put64(buf + VU_HEADER_BYTES, v);
	return header(buf, req, VU_FLAG_REPLY, 8);
}

size_t vu_reply_state(uint8_t *buf, uint32_t req, uint32_t index, uint32_t num)
{
	put32(buf + VU_HEADER_BYTES, index);
	put32(buf + VU_HEADER_BYTES + 4, num);
	return header(buf, req, VU_FLAG_REPLY, 8);
}

size_t vu_reply_config(uint8_t *buf, uint32_t offset, uint32_t bytes, const uint8_t *config, size_t n)
{
	uint8_t *p = buf + VU_HEADER_BYTES;

	put32(p, offset);
	put32(p + 4, bytes);
	put32(p + 8, 0);
	memset(p + 12, 0, bytes);
	if (offset < n)
		memcpy(p + 12, config + offset, n - offset < bytes ? n - offset : bytes);
	return header(buf, VU_GET_CONFIG, VU_FLAG_REPLY, 12 + bytes);
}

size_t vu_backend_call(uint8_t *buf, uint32_t index)
{
	put32(buf + VU_HEADER_BYTES, index);
	put32(buf + VU_HEADER_BYTES + 4, 0);
	return header(buf, VU_BACKEND_VRING_CALL, 0, 8);
}

size_t vu_backend_config_change(uint8_t *buf)
{
	return header(buf, VU_BACKEND_CONFIG_CHANGE, 0, 0);
}
