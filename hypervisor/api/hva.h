/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An asynchronous hypercall client for event loops. Many calls may be under way on one connection; hvdom answers them
 * in order. The blocking client (hypervisor/api/hvcall.h) makes the connection and the first calls, then hands its
 * descriptor over to this one.
 */
#ifndef HOSPES_HYPERVISOR_HVA_H
#define HOSPES_HYPERVISOR_HVA_H

#include <stdbool.h>
#include <stddef.h>
#include "common/err.h"
#include "common/loop.h"
#include "hypervisor/api/hypercall.h"

struct hva;

struct hva_ops {
	/* An answer. @status: 0, or -errno with @text. Descriptors in @fds that are not set to -1 are closed after return. */
	void (*reply)(void *arg, uint16_t op, int status, const void *payload, size_t len, int *fds, size_t n_fds,
	              const char *text);
	void (*event)(void *arg, const struct hv_event *ev);
	/* The connection ended; no further callback comes. @unread: hvdom died before it read the last request. */
	void (*lost)(void *arg, bool unread);
};

/* @fd: connected SEQPACKET socket, owned from now on (also on failure). */
struct hva *hva_new(struct loop *loop, int fd, const struct hva_ops *ops, void *arg, struct err *err);
/* Close the connection; hvdom then ends the connection's session. Takes NULL; may be called from a callback. */
void hva_free(struct hva *h);
/* Queue one call. False: the connection is gone, and lost() was or will be called. */
bool hva_call(struct hva *h, uint16_t op, const void *req, size_t len, int fd);
unsigned hva_pending(const struct hva *h); /* calls not yet answered */

#endif
