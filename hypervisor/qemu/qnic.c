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
	char options[48] = "", id[32] = "";

	*ret = (struct qnic){ 0 };
	if (o->id)
		snprintf(id, sizeof(id), "id=%s,", o->id);
	if (virtio) {
		virtio_options(o, options, sizeof(options));
		ret->chardev = xasprintf("socket,id=%s,path=" QARGS_SOCKET_DIR "/%zu", o->chardev, o->socket);
		ret->netdev = xasprintf("vhost-user,id=%s,chardev=%s", o->netdev, o->chardev);
	} else {
		ret->netdev = xasprintf("dgram,id=%s,local.type=fd,local.str=%d", o->netdev, o->fd);
	}
	ret->device = xasprintf("%s,netdev=%s,%smac=%02x:%02x:%02x:%02x:%02x:%02x,%sromfile=,%s%s", qnic_driver(o->nic),
	                        o->netdev, id, m[0], m[1], m[2], m[3], m[4], m[5], options, o->at,
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
		if (!dom_nic_is_virtio(&cfg->nic[i]))
			n += (size_t)snprintf(text + n, sizeof(text) - n, " n%zu.%s", i,
			                      dom_nic_model_name(cfg->nic[i].model));
	return strdup(text);
}
