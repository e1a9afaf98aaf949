/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-user messages as octets: parses the driver's, encodes the device's. Pure: sockets and state are in vudev.c.
 * The subset, and the reasons for it: docs/wire/vhost-user.md.
 */
#ifndef HOSPES_HYPERVISOR_DEV_VHOST_USER_H
#define HOSPES_HYPERVISOR_DEV_VHOST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"

#define VU_HEADER_BYTES 12u
#define VU_PAYLOAD_MAX  512u /* octets that are accepted; a memory table of 8 regions needs 264 */
#define VU_MSG_MAX      (VU_HEADER_BYTES + VU_PAYLOAD_MAX)
#define VU_CONFIG_MAX   256u
#define VU_REGIONS_MAX  8u
#define VU_FDS_MAX      8u

#define VU_FLAG_VERSION      1u
#define VU_FLAG_VERSION_MASK 3u
#define VU_FLAG_REPLY        4u

#define VU_F_LOG_ALL               (1ull << 26) /* vhost's own: not the guest's */
#define VU_F_PROTOCOL_FEATURES     (1ull << 30)
#define VU_VRING_NOFD              0x100u /* in the u64 of SET_VRING_KICK, _CALL, _ERR, whose lowest octet is the queue */
#define VU_PF_MQ                   (1ull << 0)
#define VU_PF_LOG_SHMFD            (1ull << 1)
#define VU_PF_REPLY_ACK            (1ull << 3) /* never offered */
#define VU_PF_BACKEND_REQ          (1ull << 5)
#define VU_PF_CONFIG               (1ull << 9)
#define VU_PF_INBAND_NOTIFICATIONS (1ull << 14)
#define VU_PF_OFFERED              (VU_PF_MQ | VU_PF_BACKEND_REQ | VU_PF_CONFIG | VU_PF_INBAND_NOTIFICATIONS)
#define VU_PF_NEEDED               (VU_PF_BACKEND_REQ | VU_PF_CONFIG | VU_PF_INBAND_NOTIFICATIONS)

enum vu_req {
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_LOG_BASE = 6,
	VU_SET_LOG_FD = 7,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SEND_RARP = 19,
	VU_NET_SET_MTU = 20,
	VU_SET_BACKEND_REQ_FD = 21,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_VRING_KICK = 35,
};
enum vu_backend_req { VU_BACKEND_CONFIG_CHANGE = 2, VU_BACKEND_VRING_CALL = 4 };

struct vu_region { /* of a memory table, as it is on the wire */
	uint64_t guest_addr, bytes, user_addr, mmap_offset;
};

struct vu_msg {
	uint32_t req;   /* enum vu_req; checked */
	bool takes_fds; /* the descriptors that were received belong to this message */
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct {
			uint32_t index;
			uint64_t desc, used, avail;
		} addr;
		struct {
			uint32_t n;
			struct vu_region region[VU_REGIONS_MAX];
		} mem;
		struct {
			uint32_t offset, bytes, flags;
			const uint8_t *data;
		} config; /* data: borrowed from the input */
	};
};

/*
 * Parse the first of @len octets' messages. Returns its length in octets; 0: more octets are needed; -EPROTO: it is no valid message, and
 * *ret_why (static text) says why. What depends on the device (indices, ranges) is not checked here.
 */
int vu_parse(const uint8_t *p, size_t len, struct vu_msg *ret, const char **ret_why) _must_check_;

/* Encoders: write to @buf, which has room for VU_MSG_MAX octets, and return the octets written. */
size_t vu_reply_u64(uint8_t *buf, uint32_t req, uint64_t v);
size_t vu_reply_state(uint8_t *buf, uint32_t req, uint32_t index, uint32_t num);
/* @bytes octets of the config (@n octets at @config) from @offset on, zeros beyond its end: the driver wants all that it asked for. */
size_t vu_reply_config(uint8_t *buf, uint32_t offset, uint32_t bytes, const uint8_t *config, size_t n);
size_t vu_backend_call(uint8_t *buf, uint32_t index);
size_t vu_backend_config_change(uint8_t *buf);

#endif
