/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine contract (tests/unit/conform.h) asked of an engine with a real guest: this is the hvdom around the engine,
 * that is memory, devices, and somebody who kills the guest. One per process; main thread.
 */
#ifndef HOSPES_TESTS_SYSTEM_REALGUEST_H
#define HOSPES_TESTS_SYSTEM_REALGUEST_H

#include "common/util.h"
#include "tests/unit/conform.h"

struct realguest {
	const struct hv_engine_ops *ops;
	struct dom_config cfg; /* set by the caller, whose texts it borrows */
	uint64_t patience_ns;
	void (*end)(struct conform *c);            /* kill the guest */
	void (*spoil)(struct conform *c, bool on); /* so that it cannot start, until off again */
	/* set here */
	struct guestmem mem;
	struct devs *devs;
	struct buf devstate;
	pid_t process;  /* what the engine said that it started */
	char con[8192]; /* what the guest said last */
	size_t con_len;
	struct err err;
};
extern struct realguest real;

/* Print why nothing can be asked here. Returns 77. */
int realguest_skip(const char *why);
/* Ask all. Returns the status of the process: 0 if the contract is kept. */
int realguest_run(void);
/*
 * Boot a guest, let it run until it said @word on its boot console, and do @fn, which returns NULL or what is wrong. Returns the
 * status of the process.
 */
int realguest_do(const char *word, const char *(*fn)(struct conform *c));
/* Serve the loop until @fn says so. False: it did not within patience_ns. */
bool realguest_until(struct conform *c, bool (*fn)(struct conform *c));

#endif
