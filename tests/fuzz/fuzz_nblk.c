/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: an NBD client that QEMU is no more. Octet 0, bit 0: the domain owns the image; bit 1: negotiated already. The rest is what it sends. */
#include "config.h"
#include "tests/fuzz/fuzz.h"
#include "hypervisor/dev/nblk.h"
#include "tests/fuzz/fuzzdevs.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GO "\0\0\0\3IHAVEOPT\0\0\0\7\0\0\0\6\0\0\0\0\0\0"

static int dial(struct devs *d)
{
	/* no name in the file system */
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	static unsigned count; /* the device has the socket of before until it gets another */
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "hospes-fuzz-nblk.%d.%u", getpid(), count++);
	socklen_t len = (socklen_t)(sizeof(a.sun_family) + 1 + (size_t)n);
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	FUZZ_CHECK(l >= 0 && s >= 0 && bind(l, (struct sockaddr *)&a, len) == 0 && listen(l, 1) == 0);
	FUZZ_CHECK(nblk_listen(d, 0, l, NULL) == 0);
	FUZZ_CHECK(connect(s, (struct sockaddr *)&a, len) == 0);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct guestmem mem;
	static struct devs *d;
	char back[65536];

	if (!d) {
		d = fuzzdevs_on(&mem, DOM_BUS_SATA);
		devs_set_mem(d, &mem);
	}
	if (!len)
		return 0;
	struct vdev *v = d->v[0];
	if (*data & 1)
		FUZZ_CHECK(devs_lock(d, NULL) == 0);
	int s = dial(d);
	if (*data & 2)
		FUZZ_CHECK(send(s, GO, sizeof(GO) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(GO) - 1);
	if (len > 1)
		(void)!send(s, data + 1, len - 1 < 65536 ? len - 1 : 65536, MSG_DONTWAIT | MSG_NOSIGNAL);
	for (int i = 0; i < 50; i++) {
		loop_run_once(d->loop, 0);
		if (i % 8 == 7)
			(void)!recv(s, back, sizeof(back), MSG_DONTWAIT);
	}
	close(s);
	v->ops->stop(v);
	for (int i = 0; i < 3; i++)
		loop_run_once(d->loop, 0);
	FUZZ_CHECK(!v->running && !v->ops->storage->in_flight(v));
	if (*data & 1)
		devs_unlock(d);
	return 0;
}
