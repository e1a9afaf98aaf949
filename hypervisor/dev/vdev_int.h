/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the files of devices and transports: a virtio device behind its ops table, a transport behind its own, and the set of devices.
 * A device does not know its transport, and a transport does not know what its device does.
 * Threading: the io thread, except where something says otherwise.
 *
 * Adding a device: a file with a `static const struct vdev_ops` and a constructor, a line in open_devices().
 * Adding a transport: a file with a `const struct vdev_transport_ops` and a header for the engine that connects devices through it.
 */
#ifndef HOSPES_HYPERVISOR_DEV_VDEV_INT_H
#define HOSPES_HYPERVISOR_DEV_VDEV_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include "common/buf.h"
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/dev/devs.h"
#include "hypervisor/dev/virtq.h"

#define VDEV_QUEUES_MAX 5u
#define VDEV_CONFIG_MAX 64u
#define VDEV_MAX        HV_DEVS_MAX

#define VIRTIO_RING_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_RING_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_VERSION_1          (1ull << 32)
#define VDEV_F_COMMON               (VIRTIO_RING_F_INDIRECT_DESC | VIRTIO_RING_F_EVENT_IDX | VIRTIO_F_VERSION_1)

struct vdev;
struct blkio;
struct flash;

/* Ops that only some kinds of devices have. Every op of a table is set. */
struct vdev_storage_ops {
	int (*lock)(struct vdev *v, struct err *err); /* these on any thread; see devs_lock() ... devs_writeback() */
	void (*unlock)(struct vdev *v);
	int (*sync)(struct vdev *v, struct err *err);
	bool (*dirty)(const struct vdev *v); /* memory knows something that its image does not, nor the kernel; any thread */
	void (*writeback)(struct vdev *v);
	void (*retry)(struct vdev *v);                          /* try held requests: all while running, else the first */
	unsigned (*in_flight)(const struct vdev *v);            /* requests that the storage has; after the last one devs_drained() */
	unsigned (*held)(const struct vdev *v);                 /* requests that are held */
	int (*held_err)(const struct vdev *v);                  /* errno of the last request that was held, 0: none is */
	uint64_t (*age_ns)(const struct vdev *v, uint64_t now); /* of the oldest request in flight, 0: none. Any thread */
	int (*grow)(struct vdev *v, uint64_t bytes, struct err *err); /* devs_grow(); any thread but the io thread, blocks */
	void (*grown)(struct vdev *v);                          /* after it: the driver hears of the new size */
};
struct vdev_net_ops {
	void (*announce)(struct vdev *v);
	void (*hand_over)(struct vdev *v);
};
struct vdev_console_ops {
	int (*attach)(struct vdev *v, int fd, bool take, struct err *err); /* takes ownership of @fd, on success */
	int (*line)(struct vdev *v, int fd, struct err *err); /* the guest's side is @fd, not rings; owned, also on failure */
	void (*pause)(struct vdev *v, bool on);               /* of a line: the devices are quiesced, or go on */
};
struct vdev_balloon_ops {
	void (*target)(struct vdev *v, uint64_t target_bytes);
	uint64_t (*bytes)(const struct vdev *v);
};

/* Every op is set, except tables of a kind that the device is not. Work per call is bounded, so that no device starves another. */
struct vdev_ops {
	uint32_t virtio_id;
	void (*acked)(struct vdev *v); /* v->features are known, from the driver or from a saved state */
	void (*start)(struct vdev *v); /* may use ready queues and poll own sources; called again when a queue is enabled */
	void (*stop)(struct vdev *v);  /* poll nothing, finish in-flight I/O (blocking), give prefetched chains back */
	void (*run)(struct vdev *v, unsigned q); /* queue @q was kicked; vdev_again() when the budget ends first */
	void (*config_set)(struct vdev *v, unsigned offset, const uint8_t *p, unsigned len); /* the driver writes its config */
	void (*reset)(struct vdev *v); /* the driver is gone: forget what it said */
	void (*save)(struct vdev *v, struct buf *out); /* append the device's own state */
	/* Called twice: first without @commit, to check, then to take over. -EINVAL */
	int (*load)(struct vdev *v, struct rd *in, bool commit, struct err *err);
	void (*free)(struct vdev *v); /* the device's own part and @v itself */
	const struct vdev_storage_ops *storage;
	const struct vdev_net_ops *net;
	const struct vdev_console_ops *console;
	const struct vdev_balloon_ops *balloon;
};

/*
 * How drivers reach their devices, the same way for all devices of a domain; the engine chooses it. The transport checks each request of
 * the driver and carries it out with vdev_ack(), vdev_enable(), vdev_reset(), vdev_run_pending() and the queues' vq_conf. v->port is its
 * own part of a device. Every op is set, none blocks.
 */
struct vdev_transport_ops {
	uint64_t features;                            /* virtio feature bits that it adds to a device's offer */
	int (*open)(struct vdev *v, struct err *err); /* set v->port; no driver is connected */
	void (*free)(struct vdev *v);                 /* close() and free v->port, which may be NULL */
	void (*close)(struct vdev *v);                /* cut the driver off, reset the device */
	bool (*connected)(const struct vdev *v);      /* a driver is connected: the device may run */
	int (*watch)(struct vdev *v, bool on);        /* listen to the driver, or not. -ENOMEM */
	void (*drain)(struct vdev *v);                /* while not listening: carry out the requests that have arrived whole */
	void (*call)(struct vdev *v, unsigned q);     /* tell the driver of used entries in queue @q */
	void (*config_changed)(struct vdev *v);       /* tell the driver of a new config */
	/* Its part of a device's record (docs/wire/devstate.md): returns the word, appends the octets to @out. */
	uint64_t (*save)(const struct vdev *v, struct buf *out);
	/* Called twice: first without @commit, to check, then to take over. -EINVAL */
	int (*load)(struct vdev *v, uint64_t word, const void *p, size_t len, bool commit, struct err *err);
	void (*look)(const struct vdev *v, char *buf, size_t len); /* its messages that wait, for the log */
};

struct vdev {
	const struct vdev_ops *ops;
	const struct vdev_transport_ops *transport; /* the set's, but for what is not virtio (nblk.c, enic.c) */
	void *port; /* the transport's own part, NULL: not open */
	struct devs *devs;
	char name[16];
	uint64_t offered, features; /* virtio feature bits: ours, and the driver's choice */
	uint8_t config[VDEV_CONFIG_MAX];
	unsigned config_len;
	struct vq vq[VDEV_QUEUES_MAX];
	unsigned n_vq;
	uint32_t pending;   /* queues with news */
	bool running;       /* between start and stop */
	bool kick_all;      /* the next start treats every queue as kicked */
	bool config_news;   /* the driver has not read the config since it changed */
	const char *broken; /* reason, static text; NULL: sound */
	struct hv_dev_stats st;
};

struct devs {
	const struct dom_config *cfg; /* borrowed */
	const struct vdev_transport_ops *transport;
	struct devs_events ev;
	struct loop *loop;
	pthread_t thread;
	bool started;         /* the io thread runs; before, devs_call() runs in place */
	pthread_mutex_t lock; /* of orders to the io thread, and of what says so below */
	pthread_cond_t cond;
	struct guestmem *mem; /* borrowed, NULL: not set */
	bool quiesced;        /* the io thread's */
	bool drained;         /* quiesced, and no disk request is under way; under the lock */
	unsigned quiesce_gen; /* counts resumes: a devs_quiesced() of before gives up; under the lock */
	atomic_bool parks;    /* vuqemu_park() */
	unsigned beat_s;      /* the main thread's copy of the heartbeat's period, for when the io thread does not answer */
	uint64_t balloon_bytes;
	int again_fd; /* eventfd: some device has pending queues */
	struct loop_fd *again_src;
	struct blkio *blkio;      /* NULL: no disks */
	struct flash *flash;      /* NULL: no firmware with variables */
	struct vdev *v[VDEV_MAX]; /* owned */
	size_t n;
	struct vdev *agent; /* the guest agent's console, one of them */
};

#define ASK_NS (200 * NS_PER_MS) /* limit of questions whose answer is only shown */
/* devs.c: run @fn on the io thread and wait for it. -ETIMEDOUT: it did not begin within @limit_ns (or CALL_NS), and never does. */
int devs_call(struct devs *d, int (*fn)(struct devs *d, void *arg, struct err *err), void *arg, struct err *err);
int devs_call_for(struct devs *d, int (*fn)(struct devs *d, void *arg, struct err *err), void *arg, uint64_t limit_ns,
                  struct err *err);

/* vdev.c: life of a device */
void vdev_setup(struct vdev *v, struct devs *d, const struct vdev_ops *ops, const char *name, unsigned n_vq,
                uint64_t features);
void vdev_start(struct vdev *v); /* when it may run; idempotent */
void vdev_stop(struct vdev *v);
void vdev_reset(struct vdev *v);
void vdev_break(struct vdev *v, const char *why); /* @why: static text */
void vdev_ack(struct vdev *v, uint64_t features);
void vdev_enable(struct vdev *v, unsigned q, bool on);
void vdev_run_pending(struct vdev *v);
void vdev_again(struct vdev *v, unsigned q); /* run queue @q again after the others had their turn */
void vdev_flush(struct vdev *v, unsigned q); /* publish used entries and call the driver if it wants that */
void vdev_config_changed(struct vdev *v);
void vdev_save(struct vdev *v, struct buf *out);
/* Check one device's record, and with @commit take it over. -EINVAL. */
int vdev_load(struct vdev *v, struct rd *in, bool commit, struct err *err) _must_check_;

/*
 * Constructors: the caller owns *ret, and borrows @cfg to consoles; disks and NICs copy it. A console without @cfg is an agent's. @files
 * NULL: opened by path and by name.
 */
int vblk_new(struct devs *d, const struct dom_disk *cfg, struct devs_files *files, struct vdev **ret, struct err *err) _must_check_;
int nblk_new(struct devs *d, const struct dom_disk *cfg, struct devs_files *files, struct vdev **ret, struct err *err) _must_check_;
int vnet_new(struct devs *d, const struct dom_nic *cfg, struct devs_files *files, struct vdev **ret, struct err *err) _must_check_;
int enic_new(struct devs *d, const struct dom_nic *cfg, struct devs_files *files, struct vdev **ret, struct err *err) _must_check_;
int vconsole_new(struct devs *d, const struct dom_char *cfg, unsigned index, struct vdev **ret,
                 struct err *err) _must_check_;
int vrng_new(struct devs *d, unsigned index, struct vdev **ret, struct err *err) _must_check_;
int vballoon_new(struct devs *d, struct vdev **ret, struct err *err) _must_check_;

/* devs.c: a disk request ended while quiesced: was it the last one? */
void devs_drained(struct devs *d);
/* The guest agent's console: its heartbeat, as in devs.h. */
void vconsole_beat_anew(struct vdev *v);
bool vconsole_silent(struct vdev *v);
void vconsole_beat_give_back(struct vdev *v, uint64_t ns);
unsigned vconsole_beat(const struct vdev *v);
uint64_t vconsole_heard_ns(const struct vdev *v); /* time of the last heartbeat, 0: none */

#endif
