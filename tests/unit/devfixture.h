/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device set (disk, console, agent's console, rng, balloon) and a driver for it that speaks vhost-user over real sockets. Shared
 * by test_devs.c and test_devstate.c; everything asserts by itself.
 */
#ifndef HOSPES_TESTS_UNIT_DEVFIXTURE_H
#define HOSPES_TESTS_UNIT_DEVFIXTURE_H

#include <stdatomic.h>

#include "hypervisor/dev/devs.h"
#include "hypervisor/dev/vhost_user.h"
#include "hypervisor/dev/vudev.h"
#include "tests/unit/testutil.h"
#include "tests/unit/vdriver.h"

#define FX_MEM        (4u << 20)
#define FX_DISK_BYTES (1u << 20)
#define FX_DATA       0x200000ull
#define FX_FEATURES   (1ull << 28 | 1ull << 30 | 1ull << 32)

enum { VDA, HVC0, AGENT, RNG0, BALLOON, N_DEVS };
extern const unsigned fx_queues[N_DEVS];
extern const uint64_t fx_extra_features[N_DEVS]; /* beyond FX_FEATURES, of a driver that wants all */
extern const struct devs_events fx_events;

struct devfixture {
	char *dir;
	struct dom_config cfg;
	struct devs *devs;
	struct guestmem mem;
	int sock[N_DEVS], req[N_DEVS]; /* the driver's ends, -1: none */
	struct vdriver drv[N_DEVS][3];
	atomic_int broken_events, silent_events;
	atomic_int disk_errors, disk_held, disk_rooms,
		disk_code; /* the guest was told; held back; done after all; the last errno */
	char broken_why[128];
	enum dom_disk_cache cache;        /* of the disk that fx_setup() makes */
	enum dom_error_policy error_policy, rerror_policy; /* its */
	bool qcow2;                       /* that disk is a qcow2 image, made by qemu-img */
	void (*prepare)(void);            /* called when dir is there, NULL: nothing */
	const char *image_dir;            /* below dir, NULL: dir itself */
	const struct deadline_page *page; /* of the lease, NULL: none. Borrowed; set by prepare() */
	const struct vdev_transport_ops *transport; /* NULL: vudev_transport */
	uint64_t data_at;                 /* where fx_blk() has its data, 0: FX_DATA */
};
extern struct devfixture fx;

int fx_setup(void **state);
int fx_teardown(void **state);

/* messages of the driver */
void fx_put(int s, uint32_t request, const void *body, uint32_t len);
void fx_put_state(int s, uint32_t request, uint32_t index, uint32_t num);
void fx_put_u64(int s, uint32_t request, uint64_t v);
uint64_t fx_get_u64(int s, uint32_t request);
bool fx_closed(int s); /* the other end hung up */

void fx_pair(int dev); /* fresh sockets */
void fx_handshake(int dev, uint64_t features);
void fx_attach_features(int dev, uint64_t features); /* both */
void fx_attach(int dev);
void fx_kick(int dev, unsigned q);
void fx_settle(int dev); /* what was sent before has been acted upon */
void fx_wait_used(int dev, unsigned q, uint16_t idx);
void fx_wait_call(int dev, unsigned q);

/* One block request with @len octets of data; returns its status. */
uint8_t fx_blk(uint32_t type, uint64_t sector, uint32_t len);
void fx_say(int dev, const char *text); /* output on a console */
void fx_console_out(const char *text);  /* on HVC0 */

#endif
