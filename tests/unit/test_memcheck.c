/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors that come instead of memory. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/memcheck.h"

#define BYTES 8192u

static int memory(unsigned flags, uint64_t bytes, int seals)
{
	int fd = memfd_create("m", MFD_CLOEXEC | flags);

	if (fd < 0)
		return fd;
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void check(int fd, int want_read, int want_map)
{
	struct err err = { 0 };

	assert_int_equal(memcheck_read(fd, BYTES, "it", &err), want_read);
	assert_int_equal(memcheck_map(fd, BYTES, "it", &err), want_map);
	if (want_map)
		assert_non_null(strstr(err.text, "it"));
	close(fd);
}

static void memory_files(void **state)
{
	(void)state;
	check(memory(MFD_ALLOW_SEALING, BYTES, F_SEAL_SHRINK), 0, 0);
	check(memory(MFD_ALLOW_SEALING, BYTES, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0, 0);
	/* would shrink, is smaller, is larger than said */
	check(memory(MFD_ALLOW_SEALING, BYTES, 0), 0, -EPROTO);
	check(memory(MFD_ALLOW_SEALING, BYTES, F_SEAL_GROW), 0, -EPROTO);
	check(memory(0, BYTES, 0), 0, -EPROTO);
	check(memory(MFD_ALLOW_SEALING, BYTES - 1, F_SEAL_SHRINK), -EPROTO, -EPROTO);
	check(memory(MFD_ALLOW_SEALING, 0, F_SEAL_SHRINK), -EPROTO, -EPROTO);
	check(memory(MFD_ALLOW_SEALING, BYTES + 4096, F_SEAL_SHRINK), 0, -EPROTO);
	struct err err;
	_cleanup_close_ int none = memory(MFD_ALLOW_SEALING, 0, F_SEAL_SHRINK);
	assert_int_equal(memcheck_map(none, 0, "it", &err), -EPROTO);
	/* huge pages that nobody has reserved: SIGBUS at the first touch */
	int huge = memory(MFD_HUGETLB | MFD_ALLOW_SEALING, 0, 0);
	if (huge >= 0)
		check(huge, -EPROTO, -EPROTO);
}

static void no_memory_files(void **state)
{
	int p[2], sv[2];
	(void)state;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	check(p[0], -EPROTO, -EPROTO);
	close(p[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	check(sv[0], -EPROTO, -EPROTO);
	close(sv[1]);
	check(open("/dev/zero", O_RDWR | O_CLOEXEC), -EPROTO, -EPROTO);
	check(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), -EPROTO, -EPROTO);
	struct err err = { 0 };
	assert_int_equal(memcheck_map(-1, BYTES, "it", &err), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_files),
		cmocka_unit_test(no_memory_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
