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
	return devs_save(real.devs, &real.devstate, err) ?: c->ops->save(c->vm, out, err);
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

int realguest_run(void)
{
	static const uint32_t modes[] = { HV_LOGDIRTY_COMPARE, HV_LOGDIRTY_RECORD };
	struct conform c = { .ops = real.ops,
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

	signal(SIGPIPE, SIG_IGN);
	c.env = (struct hv_engine_env){ .loop = loop_new(),
		                        .cfg = &real.cfg,
		                        .mem = &real.mem,
		                        .uid = getuid(),
		                        .gid = getgid(),
		                        .cpu = -1,
		                        .output = on_output,
		                        .process = on_process };
	if (!c.env.loop)
		return realguest_skip("out of memory");
	if (c.n_modes < 2)
		printf("# without tracking: %s\n", real.err.text);
	int r = conform_run(&c);
	if (r < 0)
		printf("# the guest's last words:\n%.*s\n# %s\n", (int)real.con_len, real.con, real.err.text);
	if (r < 0)
		printf("not ok: %s\n", c.why);
	else
		printf("ok: %s keeps the engine contract\n", real.ops->name);
	devs_free(real.devs);
	guestmem_done(&real.mem);
	buf_done(&real.devstate);
	loop_free(c.env.loop);
	return r < 0;
}
