/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does pv keep the contract of hypervisor/engine.h with a real guest? The questions are those of tests/unit/conform.c; this is the hvdom around
 * the engine: memory, devices, and somebody who kills the guest.
 *
 *	engineguest INITRAMFS      status 77: cannot be run here, and why
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/logdirty/uffd.h"
#include "tests/unit/conform.h"

#define KERNEL    "/usr/bin/linux.uml"
#define RAM_BYTES (64ull << 20)

static struct {
	struct dom_config cfg;
	struct guestmem mem;
	struct devs *devs;
	struct buf devstate;
	pid_t holder;
	char con[8192]; /* what the guest said last */
	size_t con_len;
	struct err err;
} g = { .mem.fd = -1 };

static char quick_words[] = "load=light hospes.disk= noreboot", bad_words[2048];

static int new_memory(void)
{
	guestmem_done(&g.mem);
	int fd = memfd_create("guest", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, RAM_BYTES))
		return err_sys(&g.err, errno, "cannot make the guest's memory");
	return guestmem_init(&g.mem, fd, RAM_BYTES, &g.err);
}

static int fresh(struct conform *c)
{
	if (c->vm) {
		devs_set_mem(g.devs, NULL);
		return new_memory() ?: devs_resume(g.devs, false, &g.err);
	}
	devs_free(g.devs); /* no thread of theirs is there when the engine makes its sandbox */
	g.devs = NULL;
	int r = new_memory();
	if (!r)
		r = devs_new(&g.cfg, hv_engine_pv.transport, NULL, &g.devs, &g.err);
	c->env.devs = g.devs;
	return r;
}

static int opened(struct conform *c)
{
	(void)c;
	return devs_start(g.devs, &g.err);
}

static int quiet(struct conform *c)
{
	(void)c;
	return devs_quiesce(g.devs, &g.err);
}

static int serve(struct conform *c, bool kick)
{
	(void)c;
	return devs_resume(g.devs, kick, &g.err);
}

static int save(struct conform *c, struct buf *out, struct err *err)
{
	g.devstate.len = 0;
	return devs_save(g.devs, &g.devstate, err) ?: c->ops->save(c->vm, out, err);
}

static int load(struct conform *c, struct rd *in, struct err *err)
{
	struct rd dev = rd_of(g.devstate.data, g.devstate.len);
	int r = devs_load(g.devs, &dev, err);

	if (r)
		return r;
	devs_set_mem(g.devs, &g.mem);
	return c->ops->load(c->vm, in, err);
}

/* Its kernel is the holder's only child. */
static void end(struct conform *c)
{
	char path[64];
	_cleanup_free_ char *text = NULL;

	(void)c;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", g.holder, g.holder);
	if (file_read(path, 4096, &text, NULL) || atoi(text) <= 0 || kill(atoi(text), SIGKILL))
		printf("# the guest's kernel cannot be found\n");
}

static void spoil(struct conform *c, bool on)
{
	(void)c;
	g.cfg.cmdline = on ? bad_words : quick_words;
}

/* To hashes it is the same who writes. */
static bool poke(struct conform *c, uint32_t mode, uint64_t page, uint8_t v)
{
	(void)c;
	if (mode != HV_LOGDIRTY_COMPARE)
		return false;
	g.mem.base[page * PAGE_BYTES] = v;
	return true;
}

static void on_output(void *arg, const void *p, size_t len)
{
	(void)arg;
	if (len > sizeof(g.con))
		return;
	if (g.con_len + len > sizeof(g.con)) {
		memmove(g.con, g.con + g.con_len / 2, g.con_len - g.con_len / 2);
		g.con_len -= g.con_len / 2;
	}
	if (g.con_len + len <= sizeof(g.con)) {
		memcpy(g.con + g.con_len, p, len);
		g.con_len += len;
	}
}

static void on_process(void *arg, pid_t pid)
{
	(void)arg;
	g.holder = pid;
}

static int skip(const char *why)
{
	printf("SKIP: %s\n", why);
	return 77;
}

int main(int argc, char **argv)
{
	static const uint32_t modes[] = { HV_LOGDIRTY_COMPARE, HV_LOGDIRTY_RECORD };

	if (argc < 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getuid())
		return skip("needs root");
	if (access(argv[1], R_OK))
		return skip("no initramfs: make guests");
	if (access(KERNEL, X_OK))
		return skip("no " KERNEL ": install user-mode-linux");
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i + 2 < sizeof(bad_words); i += 2)
		memcpy(bad_words + i, "w ", 2); /* more than a command line may have */
	g.cfg = (struct dom_config){ .type = DOM_TYPE_UML,
		                     .name = "engineguest",
		                     .memory_bytes = RAM_BYTES,
		                     .vcpus = 1,
		                     .kernel = (char *)KERNEL,
		                     .initrd = realpath(argv[1], NULL),
		                     .cmdline = quick_words };
	struct conform c = { .ops = &hv_engine_pv,
		             .modes = modes,
		             .n_modes = uffd_probe(&g.err) ? 1 : 2,
		             .fresh = fresh,
		             .opened = opened,
		             .quiet = quiet,
		             .serve = serve,
		             .save = save,
		             .load = load,
		             .end = end,
		             .spoil = spoil,
		             .poke = poke,
		             .patience_ns = 60 * NS_PER_S };
	c.env = (struct hv_engine_env){
		.loop = loop_new(), .cfg = &g.cfg, .mem = &g.mem, .cpu = -1, .output = on_output, .process = on_process
	};
	if (!c.env.loop || !g.cfg.initrd)
		return skip("out of memory");
	if (c.n_modes < 2)
		printf("# without tracking: %s\n", g.err.text);
	int r = conform_run(&c);
	if (r)
		printf("# the guest's last words:\n%.*s\n# %s\n", (int)g.con_len, g.con, g.err.text);
	printf("%s: %s\n", r ? "not ok" : "ok", r ? c.why : "pv keeps the engine contract");
	devs_free(g.devs);
	guestmem_done(&g.mem);
	buf_done(&g.devstate);
	loop_free(c.env.loop);
	free(g.cfg.initrd);
	return r != 0;
}
