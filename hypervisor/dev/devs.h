/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All virtio devices of one domain, served on a thread of their own ("io thread"). The engine (main thread) connects them to the
 * guest, through the transport that it chose and by that transport's own header (vudev.h).
 *
 * Life: new (privileged: opens images, taps, logs; no locks) -> mem -> connect each device -> run -> quiesce -> save or resume -> free.
 * Every function is called from the main thread and returns when the io thread has done it, but for those that may wait for storage, which
 * are for a helper thread while the main thread goes on: devs_quiesced(), devs_sync(), devs_lock(), devs_unlock().
 * An io thread that does not take up an order within some seconds (it waits for storage itself) is left alone: -ETIMEDOUT.
 */
#ifndef HOSPES_HYPERVISOR_DEVS_H
#define HOSPES_HYPERVISOR_DEVS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/buf.h"
#include "clusterd/guard/deadline.h"
#include "common/err.h"
#include "common/cleanup.h"
#include "hypervisor/api/domcfg.h"
#include "hypervisor/guestmem.h"
#include "hypervisor/api/hypercall.h"

struct devs;
struct vdev_transport_ops;

/* Told on the io thread; must only loop_post(). */
struct devs_events {
	void (*broken)(void *arg, const char *dev_name, const char *why);
	/* The guest's agent let a heartbeat of its pass; once in a silence. quiet() when half of the time is over; NULL: not told. */
	void (*silent)(void *arg);
	void (*quiet)(void *arg);
	/* A disk request failed; @held: it is kept back, for the domain to stand still until devs_retry() can do it. NULL: not told. */
	void (*disk_error)(void *arg, const char *dev_name, int code, bool read, bool held);
	/* One that was held is done: devs_resume() does the others. NULL: not told. */
	void (*disk_room)(void *arg);
	void *arg;
	/*
	 * Of the host's lease, NULL: it needs none. Past it no I/O reaches an image, nothing stays in a cache that could later,
	 * and no frame is
	 * sent. Borrowed.
	 */
	const struct deadline_page *deadline;
};

/*
 * Open what the devices need; drivers will come by @transport. @cfg is borrowed for good. Opens no locks. Names the device,
 * file and remedy in @err.
 */
int devs_new(const struct dom_config *cfg, const struct vdev_transport_ops *transport, const struct devs_events *ev,
             struct devs **ret, struct err *err) _must_check_;
void devs_free(struct devs *d);                               /* takes NULL; stops the io thread, closes all */
int devs_start(struct devs *d, struct err *err) _must_check_; /* start the io thread (after privileges are dropped) */

size_t devs_count(const struct devs *d);
uint32_t devs_virtio_id(const struct devs *d, size_t i); /* 1 net, 2 block, 3 console, 4 rng, 5 balloon */
const char *devs_name(const struct devs *d, size_t i);   /* vda, vnet0, hvc0... */
/* N of hvcN, the channel to the guest's agent: the console after the configured ones. */
static inline unsigned devs_agent_console(const struct dom_config *cfg)
{
	return (unsigned)cfg->n_consoles;
}

/* The memory that descriptors point into; replaces any earlier one (only while quiesced or before drivers come). Borrowed. NULL: none. */
void devs_set_mem(struct devs *d, struct guestmem *m);

/*
 * Take no more work and drain sockets that hold complete requests: at once, requests that the storage has stay with it. Idempotent.
 * devs_quiesced(): wait until they have ended and guest memory is no more touched: at most @limit_ns, then -ETIMEDOUT and a text that names
 * the disk; -ECANCELED when devs_resume() came first. What is held (disk_error()) does not count: it is part of the state.
 */
int devs_quiesce_begin(struct devs *d, struct err *err) _must_check_;
int devs_quiesced(struct devs *d, uint64_t limit_ns, struct err *err) _must_check_;
/* Both, with a limit of DEVS_QUIESCE_NS; on failure the devices go on. */
#define DEVS_QUIESCE_NS (20ull * 1000000000ull)
int devs_quiesce(struct devs *d, struct err *err) _must_check_;
/* Try what disks hold back; answers come as disk_room() or not at all. Also while quiesced, which then ends only with it. */
void devs_retry(struct devs *d);
/* The disk that holds requests back: its name and errno. False: none. */
bool devs_held(const struct devs *d, const char **ret_name, int *ret_code);
/* The disk with the oldest request that its storage has not answered, and its age. False: none is under way. Any thread. */
bool devs_waits(const struct devs *d, const char **ret_name, uint64_t *ret_age_ns);
/* While quiesced: append the state of all devices (rings, features, config, half-read console input...) to @out. Versioned. */
int devs_save(struct devs *d, struct buf *out, struct err *err) _must_check_;
/* Before drivers are connected: take over a saved state. Hostile bytes: -EINVAL, nothing changed. The devices are the configured ones. */
int devs_load(struct devs *d, struct rd *in, struct err *err) _must_check_;
/* Serve again after quiesce, or after load and connecting; @kick: treat every queue as kicked and call every queue once (after restore). */
int devs_resume(struct devs *d, bool kick, struct err *err) _must_check_;

/* Disk image locks (OFD, whole file, exclusive; shared for readonly/shareable). -EAGAIN names the image. All or none. */
int devs_lock(struct devs *d, struct err *err) _must_check_;
void devs_unlock(struct devs *d);
/* fsync every writable image: what the guest was told is stable must be so on the other host too. */
int devs_sync(struct devs *d, struct err *err) _must_check_;
/* Begin to write back what devs_sync() would wait for; does not wait. Before a blackout, so that little is left for it. */
void devs_writeback(struct devs *d);

/* Gratuitous ARP (and RARP) from each NIC's MAC through its tap; the ARP uses the addresses seen from the guest, if any. */
void devs_announce(struct devs *d);
/* The guest runs elsewhere and has announced itself: send the frames that wait for it here after it. While quiesced. */
void devs_hand_over(struct devs *d);
/*
 * A stream socket to console @index (0 = hvc0..., or devs_agent_console()); @take: drop the present client,
 * else -EBUSY. Returns the client's end.
 */
int devs_console(struct devs *d, unsigned index, bool take, struct err *err) _must_check_;
/*
 * The period of the agent's heartbeat in seconds, 0: it gave none (docs/wire/agent.md). Time counts while the devices run: not while
 * quiesced, and from the beginning after devs_resume() or devs_beat_anew().
 */
unsigned devs_beat(const struct devs *d);
void devs_beat_anew(struct devs *d);
/* After silent(), when somebody comes to act upon it: is it silent still? What it said and nobody has read yet counts. */
bool devs_silent(struct devs *d);
/* After silent(): @ns of that silence were not the guest's. It is told again when they have passed. */
void devs_beat_give_back(struct devs *d, uint64_t ns);
/*
 * For the log, when the guest seems to hang: when its agent was last heard, and for each device what it and its driver have done, a line
 * for each. @len: DEVS_LOOK_MAX is enough for all of it.
 */
#define DEVS_LOOK_MAX 4096u
void devs_look(struct devs *d, char *buf, size_t len);
/* Balloon: ask the guest to shrink or grow to @target_bytes; -EOPNOTSUPP without a balloon or driver. */
int devs_balloon(struct devs *d, uint64_t target_bytes, struct err *err) _must_check_;
uint64_t devs_balloon_bytes(const struct devs *d);    /* taken from the guest now */
void devs_stats(struct devs *d, struct hv_stats *st); /* fills n_devs and dev[] */

#endif
