/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The descriptors of K: see dump.h. */
#ifndef HOSPES_PV_DUMPFD_H
#define HOSPES_PV_DUMPFD_H

#include "hypervisor/pv/dump.h"

/* Fill im->fd, im->ep and im->ep_fd. -ENOTSUP: K has a descriptor that c->fds does not know. */
int pv_dump_fds(const struct pv_dump_ctx *c, pid_t k, struct pv_image *im, struct err *err) _must_check_;

#endif
