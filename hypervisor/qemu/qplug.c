/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks and NICs that come to a running guest and leave it. The machine has places for them from its start, and for each place a socket in
 * QEMU's root, on which hvdom listens: nothing is made there later. Main thread. ADR 88.
 */
#include "config.h"
#include "hypervisor/qemu/qvm_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "hypervisor/dev/enic.h"
#include "hypervisor/dev/vudev.h"
#include "hypervisor/qemu/qargs.h"
#include "hypervisor/qemu/qnic.h"

static int need_running(const struct qvm *v, struct err *err)
{
	if (v->state == QVM_NONE)
		return err_set(err, ESRCH, "there is no guest");
	return v->state == QVM_RUNNING ? 0 : err_set(err, EBUSY, "the guest does not run");
}

int qplug_serve(struct qvm *v, size_t dev, unsigned place, struct err *err)
{
	int fd = fcntl(v->place_fd[place - 1], F_DUPFD_CLOEXEC, 3);

	return fd < 0 ? err_sys(err, errno, "cannot listen for device %zu", dev)
	              : vudev_listen(v->env->devs, dev, fd, err);
}

/* Names of what is at a place. */
struct names {
	char plug[16], net[20], bus[16], addr[12], path[24];
};

static void name(const struct qvm *v, unsigned place, struct names *n)
{
	snprintf(n->plug, sizeof(n->plug), QARGS_PLUG "%u", place);
	snprintf(n->net, sizeof(n->net), QARGS_PLUG_NET "%u", place);
	snprintf(n->path, sizeof(n->path), QARGS_SOCKET_DIR "/%zu", qargs_socket(place));
	qargs_bus(v->env->cfg, place, n->bus, n->addr);
}

/* What remains of a device that is gone; what is not there any more is refused. */
static void sweep(struct qvm *v, const struct names *n)
{
	(void)!qvm_call(v, "netdev_del", json_pack("{s:s}", "id", n->net), -1, QVM_CALL_NS, NULL);
	(void)!qvm_call(v, "chardev-remove", json_pack("{s:s}", "id", n->plug), -1, QVM_CALL_NS, NULL);
}

static json_t *disk_args(const struct names *n)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:b}", "driver", "vhost-user-blk-pci", "id", n->plug,
	                 "bus", n->bus, "addr", n->addr, "chardev", n->plug, "num-queues", 1, "disable-legacy", "on",
	                 "disable-modern", 0);
}

/* As qargs.c has it. */
static json_t *nic_args(const struct qvm *v, const struct names *n, const struct dom_nic *c)
{
	char mac[18];
	json_t *o;

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", c->mac[0], c->mac[1], c->mac[2], c->mac[3],
	         c->mac[4], c->mac[5]);
	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "driver", qnic_driver(c), "id", n->plug, "bus", n->bus,
	              "addr", n->addr, "netdev", n->net, "mac", mac, "romfile", "");
	if (!dom_nic_is_virtio(c))
		return o;
	if (o) {
		json_object_set_new(o, "disable-legacy", json_string("on"));
		json_object_set_new(o, "disable-modern", json_false());
	}
	if (o && c->mtu)
		json_object_set_new(o, "host_mtu", json_integer(c->mtu));
	if (o && !v->kvm)
		json_object_set_new(o, "vectors", json_integer(0));
	return o;
}

/* Both ends are hvdom's device's in the end; QEMU has the other one under the netdev's name until it is made. */
static int add_card(struct qvm *v, size_t dev, const struct names *n, struct err *err)
{
	int pair[2], r = enic_pair(pair, err);

	if (r < 0)
		return r;
	r = qvm_call(v, "getfd", json_pack("{s:s}", "fdname", n->net), pair[1], QVM_CALL_NS, err);
	if (r < 0) {
		close(pair[0]);
		close(pair[1]);
		return r;
	}
	r = enic_connect(v->env->devs, dev, pair[0], pair[1], err);
	if (!r)
		r = qvm_call(v, "netdev_add",
		             json_pack("{s:s, s:s, s:{s:s, s:s}}", "type", "dgram", "id", n->net, "local", "type", "fd",
		                       "str", n->net),
		             -1, QVM_CALL_NS, err);
	if (r < 0)
		(void)!qvm_call(v, "closefd", json_pack("{s:s}", "fdname", n->net), -1, QVM_CALL_NS, NULL);
	return r;
}

static int add_socket(struct qvm *v, const struct hv_plug *p, const struct names *n, struct err *err)
{
	int r = qvm_call(v, "chardev-add",
	                 json_pack("{s:s, s:{s:s, s:{s:{s:s, s:{s:s}}, s:b}}}", "id", n->plug, "backend", "type",
	                           "socket", "data", "addr", "type", "unix", "data", "path", n->path, "server", 0),
	                 -1, QVM_CALL_NS, err);

	return r || !p->nic
	               ? r
	               : qvm_call(v, "netdev_add",
	                          json_pack("{s:s, s:s, s:s}", "type", "vhost-user", "id", n->net, "chardev", n->plug),
	                          -1, QVM_CALL_NS, err);
}

int qplug_add(struct qvm *v, const struct hv_plug *p, struct err *err)
{
	unsigned place = p->disk ? p->disk->place : p->nic->place;
	bool card = p->nic && !dom_nic_is_virtio(p->nic);
	int r = need_running(v, err);
	struct names n;

	if (!r && p->disk && !dom_disk_is_virtio(p->disk))
		r = err_set(err, ENOTSUP, "a disk of bus '%s' cannot come to a guest that runs (virtio can)",
		            dom_bus_name(p->disk->at.bus));
	if (!r && (!place || place > v->env->cfg->hvm.places))
		r = err_set(err, ENOTSUP, "the machine has no place for it");
	if (!r && !card)
		r = qplug_serve(v, p->index, place, err);
	if (r < 0)
		return r;
	name(v, place, &n);
	sweep(v, &n);
	r = card ? add_card(v, p->index, &n, err) : add_socket(v, p, &n, err);
	if (!r)
		r = qvm_call(v, "device_add", p->disk ? disk_args(&n) : nic_args(v, &n, p->nic), -1, QVM_CALL_NS, err);
	if (r < 0)
		sweep(v, &n);
	return r == -EREMOTEIO ? err_prefix(err, "QEMU refuses the device") : r;
}

int qplug_ask(struct qvm *v, unsigned place, struct err *err)
{
	int r = need_running(v, err);
	struct names n;

	if (r < 0)
		return r;
	name(v, place, &n);
	v->refused &= ~(1u << place);
	r = qvm_call(v, "device_del", json_pack("{s:s}", "id", n.plug), -1, QVM_CALL_NS, err);
	/* it was asked before and may let go any time: asked again it is by waiting */
	return r == -EREMOTEIO && err && strstr(err->text, "in the process of unplug") ? 0 : r;
}

void qplug_event(struct qvm *v, const char *event, const json_t *data)
{
	const char *id = json_string_value(json_object_get(data, "device"));
	size_t n = strlen(QARGS_PLUG);

	_Static_assert(DOM_PLACES_MAX < 10, "a place is one digit");
	if (!id || strncmp(id, QARGS_PLUG, n) || id[n] < '1' || id[n] > '9' || id[n + 1])
		return;
	unsigned place = (unsigned)(id[n] - '0');
	if (place > v->env->cfg->hvm.places)
		return;
	if (!strcmp(event, "DEVICE_DELETED"))
		v->gone |= 1u << place;
	else if (!strcmp(event, "DEVICE_UNPLUG_GUEST_ERROR"))
		v->refused |= 1u << place;
}

void qplug_tell(struct qvm *v)
{
	for (unsigned place = 1; place <= DOM_PLACES_MAX && v->state == QVM_RUNNING; place++) {
		bool gone = v->gone >> place & 1, refused = v->refused >> place & 1;
		struct names n;

		v->gone &= ~(1u << place);
		v->refused &= ~(1u << place);
		if (gone) {
			name(v, place, &n);
			sweep(v, &n);
		}
		if (gone || refused)
			v->env->unplugged(v->env->arg, place, gone ? NULL : "the guest refuses to let it go");
	}
}
