/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fields of struct clu_spec, clu_capacity, clu_rule and clu_cmd, each described once for its octets on disk (record.c) and its message
 * (cluwire_cmd.c). proto/cluster.proto has the fields in the same order. These are the fields of version 1 of the records. Later fields of
 * domains and hosts stand at the end of the records, in record.c. The policy has policy.h.
 *
 * F(kind, name, ...). Kinds: U64, U32, I32, FLAG; ENUM with its highest value; TEXT; BITS: four words of 64 bits; WORDS: texts, of which
 * the message has the non-empty ones; MEMBERS: the first n texts. In messages the names of WORDS and MEMBERS end in s.
 */
#ifndef HOSPES_CLUSTERD_CORE_RECORD_H
#define HOSPES_CLUSTERD_CORE_RECORD_H

#define CLU_SPEC_FIELDS(F)                                                                                                            \
	F(U64, mem_bytes)                                                                                                             \
	F(U32, vcpus)                                                                                                                 \
	F(U32, engine)                                                                                                                \
	F(I32, priority)                                                                                                              \
	F(U32, order)                                                                                                                 \
	F(U32, restart_max)                                                                                                           \
	F(FLAG, ha)                                                                                                                   \
	F(TEXT, type)                                                                                                                 \
	F(WORDS, bridge)
#define CLU_CAPACITY_FIELDS(F)                                                                                                        \
	F(U64, mem_bytes)                                                                                                             \
	F(U32, cpu_milli)                                                                                                             \
	F(U32, engines)                                                                                                               \
	F(BITS, cpu_bits)                                                                                                             \
	F(WORDS, bridge)                                                                                                              \
	F(WORDS, label)
/* Of a host's capacity, on disk since version 4 of its record. */
#define CLU_CAPACITY_FIELDS_4(F) F(WORDS, build)
#define CLU_RULE_FIELDS(F)                                                                                                            \
	F(U32, id)                                                                                                                    \
	F(ENUM, kind, CLU_RULE_AFTER)                                                                                              \
	F(FLAG, soft)                                                                                                                 \
	F(FLAG, never)                                                                                                                \
	F(MEMBERS, member)
/* Of a rule, on disk since version 2 of its record. */
#define CLU_RULE_FIELDS_2(F) F(FLAG, healthy) F(U64, delay_ns)

/* Of a domain, on disk since version 4 of its record; in a command SET. */
#define CLU_SET_FIELDS(F) F(U32, has) F(I32, priority) F(U32, restarts) F(U64, restart_ns) F(U64, cooldown_ns)

/* F(name): the plain fields of a command, which exists on the wire only. */
#define CLU_CMD_FIELDS(F)                                                                                                             \
	F(kind) F(request) F(time_ns) F(host) F(target) F(rev) F(op_id) F(generation) F(result) F(seen) F(desired) F(safe_by)         \
	F(on) F(boot) F(lease_ns) F(self_fencing) F(clock_stops) F(leaving) F(witness) F(level) F(needs) F(mask)

#endif
