/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Leases: two slots, torn writes, damage, other domains' files, several disks, files that cannot be written. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <fcntl.h>
#include <sys/stat.h>
#include "common/util.h"
#include "hypervisor/lease.h"

#define SLOT   512
#define UUID_A "11111111-2222-3333-4444-555555555555"
#define UUID_B "99999999-2222-3333-4444-555555555555"

struct fixture {
	char *dir, *image[2], *lease[2];
	struct dom_config cfg;
	struct leases l;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->dir = test_dir_new();
	setenv("HOSPES_STATEDIR", f->dir, 1);
	snprintf(f->cfg.uuid, sizeof(f->cfg.uuid), "%s", UUID_A);
	for (int i = 0; i < 2; i++) {
		f->image[i] = xasprintf("%s/disk%d.img", f->dir, i);
		f->lease[i] = xasprintf("%s.lease", f->image[i]);
		f->cfg.disk[i].source = f->image[i];
	}
	f->cfg.n_disks = 2;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		free(f->image[i]);
		free(f->lease[i]);
	}
	test_dir_remove(f->dir);
	free(f);
	return 0;
}

static void open_ok(struct fixture *f)
{
	struct err err;

	if (leases_open(&f->l, &f->cfg, getuid(), &err))
		fail_msg("%s", err.text);
}

static void write_ok(struct fixture *f, uint64_t gen, const char *owner, enum lease_state s)
{
	struct lease_record rec = { .generation = gen, .state = s };
	struct err err;

	snprintf(rec.owner, sizeof(rec.owner), "%s", owner);
	if (leases_write(&f->l, &rec, &err))
		fail_msg("%s", err.text);
}

static void expect(struct fixture *f, uint64_t gen, const char *owner, enum lease_state s)
{
	struct lease_record rec;
	struct err err;

	if (leases_read(&f->l, &rec, &err))
		fail_msg("%s", err.text);
	assert_int_equal(rec.generation, gen);
	assert_string_equal(rec.owner, owner);
	assert_int_equal(rec.state, s);
}

static void new_then_written(void **state)
{
	struct fixture *f = *state;

	open_ok(f);
	assert_true(f->l.shared);
	assert_int_equal(f->l.n, 3);
	expect(f, 0, "", LEASE_NONE);
	write_ok(f, 1, "host-a", LEASE_RUNNING);
	expect(f, 1, "host-a", LEASE_RUNNING);
	write_ok(f, 1, "host-a", LEASE_SAVED);
	write_ok(f, 2, "host-b", LEASE_STOPPED);
	expect(f, 2, "host-b", LEASE_STOPPED);
	write_ok(f, 3, "", LEASE_STOPPED);
	expect(f, 3, "", LEASE_STOPPED);
	leases_done(&f->l);
	/* all of them say the same, to whoever opens them next */
	for (size_t i = 0; i < 2; i++) {
		open_ok(f);
		expect(f, 3, "", LEASE_STOPPED);
		leases_done(&f->l);
		f->cfg.disk[0].source = f->image[1];
		f->cfg.n_disks = 1;
	}
	f->cfg.n_disks = 0;
	open_ok(f);
	assert_false(f->l.shared);
	expect(f, 3, "", LEASE_STOPPED);
	leases_done(&f->l);
}

static void which_disks_have_one(void **state)
{
	struct fixture *f = *state;

	f->cfg.disk[0].readonly = true;
	f->cfg.disk[1].shareable = true;
	open_ok(f);
	assert_int_equal(f->l.n, 1);
	assert_false(f->l.shared);
	leases_done(&f->l);
	assert_int_not_equal(access(f->lease[0], F_OK), 0);
	f->cfg.disk[1] = (struct dom_disk){ .type = DOM_DISK_BLOCK, .source = f->image[1] };
	open_ok(f);
	assert_int_equal(f->l.n, 1);
	leases_done(&f->l);
}

static bool says(const char *path, const char *what)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	return !file_read(path, 4096, &text, &len) && memmem(text, len, what, strlen(what));
}

/* A disk that comes has the others' record, one that goes none. */
static void disks_come_and_go(void **state)
{
	struct fixture *f = *state;
	struct lease_record rec = { .generation = 7, .state = LEASE_RUNNING, .owner = "host-a" };
	_cleanup_free_ char *path = xasprintf("%s/c.lease", f->dir);
	struct leases one = { 0 };
	struct err err;

	f->cfg.n_disks = 1;
	open_ok(f);
	write_ok(f, 7, "host-a", LEASE_RUNNING);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(leases_of_one(&one, &f->l, path, fd, &err), 0);
	assert_int_equal(leases_write(&one, &rec, &err), 0);
	leases_put_in(&f->l, 1, &one);
	assert_int_equal(f->l.n, 3);
	assert_int_equal(one.n, 0);
	write_ok(f, 8, "host-b", LEASE_RUNNING);
	assert_true(says(path, " 8 running host-b"));
	/* the one that decides stays, and what is none of them is not there */
	assert_false(leases_take_out(&f->l, f->lease[0], &one));
	assert_false(leases_take_out(&f->l, f->lease[1], &one));
	assert_true(leases_take_out(&f->l, path, &one));
	assert_int_equal(f->l.n, 2);
	assert_int_equal(leases_clear(&one, &err), 0);
	leases_done(&one);
	assert_false(says(path, "hospes"));
	write_ok(f, 9, "host-b", LEASE_STOPPED);
	assert_true(says(f->lease[0], " 9 stopped host-b"));
	/* the only one beside a disk may go: the local one is left */
	assert_true(leases_take_out(&f->l, f->lease[0], &one));
	assert_false(f->l.shared);
	expect(f, 9, "host-b", LEASE_STOPPED);
	leases_done(&one);
	leases_done(&f->l);
}

static void overwrite(const char *path, off_t at, const void *p, size_t len)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, len, at), (ssize_t)len);
}

/* A write that stopped after each octet leaves the older record or the newer one: whichever slot it went to. */
static void torn_writes(void **state)
{
	struct fixture *f = *state;
	char before[2 * SLOT], after[2 * SLOT];

	open_ok(f);
	write_ok(f, 1, "host-a", LEASE_RUNNING);
	for (uint64_t gen = 2; gen < 4; gen++) { /* slot 0 and slot 1 */
		_cleanup_close_ int fd = open(f->lease[0], O_RDWR | O_CLOEXEC);
		memset(before, 0, sizeof(before));
		memset(after, 0, sizeof(after));
		assert_true(pread(fd, before, sizeof(before), 0) > 0);
		write_ok(f, gen, "host-b", LEASE_STOPPED);
		assert_true(pread(fd, after, sizeof(after), 0) > 0);
		size_t slot = memcmp(before, after, SLOT) ? 0 : SLOT, n_old = 0, n_new = 0;
		assert_memory_equal(before + (SLOT - slot), after + (SLOT - slot), SLOT);
		for (size_t n = 0; n <= SLOT; n++) {
			char torn[2 * SLOT];
			struct lease_record rec;
			struct err err;
			memcpy(torn, before, sizeof(torn));
			memcpy(torn + slot, after + slot, n);
			overwrite(f->lease[0], 0, torn, sizeof(torn));
			if (leases_read(&f->l, &rec, &err))
				fail_msg("generation %lu torn at %zu: %s", (unsigned long)gen, n, err.text);
			n_old += rec.generation == gen - 1;
			n_new += rec.generation == gen;
			assert_true(rec.generation == gen ? rec.state == LEASE_STOPPED : rec.generation == gen - 1);
		}
		assert_true(n_old > 10 && n_new > 10 && n_old + n_new == SLOT + 1);
	}
	leases_done(&f->l);
}

static void first_write_torn(void **state)
{
	struct fixture *f = *state;
	struct lease_record rec;
	struct err err = { 0 };

	/* no older record to go back to: said, not guessed */
	open_ok(f);
	overwrite(f->lease[0], SLOT, "hospes-lease 1 1 " UUID_A " 1 runn", 40);
	assert_int_equal(leases_read(&f->l, &rec, &err), -EINVAL);
	assert_non_null(strstr(err.text, f->lease[0]));
	leases_done(&f->l);
}

static void damaged(void **state)
{
	static const char *const text[] = {
		"garbage",
		"hospes-lease 2 1 " UUID_A " 1 running host-a 0",
		"hospes-lease 1 1 " UUID_A " 1 running host-a 0",
		"hospes-lease 1 99999999999999999999999999 " UUID_A " 1 running host-a ffffffffffffffff",
		"hospes-lease 1 1 11111111-2222-3333-4444-5555555555555555555555555555555 1 running host-a 0",
		"%s%s%s%n%n",
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
		char both[2 * SLOT] = { 0 };
		struct lease_record rec = { .generation = 77 };
		struct err err = { 0 };
		open_ok(f);
		memset(both, 'x', sizeof(both));
		memcpy(both, text[i], strlen(text[i]));
		overwrite(f->lease[0], 0, both, sizeof(both));
		assert_int_equal(leases_read(&f->l, &rec, &err), -EINVAL);
		assert_int_equal(rec.generation, 77);
		assert_non_null(strstr(err.text, f->lease[0]));
		/* and never written over */
		assert_int_equal(leases_write(&f->l, &rec, &err), -EINVAL);
		leases_done(&f->l);
	}
}

static void one_slot_damaged(void **state)
{
	struct fixture *f = *state;

	open_ok(f);
	write_ok(f, 1, "host-a", LEASE_RUNNING); /* slot 1 */
	write_ok(f, 2, "host-b", LEASE_RUNNING); /* slot 0 */
	overwrite(f->lease[0], 100, "zz", 2);    /* padding: not covered */
	expect(f, 2, "host-b", LEASE_RUNNING);
	overwrite(f->lease[0], 20, "zz", 2);
	expect(f, 1, "host-a", LEASE_RUNNING);
	/* the next write goes over the damaged slot, and wins */
	write_ok(f, 3, "host-c", LEASE_STOPPED);
	expect(f, 3, "host-c", LEASE_STOPPED);
	leases_done(&f->l);
}

static void another_domains(void **state)
{
	struct fixture *f = *state;
	struct lease_record rec;
	struct err err = { 0 };

	open_ok(f);
	write_ok(f, 5, "host-a", LEASE_STOPPED);
	leases_done(&f->l);
	snprintf(f->cfg.uuid, sizeof(f->cfg.uuid), "%s", UUID_B);
	open_ok(f);
	assert_int_equal(leases_read(&f->l, &rec, &err), -EINVAL);
	assert_non_null(strstr(err.text, "another domain"));
	assert_int_equal(leases_write(&f->l, &(struct lease_record){ .generation = 6, .state = LEASE_RUNNING }, &err),
	                 -EINVAL);
	leases_done(&f->l);
	snprintf(f->cfg.uuid, sizeof(f->cfg.uuid), "%s", UUID_A);
	open_ok(f);
	expect(f, 5, "host-a", LEASE_STOPPED);
	leases_done(&f->l);
}

static void cannot_be_opened(void **state)
{
	struct fixture *f = *state;
	struct err err = { 0 };

	/* a link could make us write anywhere */
	assert_int_equal(symlink("/etc/passwd", f->lease[1]), 0);
	assert_int_equal(leases_open(&f->l, &f->cfg, getuid(), &err), -ELOOP);
	assert_non_null(strstr(err.text, f->lease[1]));
	assert_int_equal(f->l.n, 0);
	assert_int_equal(unlink(f->lease[1]), 0);
	assert_int_equal(mkdir(f->lease[1], 0700), 0);
	assert_int_equal(leases_open(&f->l, &f->cfg, getuid(), &err), -EINVAL);
	f->cfg.disk[1].source = (char *)"/nowhere/at/all.img";
	assert_int_equal(leases_open(&f->l, &f->cfg, getuid(), &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/at/all.img"));
}

static void read_only_file(void **state)
{
	struct fixture *f = *state;
	struct lease_record rec = { .generation = 2, .state = LEASE_RUNNING };
	struct err err = { 0 };

	open_ok(f);
	write_ok(f, 1, "host-a", LEASE_STOPPED);
	int fd = open(f->lease[0], O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && dup3(fd, f->l.fd[0], O_CLOEXEC) >= 0);
	close(fd);
	assert_true(leases_write(&f->l, &rec, &err) < 0);
	assert_non_null(strstr(err.text, f->lease[0]));
	expect(f, 1, "host-a", LEASE_STOPPED);
	leases_done(&f->l);
}

static void long_names(void **state)
{
	struct fixture *f = *state;
	char owner[HV_NAME_MAX];

	memset(owner, 'h', sizeof(owner));
	owner[sizeof(owner) - 1] = 0;
	open_ok(f);
	write_ok(f, UINT64_MAX, owner, LEASE_RUNNING);
	expect(f, UINT64_MAX, owner, LEASE_RUNNING);
	leases_done(&f->l);
}

/* This host's own lease in the cluster is over: what stands on the disk is for others to change. */
static void hosts_lease_over(void **state)
{
	struct fixture *f = *state;
	struct lease_record rec = { .generation = 2, .owner = "host-a", .state = LEASE_STOPPED };
	_cleanup_free_ char *marker = xasprintf("%s/cluster/managed", f->dir);
	struct deadline_page *guard = NULL, *page = NULL;
	struct moment at = { boot_ns() + 600 * NS_PER_S, 0 };
	struct err err;

	setenv("HOSPES_RUNDIR", f->dir, 1);
	assert_int_equal(mkdir_p(marker, 0700), 0);
	free(steal_ptr(&marker));
	marker = xasprintf("%s/cluster/managed/web", f->dir);
	assert_int_equal(file_write_atomic(marker, "x", 1, 0600), 0);
	assert_int_equal(deadline_page_make(&at, &guard, &err), 0);
	assert_int_equal(deadline_page_of("web", &page, &err), 0);
	open_ok(f);
	f->l.deadline = page;
	write_ok(f, 1, "host-a", LEASE_RUNNING);
	deadline_page_set(guard, &(struct moment){ boot_ns(), 0 });
	assert_int_equal(leases_write(&f->l, &rec, &err), -ETIME);
	expect(f, 1, "host-a", LEASE_RUNNING);
	deadline_page_set(guard, &at);
	write_ok(f, 2, "host-a", LEASE_STOPPED);
	leases_done(&f->l);
	deadline_page_free(page);
	deadline_page_free(guard);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		T(new_then_written), T(disks_come_and_go), T(which_disks_have_one), T(torn_writes),
		T(first_write_torn), T(damaged),           T(one_slot_damaged),     T(another_domains),
		T(cannot_be_opened), T(read_only_file),    T(long_names),           T(hosts_lease_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
