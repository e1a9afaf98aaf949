/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The replicated truth of a cluster: hosts, domains, rules, policy, and the commands that change it. Every node applies the same
 * commands in the same order (CPG's), so every node computes the same state. Pure: no clock, I/O, allocation, threads or globals;
 * time comes inside commands. docs/wire/cluster.md is the specification, clusterd/io/ brings commands and carries out what follows.
 *
 * Neighbours: node.h decides *whether* a command counts (views, quorum, commit, leases); decide.h proposes commands; place.h and plan.h
 * choose hosts. Nothing here looks at the machine.
 */
#ifndef HOSPES_CLUSTERD_CORE_CLU_H
#define HOSPES_CLUSTERD_CORE_CLU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "clusterd/core/policy.h"

#define CLU_NAME_MAX     64u /* with the NUL, as name_is_valid() */
#define CLU_UUID_MAX     37u
#define CLU_TEXT_MAX     200u
#define CLU_HOSTS_MAX    128u
#define CLU_DOMS_MAX     4096u /* of a real cluster; tests make smaller states */
#define CLU_RULES_MAX    256u
#define CLU_MEMBERS_MAX  16u   /* names in one rule */
#define CLU_BRIDGES_MAX  8u
#define CLU_LABELS_MAX   8u
#define CLU_WORD_MAX     32u   /* a label, a bridge, a type */
#define CLU_INVENTORY_MAX 512u /* domains that one host tells of when it comes */
#define CLU_FAILS_MAX    6u    /* hosts of whose failures with one domain more is known than that there were any */
#define CLU_FAIL_TEXT    120u
#define CLU_FAIL_NS      30000000000ull   /* so long a host stands behind the others for a domain that it failed to take; doubles */
#define CLU_FAIL_MAX_NS  3600000000000ull /*  up to this */
#define CLU_SUSPECT      3u    /* so many different domains that one host failed to start, none in between that it could: it is the host */

/* Numbers below are on the wire and on disk: never reused. */
enum clu_host_state {
	CLU_HOST_NEW = 0,    /* in corosync's node list, never seen */
	CLU_HOST_ONLINE = 1, /* its clusterd is in the quorate view */
	CLU_HOST_LOST = 2,   /* left the view; its domains may still run there */
	CLU_HOST_SAFE = 3,   /* certainly runs no domain of the cluster: fenced, waited out, or said so by a person */
};
/* LEFT: it said so itself */
enum clu_safe_by { CLU_SAFE_NONE = 0, CLU_SAFE_DEADLINE = 1, CLU_SAFE_AGENT = 2, CLU_SAFE_PERSON = 3, CLU_SAFE_LEFT = 4 };
enum clu_desired { CLU_DESIRED_STOPPED = 0, CLU_DESIRED_RUNNING = 1 };
enum clu_phase {
	CLU_PHASE_STOPPED = 0,
	CLU_PHASE_STARTING = 1,  /* host starts it in generation */
	CLU_PHASE_RUNNING = 2,   /* host runs it */
	CLU_PHASE_STOPPING = 3,  /* host ends it */
	CLU_PHASE_MIGRATING = 4, /* host pushes it to target; generation is the source's, generation + 1 the target's */
	CLU_PHASE_RESOLVING = 5, /* a migration lost its other end (now safe): host finds out whether it has the domain */
	CLU_PHASE_FAILED = 6,    /* tried too often; a person has to look (start again, or undefine) */
};
enum clu_rule_kind {
	CLU_RULE_TOGETHER = 1, /* affinity: the named domains on one host */
	CLU_RULE_APART = 2,    /* anti-affinity: no two of them on one host */
	CLU_RULE_HOSTS = 3,    /* member[0]: a domain; the others: host names or "label=WORD" where it may run */
	CLU_RULE_CONFLICT = 4, /* Chinese Wall: types of which no two different ones may share a host at a time */
};
enum clu_admission { CLU_ADMIT_OFF = 0, CLU_ADMIT_WARN = 1, CLU_ADMIT_REFUSE = 2 };

enum clu_no_quorum { CLU_NO_QUORUM_STOP = 0, CLU_NO_QUORUM_SUSPEND = 1 };
/*
 * A lost host whose clocks may stand still while it is paused: a fence agent or a person makes it safe; or it is believed never to
 * be paused.
 */
enum clu_stopping_clocks { CLU_STOPPING_CLOCKS_FENCE = 0, CLU_STOPPING_CLOCKS_TRUST = 1 };
/*
 * What becomes of the domains of a host that is shut down in order: moved as far as others take them, then as the next; powered
 * off by their guests; ended.
 */
enum clu_on_shutdown { CLU_ON_SHUTDOWN_DRAIN = 0, CLU_ON_SHUTDOWN_SHUTDOWN = 1, CLU_ON_SHUTDOWN_STOP = 2 };
/* How far a host is with that: its domains are moved away; it ends what is left. Either way it is given none. */
enum clu_leaving { CLU_LEAVING_NOT = 0, CLU_LEAVING_DRAIN = 1, CLU_LEAVING_ENDING = 2 };

/* Engines are bits. A new one takes the next bit, and a row of the table in clu.c. */
enum clu_engine { CLU_ENGINE_PV = 1, CLU_ENGINE_KVM = 2 };

/* What a host can carry, as it measured itself. */
struct clu_capacity {
	uint64_t mem_bytes;      /* for guests: what the machine has less a reserve */
	uint32_t cpu_milli;      /* 1000 per CPU */
	uint32_t engines;        /* CLU_ENGINE_* */
	uint64_t cpu_bits[4];    /* CPU features, by a table of the I/O layer: a migration needs a superset */
	char bridge[CLU_BRIDGES_MAX][CLU_WORD_MAX];
	char label[CLU_LABELS_MAX][CLU_WORD_MAX];
};

struct clu_host { /* what is looked at for every message stands first */
	uint32_t node;           /* corosync's node id; 0: free slot */
	enum clu_host_state state;
	uint64_t boot;           /* of the clusterd that said HOST_UP; random */
	uint64_t up_id;          /* index of its last HOST_UP */
	uint64_t lost_id;        /* LOST: index of the HOST_LOST */
	uint64_t lease_ns;       /* how long its domains may run after the send time of its last acknowledged beat */
	bool self_fencing;       /* its guard enforces that; without it only a fence agent or a person makes it safe */
	bool clock_stops;        /* its clocks may stand still while it does: so again only those, unless the policy says otherwise */
	bool maintenance;        /* drained: gets no domains */
	bool returning;          /* no more so: domains whose home it is are brought back */
	enum clu_leaving leaving; /* it is being shut down in order */
	uint32_t start_fails;    /* domains that it failed to start, one after the other, each for the first time */
	uint64_t suspect_ns;     /* with CLU_SUSPECT of them: it is the last choice until then (cluster time) */
	enum clu_safe_by safe_by;
	uint64_t waited[CLU_HOSTS_MAX / 64]; /* LOST: slots whose own wait is over */
	char name[CLU_NAME_MAX];
	struct clu_capacity cap;
};

/* What a domain asks for, read from its XML by whoever defines it. */
struct clu_spec {
	uint64_t mem_bytes;
	uint32_t vcpus;
	uint32_t engine;         /* one CLU_ENGINE_* */
	int32_t priority;        /* higher first when hosts are lost; 0 by default */
	uint32_t order;          /* within a priority, lower starts first */
	uint32_t restart_max;    /* failures within the policy's window before FAILED; 0: the policy's */
	bool ha;                 /* false: stays down with its host until that is back */
	char type[CLU_WORD_MAX]; /* for conflict sets; empty: none */
	char bridge[CLU_BRIDGES_MAX][CLU_WORD_MAX];
};

/* A host that could not take a domain, by a start or a move. Forgotten when it can, or when something changed there or a person says so. */
struct clu_fail {
	uint32_t node;           /* 0: free; those in use come first */
	uint32_t count;
	uint64_t until_ns;       /* till then hosts with fewer failures are preferred (cluster time) */
	char text[CLU_FAIL_TEXT];
};

struct clu_dom {
	char uuid[CLU_UUID_MAX]; /* empty: free slot */
	uint64_t xml_id;         /* index of the DEFINE whose text it is; the I/O layer keeps texts by it */
	enum clu_desired desired;
	enum clu_phase phase;
	uint32_t host;           /* node id of the owner; 0: nobody */
	uint32_t target;         /* MIGRATING: node id */
	uint64_t generation;     /* of the owner's run; of the last one when nobody owns it */
	uint64_t generation_max; /* no copy anywhere can have a higher one */
	uint64_t op_id;          /* index of the command that began the phase: results have to name it */
	uint64_t rev;            /* index of the last command that changed this record */
	bool force;              /* the next start goes over a lease that names a dead host */
	uint32_t failures;       /* in the present window */
	uint64_t window_ns;      /* when it began (cluster time) */
	uint64_t retry_ns;       /* not started before (cluster time) */
	uint64_t unreachable[CLU_HOSTS_MAX / 64]; /* slots of hosts that lack its files */
	uint32_t avoid;          /* node id where the last start failed; 0: none */
	uint32_t home;           /* node id of the host that it was moved away from, or ended at, for the host's sake; 0: none */
	uint64_t failed[CLU_HOSTS_MAX / 64]; /* slots of hosts with failures */
	struct clu_fail fail[CLU_FAILS_MAX]; /* the latest of them */
	char name[CLU_NAME_MAX];
	struct clu_spec spec;
	char text[CLU_TEXT_MAX]; /* why it is as it is, for people; may be empty */
};

struct clu_rule {
	uint32_t id;             /* 0: free slot */
	enum clu_rule_kind kind;
	bool soft;               /* weighs in the score only */
	bool never;              /* HOSTS: where it may *not* run */
	uint32_t n;
	char member[CLU_MEMBERS_MAX][CLU_NAME_MAX];
};

/* One for the cluster; its fields: policy.h. */
#define CLU_FIELD_TYPE_FLAG(name) bool name
#define CLU_FIELD_TYPE_U32(name)  uint32_t name
#define CLU_FIELD_TYPE_NS(name)   uint64_t name
#define CLU_FIELD_TYPE_WORD(name) enum clu_##name name
#define CLU_POLICY_MEMBER(number, since, kind, name, ...) CLU_FIELD_TYPE_##kind(name);
#define CLU_POLICY_COUNT(...) +1
struct clu_policy { CLU_POLICY_FIELDS(CLU_POLICY_MEMBER) };
enum { CLU_POLICY_N = CLU_POLICY_FIELDS(CLU_POLICY_COUNT) };

enum clu_field_kind { CLU_FIELD_FLAG, CLU_FIELD_U32, CLU_FIELD_NS, CLU_FIELD_WORD };
struct clu_policy_field {
	enum clu_field_kind kind;
	uint16_t at;             /* offset in struct clu_policy */
	uint8_t number, since;
	bool or_zero;            /* 0 is allowed beside min to max */
	uint64_t otherwise, min, max;
	const char *key;
	const char *word[4];     /* WORD: those of 0, 1, ... */
	const char *says;        /* to who asks for a value out of range; NULL: just that it is */
};
extern const struct clu_policy_field clu_policy_field[CLU_POLICY_N];
#define CLU_POLICY_END (clu_policy_field + CLU_POLICY_N)

struct clu_state {
	uint64_t epoch;          /* of the view that applied the last command: higher is newer */
	uint64_t promised;       /* highest epoch that this node promised to: its own, not replicated; never goes back */
	uint64_t index;          /* of the last command applied */
	uint64_t sum;            /* over all records: equal states have equal sums */
	uint64_t time_ns;        /* cluster time: latest CLOCK_REALTIME of a command, never goes back */
	uint32_t n_nodes;        /* nodes in corosync's list: quorum is over these */
	uint32_t n_dom;          /* slots in use or freed below */
	uint32_t dom_cap;
	struct clu_policy policy;
	struct clu_host host[CLU_HOSTS_MAX];  /* slot = position for the cluster's life */
	struct clu_rule rule[CLU_RULES_MAX];
	struct clu_dom *dom;     /* dom_cap of them, owned by the caller of clu_state_init() */
};

/* ---- commands ---------------------------------------------------------------------------------------------------------- */

enum clu_cmd_kind {
	CLU_CMD_NONE = 0,
	CLU_CMD_HOST_UP = 1,     /* the origin itself: here I am, this I can carry, these domains run here */
	CLU_CMD_HOST_LOST = 2,   /* coordinator: host left the view */
	CLU_CMD_WAITED = 3,      /* the origin has waited out host's lease */
	CLU_CMD_HOST_SAFE = 4,   /* a fence agent or a person: host is dead */
	CLU_CMD_MAINTENANCE = 5, /* host, on */
	CLU_CMD_DEFINE = 6,      /* uuid, name, spec; the text travels beside it */
	CLU_CMD_UNDEFINE = 7,
	CLU_CMD_DESIRE = 8,      /* uuid, desired */
	CLU_CMD_START = 9,       /* coordinator: uuid, rev, host */
	CLU_CMD_STOP = 10,       /* coordinator: uuid, rev */
	CLU_CMD_MOVE = 11,       /* uuid, target; rev 0: whatever its present one */
	CLU_CMD_RESULT = 12,     /* the owner: uuid, op_id, result, generation, text */
	CLU_CMD_OBSERVED = 13,   /* the host: uuid, generation, seen: unasked */
	CLU_CMD_REACH = 14,      /* the origin: uuid, on: has the files of the domain or not (text) */
	CLU_CMD_POLICY = 15,
	CLU_CMD_RULE_ADD = 16,
	CLU_CMD_RULE_REMOVE = 17,
	CLU_CMD_LEAVE = 18,      /* host, leaving: it is being shut down in order, or not any more */
	CLU_CMD_LEFT = 19,       /* the origin: none of its domains lives, and it starts none before another HOST_UP. op_id: its up_id */
	CLU_CMD_MAX
};

enum clu_result {
	CLU_RESULT_STARTED = 1, CLU_RESULT_START_FAILED = 2, CLU_RESULT_STOPPED = 3, CLU_RESULT_STOP_FAILED = 4,
	CLU_RESULT_MOVED = 5,      /* generation: the target's */
	CLU_RESULT_MOVE_FAILED = 6, /* runs on at the source, generation: the source's now */
	CLU_RESULT_KEPT = 7,       /* RESOLVING: it runs here in generation */
	CLU_RESULT_ABSENT = 8,     /* RESOLVING: it does not run here and never will in a generation up to generation_max */
};
enum clu_seen {
	CLU_SEEN_RUNNING = 1, CLU_SEEN_POWEROFF = 2, CLU_SEEN_CRASHED = 3, CLU_SEEN_GONE = 4 /* nobody knows why */,
	CLU_SEEN_ENDED = 5, /* by its host, which is being shut down */
};

struct clu_inventory { char uuid[CLU_UUID_MAX]; uint64_t generation; };

struct clu_cmd {
	enum clu_cmd_kind kind;
	uint32_t origin;         /* node id of the sender */
	uint64_t request;        /* of the origin, for its answer; 0: nobody waits */
	uint64_t time_ns;        /* sender's CLOCK_REALTIME */
	char uuid[CLU_UUID_MAX];
	uint32_t host;           /* node id: HOST_*, WAITED, MAINTENANCE, START */
	uint32_t target;         /* MOVE */
	uint64_t rev;            /* START, STOP, MOVE: the domain must still be as the proposer saw it. HOST_UP: index of the state when the
	                          * inventory was taken: of domains that changed later it says nothing */
	uint64_t op_id;          /* RESULT; WAITED and HOST_SAFE: the host's lost_id */
	uint64_t generation;     /* RESULT, OBSERVED; DEFINE and START_FAILED: highest that a lease of the domain names, or 0 */
	enum clu_result result;
	enum clu_seen seen;
	enum clu_desired desired; /* DESIRE; MAINTENANCE off: RUNNING: bring back what was moved away */
	enum clu_safe_by safe_by;
	bool on;                 /* MAINTENANCE, REACH. MOVE: for its host's sake, so that it may be brought back */
	enum clu_leaving leaving; /* LEAVE; HOST_UP of another life: it goes on leaving */
	char name[CLU_NAME_MAX]; /* HOST_UP: host; DEFINE: domain */
	char text[CLU_TEXT_MAX];
	struct clu_spec spec;    /* DEFINE */
	struct clu_capacity cap; /* HOST_UP */
	uint64_t boot, lease_ns; /* HOST_UP */
	bool self_fencing, clock_stops; /* HOST_UP */
	struct clu_rule rule;    /* RULE_ADD; RULE_REMOVE: id */
	struct clu_policy policy;
	uint32_t n_inventory;
	const struct clu_inventory *inventory; /* HOST_UP: copies that run here, or may (a mute hvdom); borrowed for the call */
};

/* What one command changed, so that the I/O layer stores and looks at just that. */
#define CLU_CHANGES_MAX 16u
enum clu_object { CLU_OBJ_META = 0, CLU_OBJ_HOST = 1, CLU_OBJ_DOM = 2, CLU_OBJ_RULE = 3, CLU_OBJ_POLICY = 4 };
struct clu_changes {
	uint32_t n;
	bool all;                /* more than fit: take it that every record changed */
	struct { enum clu_object kind; uint32_t slot; } c[CLU_CHANGES_MAX];
};

/* Answer to whoever asked. status: 0, or -errno with a text that says cause and remedy. */
struct clu_answer { int status; char text[CLU_TEXT_MAX]; };

/* @dom: @dom_cap zeroed records that live as long as the state. @nodes: corosync's list, ascending; they take the first slots. */
void clu_state_init(struct clu_state *s, struct clu_dom *dom, uint32_t dom_cap);
void clu_policy_default(struct clu_policy *p);
/* One field of it as a number. */
uint64_t clu_policy_get(const struct clu_policy *p, const struct clu_policy_field *f);
void clu_policy_set(struct clu_policy *p, const struct clu_policy_field *f, uint64_t v);
/* The first field whose value is out of its range; NULL: none. */
const struct clu_policy_field *clu_policy_wrong(const struct clu_policy *p);
#define CLU_PARK_LEASE_NS  4000000000ull /* suspending needs a lease of that and this margin */
#define CLU_PARK_MARGIN_NS 500000000ull
/* How long before the end of a lease of @lease_ns domains are suspended: a quarter of it, 1 s to 5 s. 0: they are stopped at its end. */
uint64_t clu_park_ns(const struct clu_policy *p, uint64_t lease_ns);
/* Take over corosync's node list: new nodes get slots (state NEW), others stay. Not a command: every node has the same list. */
void clu_nodes_set(struct clu_state *s, const uint32_t *node, char (*name)[CLU_NAME_MAX], uint32_t n);
/*
 * Apply @c as number index + 1, refused or not (a refusal changes index, time and sum only). Deterministic: same state and command,
 * same result. @changes is appended to; @answer set.
 */
void clu_apply(struct clu_state *s, const struct clu_cmd *c, struct clu_changes *changes, struct clu_answer *answer);
/* Empty it again, to be filled from a snapshot: the node list and promised stay. */
void clu_state_clear(struct clu_state *s);
/* The begin of a view: @epoch above the present one, index + 1. */
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

/* ---- records as octets: rows of the database, snapshots, checksums (docs/wire/cluster.md, section "records") --------------- */
#define CLU_RECORD_MAX 4096u
/* Octets written to @buf (CLU_RECORD_MAX of them), 0 for a free slot. */
size_t clu_record_pack(const struct clu_state *s, enum clu_object kind, uint32_t slot, uint8_t *buf);
/* 0; -EPROTO: not such a record (state unchanged). META, POLICY: slot 0; promised becomes the higher of both. */
int clu_record_unpack(struct clu_state *s, enum clu_object kind, uint32_t slot, const uint8_t *p, size_t len);
/* Sum over all records, computed anew; equals s->sum when nothing is broken. */
uint64_t clu_sum(const struct clu_state *s);

/* ---- what a node has to do for a domain: level, not edge, so that a restart finds the same ---------------------------------- */
enum clu_todo {
	CLU_TODO_NONE = 0,
	CLU_TODO_START,    /* start it in dom->generation, over the lease if dom->force, while this host's own lease runs; RESULT STARTED or
	                    * START_FAILED. It may run already (a daemon that restarted) */
	CLU_TODO_STOP,     /* ask it to power off, then end it; RESULT STOPPED */
	CLU_TODO_PUSH,     /* migrate it to dom->target; RESULT MOVED or MOVE_FAILED */
	CLU_TODO_RESOLVE,  /* settle it locally: own it or be rid of it; RESULT KEPT or ABSENT */
	CLU_TODO_WATCH,    /* it has to run here: OBSERVED when it does not */
	CLU_TODO_ACCEPT,   /* an incoming copy is allowed here; OBSERVED RUNNING when it runs in a generation above dom->generation */
	CLU_TODO_KILL,     /* a copy here is none of the cluster's: end it at once. A relinquished one cannot run: migrated ends it.
	                    * One in a generation above dom->generation_max was moved here by hand: OBSERVED first */
};
/* For @node, from a state of which everything up to dom->rev is committed. KILL is meant only where a local copy exists. */
enum clu_todo clu_todo(const struct clu_dom *d, uint32_t node);

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
/*
 * How often the host in @slot failed to take @d, as far as that counts at @time_ns; 0: not, or so long ago that it is one like the others.
 * @ret (may be NULL): what is known of it, counted or not; NULL: nothing.
 */
uint32_t clu_fails(const struct clu_state *s, const struct clu_dom *d, uint32_t slot, uint64_t time_ns, const struct clu_fail **ret);
/* Is a host that is lost safe when a majority has waited for its lease? */
static inline bool clu_deadline_counts(const struct clu_state *s, const struct clu_host *h)
{
	return h->self_fencing && (!h->clock_stops || s->policy.stopping_clocks == CLU_STOPPING_CLOCKS_TRUST);
}
/* Did it fail to start so many domains that it is the last choice? */
bool clu_suspected(const struct clu_host *h, uint64_t time_ns);
/* Is a time of the state, at most @most_ns ahead when it was made, still to come? One that is further off is of a clock that was wrong. */
static inline bool clu_to_come(uint64_t at_ns, uint64_t time_ns, uint64_t most_ns) { return at_ns > time_ns && at_ns - time_ns <= most_ns; }
static inline bool clu_takes_none(const struct clu_host *h) { return h->maintenance || h->leaving != CLU_LEAVING_NOT; }

#endif
