/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Engines qemu, kvm and qemu-aarch64: guests with a kernel of their own, run by QEMU, which is the processor and most of the device model. Memory, disks
 * and NICs are hvdom's. ADR 76, 77. Its command line is qargs.c's, its process qproc.c's and qvm.c's, its monitor qmp.c's, log-dirty qtrack.c's.
 */
#include "config.h"
#include "hypervisor/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/dev/nblk.h"
#include "hypervisor/dev/vudev.h"
#include "hypervisor/qemu/qargs.h"
#include "hypervisor/qemu/qcpu.h"
#include "hypervisor/qemu/qscreen.h"
#include "hypervisor/qemu/qstate.h"
#include "hypervisor/qemu/qvm_int.h"

/* A state: docs/wire/qemustate.md */
#define STATE_MAGIC   0x31765148u /* "HQv1" */
#define STATE_VERSION 1u
#define STATE_LEAVES  2u /* without what the base has */
#define STATE_MIN     64u
#define STALLED_NS    NS_PER_S /* a request of a disk, unanswered for so long */

static int need_guest(const struct qvm *v, struct err *err)
{
	if (v->state == QVM_NONE)
		return err_set(err, ESRCH, "there is no guest");
	return v->state == QVM_BOOTING ? err_set(err, EBUSY, "the guest is still booting") : 0;
}

/* A PC's memory below 4 GiB has a hole for devices; the rest begins there. */
static unsigned regions(const struct dom_config *cfg, struct guestmem_region ret[GUESTMEM_REGIONS_MAX])
{
	uint64_t low = qargs_low_bytes(cfg);

	ret[0] = (struct guestmem_region){ .start = { qargs_ram_start(cfg) }, .bytes = low };
	if (low == cfg->memory_bytes)
		return 1;
	ret[1] = (struct guestmem_region){ .start = { 1ull << 32 }, .bytes = cfg->memory_bytes - low };
	return 2;
}

/* Life -------------------------------------------------------------------------------------------------------------------- */

static void close_vm(void *vm)
{
	struct qvm *v = vm;

	if (!v)
		return;
	qvm_kill(v);
	loop_del_timer(v->boot_timer);
	loop_del_timer(v->kick);
	loop_del_timer(v->ask);
	free(v);
}

static int open_vm(const struct hv_engine_env *env, bool kvm, void **ret_vm, struct err *err)
{
	struct qvm *v = calloc(1, sizeof(*v));

	if (!v)
		return err_set(err, ENOMEM, "out of memory");
	*v = (struct qvm){ .env = env, .kvm = kvm, .pidfd = -1, .serial = -1, .err = -1, .saved = -1, .code = -1 };
	memset(v->place_fd, 0xff, sizeof(v->place_fd));
	int r = qvm_timers(v, err);
	/* a copy that comes from elsewhere: QEMU takes its time to start, and the guest need not stand still for that */
	if (!r && env->mem->base)
		r = qvm_spawn(v, true, err);
	if (r < 0) {
		close_vm(v);
		return r;
	}
	*ret_vm = v;
	return 0;
}

static int boot(void *vm, struct err *err)
{
	struct qvm *v = vm;

	if (v->state != QVM_NONE)
		return err_set(err, EEXIST, "there is a guest already");
	qvm_kill(v); /* one that waited for a state */
	devs_set_mem(v->env->devs, v->env->mem);
	int r = qvm_spawn(v, false, err);
	if (!r)
		v->state = QVM_BOOTING;
	return r;
}

static int suspend(void *vm, unsigned timeout_ms, struct err *err)
{
	struct qvm *v = vm;
	const char *disk;
	uint64_t age;
	int r = need_guest(v, err);

	if (r < 0 || v->state == QVM_SUSPENDED)
		return r;
	/* QEMU would stand still until the disk answers, and so would the guest */
	if (nblk_waits(v->env->devs, &disk, &age) && age >= STALLED_NS)
		return err_set(err, ETIMEDOUT, "disk %s has not answered for %.0f s", disk, (double)age / 1e9);
	vuqemu_park(v->env->devs, true);
	r = qvm_call(v, "stop", NULL, -1, timeout_ms * NS_PER_MS, err);
	if (!r) {
		v->state = QVM_SUSPENDED;
		return 0;
	}
	if (r == -ETIMEDOUT && nblk_waits(v->env->devs, &disk, &age))
		(void)err_set(err, ETIMEDOUT, "disk %s has not answered for %.0f s", disk, (double)age / 1e9);
	/* it may stop still: whenever it does, it goes on */
	vuqemu_park(v->env->devs, false);
	(void)!qvm_call(v, "cont", NULL, -1, 0, NULL);
	return r;
}

#define GO_ON_NS (5 * NS_PER_S)

/* A QEMU that has told its state says so a moment before it is done with it, and does not go on until then. */
static int go_on(struct qvm *v, struct err *err)
{
	uint64_t until = v->saved >= 0 ? now_ns() + GO_ON_NS : 0;
	int r;

	while ((r = qvm_call(v, "cont", NULL, -1, QVM_CALL_NS, err)) == -EREMOTEIO && now_ns() < until)
		usleep(1000);
	return r;
}

static int resume(void *vm, struct err *err)
{
	struct qvm *v = vm;
	int r = need_guest(v, err);

	if (r < 0 || v->state == QVM_RUNNING)
		return r;
	vuqemu_park(v->env->devs, false);
	r = go_on(v, err);
	if (r < 0) {
		if (v->pid)
			vuqemu_park(v->env->devs, true); /* it stands still as before */
		return r;
	}
	if (v->saved >= 0)
		close(v->saved);
	v->saved = -1;
	devs_flash_runs(v->env->devs); /* QEMU wrote them there before it let the guest go */
	v->state = QVM_RUNNING;
	return 0;
}

static int powerdown(void *vm, struct err *err)
{
	struct qvm *v = vm;
	int r = need_guest(v, err);

	if (!r && v->state != QVM_RUNNING)
		r = err_set(err, EBUSY, "the guest is suspended");
	return r ? r : qvm_call(v, "system_powerdown", NULL, -1, QVM_CALL_NS, err);
}

/* State ------------------------------------------------------------------------------------------------------------------- */

static int state_file(struct err *err)
{
	int fd = memfd_create("qemu-state", MFD_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "cannot hold the guest's state") : fd;
}

/* QEMU tells it once: it is kept until the guest goes on. */
static int read_state(struct qvm *v, struct err *err)
{
	_cleanup_close_ int fd = state_file(err);
	struct stat st;

	if (fd < 0)
		return fd;
	int r = qvm_migrate(v, "migrate", fd, err);
	loop_timer_in(v->kick, 0);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || !st.st_size)
		return err_sys(err, st.st_size ? errno : EIO, "cannot read the guest's state");
	v->saved_bytes = (size_t)st.st_size;
	v->saved = steal_fd(&fd);
	return 0;
}

/* @fd's first @len octets, to be read; NULL: there are none, or no room. */
static void *map_file(int fd, size_t len)
{
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void put_head(struct buf *out, uint32_t version, uint64_t len, const uint64_t base[2])
{
	buf_put_u32(out, STATE_MAGIC);
	buf_put_u32(out, version);
	buf_put_u64(out, len);
	for (int i = 0; i < 2 && version >= STATE_LEAVES; i++)
		buf_put_u64(out, base[i]);
}

/* Without the firmware's code, if this machine's is what @base names, and the rest is understood. */
static bool put_without(struct qvm *v, const uint64_t base[2], const void *state, struct buf *out)
{
	struct qstate_known known = { .block = dom_arch(v->env->cfg)->code_block };
	_cleanup_buf_ struct buf b = { 0 };
	struct stat st;

	if (!base || !(base[0] | base[1]) || memcmp(base, v->base, sizeof(v->base)) != 0 || fstat(v->code, &st) < 0)
		return false;
	known.len = (size_t)st.st_size;
	void *code = map_file(v->code, known.len);
	if (!code)
		return false;
	known.p = code;
	long n = qstate_leave(state, v->saved_bytes, &known, &b);
	munmap(code, known.len);
	if (n <= 0)
		return false;
	put_head(out, STATE_LEAVES, b.len, base);
	buf_put(out, b.data, b.len);
	return true;
}

static int save(void *vm, const uint64_t base[2], struct buf *out, struct err *err)
{
	struct qvm *v = vm;
	int r = need_guest(v, err);

	if (!r && v->state != QVM_SUSPENDED)
		r = err_set(err, EBUSY, "the guest must be suspended before its state is read");
	if (!r && v->saved < 0)
		r = read_state(v, err);
	if (r < 0)
		return r;
	/* a copy is one file more to write in the blackout */
	void *state = map_file(v->saved, v->saved_bytes);
	if (!state)
		return err_sys(err, errno, "cannot read the guest's state");
	if (!put_without(v, base, state, out)) {
		put_head(out, STATE_VERSION, v->saved_bytes, NULL);
		buf_put(out, state, v->saved_bytes);
	}
	munmap(state, v->saved_bytes);
	return 0;
}

static uint64_t base(void *vm, uint64_t ret[2])
{
	const struct qvm *v = vm;

	memcpy(ret, v->base, sizeof(v->base));
	return v->base_bytes;
}

static uint64_t base_of(const struct dom_config *cfg, uint64_t ret[2])
{
	_cleanup_firmware_ struct firmware fw = { 0 };
	_cleanup_free_ char *code = NULL;

	ret[0] = ret[1] = 0;
	return cfg->fw.efi && qvm_firmware(cfg, &fw, &code, ret, NULL) == 0 ? fw.code_bytes : 0;
}

static int load(void *vm, struct rd *in, struct err *err)
{
	struct qvm *v = vm;
	uint32_t magic, version;
	uint64_t len;

	if (v->state != QVM_NONE)
		return err_set(err, EEXIST, "there is a guest already");
	magic = rd_u32(in);
	version = rd_u32(in);
	len = rd_u64(in);
	uint64_t less[2] = { 0 };
	for (int i = 0; i < 2 && version == STATE_LEAVES; i++)
		less[i] = rd_u64(in);
	const void *p = in->bad || len > in->left ? NULL : rd_bytes(in, (size_t)len);
	if (magic != STATE_MAGIC || (version != STATE_VERSION && version != STATE_LEAVES) || !p || len < STATE_MIN)
		return err_set(err, EINVAL, "this is no state of a guest of QEMU, or it ends early");
	if (version == STATE_LEAVES &&
	    (!v->pid || !(v->base[0] | v->base[1]) || memcmp(less, v->base, sizeof(less)) != 0))
		return err_set(err, EINVAL, "the state leaves out a firmware that is another one here");
	_cleanup_close_ int fd = state_file(err);
	int r = fd < 0 ? fd : write_full(fd, p, (size_t)len);
	if (!r && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		return fd < 0 ? r : err_sys(err, -r, "cannot hold the guest's state");
	if (!v->pid)
		r = qvm_spawn(v, true, err);
	if (!r)
		r = qvm_await(v, err);
	if (!r)
		r = qvm_migrate(v, "migrate-incoming", fd, err);
	if (r < 0) {
		qvm_kill(v);
		return r == -EPIPE
		               ? err_set(err, EINVAL, "QEMU does not understand the guest's state: %.200s", v->err_text)
		               : r;
	}
	v->balloon_unknown = v->env->cfg->balloon;
	loop_timer_in(v->kick, 0);
	v->state = QVM_SUSPENDED;
	return 0;
}

/* Log-dirty --------------------------------------------------------------------------------------------------------------- */

static void name_to_tracker(struct qvm *v)
{
	v->track = (struct qtrack_guest){
		.pid = v->pid, .pidfd = v->pidfd, .holes = v->env->cfg->balloon, .marks_seen = &v->marks_seen
	};
}

static int log_start(void *vm, uint32_t mode, bool audit, uint32_t *ret_mode, struct err *err)
{
	struct qvm *v = vm;
	struct logdirty_cfg c = { .mode = mode, .audit = audit, .trackers = qtrack, .arg = &v->track };
	int r = need_guest(v, err);

	if (!r && v->log)
		r = err_set(err, EALREADY, "log-dirty is on already");
	if (r < 0)
		return r;
	name_to_tracker(v);
	return logdirty_new(&c, v->env->mem, &v->log, ret_mode, err);
}

static uint32_t log_method(void *vm)
{
	struct qvm *v = vm;
	struct logdirty_cfg c = { .trackers = qtrack, .arg = &v->track };

	if (v->log)
		return logdirty_method(v->log);
	if (!v->pid)
		return HV_LOGDIRTY_BY_UNKNOWN;
	name_to_tracker(v);
	return logdirty_would(&c, v->env->mem);
}

static int log_collect(void *vm, bool clean, uint64_t *bitmap, uint64_t *ret_dirty, struct err *err)
{
	struct qvm *v = vm;

	if (!v->log)
		return err_set(err, EINVAL, "log-dirty is off");
	return logdirty_collect(v->log, v->state == QVM_SUSPENDED, clean, bitmap, ret_dirty, err);
}

static int log_audit(void *vm, uint64_t *bitmap, uint64_t *ret_missed, struct err *err)
{
	struct qvm *v = vm;

	if (!v->log || v->state != QVM_SUSPENDED)
		return err_set(err, EINVAL, "an audit needs log-dirty on and the guest suspended");
	return logdirty_audit(v->log, bitmap, ret_missed, err);
}

static void log_stop(void *vm)
{
	struct qvm *v = vm;

	logdirty_free(v->log);
	v->log = NULL;
}

/* The rest ---------------------------------------------------------------------------------------------------------------- */

static int balloon(void *vm, uint64_t target_bytes, struct err *err)
{
	struct qvm *v = vm;
	int r = need_guest(v, err);

	if (!r && !v->env->cfg->balloon)
		r = err_set(err, EOPNOTSUPP, "the domain has no memory balloon; add <memballoon model='virtio'/>");
	return r ? r : qballoon_set(v, target_bytes, err);
}

static uint64_t balloon_bytes(void *vm)
{
	return qballoon_bytes(vm);
}

static void input(void *vm, const void *p, size_t len)
{
	struct qvm *v = vm;

	/* a serial line that does not read loses input */
	if (v->serial >= 0)
		(void)!send(v->serial, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int plug(void *vm, const struct hv_plug *p, struct err *err)
{
	return qplug_add(vm, p, err);
}

static int unplug(void *vm, unsigned place, struct err *err)
{
	return qplug_ask(vm, place, err);
}

static int screen_client(void *vm, int fd, struct err *err)
{
	struct qvm *v = vm;
	int r = need_guest(v, err);

	if (r < 0)
		close(fd);
	return r < 0 ? r : qscreen_client(v, fd, err);
}

static int screenshot(void *vm, unsigned screen, struct err *err)
{
	struct qvm *v = vm;
	int r = need_guest(v, err);

	return r < 0 ? r : qscreen_shot(v, screen, err);
}

static void stats(void *vm, struct hv_stats *st)
{
	qvm_stats(vm, st);
}

static void look(void *vm, struct hv_look *ret)
{
	qvm_look(vm, ret);
}

static void kill_guest(void *vm)
{
	qvm_kill(vm);
}

static int pin_kvm(struct dom_config *cfg, const uint64_t baseline[CPU_FEATURE_WORDS], struct err *err)
{
	cfg->hvm.places = dom_config_places(cfg);
	return qhost_pin(cfg, baseline, err);
}

/* Translated code is the same on all hosts, and QEMU's version in the identity. */
static int pin_places(struct dom_config *cfg, const uint64_t baseline[CPU_FEATURE_WORDS], struct err *err)
{
	(void)baseline, (void)err;
	cfg->hvm.places = dom_config_places(cfg);
	return 0;
}

/* The table's functions that know which engine they are. */
#define FUNCTIONS(name, arch, kvm)                                                                                     \
	static int probe_##name(const struct dom_config *cfg, struct err *err)                                         \
	{                                                                                                              \
		return qhost_probe(cfg, dom_arch_at(arch), kvm, err);                                                  \
	}                                                                                                              \
	static int identity_##name(const struct dom_config *cfg, char out[HV_IDENTITY_MAX], struct err *err)           \
	{                                                                                                              \
		return qhost_identity(cfg, dom_arch_at(arch), kvm, out, err);                                          \
	}                                                                                                              \
	static bool newer_##name(const struct dom_config *cfg)                                                         \
	{                                                                                                              \
		return qcpu_is_fixed(cfg, kvm);                                                                        \
	}                                                                                                              \
	static int open_##name(const struct hv_engine_env *env, void **ret_vm, struct err *err)                        \
	{                                                                                                              \
		return open_vm(env, kvm, ret_vm, err);                                                                 \
	}

FUNCTIONS(tcg, DOM_ARCH_X86_64, false)
FUNCTIONS(kvm, DOM_ARCH_X86_64, true)
FUNCTIONS(aarch64, DOM_ARCH_AARCH64, false)

/* An engine each: to a guest, translated code and a processor's own are different machines, and so are processors of another kind. */
#define OPS(engine_name, accel, pins, node)                                                                            \
	{                                                                                                              \
		.name = engine_name, .caps = HV_CAP_MIGRATE | HV_CAP_LOGDIRTY_COMPARE | HV_CAP_LOGDIRTY_RECORD,        \
		.transport = &vuqemu_transport, .device = node, .newer = newer_##accel, .probe = probe_##accel,        \
		.pin = pins, .identity = identity_##accel, .regions = regions, .open = open_##accel, .boot = boot,     \
		.suspend = suspend, .resume = resume, .save = save, .base = base, .base_of = base_of, .load = load,    \
		.logdirty_start = log_start, .logdirty_collect = log_collect, .logdirty_audit = log_audit,             \
		.logdirty_stop = log_stop, .logdirty_method = log_method, .powerdown = powerdown, .balloon = balloon,  \
		.balloon_bytes = balloon_bytes, .plug = plug, .unplug = unplug, .screen_client = screen_client,        \
		.screenshot = screenshot, .input = input, .stats = stats, .look = look, .kill = kill_guest,            \
		.close = close_vm,                                                                                     \
	}

const struct hv_engine_ops hv_engine_qemu = OPS("qemu", tcg, pin_places, NULL);
const struct hv_engine_ops hv_engine_kvm = OPS("kvm", kvm, pin_kvm, "/dev/kvm");
const struct hv_engine_ops hv_engine_qemu_aarch64 = OPS("qemu-aarch64", aarch64, pin_places, NULL);
