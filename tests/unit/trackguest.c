/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process in QEMU's place: see trackguest.h. */
#include "config.h"
#include "tests/unit/trackguest.h"
#include "tests/unit/testutil.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/hypercall.h"

struct trackguest trackguest;
#define w trackguest

/* What QEMU may do to its mapping, or lets the kernel do, without a change of any content. */
static void advise(uint64_t x)
{
	static const int advice[] = { MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_DONTDUMP, MADV_DODUMP,
		                      MADV_DONTFORK,  MADV_DOFORK,      MADV_WILLNEED };
	uint64_t first = x % (TRACKGUEST_PAGES / 2);

	(void)!madvise(w.m.base + first * PAGE_BYTES, TRACKGUEST_PAGES / 4 * PAGE_BYTES,
	               advice[(x >> 32) % ARRAY_SIZE(advice)]);
}

static void fork_once(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
}

/* One access. The kernel writes, too; a read puts a page back into the table. */
static void touch(uint64_t x)
{
	uint8_t *p = w.m.base + x % TRACKGUEST_PAGES * PAGE_BYTES + (x >> 32) % (PAGE_BYTES - 8);

	if (x >> 62 == 3)
		(void)!getrandom(p, 8, GRND_INSECURE);
	else if (x >> 60)
		*p += 1;
	else
		*(volatile uint8_t *)p;
}

static void *writer(void *arg)
{
	uint64_t x = (uint64_t)(uintptr_t)arg * 2654435761u + 88172645463325252ull;

	while (!w.o->end) {
		if (w.o->hold || !w.o->go) {
			w.o->held++;
			while ((w.o->hold || !w.o->go) && !w.o->end)
				usleep(100);
			w.o->held--;
			continue; /* it may be held again, by who still saw it held */
		}
		for (int i = 0; i < 64; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			touch(x);
		}
		if (w.o->madvise)
			advise(x);
		if (w.o->fork)
			fork_once();
		w.o->writes++;
	}
	return NULL;
}

static _Noreturn void guest(void)
{
	pthread_t t[TRACKGUEST_THREADS];

	/* also when a test fails in the middle */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	munmap(w.m.base, w.m.size);
	w.m.base = mmap(NULL, w.m.size, PROT_READ | PROT_WRITE, MAP_SHARED, w.m.fd, 0);
	for (uint64_t i = 0; i < TRACKGUEST_PAGES; i++)
		*(volatile uint8_t *)(w.m.base + i * PAGE_BYTES);
	for (uintptr_t i = 0; i < TRACKGUEST_THREADS; i++)
		pthread_create(&t[i], NULL, writer, (void *)(i + 1));
	for (unsigned i = 0; i < TRACKGUEST_THREADS; i++)
		pthread_join(t[i], NULL);
	_exit(0);
}

int trackguest_up(void **state)
{
	struct err err;

	(void)state;
	memset(&w, 0, sizeof(w));
	w.o = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("ram", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)TRACKGUEST_PAGES * PAGE_BYTES), 0);
	assert_int_equal(guestmem_init(&w.m, fd, (uint64_t)TRACKGUEST_PAGES * PAGE_BYTES, &err), 0);
	w.pid = fork();
	if (!w.pid)
		guest();
	w.pidfd = (int)syscall(SYS_pidfd_open, w.pid, 0);
	while (w.o->held != TRACKGUEST_THREADS)
		usleep(1000);
	w.g = (struct qtrack_guest){ .pid = w.pid, .pidfd = w.pidfd, .marks_seen = &w.marks };
	return 0;
}

int trackguest_down(void **state)
{
	(void)state;
	logdirty_free(w.l);
	kill(w.pid, SIGKILL);
	waitpid(w.pid, NULL, 0);
	close(w.pidfd);
	guestmem_done(&w.m);
	munmap(w.o, PAGE_BYTES);
	return 0;
}

void trackguest_hold(bool on)
{
	w.o->hold = on;
	while (on && w.o->held != TRACKGUEST_THREADS)
		usleep(100);
}

void trackguest_begin(const struct logdirty_tracker *tracker)
{
	static const struct logdirty_tracker *one[2];
	struct logdirty_cfg c = { .mode = HV_LOGDIRTY_RECORD, .audit = true, .trackers = one, .arg = &w.g };
	uint32_t mode;
	struct err err;

	one[0] = tracker;
	if (logdirty_new(&c, &w.m, &w.l, &mode, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(logdirty_method(w.l), tracker->method);
	w.o->go = true;
}

uint64_t trackguest_collect(bool suspended)
{
	struct err err;
	uint64_t n;

	if (logdirty_collect(w.l, suspended, true, w.bits, &n, &err) < 0)
		fail_msg("%s", err.text);
	return n;
}

uint64_t trackguest_audit(void)
{
	struct err err;
	uint64_t missed;

	assert_int_equal(logdirty_audit(w.l, w.bits, &missed, &err), 0);
	return missed;
}
