/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A NIC whose card is QEMU's: frames between its socket and the tap; see enic.h, ADR 96. Guest memory is QEMU's business here.
 *
 * Each frame is copied through a buffer of ours, and a turn is bounded in frames and octets, so a QEMU that floods takes its share and no more.
 * One that reads nothing has at most a socket's buffer and one frame; the rest waits in the tap, where the kernel drops what is too much.
 * At a stop QEMU's frames are all sent, since its guest takes them for sent. Those for the guest that QEMU has not read stay in the socket: it
 * reads them when it goes on, or they go back to the network when the guest has moved. Threading: the io thread.
 */
#include "config.h"
#include "hypervisor/dev/enic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hypervisor/dev/nic_int.h"

#define FRAME_MIN    60u   /* what a wire pads frames to; cards drop shorter ones */
#define DRAIN_FRAMES 1024u /* more than a socket's buffer holds */
#define FRAME_ROOM   (NIC_FRAME_MAX - TAP_HDR_BYTES)

struct enic {
	struct nic n;     /* first */
	int sock, theirs; /* owned, -1: none */
	struct loop_fd *tap_src, *sock_src;
	size_t held; /* octets of the frame in in[] for which QEMU has no room yet, 0: none */
	uint8_t in[NIC_FRAME_MAX], out[NIC_FRAME_MAX]; /* for the guest, from it; each behind a tap's header */
};

static struct enic *enic_of(const struct vdev *v)
{
	return (struct enic *)v;
}

/* Host to guest ------------------------------------------------------------------------------------------------------- */

static void watch_both(struct enic *e)
{
	if (e->tap_src)
		loop_mod_fd(e->tap_src, e->held ? 0 : EPOLLIN);
	if (e->sock_src)
		loop_mod_fd(e->sock_src, EPOLLIN | (e->held ? EPOLLOUT : 0u));
}

/* Give QEMU the frame that is held. False: it has no room. */
static bool give(struct enic *e)
{
	ssize_t r = send(e->sock, e->in + TAP_HDR_BYTES, e->held, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (r < 0)
		e->n.v.st.drops++;
	else
		nic_count_in(&e->n, e->held);
	e->held = 0;
	return true;
}

/* Take a frame from the tap. False: there is none. */
static bool take(struct enic *e)
{
	ssize_t r = read(e->n.tap, e->in, sizeof(e->in));

	if (r < 0)
		return false;
	if ((size_t)r < TAP_HDR_BYTES + NIC_HEAD) {
		e->n.v.st.drops++;
		return r > 0;
	}
	e->held = (size_t)r - TAP_HDR_BYTES;
	if (e->held < FRAME_MIN) {
		memset(e->in + r, 0, FRAME_MIN - e->held);
		e->held = FRAME_MIN;
	}
	return true;
}

static void rx_run(struct enic *e)
{
	bool was = e->held;
	size_t bytes = 0;

	for (int i = 0; i < NIC_FRAMES && bytes < NIC_TURN_BYTES; i++) {
		if (!e->held && !take(e))
			break;
		bytes += e->held;
		if (e->held && !give(e))
			break;
	}
	if (was != (e->held > 0))
		watch_both(e);
}

/* Guest to host ------------------------------------------------------------------------------------------------------- */

/* Send one frame of QEMU's. False: there is none. */
static bool tx_one(struct enic *e, size_t *bytes)
{
	ssize_t r = recv(e->sock, e->out + TAP_HDR_BYTES, FRAME_ROOM, MSG_DONTWAIT | MSG_TRUNC);

	if (r < 0)
		return false;
	size_t len = (size_t)r;
	*bytes += len;
	if (len < NIC_HEAD || len > FRAME_ROOM || nic_is_mute(&e->n)) {
		e->n.v.st.drops++;
		return true;
	}
	nic_seen(&e->n, e->out + TAP_HDR_BYTES, len);
	memset(e->out, 0, TAP_HDR_BYTES); /* nothing is left to the kernel */
	if (write(e->n.tap, e->out, TAP_HDR_BYTES + len) > 0)
		nic_count_out(&e->n, len);
	else
		e->n.v.st.drops++;
	return true;
}

static void tx_run(struct enic *e, unsigned frames)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < frames && bytes < (size_t)frames * (NIC_TURN_BYTES / NIC_FRAMES); i++)
		if (!tx_one(e, &bytes))
			return;
}

static void on_sock(void *arg, int fd, uint32_t events)
{
	struct enic *e = arg;
	(void)fd;

	if (events & EPOLLOUT)
		rx_run(e);
	if (events & (EPOLLIN | EPOLLERR))
		tx_run(e, NIC_FRAMES);
}

static void on_tap(void *arg, int fd, uint32_t events)
{
	struct enic *e = arg;
	(void)fd;

	if (events & EPOLLERR)
		vdev_break(&e->n.v, "its tap interface is gone");
	else
		rx_run(e);
}

/* Ops ----------------------------------------------------------------------------------------------------------------- */

static void enic_stop(struct vdev *v)
{
	struct enic *e = enic_of(v);

	loop_del_fd(e->tap_src);
	loop_del_fd(e->sock_src);
	e->tap_src = e->sock_src = NULL;
}

static void enic_start(struct vdev *v)
{
	struct enic *e = enic_of(v);

	if (e->tap_src)
		return;
	e->tap_src = loop_add_fd(v->devs->loop, e->n.tap, EPOLLIN, on_tap, e);
	e->sock_src = loop_add_fd(v->devs->loop, e->sock, EPOLLIN, on_sock, e);
	if (e->tap_src && e->sock_src)
		watch_both(e);
	else
		vdev_break(v, "out of memory");
}

static void enic_acked(struct vdev *v)
{
	(void)v; /* the tap has no offloads from its start */
}
static void enic_run(struct vdev *v, unsigned q)
{
	(void)v, (void)q;
}

static void hang_up(struct enic *e)
{
	vdev_stop(&e->n.v);
	if (e->sock >= 0)
		close(e->sock);
	if (e->theirs >= 0)
		close(e->theirs);
	e->sock = e->theirs = -1;
	e->held = 0;
}

static void enic_free(struct vdev *v)
{
	hang_up(enic_of(v));
	nic_close(&enic_of(v)->n);
	free(v);
}

static void enic_hand_over(struct vdev *v)
{
	struct enic *e = enic_of(v);
	ssize_t r;

	/* in their order; the one that is held is the tap's last */
	for (unsigned i = 0; i < DRAIN_FRAMES && e->theirs >= 0; i++) {
		r = recv(e->theirs, e->out + TAP_HDR_BYTES, FRAME_ROOM, MSG_DONTWAIT);
		if (r < 0)
			break;
		memset(e->out, 0, TAP_HDR_BYTES);
		nic_return(&e->n, e->out, TAP_HDR_BYTES + (size_t)r);
	}
	if (e->held)
		nic_return(&e->n, e->in, TAP_HDR_BYTES + e->held);
	e->held = 0;
	nic_hand_over(v);
}

static const struct vdev_net_ops enic_net = { .announce = nic_announce, .hand_over = enic_hand_over };

static const struct vdev_ops enic_ops = {
	.virtio_id = 1, /* a NIC, to all who ask */
	.acked = enic_acked,
	.start = enic_start,
	.stop = enic_stop,
	.run = enic_run,
	.config_set = nic_config_set,
	.reset = nic_no_offloads,
	.save = nic_save,
	.load = nic_load,
	.free = enic_free,
	.net = &enic_net,
};

/* Its transport: there are no rings -------------------------------------------------------------------------------------- */

static int port_open(struct vdev *v, struct err *err)
{
	(void)v, (void)err;
	return 0;
}
static void port_free(struct vdev *v)
{
	hang_up(enic_of(v));
}
static void port_close(struct vdev *v)
{
	(void)v; /* QEMU is there before a state, and stays over it */
}
/* A QEMU that waits for a state is no driver yet: where a guest is to come, devices were never resumed. */
static bool port_connected(const struct vdev *v)
{
	return enic_of(v)->sock >= 0 && v->devs->quiesce_gen;
}
static int port_watch(struct vdev *v, bool on)
{
	(void)v, (void)on; /* the device does it itself */
	return 0;
}
static void port_drain(struct vdev *v)
{
	if (v->running)
		tx_run(enic_of(v), DRAIN_FRAMES);
}
static void port_call(struct vdev *v, unsigned q)
{
	(void)v, (void)q;
}
static void port_config_changed(struct vdev *v)
{
	(void)v;
}
static uint64_t port_save(const struct vdev *v, struct buf *out)
{
	(void)v, (void)out;
	return 0;
}
static int port_load(struct vdev *v, uint64_t word, const void *p, size_t len, bool commit, struct err *err)
{
	(void)p, (void)commit;
	return word || len ? err_set(err, EINVAL, "saved state of device %s: not one of such a card's", v->name) : 0;
}
static void port_look(const struct vdev *v, char *buf, size_t len)
{
	snprintf(buf, len, "%s", enic_of(v)->held ? "QEMU has no room for frames" : "");
}

static const struct vdev_transport_ops enic_transport = {
	.open = port_open,
	.free = port_free,
	.close = port_close,
	.connected = port_connected,
	.watch = port_watch,
	.drain = port_drain,
	.call = port_call,
	.config_changed = port_config_changed,
	.save = port_save,
	.load = port_load,
	.look = port_look,
};

/* Connection ---------------------------------------------------------------------------------------------------------- */

int enic_pair(int ret[2], struct err *err)
{
	return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret) < 0
	               ? err_sys(err, errno, "cannot make a NIC's sockets")
	               : 0;
}

struct ends {
	size_t i;
	int ours, theirs; /* -1: the device has it */
};

static int do_connect(struct devs *d, void *arg, struct err *err)
{
	struct ends *p = arg;
	struct vdev *v = p->i < d->n && d->v[p->i]->ops == &enic_ops ? d->v[p->i] : NULL;

	if (!v)
		return err_set(err, EINVAL, "there is no such NIC %zu", p->i);
	hang_up(enic_of(v));
	enic_of(v)->sock = steal_fd(&p->ours);
	enic_of(v)->theirs = steal_fd(&p->theirs);
	vdev_start(v);
	return 0;
}

int enic_connect(struct devs *d, size_t i, int ours, int theirs, struct err *err)
{
	struct ends p = { i, ours, theirs };
	int r = devs_call(d, do_connect, &p, err);

	if (p.ours >= 0)
		close(p.ours);
	if (p.theirs >= 0)
		close(p.theirs);
	return r;
}

int enic_new(struct devs *d, const struct dom_nic *cfg, struct devs_files *files, struct vdev **ret, struct err *err)
{
	struct enic *e = calloc(1, sizeof(*e));
	char name[16];

	if (!e)
		return err_sys(err, ENOMEM, "NIC %s", cfg->target);
	e->sock = e->theirs = -1;
	int r = nic_open(&e->n, cfg, files, name, err);
	if (r < 0) {
		enic_free(&e->n.v);
		return r;
	}
	vdev_setup(&e->n.v, d, &enic_ops, name, 0, 0);
	e->n.v.transport = &enic_transport;
	vdev_ack(&e->n.v, VIRTIO_F_VERSION_1); /* there is no driver to negotiate with */
	*ret = &e->n.v;
	return 0;
}
