/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Can this host's QEMU give a guest the processor that it asks for, and what does host-model come to here? QEMU knows best: it is started
 * without a guest, told to enforce the processor, and says which features it lacks. See qvm_int.h. ADR 84.
 */
#include "config.h"
#include "hypervisor/qemu/qvm_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/cpufeat.h"
#include "hypervisor/qemu/qargs.h"
#include "hypervisor/qemu/qasked.h"
#include "hypervisor/qemu/qcpu.h"

#define TRY_MS     3000u /* below HVCHECK_MS. What QEMU has not said by then, a start will say */
#define SAID_BYTES 16384u

/* What @fd says until its end, or until the time is over (false). */
static bool read_all(int fd, char *text, size_t size)
{
	uint64_t until = now_ns() + TRY_MS * NS_PER_MS;
	size_t n = 0;

	text[0] = 0;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = now_ns();
		char over[512];

		if (now >= until || poll(&p, 1, (int)((until - now) / NS_PER_MS) + 1) <= 0)
			return false;
		/* beyond the room it is read and forgotten */
		ssize_t k = n + 1 < size ? read(fd, text + n, size - 1 - n) : read(fd, over, sizeof(over));
		if (k <= 0)
			return k == 0;
		if (n + 1 < size)
			text[n += (size_t)k] = 0;
	}
}

static int start_qemu(char *const argv[], int in, int out, pid_t *ret)
{
	char *const env[] = { NULL };
	posix_spawn_file_actions_t fa;
	int r = posix_spawn_file_actions_init(&fa);

	if (r)
		return -r;
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, out, 1);
	posix_spawn_file_actions_adddup2(&fa, out, 2);
	r = posix_spawn(ret, argv[0], &fa, NULL, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	return -r;
}

/*
 * QEMU's words on the processor @cpu of @cfg's machine: it is asked to quit before anything runs. 0: it took it; 1: it did not, @said tells why;
 * -ETIMEDOUT and other errors: nobody knows.
 */
static int try_cpu(const struct dom_config *cfg, bool kvm, const char *cpu, char *said, size_t size)
{
	static const char quit[] = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"quit\"}\n";
	_cleanup_free_ char *m = xasprintf("%s,accel=%s", qargs_machine(cfg, NULL), kvm ? "kvm" : "tcg");
	char *argv[] = { (char *)(uintptr_t)qhost_program(dom_arch(cfg)),
		         (char *)"-S",
		         (char *)"-nodefaults",
		         (char *)"-no-user-config",
		         (char *)"-display",
		         (char *)"none",
		         (char *)"-m",
		         (char *)"16",
		         (char *)"-machine",
		         m,
		         (char *)"-cpu",
		         (char *)(uintptr_t)cpu,
		         (char *)"-qmp",
		         (char *)"stdio",
		         NULL };
	_cleanup_close_ int in_r = -1, in_w = -1, out_r = -1, out_w = -1;
	_cleanup_free_ char *question = xasprintf("-machine %s -cpu %s", m, cpu);
	struct qasked before;
	int p[2], status = 0;
	pid_t pid;

	if (!m || !question)
		return -ENOMEM;
	qasked_about(&before, argv[0], kvm, question);
	if (qasked_known(&before, said, size)) /* only those that it took are kept */
		return 0;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	in_r = p[0];
	in_w = p[1];
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	out_r = p[0];
	out_w = p[1];
	/* it fits into the pipe */
	int r = write_full(in_w, quit, sizeof(quit) - 1);
	if (!r)
		r = start_qemu(argv, in_r, out_w, &pid);
	if (r < 0)
		return r;
	close(out_w);
	out_w = -1;
	bool ended = read_all(out_r, said, size);
	if (!ended)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) < 0)
		return -errno;
	if (!ended)
		return -ETIMEDOUT;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return 1;
	qasked_keep(&before, argv[0], kvm, question, "taken");
	return 0;
}

/* A processor that somebody named: by its model or by features. */
static bool is_named(const struct dom_cpu *c)
{
	bool named = c->mode == DOM_CPU_CUSTOM;

	for (size_t i = 0; i < c->n_features; i++)
		named |= c->feature[i].policy <= DOM_CPU_REQUIRE;
	return named;
}

static int lacks(const struct dom_config *cfg, bool kvm, const char *names, struct err *err)
{
	if (kvm)
		return err_set(
			err, ENOTSUP,
			"the CPU of this host lacks %s, which domain '%s' asks for (<cpu>): choose a host with it, or "
			"leave it out",
			names, cfg->name);
	return err_set(err, ENOTSUP,
	               "QEMU's translated code lacks %s, which domain '%s' asks for (<cpu>): leave it out", names,
	               cfg->name);
}

/* The last line that QEMU wrote, apart from its monitor's greeting, which may come before it or behind it. */
static const char *last_line(char *said)
{
	const char *last = "it does not say why";
	char *save = NULL;

	for (char *line = strtok_r(said, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
		if (*line != '{')
			last = line;
	return last;
}

int qhost_cpu_check(const struct dom_config *cfg, bool kvm, struct err *err)
{
	_cleanup_free_ char *cpu = qcpu_text(cfg, kvm), *said = calloc(1, SAID_BYTES);
	uint64_t bits[CPU_FEATURE_WORDS];
	char names[256];

	if (!cpu || !said)
		return err_set(err, ENOMEM, "out of memory");
	if (!is_named(&cfg->hvm.cpu))
		return 0;
	cpu_features_bits(bits);
	if (kvm && qcpu_lacking(&cfg->hvm.cpu, bits, names, sizeof(names)))
		return lacks(cfg, kvm, names, err);
	if (try_cpu(cfg, kvm, cpu, said, SAID_BYTES) != 1)
		return 0;
	if (qcpu_refused(said, names, sizeof(names)))
		return lacks(cfg, kvm, names, err);
	return err_set(err, ENOTSUP, "QEMU does not know the processor of domain '%s' (<cpu>): %.200s", cfg->name,
	               last_line(said));
}

/* QEMU's KVM may not give to guests all that the processor has: such features are left out. */
static void leave_out(const struct dom_config *cfg, struct dom_cpu *cpu)
{
	_cleanup_free_ struct dom_config *trial = calloc(1, sizeof(*trial));
	_cleanup_free_ char *said = calloc(1, SAID_BYTES), *text = NULL;
	char names[4096];

	if (!trial || !said)
		return;
	trial->type = cfg->type;
	trial->hvm = cfg->hvm;
	trial->hvm.cpu = *cpu;
	text = qcpu_text(trial, true);
	if (text && try_cpu(cfg, true, text, said, SAID_BYTES) == 1 && qcpu_refused(said, names, sizeof(names)))
		qcpu_drop(cpu, names);
}

int qhost_pin(struct dom_config *cfg, const uint64_t baseline[CPU_FEATURE_WORDS], struct err *err)
{
	uint64_t bits[CPU_FEATURE_WORDS];
	struct dom_cpu cpu = cfg->hvm.cpu;
	bool optional = false;

	for (size_t i = 0; i < cpu.n_features; i++)
		optional |= cpu.feature[i].policy == DOM_CPU_OPTIONAL;
	if (cpu.mode != DOM_CPU_HOST_MODEL && !(optional && cpu.mode == DOM_CPU_CUSTOM))
		return 0;
	cpu_features_bits(bits);
	for (unsigned i = 0; i < CPU_FEATURE_WORDS; i++)
		bits[i] &= baseline[i];
	qcpu_pin(&cpu, bits);
	if (cfg->hvm.cpu.mode == DOM_CPU_HOST_MODEL)
		leave_out(cfg, &cpu);
	return dom_config_set_cpu(cfg, &cpu) < 0 ? err_set(err, ENOMEM, "out of memory") : 0;
}
