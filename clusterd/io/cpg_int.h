/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by cpg.c (the loop's side), cpgthread.c (a thread that alone calls Corosync's libraries) and cpgconf.c (its configuration). Orders
 * go to the thread, events come back, each through a queue in order; nothing else is shared.
 */
#ifndef HOSPES_CLUSTERD_IO_CPG_INT_H
#define HOSPES_CLUSTERD_IO_CPG_INT_H

#include <corosync/cmap.h>
#include <corosync/cpg.h>
#include <corosync/votequorum.h>
#include <pthread.h>
#include "clusterd/io/cpg.h"

#define CPG_QUEUE_MAX (64u << 20) /* octets that wait for Corosync */
#define CPG_READ_MAX  (64u << 20) /* octets that wait for the loop: then nothing more is taken from Corosync */

enum cpg_ev_kind {
	CPG_EV_UP,        /* in the group, or about to be: events of a new connection follow */
	CPG_EV_DOWN,      /* that connection is over */
	CPG_EV_CONFIG,    /* answer it */
	CPG_EV_VIEW, CPG_EV_MESSAGE, CPG_EV_QUORATE, CPG_EV_BATCH_END,
	CPG_EV_STATE,     /* text; len 0: all is well */
};

struct cpg_ev { /* what follows is of VIEW: members; MESSAGE: octets; CONFIG: struct cpg_config; STATE: text, terminated */
	struct cpg_ev *next;
	enum cpg_ev_kind kind;
	uint64_t conn;       /* number of the connection */
	uint64_t ring;
	uint32_t node, n;    /* MESSAGE: the sender; VIEW: members; QUORATE: whether */
	size_t len;
	uint8_t data[];
};

struct cpg_out { struct cpg_out *next; uint64_t conn; size_t len; uint8_t data[]; };

/* Both sides hold this. The loop's side frees it when the thread has ended; if that hangs, nobody does. */
struct cpgshared {
	pthread_mutex_t lock;
	int to_loop, to_thread;          /* eventfds: there is something for that side */
	bool orphan;                     /* the loop's side is gone: end */
	struct cpg_ev *ev, **ev_end;
	size_t ev_bytes;
	bool paused;                     /* the thread reads no more until the loop has caught up */
	struct cpg_out *out, **out_end;
	size_t out_bytes;                /* also of those that the thread took and Corosync did not */
	bool enabled, again;             /* orders */
	uint64_t leave_conn;             /* leave this connection and join anew */
	uint64_t answer_conn; int answer; char answer_text[ERR_TEXT_MAX]; /* to CONFIG; answer_conn 0: none */
	uint64_t busy_ns;                /* since when the thread is in one call of Corosync's libraries; 0: it is not */
};

/* The thread's own. */
struct cpgthread {
	struct cpgshared *s;
	struct loop *loop;
	bool asking, connected, joined, broken, config_changed;
	uint64_t conn;                   /* number of the present connection, or of the last one */
	cpg_handle_t cpg;
	votequorum_handle_t vq;
	cmap_handle_t cmap;
	bool have_cpg, have_vq, have_cmap;
	bool held;                       /* cpg is not read: s->paused */
	struct loop_fd *orders, *cpg_src, *vq_src, *cmap_src;
	struct loop_timer *again, *retry, *check;
	uint64_t flowed_ns;              /* Corosync took a message */
	uint64_t backoff_ns;
	struct cpg_config cfg, asked;    /* accepted by the loop's side; the one that it is asked about */
	uint64_t ring;
	uint32_t n_members, member[CLU_HOSTS_MAX];
	bool have_ring, view_changed;
	struct cpg_ev *down;             /* of this connection, made in time: it must not fail */
	struct cpg_out *first, **last;   /* what Corosync did not take yet */
	const char *why;                 /* broken, because; static text */
	char said[ERR_TEXT_MAX];
};

/* cpg.c: from either side */
void cpgshared_wake(int fd);
void cpgshared_free(struct cpgshared *s);

/* cpgthread.c */
struct cpgthread *cpgthread_new(struct cpgshared *s); /* NULL: out of memory */
void cpgthread_free(struct cpgthread *t);             /* of one that does not run; takes NULL */
void *cpgthread_run(void *arg);                       /* a struct cpgthread, which it frees at its end: s->orphan */

/* cpgconf.c */
int cpg_read_config(struct cpgthread *t, struct cpg_config *cfg, struct err *err) _must_check_;
void cpg_read_votes(struct cpgthread *t, struct cpg_config *cfg);

#endif
