/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by outgoing*.c: one source session. */
#ifndef HOSPES_MIGRATED_IO_OUTGOING_INT_H
#define HOSPES_MIGRATED_IO_OUTGOING_INT_H

#include "hypervisor/api/hypercall.h"
#include "migrated/core/source.h"
#include "migrated/io/outgoing.h"
#include "migrated/io/pump.h"

#define OUTGOING_OVERHEAD_NS (25 * MIG_MS) /* expected blackout without pages */

struct outgoing {
	struct outgoing *next;
	struct migrated *d;
	struct push_order order;
	struct mig_source core;
	uint64_t session;
	struct peer peer;
	void (*report)(void *arg, json_t *obj); /* NULL: nobody listens */
	void *report_arg;
	bool queued;         /* waits until other migrations end */
	bool waited;         /* it did */
	struct knock *knock; /* the question whether its hvdom lives, before anything begins; NULL: answered */
	bool recovered;   /* from the journal: in doubt, or aborting */
	bool aborting;    /* the domain stayed here: Abort is repeated until the peer says GONE */
	bool peer_let_go; /* it said so */
	enum { NOTED = 0, NOTING, NOT_NOTED } noting; /* the record CALLED_OFF: written; being written; failed, to be repeated */
	bool ended, reported;                         /* the machine has finished; report() had the result */
	enum mig_outcome outcome;
	enum mig_reason reason;
	char peer_text[WIRE_TEXT_MAX + 1]; /* the peer's text of Refuse, Abort, Resolved */
	char local_text[ERR_TEXT_MAX];     /* ours, of a hypercall or worker that failed */
	/* domain */
	struct hv_info info;
	uint32_t logdirty_by; /* HV_LOGDIRTY_BY_*, of this push */
	struct hv_hello hello;
	uint64_t ram_used, dirty_pps; /* octets, pages per second: of hvdom's statistics */
	char *xml;
	struct hva *hva;
	struct memmap mem;
	bool mem_open;
	struct outpipe *pipe;
	uint8_t key[WIRE_KEY_BYTES];
	int state_fd;
	uint64_t state_bytes;
	/* peer */
	struct zsock *dealer, *monitor;
	bool connected, was_connected;
	unsigned retries;
	uint64_t caps;
	uint64_t rtt_ns;         /* the smallest, MIG_NEVER: none yet */
	int64_t clock_offset_ns; /* target's clock minus ours, by that Ping */
	uint64_t target_ram_available;
	uint64_t target_base[2]; /* as Accept has it */
	/* machinery */
	struct loop_timer *timer, *progress, *end;
	struct pump pump;
	uint64_t begun_ns, ended_ns, suspend_ns, suspended_ns, captured_ns, passed_ns, go_ns, final_ns, ready_ns;
	struct hv_memhash_rep memhash; /* --verify */
	uint64_t scan_ns;              /* of the last harvest */
	uint64_t freeze_ns, capture_ns;
	uint64_t cleaned_ns;               /* the last round's CLEAN was answered; 0: there was none */
	uint64_t io_cpu_ns, io_cpu_end_ns; /* zsock_io_cpu_ns() when data began to flow, and at the end */
	struct {
		uint64_t arrive_ns, ready_ns, resume_ns, receive_ns, open_ns, place_ns;
	} there; /* what the target said in Ready and Running; 0: nothing */
};

/* outgoing.c */
void outgoing_feed(struct outgoing *o, const struct mig_event *ev);
int outgoing_open_pipe(struct outgoing *o, const Hospes__Mig__Accept *acc) _must_check_;
void outgoing_maybe_end(struct outgoing *o); /* end the session if its machine has finished and hvdom owes no answer */
/* outgoing_hvdom.c */
int outgoing_open_domain(struct outgoing *o, struct err *err) _must_check_;
void outgoing_hv(struct outgoing *o, enum mig_hv op, uint64_t v0);
/* outgoing_peer.c */
void outgoing_send(struct outgoing *o, const struct mig_msg *msg);
int outgoing_open_peer(struct outgoing *o, struct err *err) _must_check_;
/* outgoing_report.c */
json_t *outgoing_progress(struct outgoing *o);
json_t *outgoing_result(struct outgoing *o);
json_t *outgoing_plan(struct outgoing *o);
void outgoing_reason_text(const struct outgoing *o, char *dst, size_t cap);
uint64_t outgoing_downtime_ns(const struct outgoing *o);
/* outgoing_cost.c: where the time of a push that is over went. Both are null if it did not complete; new references. */
json_t *outgoing_steps(const struct outgoing *o);
json_t *outgoing_stages(const struct outgoing *o, const struct out_stats *st);

#endif
