/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz target: a device whose driver is hostile in its messages and in its memory. Octet 0: the device; octets 1-2: how many of
 * the following octets are guest memory (table at 0, avail at 0x1000, used at 0x1400 of each queue's 0x2000); the rest are
 * messages. All queues start enabled with 16 entries and kicked.
 */
#include "config.h"
#include "tests/fuzz/fuzz.h"
#include "hypervisor/dev/vhost_user.h"
#include "hypervisor/dev/vudev.h"
#include "tests/fuzz/fuzzdevs.h"

#include <string.h>
#include <sys/socket.h>

static void connect_all(struct devs *d, size_t i, int sv[2], int rq[2])
{
	struct vdev *v = d->v[i];

	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) &&
	           !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, rq));
	FUZZ_CHECK(v->transport->load(v, VU_PF_NEEDED, "", 0, true, NULL) == 0);
	FUZZ_CHECK(vudev_pair(d, i, sv[1], rq[1], NULL) == 0);
	vdev_ack(v, v->offered);
	for (unsigned q = 0; q < v->n_vq; q++)
		v->vq[q].c = (struct vq_conf){ .size = 16,
			                       .enabled = true,
			                       .desc = { q * 0x2000 },
			                       .avail = { q * 0x2000 + 0x1000 },
			                       .used = { q * 0x2000 + 0x1400 } };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct guestmem mem;
	static struct devs *d;
	int sv[2], rq[2];

	if (!d) {
		d = fuzzdevs(&mem);
		devs_set_mem(d, &mem);
	}
	if (len < 3)
		return 0;
	struct vdev *v = d->v[data[0] % d->n];
	size_t image = (size_t)(data[1] | data[2] << 8), rest;
	data += 3;
	len -= 3;
	image = image < len ? image : len;
	rest = len - image;
	memset(mem.base, 0, 0x10000);
	memcpy(mem.base, data, image);
	connect_all(d, data[0] % d->n, sv, rq);
	if (rest)
		(void)!send(sv[0], data + image, rest < 65536 ? rest : 65536, MSG_DONTWAIT | MSG_NOSIGNAL);
	vdev_start(v);
	for (int i = 0; i < 50; i++)
		loop_run_once(d->loop, 0);
	FUZZ_CHECK(!v->running || !v->broken);
	v->transport->close(v);
	close(sv[0]);
	close(rq[0]);
	return 0;
}
