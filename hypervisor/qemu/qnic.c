/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See qnic.h. */
#include "config.h"
#include "hypervisor/qemu/qnic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"
#include "hypervisor/qemu/qargs.h"

#define QNIC_ROMS      "/usr/lib/ipxe/qemu/" /* QEMU sees /usr as the host has it */
#define QNIC_ROM_BYTES (1u << 20)

void qnic_done(struct qnic *q)
{
	free(q->chardev);
	free(q->netdev);
	free(q->device);
	*q = (struct qnic){ 0 };
}

const char *qnic_driver(const struct dom_nic *nic)
{
	return dom_nic_is_virtio(nic) ? "virtio-net-pci" : dom_nic_model_name(nic->model);
}

const char *qnic_rom(const struct dom_config *cfg, size_t i)
{
	static const char *const roms[] = { [DOM_NIC_VIRTIO] = QNIC_ROMS "efi-virtio.rom",
		                            [DOM_NIC_E1000] = QNIC_ROMS "efi-e1000.rom",
		                            [DOM_NIC_E1000E] = QNIC_ROMS "efi-e1000e.rom",
		                            [DOM_NIC_RTL8139] = QNIC_ROMS "efi-rtl8139.rom" };

	/* not all UEFIs have drivers for all cards, and what they load, iPXE loads */
	return cfg->kernel || !qargs_boot(cfg, cfg->n_disks + i) ? NULL : roms[cfg->nic[i].model];
}

/* Beyond what all cards have. */
static void virtio_options(const struct qnic_of *o, char *buf, size_t len)
{
	char mtu[24] = "";

	if (o->nic->mtu)
		snprintf(mtu, sizeof(mtu), "host_mtu=%u,", o->nic->mtu);
	/* QEMU 7.2 takes the vectors of a vhost-user NIC for KVM's, and dies of it without: an interrupt line then */
	snprintf(buf, len, "%s%s", mtu, o->kvm ? "" : "vectors=0,");
}

int qnic_of_nic(const struct qnic_of *o, struct qnic *ret)
{
	const uint8_t *m = o->nic->mac;
	bool virtio = dom_nic_is_virtio(o->nic);
	char options[48] = "", id[32] = "", rom[96] = "romfile=", boot[24] = "";

	*ret = (struct qnic){ 0 };
	if (o->id)
		snprintf(id, sizeof(id), "id=%s,", o->id);
	/* of one size, since it is part of the state: another host's file may be longer */
	if (o->rom)
		snprintf(rom, sizeof(rom), "romfile=%s,romsize=%u", o->rom, QNIC_ROM_BYTES);
	if (o->boot)
		snprintf(boot, sizeof(boot), "bootindex=%u,", o->boot);
	if (virtio) {
		virtio_options(o, options, sizeof(options));
		ret->chardev = xasprintf("socket,id=%s,path=" QARGS_SOCKET_DIR "/%zu", o->chardev, o->socket);
		ret->netdev = xasprintf("vhost-user,id=%s,chardev=%s", o->netdev, o->chardev);
	} else {
		ret->netdev = xasprintf("dgram,id=%s,local.type=fd,local.str=%d", o->netdev, o->fd);
	}
	ret->device = xasprintf("%s,netdev=%s,%smac=%02x:%02x:%02x:%02x:%02x:%02x,%s%s%s,%s%s", qnic_driver(o->nic),
	                        o->netdev, id, m[0], m[1], m[2], m[3], m[4], m[5], options, boot, rom, o->at,
	                        virtio ? "," QARGS_VIRTIO : "");
	if (ret->device && ret->netdev && (ret->chardev || !virtio))
		return 0;
	qnic_done(ret);
	return -ENOMEM;
}

char *qnic_identity(const struct dom_config *cfg)
{
	char text[DOM_NICS_MAX * 16] = "";
	size_t n = 0;

	for (size_t i = 0; i < cfg->n_nics; i++)
		/* what came to the running machine is none that it was started with: its place is */
		if (!dom_nic_is_virtio(&cfg->nic[i]) && !cfg->nic[i].place)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " n%zu.%s", i,
			                      dom_nic_model_name(cfg->nic[i].model));
	return strdup(text);
}
