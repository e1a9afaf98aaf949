/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy of a cluster, as policy.h describes it: the struct, and each field by its description. Part of clu.h. */
#ifndef HOSPES_CLUSTERD_CORE_CLU_POLICY_H
#define HOSPES_CLUSTERD_CORE_CLU_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "clusterd/core/policy.h"

/* Numbers are on the wire and on disk, and are never reused. */
enum clu_admission { CLU_ADMIT_OFF = 0, CLU_ADMIT_WARN = 1, CLU_ADMIT_REFUSE = 2 };
enum clu_no_quorum { CLU_NO_QUORUM_STOP = 0, CLU_NO_QUORUM_SUSPEND = 1 };
/* A lost host whose clocks may stop: only a fence agent or a person makes it safe; or it is trusted never to be paused. */
enum clu_stopping_clocks { CLU_STOPPING_CLOCKS_FENCE = 0, CLU_STOPPING_CLOCKS_TRUST = 1 };
/* The domains of a host that is shut down in order: moved where possible, the rest as SHUTDOWN; powered off by their guests; ended. */
enum clu_on_shutdown { CLU_ON_SHUTDOWN_DRAIN = 0, CLU_ON_SHUTDOWN_SHUTDOWN = 1, CLU_ON_SHUTDOWN_STOP = 2 };

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
	bool or_zero;            /* 0 is allowed besides min to max */
	uint64_t otherwise, min, max;
	const char *key;
	const char *word[4];     /* WORD: those of 0, 1, ... */
	const char *says;        /* the error for a value out of range; NULL: a general one */
};
extern const struct clu_policy_field clu_policy_field[CLU_POLICY_N];
#define CLU_POLICY_END (clu_policy_field + CLU_POLICY_N)

void clu_policy_default(struct clu_policy *p);
/* One field as a number. */
uint64_t clu_policy_get(const struct clu_policy *p, const struct clu_policy_field *f);
void clu_policy_set(struct clu_policy *p, const struct clu_policy_field *f, uint64_t v);
/* The first field whose value is out of its range; NULL: none. */
const struct clu_policy_field *clu_policy_wrong(const struct clu_policy *p);

#define CLU_PARK_LEASE_NS  4000000000ull /* no_quorum=suspend needs a lease and a margin of at least these */
#define CLU_PARK_MARGIN_NS 500000000ull
/* How long before a lease of @lease_ns expires its domains are suspended: a quarter of it, 1 s to 5 s. 0: they are not, but killed. */
uint64_t clu_park_ns(const struct clu_policy *p, uint64_t lease_ns);

#endif
