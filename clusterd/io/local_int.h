/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by local*.c: local.c (the look), local_hv.c (hvdoms), local_run.c (start, stop, kill, watch), local_end.c (the host is
 * shut down), local_move.c (migrations),
 * local_park.c (suspended without quorum), local_reach.c (files).
 */
#ifndef HOSPES_CLUSTERD_IO_LOCAL_INT_H
#define HOSPES_CLUSTERD_IO_LOCAL_INT_H

#include "clusterd/io/local.h"
#include "clusterd/io/migorder.h"
#include "clusterd/io/probe.h"
#include "hypervisor/api/hva.h"
#include "hypervisor/api/hypercall.h"
#include "hypervisor/api/launch.h"

/* A domain of this host. What belongs to an operation is forgotten when the state names another one (begin() in local.c). */
struct ldom {
	struct ldom *next;
	struct local *l;
	char uuid[CLU_UUID_MAX], name[CLU_NAME_MAX];
	/* The operation */
	enum clu_todo todo;          /* at the last look */
	uint64_t op_id;
	char doing[CLU_TEXT_MAX];    /* for people; "" nothing */
	char why[CLU_TEXT_MAX];      /* of whatever failed */
	uint64_t said_ns;            /* when its result was sent last */
	struct probe probe;          /* of its storage */
	char news[CLU_TEXT_MAX];     /* to be told once: what its watchdog did, if it lives on; "" nothing */
	/* Its hvdom */
	struct {
		bool alive;              /* its lock is held */
		uint64_t alive_ns;       /* since when */
		struct hva *link;        /* NULL: not connected */
		bool have_info;
		struct hv_info info;     /* the last answer */
		uint64_t info_ns;        /* when it came */
		uint64_t asked_ns;       /* when the INFO under way was sent; 0: none is */
		uint64_t stats_ns;       /* when STATS was sent last */
		bool wait_said;          /* that a disk of its does not answer is told */
		bool stuck_said;         /* that its hvdom stands in the kernel is told */
	} hv;
	/* What its last event said about its end */
	struct {
		enum clu_seen by;        /* 0: nothing */
		char text[CLU_TEXT_MAX];
	} ended;
	struct {
		uint64_t cpu_ns, at_ns;  /* of the last STATS, and when that came; at_ns 0: none */
		struct clu_dom_load load, said; /* said: what others know */
	} usage;
	struct {
		pid_t pid;               /* hvdom that we started and that is not ready yet; 0: none */
		int ready_fd;            /* its word comes there; -1: none */
		struct loop_fd *ready_src;
		char line[ERR_TEXT_MAX]; /* that word so far */
		size_t line_len;
		uint64_t since_ns;       /* when it was started, or since when this host's lease is waited for */
		bool launched, failed;
		uint64_t lease_generation; /* what the next try has to go beyond */
	} start;
	/* STOP, and whatever else ends it */
	struct { uint64_t since_ns, destroy_ns; } stop; /* when it was asked to power off, when DESTROY was sent; 0: not */
	/* Suspended without quorum */
	struct { uint64_t since_ns, asked_ns; } park; /* 0: it is not; when UNPARK was sent last */
	/* PUSH, RESOLVE */
	struct {
		struct migorder *order;  /* under way with migrated */
		struct migorder *cancel; /* of the push under way, which is to stop instead */
		uint64_t push_op;        /* the operation that the push under way belongs to */
		bool pushed;             /* nothing else is under way, push; or done so */
		bool done, failed;       /* migrated said how it ended; badly */
		uint64_t order_ns, cancelled_ns;
		uint64_t waits_ns;       /* since when migrated is not to be reached (PUSH), or this copy is in doubt (RESOLVE); 0: not */
	} move;
};

struct lreach {
	uint64_t xml_id, next_ns, said_ns; /* of which text, when it is looked at again; when the verdict was sent last */
	uint32_t silent;                   /* times that its storage did not answer, in a row */
	struct reach_look *look;           /* under way */
	uint64_t checked_ns;               /* when hvdom said last that it can run it; 0: not of this text, or it could not */
};

struct local {
	struct loop *loop;
	struct nodeio *n;
	const struct hostconf *conf;
	struct ldom *doms;
	struct loop_timer *look;
	struct lreach *reach;    /* by slot, CLU_DOMS_MAX */
	uint32_t reach_next, reach_busy[2]; /* busy: questions under way; [1]: to storage that did not answer */
	struct workers *helpers;
	struct probe engines_probe; /* which engines has this host? */
	uint64_t engines_ns;     /* when that is asked again */
	bool have_engines;
	uint32_t engines;        /* CLU_ENGINE_*, the last answer */
	uint64_t usage_ns, usage_full_ns;
	struct hostcpu cpu;
	uint32_t said_cpu;
	uint64_t said_mem;
	uint64_t ending_ns;      /* this host is being shut down: until when guests may take to power off; 0: it is not */
	bool end_at_once;
	uint64_t list_sum;       /* of the list of the cluster's domains as written */
};

static inline uint32_t local_me(const struct local *l) { return nodeio_config(l->n)->node; }
void ldom_doing(struct ldom *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Send the result of @d's present operation, at most once a second. */
void ldom_result(struct ldom *x, const struct clu_dom *d, enum clu_result result, uint64_t generation, const char *text);
/* False: not now (once a second at most), or it could not be sent. */
bool ldom_observed(struct ldom *x, enum clu_seen seen, uint64_t generation, const char *text);

/* local_hv.c */
void ldom_look(struct ldom *x);            /* is it alive, what is its state: ask when due */
void ldom_disconnect(struct ldom *x);
/* It lives and does not answer, and not because its hvdom stands in the kernel, where storage keeps it: that is said, and waited for. */
bool ldom_hangs(struct ldom *x);
bool ldom_in_kernel(const struct ldom *x); /* its main thread is in an uninterruptible wait: no signal ends it before storage answers */
void ldom_call(struct ldom *x, uint16_t op, const void *req, size_t len);
void local_usage(struct local *l);

/* local_run.c */
void ldom_start(struct ldom *x, const struct clu_dom *d);
void ldom_stop(struct ldom *x, const struct clu_dom *d);
void ldom_watch(struct ldom *x, const struct clu_dom *d);
bool ldom_kill(struct ldom *x, const struct clu_dom *d); /* @d: NULL: not in the cluster. True: nothing of it is left, and no marker */
void ldom_launch_drop(struct ldom *x);

/* SHUTDOWN, after @grace_ns DESTROY, then SIGKILL: what of that is due. */
void ldom_end(struct ldom *x, uint64_t grace_ns);

/* local_end.c */
/* This host is being shut down. True: what is due for that was done; there is nothing else to do with it in this look. */
bool ldom_ending(struct ldom *x, const struct clu_dom *d, enum clu_todo todo);
/* The same where nothing is decided: only the copies are looked at. */
void ldom_ending_alone(struct ldom *x);

/* local_move.c */
void ldom_push(struct ldom *x, const struct clu_dom *d);
void ldom_accept(struct ldom *x, const struct clu_dom *d);
void ldom_resolve(struct ldom *x, const struct clu_dom *d);
/* Is the push of an operation that is over still to say its last words? For a moment only. */
bool ldom_push_speaks(const struct ldom *x);
/* Have migrated settle a copy in doubt: it belongs here. Asked at most every 2 s. */
void ldom_claim(struct ldom *x);

/* local_park.c */
/* True: its hvdom is parked, and what is due for that was done; there is nothing else to do with it in this look. */
bool ldom_parked(struct ldom *x, const struct clu_dom *d);
static inline bool ldom_is_parked(const struct ldom *x) { return x->hv.have_info && x->hv.info.state == HV_DOM_PARKED; }

/*
 * Ask the storage of @x, once for its present operation. True: x->probe has the answer (which may be that there was none).
 */
bool ldom_ask(struct ldom *x, const struct clu_dom *d, enum probe_op op);

/* local_reach.c */
void local_reach_end(struct local *l);
void local_reach(struct local *l);
void local_engines_look(struct local *l); /* asks hvdom, when it is time */
void local_list(struct local *l);

#endif
