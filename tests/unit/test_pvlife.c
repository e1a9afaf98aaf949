/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How guests of the pv engine begin and end, as engine.h has it. Its sandbox is a socket here, its guest kernel a process that sleeps and is
 * frozen by ptrace as the real one; what takes a guest apart and puts it together is a stand-in.
 */
#include "config.h"
#include "tests/unit/testutil.h"

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "common/util.h"
#include "hypervisor/dev/devs.h"
#include "hypervisor/dev/vdev_int.h"
#include "hypervisor/dev/vudev.h"
#include "hypervisor/engine.h"
#include "hypervisor/pv/dump.h"
#include "hypervisor/pv/dumpfd.h"
#include "hypervisor/pv/holder_int.h"
#include "hypervisor/pv/kernelfile.h"
#include "hypervisor/pv/restore.h"

#define PAGES 64u

static struct {
	int holder; /* its end of the socket, -1: it is gone */
	pid_t k;    /* 0: none is left */
	bool attach_fails, dump_fails, unwired;
	unsigned ready, failed, exited;
	enum hv_exit how;
	char text[ERR_TEXT_MAX];
} w;

static struct loop *loop;
static struct guestmem mem;
static struct dom_config cfg = { .name = "guest01", .kernel = (char *)"/bin/true", .memory_bytes = PAGES * PAGE_BYTES };
static struct hv_engine_env env;
static void *vm;
static const struct hv_engine_ops *const pv = &hv_engine_pv;

/* The guest ------------------------------------------------------------------------------------------------------------- */

/* Until its parent ends; that may have been before this one could say so */
static _Noreturn void live_below(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static pid_t spawn(int *ret_pidfd)
{
	pid_t self = getpid(), k = fork();

	if (!k) {
		pid_t me = getpid();

		for (int i = 0; i < 3; i++)
			if (!fork()) /* two helpers and a first process */
				live_below(me);
		live_below(self);
	}
	*ret_pidfd = (int)syscall(SYS_pidfd_open, k, 0);
	assert_true(*ret_pidfd >= 0);
	w.k = k;
	return k;
}

static bool k_is_gone(void)
{
	return kill(w.k, 0) < 0 && errno == ESRCH;
}

/* The holder learns of the end of K when nobody traces it any more, which here is when it is gone. */
static void holder_sees_it(void)
{
	struct holder_msg m = { .op = HOLDER_EXIT };

	m.status = SIGKILL;
	assert_int_equal(write(w.holder, &m, sizeof(m)), sizeof(m));
}

static void turn(unsigned ms)
{
	for (uint64_t end = now_ns() + ms * NS_PER_MS; now_ns() < end;)
		assert_true(loop_run_once(loop, 5) >= 0);
}

#define UNTIL(what)                                                                                                    \
	do {                                                                                                           \
		for (uint64_t end = now_ns() + 10 * NS_PER_S; !(what) && now_ns() < end;)                              \
			turn(1);                                                                                       \
		assert_true(what);                                                                                     \
	} while (0)

/* Stand-ins ------------------------------------------------------------------------------------------------------------- */

int __wrap_pv_files_open(struct pv_files *f, const char *kernel, struct err *err);
int __wrap_pv_files_open(struct pv_files *f, const char *kernel, struct err *err)
{
	(void)kernel, (void)err;
	*f = (struct pv_files){ 0 };
	return 0;
}
void __wrap_pv_files_done(struct pv_files *f);
void __wrap_pv_files_done(struct pv_files *f)
{
	(void)f;
}
int __wrap_pv_sandbox_new(struct pv_sandbox *s, const struct pv_sandbox_cfg *c, struct err *err);
int __wrap_pv_sandbox_new(struct pv_sandbox *s, const struct pv_sandbox_cfg *c, struct err *err)
{
	int sv[2];

	(void)c, (void)err;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	w.holder = sv[1];
	*s = (struct pv_sandbox){ .holder = INT_MAX, .holder_pidfd = -1, .sock = sv[0] };
	return 0;
}
int __wrap_pv_sandbox_clear(struct pv_sandbox *s, struct err *err);
int __wrap_pv_sandbox_clear(struct pv_sandbox *s, struct err *err)
{
	(void)s, (void)err;
	if (w.k) {
		kill(w.k, SIGKILL);
		(void)!waitpid(w.k, NULL, __WALL);
	}
	w.k = 0;
	return 0;
}
void __wrap_pv_sandbox_done(struct pv_sandbox *s);
void __wrap_pv_sandbox_done(struct pv_sandbox *s)
{
	(void)__wrap_pv_sandbox_clear(s, NULL);
	close(s->sock);
	if (w.holder >= 0)
		close(w.holder);
	w.holder = -1;
}
int __wrap_pv_sandbox_boot(struct pv_sandbox *s, char *const argv[], int con, int errfd, int64_t off, pid_t *ret_pid,
                           int *ret_pidfd, int *listen, unsigned n_listen, struct err *err);
int __wrap_pv_sandbox_boot(struct pv_sandbox *s, char *const argv[], int con, int errfd, int64_t off, pid_t *ret_pid,
                           int *ret_pidfd, int *listen, unsigned n_listen, struct err *err)
{
	(void)s, (void)argv, (void)con, (void)errfd, (void)off, (void)err;
	*ret_pid = spawn(ret_pidfd);
	for (unsigned i = 0; i < n_listen; i++)
		listen[i] = memfd_create("listen", MFD_CLOEXEC);
	return 0;
}
int __wrap_pv_freeze(pid_t k, unsigned flags, unsigned ms, const struct pv_helpers *h, struct pv_frozen *f,
                     struct err *err);
int __wrap_pv_freeze(pid_t k, unsigned flags, unsigned ms, const struct pv_helpers *h, struct pv_frozen *f,
                     struct err *err)
{
	(void)flags, (void)ms, (void)h;
	*f = (struct pv_frozen){ .k.pid = k };
	int r = pt_seize(k, err);
	if (!r)
		r = pt_interrupt(k, err);
	if (!r)
		r = pt_get_regs(k, &f->k.regs);
	f->active = !r;
	return r;
}
int __wrap_pv_fds_learn(struct pv_fds *fds, const struct pv_frozen *f, int k_pidfd, uint64_t con, uint64_t er,
                        uint64_t *ret_inode, int *ret_mem, struct devs *d, struct err *err);
int __wrap_pv_fds_learn(struct pv_fds *fds, const struct pv_frozen *f, int k_pidfd, uint64_t con, uint64_t er,
                        uint64_t *ret_inode, int *ret_mem, struct devs *d, struct err *err)
{
	(void)fds, (void)f, (void)k_pidfd, (void)con, (void)er, (void)d, (void)err;
	*ret_inode = 1;
	*ret_mem = memfd_create("boot", MFD_CLOEXEC);
	return 0;
}
int __wrap_pv_dump(const struct pv_dump_ctx *c, const struct pv_frozen *f, struct pv_image *im, struct err *err);
int __wrap_pv_dump(const struct pv_dump_ctx *c, const struct pv_frozen *f, struct pv_image *im, struct err *err)
{
	(void)c, (void)f;
	*im = (struct pv_image){ 0 };
	return w.dump_fails ? err_set(err, ENOTSUP, "it cannot be taken apart") : 0;
}
int __wrap_pv_restore(struct pv_sandbox *s, const struct pv_image *im, int mem_fd, const int *file_fd, bool gap,
                      int cpu, struct pv_restored *out, struct pv_frozen *f, struct err *err);
int __wrap_pv_restore(struct pv_sandbox *s, const struct pv_image *im, int mem_fd, const int *file_fd, bool gap,
                      int cpu, struct pv_restored *out, struct pv_frozen *f, struct err *err)
{
	(void)s, (void)im, (void)mem_fd, (void)file_fd, (void)gap, (void)cpu;
	*out = (struct pv_restored){ .con = memfd_create("con", MFD_CLOEXEC), .vsock = { -1 }, .vreq = { -1 } };
	int sv[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	close(out->con);
	out->con = sv[0];
	out->err = sv[1];
	out->vsock[0] = memfd_create("sock", MFD_CLOEXEC);
	out->vreq[0] = memfd_create("req", MFD_CLOEXEC);
	out->k = spawn(&out->k_pidfd);
	return __wrap_pv_freeze(out->k, 0, 0, NULL, f, err);
}

size_t devs_count(const struct devs *d)
{
	(void)d;
	return 1;
}
uint32_t devs_virtio_id(const struct devs *d, size_t i)
{
	(void)d, (void)i;
	return 3;
}
const char *devs_name(const struct devs *d, size_t i)
{
	(void)d, (void)i;
	return "hvc0";
}
int vudev_listen(struct devs *d, size_t i, int fd, struct err *err)
{
	(void)d, (void)i;
	close(fd);
	return w.attach_fails ? err_set(err, ENOMEM, "no room") : 0;
}
bool vudev_all_wired(const struct devs *d)
{
	(void)d;
	return !w.unwired;
}
int vudev_pair(struct devs *d, size_t i, int sock, int req, struct err *err)
{
	(void)d, (void)i, (void)err;
	close(sock);
	close(req);
	return 0;
}
const struct vdev_transport_ops vudev_transport = { .features = 0 };
int devs_quiesce(struct devs *d, struct err *err)
{
	(void)d, (void)err;
	return 0;
}
void devs_set_mem(struct devs *d, struct guestmem *m)
{
	(void)d, (void)m;
}

static void on_ready(void *arg, const struct err *failed)
{
	(void)arg;
	w.ready++;
	w.failed += failed != NULL;
	if (failed)
		snprintf(w.text, sizeof(w.text), "%s", failed->text);
}
static void on_exited(void *arg, enum hv_exit how, const char *text)
{
	(void)arg;
	w.exited++;
	w.how = how;
	snprintf(w.text, sizeof(w.text), "%s", text);
}
static void on_output(void *arg, const void *p, size_t len)
{
	(void)arg, (void)p, (void)len;
}
static void on_process(void *arg, pid_t pid)
{
	(void)arg, (void)pid;
}

static int set_up(void **state)
{
	struct err err;
	int fd = memfd_create("ram", MFD_CLOEXEC);

	(void)state;
	memset(&w, 0, sizeof(w));
	loop = loop_new();
	assert_int_equal(ftruncate(fd, PAGES * PAGE_BYTES), 0);
	assert_int_equal(guestmem_init(&mem, fd, PAGES * PAGE_BYTES, &err), 0);
	env = (struct hv_engine_env){ .loop = loop,
		                      .cfg = &cfg,
		                      .mem = &mem,
		                      .devs = (struct devs *)&w, /* some: only stand-ins take it */
		                      .cpu = -1,
		                      .ready = on_ready,
		                      .exited = on_exited,
		                      .output = on_output,
		                      .process = on_process };
	assert_int_equal(pv->open(&env, &vm, &err), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pv->close(vm);
	guestmem_done(&mem);
	loop_free(loop);
	return 0;
}

static void boot(void)
{
	struct err err;

	assert_int_equal(pv->boot(vm, &err), 0);
	assert_int_equal(pv->suspend(vm, 100, &err), -EBUSY);
	assert_int_equal(pv->resume(vm, &err), -EBUSY);
	UNTIL(w.ready);
	assert_int_equal(w.ready, 1);
	assert_int_equal(w.failed, 0);
}

/* Tests ----------------------------------------------------------------------------------------------------------------- */

static void test_one_guest(void **state)
{
	struct err err;
	struct rd in = rd_of("", 0);

	(void)state;
	assert_int_equal(pv->suspend(vm, 100, &err), -ESRCH);
	assert_int_equal(pv->resume(vm, &err), -ESRCH);
	boot();
	pid_t k = w.k;
	assert_int_equal(pv->boot(vm, &err), -EEXIST);
	assert_int_equal(pv->load(vm, &in, &err), -EEXIST);
	assert_int_equal(pv->resume(vm, &err), 0);
	assert_int_equal(pv->boot(vm, &err), -EEXIST);
	assert_int_equal(w.k, k);
	pv->kill(vm);
	assert_int_equal(w.k, 0);
	turn(20);
	assert_int_equal(w.exited, 0);
	assert_int_equal(pv->load(vm, &in, &err), -EINVAL);
	w.ready = 0;
	boot();
}

/* The tracer of a process that is killed is the one who sees it, its parent nothing. */
static void test_killed_while_suspended(void **state)
{
	(void)state;
	boot();
	kill(w.k, SIGKILL);
	UNTIL(k_is_gone());
	assert_int_equal(w.exited, 0);
	holder_sees_it();
	UNTIL(w.exited);
	assert_int_equal(w.how, HV_EXIT_CRASH);
	assert_non_null(strstr(w.text, "signal 9"));
	turn(20);
	assert_int_equal(w.exited, 1);
}

/* ... and let go before that was noticed. */
static void test_killed_and_resumed(void **state)
{
	struct err err;

	(void)state;
	boot();
	kill(w.k, SIGKILL);
	usleep(20000);
	(void)!pv->resume(vm, &err);
	UNTIL(k_is_gone());
	holder_sees_it();
	UNTIL(w.exited);
}

static void test_killed_while_running(void **state)
{
	struct err err;

	(void)state;
	boot();
	assert_int_equal(pv->resume(vm, &err), 0);
	kill(w.k, SIGKILL);
	UNTIL(k_is_gone());
	holder_sees_it();
	UNTIL(w.exited);
}

static void test_boot_that_fails_late(void **state)
{
	struct err err;

	(void)state;
	w.attach_fails = true;
	assert_int_equal(pv->boot(vm, &err), -ENOMEM);
	assert_int_equal(w.k, 0);
	turn(50);
	assert_int_equal(w.ready + w.exited, 0);
	w.attach_fails = false;
	boot();
}

/* Its first process may be a helper of a kernel that has not looked for its devices yet. */
static void test_boot_waits_for_devices(void **state)
{
	struct err err;

	(void)state;
	w.unwired = true;
	assert_int_equal(pv->boot(vm, &err), 0);
	turn(100);
	assert_int_equal(w.ready + w.exited, 0);
	w.unwired = false;
	UNTIL(w.ready);
	assert_int_equal(w.failed, 0);
}

static void test_rebuild_that_fails(void **state)
{
	struct err err;

	(void)state;
	w.dump_fails = true;
	assert_int_equal(pv->boot(vm, &err), 0);
	UNTIL(w.ready);
	assert_int_equal(w.failed, 1);
	assert_int_equal(w.k, 0);
	assert_int_equal(pv->suspend(vm, 100, &err), -ESRCH);
	turn(20);
	assert_int_equal(w.exited, 0);
	w.dump_fails = false;
	w.ready = w.failed = 0;
	boot();
}

static void test_sandbox_killed(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(pv->boot(vm, &err), 0);
	shutdown(w.holder, SHUT_RDWR);
	UNTIL(w.ready);
	assert_int_equal(w.failed, 1);
	assert_int_equal(w.exited, 0);
	assert_non_null(strstr(w.text, "sandbox was killed"));
}

/* It ends with all that is in it, but for whom we trace: we are waited for. */
static void test_sandbox_killed_while_suspended(void **state)
{
	(void)state;
	boot();
	shutdown(w.holder, SHUT_RDWR);
	UNTIL(w.exited);
	assert_true(k_is_gone());
	w.k = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_while_suspended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_and_resumed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_while_running, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_boot_that_fails_late, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_boot_waits_for_devices, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rebuild_that_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sandbox_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sandbox_killed_while_suspended, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
