/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the two dialects of vhost-user (docs/wire/vhost-user.md): vudev.c has the connection and speaks with virtio_uml, vuqemu.c
 * speaks with QEMU. Threading: the io thread.
 */
#ifndef HOSPES_HYPERVISOR_DEV_VUDEV_INT_H
#define HOSPES_HYPERVISOR_DEV_VUDEV_INT_H

#include <stdatomic.h>
#include "hypervisor/dev/vdev_int.h"
#include "hypervisor/dev/vhost_user.h"

/* The eventfds of a ring, received from QEMU; unused by the other dialect. */
struct vu_ring {
	int kick, call; /* owned, -1: none */
	struct loop_fd *kick_src;
	bool enabled;   /* by SET_VRING_ENABLE; it runs once it has a kick, too */
};

struct vu_conn {
	const struct vu_dialect *dialect;
	int listen_fd, sock, req; /* owned, -1: none */
	struct loop_fd *listen_src, *sock_src, *req_src;
	uint64_t proto;              /* protocol features that the driver chose */
	atomic_bool attached, wired; /* read by the main thread */
	uint8_t in[4096];            /* octets of requests that are not complete yet */
	size_t in_len;
	uint8_t out[VU_MSG_MAX]; /* rest of a reply that the socket did not take */
	size_t out_len;
	int fds[VU_FDS_MAX]; /* descriptors of the message being read, owned */
	size_t n_fds;
	uint32_t call_pending; /* queues whose call met EAGAIN */
	bool config_pending;   /* the same for a config change */
	uint32_t n_regions;    /* of the driver's memory table, 0: it sent none */
	struct vu_region region[VU_REGIONS_MAX];
	/* QEMU's dialect */
	struct vu_ring ring[VDEV_QUEUES_MAX];
	bool driver; /* QEMU has set the features: there is a driver in the guest */
};

/* What differs between the dialects. Every op is set. */
struct vu_dialect {
	uint64_t offered, needed; /* protocol features */
	const char *lacks;        /* static text: a needed one is missing, or one was not offered */
	/* Carry out a message of the dialect's own: 0, or -errno with *why (static text). 1: the message is common to both. */
	int (*dispatch)(struct vdev *v, const struct vu_msg *m, const char **why);
	/* What is wrong with the memory table in @v->port, static text; NULL: nothing. */
	const char *(*table_wrong)(const struct vdev *v);
	int (*watch)(struct vdev *v, bool on);
	void (*hang_up)(struct vdev *v);
	bool (*has_driver)(const struct vdev *v); /* the device has a driver, by this connection, and is reset when that ends */
	bool patient; /* listens while quiesced, too, except to kicks */
};

int vu_conn_open(struct vdev *v, const struct vu_dialect *dialect, struct err *err) _must_check_;
/* As the ops of a transport. */
void vu_conn_close(struct vdev *v);
void vu_conn_free(struct vdev *v);
int vu_conn_watch(struct vdev *v, bool on);
void vu_conn_drain(struct vdev *v);
void vu_config_changed(struct vdev *v);
uint64_t vu_conn_save(const struct vdev *v, struct buf *out);
int vu_conn_load(struct vdev *v, uint64_t proto, const void *in, size_t len, bool commit, struct err *err) _must_check_;
void vu_conn_look(const struct vdev *v, char *buf, size_t len);
/* Answer the driver. */
int vu_reply(struct vdev *v, const uint8_t *msg, size_t len);
/* Check the features that the driver chose and take them over. -EPROTO with *why */
int vu_set_features(struct vdev *v, uint64_t features, const char **why) _must_check_;

#endif
