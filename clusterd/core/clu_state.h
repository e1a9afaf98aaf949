/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The records of a cluster, and the state that holds them. The numbers of the enums are on the wire and on disk, and are never reused.
 * docs/wire/cluster.md, section 5, has the octets. Part of clu.h.
 */
#ifndef HOSPES_CLUSTERD_CORE_CLU_STATE_H
#define HOSPES_CLUSTERD_CORE_CLU_STATE_H

#include "clusterd/core/clu_policy.h"

#define CLU_NAME_MAX    64u   /* with the NUL, as name_is_valid() */
#define CLU_UUID_MAX    37u
#define CLU_TEXT_MAX    200u
#define CLU_HOSTS_MAX   128u
#define CLU_DOMS_MAX    4096u /* of a real cluster; tests make smaller states */
#define CLU_RULES_MAX   256u
#define CLU_MEMBERS_MAX 16u   /* names in one rule */
#define CLU_BRIDGES_MAX 8u
#define CLU_CPU_WORDS 4u      /* of CPU features */
#define CLU_CPU_USER_WORDS 2u /* the first ones: what programs use; the others: what only kernels do */
#define CLU_LABELS_MAX  8u
#define CLU_BUILDS_MAX  4u    /* engines of a host whose guests' states depend on what is installed there */
#define CLU_WORD_MAX    32u   /* a label, a bridge, a type, a build */
#define CLU_FAILS_MAX   6u    /* hosts whose failures with one domain are remembered in detail */
#define CLU_FAIL_TEXT   120u
#define CLU_DELAY_MAX_NS 86400000000000ull /* of a rule */
#define CLU_DISARM_MIN_NS 1000000000ull
#define CLU_DISARM_MAX_NS 86400000000000ull

enum clu_host_state {
	CLU_HOST_NEW = 0,    /* in Corosync's node list, never seen */
	CLU_HOST_ONLINE = 1, /* its clusterd is in the quorate view */
	CLU_HOST_LOST = 2,   /* left the view; its domains may still run there */
	CLU_HOST_SAFE = 3,   /* certainly runs no domain of the cluster */
};
/* What made a host safe: its lease expired, a fence agent, a person, or its own word that it left. */
enum clu_safe_by { CLU_SAFE_NONE = 0, CLU_SAFE_DEADLINE = 1, CLU_SAFE_AGENT = 2, CLU_SAFE_PERSON = 3, CLU_SAFE_LEFT = 4 };
/* A host that is shut down in order: its domains are moved away; the remaining ones are ended. In both stages it gets no domain. */
enum clu_leaving { CLU_LEAVING_NOT = 0, CLU_LEAVING_DRAIN = 1, CLU_LEAVING_ENDING = 2 };
enum clu_desired { CLU_DESIRED_STOPPED = 0, CLU_DESIRED_RUNNING = 1 };
enum clu_phase {
	CLU_PHASE_STOPPED = 0,
	CLU_PHASE_STARTING = 1,  /* host starts it in generation */
	CLU_PHASE_RUNNING = 2,   /* host runs it */
	CLU_PHASE_STOPPING = 3,  /* host ends it */
	CLU_PHASE_MIGRATING = 4, /* host pushes it to target; generation is the source's, generation + 1 the target's */
	CLU_PHASE_RESOLVING = 5, /* the other end of a migration was lost and is safe; host finds out whether it has the domain */
	CLU_PHASE_FAILED = 6,    /* crashed too often; a person has to start it again, or undefine it */
};
enum clu_rule_kind {
	CLU_RULE_TOGETHER = 1, /* affinity: the named domains on one host */
	CLU_RULE_APART = 2,    /* anti-affinity: no two of them on one host */
	CLU_RULE_HOSTS = 3,    /* member[0]: a domain; the others: host names or "label=WORD" where it may run */
	CLU_RULE_CONFLICT = 4, /* Chinese Wall: two different ones of these types never share a host */
	CLU_RULE_AFTER = 5,    /* member[0] starts when the other domains run (after.h) */
};

/* Engines are bits. A new one takes the next bit, and a row of the table in clu.c. */
enum clu_engine { CLU_ENGINE_PV = 1, CLU_ENGINE_KVM = 2, CLU_ENGINE_QEMU = 4, CLU_ENGINE_QEMU_AARCH64 = 8 };

/* What a host can carry, as it measured itself. */
struct clu_capacity {
	uint64_t mem_bytes;      /* for guests: the machine's memory less a reserve */
	uint32_t cpu_milli;      /* 1000 per CPU */
	uint32_t engines;        /* CLU_ENGINE_* */
	uint64_t cpu_bits[CLU_CPU_WORDS]; /* CPU features, by a table of the I/O layer. A migration may need a superset */
	char bridge[CLU_BRIDGES_MAX][CLU_WORD_MAX], label[CLU_LABELS_MAX][CLU_WORD_MAX];
	/* "qemu 7.2.22 tcg": a running domain of that engine needs the same elsewhere */
	char build[CLU_BUILDS_MAX][CLU_WORD_MAX];
};

struct clu_host { /* the fields that every message needs stand first */
	uint32_t node;           /* Corosync's node id; 0: free slot */
	enum clu_host_state state;
	uint64_t boot;           /* random id of the clusterd that said HOST_UP */
	uint64_t up_id;          /* index of its last HOST_UP */
	uint64_t lost_id;        /* LOST: index of the HOST_LOST */
	uint64_t lease_ns;       /* its domains may run so long after the send time of its last acknowledged beat */
	bool self_fencing;       /* its guard enforces the lease; without it only a fence agent or a person makes it safe */
	bool clock_stops;        /* its clocks may stop while it is paused: the policy stopping_clocks says what makes it safe */
	bool witness;            /* votes, and carries no domain, ever: it has neither guard nor capacity */
	bool maintenance;        /* drained: gets no domains */
	bool returning;          /* maintenance is over, and the domains whose home it is are brought back */
	bool until_back;         /* maintenance ends so by itself when the host comes back from SAFE */
	bool spare;              /* takes domains only in need: clu_spare_open() */
	enum clu_leaving leaving;
	uint32_t start_fails;    /* different domains that it failed to start in a row */
	uint64_t suspect_ns;     /* with CLU_SUSPECT of them: it is the last choice until then (cluster time) */
	enum clu_safe_by safe_by;
	uint64_t permit_id;      /* the number of its PERMIT; 0: none. Its lease may be prolonged by that, see node_permit.c */
	uint64_t permit_ns;      /* for so long at most */
	uint64_t permit_for;     /* the disarm that it is of */
	uint64_t waited[CLU_HOSTS_MAX / 64]; /* LOST: slots of the nodes that have waited out its lease */
	char name[CLU_NAME_MAX];
	struct clu_capacity cap;
};

/* What a domain needs, read from its XML by the node that defines it. */
struct clu_spec {
	uint64_t mem_bytes;
	uint32_t vcpus;
	uint32_t engine;         /* one CLU_ENGINE_* */
	int32_t priority;        /* higher first when hosts are lost; 0 by default */
	uint32_t order;          /* within a priority, lower starts first */
	uint32_t restart_max;    /* crashes within the policy's window before FAILED; 0: the policy's */
	bool ha;                 /* false: stays down with its host until the host is back */
	char type[CLU_WORD_MAX]; /* for rules of kind CONFLICT; empty: none */
	char bridge[CLU_BRIDGES_MAX][CLU_WORD_MAX];
	bool cpu_named;          /* its XML names its processor (engine kvm): hosts say themselves whether they have it */
};

/* What people order for a domain besides its XML (SET). Redefining it keeps them. What has a bit in has counts; the rest is 0. */
#define CLU_SET_PRIORITY   1u
#define CLU_SET_RESTARTS   2u
#define CLU_SET_COOLDOWN   4u
#define CLU_SET_NO_BALANCE 8u
#define CLU_SET_ALL        15u
#define CLU_PRIORITY_MOST  1000000
#define CLU_RESTARTS_MOST  1000000u
#define CLU_SET_TIME_MAX_NS (30 * 86400000000000ull)
struct clu_settings {
	uint32_t has;            /* CLU_SET_* */
	int32_t priority;        /* instead of the XML's */
	uint32_t restarts;       /* after so many within restart_ns a crash makes it FAILED */
	uint64_t restart_ns;
	uint64_t cooldown_ns;    /* for so long after a move it is not balanced */
};

/* A host that failed to take a domain, by a start or a move. Forgotten on success, on a change at the host, or at a person's order. */
struct clu_fail {
	uint32_t node;           /* 0: free; entries in use come first */
	uint32_t count;
	uint64_t until_ns;       /* until then hosts with fewer failures are preferred (cluster time) */
	char text[CLU_FAIL_TEXT];
};

struct clu_dom {
	char uuid[CLU_UUID_MAX]; /* empty: free slot */
	uint64_t xml_id;         /* index of the DEFINE that brought its XML; the I/O layer keeps texts by it */
	enum clu_desired desired;
	enum clu_phase phase;
	uint32_t host, target;   /* node ids: of the owner, 0 if there is none; of the target while MIGRATING */
	uint64_t generation;     /* of the owner's run; without an owner, of the last run */
	uint64_t generation_max; /* no copy anywhere has a higher one */
	uint64_t op_id;          /* index of the command that began the phase; results have to name it */
	uint64_t rev;            /* index of the last command that changed this record */
	bool force;              /* the next start overrides a lease on disk that names a dead host */
	uint32_t failures;       /* crashes since window_ns, within the policy's restart_window_ns */
	uint64_t window_ns;      /* (cluster time) */
	uint64_t retry_ns;       /* not started before (cluster time) */
	uint64_t unreachable[CLU_HOSTS_MAX / 64]; /* slots of hosts that lack its files */
	uint32_t avoid;          /* node id where the last start failed; 0: none */
	uint32_t home;           /* node id of the host that a drain or shutdown took it from; 0: none */
	uint64_t failed[CLU_HOSTS_MAX / 64]; /* slots of hosts with failures */
	struct clu_fail fail[CLU_FAILS_MAX]; /* the latest of them */
	struct clu_settings set;
	uint64_t moved_ns;       /* with a cool-down: when it moved last (cluster time); 0: not since it has one */
	char name[CLU_NAME_MAX];
	struct clu_spec spec;
	char text[CLU_TEXT_MAX]; /* the reason for its phase, for people; may be empty */
};

struct clu_rule {
	uint32_t id;             /* 0: free slot */
	enum clu_rule_kind kind;
	bool soft, never;        /* soft: only lowers the score; AFTER: order only. never: HOSTS are those where it may *not* run */
	bool healthy;            /* AFTER: and when they are healthy */
	uint64_t delay_ns;       /* AFTER: so long after that */
	uint32_t n;
	char member[CLU_MEMBERS_MAX][CLU_NAME_MAX];
};

/* Planned work: nothing is declared lost, fenced or started until it is over. */
struct clu_disarm {
	uint64_t id;             /* index of the DISARM; 0: the cluster is armed, as ever */
	uint64_t at_ns, for_ns;  /* when it began (cluster time), and how long it lasts at most */
	char text[CLU_TEXT_MAX]; /* why, by whom ordered it */
};

struct clu_state {
	uint64_t epoch;          /* of the view that applied the last command: higher is newer */
	uint64_t promised;       /* the highest epoch that this node promised to serve. Its own, not replicated; never decreases */
	uint64_t index;          /* of the last command applied */
	uint64_t sum;            /* over all records: equal states have equal sums */
	uint64_t time_ns;        /* cluster time: the latest CLOCK_REALTIME of a command; never decreases */
	uint32_t level;          /* what the cluster may say (level.h); never decreases */
	uint64_t level_id;       /* index of the LEVEL that said so; 0: level 0 */
	uint32_t n_nodes;        /* nodes in Corosync's list; a majority is over these */
	uint32_t n_dom, dom_cap; /* n_dom: the highest slot of dom in use + 1 */
	struct clu_policy policy;
	struct clu_disarm disarm;
	struct clu_host host[CLU_HOSTS_MAX];  /* those in the list first, by their ids: clu_nodes_set() */
	struct clu_rule rule[CLU_RULES_MAX];
	struct clu_dom *dom;     /* dom_cap of them, owned by the caller of clu_state_init() */
};

#endif
