/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See conform.h. Each step opens an engine anew. A model knows the state that the guest must be in (struct run); every op goes through do_op(),
 * which compares what the engine answers with the table of engine.h.
 */
#include "config.h"
#include "tests/unit/conform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/util.h"

#define NO_MODE 77u

enum state { NONE, BOOTING, SUSPENDED, RUNNING };
enum op { BOOT, LOAD, SUSPEND, RESUME, SAVE, START, COLLECT, AUDIT, STOP, KILL, TURN, END, N_OPS };

static const char *const state_name[] = { "NONE", "BOOTING", "SUSPENDED", "RUNNING" };
static const char *const op_name[] = { "boot",    "load",  "suspend", "resume", "save", "logdirty_start",
	                               "collect", "audit", "stop",    "kill",   "turn", "end" };

struct run {
	struct conform *c;
	enum state state;
	bool log;
	unsigned ready, exited; /* to be told by now */
	struct buf saved;       /* of the last save */
	uint64_t *bits, words, pages;
	uint8_t *copy; /* memory as a sender would have it */
	struct err err;
};

/* How long nothing is waited for. */
static unsigned still_ms(const struct run *r)
{
	return r->c->all_orders ? 4 : 40;
}

/* Speaking --------------------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static int broken(struct run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->c->why, sizeof(r->c->why), fmt, ap);
	va_end(ap);
	return -1;
}

#define MUST(what, ...)                                                                                                \
	do {                                                                                                           \
		if (!(what))                                                                                           \
			return broken(r, __VA_ARGS__);                                                                 \
	} while (0)
#define TRY(call)                                                                                                      \
	do {                                                                                                           \
		int try_r = (call);                                                                                    \
		if (try_r)                                                                                             \
			return try_r;                                                                                  \
	} while (0)

static void on_ready(void *arg, const struct err *failed)
{
	struct conform *c = arg;

	c->ready++;
	c->ready_failed = failed != NULL;
	if (failed)
		snprintf(c->why, sizeof(c->why), "%.250s", failed->text);
}

static void on_exited(void *arg, enum hv_exit how, const char *text)
{
	struct conform *c = arg;
	struct err err;

	(void)how, (void)text;
	c->exited++;
	if (c->boot_from_exited && !c->fresh(c) && c->ops->boot(c->vm, &err))
		c->exited += 100;
}

static void turn(struct run *r, unsigned ms)
{
	uint64_t end = now_ns() + ms * NS_PER_MS;

	do
		(void)!loop_run_once(r->c->env.loop, ms ? 1 : 0);
	while (now_ns() < end);
}

/* Memory ----------------------------------------------------------------------------------------------------------------- */

static uint8_t *page_at(const struct run *r, uint64_t page)
{
	return r->c->env.mem->base + page * PAGE_BYTES;
}

/* Is there anything? Holes are not touched: that would fill them. The next page with data, or r->pages. */
static uint64_t next_data(const struct run *r, uint64_t page)
{
	off_t at = lseek(r->c->env.mem->fd, (off_t)(page * PAGE_BYTES), SEEK_DATA);

	return at < 0 ? r->pages : (uint64_t)at / PAGE_BYTES < page ? page : (uint64_t)at / PAGE_BYTES;
}

static bool is_zero(const uint8_t *p)
{
	static const uint8_t zero[PAGE_BYTES];

	return !memcmp(p, zero, PAGE_BYTES);
}

static uint64_t mem_sum(const struct run *r)
{
	uint64_t sum = 0;

	for (uint64_t i = next_data(r, 0); i < r->pages; i = next_data(r, i + 1))
		for (const uint64_t *w = (const uint64_t *)page_at(r, i), *e = w + PAGE_BYTES / 8; w < e; w++)
			sum = sum * 31 + *w;
	return sum;
}

static int stands(struct run *r, const char *when)
{
	uint64_t before = mem_sum(r);

	turn(r, still_ms(r));
	MUST(mem_sum(r) == before, "%s, and the guest's memory changes", when);
	return 0;
}

static int goes(struct run *r, const char *when)
{
	uint64_t before = mem_sum(r), end = now_ns() + r->c->patience_ns;

	while (mem_sum(r) == before) {
		MUST(now_ns() < end, "%s, and the guest does nothing", when);
		turn(r, 1);
	}
	return 0;
}

/* One op, and the model ---------------------------------------------------------------------------------------------------- */

static int told(struct run *r, const char *after)
{
	MUST(r->c->ready == r->ready, "after %s: ready() was called %u times, not %u", after, r->c->ready, r->ready);
	MUST(r->c->exited == r->exited, "after %s: exited() was called %u times, not %u", after, r->c->exited,
	     r->exited);
	return 0;
}

static int expected(const struct run *r, enum op op)
{
	switch (op) {
	case BOOT:
		return r->state == NONE ? 0 : -EEXIST;
	case LOAD:
		return r->state == NONE ? r->saved.len ? 0 : -EINVAL : -EEXIST;
	case SUSPEND:
	case RESUME:
		return r->state == NONE ? -ESRCH : r->state == BOOTING ? -EBUSY : 0;
	case SAVE:
		return r->state == NONE ? -ESRCH : r->state == SUSPENDED ? 0 : -EBUSY;
	case START:
		return r->state == NONE ? -ESRCH : r->state == BOOTING ? -EBUSY : r->log ? -EALREADY : 0;
	case COLLECT:
		return r->log ? 0 : -EINVAL;
	case AUDIT:
		return r->log && r->state == SUSPENDED ? 0 : -EINVAL;
	default:
		return 0;
	}
}

static int call(struct run *r, enum op op)
{
	struct conform *c = r->c;
	uint64_t n = 0;
	uint32_t mode;
	struct rd in = rd_of(r->saved.data, r->saved.len);

	switch (op) {
	case BOOT:
		return (r->state == NONE ? c->fresh(c) : 0) ?: c->ops->boot(c->vm, &r->err);
	case LOAD:
		return r->state == NONE ? c->load(c, &in, &r->err) : c->ops->load(c->vm, &in, &r->err);
	case SUSPEND:
		return c->ops->suspend(c->vm, 3000, &r->err) ?: r->state == RUNNING ? c->quiet(c) : 0;
	case RESUME:
		return (r->state == SUSPENDED ? c->serve(c, true) : 0) ?: c->ops->resume(c->vm, &r->err);
	case SAVE:
		if (expected(r, op))
			return c->ops->save(c->vm, NULL, &r->saved, &r->err);
		r->saved.len = 0;
		return c->save(c, &r->saved, &r->err);
	case START:
		return c->ops->logdirty_start(c->vm, c->modes[0], true, &mode, &r->err);
	case COLLECT:
		return c->ops->logdirty_collect(c->vm, true, r->bits, &n, &r->err);
	case AUDIT:
		return c->ops->logdirty_audit(c->vm, r->bits, &n, &r->err);
	case STOP:
		c->ops->logdirty_stop(c->vm);
		return 0;
	case KILL:
		c->ops->kill(c->vm);
		return 0;
	default:
		return 0;
	}
}

/* What is heard only from the loop. */
static int wait_ready(struct run *r)
{
	for (uint64_t end = now_ns() + r->c->patience_ns; r->c->ready == r->ready && now_ns() < end;)
		turn(r, r->c->all_orders ? 0 : 5);
	r->ready++;
	TRY(told(r, "a boot"));
	MUST(!r->c->ready_failed, "the boot failed: %.200s", strdupa(r->c->why));
	r->state = SUSPENDED;
	return r->c->quiet(r->c);
}

static int end(struct run *r)
{
	r->c->end(r->c);
	for (uint64_t limit = now_ns() + r->c->patience_ns; r->c->exited == r->exited && now_ns() < limit;)
		turn(r, r->c->all_orders ? 0 : 5);
	r->exited++;
	MUST(r->c->exited, "a guest ended while %s, and nobody was told", state_name[r->state]);
	TRY(told(r, "an end"));
	r->state = NONE;
	r->log = false;
	return 0;
}

static void model(struct run *r, enum op op)
{
	if (op == BOOT)
		r->state = BOOTING;
	else if (op == LOAD || op == SUSPEND)
		r->state = SUSPENDED;
	else if (op == RESUME)
		r->state = RUNNING;
	else if (op == KILL)
		r->state = NONE;
	r->log = r->state != NONE && op != STOP && (r->log || op == START);
}

static int do_op(struct run *r, enum op op)
{
	enum state was = r->state;
	struct hv_look look;
	struct hv_stats st = { 0 };

	if (op == TURN)
		return was == BOOTING ? wait_ready(r) : 0;
	if (op == END)
		return was == SUSPENDED || was == RUNNING ? end(r) : 0;
	int want = expected(r, op), got = call(r, op);
	MUST(got == want || (want && op == LOAD && was == NONE && got), "%s in %s%s: %d, not %d (%.150s)", op_name[op],
	     state_name[was], r->log ? " with log-dirty" : "", got, want, got ? r->err.text : "");
	if (!got)
		model(r, op);
	r->c->ops->look(r->c->vm, &look);
	r->c->ops->stats(r->c->vm, &st);
	r->c->ops->input(r->c->vm, "", 0);
	return told(r, op_name[op]);
}

/* Whatever is refused in this state is, and the guest is as before. */
static int refusals(struct run *r)
{
	for (enum op op = 0; op < TURN; op++)
		if (expected(r, op) && !(op == LOAD && r->state == NONE))
			TRY(do_op(r, op));
	if (r->state == SUSPENDED)
		return stands(r, "refused orders");
	return r->state == RUNNING ? goes(r, "refused orders") : 0;
}

static int do_ops(struct run *r, const enum op *ops, size_t n)
{
	for (size_t i = 0; i < n; i++)
		TRY(do_op(r, ops[i]));
	return 0;
}
#define DO(...) TRY(do_ops(r, (const enum op[]){ __VA_ARGS__ }, ARRAY_SIZE(((const enum op[]){ __VA_ARGS__ }))))

/* Steps ------------------------------------------------------------------------------------------------------------------ */

static int life(struct run *r)
{
	TRY(refusals(r));
	DO(BOOT);
	TRY(refusals(r));
	DO(TURN);
	TRY(stands(r, "ready() was called"));
	TRY(refusals(r));
	DO(RESUME);
	TRY(goes(r, "resumed"));
	TRY(refusals(r));
	DO(RESUME);
	TRY(goes(r, "resumed twice"));
	DO(SUSPEND);
	TRY(stands(r, "suspended"));
	DO(SUSPEND);
	TRY(stands(r, "suspended twice"));
	DO(RESUME);
	TRY(goes(r, "resumed"));
	DO(KILL);
	TRY(stands(r, "killed"));
	TRY(told(r, "kill"));
	TRY(refusals(r));
	DO(KILL, BOOT, KILL);
	turn(r, 2 * still_ms(r));
	TRY(told(r, "kill in a boot"));
	DO(BOOT, TURN, KILL);
	turn(r, still_ms(r));
	return told(r, "kill while suspended");
}

static int ends(struct run *r)
{
	DO(BOOT, TURN, RESUME, END);
	TRY(refusals(r));
	DO(BOOT, TURN, START, END);
	TRY(refusals(r));
	r->c->boot_from_exited = true;
	DO(BOOT, TURN, RESUME, START, END);
	r->c->boot_from_exited = false;
	r->state = BOOTING;
	DO(TURN, START, RESUME);
	TRY(goes(r, "booted from exited()"));
	turn(r, still_ms(r));
	return told(r, "an end");
}

static int failures(struct run *r)
{
	struct rd in = rd_of("not a state at all, but long enough for one", 43);

	r->c->spoil(r->c, true);
	TRY(r->c->fresh(r->c));
	if (r->c->ops->boot(r->c->vm, &r->err) == 0) {
		for (uint64_t limit = now_ns() + r->c->patience_ns; !r->c->ready && now_ns() < limit;)
			turn(r, 5);
		r->ready++;
		MUST(r->c->ready_failed, "a boot that cannot succeed did");
	}
	r->c->spoil(r->c, false);
	TRY(told(r, "a boot that failed"));
	TRY(refusals(r));
	turn(r, still_ms(r));
	TRY(told(r, "a boot that failed"));
	MUST(r->c->ops->load(r->c->vm, &in, &r->err) < 0, "octets that are no state were loaded");
	TRY(refusals(r));
	DO(BOOT, TURN, RESUME);
	return goes(r, "booted after failures");
}

static int moves(struct run *r)
{
	DO(BOOT, TURN, RESUME);
	TRY(goes(r, "resumed"));
	turn(r, still_ms(r));
	DO(SUSPEND, SAVE, SAVE);
	uint64_t age = r->c->age ? r->c->age(r->c) : 0;
	TRY(stands(r, "saved"));
	DO(KILL);
	struct rd cut = rd_of(r->saved.data, r->saved.len / 2);
	MUST(r->c->load(r->c, &cut, &r->err) < 0, "half a state was loaded");
	TRY(refusals(r));
	DO(LOAD);
	TRY(stands(r, "loaded"));
	TRY(refusals(r));
	MUST(!r->c->age || r->c->age(r->c) == age, "a loaded guest is not as far as it was when it was saved");
	DO(SAVE, RESUME);
	TRY(goes(r, "loaded and resumed"));
	DO(SUSPEND, RESUME, END);
	return told(r, "the end of a loaded guest");
}

/* Log-dirty ---------------------------------------------------------------------------------------------------------------- */

static bool bit(const struct run *r, uint64_t page)
{
	return r->bits[page / 64] >> (page % 64) & 1;
}

static int collect(struct run *r, bool clean)
{
	uint64_t n = ~0ull, seen = 0;

	memset(r->bits, 0xff, r->words * 8);
	for (uint64_t i = 0; i < r->pages; i++)
		r->bits[i / 64] &= ~(i % 3 ? 0 : 1ull << i % 64);
	int e = r->c->ops->logdirty_collect(r->c->vm, clean, r->bits, &n, &r->err);
	MUST(!e, "collect: %.200s", r->err.text);
	for (uint64_t i = 0; i < r->words; i++)
		seen += (uint64_t)__builtin_popcountll(r->bits[i]);
	MUST(seen == n, "a bitmap names %lu pages, its number says %lu", (unsigned long)seen, (unsigned long)n);
	return 0;
}

/* A sender. */
static void copy(struct run *r)
{
	for (uint64_t i = 0, data = next_data(r, 0); i < r->pages; i++) {
		if (i > data)
			data = next_data(r, i);
		if (bit(r, i) && i == data)
			memcpy(r->copy + i * PAGE_BYTES, page_at(r, i), PAGE_BYTES);
		else if (bit(r, i))
			memset(r->copy + i * PAGE_BYTES, 0, PAGE_BYTES);
	}
}

static int compare(struct run *r, const char *when)
{
	uint64_t missed = ~0ull;

	for (uint64_t i = next_data(r, 0); i < r->pages; i = next_data(r, i + 1))
		MUST(!memcmp(r->copy + i * PAGE_BYTES, page_at(r, i), PAGE_BYTES),
		     "%s: page %lu changed, and no collection named it", when, (unsigned long)i);
	int e = r->c->ops->logdirty_audit(r->c->vm, r->bits, &missed, &r->err);
	MUST(!e, "audit: %.200s", r->err.text);
	MUST(!missed, "%s: an audit finds %lu pages, the memory is right", when, (unsigned long)missed);
	return 0;
}

/* A page that the guest does not use: a hole, from the middle of its memory on. */
static uint64_t spare_page(const struct run *r)
{
	for (uint64_t i = r->pages / 2; i < r->pages; i++)
		if (next_data(r, i) > i + 8)
			return i + 4;
	return r->pages - 1;
}

#define POKES_MAX 20 /* a running guest may come to use a page that it did not use before */

static int there_and_back(struct run *r, uint32_t mode, const char *when)
{
	uint64_t p;
	bool named = false;

	for (int i = 0; i < POKES_MAX && !named; i++) {
		p = spare_page(r);
		if (!r->c->poke || !r->c->poke(r->c, mode, p, 1))
			return 0;
		TRY(collect(r, true));
		copy(r);
		named = bit(r, p);
		MUST(named || page_at(r, p)[0] != 1, "%s: a page that the guest wrote is not named", when);
	}
	MUST(named, "%s: there is no page that the guest leaves alone", when);
	(void)r->c->poke(r->c, mode, p, 2);
	copy(r);
	(void)r->c->poke(r->c, mode, p, 1);
	if (r->state == RUNNING)
		DO(SUSPEND);
	TRY(collect(r, true));
	copy(r);
	MUST(bit(r, p), "%s: a page that changed, was copied and changed back is not named", when);
	return compare(r, when);
}

static int device_writes(struct run *r)
{
	uint64_t p = spare_page(r), missed = 0;

	page_at(r, p)[7] ^= 0x55;
	guestmem_mark(r->c->env.mem, page_at(r, p), 8);
	MUST(!r->c->ops->logdirty_audit(r->c->vm, r->bits, &missed, &r->err) && missed && bit(r, p),
	     "an audit does not see what a device wrote");
	TRY(collect(r, false));
	MUST(bit(r, p), "a page that a device wrote is not named");
	TRY(collect(r, true));
	MUST(bit(r, p), "a page that was named without clean is not named again");
	copy(r);
	return compare(r, "a device wrote");
}

static int rounds(struct run *r, uint32_t mode)
{
	char when[40];

	snprintf(when, sizeof(when), "log-dirty mode %u", mode);
	TRY(collect(r, true));
	for (uint64_t i = next_data(r, 0); i < r->pages && r->state == SUSPENDED; i = next_data(r, i + 1))
		MUST(bit(r, i) || is_zero(page_at(r, i)), "the first collection leaves out page %lu", (unsigned long)i);
	copy(r);
	if (r->state == SUSPENDED)
		DO(RESUME);
	for (unsigned i = 0; i < 4; i++) {
		turn(r, 5 * i);
		TRY(collect(r, i % 3));
		if (i % 3)
			copy(r);
	}
	DO(SUSPEND);
	TRY(collect(r, true));
	copy(r);
	TRY(compare(r, when));
	TRY(device_writes(r));
	TRY(there_and_back(r, mode, when));
	DO(RESUME);
	TRY(there_and_back(r, mode, when));
	if (r->state == SUSPENDED)
		DO(RESUME);
	TRY(goes(r, when));
	DO(SUSPEND);
	uint64_t missed = 0;
	MUST(!r->c->ops->logdirty_audit(r->c->vm, r->bits, &missed, &r->err) && missed,
	     "an audit sees nothing without a collection");
	return 0;
}

static int log_dirty(struct run *r)
{
	uint32_t mode = 0;
	uint64_t n;

	DO(BOOT, TURN, RESUME);
	for (size_t i = 0; i < r->c->n_modes; i++) {
		/* begun while it runs, and while it stands */
		for (unsigned stands_first = 0; stands_first < 2; stands_first++) {
			memset(r->copy, 0, r->pages * PAGE_BYTES);
			if (r->state != RUNNING)
				DO(RESUME);
			if (stands_first)
				DO(SUSPEND);
			int e = r->c->ops->logdirty_start(r->c->vm, NO_MODE, true, &mode, &r->err);
			MUST(e == -EINVAL, "log-dirty began in a mode that there is not: %d", e);
			e = r->c->ops->logdirty_collect(r->c->vm, true, r->bits, &n, &r->err);
			MUST(e == -EINVAL, "log-dirty is on after it was refused");
			e = r->c->ops->logdirty_start(r->c->vm, r->c->modes[i], true, &mode, &r->err);
			MUST(!e, "log-dirty does not begin in mode %u: %.200s", r->c->modes[i], r->err.text);
			MUST(mode == r->c->modes[i], "log-dirty began in mode %u, not %u", mode, r->c->modes[i]);
			r->log = true;
			TRY(stands_first ? stands(r, "log-dirty began while it was suspended")
			                 : goes(r, "log-dirty began while it ran"));
			TRY(refusals(r));
			TRY(rounds(r, mode));
			DO(STOP);
			TRY(refusals(r));
			DO(START, STOP, STOP);
		}
	}
	return 0;
}

/* All orders --------------------------------------------------------------------------------------------------------------- */

static const struct step {
	const char *name;
	int (*fn)(struct run *r);
} steps[] = {
	{ "life", life }, { "ends", ends }, { "failures", failures }, { "moves", moves }, { "log-dirty", log_dirty }
};

static int with_vm(struct conform *c, int (*fn)(struct run *r, void *arg), void *arg)
{
	struct run r = { .c = c };
	int ret = c->fresh(c);

	r.pages = c->env.mem->size / PAGE_BYTES; /* of the memory that is there now */
	r.words = (r.pages + 63) / 64;
	r.bits = calloc(r.words, 8);
	r.copy = calloc(r.pages, PAGE_BYTES);
	c->ready = c->exited = 0;
	c->ready_failed = c->boot_from_exited = false;
	c->env.ready = on_ready;
	c->env.exited = on_exited;
	c->env.arg = c;
	if (!ret)
		ret = r.bits && r.copy ? c->ops->open(&c->env, &c->vm, &r.err) : -ENOMEM;
	if (!ret && c->opened)
		ret = c->opened(c);
	if (ret)
		broken(&r, "no vm: %.200s", r.err.text);
	else
		ret = fn(&r, arg);
	c->ops->close(c->vm);
	c->vm = NULL;
	buf_done(&r.saved);
	free(r.bits);
	free(r.copy);
	return ret;
}

static int run_step(struct run *r, void *arg)
{
	return ((const struct step *)arg)->fn(r);
}

struct order {
	const enum op *first;
	size_t n_first;
	unsigned number, length;
};

static int run_order(struct run *r, void *arg)
{
	const struct order *o = arg;
	char text[200] = "";

	TRY(do_ops(r, o->first, o->n_first));
	for (unsigned i = 0, n = o->number; i < o->length; i++, n /= N_OPS) {
		size_t at = strlen(text);
		snprintf(text + at, sizeof(text) - at, " %s", op_name[n % N_OPS]);
		if (do_op(r, (enum op)(n % N_OPS))) {
			char why[200];
			snprintf(why, sizeof(why), "%.199s", r->c->why);
			return broken(r, "after%s: %s", text, why);
		}
	}
	return 0;
}

static int all_orders(struct conform *c)
{
	static const enum op path[] = { BOOT, TURN, RESUME, SUSPEND, SAVE, START, RESUME };

	for (size_t n_first = 0; n_first <= ARRAY_SIZE(path); n_first++)
		for (unsigned i = 0; i < N_OPS * N_OPS * N_OPS; i++) {
			struct order o = { path, n_first, i, 3 };
			if (with_vm(c, run_order, &o))
				return -1;
		}
	return 0;
}

int conform_run(struct conform *c)
{
	struct err err;

	c->why[0] = 0;
	if (c->ops->probe(NULL, &err)) {
		snprintf(c->why, sizeof(c->why), "the engine cannot run on this host");
		return -1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (with_vm(c, run_step, (void *)(uintptr_t)&steps[i])) {
			char why[250];
			snprintf(why, sizeof(why), "%.249s", c->why);
			snprintf(c->why, sizeof(c->why), "%s: %s", steps[i].name, why);
			return -1;
		}
	}
	return c->all_orders ? all_orders(c) : 0;
}
