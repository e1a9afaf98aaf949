/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by local.c (the look), local_hv.c (hvdoms), local_run.c (start, stop, kill, watch), local_end.c (shutdown of the host),
 * local_move.c (migrations), local_park.c (domains suspended without quorum) and local_reach.c (files, engines).
 */
#ifndef HOSPES_CLUSTERD_IO_LOCAL_INT_H
#define HOSPES_CLUSTERD_IO_LOCAL_INT_H

#include "clusterd/io/local.h"
#include "clusterd/io/migorder.h"
#include "clusterd/io/probe.h"
#include "hypervisor/api/hva.h"
#include "hypervisor/api/hypercall.h"

/* A domain of this host. The fields of an operation are reset when the state names another one (begin() in local.c). */
struct ldom {
	struct ldom *next;
	struct local *l;
	char uuid[CLU_UUID_MAX], name[CLU_NAME_MAX];
	/* The operation */
	enum clu_todo todo;          /* at the last look */
	uint64_t op_id;
	char doing[CLU_TEXT_MAX];    /* for people; "": nothing */
	char why[CLU_TEXT_MAX];      /* why it failed */
	uint64_t said_ns;            /* when a result was last sent */
	struct probe probe;          /* of its storage */
	char news[CLU_TEXT_MAX];     /* to be reported once, if it lives on: what its watchdog did, ...; "": nothing */
	struct { /* its hvdom */
		bool alive;              /* it is connected, or its lock is held */
		uint64_t alive_ns;       /* since when */
		struct hva *link;        /* owned; NULL: not connected */
		bool have_info;
		struct hv_info info;     /* the last answer to INFO */
		uint64_t info_ns;        /* when it came */
		uint64_t well_ns;        /* since when it says that all is well; 0: it does not */
		uint64_t asked_ns;       /* when the INFO under way was sent; 0: none is */
		uint64_t stats_ns;       /* when STATS was last sent */
		bool wait_said;          /* reported: a disk does not answer */
		bool stuck_said;         /* reported: its hvdom is stuck in the kernel */
	} hv;
	struct { /* its end, by its last event */
		enum clu_seen by;        /* 0: it has not ended */
		char text[CLU_TEXT_MAX];
	} ended;
	struct {
		uint64_t cpu_ns, at_ns;  /* of the last STATS, and when that came; at_ns 0: none */
		struct clu_dom_load load, said; /* said: as the other nodes know it */
	} usage;
	struct {
		pid_t pid;               /* hvdom that was started and is not ready yet; 0: none */
		int ready_fd;            /* the pipe on which it becomes ready, owned; -1: none */
		struct loop_fd *ready_src;
		char line[ERR_TEXT_MAX]; /* read from it so far */
		size_t line_len;
		uint64_t since_ns;       /* when it was started, or since when this host's lease is waited for */
		bool launched, failed;
		uint64_t lease_generation; /* of the lease on disk: the next try needs a higher one */
	} start;
	struct { uint64_t since_ns, destroy_ns; } stop; /* when it was asked to power off; when DESTROY was sent; 0: not */
	struct { uint64_t since_ns, asked_ns; } park;   /* since when it is suspended without quorum, 0: it is not; when UNPARK was sent */
	struct { /* PUSH, RESOLVE */
		struct migorder *order;  /* owned; under way with migrated */
		struct migorder *cancel; /* owned; cancels the push under way */
		uint64_t push_op;        /* op_id of the push under way */
		bool pushed;             /* no other migration is in the way: the push may be ordered, or has been */
		bool done, failed;       /* migrated reported the end; a failure */
		bool called_off;         /* somebody wants it to end here */
		uint64_t order_ns, cancelled_ns;
		uint64_t waits_ns;       /* since when migrated cannot be reached (PUSH), or this copy is in doubt (RESOLVE); 0: not */
	} move;
};

/* Whether this host could start a domain, by slot. */
struct lreach {
	uint64_t xml_id, next_ns, said_ns; /* of the XML that was checked; next check; when the verdict was last sent */
	uint32_t silent;                   /* how often in a row its storage did not answer */
	struct reach_look *look;           /* under way; owned */
	uint64_t checked_ns;               /* when hvdom last said that it can run it; 0: not for this XML, or it cannot */
};

struct local {
	struct loop *loop;
	struct nodeio *n;
	const struct hostconf *conf;
	struct ldom *doms;
	struct loop_timer *look;
	struct lreach *reach;    /* by slot, CLU_DOMS_MAX */
	uint32_t reach_next, reach_busy[2]; /* busy: checks under way; [1]: of storage that did not answer before */
	struct workers *helpers;
	struct probe engines_probe;
	uint64_t engines_ns;     /* when hvdom is next asked for the engines */
	bool have_engines;
	struct hostengines engines; /* its last answer */
	uint64_t usage_ns, usage_full_ns;
	struct hostcpu cpu;
	uint32_t said_cpu;
	uint64_t said_mem;
	uint64_t ending_ns;      /* see local_ending() */
	bool end_at_once;
	uint64_t list_sum;       /* of the list of the cluster's domains as written */
};

static inline uint32_t local_me(const struct local *l) { return nodeio_config(l->n)->node; }

/* local.c */
void ldom_doing(struct ldom *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Send the result of @d's present operation; at most once a second. */
void ldom_result(struct ldom *x, const struct clu_dom *d, enum clu_result result, uint64_t generation, const char *text);
/* Send OBSERVED. False: not sent (at most once a second, or no connection). */
bool ldom_observed(struct ldom *x, enum clu_seen seen, uint64_t generation, const char *text);
/* Ask the storage of @x, once for its present operation. True: x->probe has the answer, which may be that none came. */
bool ldom_ask(struct ldom *x, const struct clu_dom *d, enum probe_op op);

/* local_hv.c */
void ldom_look(struct ldom *x);            /* see whether it lives; ask for its state when that is due */
void ldom_disconnect(struct ldom *x);
/* True if it lives and does not answer. False while its hvdom is stuck in the kernel, because of storage: that is reported. */
bool ldom_hangs(struct ldom *x);
bool ldom_in_kernel(const struct ldom *x); /* its main thread is in an uninterruptible wait (state D), and no signal ends it */
void ldom_call(struct ldom *x, uint16_t op, const void *req, size_t len);
void local_usage(struct local *l);

/* Each is one look: it does what is due and returns. local_run.c */
void ldom_start(struct ldom *x, const struct clu_dom *d);
void ldom_stop(struct ldom *x, const struct clu_dom *d);
void ldom_watch(struct ldom *x, const struct clu_dom *d);
bool ldom_kill(struct ldom *x, const struct clu_dom *d); /* @d NULL: not in the cluster. True: nothing of it is left, no marker either */
void ldom_launch_drop(struct ldom *x);
void ldom_end(struct ldom *x, uint64_t grace_ns); /* SHUTDOWN, after @grace_ns DESTROY, then SIGKILL */

/* local_end.c. The host is being shut down. True: done for this look. */
bool ldom_ending(struct ldom *x, const struct clu_dom *d, enum clu_todo todo);
void ldom_ending_alone(struct ldom *x); /* without quorum: looks at the copy only */

/* local_move.c */
void ldom_push(struct ldom *x, const struct clu_dom *d);
void ldom_accept(struct ldom *x, const struct clu_dom *d);
void ldom_resolve(struct ldom *x, const struct clu_dom *d);
bool ldom_push_speaks(const struct ldom *x); /* for a moment after a push: its last report may still come */
void ldom_claim(struct ldom *x); /* order migrated to settle a copy in doubt: it belongs here. At most every 2 s */

/* local_park.c. True: its hvdom is parked, and this look is done. */
bool ldom_parked(struct ldom *x, const struct clu_dom *d);
static inline bool ldom_is_parked(const struct ldom *x) { return x->hv.have_info && x->hv.info.state == HV_DOM_PARKED; }

/* local_reach.c */
void local_reach_end(struct local *l);
void local_reach(struct local *l);
void local_engines_look(struct local *l);
void local_list(struct local *l);

#endif
