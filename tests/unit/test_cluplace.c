/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Placement: each hard rule with its reason, the score, N+1, rules that cannot hold. */
#include "config.h"
#include "testutil.h"
#include "clusterd/core/rehearse.h"
#include "tests/unit/cluworld.h"

#define MIB CLUWORLD_MIB

/* Each spoils host-b for the domain "web", which is the second of the state and runs nowhere, and nothing else. */
static void spoil_none(struct clu_state *s)
{
	(void)s;
}
static void spoil_lost(struct clu_state *s)
{
	s->host[1].state = CLU_HOST_LOST;
}
static void spoil_maintenance(struct clu_state *s)
{
	s->host[1].maintenance = true;
}
static void spoil_engine(struct clu_state *s)
{
	s->host[1].cap.engines = CLU_ENGINE_KVM;
}
static void spoil_memory(struct clu_state *s)
{
	cluworld_dom(s, "big", 7000, 2);
}
static void spoil_memory_in(struct clu_state *s)
{
	struct clu_dom *d = cluworld_dom(s, "big", 7000, 1);

	s->dom[0].spec.mem_bytes = 100 * MIB; /* host-a has room for web all the same */
	d->spec.mem_bytes = 6000 * MIB;
	s->host[1].cap.mem_bytes = 7000 * MIB;
	d->phase = CLU_PHASE_MIGRATING;
	d->target = 2;
	s->dom[1].spec.mem_bytes = 2000 * MIB;
}
static void spoil_bridge(struct clu_state *s)
{
	strcpy(s->dom[1].spec.bridge[0], "br0");
	strcpy(s->host[0].cap.bridge[3], "br0");
	strcpy(s->host[2].cap.bridge[0], "br0");
}
static void spoil_files(struct clu_state *s)
{
	s->dom[1].unreachable[0] = 2;
}
static void spoil_hosts(struct clu_state *s)
{
	cluworld_rule(s, CLU_RULE_HOSTS, false, false, "web host-a host-c");
}
static void spoil_never(struct clu_state *s)
{
	cluworld_rule(s, CLU_RULE_HOSTS, false, true, "web host-b");
}
static void spoil_label(struct clu_state *s)
{
	strcpy(s->host[0].cap.label[1], "ssd");
	strcpy(s->host[2].cap.label[0], "ssd");
	cluworld_rule(s, CLU_RULE_HOSTS, false, false, "web label=ssd");
}
static void spoil_together(struct clu_state *s)
{
	cluworld_rule(s, CLU_RULE_TOGETHER, false, false, "web db");
}
static void spoil_apart(struct clu_state *s)
{
	cluworld_dom(s, "web2", 100, 2);
	cluworld_rule(s, CLU_RULE_APART, false, false, "web2 web");
}
static void spoil_apart_target(struct clu_state *s)
{
	struct clu_dom *d = cluworld_dom(s, "web2", 100, 3);

	d->phase = CLU_PHASE_MIGRATING;
	d->target = 2;
	cluworld_rule(s, CLU_RULE_APART, false, false, "web2 web");
}
static void spoil_conflict(struct clu_state *s)
{
	strcpy(cluworld_dom(s, "rival", 100, 2)->spec.type, "bank-b");
	strcpy(cluworld_dom(s, "friend", 100, 1)->spec.type, "bank-a");
	strcpy(cluworld_dom(s, "other", 100, 1)->spec.type, "paper");
	strcpy(s->dom[1].spec.type, "bank-a");
	cluworld_rule(s, CLU_RULE_CONFLICT, false, false, "bank-a bank-b");
}

static const struct {
	const char *what;
	void (*spoil)(struct clu_state *s);
	enum clu_why why;
	const char *says;
	bool a_stays_good; /* host-a is judged OK */
} hard[] = {
	{ "nothing", spoil_none, CLU_WHY_OK, "% of memory", true },
	{ "lost", spoil_lost, CLU_WHY_OFFLINE, "lost", true },
	{ "maintenance", spoil_maintenance, CLU_WHY_MAINTENANCE, "maintenance", true },
	{ "engine", spoil_engine, CLU_WHY_ENGINE, "pv", true },
	{ "memory", spoil_memory, CLU_WHY_MEMORY, "1192 MiB free of 8192 MiB, it needs 2048 MiB", true },
	{ "memory of one that comes", spoil_memory_in, CLU_WHY_MEMORY, "1000 MiB free of 7000 MiB, it needs 2000 MiB",
	  true },
	{ "bridge", spoil_bridge, CLU_WHY_BRIDGE, "br0", true },
	{ "files", spoil_files, CLU_WHY_FILES, "files", true },
	{ "hosts", spoil_hosts, CLU_WHY_RULE_HOSTS, "(rule 1)", true },
	{ "never", spoil_never, CLU_WHY_RULE_HOSTS, "(rule 1)", true },
	{ "label", spoil_label, CLU_WHY_RULE_HOSTS, "(rule 1)", true },
	{ "together", spoil_together, CLU_WHY_RULE_TOGETHER, "elsewhere", true },
	{ "apart", spoil_apart, CLU_WHY_RULE_APART, "apart", true },
	{ "apart from one that comes", spoil_apart_target, CLU_WHY_RULE_APART, "apart", true },
	{ "conflict", spoil_conflict, CLU_WHY_CONFLICT, "conflict", true },
};

/* db runs on host-a, web is to be placed. */
static struct clu_state *base(void)
{
	struct clu_state *s = cluworld_new(3, 16);

	cluworld_dom(s, "db", 1024, 1);
	cluworld_dom(s, "web", 2048, 0);
	return s;
}

static void test_hard(void **state)
{
	struct clu_verdict v;

	(void)state;
	for (size_t i = 0; i < sizeof(hard) / sizeof(hard[0]); i++) {
		struct clu_state *s = base();
		hard[i].spoil(s);
		clu_judge(s, NULL, &s->dom[1], 1, &v);
		if (v.why != hard[i].why || !strstr(v.text, hard[i].says))
			fail_msg("%s: %s, \"%s\"", hard[i].what, clu_why_name(v.why), v.text);
		clu_judge(s, NULL, &s->dom[1], 0, &v);
		if ((v.why == CLU_WHY_OK) != hard[i].a_stays_good)
			fail_msg("%s: host-a: %s, \"%s\"", hard[i].what, clu_why_name(v.why), v.text);
		uint32_t node = clu_place(s, NULL, &s->dom[1], false, NULL);
		if (!node || (node == 2 && hard[i].why != CLU_WHY_OK))
			fail_msg("%s: placed on %u", hard[i].what, node);
		cluworld_free(s);
	}
}

static void test_features(void **state)
{
	struct clu_state *s = base();
	struct clu_verdict v;

	(void)state;
	s->host[0].cap.cpu_bits[1] = 6;
	s->host[1].cap.cpu_bits[1] = 4;
	s->host[2].cap.cpu_bits[1] = 7;
	clu_judge(s, NULL, &s->dom[0], 1, &v); /* runs on host-a */
	assert_int_equal(v.why, CLU_WHY_CPU_FEATURES);
	assert_non_null(strstr(v.text, "host-a"));
	clu_judge(s, NULL, &s->dom[0], 2, &v);
	assert_int_equal(v.why, CLU_WHY_OK);
	clu_judge(s, NULL, &s->dom[0], 0, &v);
	assert_int_equal(v.why, CLU_WHY_OK);
	clu_judge(s, NULL, &s->dom[1], 1, &v); /* a start needs no features */
	assert_int_equal(v.why, CLU_WHY_OK);
	assert_int_equal(clu_place(s, NULL, &s->dom[0], true, NULL), 3);
	cluworld_free(s);
}

/* A running domain goes only where its engine is of the same build; a host that says none may be older than builds are. */
static const struct {
	uint32_t engine;
	const char *host_a, *host_b, *own,
		*why; /* of two hosts, and what hvdom says of the domain on host-a; NULL: nothing */
	bool newer;
} builds[] = {
	{ CLU_ENGINE_QEMU, "qemu 7.2.22 tcg", "qemu 7.2.22 tcg", NULL, NULL, false },
	{ CLU_ENGINE_QEMU, "qemu 7.2.22 tcg", "qemu 7.2.2 tcg", NULL,
	  "it has qemu 7.2.2 tcg, the running domain is of qemu 7.2.22 tcg", false },
	{ CLU_ENGINE_QEMU, "qemu 7.2.2 tcg", "qemu 7.2.22 tcg", NULL,
	  "it has qemu 7.2.22 tcg, the running domain is of qemu 7.2.2 tcg", false },
	{ CLU_ENGINE_QEMU, "qemu 7.2.22 tcg", "kvm 7.2.2 kvm", NULL, NULL, false },
	{ CLU_ENGINE_QEMU, "qemu 7.2.22 tcg", NULL, NULL, NULL, false },
	{ CLU_ENGINE_QEMU, NULL, "qemu 7.2.22 tcg", NULL, NULL, false },
	{ CLU_ENGINE_KVM, "qemu 7.2.22 tcg", "qemu 7.2.2 tcg", NULL, NULL, false },
	{ CLU_ENGINE_PV, "qemu 7.2.22 tcg", "qemu 7.2.2 tcg", "pv 0123", NULL, false },
	/* its host got another QEMU meanwhile */
	{ CLU_ENGINE_QEMU, "qemu 7.2.23 tcg", "qemu 7.2.22 tcg", "qemu 7.2.22 tcg pc-q35-7.2", NULL, false },
	{ CLU_ENGINE_QEMU, "qemu 7.2.23 tcg", "qemu 7.2.23 tcg", "qemu 7.2.22 tcg pc-q35-7.2",
	  "it has qemu 7.2.23 tcg, the running domain is of qemu 7.2.22 tcg pc-q35-7.2", false },
	/* another processor's engine is another one */
	{ CLU_ENGINE_QEMU_AARCH64, "qemu-aarch64 7.2.22 tcg aarch64", "qemu 7.2.2 tcg",
	  "qemu-aarch64 7.2.22 tcg aarch64", NULL, false },
	{ CLU_ENGINE_QEMU_AARCH64, "qemu-aarch64 7.2.22 tcg aarch64", "qemu-aarch64 7.2.9 tcg aarch64",
	  "qemu-aarch64 7.2.22 tcg aarch64",
	  "it has qemu-aarch64 7.2.9 tcg aarch64, the running domain is of qemu-aarch64 7.2.22 tcg aarch64", false },
	{ CLU_ENGINE_QEMU, NULL, "qemu 7.2.22 tcg", "qemu 7.2.22 tcgx", /* no longer word */
	  "it has qemu 7.2.22 tcg, the running domain is of qemu 7.2.22 tcgx", false },
	/* which may go on with a later one, and not back */
	{ CLU_ENGINE_QEMU, "qemu 7.2.22 tcg", "qemu 8.0.0 tcg", "qemu 7.2.22 tcg pc-q35-7.2", NULL, true },
	{ CLU_ENGINE_QEMU, "qemu 7.2.22 tcg", "qemu 7.2.22 tcg", "qemu 7.2.22 tcg pc-q35-7.2", NULL, true },
	{ CLU_ENGINE_QEMU, "qemu 7.2.22 tcg", "qemu 7.2.9 tcg", "qemu 7.2.22 tcg pc-q35-7.2",
	  "it has qemu 7.2.9 tcg, the running domain is of qemu 7.2.22 tcg pc-q35-7.2, and could go on with a later one",
	  true },
	{ CLU_ENGINE_QEMU, "qemu 7.2.22 tcg", "qemu 8.0.0 kvm", "qemu 7.2.22 tcg pc-q35-7.2",
	  "it has qemu 8.0.0 kvm, the running domain is of qemu 7.2.22 tcg pc-q35-7.2, and could go on with a later one",
	  true },
};

static void test_builds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(builds) / sizeof(builds[0]); i++) {
		struct clu_state *s = base();
		struct clu_dom_load dl[16] = { { 0 } };
		struct clu_load load = { .dom = dl };
		struct clu_verdict v;

		for (unsigned k = 0; k < 3; k++)
			s->host[k].cap.engines = 15; /* all of them */
		s->dom[0].spec.engine = s->dom[1].spec.engine = builds[i].engine;
		strcpy(s->host[0].cap.build[0], builds[i].host_a ?: "");
		strcpy(s->host[1].cap.build[2], builds[i].host_b ?: "");
		strcpy(dl[0].build, builds[i].own ?: "");
		dl[0].newer = builds[i].newer;
		clu_judge(s, &load, &s->dom[0], 1, &v);
		assert_int_equal(v.why, builds[i].why ? CLU_WHY_ENGINE : CLU_WHY_OK);
		if (builds[i].why)
			assert_string_equal(v.text, builds[i].why);
		clu_judge(s, &load, &s->dom[0], 0, &v); /* where it is */
		assert_int_equal(v.why, CLU_WHY_OK);
		clu_judge(s, &load, &s->dom[1], 1, &v); /* a start needs the engine, no more */
		assert_int_equal(v.why, CLU_WHY_OK);
		if (builds[i].why)
			assert_int_equal(clu_place(s, &load, &s->dom[0], true, NULL), 3);
		cluworld_free(s);
	}
}

/* What of its host a running domain sees: pv's programs the first words, KVM's kernels all, unless a processor is named; QEMU's nothing. */
static void test_features_by_engine(void **state)
{
	static const struct {
		uint32_t engine;
		bool named, user_ok, kernel_ok; /* may it go where a feature of programs, or of kernels, is missing? */
	} c[] = { { CLU_ENGINE_PV, false, false, true },
		  { CLU_ENGINE_KVM, false, false, false },
		  { CLU_ENGINE_KVM, true, true, true },
		  { CLU_ENGINE_QEMU, false, true, true },
		  { CLU_ENGINE_QEMU_AARCH64, false, true, true } };

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct clu_state *s = base();
		struct clu_verdict v;

		for (int h = 0; h < 3; h++)
			s->host[h].cap.engines = 15, s->host[h].cap.cpu_bits[1] = 6, s->host[h].cap.cpu_bits[2] = 6;
		s->host[1].cap.cpu_bits[1] = 4;
		s->host[2].cap.cpu_bits[2] = 4;
		s->dom[0].spec.engine = c[i].engine;
		s->dom[0].spec.cpu_named = c[i].named;
		clu_judge(s, NULL, &s->dom[0], 1, &v);
		assert_int_equal(v.why, c[i].user_ok ? CLU_WHY_OK : CLU_WHY_CPU_FEATURES);
		clu_judge(s, NULL, &s->dom[0], 2, &v);
		assert_int_equal(v.why, c[i].kernel_ok ? CLU_WHY_OK : CLU_WHY_CPU_FEATURES);
		cluworld_free(s);
	}
}

static void test_baseline(void **state)
{
	struct clu_state *s = base();
	uint64_t w[CLU_CPU_WORDS], slots[CLU_HOSTS_MAX / 64];

	(void)state;
	/* nobody has said anything yet */
	for (int h = 0; h < 3; h++)
		memset(s->host[h].cap.cpu_bits, 0, sizeof(s->host[h].cap.cpu_bits));
	clu_cpu_baseline(s, w, slots);
	assert_true(!w[0] && !w[3] && !slots[0]);
	/* without KVM all that have been there, lost ones too */
	for (int h = 0; h < 2; h++)
		s->host[h].cap.engines = CLU_ENGINE_PV | CLU_ENGINE_QEMU;
	s->host[0].cap.cpu_bits[0] = 0xf, s->host[0].cap.cpu_bits[3] = 3;
	s->host[1].cap.cpu_bits[0] = 0x5, s->host[1].cap.cpu_bits[3] = 6;
	s->host[1].state = CLU_HOST_LOST;
	clu_cpu_baseline(s, w, slots);
	assert_true(w[0] == 5 && !w[1] && w[3] == 2 && slots[0] == 3);
	/* with KVM only those that have it */
	s->host[0].cap.engines |= CLU_ENGINE_KVM;
	clu_cpu_baseline(s, w, slots);
	assert_true(w[0] == 0xf && w[3] == 3 && slots[0] == 1);
	cluworld_free(s);
}

static void test_memory(void **state)
{
	static const struct {
		enum clu_phase phase;
		bool counts;
	} t[] = { { CLU_PHASE_STOPPED, false }, { CLU_PHASE_STARTING, true },  { CLU_PHASE_RUNNING, true },
		  { CLU_PHASE_STOPPING, true }, { CLU_PHASE_MIGRATING, true }, { CLU_PHASE_RESOLVING, true },
		  { CLU_PHASE_FAILED, false } };
	struct clu_verdict v;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct clu_state *s = base();
		struct clu_dom *d = cluworld_dom(s, "big", 7000, 2);
		d->phase = t[i].phase;
		d->target = d->phase == CLU_PHASE_MIGRATING ? 3 : 0;
		clu_judge(s, NULL, &s->dom[1], 1, &v);
		assert_int_equal(v.why, t[i].counts ? CLU_WHY_MEMORY : CLU_WHY_OK);
		clu_judge(s, NULL, &s->dom[1], 2, &v);
		assert_int_equal(v.why, t[i].phase == CLU_PHASE_MIGRATING ? CLU_WHY_MEMORY : CLU_WHY_OK);
		/* its own memory is not in its way */
		clu_judge(s, NULL, d, 1, &v);
		assert_int_equal(v.why, CLU_WHY_OK);
		/* twice the memory on paper */
		s->policy.mem_overcommit_pct = 200;
		clu_judge(s, NULL, &s->dom[1], 1, &v);
		assert_int_equal(v.why, CLU_WHY_OK);
		s->policy.mem_overcommit_pct = 110; /* 9011 MiB */
		s->dom[1].spec.mem_bytes = 2012 * MIB;
		clu_judge(s, NULL, &s->dom[1], 1, &v);
		assert_int_equal(v.why, t[i].counts ? CLU_WHY_MEMORY : CLU_WHY_OK);
		cluworld_free(s);
	}
}

static void test_score(void **state)
{
	struct clu_state *s = base();
	struct clu_load load = { .dom = NULL };
	struct clu_verdict v;

	(void)state;
	assert_int_equal(clu_place(s, NULL, &s->dom[1], false, NULL), 2); /* host-a has db; b before c */
	s->dom[1].failed[0] = 2;
	s->dom[1].fail[0] = (struct clu_fail){ .node = 2, .count = 1, .until_ns = 1000, .text = "no such disk" };
	assert_int_equal(clu_place(s, NULL, &s->dom[1], false, NULL), 3);
	clu_judge(s, NULL, &s->dom[1], 1, &v);
	assert_int_equal(v.why, CLU_WHY_OK);
	assert_non_null(strstr(v.text, "failed here 1 time, so others go first: no such disk"));
	s->host[0].maintenance = s->host[2].maintenance = true;
	assert_int_equal(clu_place(s, NULL, &s->dom[1], false, NULL), 2); /* soft: better than nowhere */
	s->host[0].maintenance = s->host[2].maintenance = false;
	load.time_ns = 1000; /* its time is over */
	assert_int_equal(clu_place(s, &load, &s->dom[1], false, NULL), 2);
	load.time_ns = 0;
	memset(s->dom[1].fail, 0, sizeof(s->dom[1].fail));
	s->dom[1].failed[0] = 0;
	s->host[1].start_fails = CLU_SUSPECT;
	s->host[1].suspect_ns = 1000;
	assert_int_equal(clu_place(s, NULL, &s->dom[1], false, NULL), 3);
	s->host[1].start_fails = 0;
	s->host[1].leaving = CLU_LEAVING_DRAIN;
	clu_judge(s, NULL, &s->dom[1], 1, &v);
	assert_int_equal(v.why, CLU_WHY_MAINTENANCE);
	s->host[1].leaving = CLU_LEAVING_NOT;
	load.cpu_used_milli[1] = 7500; /* measured */
	assert_int_equal(clu_place(s, &load, &s->dom[1], false, NULL), 3);
	cluworld_rule(s, CLU_RULE_HOSTS, true, false, "web host-a"); /* soft */
	assert_int_equal(clu_place(s, &load, &s->dom[1], false, NULL), 1);
	cluworld_free(s);

	s = base(); /* all else equal: stay */
	s->dom[0].phase = CLU_PHASE_STOPPED;
	s->dom[1].host = 3;
	s->dom[1].phase = CLU_PHASE_RUNNING;
	assert_int_equal(clu_place(s, NULL, &s->dom[1], false, NULL), 3);
	assert_int_equal(clu_place(s, NULL, &s->dom[1], true, NULL), 1);
	cluworld_free(s);
}

static void test_nowhere(void **state)
{
	struct clu_state *s = base();
	char why[CLU_TEXT_MAX];

	(void)state;
	s->dom[1].spec.mem_bytes = 20480 * MIB;
	s->host[2].state = CLU_HOST_LOST;
	assert_int_equal(clu_place(s, NULL, &s->dom[1], false, why), 0);
	assert_string_equal(why,
	                    "no host for it; 2 of 3: too little memory: 7168 MiB free of 8192 MiB, it needs 20 GiB");
	assert_int_equal(clu_place(s, NULL, &s->dom[1], false, NULL), 0);
	cluworld_free(s);

	s = cluworld_new(1, 4);
	struct clu_dom *d = cluworld_dom(s, "only", 100, 1);
	assert_int_equal(clu_place(s, NULL, d, true, why), 0);
	assert_string_equal(why, "there is no other host");
	cluworld_free(s);
}

/* A drain takes bundles away one after the other, to one host. */
static void test_drain_together(void **state)
{
	struct clu_state *s = cluworld_new(3, 8);
	struct clu_dom *a = cluworld_dom(s, "a", 3000, 1), *b = cluworld_dom(s, "b", 3000, 1);
	struct clu_verdict v;

	(void)state;
	cluworld_dom(s, "x", 2500, 2); /* host-b: room for one of them only, host-c for both, but busier in CPU */
	struct clu_load load = { .cpu_used_milli = { 0, 0, 4000 } };
	cluworld_rule(s, CLU_RULE_TOGETHER, false, false, "a b");
	clu_judge(s, &load, a, 1, &v);
	assert_int_equal(v.why, CLU_WHY_RULE_TOGETHER);
	s->host[0].maintenance = true;
	assert_int_equal(clu_place(s, &load, a, true, NULL), 3);
	a->phase = CLU_PHASE_MIGRATING;
	a->target = 3;
	assert_int_equal(clu_place(s, &load, b, true, NULL), 3);
	clu_judge(s, &load, b, 1, &v);
	assert_int_equal(v.why, CLU_WHY_RULE_TOGETHER);
	cluworld_free(s);
}

static void test_admit(void **state)
{
	struct clu_state *s = cluworld_new(3, 16);
	char why[CLU_TEXT_MAX];

	(void)state;
	/* 8 GiB each: the loss of one leaves 16 GiB for all */
	cluworld_dom(s, "a1", 4096, 1);
	cluworld_dom(s, "a2", 3000, 1);
	cluworld_dom(s, "b1", 4096, 2);
	cluworld_dom(s, "c1", 4096, 3);
	assert_int_equal(clu_admit(s, NULL, NULL, why), 0);
	struct clu_dom *d = cluworld_dom(s, "new", 1500, 0);
	d->spec.ha = s->dom[2].spec.ha = s->dom[3].spec.ha = false; /* they take room, and ask for none */
	assert_int_equal(clu_admit(s, NULL, NULL, why), 0);
	/* b: 4096 + 1500 -> if host-a is lost, 4096 goes to c, 3000 finds 2596 on b and 0 on c */
	assert_int_equal(clu_admit(s, NULL, d, why), 1);
	assert_string_equal(why, "if host-a were lost, a2 (3000 MiB) would find no room on the other hosts");
	s->dom[1].spec.ha = false; /* it would stay down anyway */
	assert_int_equal(clu_admit(s, NULL, d, why), 0);
	s->dom[1].spec.ha = true;
	s->policy.mem_overcommit_pct = 150;
	assert_int_equal(clu_admit(s, NULL, d, why), 0);
	s->policy.mem_overcommit_pct = 100;
	s->dom[1].desired = CLU_DESIRED_STOPPED;
	assert_int_equal(clu_admit(s, NULL, d, why), 0);
	s->dom[1].desired = CLU_DESIRED_RUNNING;
	/* bound to the lost host by a rule: not a matter of room */
	cluworld_rule(s, CLU_RULE_HOSTS, false, false, "a2 host-a");
	assert_int_equal(clu_admit(s, NULL, d, why), 0);
	s->rule[0].id = 0;
	s->host[1].state = s->host[2].state = CLU_HOST_LOST; /* alone: nothing to promise */
	assert_int_equal(clu_admit(s, NULL, NULL, why), 0);
	cluworld_free(s);
}

static const struct {
	const char *what;
	enum clu_rule_kind kind;
	bool soft, never;
	const char *member[4];
	int result;
	const char *says;
} checks[] = {
	{ "fine", CLU_RULE_APART, false, false, { "c", "d" }, 0, "" },
	{ "fine hosts", CLU_RULE_HOSTS, false, false, { "c", "host-a", "label=gpu" }, 0, "" },
	{ "unknown domain", CLU_RULE_TOGETHER, false, false, { "c", "nobody" }, -ENOENT, "no domain nobody" },
	{ "unknown host", CLU_RULE_HOSTS, false, false, { "c", "host-x" }, -ENOENT, "no host host-x" },
	{ "one member", CLU_RULE_APART, false, false, { "c" }, -EINVAL, "2 to 16" },
	{ "twice", CLU_RULE_APART, false, false, { "c", "c" }, -EINVAL, "named twice" },
	{ "kind", (enum clu_rule_kind)9, false, false, { "c", "d" }, -EINVAL, "kind" },
	{ "never", CLU_RULE_APART, false, true, { "c", "d" }, -EINVAL, "never" },
	{ "together and apart", CLU_RULE_APART, false, false, { "a", "b" }, -EINVAL, "together and apart" },
	{ "the same over a third", CLU_RULE_APART, false, false, { "a", "e" }, -EINVAL, "together and apart" },
	{ "softly", CLU_RULE_APART, true, false, { "a", "b" }, 0, "" },
	{ "apart and together", CLU_RULE_TOGETHER, false, false, { "g", "h" }, -EINVAL, "(rule 3)" },
	{ "types together", CLU_RULE_CONFLICT, false, false, { "red", "blue" }, -EINVAL, "types in conflict" },
	{ "types not together", CLU_RULE_CONFLICT, false, false, { "red", "green" }, 0, "" },
	{ "hosts of a bundle",
	  CLU_RULE_HOSTS,
	  false,
	  false,
	  { "e", "host-b" },
	  -EINVAL,
	  "no host would be left that e may run on" },
	{ "hosts of a bundle, right", CLU_RULE_HOSTS, false, false, { "e", "host-a", "host-b" }, 0, "" },
	{ "nowhere", CLU_RULE_HOSTS, false, false, { "c", "label=none" }, -EINVAL, "no host would be left" },
	{ "never everywhere", CLU_RULE_HOSTS, false, true, { "a", "host-a" }, -EINVAL, "no host would be left" },
	{ "more apart than hosts", CLU_RULE_APART, false, false, { "b", "c", "d", "g" }, -EINVAL, "fewer hosts" },
};

static void test_rule_check(void **state)
{
	char why[CLU_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct clu_state *s = cluworld_new(3, 16);
		struct clu_rule r = {
			.id = 77, .kind = checks[i].kind, .soft = checks[i].soft, .never = checks[i].never
		};
		static const char *const name[] = { "a", "b", "c", "d", "e", "g", "h" };
		for (size_t k = 0; k < sizeof(name) / sizeof(name[0]); k++)
			cluworld_dom(s, name[k], 100, 0);
		strcpy(s->host[0].cap.label[0], "gpu");
		strcpy(s->dom[0].spec.type, "red");
		strcpy(s->dom[4].spec.type, "blue");
		strcpy(s->dom[2].spec.type, "green");
		cluworld_rule(s, CLU_RULE_TOGETHER, false, false, "a b");
		cluworld_rule(s, CLU_RULE_TOGETHER, false, false, "b e");
		cluworld_rule(s, CLU_RULE_APART, false, false, "g h");
		cluworld_rule(s, CLU_RULE_HOSTS, false, false, "a host-a");
		for (; r.n < 4 && checks[i].member[r.n]; r.n++)
			strcpy(r.member[r.n], checks[i].member[r.n]);
		strcpy(why, "");
		int got = clu_rule_check(s, &r, why);
		if (got != checks[i].result || !strstr(why, checks[i].says))
			fail_msg("%s: %d, \"%s\"", checks[i].what, got, why);
		assert_int_equal(clu_rule_check(s, &r, NULL), got);
		cluworld_free(s);
	}
}

/* Each answer twice the same, and a full cluster is not slow: hundreds of calls per decision. */
static void test_full_size(void **state)
{
	struct clu_state *s = cluworld_new(CLU_HOSTS_MAX, CLU_DOMS_MAX);
	char name[32];

	(void)state;
	for (uint32_t i = 0; i < CLU_DOMS_MAX; i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		cluworld_dom(s, name, 128 + i % 7 * 16, i % 5 ? 1 + i % CLU_HOSTS_MAX : 0);
	}
	for (uint32_t i = 0; i < 300; i++) {
		uint32_t node = clu_place(s, NULL, &s->dom[5 * i], false, NULL);
		assert_in_range(node, 1, CLU_HOSTS_MAX);
		assert_int_equal(clu_place(s, NULL, &s->dom[5 * i], false, NULL), node);
		s->dom[5 * i].host = node;
		s->dom[5 * i].phase = CLU_PHASE_STARTING;
	}
	assert_int_equal(clu_admit(s, NULL, NULL, NULL), 0);
	cluworld_free(s);
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < CLU_WHY_MAX; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(clu_why_name((enum clu_why)i), clu_why_name((enum clu_why)k));
	assert_string_equal(clu_why_name(CLU_WHY_FAILED_HERE), "failed-here");
	assert_string_equal(clu_why_name(CLU_WHY_MAX), "?");
}

/* Without a host: by priority, each takes its room, who waited already as well; what stays down with it is left alone. */
static void test_rehearse(void **state)
{
	struct clu_state *s = cluworld_new(3, 8);
	struct clu_load load = { 0 };
	uint16_t order[8];
	char why[CLU_TEXT_MAX] = "";

	(void)state;
	cluworld_dom(s, "low", 3000, 1);
	cluworld_dom(s, "high", 6000, 1)->spec.priority = 5;
	cluworld_dom(s, "waits", 5000, 0)->spec.priority = 2;
	cluworld_dom(s, "down", 100, 1)->spec.ha = false;
	cluworld_dom(s, "other", 4000, 2);
	cluworld_dom(s, "stopped", 100, 0)->desired = CLU_DESIRED_STOPPED;
	assert_int_equal(clu_rehearse_begin(s, 0, order), 3);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	assert_int_equal(order[2], 0);
	assert_int_equal(clu_rehearse_next(s, &load, 1, why), 3);
	assert_int_equal(clu_rehearse_next(s, &load, 2, why), 0);
	assert_non_null(strstr(why, "memory"));
	assert_int_equal(clu_rehearse_next(s, &load, 0, why), 2);
	s->dom[4].host = 0; /* gone from there: now there were room */
	s->dom[4].phase = CLU_PHASE_STOPPED;
	assert_int_equal(clu_rehearse_next(s, &load, 2, why), 2);
	cluworld_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rehearse),
		cmocka_unit_test(test_hard),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_builds),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_score),
		cmocka_unit_test(test_nowhere),
		cmocka_unit_test(test_drain_together),
		cmocka_unit_test(test_admit),
		cmocka_unit_test(test_rule_check),
		cmocka_unit_test(test_full_size),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_features_by_engine),
		cmocka_unit_test(test_baseline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
