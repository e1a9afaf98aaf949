/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replicated state machine of a cluster: its records (clu_state.h) and the commands that change them (clu_cmd.h). Every node applies
 * the same commands in CPG's order, so every node computes the same state. Pure: no clock, I/O, allocation, threads or globals; time
 * arrives in commands. docs/wire/cluster.md is the specification. clusterd/io/ delivers commands and carries out what follows from them.
 *
 * Neighbours: node.h decides *whether* a command counts (views, quorum, commit, leases); decide.h proposes commands; place.h and plan.h
 * choose hosts.
 */
#ifndef HOSPES_CLUSTERD_CORE_CLU_H
#define HOSPES_CLUSTERD_CORE_CLU_H

#include "clusterd/core/clu_cmd.h"

/* Start with an empty state. @dom: @dom_cap zeroed records that live as long as @s. */
void clu_state_init(struct clu_state *s, struct clu_dom *dom, uint32_t dom_cap);
/* Empty @s before a snapshot is loaded into it; the node list and promised stay. */
void clu_state_clear(struct clu_state *s);
/*
 * Take over Corosync's node list (@n ascending ids and their names). A host's slot is its place in the list, so that all
 * nodes with the same list speak of the same slots. Those that left the list come behind, by their ids, and are called
 * "removed-ID": what is known of their domains still counts. This is no command, because every node has the same list.
 */
void clu_nodes_set(struct clu_state *s, const uint32_t *node, char (*name)[CLU_NAME_MAX], uint32_t n);
/*
 * Apply @c as number index + 1. Deterministic. A command that does not fit the state is refused: it changes index, time and sum only.
 * Appends to @changes and sets @answer.
 */
void clu_apply(struct clu_state *s, const struct clu_cmd *c, struct clu_changes *changes, struct clu_answer *answer);
/* Begin @epoch, which is above the present one; index + 1. */
void clu_apply_epoch(struct clu_state *s, uint64_t epoch);

/* Look-ups; NULL: no such record. As with strchr(), the result of a constant state must not be written to. */
struct clu_host *clu_host_of(const struct clu_state *s, uint32_t node);
struct clu_host *clu_host_named(const struct clu_state *s, const char *name);
struct clu_dom *clu_dom_of(const struct clu_state *s, const char *uuid);
struct clu_dom *clu_dom_named(const struct clu_state *s, const char *name);
/* The name of host @node for people; "nowhere" if there is none. */
const char *clu_host_name(const struct clu_state *s, uint32_t node);
static inline uint32_t clu_slot(const struct clu_state *s, const struct clu_host *h) { return (uint32_t)(h - s->host); }
static inline uint32_t clu_majority(const struct clu_state *s) { return s->n_nodes / 2 + 1; }

/* Sets of bits, one for each slot of a host. */
static inline bool clu_bit(const uint64_t *w, uint32_t i) { return w[i / 64] >> (i % 64) & 1; }
static inline void clu_bit_set(uint64_t *w, uint32_t i) { w[i / 64] |= 1ull << (i % 64); }
static inline void clu_bit_clear(uint64_t *w, uint32_t i) { w[i / 64] &= ~(1ull << (i % 64)); }
static inline uint32_t clu_bits_count(const uint64_t w[CLU_HOSTS_MAX / 64])
{
	uint32_t n = 0;

	for (unsigned i = 0; i < CLU_HOSTS_MAX / 64; i++)
		n += (uint32_t)__builtin_popcountll(w[i]);
	return n;
}

/* Records as octets: database rows, snapshots, checksums (docs/wire/cluster.md, section 5). */
#define CLU_RECORD_MAX 4096u
/* Write a record to @buf (CLU_RECORD_MAX octets). Returns its length; 0: the slot is free. META, POLICY: slot 0. */
size_t clu_record_pack(const struct clu_state *s, enum clu_object kind, uint32_t slot, uint8_t *buf);
/* Read a record into @s. META raises promised, and never lowers it. -EPROTO: no such record;
 * -EPROTONOSUPPORT: a META of a level above CLU_LEVEL, so the cluster has moved on to a later release. Then @s is unchanged. */
int clu_record_unpack(struct clu_state *s, enum clu_object kind, uint32_t slot, const uint8_t *p, size_t len);
/* Compute the sum over all records anew. It equals s->sum unless a record is damaged. */
uint64_t clu_sum(const struct clu_state *s);

/* What a node has to do for a domain. It follows from the state alone, so a daemon that restarts finds the same. */
enum clu_todo {
	CLU_TODO_NONE = 0,
	CLU_TODO_START,    /* start it in dom->generation, over the lease on disk if dom->force, while this host has a lease; RESULT STARTED
	                    * or START_FAILED. It may run already, if the daemon was restarted */
	CLU_TODO_STOP,     /* ask it to power off, then end it; RESULT STOPPED */
	CLU_TODO_PUSH,     /* migrate it to dom->target; RESULT MOVED or MOVE_FAILED */
	CLU_TODO_RESOLVE,  /* find out whether this host has it, and own it or end it; RESULT KEPT or ABSENT */
	CLU_TODO_WATCH,    /* it runs here: OBSERVED when it no longer does */
	CLU_TODO_ACCEPT,   /* an incoming copy is allowed here; OBSERVED RUNNING when it runs in a generation above dom->generation */
	CLU_TODO_KILL,     /* end any copy here at once, with two exceptions. A relinquished copy cannot run, and migrated ends it. A copy
	                    * in a generation above dom->generation_max was moved here by hand: OBSERVED first */
};
/* For @node, from a state in which everything up to dom->rev is committed. KILL concerns only nodes that have a copy. */
enum clu_todo clu_todo(const struct clu_dom *d, uint32_t node);

#define CLU_FAIL_NS     30000000000ull   /* backoff of a host that failed to take a domain; doubles with each failure */
#define CLU_FAIL_MAX_NS 3600000000000ull /* up to this */
#define CLU_SUSPECT     3u               /* a host is suspected when it failed to start so many different domains in a row */
/*
 * How often the host in @slot failed to take @d, if that still counts at @time_ns; else 0. *@ret (@ret may be NULL): the entry, also
 * when it no longer counts; NULL: there is none.
 */
uint32_t clu_fails(const struct clu_state *s, const struct clu_dom *d, uint32_t slot, uint64_t time_ns, const struct clu_fail **ret);
/* True while the host is suspected, which makes it the last choice. */
bool clu_suspected(const struct clu_host *h, uint64_t time_ns);
/* True if the lost host becomes safe when a majority has waited out its lease. A witness has none, and nothing that could run. */
static inline bool clu_deadline_counts(const struct clu_state *s, const struct clu_host *h)
{
	return h->witness || (h->self_fencing && (!h->clock_stops || s->policy.stopping_clocks == CLU_STOPPING_CLOCKS_TRUST));
}
/* True if @at_ns of the state is ahead of @time_ns, by at most @most_ns. A time further ahead was set by a clock that was wrong. */
static inline bool clu_to_come(uint64_t at_ns, uint64_t time_ns, uint64_t most_ns) { return at_ns > time_ns && at_ns - time_ns <= most_ns; }
static inline bool clu_takes_none(const struct clu_host *h) { return h->maintenance || h->leaving != CLU_LEAVING_NOT || h->witness; }

/* The bit of the engine that hvdom calls @name; 0: it has none here. */
uint32_t clu_engine_named(const char *name);
/* The names of the engines in @bits, or "none", in @text (CLU_TEXT_MAX octets), which it returns. */
const char *clu_engine_names(uint32_t bits, char *text);

/* Names for people, JSON and traces; never NULL. */
const char *clu_host_state_name(enum clu_host_state v);
const char *clu_phase_name(enum clu_phase v);
const char *clu_desired_name(enum clu_desired v);
const char *clu_cmd_name(enum clu_cmd_kind v);
const char *clu_result_name(enum clu_result v);
const char *clu_rule_name(enum clu_rule_kind v);
const char *clu_safe_name(enum clu_safe_by v);
const char *clu_leaving_name(enum clu_leaving v);

#endif
