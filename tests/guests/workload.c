/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The workload of the test guests, one static program: `workload run` (the manager: starts one process per worker and restarts
 * none: a worker that dies is an error that the status port reports), `workload agent` (the host's orders on a virtio console,
 * docs/wire/agent.md), `workload child N` (what the fork/exec loop runs). Neighbours: wl_int.h. Each worker is one process.
 */
#include "tests/guests/wl_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct wl_shared *wl;

uint64_t wl_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void wl_sleep_ns(uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

void wl_error(struct wl_slot *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->error_text, sizeof(s->error_text), fmt, ap);
	va_end(ap);
	atomic_fetch_add(&s->errors, 1);
	fprintf(stderr, "workload: ERROR in %s[%d]: %s\n", s->kind, getpid(), s->error_text);
}

void wl_futex_wait(_Atomic uint32_t *addr, uint32_t value)
{
	syscall(SYS_futex, addr, FUTEX_WAIT, value, NULL, NULL, 0);
}

void wl_futex_wake(_Atomic uint32_t *addr)
{
	syscall(SYS_futex, addr, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

const char *wl_cmdline(const char *key, const char *fallback, char *buf, size_t len)
{
	char line[4096];
	char *save = NULL;
	FILE *f = fopen("/proc/cmdline", "re");
	size_t n = f ? fread(line, 1, sizeof(line) - 1, f) : 0;
	size_t key_len = strlen(key);

	if (f)
		fclose(f);
	line[n] = 0;
	snprintf(buf, len, "%s", fallback);
	for (char *w = strtok_r(line, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		if (!strncmp(w, key, key_len) && w[key_len] == '=')
			snprintf(buf, len, "%s", w + key_len + 1);
	return buf;
}

uint64_t wl_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

void wl_pattern(void *p, size_t len, uint64_t seed)
{
	uint64_t *w = p;
	uint64_t x = wl_mix(seed) | 1;

	for (size_t i = 0; i < len / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		w[i] = x;
	}
}

long wl_check(const void *p, size_t len, uint64_t seed)
{
	const uint64_t *w = p;
	uint64_t x = wl_mix(seed) | 1;

	for (size_t i = 0; i < len / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (w[i] != x)
			return (long)(i * 8);
	}
	return -1;
}

static void start(const char *kind, wl_worker_fn *fn)
{
	struct wl_slot *s = &wl->slot[wl->n_slots];
	pid_t pid;

	snprintf(s->kind, sizeof(s->kind), "%s", kind);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		prctl(PR_SET_NAME, kind);
		fn(s);
		_exit(0);
	}
	if (pid < 0) {
		wl_error(s, "fork: %s", strerror(errno));
		pid = 0;
	}
	s->pid = pid;
	wl->n_slots++;
}

static void start_all(void)
{
	bool full = !strcmp(wl->load, "full");
	bool light = full || !strcmp(wl->load, "light");

	start("echo", wl_echo);
	start("status", wl_status);
	start("fill", wl_fill);
	start("dirty", wl_dirty);
	if (light) {
		start("clock", wl_clock);
		start("sum", wl_sum);
		for (int i = 0; i < (full ? 26 : 2); i++)
			start("counter", wl_counter);
	}
	if (full) {
		start("fpu", wl_fpu);
		start("forker", wl_forker);
	}
	if (light && wl->disk[0])
		start("disk", wl_disk);
	if (wl->witness[0])
		start("witness", wl_witness);
}

static void reap_forever(void)
{
	for (;;) {
		int st = 0;
		pid_t pid = wait(&st);

		if (pid < 0 && errno == ECHILD)
			return;
		for (uint32_t i = 0; i < wl->n_slots; i++) {
			struct wl_slot *s = &wl->slot[i];

			if (pid <= 0 || s->pid != pid)
				continue;
			s->pid = 0;
			wl_error(s, "worker died, wait status 0x%x", (unsigned)st);
		}
	}
}

static int run_main(void)
{
	char text[64];
	FILE *f;

	wl = mmap(NULL, sizeof(*wl), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (wl == MAP_FAILED) {
		perror("workload: mmap");
		return 1;
	}
	wl->start_ns = wl_now_ns();
	wl_cmdline("load", "none", wl->load, sizeof(wl->load));
	wl->cpu_percent = (unsigned)atoi(wl_cmdline("cpu", "50", text, sizeof(text)));
	if (wl->cpu_percent < 1 || wl->cpu_percent > 100)
		wl->cpu_percent = 50;
	wl->dirty_mib = (uint32_t)atoi(wl_cmdline("dirty", "16", text, sizeof(text)));
	wl->sum.rate_mib = wl->dirty_mib;
	wl->fill.size_mib = (uint32_t)atoi(wl_cmdline("fill", "0", text, sizeof(text)));
	wl->fill.seq = wl->fill.size_mib ? 1 : 0; /* an order given at birth */
	wl_cmdline("hospes.disk", access("/dev/vda", F_OK) ? "" : "/dev/vda", wl->disk, sizeof(wl->disk));
	wl_cmdline("hospes.witness", "", wl->witness, sizeof(wl->witness));
	wl->witness_ns = strtoull(wl_cmdline("hospes.witness_ms", "200", text, sizeof(text)), NULL, 10) * 1000000u;
	wl->generation = strtoull(wl_cmdline("hospes.generation", "0", text, sizeof(text)), NULL, 10);
	f = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!f || fscanf(f, "%39s", wl->boot_id) != 1)
		snprintf(wl->boot_id, sizeof(wl->boot_id), "unknown");
	if (f)
		fclose(f);
	start_all();
	printf("workload: ready, load=%s, %u workers\n", wl->load, (unsigned)wl->n_slots);
	fflush(stdout);
	reap_forever();
	return 1;
}

int main(int argc, char **argv)
{
	const char *cmd = argc > 1 ? argv[1] : "run";

	setvbuf(stderr, NULL, _IOLBF, 0);
	if (!strcmp(cmd, "run"))
		return run_main();
	if (!strcmp(cmd, "agent"))
		return wl_agent_main();
	if (!strcmp(cmd, "child"))
		return argc > 2 ? atoi(argv[2]) & 0x7f : 1;
	fprintf(stderr, "usage: workload run|agent|child N\n");
	return 2;
}
