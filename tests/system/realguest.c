/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See realguest.h. */
#include "config.h"
#include "tests/system/realguest.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hypervisor/logdirty/uffd.h"

struct realguest real = { .mem.fd = -1 };

static int new_memory(void)
{
	guestmem_done(&real.mem);
	int fd = memfd_create("guest", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)real.cfg.memory_bytes) < 0)
		return err_sys(&real.err, errno, "cannot make the guest's memory");
	return guestmem_init(&real.mem, fd, real.cfg.memory_bytes, &real.err);
}

static int fresh(struct conform *c)
{
	if (c->vm) {
		devs_set_mem(real.devs, NULL);
		return new_memory() ?: devs_resume(real.devs, false, &real.err);
	}
	devs_free(real.devs); /* no thread of theirs is there when the engine makes its sandbox */
	real.devs = NULL;
	int r = new_memory();
	if (!r)
		r = devs_new(&real.cfg, real.ops->transport, NULL, &real.devs, &real.err);
	c->env.devs = real.devs;
	return r;
}

static int opened(struct conform *c)
{
	(void)c;
	return devs_start(real.devs, &real.err);
}

static int quiet(struct conform *c)
{
	(void)c;
	return devs_quiesce(real.devs, &real.err);
}

static int serve(struct conform *c, bool kick)
{
	(void)c;
	return devs_resume(real.devs, kick, &real.err);
}

static int save(struct conform *c, struct buf *out, struct err *err)
{
	real.devstate.len = 0;
	return devs_save(real.devs, &real.devstate, err) ?: c->ops->save(c->vm, NULL, out, err);
}

static int load(struct conform *c, struct rd *in, struct err *err)
{
	struct rd dev = rd_of(real.devstate.data, real.devstate.len);
	int r = devs_load(real.devs, &dev, err);

	if (r)
		return r;
	devs_set_mem(real.devs, &real.mem);
	return c->ops->load(c->vm, in, err);
}

/* To hashes it is the same who writes. */
static bool poke(struct conform *c, uint32_t mode, uint64_t page, uint8_t v)
{
	(void)c;
	if (mode != HV_LOGDIRTY_COMPARE)
		return false;
	real.mem.base[page * PAGE_BYTES] = v;
	return true;
}

static void on_output(void *arg, const void *p, size_t len)
{
	(void)arg;
	if (len > sizeof(real.con))
		return;
	if (real.con_len + len > sizeof(real.con)) {
		memmove(real.con, real.con + real.con_len / 2, real.con_len - real.con_len / 2);
		real.con_len -= real.con_len / 2;
	}
	if (real.con_len + len <= sizeof(real.con)) {
		memcpy(real.con + real.con_len, p, len);
		real.con_len += len;
	}
}

static void on_process(void *arg, pid_t pid)
{
	(void)arg;
	real.process = pid;
}

int realguest_skip(const char *why)
{
	printf("SKIP: %s\n", why);
	return 77;
}

/* The loop is the caller's. */
static int begin(struct conform *c)
{
	static const uint32_t modes[] = { HV_LOGDIRTY_COMPARE, HV_LOGDIRTY_RECORD };

	signal(SIGPIPE, SIG_IGN);
	*c = (struct conform){ .ops = real.ops,
		               .modes = modes,
		               .n_modes = uffd_probe(&real.err) < 0 ? 1 : 2,
		               .fresh = fresh,
		               .opened = opened,
		               .quiet = quiet,
		               .serve = serve,
		               .save = save,
		               .load = load,
		               .end = real.end,
		               .spoil = real.spoil,
		               .poke = poke,
		               .patience_ns = real.patience_ns };
	c->env = (struct hv_engine_env){ .loop = loop_new(),
		                         .cfg = &real.cfg,
		                         .mem = &real.mem,
		                         .uid = getuid(),
		                         .gid = getgid(),
		                         .cpu = -1,
		                         .output = on_output,
		                         .process = on_process };
	return c->env.loop ? 0 : -ENOMEM;
}

static int finish(struct conform *c, const char *wrong, const char *right)
{
	if (wrong)
		printf("# the guest's last words:\n%.*s\n# %s\nnot ok: %s\n", (int)real.con_len, real.con,
		       real.err.text, wrong);
	else
		printf("ok: %s %s\n", real.ops->name, right);
	devs_free(real.devs);
	guestmem_done(&real.mem);
	buf_done(&real.devstate);
	loop_free(c->env.loop);
	return wrong != NULL;
}

int realguest_run(void)
{
	struct conform c;

	if (begin(&c) < 0)
		return realguest_skip("out of memory");
	if (c.n_modes < 2)
		printf("# without tracking: %s\n", real.err.text);
	return finish(&c, conform_run(&c) < 0 ? c.why : NULL, "keeps the engine contract");
}

bool realguest_until(struct conform *c, bool (*fn)(struct conform *c))
{
	uint64_t end = now_ns() + c->patience_ns;

	while (!fn(c)) {
		if (now_ns() > end || loop_run_once(c->env.loop, 100) < 0)
			return false;
	}
	return true;
}

static const char *word;

static bool said(struct conform *c)
{
	(void)c;
	return memmem(real.con, real.con_len, word, strlen(word)) != NULL;
}

static bool is_ready(struct conform *c)
{
	return c->ready != 0;
}

static void on_ready(void *arg, const struct err *failed)
{
	struct conform *c = arg;

	c->ready++;
	c->ready_failed = failed != NULL;
}

static void on_exited(void *arg, enum hv_exit how, const char *text)
{
	struct conform *c = arg;

	(void)how;
	c->exited++;
	(void)err_set(&real.err, EPIPE, "%s", text);
}

static const char *boot(struct conform *c)
{
	if (fresh(c) || real.ops->open(&c->env, &c->vm, &real.err) || opened(c) || real.ops->boot(c->vm, &real.err))
		return "the guest does not start";
	if (!realguest_until(c, is_ready) || c->ready_failed || serve(c, true) || real.ops->resume(c->vm, &real.err))
		return "the guest does not get ready";
	return realguest_until(c, said) ? NULL : "the guest did not get that far";
}

int realguest_do(const char *until, const char *(*fn)(struct conform *c))
{
	struct conform c;

	if (begin(&c) < 0)
		return realguest_skip("out of memory");
	word = until;
	c.env.arg = &c;
	c.env.ready = on_ready;
	c.env.exited = on_exited;
	const char *wrong = boot(&c);
	if (!wrong)
		wrong = fn(&c);
	if (!wrong && c.exited)
		wrong = "the guest ended";
	if (c.vm)
		real.ops->close(c.vm);
	return finish(&c, wrong, "does what was tried");
}
