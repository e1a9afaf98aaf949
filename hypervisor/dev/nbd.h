/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD's messages as octets, the server's side, as far as QEMU's client needs it: parses the client's, encodes the server's. Pure: sockets
 * and disks are in nblk.c. The subset, and the reasons for it: docs/wire/nbd.md.
 */
#ifndef HOSPES_HYPERVISOR_DEV_NBD_H
#define HOSPES_HYPERVISOR_DEV_NBD_H

#include <stddef.h>
#include <stdint.h>
#include "common/cleanup.h"

#define NBD_OPTION_MAX    1024u /* octets of an option's data that are accepted */
#define NBD_OPTION_BYTES  16u   /* its header */
#define NBD_REQUEST_BYTES 28u
#define NBD_REPLY_BYTES   16u
#define NBD_ANSWER_MAX    128u /* room for what any encoder below writes */

#define NBD_GREETING_FLAGS 3u /* FIXED_NEWSTYLE, NO_ZEROES: of both sides */

enum nbd_option { NBD_OPT_ABORT = 2, NBD_OPT_INFO = 6, NBD_OPT_GO = 7 };
enum nbd_option_reply { NBD_REP_ACK = 1, NBD_REP_INFO = 3 };
#define NBD_REP_ERR_UNSUP   (0x80000000u + 1)
#define NBD_REP_ERR_INVALID (0x80000000u + 3)
#define NBD_REP_ERR_UNKNOWN (0x80000000u + 6)

enum nbd_cmd { NBD_READ = 0, NBD_WRITE = 1, NBD_DISC = 2, NBD_FLUSH = 3, NBD_TRIM = 4, NBD_WRITE_ZEROES = 6 };
#define NBD_CMD_FUA     1u
#define NBD_CMD_NO_HOLE 2u

/* Of an export. */
#define NBD_FLAG_HAS_FLAGS    1u
#define NBD_FLAG_READ_ONLY    2u
#define NBD_FLAG_FLUSH        4u
#define NBD_FLAG_FUA          8u
#define NBD_FLAG_TRIM         32u
#define NBD_FLAG_WRITE_ZEROES 64u

/* Errors on the wire. To QEMU, ENOSPC means more than it says: see nblk.c. */
enum nbd_error { NBD_OK = 0, NBD_EIO = 5, NBD_EINVAL = 22, NBD_ENOSPC = 28, NBD_EPERM = 1, NBD_ESHUTDOWN = 108 };

struct nbd_option_msg {
	uint32_t option;
	uint32_t len;
	const uint8_t *data; /* borrowed from the input */
};
struct nbd_request {
	uint16_t flags, cmd;
	uint64_t cookie, offset;
	uint32_t bytes;
};
struct nbd_export {
	uint64_t bytes;
	uint16_t flags;
	uint32_t block_min, block_preferred, block_max;
};

/*
 * Parse the message at the beginning of @len octets. Returns its length in octets (of a request: without what is to be written); 0: more
 * octets are needed; -EPROTO: it is no valid message, and *ret_why (static text) says why.
 */
int nbd_parse_flags(const uint8_t *p, size_t len, const char **ret_why) _must_check_;
int nbd_parse_option(const uint8_t *p, size_t len, struct nbd_option_msg *ret, const char **ret_why) _must_check_;
int nbd_parse_request(const uint8_t *p, size_t len, struct nbd_request *ret, const char **ret_why) _must_check_;
/* The data of INFO and GO: 0, or what to answer (NBD_REP_ERR_*). The only export is "". */
uint32_t nbd_check_go(const struct nbd_option_msg *m);

/* Encoders: write to @buf, which has room for NBD_ANSWER_MAX octets, and return the octets written. */
size_t nbd_greeting(uint8_t *buf);
size_t nbd_option_reply(uint8_t *buf, uint32_t option, uint32_t type);
/* All that INFO and GO are answered with. */
size_t nbd_export_info(uint8_t *buf, uint32_t option, const struct nbd_export *e);
size_t nbd_reply(uint8_t *buf, uint64_t cookie, enum nbd_error error);

#endif
