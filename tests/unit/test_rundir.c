/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The run directory of a domain: whose it is, what somebody may have left in it, who waits for whom. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/rundir.h"

#define ITS_UID 0x68000001u /* a domain's user */

struct world {
	char *top, *dir, *lock, *sock, *victim;
};

static int set_up(void **state)
{
	static struct world w;

	w.top = xasprintf("/tmp/rundir-%d", getpid());
	w.dir = xasprintf("%s/dom/g", w.top);
	w.lock = xasprintf("%s/lock", w.dir);
	w.sock = xasprintf("%s/hv.sock", w.dir);
	w.victim = xasprintf("%s/victim", w.top);
	assert_int_equal(mkdir_p(w.dir, 0711), 0);
	*state = &w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *cmd = xasprintf("rm -rf %s", w->top);

	free(w->dir);
	free(w->lock);
	free(w->sock);
	free(w->victim);
	free(w->top);
	return system(cmd);
}

static int claim(const struct world *w, struct err *err)
{
	return rundir_claim(w->dir, "g", err);
}

static int listener(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* As the domain's user: only what that may do. */
static void as_its_user(void (*fn)(const struct world *w), const struct world *w)
{
	int st = 1;
	pid_t pid = fork();

	if (!pid) {
		if (geteuid() == 0 && (setresgid(ITS_UID, ITS_UID, ITS_UID) || setresuid(ITS_UID, ITS_UID, ITS_UID)))
			_exit(1);
		fn(w);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
}

static void plant_lock(const struct world *w)
{
	unlink(w->lock);
	if (symlink(w->victim, w->lock) < 0)
		_exit(2);
}

static void plant_fifo(const struct world *w)
{
	unlink(w->lock);
	if (mkfifo(w->lock, 0666) < 0)
		_exit(2);
}

static void plant_file(const struct world *w)
{
	unlink(w->lock);
	int fd = open(w->lock, O_CREAT | O_RDWR, 0666);
	if (fd < 0)
		_exit(2);
	close(fd);
}

static void tries_to_plant(const struct world *w)
{
	if (!unlink(w->lock) || !symlink(w->victim, w->lock) || !symlink("/", w->sock))
		_exit(2);
}

/* A directory that the domain's user owned, and whatever it left there: nothing of it is followed, opened or kept. */
static void planted(void **state)
{
	static void (*const plants[])(const struct world *w) = { plant_lock, plant_fifo, plant_file };
	struct world *w = *state;

	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(plants); i++) {
		struct err err = { 0 };
		struct stat st;

		assert_int_equal(chown(w->dir, ITS_UID, ITS_UID), 0);
		as_its_user(plants[i], w);
		int fd = claim(w, &err);
		if (fd < 0)
			fail_msg("%zu: %s", i, err.text);
		assert_int_equal(access(w->victim, F_OK), -1);
		assert_int_equal(lstat(w->lock, &st), 0);
		assert_true(S_ISREG(st.st_mode));
		assert_int_equal(st.st_uid, 0);
		assert_int_equal(lstat(w->dir, &st), 0);
		assert_int_equal(st.st_uid, 0);
		assert_int_equal(st.st_mode & 0777, 0711);
		/* and it plants nothing any more */
		as_its_user(tries_to_plant, w);
		close(fd);
	}
}

/* The socket's name may lead to no other socket, and to nothing else. */
static void other_socket(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *other = xasprintf("%s/other.sock", w->top);
	_cleanup_close_ int l = listener(other);

	assert_int_equal(rundir_connect(w->sock, 0), -ENOENT);
	assert_int_equal(symlink(other, w->sock), 0);
	assert_int_equal(rundir_connect(w->sock, 0), -ENOTSOCK);
	assert_int_equal(unlink(w->sock), 0);
	assert_int_equal(mkfifo(w->sock, 0600), 0);
	assert_int_equal(rundir_connect(w->sock, SOCK_NONBLOCK), -ENOTSOCK);
	assert_int_equal(unlink(w->sock), 0);
	_cleanup_close_ int real = listener(w->sock), c = rundir_connect(w->sock, SOCK_NONBLOCK);
	assert_true(c >= 0);
}

/* One that died is told from one that ended in order, though both leave their socket. */
static void ended_or_died(void **state)
{
	struct world *w = *state;
	struct err err = { 0 };
	int lock = claim(w, &err), l = listener(w->sock);

	assert_true(lock >= 0);
	close(l);
	assert_int_equal(rundir_connect(w->sock, 0), -ECONNREFUSED);
	rundir_mark_ended(lock);
	assert_int_equal(rundir_connect(w->sock, 0), -ENOENT);
	assert_true(rundir_ended(w->dir));
	close(lock);
	/* the next one begins anew */
	lock = claim(w, &err);
	assert_true(lock >= 0);
	assert_false(rundir_ended(w->dir));
	assert_int_equal(rundir_connect(w->sock, 0), -ECONNREFUSED);
	/* rubbish is no mark */
	assert_int_equal(pwrite(lock, "ended\nx", 7, 0), 7);
	assert_false(rundir_ended(w->dir));
	close(lock);
}

/* One that runs refuses a second at once; one that ends is waited for. */
static void second(void **state)
{
	struct world *w = *state;
	struct err err = { 0 };
	int lock = claim(w, &err);
	_cleanup_close_ int l = listener(w->sock);

	assert_true(lock >= 0);
	uint64_t t0 = boot_ns();
	assert_int_equal(claim(w, &err), -EEXIST);
	assert_non_null(strstr(err.text, "runs on this host already"));
	assert_true(boot_ns() - t0 < NS_PER_S);
	rundir_mark_ended(lock);
	pid_t pid = fork();
	if (!pid) {
		usleep(200000);
		_exit(0); /* the lock is the open file's: it ends with its last descriptor */
	}
	close(lock);
	int next = claim(w, &err);
	assert_true(next >= 0);
	assert_true(boot_ns() - t0 >= 150 * NS_PER_MS);
	close(next);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(planted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_socket, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ended_or_died, set_up, tear_down),
		cmocka_unit_test_setup_teardown(second, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
