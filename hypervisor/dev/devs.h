/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All devices of one domain that are hvdom's, served on a thread of their own, the io thread. The engine connects them to the guest through
 * its transport, by that transport's own header (vudev.h), or by theirs (nblk.h, enic.h).
 *
 * Life: new (privileged: opens images, taps, logs; no locks) -> mem -> connect each device -> run -> quiesce -> save or resume -> free.
 * The main thread calls all functions; a call returns when the io thread has done it. Those that may wait for storage can be called on a
 * helper thread meanwhile: devs_quiesced(), devs_sync(), devs_settle(), devs_lock(), devs_unlock().
 * -ETIMEDOUT: the io thread did not take the order within some seconds, since it waits for storage itself; the order is dropped.
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
struct path_rules;

/* The variables of a guest's firmware, all borrowed for the call. */
struct devs_flash_cfg {
	const char *path;       /* their file, which is made if it is not there */
	const char *template;   /* what they begin with, NULL: unknown */
	size_t bytes;           /* of both */
	const char *uuid;       /* the domain's */
	const struct path_rules *paths; /* as dom_config's */
};

/* Called on the io thread; may only loop_post(). Each may be NULL. */
struct devs_events {
	void (*broken)(void *arg, const char *dev_name, const char *why); /* the driver broke the protocol; @why: static text */
	void (*silent)(void *arg); /* the period of the guest's heartbeat is over without one; once in a silence */
	void (*quiet)(void *arg);  /* half of the period is */
	/* A disk request failed with errno @code. @held: it waits for devs_retry(), and the domain should stand still until then. */
	void (*disk_error)(void *arg, const char *dev_name, int code, bool read, bool held);
	void (*disk_room)(void *arg); /* devs_retry() succeeded; devs_resume() does the other held requests */
	void *arg;
	/* Of the host's lease, borrowed; NULL: no lease is needed. Past it no I/O reaches an image or its cache, and no frame is sent. */
	const struct deadline_page *deadline;
};

/*
 * Make the devices of @cfg (borrowed until devs_free()) and open their files, without locks. Drivers will connect through @transport. @ev
 * is copied; NULL: no events. @err names device, file and remedy.
 */
int devs_new(const struct dom_config *cfg, const struct vdev_transport_ops *transport, const struct devs_events *ev,
             struct devs **ret, struct err *err) _must_check_;
void devs_free(struct devs *d);                               /* takes NULL; stops the io thread, closes everything */
int devs_start(struct devs *d, struct err *err) _must_check_; /* start the io thread; after privileges were dropped */

size_t devs_count(const struct devs *d);
uint32_t devs_virtio_id(const struct devs *d, size_t i); /* 1 net, 2 block, 3 console, 4 rng, 5 balloon */
const char *devs_name(const struct devs *d, size_t i);   /* vda, vnet0, hvc0... */
uint64_t devs_disk_sectors(const struct devs *d, size_t i); /* of 512 octets; 0: device @i is no disk */
/* N of hvcN, the channel to the guest's agent: the console after the configured ones. */
static inline unsigned devs_agent_console(const struct dom_config *cfg)
{
	return (unsigned)cfg->n_consoles;
}

/* The same for the port of the guest's own agent, where @cfg has guest_agent. */
#define DEVS_AGENT_PORT(cfg) ((unsigned)(cfg)->n_consoles + 1)

/* Guest memory, borrowed, in place of any earlier one; NULL: none, devices do not run. Only while quiesced or before drivers connect. */
void devs_set_mem(struct devs *d, struct guestmem *m);

/*
 * Take no more work, and act on the driver's messages that have arrived. Requests that the storage has stay with it. Idempotent.
 * devs_quiesced() waits until those have ended and guest memory is not touched any more. -ETIMEDOUT after @limit_ns, naming the disk;
 * -ECANCELED: devs_resume() came first. Held requests (disk_error()) do not count: they are part of the state.
 */
int devs_quiesce_begin(struct devs *d, struct err *err) _must_check_;
int devs_quiesced(struct devs *d, uint64_t limit_ns, struct err *err) _must_check_;
/* Both, with the limit DEVS_QUIESCE_NS. On failure the devices go on. */
#define DEVS_QUIESCE_NS (20ull * 1000000000ull)
int devs_quiesce(struct devs *d, struct err *err) _must_check_;
/* Try held requests again, also while quiesced (devs_quiesced() then waits for them). A success is an event disk_room(). */
void devs_retry(struct devs *d);
/* The first disk that holds requests: its name (borrowed) and errno. False: none does. */
bool devs_held(const struct devs *d, const char **ret_name, int *ret_code);
/* The disk with the oldest unanswered request, and the age of that. False: no request is under way. Any thread. */
bool devs_waits(const struct devs *d, const char **ret_name, uint64_t *ret_age_ns);
/* While quiesced: append the state of all devices (docs/wire/devstate.md) to @out. */
int devs_save(struct devs *d, struct buf *out, struct err *err) _must_check_;
/* Before drivers connect: take over a saved state of the same devices. Hostile octets: -EINVAL, nothing is changed. */
int devs_load(struct devs *d, struct rd *in, struct err *err) _must_check_;
/* Serve after a quiesce, or after load and connecting. @kick (after a restore): treat every queue as kicked, and call its driver. */
int devs_resume(struct devs *d, bool kick, struct err *err) _must_check_;

/* Lock the disk images (OFD, whole file; exclusive, shared for readonly and shareable ones): all or none. -EAGAIN: @err names the image. */
int devs_lock(struct devs *d, struct err *err) _must_check_;
void devs_unlock(struct devs *d);
/* fsync every writable image, so that what the guest was told is stable is stable for another host, too. */
int devs_sync(struct devs *d, struct err *err) _must_check_;
/*
 * The guest is gone and its lease is about to say so: write what only memory knows of its images, within about @limit_ns. Nothing happens
 * if nothing is to be written. On failure the devices stay quiesced; what was not written was not flushed by the guest either.
 */
int devs_settle(struct devs *d, uint64_t limit_ns, struct err *err) _must_check_;
/* Start the writeback of dirty pages of the images, without waiting: before a blackout, so that devs_sync() has little to wait for. */
void devs_writeback(struct devs *d);

/*
 * Devices that come and go while the guest runs. One that is not among the devices is its maker's, and serves nobody.
 *
 * devs_disks_ready(): disks may be made from now on. The makers take the descriptors of @files, which somebody opened who may; on success
 * those that are used are -1 there. devs_make_disk() may wait for storage: for a helper thread.
 */
struct devs_files {
	int *fd; /* a disk: of its image, and those below it in their order; a NIC: of its tap */
	size_t n;
};
struct vdev;
int devs_disks_ready(struct devs *d, struct err *err) _must_check_;
int devs_make_disk(struct devs *d, const struct dom_disk *cfg, struct devs_files *files, struct vdev **ret, struct err *err) _must_check_;
int devs_make_nic(struct devs *d, const struct dom_nic *cfg, struct devs_files *files, struct vdev **ret, struct err *err) _must_check_;
void devs_drop(struct vdev *v); /* takes NULL; as devs_free() does it for each */
/* As devs_lock() and devs_sync(), of a disk that is not among the devices. */
int devs_lock_one(struct vdev *v, struct err *err) _must_check_;
int devs_sync_one(struct vdev *v, struct err *err) _must_check_;
/* Make it device @at, the later ones one higher. On failure it is still the caller's. */
int devs_put_in(struct devs *d, size_t at, struct vdev *v, struct err *err) _must_check_;
/*
 * The other way: its driver is cut off, nothing of it is under way. NULL: the devices' thread waits for storage, nothing was done; not
 * with @wait.
 */
struct vdev *devs_take_out(struct devs *d, size_t at, bool wait, struct err *err);

/*
 * Make the image of disk @name @bytes octets long, durably. The guest knows nothing of it before devs_grown(). May wait for storage: on a
 * helper thread, while devices run. -ENOENT: no such disk; -EINVAL: it would shrink; -EOPNOTSUPP, -EROFS: of this disk not.
 */
int devs_grow(struct devs *d, const char *name, uint64_t bytes, struct err *err) _must_check_;
int devs_grown(struct devs *d, const char *name, struct err *err) _must_check_;

/*
 * A guest with firmware has its variables in memory of hvdom's, which reaches their file a moment after each
 * change: from devs_owned() to
 * devs_unlock(), while the lease lasts. devs_lock() and devs_sync() take that file as an image. ADR 82.
 *
 * Open it, after devs_new(), with privileges. @err names file and remedy.
 */
int devs_flash(struct devs *d, const struct devs_flash_cfg *cfg, struct err *err) _must_check_;
/* Its memory file, for the engine: borrowed, sealed against changes of its size. -1: this guest has none. */
int devs_flash_fd(const struct devs *d);
/*
 * Before a guest boots for the first time, after devs_owned(): its variables from the file, or the template. May
 * wait for storage.
 */
int devs_flash_load(struct devs *d, struct err *err) _must_check_;
/* The engine's: a guest that came from elsewhere runs, so the memory file has its variables now. */
void devs_flash_runs(struct devs *d);
/* Write what is not in the file yet; before the lease says that another host may have it. */
int devs_flash_sync(struct devs *d, struct err *err) _must_check_;
/* After devs_lock(): the lease says that the domain is ours. Nothing is written to the file before. */
void devs_owned(struct devs *d);

/* Send gratuitous ARP and RARP from each NIC's MAC through its tap; ARP with the IPv4 address seen from the guest, if any. */
void devs_announce(struct devs *d);
/* The guest runs elsewhere now: send the frames that still wait for it here back to the network. While quiesced. */
void devs_hand_over(struct devs *d);
/*
 * Returns the client's end (owned by the caller) of a stream socket to console hvc@index. A present client is dropped with @take, else
 * -EBUSY. -ENOENT: there is no such console.
 */
int devs_console(struct devs *d, unsigned index, bool take, struct err *err) _must_check_;
/* Connect console @index, which exists, to the guest by the stream socket @fd (owned from now on, also on failure) instead of a driver. */
int devs_console_line(struct devs *d, unsigned index, int fd, struct err *err) _must_check_;
/*
 * The period of the agent's heartbeat in seconds; 0: it has none (docs/wire/agent.md). Its silence counts while the devices run: not while
 * quiesced, and from 0 after devs_resume() or devs_beat_anew().
 */
unsigned devs_beat(const struct devs *d);
void devs_beat_anew(struct devs *d);
/* After silent(), before acting on it: is the agent still silent? Octets that arrived meanwhile are read first. */
bool devs_silent(struct devs *d);
/* After silent(): @ns of that silence were not the guest's fault. silent() comes again when they have passed. */
void devs_beat_give_back(struct devs *d, uint64_t ns);
/*
 * For the log of a guest that seems to hang: lines of text with the age of the last heartbeat and, for each device, how far device and
 * driver are. It is cut to @len octets; DEVS_LOOK_MAX holds all.
 */
#define DEVS_LOOK_MAX 4096u
void devs_look(struct devs *d, char *buf, size_t len);
/* Ask the guest to shrink or grow to @target_bytes of memory. -EOPNOTSUPP: it has no balloon, or no driver for it. */
int devs_balloon(struct devs *d, uint64_t target_bytes, struct err *err) _must_check_;
uint64_t devs_balloon_bytes(const struct devs *d);    /* memory that the balloon has now */
void devs_stats(struct devs *d, struct hv_stats *st); /* fills n_devs and dev[] */

#endif
