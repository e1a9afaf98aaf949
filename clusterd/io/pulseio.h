/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A UDP socket for datagrams between clusterds, beside Corosync. Sends to every address that Corosync's node list has for a
 * host, and to the
 * one that it was heard from last. Names are resolved in a thread of their own: nothing here waits. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_PULSEIO_H
#define HOSPES_CLUSTERD_IO_PULSEIO_H

#include <netinet/in.h>
#include "clusterd/io/cpg.h"

struct pulseio;

struct pulseio_ops {
	void (*received)(void *arg, const void *p, size_t len,
	             const struct sockaddr_in6 *from); /* IPv4 as a mapped address */
	void (*batch_end)(void *arg);
};

/* NULL: no such socket, with a text. */
struct pulseio *pulseio_new(struct loop *loop, uint16_t port, const struct pulseio_ops *ops, void *arg,
                            struct err *err);
void pulseio_free(struct pulseio *p); /* takes NULL */
/* Whom to send to: places are those of @c's list. */
void pulseio_peers(struct pulseio *p, const struct cpg_config *c);
void pulseio_learn(struct pulseio *p, uint32_t place, const struct sockaddr_in6 *from);
void pulseio_send(struct pulseio *p, uint32_t place, const void *octets, size_t len); /* what does not go now is lost */

#endif
