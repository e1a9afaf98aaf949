/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does an engine keep the contract of hypervisor/engine.h? For any engine: test_engine.c asks the fake one, tests/system/pv/engineguest.c
 * pv with a real guest. Asserts nothing by itself: it says which promise was broken.
 */
#ifndef HOSPES_TESTS_UNIT_CONFORM_H
#define HOSPES_TESTS_UNIT_CONFORM_H

#include "hypervisor/engine.h"

struct conform {
	/* the engine and its world, filled by the caller; env.ready, .exited, .arg are ours */
	const struct hv_engine_ops *ops;
	struct hv_engine_env env;
	const uint32_t *modes; /* of log-dirty, that it has here */
	size_t n_modes;
	/* Around the engine, as hvdom does it. */
	int (*fresh)(struct conform *c);            /* before boot(): memory of zeros, devices are served */
	int (*opened)(struct conform *c);           /* after open(). NULL: nothing to do */
	int (*quiet)(struct conform *c);            /* after suspend() and ready(): devices are quiesced */
	int (*serve)(struct conform *c, bool kick); /* before resume() */
	int (*load)(struct conform *c, struct rd *in, struct err *err); /* devices, then ops->load() */
	int (*save)(struct conform *c, struct buf *out, struct err *err);
	/* The guest. */
	void (*end)(struct conform *c);                /* it ends, in whatever state */
	void (*spoil)(struct conform *c, bool on);     /* boots fail, at once or by ready(), while on */
	bool (*poke)(struct conform *c, uint32_t mode, uint64_t page, uint8_t v); /* it writes; false: not in this mode. NULL: never */
	uint64_t (*age)(struct conform *c);            /* how far it came since its boot. NULL: not known */
	bool all_orders;                               /* it is quick: try all short sequences of ops */
	uint64_t patience_ns;                          /* for what must happen */
	/* ours */
	void *vm;
	unsigned ready, exited;
	bool ready_failed, boot_from_exited;
	char why[300];                                 /* the promise that was broken */
};

/* 0: it keeps what was tried. Else c->why says what it broke. */
int conform_run(struct conform *c);

#endif
