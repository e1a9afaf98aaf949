/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What NICs have in common: see nic_int.h. The IPv4 addresses that the guest uses are remembered for the announcement after a move.
 * Threading: the io thread.
 */
#include "config.h"
#include "hypervisor/dev/nic_int.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HAND_OVER_FRAMES 1024u /* more than a tap's queue holds */

/* Addresses ----------------------------------------------------------------------------------------------------------- */

static void addr_seen(struct nic *n, uint32_t a)
{
	unsigned i = 0;

	/* 0.0.0.0, loopback, multicast and broadcast are nobody's */
	uint32_t host = be32toh(a);
	if (!a || host >> 24 == 127 || host >> 28 >= 0xe || n->addr[0] == a)
		return;
	while (i < NIC_ADDRS_MAX - 1 && n->addr[i] != a)
		i++;
	memmove(&n->addr[1], &n->addr[0], i * sizeof(n->addr[0]));
	n->addr[0] = a;
}

void nic_seen(struct nic *n, const uint8_t *f, size_t len)
{
	uint32_t a;

	if (len < NIC_HEAD + 20 || memcmp(f + 6, n->cfg.mac, 6))
		return;
	if (f[12] == 0x08 && f[13] == 0x00) {
		memcpy(&a, f + NIC_HEAD + 12, 4);
		/* a router's frames carry others' addresses: only a few are kept, ARP below is certain */
		if (!n->addr[NIC_ADDRS_MAX - 1])
			addr_seen(n, a);
	} else if (f[12] == 0x08 && f[13] == 0x06 && len >= NIC_HEAD + 28) {
		memcpy(&a, f + NIC_HEAD + 14, 4);
		addr_seen(n, a);
	}
}

void nic_count_in(struct nic *n, uint64_t bytes)
{
	n->v.st.rd_ops++;
	n->v.st.rd_bytes += bytes;
}

void nic_count_out(struct nic *n, uint64_t bytes)
{
	n->v.st.wr_ops++;
	n->v.st.wr_bytes += bytes;
}

/* After a move -------------------------------------------------------------------------------------------------------- */

/* Switches learn the new port from the sender's MAC, neighbours keep their ARP entries fresh. */
void nic_announce(struct vdev *v)
{
	struct nic *n = (struct nic *)v;
	uint8_t f[TAP_HDR_BYTES + 60] = { 0 }, *eth = f + TAP_HDR_BYTES, *arp = eth + NIC_HEAD;

	if (nic_is_mute(n))
		return;
	memset(eth, 0xff, 6);
	memcpy(eth + 6, n->cfg.mac, 6);
	/* Ethernet and IPv4, RFC 826; RARP "request reverse" (RFC 903) with no address, as other hypervisors do it */
	memcpy(eth + 12, "\x80\x35", 2);
	memcpy(arp, "\x00\x01\x08\x00\x06\x04\x00\x03", 8);
	memcpy(arp + 8, n->cfg.mac, 6);
	memcpy(arp + 18, n->cfg.mac, 6);
	if (write(n->tap, f, sizeof(f)) < 0)
		v->st.drops++;
	memcpy(eth + 12, "\x08\x06", 2);
	for (unsigned i = 0; i < NIC_ADDRS_MAX; i++) {
		if (!n->addr[i])
			continue;
		/* a gratuitous request (RFC 5227, 2.3): sender and target are the same address, the target's MAC is unknown */
		memcpy(arp + 6, "\x00\x01", 2);
		memcpy(arp + 14, &n->addr[i], 4);
		memset(arp + 18, 0, 6);
		memcpy(arp + 24, &n->addr[i], 4);
		if (write(n->tap, f, sizeof(f)) < 0)
			v->st.drops++;
	}
}

/*
 * The bridge knows by now (announcement) where the guest is. Under a source address of our own: with the true sender's, every switch on
 * the way would learn that the sender lives here.
 */
void nic_return(struct nic *n, uint8_t *f, size_t len)
{
	uint8_t *eth = f + TAP_HDR_BYTES;

	if (len < TAP_HDR_BYTES + NIC_HEAD || memcmp(eth, n->cfg.mac, 6))
		return; /* broadcasts reach the guest at its new place by themselves */
	memcpy(eth + 6, n->cfg.mac, 6);
	eth[6] ^= 0x40;
	if (write(n->tap, f, len) < 0)
		n->v.st.drops++;
}

void nic_hand_over(struct vdev *v)
{
	struct nic *n = (struct nic *)v;
	uint8_t *f = malloc(NIC_FRAME_MAX);

	for (unsigned i = 0; f && i < HAND_OVER_FRAMES; i++) {
		ssize_t len = read(n->tap, f, NIC_FRAME_MAX);
		if (len < 0)
			break;
		nic_return(n, f, (size_t)len);
	}
	free(f);
}

/* State --------------------------------------------------------------------------------------------------------------- */

void nic_save(struct vdev *v, struct buf *out)
{
	struct nic *n = (struct nic *)v;

	buf_put(out, n->cfg.mac, 6);
	buf_put_u8(out, NIC_ADDRS_MAX);
	for (unsigned i = 0; i < NIC_ADDRS_MAX; i++)
		buf_put(out, &n->addr[i], 4);
}

int nic_load(struct vdev *v, struct rd *in, bool commit, struct err *err)
{
	struct nic *n = (struct nic *)v;
	const uint8_t *mac = rd_bytes(in, 6);
	uint8_t k = rd_u8(in);
	const void *addrs = k <= 64 ? rd_bytes(in, 4ul * k) : NULL;

	if (!mac || !addrs || in->bad)
		return err_set(err, EINVAL, "saved state of device %s: it ends early", v->name);
	if (memcmp(mac, n->cfg.mac, 6))
		return err_set(err, EINVAL, "saved state of device %s: the guest's NIC has another MAC address",
		               v->name);
	if (commit)
		memcpy(n->addr, addrs, 4ul * (k < NIC_ADDRS_MAX ? k : NIC_ADDRS_MAX));
	return 0;
}

/* Life ---------------------------------------------------------------------------------------------------------------- */

void nic_no_offloads(struct vdev *v)
{
	struct nic *n = (struct nic *)v;

	if (n->tap >= 0 && tap_offload(n->tap, 0) < 0)
		v->st.errors++;
}

void nic_config_set(struct vdev *v, unsigned offset, const uint8_t *p, unsigned len)
{
	(void)v, (void)offset, (void)p, (void)len; /* nothing is writable for a modern driver */
}

/* A tap that somebody made who may. */
static int take_tap(struct nic *n, struct devs_files *files, char name[16], struct err *err)
{
	if (files->n != 1 || tap_name(files->fd[0], name) < 0)
		return err_set(err, EINVAL, "a NIC comes with one descriptor, its tap's");
	n->tap = steal_fd(files->fd);
	return 0;
}

int nic_open(struct nic *n, const struct dom_nic *cfg, struct devs_files *files, char name[16], struct err *err)
{
	n->cfg = *cfg;
	n->tap = -1;
	return files ? take_tap(n, files, name, err)
	             : tap_open(cfg->target, cfg->type == DOM_NIC_BRIDGE ? cfg->bridge : "", cfg->mac, cfg->mtu, name,
	                        &n->tap, err);
}

void nic_close(struct nic *n)
{
	if (n->tap >= 0)
		close(n->tap);
	n->tap = -1;
}
