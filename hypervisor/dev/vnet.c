/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio net (virtio 1.2, 5.1) on a tap: one pair of queues, checksum and segmentation offloads, merged receive buffers. Frames
 * go between the tap and guest memory without a copy of ours.
 *
 * Receiving: chains are taken ahead into a window of buffers, so that a frame of any size is one readv(); stop gives the unused
 * ones back. While the window is too small for the largest frame the tap is not polled.
 * What is not about rings is nic.c's.
 * Threading: the io thread.
 */
#include "config.h"
#include "hypervisor/dev/nic_int.h"

#include <endian.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define F_CSUM       (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU        (1ull << 3)
#define F_MAC        (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_GUEST_TSO6 (1ull << 8)
#define F_GUEST_ECN  (1ull << 9)
#define F_HOST_TSO4  (1ull << 11)
#define F_HOST_TSO6  (1ull << 12)
#define F_HOST_ECN   (1ull << 13)
#define F_MRG_RXBUF  (1ull << 15)
#define F_STATUS     (1ull << 16)

#define RX     0u
#define TX     1u
#define WINDOW 128u /* receive buffers taken ahead: enough for 64 KiB in pieces of 600 octets */

struct config_space { /* virtio 1.2, 5.1.4 */
	uint8_t mac[6];
	uint16_t status, max_pairs, mtu;
} __attribute__((packed));
_Static_assert(sizeof(struct config_space) == 12, "virtio 1.2, 5.1.4");

struct vnet {
	struct nic n; /* first */
	struct loop_fd *tap_src;
	bool polled;
	struct iovec win[WINDOW]; /* buffers taken from the RX queue in order; the first n_win are valid */
	uint16_t head[WINDOW];
	unsigned n_win;
	uint64_t win_bytes;
	struct vq_elem e;
};

static void tap_poll(struct vnet *n, bool on)
{
	if (n->tap_src && n->polled != on) {
		loop_mod_fd(n->tap_src, on ? EPOLLIN : 0);
		n->polled = on;
	}
}

/* Guest to host ------------------------------------------------------------------------------------------------------- */

static void tx_run(struct vnet *n)
{
	struct vdev *v = &n->n.v;
	struct vq *q = &v->vq[TX];
	uint64_t bytes = 0;
	int frames;
	bool mute = nic_is_mute(&n->n);

	for (frames = 0; frames < NIC_FRAMES && bytes < NIC_TURN_BYTES; frames++) {
		if (vq_pop(q, &n->e) <= 0)
			break;
		uint8_t start[TAP_HDR_BYTES + 14 + 28];
		size_t got = vq_copy_from(n->e.iov, n->e.n_out, 0, start, sizeof(start));
		if (got > TAP_HDR_BYTES)
			nic_seen(&n->n, start + TAP_HDR_BYTES, got - TAP_HDR_BYTES);
		ssize_t r = -1;
		if (!mute && n->e.out_bytes > TAP_HDR_BYTES && n->e.out_bytes <= NIC_FRAME_MAX)
			r = writev(n->n.tap, n->e.iov, n->e.n_out);
		if (r > 0) {
			nic_count_out(&n->n, (uint64_t)r - TAP_HDR_BYTES);
			bytes += (uint64_t)r;
		} else {
			v->st.drops++;
		}
		vq_push(q, n->e.head, 0);
	}
	vdev_flush(v, TX);
	if (frames == NIC_FRAMES || bytes >= NIC_TURN_BYTES)
		vdev_again(v, TX);
}

/* Host to guest ------------------------------------------------------------------------------------------------------- */

static bool has(const struct vnet *n, uint64_t f)
{
	return n->n.v.features & f;
}

/* Octets that the largest frame needs. */
static uint64_t frame_room(const struct vnet *n)
{
	unsigned mtu = n->n.cfg.mtu ? n->n.cfg.mtu : 1500;

	return has(n, F_GUEST_TSO4 | F_GUEST_TSO6) ? NIC_FRAME_MAX : mtu + 14u + 4 + TAP_HDR_BYTES;
}

/* Take buffers until the window holds the largest frame. False: the guest has not given enough. */
static bool window_fill(struct vnet *n)
{
	struct vq *q = &n->n.v.vq[RX];

	while (n->win_bytes < frame_room(n) && n->n_win < WINDOW) {
		if (vq_pop(q, &n->e) <= 0)
			return false;
		/* a merged buffer of several segments cannot be used piecewise: its first one is enough, drivers give one */
		if (n->e.n_out || n->e.n_in != 1 || n->e.in_bytes < TAP_HDR_BYTES) {
			q->broken = "a receive buffer is not one writable segment";
			return false;
		}
		n->win[n->n_win] = n->e.iov[0];
		n->head[n->n_win++] = n->e.head;
		n->win_bytes += n->e.in_bytes;
	}
	return true;
}

static void window_drop(struct vnet *n)
{
	vq_unpop(&n->n.v.vq[RX], (uint16_t)n->n_win);
	n->n_win = 0;
	n->win_bytes = 0;
}

/* Hand @bytes in the first buffers of the window to the guest. */
static void window_use(struct vnet *n, uint64_t bytes)
{
	struct vq *q = &n->n.v.vq[RX];
	unsigned k = 0;
	uint64_t left = bytes;
	uint16_t num = 0;

	for (uint64_t room = 0; room < bytes; num++)
		room += n->win[num].iov_len;
	/* virtio 1.2, 5.1.6.4: how many buffers this frame has, at offset 10 of the header */
	uint16_t le = htole16(num);
	vq_copy_to(q, n->win, 1, 10, &le, sizeof(le));
	for (; k < num; k++) {
		uint64_t len = n->win[k].iov_len < left ? n->win[k].iov_len : left;
		vq_mark(q, &n->win[k], 1, len);
		vq_push(q, n->head[k], (uint32_t)len);
		left -= len;
		n->win_bytes -= n->win[k].iov_len;
	}
	n->n_win -= k;
	memmove(n->win, n->win + k, n->n_win * sizeof(n->win[0]));
	memmove(n->head, n->head + k, n->n_win * sizeof(n->head[0]));
}

/* One frame into merged buffers: 1, 0 when the tap is empty, -1 when the guest has no room. */
static int rx_merged(struct vnet *n, uint64_t *bytes)
{
	if (!window_fill(n))
		return -1;
	ssize_t r = readv(n->n.tap, n->win, (int)n->n_win);
	if (r <= 0) {
		if (r < 0 && errno == EAGAIN)
			return 0;
		n->n.v.st.drops++;
		return r < 0 && (errno == EINTR || errno == EFAULT || errno == EINVAL) ? 1 : 0;
	}
	window_use(n, (uint64_t)r);
	*bytes += (uint64_t)r;
	return 1;
}

/* The same for a driver without merged buffers: one chain per frame. */
static int rx_single(struct vnet *n, uint64_t *bytes)
{
	struct vq *q = &n->n.v.vq[RX];

	if (vq_pop(q, &n->e) <= 0)
		return -1;
	struct iovec *iov = n->e.iov + n->e.n_out;
	if (n->e.in_bytes < TAP_HDR_BYTES) {
		q->broken = "a receive buffer is shorter than its header";
		return -1;
	}
	ssize_t r = readv(n->n.tap, iov, n->e.n_in);
	if (r <= 0) {
		vq_unpop(q, 1);
		if (r < 0 && errno == EAGAIN)
			return 0;
		n->n.v.st.drops++;
		return r < 0 && (errno == EINTR || errno == EFAULT || errno == EINVAL) ? 1 : 0;
	}
	uint16_t one = htole16(1);
	vq_copy_to(q, iov, n->e.n_in, 10, &one, sizeof(one));
	vq_mark(q, iov, n->e.n_in, (uint64_t)r);
	vq_push(q, n->e.head, (uint32_t)r);
	*bytes += (uint64_t)r;
	return 1;
}

static void rx_run(struct vnet *n)
{
	struct vdev *v = &n->n.v;
	bool merged = has(n, F_MRG_RXBUF);
	uint64_t bytes = 0;
	int state = 1;

	for (int frames = 0; frames < NIC_FRAMES && bytes < NIC_TURN_BYTES && state > 0; frames++) {
		uint64_t before = bytes;
		state = merged ? rx_merged(n, &bytes) : rx_single(n, &bytes);
		if (bytes > before)
			nic_count_in(&n->n, bytes - before - TAP_HDR_BYTES);
	}
	vdev_flush(v, RX);
	/* without room frames wait in the tap; the driver's kick for new buffers starts us again */
	tap_poll(n, state >= 0);
}

static void on_tap(void *arg, int fd, uint32_t events)
{
	struct vnet *n = arg;
	(void)fd;

	if (events & EPOLLERR) {
		/* the interface was deleted under us */
		vdev_break(&n->n.v, "its tap interface is gone");
		return;
	}
	if (!vq_ready(&n->n.v.vq[RX])) {
		tap_poll(n, false);
		return;
	}
	vdev_again(&n->n.v, RX);
	vdev_run_pending(&n->n.v);
}

/* Ops ----------------------------------------------------------------------------------------------------------------- */

static void vnet_run(struct vdev *v, unsigned q)
{
	if (q == TX)
		tx_run((struct vnet *)v);
	else
		rx_run((struct vnet *)v);
}

static void vnet_start(struct vdev *v)
{
	struct vnet *n = (struct vnet *)v;

	if (!n->tap_src) {
		n->polled = false;
		n->tap_src = loop_add_fd(v->devs->loop, n->n.tap, 0, on_tap, n);
		if (!n->tap_src) {
			vdev_break(v, "out of memory");
			return;
		}
	}
	if (vq_ready(&v->vq[RX]))
		vdev_again(v, RX);
}

static void vnet_stop(struct vdev *v)
{
	struct vnet *n = (struct vnet *)v;

	loop_del_fd(n->tap_src);
	n->tap_src = NULL;
	window_drop(n);
}

static void vnet_acked(struct vdev *v)
{
	struct vnet *n = (struct vnet *)v;
	unsigned f = 0;

	if (has(n, F_GUEST_CSUM)) {
		f |= TUN_F_CSUM;
		f |= has(n, F_GUEST_TSO4) ? TUN_F_TSO4 : 0;
		f |= has(n, F_GUEST_TSO6) ? TUN_F_TSO6 : 0;
		f |= has(n, F_GUEST_ECN) && (f & (TUN_F_TSO4 | TUN_F_TSO6)) ? TUN_F_TSO_ECN : 0;
	}
	if (n->n.tap >= 0 && tap_offload(n->n.tap, f) < 0)
		v->st.errors++;
}

static void vnet_free(struct vdev *v)
{
	struct vnet *n = (struct vnet *)v;

	loop_del_fd(n->tap_src);
	nic_close(&n->n);
	free(n);
}

static const struct vdev_net_ops vnet_net = { .announce = nic_announce, .hand_over = nic_hand_over };

static const struct vdev_ops vnet_ops = {
	.virtio_id = 1,
	.acked = vnet_acked,
	.start = vnet_start,
	.stop = vnet_stop,
	.run = vnet_run,
	.config_set = nic_config_set,
	.reset = nic_no_offloads,
	.save = nic_save,
	.load = nic_load,
	.free = vnet_free,
	.net = &vnet_net,
};

int vnet_new(struct devs *d, const struct dom_nic *cfg, struct devs_files *files, struct vdev **ret, struct err *err)
{
	struct vnet *n = calloc(1, sizeof(*n));
	char name[16];

	if (!n)
		return err_sys(err, ENOMEM, "NIC %s", cfg->target);
	int r = nic_open(&n->n, cfg, files, name, err);
	if (r < 0) {
		vnet_free(&n->n.v);
		return r;
	}
	uint64_t f = F_CSUM | F_GUEST_CSUM | F_MAC | F_GUEST_TSO4 | F_GUEST_TSO6 | F_GUEST_ECN | F_HOST_TSO4 |
	             F_HOST_TSO6 | F_HOST_ECN | F_MRG_RXBUF | F_STATUS;
	if (cfg->mtu)
		f |= F_MTU;
	vdev_setup(&n->n.v, d, &vnet_ops, name, 2, f);
	struct config_space c = { .status = htole16(1), .max_pairs = htole16(1), .mtu = htole16(cfg->mtu) };
	memcpy(c.mac, cfg->mac, 6);
	memcpy(n->n.v.config, &c, sizeof(c));
	n->n.v.config_len = sizeof(c);
	*ret = &n->n.v;
	return 0;
}
