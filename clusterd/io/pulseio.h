/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The UDP socket for datagrams between clusterds, beside Corosync. A datagram goes to every address that Corosync's node list has for a
 * host, and to the address that it was last heard from. A thread resolves names, so nothing here waits. Loop thread.
 */
#ifndef HOSPES_CLUSTERD_IO_PULSEIO_H
#define HOSPES_CLUSTERD_IO_PULSEIO_H

#include <netinet/in.h>
#include "clusterd/io/cpg.h"

struct pulseio;

struct pulseio_ops {
	void (*received)(void *arg, const void *p, size_t len, const struct sockaddr_in6 *from); /* borrowed; IPv4 as a mapped address */
	void (*batch_end)(void *arg);
};

/* @ops is borrowed. NULL with a text: no socket on that port. */
struct pulseio *pulseio_new(struct loop *loop, uint16_t port, const struct pulseio_ops *ops, void *arg,
                            struct err *err);
void pulseio_free(struct pulseio *p); /* takes NULL */
/* The hosts to send to. Their places, below, are those in the node list of @c. */
void pulseio_peers(struct pulseio *p, const struct cpg_config *c);
void pulseio_learn(struct pulseio *p, uint32_t place, const struct sockaddr_in6 *from);
void pulseio_send(struct pulseio *p, uint32_t place, const void *octets, size_t len); /* never waits; what cannot be sent is lost */

#endif
