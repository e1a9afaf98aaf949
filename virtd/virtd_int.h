/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * hospes-virtd inside: the server, its connections, calls and the table of procedures. docs/wire/libvirt-rpc.md says
 * what goes over the wire, ADR 86 why it is made so.
 *
 * Threads: connections, streams and events belong to the loop's thread. A call whose procedure is not VD_LOOP runs on
 * a thread of the pool, where it may block. It sees only its struct vd_call, and the server's constant part and what
 * says it is locked.
 */
#ifndef HOSPES_VIRTD_VIRTD_INT_H
#define HOSPES_VIRTD_VIRTD_INT_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/buf.h"
#include "common/err.h"
#include "common/loop.h"
#include "tools/vmhost.h"
#include "virtd/vdargs.h"
#include "virtd/vdevent.h"
#include "virtd/vdstore.h"

/* Limits. */
#define VD_CLIENTS_MAX   1200u
#define VD_MSG_MAX       (8u << 20) /* octets of a message; libvirt's own limit is 32 MiB, which nothing here needs */
#define VD_RUNNING_MAX   5u         /* calls of a client that run */
#define VD_WAITING_MAX   64u        /* ... and that wait; beyond that nothing is read from it */
#define VD_OUT_CALM      (1u << 20) /* more than this unread: no further call of it is begun, no stream read */
#define VD_STREAMS_MAX   16u        /* of a client */
#define VD_CALLBACKS_MAX 64u
#define VD_THREADS       32u
#define VD_THREADS_LONG  24u        /* of them for calls that may take minutes */
#define VD_TLS_HANDSHAKES_MAX 1000u
#define VD_KEEPALIVE_S   5u
#define VD_KEEPALIVE_N   6u         /* unanswered: the client is gone */

#define VD_HEADER      28u /* octets of length and header */
#define VD_PROG_REMOTE 0x20008086u
#define VD_PROG_QEMU   0x20008087u
#define VD_PROG_LXC    0x00068000u
#define VD_PROG_ALIVE  0x6b656570u

enum vd_type { VD_CALL, VD_REPLY, VD_MESSAGE, VD_STREAM_DATA, VD_CALL_FDS, VD_REPLY_FDS, VD_STREAM_HOLE };
enum vd_status { VD_OK, VD_ERROR, VD_CONTINUE };
/* libvirt's error codes, and the part of libvirt that they come from. */
enum vd_code {
	VD_E_INTERNAL = 1, VD_E_MEMORY = 2, VD_E_NO_SUPPORT = 3, VD_E_INVALID_ARG = 8, VD_E_FAILED = 9,
	VD_E_XML = 27, VD_E_DENIED = 29, VD_E_RPC = 39, VD_E_NO_DOMAIN = 42, VD_E_INVALID = 55,
	VD_E_NO_POOL = 49, VD_E_NO_VOL = 50, VD_E_UNSUPPORTED = 67, VD_E_TIMEOUT = 68, VD_E_ABORTED = 78, VD_E_NO_METADATA = 80,
	VD_E_AGENT = 86, VD_E_BUSY = 87,
};
#define VD_FROM_DOM 6
#define VD_FROM_RPC 7

struct vd_header { uint32_t program, version, procedure, type, serial, status; };

struct vd_server;
struct vd_conn;
struct vd_call;
struct vd_snapshot;

#define VD_RO   1u /* also for read-only clients */
#define VD_LOOP 2u /* runs on the loop's thread: never blocks */
#define VD_LONG 4u /* may take minutes */
#define VD_EARLY 8u /* also before CONNECT_OPEN */

struct vd_proc {
	uint16_t number;
	const char *name;
	const char *sig;                     /* of its arguments: vdargs.h */
	unsigned flags;
	int (*fn)(struct vd_call *c);        /* 0 with the reply in out, or vd_fail() */
	void (*done)(struct vd_conn *conn, struct vd_call *c); /* on the loop, before the reply; NULL: nothing */
};

/* What a client's URI names: hospes:///system is this host, hospes:///cluster all of them. */
enum vd_scope { VD_SYSTEM, VD_CLUSTER, VD_SCOPES };

struct vd_call {
	struct vd_call *next;
	struct vd_server *srv;
	struct vd_conn *conn;                /* NULL: it has gone; loop thread only */
	const struct vd_proc *proc;
	int (*fn)(struct vd_call *c);        /* what serves it in its scope */
	struct vd_header h;
	bool readonly;                       /* of the client */
	enum vd_scope scope;                 /* of the client */
	struct buf msg;                      /* the arguments' octets */
	struct vd_args args;
	struct buf out;                      /* the reply's payload */
	int code;                            /* enum vd_code; 0: no error */
	int from;                            /* VD_FROM_* */
	char text[ERR_TEXT_MAX];
	int fd;                              /* console, copy: the stream's socket, owned; -1 */
	struct vd_copy *copy;                /* a volume's; a reference; NULL: none */
	struct vd_snapshot *snapshot;        /* of event registration and scans; owned */
};

/* What a client asked to be told. */
struct vd_callback { struct vd_callback *next; int32_t id; uint32_t event; bool one; uint8_t uuid[XDR_UUID]; };

struct vd_copy;
struct vd_stream;

struct vd_conn {
	struct vd_conn *next;
	struct vd_server *srv;
	int fd;                              /* owned */
	struct loop_fd *src;
	bool readonly, opened, keepalive, dead;
	bool full;                           /* nothing is read from it */
	enum vd_scope scope;
	unsigned unanswered;                 /* pings */
	char *who;                           /* for the log: process and user, or address and distinguished name; owned */
	struct buf in, out;
	size_t out_at;                       /* sent of out */
	unsigned running, n_waiting;
	size_t waiting_bytes;
	struct vd_call *waiting, **waiting_end;
	struct vd_stream *streams;
	unsigned n_streams;
	struct vd_callback *callbacks;
	unsigned n_callbacks;
	int32_t next_callback;
};

struct vd_pool;
struct vd_tls;

struct vd_server {
	struct loop *loop;
	char host[64];
	struct vd_store store;
	struct vd_conn *conns;
	unsigned n_conns, n_copies;
	struct vd_listener {
		struct vd_server *srv;
		int fd;                      /* owned */
		bool readonly;
		char *path;                  /* owned */
		struct loop_fd *src;
	} listener[2];
	struct loop_timer *alive, *reap;
	struct vd_pool *pool;
	struct vd_tls *tls;                  /* NULL: it is not offered */
	volatile sig_atomic_t stop;          /* set at the end: long calls give up */
	struct vd_watch {
		struct vd_server *srv;
		struct loop_timer *scan;
		struct vd_snapshot *seen;    /* NULL: nobody asked for events */
		_Atomic bool known;          /* seen is not NULL; other threads may ask */
		_Atomic bool devices;        /* ... and in it are devices, or will be: somebody asked for events of those */
		bool scanning, again;        /* a look is under way; another one follows at once */
		struct vd_jobs jobs;         /* of the look that is under way */
	} watch[VD_SCOPES];
	pthread_mutex_t lock;
	struct vd_claim { struct vd_claim *next; const char *name; } *claims; /* locked: domains that a call changes */
};

/* vdconf.c */
struct vd_strings { char **s; size_t n; };
/* Names as libvirtd.conf has them. */
struct vd_tls_config {
	bool on;
	char *addr;                                     /* numeric; NULL: all */
	unsigned port, handshakes;
	char *key_file, *cert_file, *ca_file, *crl_file; /* crl_file NULL: the usual one, if it is there */
	struct vd_strings allowed, readonly;            /* patterns of distinguished names */
};
struct vd_config { char *socket, *socket_ro, *group; struct vd_store store; struct vd_tls_config tls; };  /* owned */
/* Read @path (NULL: <conf>/virtd.json), which need not exist. */
int vd_config_load(const char *path, struct vd_config *ret, struct err *err) _must_check_;
void vd_config_done(struct vd_config *cfg);
void vd_tls_config_done(struct vd_tls_config *cfg);

/* vdserver.c */
/* Takes @cfg's store and TLS settings. */
struct vd_server *vd_server_new(struct loop *loop, struct vd_config *cfg, struct err *err);
void vd_server_free(struct vd_server *s); /* takes NULL */

/* vdtls.c: TLS is spoken by hospes-virtd-tls, which hands over those whose certificate is good. */
/*
 * Listen, or take systemd's socket, and start it. *@ret NULL if it is not asked for. Takes @cfg. Waits until it serves. -errno: no
 * certificates, or the port is taken.
 */
int vd_tls_new(struct vd_server *s, struct vd_tls_config *cfg, struct vd_tls **ret, struct err *err) _must_check_;
void vd_tls_free(struct vd_tls *t); /* takes NULL; the clients' processes end with their connections */
void vd_tls_look(struct vd_tls *t); /* takes NULL; now and then: are there new certificates? */
void vd_tls_child(struct vd_server *s, pid_t pid); /* this child has ended */

/* vdconn.c */
/* @fd is owned from now on. @who is copied; NULL: by SO_PEERCRED. */
struct vd_conn *vd_conn_new(struct vd_server *s, int fd, bool readonly, const char *who);
/* @why NULL: not worth a line. It is freed once none of its calls runs. */
void vd_conn_drop(struct vd_conn *c, const char *why);
void vd_conn_free(struct vd_conn *c);
void vd_conns_reap(void *srv);                /* frees what was dropped */
void vd_conn_finished(struct vd_call *call);  /* a call came back from the pool; frees it */
void vd_conn_ping(struct vd_conn *c);
/* Queue a message. */
void vd_send(struct vd_conn *c, const struct vd_header *h, const void *payload, size_t len);
void vd_send_error(struct vd_conn *c, const struct vd_header *of, enum vd_type type, int code, int from,
                   const char *text);
void vd_conn_watch(struct vd_conn *c);        /* after room was made */
size_t vd_unsent(const struct vd_conn *c);
void vd_call_free(struct vd_call *call);
/* The error of @c; -1. */
int vd_fail(struct vd_call *c, enum vd_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int vd_fail_err(struct vd_call *c, int r, const struct err *err); /* by errno @r */

/* vdstream.c */
/* @fd and @copy's reference (NULL: a console) are owned. */
void vd_stream_new(struct vd_conn *c, const struct vd_header *h, int fd, struct vd_copy *copy);
bool vd_streams_full(const struct vd_conn *c); /* volumes do not take what the client sends as fast: nothing is read from it */
void vd_stream_message(struct vd_conn *c, const struct vd_header *h, const void *p, size_t len);
void vd_streams_calm(struct vd_conn *c);      /* after output was sent */
void vd_streams_free(struct vd_conn *c);

/* vdpool.c */
struct vd_pool *vd_pool_new(struct loop *loop, void (*finished)(struct vd_call *c));
void vd_pool_run(struct vd_pool *p, struct vd_call *c); /* @c is the pool's until finished() */
/* Takes NULL. Waits some seconds; false: threads are left, which still use their calls. */
bool vd_pool_free(struct vd_pool *p);

/* vdevent.c */
/* All domains of @c's scope. Blocks; NULL: out of memory, a directory cannot be read, or clusterd says nothing. */
struct vd_snapshot *vd_snapshot_take(struct vd_call *c);
void vd_snapshot_free(struct vd_snapshot *s); /* takes NULL */
/* Tell the difference. @now is owned from now on; NULL: it could not be looked. */
void vd_events_seen(struct vd_server *s, enum vd_scope scope, struct vd_snapshot *now);
bool vd_event_is_of_devices(uint32_t id);
/* @seen knows no devices yet: those of @now, which was taken since. */
void vd_events_devices(struct vd_snapshot *seen, const struct vd_snapshot *now);
bool vd_events_wanted(const struct vd_server *s, enum vd_scope scope);
void vd_events_look(struct vd_server *s, enum vd_scope scope); /* soon, and not only in the next round */

/* vdproc.c */
const struct vd_proc *vd_proc_find(uint32_t number);
const struct vd_proc *vd_proc_find_qemu(uint32_t number); /* of the program for QEMU's domains */
const struct vd_proc *vd_proc_all(size_t *ret_n);

/* vdh_cluster.c */
/* What serves a procedure for a client of the cluster. NULL: it is not to be had there. */
int (*vd_cluster_fn(const struct vd_proc *proc))(struct vd_call *c);
struct vd_snapshot *vd_cluster_snapshot(struct vd_call *c); /* as vd_snapshot_take() */

/* vdh_dom.c: domains of calls. */
/* The domain of argument @i. Found by name if its uuid is that one, else by uuid. vmhost_dom_done() after 0. */
int vd_find(struct vd_call *c, unsigned i, struct vmhost_dom *ret) _must_check_;
int vd_find_name(struct vd_call *c, const char *name, struct vmhost_dom *ret) _must_check_;
int vd_find_uuid(struct vd_call *c, const uint8_t uuid[XDR_UUID], struct vmhost_dom *ret) _must_check_;
/* Replace the XML @*xml (owned by the caller) by what everybody may read of it. */
int vd_hide_secrets(char **xml, struct err *err) _must_check_;
bool vd_is_there(const struct vmhost_dom *d);   /* libvirt would list it */
bool vd_is_active(const struct vmhost_dom *d);
int32_t vd_id(const struct vmhost_dom *d);
void vd_uuid(const struct vmhost_dom *d, uint8_t ret[XDR_UUID]);
void vd_uuid_text(const uint8_t uuid[XDR_UUID], char ret[37]);
void vd_uuid_of_text(const char *text, uint8_t ret[XDR_UUID]); /* zeros if it is none */
void vd_put_found(struct buf *b, const struct vmhost_dom *d);
void vd_state(const struct vmhost_dom *d, int32_t *state, int32_t *reason);
/* One call of its hvdom; an error is the call's. */
int vd_hvcall(struct vd_call *c, const char *name, uint16_t op, const void *req, size_t len, void *rep,
              size_t cap) _must_check_;
/* Only one call at a time changes a domain. */
int vd_claim(struct vd_call *c, struct vd_claim *claim, const char *name) _must_check_;
void vd_release(struct vd_call *c, struct vd_claim *claim);

#endif
