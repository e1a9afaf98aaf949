/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a state of QEMU's need not carry: pages of the firmware's code that the QEMU which reads it has read from its own loader already.
 * docs/wire/qemustate.md. Used by qemu.c. Pure.
 */
#ifndef HOSPES_QEMU_QSTATE_H
#define HOSPES_QEMU_QSTATE_H

#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"

/* The name of firmware @p of @len octets: equal for equal content, never two zeros. */
void qstate_base(const void *p, size_t len, uint64_t ret[2]);

/* A block of QEMU's memory, and what the reader's QEMU has in it before it reads the state; borrowed. */
struct qstate_known {
	const char *block;
	const uint8_t *p;
	size_t len; /* a multiple of 4096 */
};

/*
 * Append QEMU's migration stream of @len octets at @in (hostile) to @out, without the pages of @known's block that are as @known has them.
 * Any other QEMU makes the same memory of it. Returns their number. -EPROTO: the stream is not of the form that is understood, or
 * -ENOMEM; @out is as it was then, but for octets behind its length.
 */
long qstate_leave(const void *in, size_t len, const struct qstate_known *known, struct buf *out);

#endif
