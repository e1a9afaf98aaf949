/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See fake_engine.h. */
#include "config.h"
#include "tests/unit/fake_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "common/util.h"

#define MAGIC     0x656b6166u
#define TICK_NS   (NS_PER_MS / 4)
#define BREACH(b) (fake_breach == FAKE_##b)

enum fake_breach fake_breach;
bool fake_boot_fails;
#define NAME_TEXT(n) #n,
const char *const fake_breach_name[] = { FAKE_BREACHES(NAME_TEXT) };

enum state { NONE, BOOTING, SUSPENDED, RUNNING };

struct fake {
	const struct hv_engine_env *env;
	enum state state;
	bool ending, log, fresh;
	enum hv_exit how;
	struct loop_timer *tick; /* the guest's processor */
	uint64_t age, pages;
	uint8_t *dirty; /* a flag per page: written since the last clean collection */
	uint8_t *copy;  /* memory as it was collected */
};

static uint8_t *page_at(const struct fake *f, uint64_t page)
{
	return f->env->mem->base + page * PAGE_BYTES;
}

void fake_write(void *vm, uint64_t page, uint8_t v)
{
	struct fake *f = vm;

	page_at(f, page)[1] = v;
	f->dirty[page] = 1;
}

static void gone(struct fake *f, bool may_log)
{
	f->state = NONE;
	f->ending = false;
	f->log = f->log && may_log;
	if (!BREACH(KILL_RUNS))
		loop_timer_at(f->tick, UINT64_MAX);
}

static void on_tick(void *arg)
{
	struct fake *f = arg;

	if (f->ending) {
		enum state was = f->state;
		gone(f, BREACH(LOG_OUTLIVES));
		if (BREACH(END_STAYS))
			f->state = was;
		if (!(was == SUSPENDED && BREACH(END_UNSAID)))
			f->env->exited(f->env->arg, f->how, "it ended");
		if (BREACH(END_TWICE))
			f->env->exited(f->env->arg, f->how, "it ended");
		return;
	}
	if (f->state == BOOTING || (f->state == NONE && BREACH(READY_AFTER_KILL))) {
		f->state = BREACH(READY_RUNS) ? RUNNING : SUSPENDED;
		memset(page_at(f, 3), 3, PAGE_BYTES); /* its kernel */
		f->env->ready(f->env->arg, NULL);
		if (BREACH(READY_TWICE))
			f->env->ready(f->env->arg, NULL);
	}
	if (f->state == RUNNING || BREACH(SUSPEND_RUNS) || (f->state == NONE && BREACH(KILL_RUNS))) {
		f->age++;
		fake_write(f, f->age % 2, (uint8_t)f->age);
		loop_timer_in(f->tick, TICK_NS);
	}
}

static int need(const struct fake *f, struct err *err)
{
	if (f->state == NONE)
		return err_set(err, ESRCH, "there is no guest");
	return f->state == BOOTING ? err_set(err, EBUSY, "it boots") : 0;
}

static int fake_probe(const struct dom_config *cfg, struct err *err)
{
	(void)cfg, (void)err;
	return 0;
}

static unsigned fake_regions(const struct dom_config *cfg, struct guestmem_region ret[GUESTMEM_REGIONS_MAX])
{
	ret[0] = (struct guestmem_region){ .bytes = cfg->memory_bytes };
	return 1;
}

/* Nothing depends on the host that a preflight does not look at. */
static int fake_pin(struct dom_config *cfg, const uint64_t baseline[CPU_FEATURE_WORDS], struct err *err)
{
	(void)cfg, (void)baseline, (void)err;
	return 0;
}

static int fake_identity(const struct dom_config *cfg, char out[HV_IDENTITY_MAX], struct err *err)
{
	(void)cfg, (void)err;
	strcpy(out, cfg ? "fa4e one" : "fa4e");
	return 0;
}

static bool fake_newer(const struct dom_config *cfg)
{
	(void)cfg;
	return false;
}

static void fake_close(void *vm)
{
	struct fake *f = vm;

	if (!f)
		return;
	loop_del_timer(f->tick);
	free(f->dirty);
	free(f->copy);
	free(f);
}

static int fake_open(const struct hv_engine_env *env, void **ret_vm, struct err *err)
{
	struct fake *f = calloc(1, sizeof(*f));

	if (!f)
		return err_set(err, ENOMEM, "out of memory");
	f->env = env;
	f->pages = env->mem->size / PAGE_BYTES;
	f->dirty = calloc(f->pages, 1);
	f->copy = calloc(f->pages, PAGE_BYTES);
	f->tick = loop_add_timer(env->loop, on_tick, f);
	if (!f->dirty || !f->copy || !f->tick) {
		fake_close(f);
		return err_set(err, ENOMEM, "out of memory");
	}
	*ret_vm = f;
	return 0;
}

static int fake_boot(void *vm, struct err *err)
{
	struct fake *f = vm;

	if (f->state != NONE && !BREACH(BOOT_OVER))
		return err_set(err, EEXIST, "there is a guest");
	if (fake_boot_fails && !BREACH(FAILED_BOOT_STAYS))
		return err_set(err, EIO, "it does not boot");
	f->state = BOOTING;
	f->age = 0;
	loop_timer_in(f->tick, 0);
	return fake_boot_fails ? err_set(err, EIO, "it does not boot") : 0;
}

static int fake_suspend(void *vm, unsigned timeout_ms, struct err *err)
{
	struct fake *f = vm;
	int r = need(f, err);

	(void)timeout_ms;
	if (!r && f->state == SUSPENDED && BREACH(SUSPEND_TWICE_FAILS))
		return err_set(err, EBUSY, "it is suspended");
	if (!r)
		f->state = SUSPENDED;
	return r;
}

static int fake_resume(void *vm, struct err *err)
{
	struct fake *f = vm;
	int r = need(f, err);

	if (!r && !BREACH(RESUME_STANDS)) {
		f->state = RUNNING;
		loop_timer_in(f->tick, 0);
	}
	return r;
}

static int fake_save(void *vm, const uint64_t base[2], struct buf *out, struct err *err)
{
	(void)base;
	struct fake *f = vm;
	int r = need(f, err);

	if (!r && f->state == RUNNING && !BREACH(SAVE_RUNNING))
		r = err_set(err, EBUSY, "it runs");
	if (r)
		return r;
	buf_put_u32(out, MAGIC);
	buf_put_u64(out, f->age);
	return BREACH(SAVE_RESUMES) ? fake_resume(f, err) : 0;
}

static int fake_load(void *vm, struct rd *in, struct err *err)
{
	struct fake *f = vm;

	if (f->state != NONE && !BREACH(LOAD_OVER))
		return err_set(err, EEXIST, "there is a guest");
	uint32_t magic = rd_u32(in);
	uint64_t age = rd_u64(in);
	bool bad = in->bad || magic != MAGIC;
	if (!bad || BREACH(FAILED_LOAD_STAYS)) {
		f->state = SUSPENDED;
		f->age = BREACH(LOAD_FORGETS) ? 0 : age;
	}
	if (!bad && BREACH(LOAD_RUNS))
		return fake_resume(f, err);
	return bad ? err_set(err, EINVAL, "this is no state") : 0;
}

static int fake_log_start(void *vm, uint32_t mode, bool audit, uint32_t *ret_mode, struct err *err)
{
	struct fake *f = vm;
	int r = need(f, err);

	(void)audit;
	if (!r && f->log && !BREACH(START_TWICE))
		r = err_set(err, EALREADY, "it is on");
	if (!r && mode > HV_LOGDIRTY_NONE && !BREACH(START_ANY))
		r = err_set(err, EINVAL, "no such mode");
	if (r)
		return r;
	f->log = f->fresh = true;
	memset(f->dirty, 0, f->pages);
	*ret_mode = mode ? mode : HV_LOGDIRTY_RECORD;
	if (f->state == RUNNING && BREACH(START_SUSPENDS))
		return fake_suspend(f, 0, err);
	return f->state == SUSPENDED && BREACH(START_RESUMES) ? fake_resume(f, err) : 0;
}

static void look_at_page(struct fake *f, uint64_t i)
{
	struct guestmem *m = f->env->mem;
	uint64_t bit = 1ull << i % 64;
	bool differs = memcmp(page_at(f, i), f->copy + i * PAGE_BYTES, PAGE_BYTES);

	if (!BREACH(DEVICES_UNSEEN) && m->dev_dirty[i / 64] & bit)
		f->dirty[i] = 1;
	m->dev_dirty[i / 64] &= ~bit;
	f->dirty[i] |= f->fresh && !BREACH(FIRST_EMPTY);
	if (BREACH(THERE_AND_BACK) && !f->fresh)
		f->dirty[i] = differs;
}

static uint32_t fake_log_method(void *vm)
{
	(void)vm;
	return HV_LOGDIRTY_BY_HASH;
}

static int fake_log_collect(void *vm, bool clean, uint64_t *bitmap, uint64_t *ret_dirty, struct err *err)
{
	struct fake *f = vm;
	uint64_t n = 0;

	if (!f->log)
		return err_set(err, EINVAL, "it is off");
	if (!BREACH(BITMAP_ADDS))
		memset(bitmap, 0, (f->pages + 63) / 64 * 8);
	for (uint64_t i = 0; i < f->pages; i++) {
		look_at_page(f, i);
		if (!f->dirty[i])
			continue;
		bitmap[i / 64] |= 1ull << i % 64;
		n++;
		if (clean || BREACH(PEEK_TAKES))
			f->dirty[i] = 0;
		if (clean)
			memcpy(f->copy + i * PAGE_BYTES, page_at(f, i), PAGE_BYTES);
	}
	f->fresh = f->fresh && !clean;
	*ret_dirty = BREACH(CLEAN_KEEPS_COUNT) ? n + 1 : n;
	return 0;
}

static int fake_log_audit(void *vm, uint64_t *bitmap, uint64_t *ret_missed, struct err *err)
{
	struct fake *f = vm;
	uint64_t n = 0;

	if (!f->log || (f->state != SUSPENDED && !BREACH(AUDIT_RUNNING)))
		return err_set(err, EINVAL, "it is off, or the guest runs");
	memset(bitmap, 0, (f->pages + 63) / 64 * 8);
	for (uint64_t i = 0; i < f->pages && !BREACH(AUDIT_BLIND); i++)
		if (memcmp(page_at(f, i), f->copy + i * PAGE_BYTES, PAGE_BYTES)) {
			bitmap[i / 64] |= 1ull << i % 64;
			n++;
		}
	*ret_missed = n;
	return 0;
}

static void fake_log_stop(void *vm)
{
	((struct fake *)vm)->log = BREACH(STOP_STAYS);
}

static void fake_input(void *vm, const void *p, size_t len)
{
	(void)vm, (void)p, (void)len;
}

static void fake_stats(void *vm, struct hv_stats *st)
{
	st->processes = ((struct fake *)vm)->state != NONE;
}

static void fake_look(void *vm, struct hv_look *ret)
{
	*ret = (struct hv_look){ .runnable = ((struct fake *)vm)->state == RUNNING };
}

static void fake_kill(void *vm)
{
	struct fake *f = vm;

	if (BREACH(KILL_SAYS) && f->state != NONE)
		fake_end(f, HV_EXIT_CRASH);
	else if (BREACH(READY_AFTER_KILL) && f->state == BOOTING)
		f->state = NONE;
	else
		gone(f, false);
}

void fake_end(void *vm, enum hv_exit how)
{
	struct fake *f = vm;

	f->ending = true;
	f->how = how;
	loop_timer_in(f->tick, 0);
}

uint64_t fake_age(const void *vm)
{
	return ((const struct fake *)vm)->age;
}

/* Its devices are hvdom's. */
static int fake_balloon(void *vm, uint64_t target_bytes, struct err *err)
{
	(void)vm, (void)target_bytes;
	return err_set(err, ENOSYS, "the balloon is a device of hvdom's");
}

static uint64_t fake_balloon_bytes(void *vm)
{
	(void)vm;
	return 0;
}

static int fake_powerdown(void *vm, struct err *err)
{
	(void)vm;
	return err_set(err, ENOTSUP, "it has no power button");
}

static int fake_plug(void *vm, const struct hv_plug *p, struct err *err)
{
	(void)vm, (void)p;
	return err_set(err, ENOTSUP, "it has no places for devices");
}

static int fake_unplug(void *vm, unsigned place, struct err *err)
{
	(void)vm, (void)place;
	return err_set(err, ENOTSUP, "it has no places for devices");
}

static int fake_screen_client(void *vm, int fd, struct err *err)
{
	(void)vm;
	close(fd);
	return err_set(err, ENOTSUP, "it has no screen");
}

static int fake_screenshot(void *vm, unsigned screen, struct err *err)
{
	(void)vm, (void)screen;
	return err_set(err, ENOTSUP, "it has no screen");
}

const struct hv_engine_ops fake_engine = {
	.name = "fake",
	.probe = fake_probe,
	.pin = fake_pin,
	.identity = fake_identity,
	.newer = fake_newer,
	.regions = fake_regions,
	.open = fake_open,
	.boot = fake_boot,
	.suspend = fake_suspend,
	.resume = fake_resume,
	.save = fake_save,
	.load = fake_load,
	.logdirty_start = fake_log_start,
	.logdirty_collect = fake_log_collect,
	.logdirty_audit = fake_log_audit,
	.logdirty_stop = fake_log_stop,
	.logdirty_method = fake_log_method,
	.powerdown = fake_powerdown,
	.balloon = fake_balloon,
	.balloon_bytes = fake_balloon_bytes,
	.plug = fake_plug,
	.unplug = fake_unplug,
	.screen_client = fake_screen_client,
	.screenshot = fake_screenshot,
	.input = fake_input,
	.stats = fake_stats,
	.look = fake_look,
	.kill = fake_kill,
	.close = fake_close,
};
