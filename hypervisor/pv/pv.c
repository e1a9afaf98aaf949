/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Engine pv: user-mode Linux kernels. Boot runs the kernel as it is until its first user process; then the guest is frozen,
 * dumped and rebuilt under the tight filter in memory that hvdom owns, and only such rebuilt guests run on. Main thread only.
 * Parts: sandbox.h, freeze.h, dump.h, restore.h, track.h.
 */
#include "config.h"
#include "hypervisor/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "common/util.h"
#include "hypervisor/dev/vudev.h"
#include "hypervisor/pv/kernelfile.h"
#include "hypervisor/pv/lacks.h"
#include "hypervisor/pv/look.h"
#include "hypervisor/pv/restore.h"
#include "hypervisor/pv/track.h"

#define BOOT_POLL_NS  (2 * NS_PER_MS)
#define BOOT_LIMIT_NS (120 * NS_PER_S)
#define WIRE_LIMIT_NS (5 * NS_PER_S) /* a process lives so long and devices are missing: it has no driver for them */

struct pv_vm {
	const struct hv_engine_env *env;
	struct pv_files files;
	struct pv_sandbox box;
	pid_t k; /* 0: no guest */
	int k_pidfd;
	int con, err; /* our ends of K's sockets */
	struct loop_fd *con_src, *err_src, *box_src, *k_src;
	struct loop_timer *boot_timer;
	uint64_t boot_since_ns, process_since_ns; /* 0: it has no process */
	bool booting;                             /* not yet rebuilt under the filter */
	uint64_t con_inode, err_inode;            /* of K's ends, until learned */
	struct pv_fds fds;
	struct pv_helpers helpers;
	bool helpers_known;
	uint64_t mem_inode;
	int64_t mono_offset_ns;
	struct pv_frozen frozen;
	bool dev_kick; /* next resume: rebuilt, so the kernel must look at everything again */
	struct pv_track_guest track;
	struct logdirty *logdirty;
	char err_text[512]; /* end of what K said on stderr */
	size_t err_len;
};

/* Output of K --------------------------------------------------------------------------------------------------------- */

static void read_con(struct pv_vm *v)
{
	char buf[8192];

	for (int i = 0; i < 16 && v->con >= 0; i++) {
		ssize_t n = recv(v->con, buf, sizeof(buf), MSG_DONTWAIT);
		if (n <= 0) {
			if (n == 0 && v->con_src)
				loop_mod_fd(v->con_src, 0);
			return;
		}
		v->env->output(v->env->arg, buf, (size_t)n);
	}
}

static void read_err(struct pv_vm *v)
{
	char buf[512];
	ssize_t n = -1;

	while (v->err >= 0 && (n = recv(v->err, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		v->env->output(v->env->arg, buf, (size_t)n);
		size_t keep = sizeof(v->err_text) - 1;
		if ((size_t)n + v->err_len > keep) {
			size_t drop = (size_t)n + v->err_len - keep;
			drop = drop > v->err_len ? v->err_len : drop;
			memmove(v->err_text, v->err_text + drop, v->err_len - drop);
			v->err_len -= drop;
		}
		memcpy(v->err_text + v->err_len, buf, (size_t)n);
		v->err_len += (size_t)n;
		v->err_text[v->err_len] = 0;
	}
	if (v->err >= 0 && n == 0 && v->err_src)
		loop_mod_fd(v->err_src, 0);
}

static void on_con(void *arg, int fd, uint32_t ev)
{
	(void)fd;
	(void)ev;
	read_con(arg);
}

static void on_err(void *arg, int fd, uint32_t ev)
{
	(void)fd;
	(void)ev;
	read_err(arg);
}

static void drop_sockets(struct pv_vm *v)
{
	loop_del_fd(v->con_src);
	loop_del_fd(v->err_src);
	v->con_src = v->err_src = NULL;
	if (v->con >= 0)
		close(v->con);
	if (v->err >= 0)
		close(v->err);
	v->con = v->err = -1;
}

static int take_sockets(struct pv_vm *v, int con, int errfd, struct err *err)
{
	drop_sockets(v);
	v->con = con;
	v->err = errfd;
	v->con_src = loop_add_fd(v->env->loop, con, EPOLLIN, on_con, v);
	v->err_src = loop_add_fd(v->env->loop, errfd, EPOLLIN, on_err, v);
	return v->con_src && v->err_src ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* The holder reports the end of K, but cannot while K is traced: then we are the ones who see it, and have to let it go. */
static void on_k(void *arg, int fd, uint32_t ev)
{
	struct pv_vm *v = arg;

	(void)fd;
	(void)ev;
	loop_del_fd(v->k_src);
	v->k_src = NULL;
	pv_frozen_kill(&v->frozen);
	(void)!waitpid(v->k, NULL, __WALL | WNOHANG); /* it died as it was let go: ours still */
}

static int watch_k(struct pv_vm *v, struct err *err)
{
	v->k_src = loop_add_fd(v->env->loop, v->k_pidfd, EPOLLIN, on_k, v);
	return v->k_src ? 0 : err_set(err, ENOMEM, "out of memory");
}

static void forget_k(struct pv_vm *v)
{
	loop_del_fd(v->k_src);
	v->k_src = NULL;
	if (v->k_pidfd >= 0)
		close(v->k_pidfd);
	v->k_pidfd = -1;
	v->k = 0;
}

static void forget_guest(struct pv_vm *v)
{
	logdirty_free(v->logdirty);
	v->logdirty = NULL;
	loop_timer_at(v->boot_timer, UINT64_MAX);
	read_con(v);
	read_err(v);
	drop_sockets(v);
	forget_k(v);
	v->booting = false;
	v->helpers_known = false;
}

static void pv_kill(void *vm)
{
	struct pv_vm *v = vm;

	v->k = 0; /* its end is no news */
	pv_frozen_kill(&v->frozen);
	if (v->box.holder > 0 && pv_sandbox_clear(&v->box, NULL)) {
		loop_del_fd(v->box_src);
		v->box_src = NULL;
		pv_sandbox_done(&v->box); /* it does not answer: end it whole */
	}
	forget_guest(v);
}

/* @r, with nothing left where it is a failure. */
static int or_end(struct pv_vm *v, int r)
{
	if (r < 0)
		pv_kill(v);
	return r;
}

static enum hv_exit how_it_ended(const struct pv_vm *v, int status, char *text, size_t len)
{
	if (WIFEXITED(status) && strstr(v->err_text, "Failed to exec kernel")) {
		/* its way to reboot is to execute itself, which the filter refuses */
		snprintf(text, len, "the guest reboots");
		return HV_EXIT_REBOOT;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		snprintf(text, len, "the guest powered off");
		return HV_EXIT_POWEROFF;
	}
	if (WIFSIGNALED(status))
		snprintf(text, len, "the guest kernel died of signal %d%s", WTERMSIG(status),
		         WTERMSIG(status) == SIGSYS    ? " (a system call that its filter forbids)"
		         : WTERMSIG(status) == SIGABRT ? " (panic)"
		                                       : "");
	else
		snprintf(text, len, "the guest kernel ended with status %d", WEXITSTATUS(status));
	return HV_EXIT_CRASH;
}

static void on_box(void *arg, int fd, uint32_t ev)
{
	struct pv_vm *v = arg;
	int status = 0;
	(void)fd;
	(void)ev;
	int r = pv_sandbox_read_exit(&v->box, &status);

	if (r == -EAGAIN || (!r && !v->k))
		return;
	bool was_booting = v->booting, was = v->k != 0;
	pv_frozen_kill(&v->frozen); /* of a sandbox that was killed: it ends only after what is traced in it */
	forget_guest(v);
	if (r < 0) {
		loop_del_fd(v->box_src);
		v->box_src = NULL;
	}
	char text[160] = "the guest's sandbox was killed";
	enum hv_exit how = r ? HV_EXIT_CRASH : how_it_ended(v, status, text, sizeof(text));
	if (was_booting) {
		struct err e;
		err_set(&e, ENOEXEC, "%s during its boot (wait status 0x%x): %.300s",
		        r ? text : "the guest kernel ended", status,
		        v->err_len ? v->err_text : "see the boot console's log");
		v->env->ready(v->env->arg, &e);
	} else if (was) {
		v->env->exited(v->env->arg, how, text);
	}
}

/* Boot ---------------------------------------------------------------------------------------------------------------- */

/* Copy the pages of @from that have data into the domain's memory. */
static int copy_memory(int from, struct guestmem *m, struct err *err)
{
	off_t at = 0, end = (off_t)m->size;

	while (at < end) {
		off_t d = lseek(from, at, SEEK_DATA);
		if (d < 0)
			return errno == ENXIO ? 0 : err_sys(err, errno, "cannot read the new guest's memory");
		off_t h = lseek(from, d, SEEK_HOLE);
		for (at = d; at < h && at < end;) {
			size_t n = (size_t)((h < end ? h : end) - at);
			if (n > 1 << 20)
				n = 1 << 20;
			ssize_t got = pread(from, m->base + at, n, at);
			if (got <= 0)
				return err_sys(err, got < 0 ? errno : EIO, "cannot read the new guest's memory");
			at += got;
		}
	}
	return 0;
}

static void fill_ctx(struct pv_vm *v, struct pv_dump_ctx *c)
{
	*c = (struct pv_dump_ctx){ .k_pidfd = v->k_pidfd,
		                   .pidns_fd = -1,
		                   .fds = &v->fds,
		                   .file = v->files.file,
		                   .n_files = v->files.n,
		                   .mem_inode = v->mem_inode,
		                   .mem_bytes = v->env->mem->size,
		                   .segv_handler = v->files.segv_handler,
		                   .mono_offset_ns = v->mono_offset_ns };
}

/* Build the guest of @im; the devices keep their state and get new sockets. Ends suspended. */
static int rebuild(struct pv_vm *v, const struct pv_image *im, bool gap, struct err *err)
{
	struct pv_restored o;
	struct stat st;
	int r = pv_restore(&v->box, im, v->env->mem->fd, v->files.fd, gap, v->env->cpu, &o, &v->frozen, err);

	if (r < 0)
		return r;
	v->k = o.k;
	v->k_pidfd = o.k_pidfd;
	r = watch_k(v, err);
	v->fds = o.fds;
	v->helpers = o.helpers;
	v->helpers_known = true;
	v->mono_offset_ns = o.mono_offset_ns;
	fstat(v->env->mem->fd, &st);
	v->mem_inode = st.st_ino;
	v->dev_kick = true;
	if (o.con >= 0 && o.err >= 0) {
		int e = take_sockets(v, o.con, o.err, r ? NULL : err);
		r = r ? r : e;
	} else {
		r = err_set(err, EINVAL, "the guest's state has no console");
		close(o.con >= 0 ? o.con : o.err);
	}
	for (size_t i = 0; i < devs_count(v->env->devs); i++) {
		if (!r && (o.vsock[i] < 0 || o.vreq[i] < 0))
			r = err_set(err, EINVAL, "the guest's state has no connection for device %s",
			            devs_name(v->env->devs, i));
		if (!r) {
			r = vudev_pair(v->env->devs, i, o.vsock[i], o.vreq[i], err);
		} else {
			close(o.vsock[i]);
			close(o.vreq[i]);
		}
	}
	return or_end(v, r);
}

/* The guest runs its first process: take it apart and put it together again, under the filter and in our own memory. */
static int harden(struct pv_vm *v, struct err *err)
{
	struct pv_dump_ctx c;
	struct pv_image im;
	int mem_fd = -1;
	struct devs *d = v->env->devs;

	int r = pv_freeze(v->k, PV_FREEZE_USER, 5000, NULL, &v->frozen, err);
	if (r < 0)
		return r;
	read_con(v);
	read_err(v);
	r = pv_fds_learn(&v->fds, &v->frozen, v->k_pidfd, v->con_inode, v->err_inode, &v->mem_inode, &mem_fd, d, err);
	_cleanup_close_ int own_mem = mem_fd;
	if (!r)
		r = devs_quiesce(d, err);
	fill_ctx(v, &c);
	if (!r)
		r = pv_dump(&c, &v->frozen, &im, err);
	if (r < 0)
		return r;
	r = copy_memory(own_mem, v->env->mem, err);
	v->k = 0; /* its end is no news */
	pv_frozen_kill(&v->frozen);
	int e = pv_sandbox_clear(&v->box, r ? NULL : err);
	if (!r)
		r = e;
	forget_k(v);
	if (!r) {
		devs_set_mem(d, v->env->mem);
		r = rebuild(v, &im, false, err);
	}
	pv_image_done(&im);
	return r;
}

/* It has a process, and all devices are connected: the kernel may run a helper before it has looked for them. */
static bool ready_to_harden(struct pv_vm *v)
{
	if (!pv_has_process(v->k)) {
		v->process_since_ns = 0;
		return false;
	}
	if (!v->process_since_ns)
		v->process_since_ns = now_ns();
	return !v->env->devs || vudev_all_wired(v->env->devs) || now_ns() - v->process_since_ns > WIRE_LIMIT_NS;
}

static void on_boot_timer(void *arg)
{
	struct pv_vm *v = arg;
	struct err e;
	int r;

	if (!v->booting)
		return;
	bool late = now_ns() - v->boot_since_ns >= BOOT_LIMIT_NS;
	if (ready_to_harden(v))
		r = harden(v, &e);
	else
		r = err_set(&e, ETIMEDOUT,
		            "the guest kernel did not start its first process in %llu s; see the boot console's log",
		            (unsigned long long)(BOOT_LIMIT_NS / NS_PER_S));
	/* a guest that gets little of a processor comes to a safe point later */
	if (r == -ETIMEDOUT && !v->frozen.active && !late) {
		loop_timer_in(v->boot_timer, BOOT_POLL_NS);
		return;
	}
	v->booting = false;
	v->env->ready(v->env->arg, or_end(v, r) ? &e : NULL);
}

static int make_argv(struct pv_vm *v, char **argv, size_t max, struct err *err)
{
	const struct dom_config *c = v->env->cfg;
	size_t n = 0;

	argv[n++] = strdup("linux");
	argv[n++] = xasprintf("mem=%luK", (unsigned long)(c->memory_bytes / 1024));
	if (c->initrd)
		argv[n++] = xasprintf("initrd=%s", c->initrd);
	argv[n++] = strdup("con=null");
	argv[n++] = strdup("ssl=null");
	argv[n++] = strdup("con0=fd:0,fd:1");
	/* it makes a process for each of 512 terminals that nobody uses, to run a /sbin/hotplug; a later word of the user's counts */
	argv[n++] = strdup("pty.legacy_count=0");
	argv[n++] = xasprintf("hospes.agent=hvc%u", devs_agent_console(c));
	argv[n++] = xasprintf("hospes.generation=%lu", (unsigned long)v->env->generation);
	for (size_t i = 0; i < devs_count(v->env->devs); i++)
		argv[n++] = xasprintf("virtio_uml.device=/v/%zu:%u:%zu", i, devs_virtio_id(v->env->devs, i), i);
	/* the user's words, split at blanks as a boot loader would */
	_cleanup_free_ char *words = c->cmdline ? strdup(c->cmdline) : NULL;
	char *save = NULL;
	for (char *w = words ? strtok_r(words, " \t\n", &save) : NULL; w; w = strtok_r(NULL, " \t\n", &save)) {
		if (n + 1 >= max)
			return err_set(err, E2BIG, "the kernel command line has too many words");
		argv[n++] = strdup(w);
	}
	argv[n] = NULL;
	return 0;
}

static int pv_boot(void *vm, struct err *err)
{
	struct pv_vm *v = vm;
	char *argv[200] = { NULL };
	int con[2] = { -1, -1 }, er[2] = { -1, -1 }, listen_fd[HV_DEVS_MAX];
	unsigned n_devs = (unsigned)devs_count(v->env->devs);
	struct stat a, b;

	if (v->k)
		return err_set(err, EEXIST, "there is a guest already");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, con) < 0)
		return err_sys(err, errno, "cannot make the boot console");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, er) < 0) {
		int e = err_sys(err, errno, "cannot make the boot console");
		close(con[0]);
		close(con[1]);
		return e;
	}
	_cleanup_close_ int con_k = con[1], err_k = er[1];
	fstat(con_k, &a);
	fstat(err_k, &b);
	v->con_inode = a.st_ino;
	v->err_inode = b.st_ino;
	v->err_len = 0;
	v->err_text[0] = 0;
	v->mono_offset_ns = 0;
	int r = take_sockets(v, con[0], er[0], err);
	if (!r)
		r = make_argv(v, argv, ARRAY_SIZE(argv), err);
	if (!r)
		r = pv_sandbox_boot(&v->box, argv, con_k, err_k, 0, &v->k, &v->k_pidfd, listen_fd, n_devs, err);
	for (size_t i = 0; argv[i]; i++)
		free(argv[i]);
	if (r < 0)
		return or_end(v, r);
	r = watch_k(v, err);
	for (unsigned i = 0; i < n_devs; i++) {
		if (!r)
			r = vudev_listen(v->env->devs, i, listen_fd[i], err);
		else
			close(listen_fd[i]);
	}
	if (r < 0)
		return or_end(v, r);
	v->booting = true;
	v->boot_since_ns = now_ns();
	v->process_since_ns = 0;
	loop_timer_in(v->boot_timer, BOOT_POLL_NS);
	return 0;
}

/* Life ---------------------------------------------------------------------------------------------------------------- */

/* What it needs of any host. */
static int host_probe(struct err *err)
{
	static const struct {
		const char *path, *bad, *why;
	} c[] = {
		{ "/proc/sys/user/max_user_namespaces", "0\n",
		  "user namespaces are switched off (sysctl user.max_user_namespaces)" },
		{ "/proc/sys/kernel/yama/ptrace_scope", "3\n",
		  "processes cannot be traced until the next boot (sysctl kernel.yama.ptrace_scope is 3)" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		_cleanup_free_ char *text = NULL;

		if (file_read(c[i].path, 64, &text, NULL) == 0 && !strcmp(text, c[i].bad))
			return err_set(err, ENOTSUP, "%s, which user-mode guests need", c[i].why);
	}
	return 0;
}

static int pv_probe(const struct dom_config *cfg, struct err *err)
{
	int r = host_probe(err);

	if (r < 0 || !cfg)
		return r;
	if (access(cfg->kernel, R_OK | X_OK) < 0)
		return err_sys(err, errno,
		               "cannot execute kernel %s (install the package user-mode-linux, or mend <kernel>)",
		               cfg->kernel);
	if (cfg->initrd && access(cfg->initrd, R_OK) < 0)
		return err_sys(err, errno, "cannot read initrd %s", cfg->initrd);
	return 0;
}

/* Nothing depends on the host that a preflight does not look at. */
static int pv_pin(struct dom_config *cfg, const uint64_t baseline[CPU_FEATURE_WORDS], struct err *err)
{
	(void)cfg, (void)baseline, (void)err;
	return 0;
}

static int pv_identity(const struct dom_config *cfg, char out[HV_IDENTITY_MAX], struct err *err)
{
	struct pv_files f;

	if (!cfg) { /* each guest brings its kernel */
		out[0] = 0;
		return 0;
	}
	int r = pv_files_open(&f, cfg->kernel, err);
	if (r < 0)
		return r;
	pv_files_id(&f, out);
	pv_files_done(&f);
	return 0;
}

/* A user-mode kernel takes an address for an offset in its memory file. */
static unsigned pv_regions(const struct dom_config *cfg, struct guestmem_region ret[GUESTMEM_REGIONS_MAX])
{
	ret[0] = (struct guestmem_region){ .bytes = cfg->memory_bytes };
	return 1;
}

static void pv_close(void *vm)
{
	struct pv_vm *v = vm;

	if (!v)
		return;
	v->k = 0;
	pv_frozen_kill(&v->frozen);
	loop_del_fd(v->box_src);
	if (v->boot_timer)
		forget_guest(v);
	loop_del_timer(v->boot_timer);
	pv_sandbox_done(&v->box);
	pv_files_done(&v->files);
	free(v);
}

static int pv_open(const struct hv_engine_env *env, void **ret_vm, struct err *err)
{
	struct pv_vm *v = calloc(1, sizeof(*v));
	struct rlimit nofile = { 8192, 8192 };

	if (!v)
		return err_set(err, ENOMEM, "out of memory");
	v->env = env;
	v->k_pidfd = v->con = v->err = v->box.sock = v->box.holder_pidfd = -1;
	setrlimit(RLIMIT_NOFILE, &nofile);
	int r = pv_files_open(&v->files, env->cfg->kernel, err);
	if (!r) {
		struct pv_sandbox_cfg sc = { .kernel = env->cfg->kernel,
			                     .initrd = env->cfg->initrd,
			                     .ram_bytes = env->cfg->memory_bytes,
			                     .n_devs = (unsigned)devs_count(env->devs),
			                     .uid = env->uid,
			                     .gid = env->gid,
			                     .cpu = env->cpu };
		r = pv_sandbox_new(&v->box, &sc, err);
		if (!r)
			env->process(env->arg, v->box.holder);
	}
	if (!r) {
		v->boot_timer = loop_add_timer(env->loop, on_boot_timer, v);
		v->box_src = loop_add_fd(env->loop, v->box.sock, EPOLLIN, on_box, v);
		if (!v->boot_timer || !v->box_src)
			r = err_set(err, ENOMEM, "out of memory");
	}
	if (r < 0) {
		pv_close(v);
		return r;
	}
	*ret_vm = v;
	return 0;
}

static int need_guest(const struct pv_vm *v, struct err *err)
{
	if (!v->k)
		return err_set(err, ESRCH, "there is no guest");
	return v->booting ? err_set(err, EBUSY, "the guest is still booting") : 0;
}

static int pv_suspend(void *vm, unsigned timeout_ms, struct err *err)
{
	struct pv_vm *v = vm;

	int r = need_guest(v, err);

	if (r < 0 || v->frozen.active)
		return r;
	return pv_freeze(v->k, 0, timeout_ms, v->helpers_known ? &v->helpers : NULL, &v->frozen, err);
}

static int pv_resume(void *vm, struct err *err)
{
	struct pv_vm *v = vm;

	pid_t k = v->k;
	int r = need_guest(v, err);

	if (r < 0)
		return r;
	pv_thaw(&v->frozen);
	if (v->dev_kick) {
		/* one spurious tick and one spurious I/O interrupt: the guest re-arms its timer and looks at every descriptor */
		v->dev_kick = false;
		kill(k, SIGALRM);
		kill(k, SIGIO);
	}
	return 0;
}

static int pv_save(void *vm, const uint64_t base[2], struct buf *out, struct err *err)
{
	(void)base;
	struct pv_vm *v = vm;
	struct pv_dump_ctx c;
	struct pv_image im;

	int r = need_guest(v, err);
	if (!r && !v->frozen.active)
		r = err_set(err, EBUSY, "the guest must be suspended before its state is read");
	if (r < 0)
		return r;
	read_con(v);
	fill_ctx(v, &c);
	r = pv_dump(&c, &v->frozen, &im, err);
	if (r < 0)
		return r;
	r = pv_image_encode(&im, out, err);
	pv_image_done(&im);
	return r;
}

static int pv_load(void *vm, struct rd *in, struct err *err)
{
	struct pv_vm *v = vm;
	struct pv_image im;

	if (v->k)
		return err_set(err, EEXIST, "there is a guest already");
	int r = pv_image_decode(&im, in, v->env->mem->size, (uint32_t)devs_count(v->env->devs), err);

	if (r < 0)
		return r;
	r = pv_files_match(&v->files, &im, err);
	if (!r)
		r = rebuild(v, &im, true, err);
	pv_image_done(&im);
	return r;
}

/* Log-dirty ----------------------------------------------------------------------------------------------------------- */

static int pv_logdirty_start(void *vm, uint32_t mode, bool audit, uint32_t *ret_mode, struct err *err)
{
	struct pv_vm *v = vm;
	bool was_frozen = v->frozen.active;
	struct logdirty_cfg c = { .mode = mode, .audit = audit, .trackers = pv_trackers, .arg = &v->track };

	if (v->logdirty)
		return err_set(err, EALREADY, "log-dirty is on already");
	int r = pv_suspend(v, 5000, err);
	if (r < 0)
		return r;
	v->track = (struct pv_track_guest){ .f = &v->frozen, .k_pidfd = v->k_pidfd, .mem_inode = v->mem_inode };
	r = logdirty_new(&c, v->env->mem, &v->logdirty, ret_mode, err);
	if (!was_frozen)
		(void)pv_resume(v, NULL); /* it is there */
	return r;
}

static uint32_t pv_logdirty_method(void *vm)
{
	struct pv_vm *v = vm;
	struct logdirty_cfg c = { .trackers = pv_trackers };

	return v->logdirty ? logdirty_method(v->logdirty) : logdirty_would(&c, v->env->mem);
}

static int pv_logdirty_get(void *vm, bool clean, uint64_t *bitmap, uint64_t *ret_dirty, struct err *err)
{
	struct pv_vm *v = vm;

	if (!v->logdirty)
		return err_set(err, EINVAL, "log-dirty is off");
	return logdirty_collect(v->logdirty, v->frozen.active, clean, bitmap, ret_dirty, err);
}

static int pv_logdirty_check(void *vm, uint64_t *bitmap, uint64_t *ret_missed, struct err *err)
{
	struct pv_vm *v = vm;

	if (!v->logdirty || !v->frozen.active)
		return err_set(err, EINVAL, "an audit needs log-dirty on and the guest suspended");
	return logdirty_audit(v->logdirty, bitmap, ret_missed, err);
}

static void pv_logdirty_stop(void *vm)
{
	struct pv_vm *v = vm;

	logdirty_free(v->logdirty);
	v->logdirty = NULL;
}

/* The rest ------------------------------------------------------------------------------------------------------------ */

static void pv_input(void *vm, const void *p, size_t len)
{
	struct pv_vm *v = vm;

	if (v->con >= 0 && send(v->con, p, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return; /* a console that does not read loses input, as a serial line does */
}

static void pv_stats(void *vm, struct hv_stats *st)
{
	struct pv_vm *v = vm;

	pv_look_stats(v->k, v->box.holder, (unsigned)v->helpers.n, st);
}

static void pv_look(void *vm, struct hv_look *ret)
{
	struct pv_vm *v = vm;

	*ret = (struct hv_look){ 0 };
	if (v->k)
		pv_look_at(v->k, ret);
}

const struct hv_engine_ops hv_engine_pv = {
	.name = "pv",
	.caps = HV_CAP_MIGRATE | HV_CAP_LOGDIRTY_COMPARE | HV_CAP_LOGDIRTY_RECORD,
	.transport = &vudev_transport,
	.probe = pv_probe,
	.pin = pv_pin,
	.identity = pv_identity,
	.newer = pv_newer,
	.regions = pv_regions,
	.open = pv_open,
	.boot = pv_boot,
	.suspend = pv_suspend,
	.resume = pv_resume,
	.save = pv_save,
	.load = pv_load,
	.logdirty_start = pv_logdirty_start,
	.logdirty_collect = pv_logdirty_get,
	.logdirty_audit = pv_logdirty_check,
	.logdirty_stop = pv_logdirty_stop,
	.logdirty_method = pv_logdirty_method,
	.powerdown = pv_powerdown,
	.balloon = pv_balloon,
	.balloon_bytes = pv_balloon_bytes,
	.plug = pv_plug,
	.unplug = pv_unplug,
	.screen_client = pv_screen_client,
	.screenshot = pv_screenshot,
	.input = pv_input,
	.stats = pv_stats,
	.look = pv_look,
	.kill = pv_kill,
	.close = pv_close,
};
