/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does engine qemu keep the contract of hypervisor/engine.h with a real guest? The questions are those of tests/unit/conform.c; this is the hvdom around
 * the engine: memory, devices (a disk, a console), and somebody who kills QEMU.
 *
 *	qemuguest KERNEL INITRAMFS DISK      status 77: cannot be run here, and why
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/logdirty/uffd.h"
#include "tests/unit/conform.h"

#define RAM_BYTES (192ull << 20)

static struct {
	struct dom_config cfg;
	struct guestmem mem;
	struct devs *devs;
	struct buf devstate;
	pid_t qemu;
	char con[8192]; /* what the guest said last */
	size_t con_len;
	struct err err;
} g = { .mem.fd = -1 };

static char quick_words[] = "console=ttyS0 quiet load=light hospes.disk=/dev/vda", *kernel;

static int new_memory(void)
{
	guestmem_done(&g.mem);
	int fd = memfd_create("guest", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, RAM_BYTES) < 0)
		return err_sys(&g.err, errno, "cannot make the guest's memory");
	return guestmem_init(&g.mem, fd, RAM_BYTES, &g.err);
}

static int fresh(struct conform *c)
{
	if (c->vm) {
		devs_set_mem(g.devs, NULL);
		return new_memory() ?: devs_resume(g.devs, false, &g.err);
	}
	devs_free(g.devs);
	g.devs = NULL;
	int r = new_memory();
	if (!r)
		r = devs_new(&g.cfg, hv_engine_qemu.transport, NULL, &g.devs, &g.err);
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

	if (r < 0)
		return r;
	devs_set_mem(g.devs, &g.mem);
	return c->ops->load(c->vm, in, err);
}

static void end(struct conform *c)
{
	(void)c;
	if (kill(g.qemu, SIGKILL) < 0)
		printf("# QEMU cannot be found\n");
}

static void spoil(struct conform *c, bool on)
{
	(void)c;
	g.cfg.kernel = on ? (char *)"/proc/self/mem" : kernel; /* nothing that can be mounted as a file of its own */
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
	g.qemu = pid;
}

static int skip(const char *why)
{
	printf("SKIP: %s\n", why);
	return 77;
}

int main(int argc, char **argv)
{
	static const uint32_t modes[] = { HV_LOGDIRTY_COMPARE, HV_LOGDIRTY_RECORD };

	if (argc < 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (access(argv[1], R_OK) < 0 || access(argv[2], R_OK) < 0)
		return skip("no guest for QEMU: install linux-image-cloud-amd64, make guests");
	signal(SIGPIPE, SIG_IGN);
	kernel = realpath(argv[1], NULL);
	g.cfg = (struct dom_config){ .type = DOM_TYPE_QEMU,
		                     .name = "qemuguest",
		                     .uuid = "11111111-2222-3333-4444-555555555555",
		                     .memory_bytes = RAM_BYTES,
		                     .vcpus = 2,
		                     .kernel = kernel,
		                     .initrd = realpath(argv[2], NULL),
		                     .cmdline = quick_words,
		                     .disk = { { .source = realpath(argv[3], NULL), .target = "vda" } },
		                     .n_disks = 1 };
	if (hv_engine_qemu.probe(&g.cfg, &g.err) < 0)
		return skip(g.err.text);
	struct conform c = { .ops = &hv_engine_qemu,
		             .modes = modes,
		             .n_modes = uffd_probe(&g.err) < 0 ? 1 : 2,
		             .fresh = fresh,
		             .opened = opened,
		             .quiet = quiet,
		             .serve = serve,
		             .save = save,
		             .load = load,
		             .end = end,
		             .spoil = spoil,
		             .poke = poke,
		             .patience_ns = 120 * NS_PER_S };
	c.env = (struct hv_engine_env){ .loop = loop_new(),
		                        .cfg = &g.cfg,
		                        .mem = &g.mem,
		                        .uid = getuid(),
		                        .gid = getgid(),
		                        .cpu = -1,
		                        .output = on_output,
		                        .process = on_process };
	if (!c.env.loop || !g.cfg.initrd || !g.cfg.disk[0].source)
		return skip("out of memory");
	if (c.n_modes < 2)
		printf("# without tracking: %s\n", g.err.text);
	int r = conform_run(&c);
	if (r < 0)
		printf("# the guest's last words:\n%.*s\n# %s\n", (int)g.con_len, g.con, g.err.text);
	printf("%s: %s\n", r ? "not ok" : "ok", r ? c.why : "qemu keeps the engine contract");
	devs_free(g.devs);
	guestmem_done(&g.mem);
	buf_done(&g.devstate);
	loop_free(c.env.loop);
	free(kernel);
	free(g.cfg.initrd);
	free(g.cfg.disk[0].source);
	return r != 0;
}
