/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's process, its monitor, its end: see qvm_int.h. */
#include "config.h"
#include "hypervisor/qemu/qvm_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include "common/util.h"
#include "hypervisor/dev/enic.h"
#include "hypervisor/dev/nblk.h"
#include "hypervisor/dev/vudev.h"
#include "hypervisor/qemu/qargs.h"
#include "hypervisor/qemu/qproc.h"
#include "hypervisor/qemu/qscreen.h"
#include "hypervisor/qemu/qstate.h"

/* What it says ------------------------------------------------------------------------------------------------------------ */

static void on_serial(void *arg, int fd, uint32_t ev)
{
	struct qvm *v = arg;
	char buf[8192];
	(void)ev;

	for (int i = 0; i < 16; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n == 0)
			loop_mod_fd(v->serial_src, 0);
		if (n <= 0)
			return;
		v->env->output(v->env->arg, buf, (size_t)n);
	}
}

static void read_err(struct qvm *v)
{
	char buf[256];
	ssize_t n;

	while (v->err >= 0 && (n = recv(v->err, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		size_t keep = sizeof(v->err_text) - 1, k = (size_t)n;
		v->env->output(v->env->arg, buf, k);
		if (v->err_len + k > keep) {
			size_t drop = v->err_len + k - keep;
			memmove(v->err_text, v->err_text + drop, v->err_len - drop);
			v->err_len -= drop;
		}
		memcpy(v->err_text + v->err_len, buf, k);
		v->err_len += k;
		v->err_text[v->err_len] = 0;
	}
}

static void on_err(void *arg, int fd, uint32_t ev)
{
	struct qvm *v = arg;
	(void)fd;

	read_err(v);
	if (ev & EPOLLHUP)
		loop_mod_fd(v->err_src, 0);
}

/* Its end ----------------------------------------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close_fd(&fds[i]);
}

/* The process is gone. */
static void forget(struct qvm *v)
{
	struct loop_fd **src[] = { &v->qmp_src, &v->serial_src, &v->err_src, &v->pid_src };

	logdirty_free(v->log);
	v->log = NULL;
	if (v->serial >= 0)
		on_serial(v, v->serial, 0);
	read_err(v);
	for (size_t i = 0; i < ARRAY_SIZE(src); i++) {
		loop_del_fd(*src[i]);
		*src[i] = NULL;
	}
	if (v->boot_timer)
		loop_timer_at(v->boot_timer, UINT64_MAX);
	if (v->kick)
		loop_timer_at(v->kick, UINT64_MAX);
	if (v->ask)
		loop_timer_at(v->ask, UINT64_MAX);
	v->asked = 0;
	v->mem_at_s = 0;
	qmp_free(v->qmp);
	v->qmp = NULL;
	close_fd(&v->serial);
	close_fd(&v->err);
	close_fd(&v->pidfd);
	close_all(v->place_fd, ARRAY_SIZE(v->place_fd));
	v->gone = v->refused = 0;
	close_fd(&v->saved);
	close_fd(&v->code);
	memset(v->base, 0, sizeof(v->base));
	v->base_bytes = 0;
	v->marks_seen = false;
	v->pid = 0;
	v->state = QVM_NONE;
	vuqemu_park(v->env->devs, false);
}

void qvm_kill(struct qvm *v)
{
	if (v->pid) {
		kill(v->pid, SIGKILL);
		waitpid(v->pid, NULL, __WALL);
	}
	forget(v);
}

static void see_events(struct qvm *v)
{
	json_t *e;

	while (v->qmp && (e = qmp_event(v->qmp))) {
		const char *name = json_string_value(json_object_get(e, "event"));
		const char *why = json_string_value(json_object_get(json_object_get(e, "data"), "reason"));
		if (!strcmp(name, "SHUTDOWN") && why)
			v->reason = !strcmp(why, "guest-shutdown") ? QVM_POWEROFF
			            : !strcmp(why, "guest-reset")  ? QVM_REBOOT
			            : !strcmp(why, "guest-panic")  ? QVM_PANIC
			                                           : QVM_LOST;
		else if (!strcmp(name, "WATCHDOG"))
			v->watchdog_ran_out = true;
		else if (!strcmp(name, "BALLOON_CHANGE"))
			qballoon_said(v, json_object_get(e, "data"));
		else
			qplug_event(v, name, json_object_get(e, "data"));
		json_decref(e);
	}
}

/* From the loop only. A guest that stands still is told of when it goes on. */
static void tell(struct qvm *v)
{
	if (v->state == QVM_RUNNING)
		qplug_tell(v);
	if (!v->watchdog_ran_out || v->state != QVM_RUNNING)
		return;
	v->watchdog_ran_out = false;
	v->env->watchdog(v->env->arg);
}

/* Did it give up because it got no more memory? A thread that it cannot have is no more than its stack. */
static bool lacked_memory(const struct qvm *v)
{
	static const char *const words[] = { "annot allocate memory", "ailed to allocate", "ut of memory",
		                             "ailed to map segment", "qemu_thread_create" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(v->err_text, words[i]))
			return true;
	return false;
}

static enum hv_exit how_it_ended(const struct qvm *v, int status, char *text, size_t len)
{
	static const char *const said[] = { [QVM_POWEROFF] = "the guest powered off",
		                            [QVM_REBOOT] = "the guest reboots",
		                            [QVM_PANIC] = "the guest panicked" };

	if (v->reason != QVM_LOST)
		snprintf(text, len, "%s", said[v->reason]);
	else if (lacked_memory(v))
		snprintf(text, len, "memory ran out, and QEMU gave up: %.120s", v->err_text);
	else if (WIFSIGNALED(status))
		snprintf(text, len, "QEMU died of signal %d: %.100s", WTERMSIG(status), v->err_text);
	else
		snprintf(text, len, "QEMU ended with status %d: %.100s", WEXITSTATUS(status), v->err_text);
	for (char *s = text; *s; s++)
		if (*s == '\n' || *s == '\r')
			*s = ' ';
	return v->reason == QVM_POWEROFF ? HV_EXIT_POWEROFF : v->reason == QVM_REBOOT ? HV_EXIT_REBOOT : HV_EXIT_CRASH;
}

/* It ended, or has to. @why NULL: it ended. */
static void ended(struct qvm *v, const char *why)
{
	enum qvm_state was = v->state;
	enum hv_exit how = HV_EXIT_CRASH;
	struct err e;
	char text[200];
	int status = 0;

	if (why)
		kill(v->pid, SIGKILL);
	waitpid(v->pid, &status, __WALL);
	if (v->qmp)
		(void)!qmp_read(v->qmp, NULL);
	see_events(v);
	read_err(v);
	if (why)
		snprintf(text, sizeof(text), "%s", why);
	else
		how = how_it_ended(v, status, text, sizeof(text));
	forget(v);
	if (was == QVM_BOOTING) {
		(void)err_set(&e, ENOEXEC, "%s", text);
		v->env->ready(v->env->arg, &e);
	} else if (was != QVM_NONE) {
		v->env->exited(v->env->arg, how, text);
	}
}

static void on_pid(void *arg, int fd, uint32_t ev)
{
	(void)fd, (void)ev;
	ended(arg, NULL);
}

/* Monitor ----------------------------------------------------------------------------------------------------------------- */

/* The program may have been replaced since hvdom asked it: what counts is the process. */
static int name_build(struct qvm *v, struct err *err)
{
	char now[HV_IDENTITY_MAX];
	int r = qhost_identity_of(v->env->cfg, dom_arch(v->env->cfg), v->kvm, qmp_version(v->qmp), now, err);

	if (r < 0 || !v->env->identity)
		return r;
	if (v->incoming && strcmp(now, v->env->identity) != 0) /* the other side was told so */
		return err_set(err, EXDEV, "QEMU was replaced here meanwhile: it was %s, and is %s: begin anew",
		               v->env->identity, now);
	strcpy(v->env->identity, now);
	return 0;
}

/* Its monitor says hello before the machine is made, and answers after that. 0: agreed on what a state is; -EAGAIN: not yet. */
static int set_up_monitor(struct qvm *v, struct err *err)
{
	int r = v->hello ? qmp_answer(v->qmp, err) : -EAGAIN;

	if (!v->hello && qmp_greeted(v->qmp)) {
		v->hello = true;
		r = name_build(v, err);
		r = r ?: qmp_send(v->qmp, "qmp_capabilities", NULL, -1, err);
		r = r ? r : -EAGAIN;
	}
	if (!r)
		r = qmp_call(v->qmp, "migrate-set-capabilities",
		             json_pack("{s:[{s:s, s:b}, {s:s, s:b}, {s:s, s:b}]}", "capabilities", "capability",
		                       "x-ignore-shared", "state", 1, "capability", "events", "state", 1, "capability",
		                       "late-block-activate", "state", 1), /* disks belong to the guest that runs */
		             -1, QVM_CALL_NS, err);
	if (!r)
		r = qmp_call(v->qmp, "migrate-set-parameters", json_pack("{s:I}", "max-bandwidth", (json_int_t)1 << 40),
		             -1, QVM_CALL_NS, err);
	r = r ? r : qscreen_set_up(v, err);
	v->is_set_up = !r;
	return r;
}

static void boots(struct qvm *v)
{
	struct err e;
	int r = set_up_monitor(v, &e);

	if (r == -EAGAIN)
		return;
	if (!r)
		r = qballoon_boot(v, &e);
	if (r < 0) {
		ended(v, e.text);
		return;
	}
	qballoon_watch(v);
	loop_timer_at(v->boot_timer, UINT64_MAX);
	v->state = QVM_SUSPENDED;
	v->env->ready(v->env->arg, NULL);
}

/*
 * It waits for a state, which is to be loaded while the guest stands still: what can be done before, is. An answer of
 * many small objects leaves it a heap whose pages are there (qproc.h): nobody reads it.
 */
static void waits(struct qvm *v)
{
	struct err e;
	int r = set_up_monitor(v, &e);

	if (r == -EAGAIN)
		return;
	if (!r)
		r = qmp_send(v->qmp, "qom-list-types", NULL, -1, &e);
	if (r < 0)
		ended(v, e.text); /* load() starts another, whose failure is heard */
}

static void on_qmp(void *arg, int fd, uint32_t events)
{
	struct qvm *v = arg;
	struct err e;
	int r = qmp_read(v->qmp, &e);
	(void)fd, (void)events;

	if (r == -EPIPE) { /* the process ends: on_pid() */
		loop_mod_fd(v->qmp_src, 0);
		return;
	}
	if (r < 0) {
		ended(v, e.text);
		return;
	}
	see_events(v);
	if (v->state == QVM_BOOTING) {
		boots(v);
	} else if (v->state == QVM_NONE && v->incoming && !v->is_set_up) {
		waits(v);
	} else {
		qballoon_heard(v);
		tell(v);
	}
}

/* What came while a call was waited for. */
static void on_kick(void *arg)
{
	see_events(arg);
	qballoon_look(arg);
	tell(arg);
}

int qvm_call(struct qvm *v, const char *cmd, json_t *args, int fd, uint64_t limit_ns, struct err *err)
{
	int r = qmp_call(v->qmp, cmd, args, fd, limit_ns, err);

	loop_timer_in(v->kick, 0);
	return r;
}

static void on_boot_timer(void *arg)
{
	struct qvm *v = arg;
	char text[120];

	snprintf(text, sizeof(text), "QEMU's monitor has not answered for %llu s", QVM_START_NS / NS_PER_S);
	ended(v, text);
}

int qvm_await(struct qvm *v, struct err *err)
{
	uint64_t until = now_ns() + QVM_START_NS;
	int r = 0;

	while (!v->is_set_up && (r = set_up_monitor(v, err)) == -EAGAIN) {
		r = qmp_wait(v->qmp, until, err);
		if (r < 0)
			return r;
	}
	return r;
}

/* 1: done; 0: not yet. */
static int migrated(struct qvm *v, struct err *err)
{
	int r = 0;
	json_t *e;

	while (!r && (e = qmp_event(v->qmp))) {
		const char *name = json_string_value(json_object_get(e, "event"));
		const char *status = json_string_value(json_object_get(json_object_get(e, "data"), "status"));
		if (!strcmp(name, "MIGRATION") && status && !strcmp(status, "completed"))
			r = 1;
		else if (!strcmp(name, "MIGRATION") && status && !strcmp(status, "failed"))
			r = err_set(err, EINVAL, "QEMU cannot read or write the guest's state");
		json_decref(e);
	}
	return r;
}

int qvm_migrate(struct qvm *v, const char *cmd, int fd, struct err *err)
{
	uint64_t until = now_ns() + QVM_CALL_NS;

	see_events(v); /* those of before */
	int r = qmp_call(v->qmp, "getfd", json_pack("{s:s}", "fdname", "state"), fd, QVM_CALL_NS, err);
	if (!r)
		r = qmp_call(v->qmp, cmd, json_pack("{s:s}", "uri", "fd:state"), -1, QVM_CALL_NS, err);
	while (!r) {
		r = migrated(v, err);
		if (!r)
			r = qmp_wait(v->qmp, until, err);
	}
	read_err(v);
	if (r == -EPIPE && lacked_memory(v)) {
		r = err_set(err, ENOMEM, "memory ran out, and QEMU gave up: %.200s", v->err_text);
		if (err)
			text_tidy(err->text);
	}
	return r < 0 ? r : 0;
}

/* Start ------------------------------------------------------------------------------------------------------------------- */

struct pairs {
	int ours[3 + DOM_CONSOLES_MAX + 2],
		theirs[3 + DOM_CONSOLES_MAX + 2]; /* monitor, serial line, standard error, consoles */
	size_t n;
	int nic[DOM_NICS_MAX][2];      /* ours and theirs of those that are not virtio, else -1 */
	int listen[QARGS_SOCKETS_MAX]; /* of the devices without a place, then of all places; -1: nobody's */
	size_t n_listen;
};

/* Is device @i a NIC that QEMU has itself? */
static bool is_card(const struct dom_config *cfg, size_t i)
{
	return i >= cfg->n_disks && i < cfg->n_disks + cfg->n_nics && !dom_nic_is_virtio(&cfg->nic[i - cfg->n_disks]);
}

static bool is_listened_to(const struct dom_config *cfg, size_t i)
{
	return i >= qargs_socket(1) || (i < cfg->n_disks + cfg->n_nics && !qargs_place(cfg, i) && !is_card(cfg, i));
}

static int make_pairs(struct pairs *p, const struct dom_config *cfg, struct err *err)
{
	size_t n = 3 + cfg->n_consoles + 1 + cfg->guest_agent;
	int sv[2];

	memset(p->nic, 0xff, sizeof(p->nic));
	for (size_t i = 0; i < cfg->n_nics; i++) {
		int r = dom_nic_is_virtio(&cfg->nic[i]) ? 0 : enic_pair(p->nic[i], err);
		if (r < 0)
			return r;
	}
	for (; p->n < n; p->n++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
			return err_sys(err, errno, "cannot make QEMU's sockets");
		p->ours[p->n] = sv[0];
		p->theirs[p->n] = sv[1];
	}
	size_t n_listen = cfg->hvm.places ? qargs_socket(cfg->hvm.places) + 1 : cfg->n_disks + cfg->n_nics;
	for (; p->n_listen < n_listen; p->n_listen++) {
		bool wanted = is_listened_to(cfg, p->n_listen);

		p->listen[p->n_listen] = wanted ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
		if (wanted && p->listen[p->n_listen] < 0)
			return err_sys(err, errno, "cannot make QEMU's sockets");
	}
	return 0;
}

int qvm_firmware(const struct dom_config *cfg, struct firmware *ret, char **ret_code, uint64_t ret_base[2],
                 struct err *err)
{
	_cleanup_firmware_ struct firmware fw = { 0 };
	_cleanup_free_ char *code = NULL;
	size_t len = 0;
	int r = firmware_find(cfg, &fw, err);

	if (r < 0)
		return r;
	r = file_read(fw.code, fw.code_bytes, &code, &len);
	if (r < 0 || len != fw.code_bytes)
		return err_sys(err, r < 0 ? -r : EIO, "cannot read the loader %s", fw.code);
	qstate_base(code, len, ret_base);
	*ret = fw;
	fw = (struct firmware){ 0 };
	*ret_code = steal_ptr(&code);
	return 0;
}

/* The firmware's code in a sealed memory file of its own: @q gets that, which the caller closes. */
static int hold_firmware(struct qvm *v, struct qargs *q, struct err *err)
{
	_cleanup_firmware_ struct firmware fw = { 0 };
	_cleanup_free_ char *code = NULL;

	q->code = -1;
	q->vars = devs_flash_fd(v->env->devs);
	if (q->vars < 0)
		return 0;
	int r = qvm_firmware(v->env->cfg, &fw, &code, v->base, err);
	if (r < 0)
		return r;
	v->base_bytes = fw.code_bytes;
	_cleanup_close_ int fd = memfd_create("firmware", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	r = fd < 0 ? -errno : write_full(fd, code, fw.code_bytes);
	if (!r && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r < 0)
		return err_sys(err, -r, "cannot hold the firmware");
	close_fd(&v->code);
	v->code = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (v->code < 0)
		return err_sys(err, errno, "cannot hold the firmware");
	q->smm = fw.smm;
	q->code = steal_fd(&fd);
	return 0;
}

static int execute(struct qvm *v, const struct pairs *p, struct err *err)
{
	const struct dom_config *cfg = v->env->cfg;
	int pass[5 + DOM_CONSOLES_MAX + 2 + DOM_NICS_MAX];
	struct qargs a = { .cfg = cfg,
		           .program = qhost_program(dom_arch(cfg)),
		           .kvm = v->kvm,
		           .incoming = v->incoming,
		           .generation = v->env->generation,
		           .mem = v->env->mem->fd,
		           .qmp = p->theirs[0],
		           .serial = p->theirs[1] };
	struct qproc_cfg c = { .kernel = cfg->kernel,
		               .initrd = cfg->initrd,
		               .kvm = v->kvm,
		               .keep_heap = v->incoming,
		               .uid = v->env->uid,
		               .gid = v->env->gid,
		               .pass = pass,
		               .listen = p->listen,
		               .n_listen = p->n_listen,
		               .err = p->theirs[2] };
	char **argv;
	time_t now = time(NULL);
	struct tm tm;

	a.utc_s = now;
	a.local_s = localtime_r(&now, &tm) ? (int32_t)tm.tm_gmtoff : 0;
	pass[c.n_pass++] = a.mem;
	for (size_t i = 0; i < p->n; i++)
		if (i != 2)
			pass[c.n_pass++] = p->theirs[i];
	for (size_t i = 0; i < cfg->n_nics; i++) {
		a.nic[i] = p->nic[i][1];
		if (a.nic[i] >= 0)
			pass[c.n_pass++] = a.nic[i];
	}
	for (size_t i = 0; i < cfg->n_disks; i++)
		a.sectors[i] = devs_disk_sectors(v->env->devs, i);
	memcpy(a.console, p->theirs + 3, (p->n - 3) * sizeof(int));
	int r = hold_firmware(v, &a, err);
	_cleanup_close_ int code = a.code;
	if (code >= 0) {
		pass[c.n_pass++] = code;
		pass[c.n_pass++] = a.vars;
	}
	if (!r)
		r = qargs_build(&a, &argv, err);
	if (r < 0)
		return r;
	c.argv = argv;
	r = qproc_start(&c, &v->pid, &v->pidfd, err);
	qargs_free(argv);
	return r;
}

/* Is device @i a disk on a controller of QEMU's? */
static bool is_nbd(const struct qvm *v, size_t i)
{
	const struct dom_config *cfg = v->env->cfg;

	return i < cfg->n_disks && !dom_disk_is_virtio(&cfg->disk[i]);
}

static int connect_device(struct qvm *v, size_t i, struct pairs *p, struct err *err)
{
	const struct dom_config *cfg = v->env->cfg;
	unsigned place = qargs_place(cfg, i);

	if (is_card(cfg, i)) {
		int *pair = p->nic[i - cfg->n_disks];
		return enic_connect(v->env->devs, i, steal_fd(&pair[0]), steal_fd(&pair[1]), err);
	}
	return place ? qplug_serve(v, i, place, err)
	             : (is_nbd(v, i) ? nblk_listen : vudev_listen)(v->env->devs, i, steal_fd(&p->listen[i]), err);
}

/* All of @p that has a new owner becomes -1. */
static int connect_all(struct qvm *v, struct pairs *p, struct err *err)
{
	struct loop *l = v->env->loop;
	int r = 0;

	v->qmp = qmp_new(steal_fd(&p->ours[0]));
	v->serial = steal_fd(&p->ours[1]);
	v->err = steal_fd(&p->ours[2]);
	if (v->qmp)
		v->qmp_src = loop_add_fd(l, qmp_fd(v->qmp), EPOLLIN, on_qmp, v);
	v->serial_src = loop_add_fd(l, v->serial, EPOLLIN, on_serial, v);
	v->err_src = loop_add_fd(l, v->err, EPOLLIN, on_err, v);
	v->pid_src = loop_add_fd(l, v->pidfd, EPOLLIN, on_pid, v);
	if (!v->qmp || !v->qmp_src || !v->serial_src || !v->err_src || !v->pid_src)
		return err_set(err, ENOMEM, "out of memory");
	for (unsigned i = 1; i <= v->env->cfg->hvm.places; i++)
		v->place_fd[i - 1] = steal_fd(&p->listen[qargs_socket(i)]);
	for (size_t i = 0; i < v->env->cfg->n_disks + v->env->cfg->n_nics && !r; i++)
		r = connect_device(v, i, p, err);
	for (size_t i = 3; i < p->n && !r; i++)
		r = devs_console_line(v->env->devs, (unsigned)i - 3, steal_fd(&p->ours[i]), err);
	return r;
}

int qvm_spawn(struct qvm *v, bool incoming, struct err *err)
{
	struct pairs p = { 0 };
	int r = make_pairs(&p, v->env->cfg, err);

	v->incoming = incoming;
	v->hello = v->is_set_up = false;
	v->reason = QVM_LOST;
	v->watchdog_ran_out = false;
	v->err_len = 0;
	v->err_text[0] = 0;
	if (!r)
		r = execute(v, &p, err);
	close_all(p.theirs, p.n);
	if (!r) {
		v->env->process(v->env->arg, v->pid);
		r = connect_all(v, &p, err);
	}
	close_all(p.ours, p.n);
	close_all(p.nic[0], 2 * DOM_NICS_MAX);
	close_all(p.listen, p.n_listen);
	if (r < 0)
		qvm_kill(v);
	else if (!incoming)
		loop_timer_in(v->boot_timer, QVM_START_NS);
	return r;
}

int qvm_timers(struct qvm *v, struct err *err)
{
	v->boot_timer = loop_add_timer(v->env->loop, on_boot_timer, v);
	v->kick = loop_add_timer(v->env->loop, on_kick, v);
	v->ask = loop_add_timer(v->env->loop, qballoon_ask, v);
	return v->boot_timer && v->kick && v->ask ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* What it uses ------------------------------------------------------------------------------------------------------------ */

/* Of all its threads: time on a processor, and time that they waited for one. */
static void thread_times(pid_t pid, uint64_t *run, uint64_t *waited)
{
	char path[300];
	struct dirent *e;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *d = opendir(path);
	while (d && (e = readdir(d))) {
		_cleanup_free_ char *text = NULL;
		unsigned long long r = 0, w = 0;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
		if (e->d_name[0] != '.' && file_read(path, 256, &text, NULL) == 0 &&
		    sscanf(text, "%llu %llu", &r, &w) == 2) {
			*run += r;
			*waited += w;
		}
	}
	if (d)
		closedir(d);
}

void qvm_stats(const struct qvm *v, struct hv_stats *st)
{
	_cleanup_free_ char *text = NULL;
	uint64_t waited = 0;
	char path[64], *p;

	if (!v->pid)
		return;
	st->mem_at_s = v->mem_at_s;
	memcpy(st->mem, v->mem, sizeof(st->mem));
	thread_times(v->pid, &st->cpu_ns, &waited);
	snprintf(path, sizeof(path), "/proc/%d/status", v->pid);
	if (file_read(path, 65536, &text, NULL) == 0 && (p = strstr(text, "RssAnon:")))
		st->hv_rss_bytes += strtoull(p + 8, NULL, 10) * 1024;
}

void qvm_look(const struct qvm *v, struct hv_look *ret)
{
	static const char *const names[] = { "no guest", "QEMU starts", "QEMU, its machine stopped",
		                             "QEMU, its machine running" };

	*ret = (struct hv_look){ 0 };
	if (!v->pid)
		return;
	thread_times(v->pid, &ret->cpu_ns, &ret->waited_ns);
	snprintf(ret->text, sizeof(ret->text), "%s (process %d)", names[v->state], v->pid);
}
