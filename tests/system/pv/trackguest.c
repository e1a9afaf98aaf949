/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log-dirty by tracking, on a real guest under load. A copy of guest memory is kept as a migration's target would keep it:
 * pages are copied when a collection reports them, while the guest runs. After each frozen collection the copy must equal
 * the guest's memory, page for page; the log's own audit must say so too. Then a change that is not collected must be seen
 * by both, so that a comparison that compares nothing cannot pass.
 *
 *	trackguest INITRAMFS [SECONDS [MIB [LOAD]]]      status 77: cannot be run here, and why
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "hypervisor/api/hypercall.h"
#include "hypervisor/pv/kernelfile.h"
#include "hypervisor/pv/restore.h"
#include "hypervisor/pv/sandbox.h"
#include "hypervisor/pv/track.h"
#include "hypervisor/logdirty/uffd.h"

#define KERNEL "/usr/bin/linux.uml"

struct guest {
	struct pv_sandbox sb;
	struct pv_files files;
	struct guestmem m;
	struct pv_restored rs;
	struct pv_frozen f;
	uint64_t mem_inode;
	char con[1 << 16]; /* what the guest said last */
	size_t con_len;
};

struct stat_ns {
	const char *name;
	uint64_t v[4096];
	size_t n;
};

static struct stat_ns st_freeze = { .name = "freeze" }, st_live = { .name = "live collection" },
		      st_frozen = { .name = "frozen collection" }, st_dirty = { .name = "dirty pages, frozen" },
		      st_cand = { .name = "candidates, frozen" };

static void note(struct stat_ns *s, uint64_t v)
{
	if (s->n < ARRAY_SIZE(s->v))
		s->v[s->n++] = v;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void show(struct stat_ns *s, double unit, const char *what)
{
	qsort(s->v, s->n, sizeof(*s->v), by_value);
	if (s->n)
		printf("# %-20s median %.2f, 95%% %.2f, max %.2f %s (%zu)\n", s->name, (double)s->v[s->n / 2] / unit,
		       (double)s->v[s->n * 95 / 100] / unit, (double)s->v[s->n - 1] / unit, what, s->n);
}

static void die(struct guest *g, const char *what, const struct err *err)
{
	printf("not ok: %s: %s\n", what, err->text);
	if (g->con_len)
		printf("# the guest's last words:\n%.*s\n", (int)g->con_len, g->con);
	fflush(stdout);
	pv_sandbox_done(&g->sb);
	exit(1);
}

static void listen_to(struct guest *g, int fd, unsigned ms)
{
	uint64_t end = now_ns() + ms * NS_PER_MS;

	do {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = now_ns();
		if (poll(&p, 1, now < end ? (int)((end - now) / NS_PER_MS) : 0) <= 0)
			return;
		if (g->con_len > sizeof(g->con) / 2) {
			memmove(g->con, g->con + g->con_len / 2, g->con_len - g->con_len / 2);
			g->con_len -= g->con_len / 2;
		}
		ssize_t n = read(fd, g->con + g->con_len, sizeof(g->con) - g->con_len);
		if (n <= 0)
			return;
		g->con_len += (size_t)n;
	} while (now_ns() < end);
}

/* Boot, then go through a restore: only restored guests run on a memfd and under the filter. */
static void boot(struct guest *g, const char *initrd, unsigned mib, const char *load)
{
	struct err err = { 0 };
	char mem[32], ird[512], ld[32];
	uint64_t bytes = (uint64_t)mib << 20, inode;
	int con[2], er[2], kfd, mfd, none[1];
	pid_t k;
	struct stat cs, es;
	struct pv_fds fds;
	struct pv_image im;

	snprintf(mem, sizeof(mem), "mem=%uM", mib);
	snprintf(ird, sizeof(ird), "initrd=%s", initrd);
	snprintf(ld, sizeof(ld), "load=%s", load);
	char *argv[] = { (char *)"linux",
		         mem,
		         ird,
		         (char *)"con=null",
		         (char *)"ssl=null",
		         (char *)"con0=fd:0,fd:1",
		         (char *)"noreboot",
		         ld,
		         (char *)"hospes.disk=",
		         NULL };
	if (pv_files_open(&g->files, KERNEL, &err))
		die(g, "kernel", &err);
	struct pv_sandbox_cfg cfg = {
		.kernel = KERNEL, .initrd = initrd, .ram_bytes = bytes, .cpu = -1, .uid = getuid(), .gid = getgid()
	};
	if (pv_sandbox_new(&g->sb, &cfg, &err))
		die(g, "sandbox", &err);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, con) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, er))
		exit(1);
	fstat(con[1], &cs);
	fstat(er[1], &es);
	if (pv_sandbox_boot(&g->sb, argv, con[1], er[1], 0, &k, &kfd, none, 0, &err))
		die(g, "boot", &err);
	close(con[1]);
	close(er[1]);
	for (int i = 0; i < 200 && !memmem(g->con, g->con_len, "is up after", 11); i++)
		listen_to(g, con[0], 100);
	listen_to(g, con[0], 500);
	if (pv_freeze(k, PV_FREEZE_USER, 5000, NULL, &g->f, &err))
		die(g, "freeze", &err);
	if (pv_fds_learn(&fds, &g->f, kfd, cs.st_ino, es.st_ino, &inode, &mfd, NULL, &err))
		die(g, "descriptors", &err);
	struct pv_dump_ctx c = { .k_pidfd = kfd,
		                 .pidns_fd = -1,
		                 .fds = &fds,
		                 .file = g->files.file,
		                 .n_files = g->files.n,
		                 .mem_inode = inode,
		                 .mem_bytes = bytes,
		                 .segv_handler = g->files.segv_handler };
	if (pv_dump(&c, &g->f, &im, &err))
		die(g, "dump", &err);
	int mfd2 = memfd_create("guest", MFD_CLOEXEC);
	if (mfd2 < 0 || ftruncate(mfd2, (off_t)bytes) || guestmem_init(&g->m, mfd2, bytes, &err))
		die(g, "memory", &err);
	for (uint64_t at = 0; at < bytes; at += 1 << 20) {
		static uint8_t piece[1 << 20], zero[1 << 20];
		if (pread(mfd, piece, sizeof(piece), (off_t)at) != sizeof(piece))
			die(g, "read memory", &err);
		if (memcmp(piece, zero, sizeof(piece)))
			memcpy(g->m.base + at, piece, sizeof(piece));
	}
	struct stat ms;
	fstat(mfd2, &ms);
	g->mem_inode = ms.st_ino;
	pv_frozen_kill(&g->f);
	if (pv_sandbox_clear(&g->sb, &err))
		die(g, "clear", &err);
	if (pv_restore(&g->sb, &im, g->m.fd, g->files.fd, true, -1, &g->rs, &g->f, &err))
		die(g, "restore", &err);
	pv_image_done(&im);
	pv_thaw(&g->f);
	kill(g->rs.k, SIGALRM);
	kill(g->rs.k, SIGIO);
	int old[] = { con[0], er[0], kfd, mfd };
	for (size_t i = 0; i < ARRAY_SIZE(old); i++)
		close(old[i]);
}

static void freeze(struct guest *g)
{
	struct err err = { 0 };

	if (pv_freeze(g->rs.k, 0, 5000, &g->rs.helpers, &g->f, &err))
		die(g, "freeze", &err);
	note(&st_freeze, g->f.took_ns);
}

static void thaw(struct guest *g)
{
	pv_thaw(&g->f);
}

/* The sender: copy what was reported. */
static void copy_reported(struct guest *g, const uint64_t *bits, uint8_t *copy)
{
	for (uint64_t p = 0; p < g->m.size / PAGE_BYTES; p++)
		if (bits[p / 64] >> (p % 64) & 1)
			memcpy(copy + p * PAGE_BYTES, g->m.base + p * PAGE_BYTES, PAGE_BYTES);
}

/* Pages of the frozen guest that differ from the copy; holes are zeros and stay untouched. */
static uint64_t differing(struct guest *g, const uint8_t *copy, bool say)
{
	static const uint8_t zero[PAGE_BYTES];
	uint64_t n = 0, pages = g->m.size / PAGE_BYTES, data = 0, hole = 0;

	for (uint64_t p = 0; p < pages; p++) {
		if (p >= hole) {
			off_t d = lseek(g->m.fd, (off_t)(p * PAGE_BYTES), SEEK_DATA);
			data = d < 0 ? pages : (uint64_t)d / PAGE_BYTES;
			hole = d < 0 ? pages : (uint64_t)lseek(g->m.fd, d, SEEK_HOLE) / PAGE_BYTES;
		}
		const uint8_t *now = p >= data ? g->m.base + p * PAGE_BYTES : zero;
		if (memcmp(copy + p * PAGE_BYTES, now, PAGE_BYTES)) {
			if (say && n < 8)
				printf("# page %lu was lost\n", p);
			n++;
		}
	}
	return n;
}

static uint64_t collect(struct guest *g, struct logdirty *l, bool frozen, bool clean, uint64_t *bits)
{
	struct err err = { 0 };
	uint64_t n, t0 = now_ns();

	if (logdirty_collect(l, frozen, clean, bits, &n, &err))
		die(g, "collect", &err);
	note(frozen ? &st_frozen : &st_live, now_ns() - t0);
	return n;
}

static int skip(const char *why)
{
	printf("SKIP: %s\n", why);
	return 77;
}

/* One migration's worth: rounds of different lengths, then a frozen one. Returns pages lost. */
static uint64_t one_pass(struct guest *g, struct logdirty *l, unsigned pass, uint64_t *bits, uint8_t *copy,
                         uint64_t *ret_audit)
{
	static const unsigned sleeps_ms[] = { 60, 5, 0, 20, 1, 0 };
	struct err err = { 0 };

	for (unsigned i = 0; i < 1 + pass % 4; i++) {
		listen_to(g, g->rs.con, sleeps_ms[(pass + i) % ARRAY_SIZE(sleeps_ms)]);
		if ((pass + i) % 5 == 0)
			collect(g, l, false, false, bits);
		collect(g, l, false, true, bits);
		copy_reported(g, bits, copy);
	}
	listen_to(g, g->rs.con, sleeps_ms[pass % ARRAY_SIZE(sleeps_ms)]);
	freeze(g);
	note(&st_dirty, collect(g, l, true, true, bits));
	struct logdirty_stats ls;
	logdirty_stats(l, &ls);
	note(&st_cand, ls.candidates);
	copy_reported(g, bits, copy);
	uint64_t lost = differing(g, copy, true);
	*ret_audit = 0;
	int r = logdirty_audit(l, bits, ret_audit, &err);
	if (r && r != -EINVAL)
		die(g, "audit", &err);
	return lost;
}

/* The proof that the comparison sees what is not collected. */
static bool blind(struct guest *g, struct logdirty *l, uint64_t *bits, const uint8_t *copy)
{
	struct err err = { 0 };
	uint64_t missed = 0;

	thaw(g);
	listen_to(g, g->rs.con, 300);
	freeze(g);
	uint64_t n = differing(g, copy, false);
	if (logdirty_audit(l, bits, &missed, &err))
		missed = n;
	printf("# without a collection: %lu pages differ, the audit says %lu\n", n, missed);
	return !n || !missed;
}

/* Switched on and off again and again, wherever the guest happens to stand. Returns the times that tracking did not begin. */
static unsigned rearm(struct guest *g, const struct logdirty_cfg *c, unsigned times, uint64_t *bits)
{
	unsigned failed = 0;

	for (unsigned i = 0; i < times; i++) {
		struct err err = { 0 };
		struct logdirty *l = NULL;
		uint32_t mode;
		freeze(g);
		int r = logdirty_new(c, &g->m, &l, &mode, &err);
		thaw(g);
		if (r) {
			printf("# enable: %s\n", err.text);
			failed++;
		}
		listen_to(g, g->rs.con, i % 7 ? 3 : 100); /* a guest that sleeps stands elsewhere than one that works */
		if (l && i % 2)
			collect(g, l, false, true, bits);
		logdirty_free(l);
	}
	return failed;
}

/* The guest kernel is killed while it is being armed: an answer in time, and nobody is left. */
static bool survives_death(struct guest *g)
{
	struct err err = { 0 };
	struct logdirty *l = NULL;
	struct pv_track_guest tg = { .f = &g->f, .k_pidfd = g->rs.k_pidfd, .mem_inode = g->mem_inode };
	struct logdirty_cfg c = { .mode = HV_LOGDIRTY_RECORD, .trackers = pv_trackers, .arg = &tg };
	uint32_t mode;
	pid_t killer = fork();

	if (!killer) {
		usleep((useconds_t)atoi(getenv("TRACK_KILL_US") ? getenv("TRACK_KILL_US") : "7000"));
		kill(g->rs.k, SIGKILL);
		_exit(0);
	}
	alarm(30);
	int r = logdirty_new(&c, &g->m, &l, &mode, &err);
	waitpid(killer, NULL, 0);
	printf("# killed while arming: %s\n", r ? err.text : "too late");
	logdirty_free(l);
	pv_frozen_kill(&g->f);
	r = pv_sandbox_clear(&g->sb, &err);
	if (r)
		printf("# %s\n", err.text);
	alarm(0);
	return !r;
}

int main(int argc, char **argv)
{
	static struct guest g;
	struct rlimit rl = { 65536, 65536 };
	struct err err = { 0 };
	struct logdirty *l;
	uint32_t mode;

	if (argc < 2)
		return 2;
	unsigned seconds = argc > 2 ? (unsigned)atoi(argv[2]) : 10, mib = argc > 3 ? (unsigned)atoi(argv[3]) : 192;
	const char *load = argc > 4 ? argv[4] : "full";
	bool audit = !getenv("TRACK_NO_AUDIT");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getuid())
		return skip("needs root");
	if (access(argv[1], R_OK))
		return skip("no initramfs: make guests");
	if (access(KERNEL, X_OK))
		return skip("no " KERNEL ": install user-mode-linux");
	if (uffd_probe(&err))
		return skip(err.text);
	setrlimit(RLIMIT_NOFILE, &rl);
	if (getenv("TRACK_UID")) {
		/* as hvdom runs: without privileges */
		uid_t uid = (uid_t)atoi(getenv("TRACK_UID"));
		if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
			return skip("cannot drop privileges");
	}
	_cleanup_free_ char *initrd = realpath(argv[1], NULL); /* the guest has another working directory */
	if (!initrd)
		return skip("no initramfs: make guests");
	boot(&g, initrd, mib, load);
	listen_to(&g, g.rs.con, 1500);
	uint64_t pages = g.m.size / PAGE_BYTES;
	uint64_t *bits = calloc((pages + 63) / 64, 8);
	uint8_t *copy = mmap(NULL, g.m.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
	                     0);
	if (!bits || copy == MAP_FAILED)
		return 1;
	struct pv_track_guest tg = { .f = &g.f, .k_pidfd = g.rs.k_pidfd, .mem_inode = g.mem_inode };
	struct logdirty_cfg c = { .mode = HV_LOGDIRTY_RECORD, .audit = audit, .trackers = pv_trackers, .arg = &tg };
	unsigned unarmed = rearm(&g, &c, 30, bits);
	freeze(&g);
	uint64_t t0 = now_ns(), stubs = g.f.n_stubs;
	if (logdirty_new(&c, &g.m, &l, &mode, &err))
		die(&g, "enable", &err);
	printf("# armed the kernel and %lu address spaces in %.2f ms\n", stubs, (double)(now_ns() - t0) / 1e6);
	thaw(&g);
	t0 = now_ns();
	struct timespec c0, c1;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &c0);
	uint64_t n = collect(&g, l, false, true, bits);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &c1);
	printf("# first collection: %lu pages in %.2f ms, %.2f ms of CPU\n", n, (double)(now_ns() - t0) / 1e6,
	       (double)(c1.tv_sec - c0.tv_sec) * 1e3 + (double)(c1.tv_nsec - c0.tv_nsec) / 1e6);
	copy_reported(&g, bits, copy);
	st_live.n = 0;
	uint64_t end = now_ns() + seconds * NS_PER_S, lost = 0, missed = 0;
	unsigned passes = 0;
	while (now_ns() < end && !lost && !missed) {
		lost = one_pass(&g, l, passes++, bits, copy, &missed);
		if (now_ns() < end && !lost && !missed)
			thaw(&g);
	}
	bool nothing_seen = !lost && !missed && blind(&g, l, bits, copy);
	bool guest_error = memmem(g.con, g.con_len, "ERROR", 5) || memmem(g.con, g.con_len, "Kernel panic", 12);
	show(&st_freeze, 1e6, "ms");
	show(&st_live, 1e6, "ms");
	show(&st_frozen, 1e6, "ms");
	show(&st_dirty, 1, "pages");
	show(&st_cand, 1, "pages");
	if (guest_error)
		printf("# the guest's last words:\n%.*s\n", (int)g.con_len, g.con);
	struct logdirty_stats ls;
	logdirty_stats(l, &ls);
	printf("# %lu collections, %lu of them hashed everything (%s)\n", ls.collections, ls.whole,
	       ls.why ? ls.why : "none");
	logdirty_free(l);
	bool clean = survives_death(&g);
	pv_sandbox_done(&g.sb);
	/* tracking that always falls back to hashing would find everything, too */
	bool ok = clean && !unarmed && ls.whole <= 1 && !lost && !missed && !nothing_seen && !guest_error &&
	          passes >= 3;
	if (ls.whole > 1)
		printf("# tracking gave up %lu times\n", ls.whole - 1);
	printf("%s: %u frozen collections, %lu pages lost, audit %lu%s%s\n", ok ? "ok" : "not ok", passes, lost, missed,
	       nothing_seen ? ", and a planted change was not seen" : "",
	       guest_error ? ", the guest found an error" : "");
	return !ok;
}
