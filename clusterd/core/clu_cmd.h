/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands, the only way to change the state; what one changed; its answer. The numbers are on the wire and never reused. Part of clu.h. */
#ifndef HOSPES_CLUSTERD_CORE_CLU_CMD_H
#define HOSPES_CLUSTERD_CORE_CLU_CMD_H

#include "clusterd/core/clu_state.h"

#define CLU_INVENTORY_MAX 512u /* domains that one host reports in HOST_UP */

/* Each with its sender and the fields that it uses. The origin is the sender's node. */
enum clu_cmd_kind {
	CLU_CMD_NONE = 0,
	CLU_CMD_HOST_UP = 1,     /* a host about itself: it is here, what it can carry, which domains run there */
	CLU_CMD_HOST_LOST = 2,   /* coordinator: host left the view */
	CLU_CMD_WAITED = 3,      /* any node: it has waited out host's lease */
	CLU_CMD_HOST_SAFE = 4,   /* for a fence agent or a person: host is dead */
	CLU_CMD_MAINTENANCE = 5, /* host, on, desired */
	CLU_CMD_DEFINE = 6,      /* uuid, name, spec; the XML travels beside it */
	CLU_CMD_UNDEFINE = 7,
	CLU_CMD_DESIRE = 8,      /* uuid, desired */
	CLU_CMD_START = 9,       /* coordinator: uuid, rev, host */
	CLU_CMD_STOP = 10,       /* coordinator: uuid, rev */
	CLU_CMD_MOVE = 11,       /* uuid, target; rev 0: any */
	CLU_CMD_RESULT = 12,     /* the owner: uuid, op_id, result, generation, text */
	CLU_CMD_OBSERVED = 13,   /* the host, unasked: uuid, generation, seen */
	CLU_CMD_REACH = 14,      /* a host: uuid, on: it has the domain's files, or not (text) */
	CLU_CMD_POLICY = 15,
	CLU_CMD_RULE_ADD = 16,
	CLU_CMD_RULE_REMOVE = 17,
	CLU_CMD_LEAVE = 18,      /* host, leaving: it is being shut down in order, or no longer */
	CLU_CMD_LEFT = 19,       /* a host: no domain lives there, and it starts none before its next HOST_UP. op_id: its up_id */
	CLU_CMD_LEVEL = 20,      /* coordinator: all hosts have level: what needs it may be said from now on (level.h) */
	CLU_CMD_DISARM = 21,     /* on: nothing is lost, fenced or started for lease_ns, text says why. Off: op_id (0: any) is over */
	CLU_CMD_PERMIT = 22,     /* a host: on: for disarm op_id its domains may run for lease_ns from when it said so, whoever hears it;
	                          * rev: a number that is new. Off: it makes no use of rev any more */
	CLU_CMD_SET = 23,        /* uuid, mask: these settings become as set says; on: its failures are forgotten */
	CLU_CMD_SPARE = 24,      /* host, on: it is a spare, or no longer */
	CLU_CMD_MAX
};

enum clu_result {
	CLU_RESULT_STARTED = 1, CLU_RESULT_START_FAILED = 2, CLU_RESULT_STOPPED = 3, CLU_RESULT_STOP_FAILED = 4,
	CLU_RESULT_MOVED = 5,       /* generation: the target's */
	CLU_RESULT_MOVE_FAILED = 6, /* it runs on at the source; generation: the source's now */
	CLU_RESULT_KEPT = 7,        /* RESOLVING: it runs here in generation */
	CLU_RESULT_ABSENT = 8,      /* RESOLVING: it does not run here, and never will in a generation up to generation_max */
};
enum clu_seen {
	CLU_SEEN_RUNNING = 1, CLU_SEEN_POWEROFF = 2, CLU_SEEN_CRASHED = 3,
	CLU_SEEN_GONE = 4,  /* for an unknown reason */
	CLU_SEEN_ENDED = 5, /* by its host, which is being shut down */
};

struct clu_inventory { char uuid[CLU_UUID_MAX]; uint64_t generation; };

struct clu_cmd {
	enum clu_cmd_kind kind;
	uint32_t origin;         /* node id of the sender */
	uint64_t request;        /* the origin's number for its answer; 0: nobody waits for one */
	uint64_t time_ns;        /* the sender's CLOCK_REALTIME */
	char uuid[CLU_UUID_MAX];
	uint32_t host;           /* node id: HOST_*, WAITED, MAINTENANCE, START */
	uint32_t target;         /* MOVE */
	uint64_t rev;            /* START, STOP, MOVE: refused if the domain's rev is another one. HOST_UP: index of the state when the
	                          * inventory was taken; it says nothing about domains that changed later */
	uint64_t op_id;          /* RESULT; WAITED and HOST_SAFE: the host's lost_id */
	uint64_t generation;     /* RESULT, OBSERVED. DEFINE, START_FAILED: the highest that a lease of the domain names, or 0 */
	enum clu_result result;
	enum clu_seen seen;
	enum clu_desired desired; /* DESIRE. MAINTENANCE: RUNNING brings back what was moved away, now (off) or later (on) */
	enum clu_safe_by safe_by;
	bool on;                 /* MAINTENANCE, REACH. MOVE: for the host's sake, so that it may be brought back */
	enum clu_leaving leaving; /* LEAVE. HOST_UP of a new life: the stage in which the host goes on */
	char name[CLU_NAME_MAX]; /* HOST_UP: host; DEFINE: domain */
	char text[CLU_TEXT_MAX];
	struct clu_spec spec;    /* DEFINE */
	struct clu_capacity cap; /* HOST_UP */
	uint64_t boot, lease_ns; /* HOST_UP. PERMIT. lease_ns: DISARM */
	bool self_fencing, clock_stops, witness; /* HOST_UP */
	struct clu_rule rule;    /* RULE_ADD; RULE_REMOVE: id */
	struct clu_policy policy;
	struct clu_settings set; /* SET: no bits in has but those of mask */
	uint32_t mask;           /* SET: CLU_SET_*: what changes; without its bit in set.has it is the default again */
	uint32_t level;          /* LEVEL */
	uint32_t needs;          /* the level of what the command has in it: all nodes leave it out while the state has a lower one */
	uint32_t n_inventory;
	const struct clu_inventory *inventory; /* HOST_UP: copies that run here, or may (a mute hvdom); borrowed for the call */
};

/* The records that one command changed: what the I/O layer stores and looks at. */
#define CLU_CHANGES_MAX 16u
enum clu_object { CLU_OBJ_META = 0, CLU_OBJ_HOST = 1, CLU_OBJ_DOM = 2, CLU_OBJ_RULE = 3, CLU_OBJ_POLICY = 4, CLU_OBJ_DISARM = 5 };
#define CLU_OBJ_LAST CLU_OBJ_DISARM
struct clu_changes {
	uint32_t n;
	bool all;                /* more than fit: any record may have changed */
	struct { enum clu_object kind; uint32_t slot; } c[CLU_CHANGES_MAX];
};

/* The answer to a command's sender. status: 0, or -errno with a text that names cause and remedy. */
struct clu_answer { int status; char text[CLU_TEXT_MAX]; };

#endif
