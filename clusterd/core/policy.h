/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policy of a cluster, each field described once. These lines make struct clu_policy (clu_policy.h), its defaults and ranges, its
 * record on disk, the message Policy (proto/policy.proto.in), and its keys in JSON and on command lines. A new field is a line at the end,
 * with the next number and a `since` above all others, and a line in vmclus(8). The preprocessor makes the schema from this file, so it
 * contains macros only.
 */
#ifndef HOSPES_CLUSTERD_CORE_POLICY_H
#define HOSPES_CLUSTERD_CORE_POLICY_H

#define CLU_S             1000000000ull  /* in nanoseconds */
#define CLU_SHUTDOWN_NS   120000000000ull
#define CLU_SHUTDOWN_SAYS "on_shutdown is drain, shutdown or stop, and shutdown_s from 5 to 3600 seconds"

/*
 * F(number, since, kind, name, key, otherwise, least, most, ...)
 *
 * number     of the field in the message; never reused
 * since      first version of the record that has it; a record has the fields of version 1, then those of 2, ... (cluster.md, section 5)
 * kind       FLAG; U32; NS: nanoseconds, in JSON seconds; WORD: enum clu_<name>, in JSON one of .word
 * key        in JSON and on command lines
 * otherwise  the default, also of a field since version 2 or later that an older node does not send
 * ...        further members of struct clu_policy_field
 */
#define CLU_POLICY_FIELDS(F)                                                                                                          \
	/* what to do when the loss of a host would leave a domain without room */                                                    \
	F(1, 1, WORD, admission, "admission", CLU_ADMIT_WARN, 0, CLU_ADMIT_REFUSE, .word = { "off", "warn", "refuse" })               \
	F(2, 1, U32, mem_overcommit_pct, "mem_overcommit_pct", 100, 10, 1000) /* 100: none */                                         \
	F(3, 1, U32, restart_max, "restart_max", 5, 1, 1000000) /* crashes within the window until FAILED */                          \
	F(4, 1, NS, restart_window_ns, "restart_window_s", 600 * CLU_S, 0, 10000000 * CLU_S)                                          \
	F(5, 1, NS, backoff_ns, "backoff_s", 1 * CLU_S, 1, 1000000 * CLU_S)                                                           \
	F(6, 1, NS, backoff_max_ns, "backoff_max_s", 60 * CLU_S, 1, 1000000 * CLU_S)                                                  \
	F(7, 1, FLAG, auto_balance, "auto_balance", 0, 0, 1)                                                                          \
	/* a plan is made when the spread of load is above that */                                                                    \
	F(8, 1, U32, balance_threshold_pct, "balance_threshold_pct", 20, 0, 100)                                                      \
	F(9, 1, NS, balance_hold_ns, "balance_hold_s", 60 * CLU_S, 0, 1000000 * CLU_S) /* for so long */                              \
	F(10, 1, U32, balance_gain_pct, "balance_gain_pct", 10, 0, 100) /* the plan's least gain in spread */                         \
	F(11, 1, NS, balance_cooldown_ns, "balance_cooldown_s", 120 * CLU_S, 0, 1000000 * CLU_S) /* after a plan */                   \
	F(12, 1, U32, moves_max, "moves_max", 2, 1, 128) /* migrations at one time in the cluster */                                  \
	/* 0: from Corosync's token time, see docs/fencing.md */                                                                      \
	F(13, 1, NS, lease_ns, "lease_s", 0, 1 * CLU_S, 3600 * CLU_S, .or_zero = true)                                                \
	F(14, 1, NS, margin_ns, "margin_s", 1 * CLU_S, CLU_S / 10, 3600 * CLU_S) /* what others wait beyond a host's lease */         \
	/* what a host does with its domains when its lease expires */                                                                \
	F(15, 2, WORD, no_quorum, "no_quorum", 0, 0, CLU_NO_QUORUM_SUSPEND, .word = { "stop", "suspend" })                            \
	F(18, 4, WORD, stopping_clocks, "stopping_clocks", 0, 0, CLU_STOPPING_CLOCKS_TRUST, .word = { "fence", "trust" })             \
	F(16, 3, WORD, on_shutdown, "on_shutdown", 0, 0, CLU_ON_SHUTDOWN_STOP, .word = { "drain", "shutdown", "stop" })               \
	/* how long that may take */                                                                                                  \
	F(17, 3, NS, shutdown_ns, "shutdown_s", CLU_SHUTDOWN_NS, 5 * CLU_S, 3600 * CLU_S, .says = CLU_SHUTDOWN_SAYS)

#endif
