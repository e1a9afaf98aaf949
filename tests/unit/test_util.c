/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of common/util.c. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <jansson.h>
#include "common/util.h"

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool valid;
	} cases[] = {
		{ "guest01", true },
		{ "a", true },
		{ "web.prod_1+x-y", true },
		{ "", false },
		{ ".hidden", false },
		{ "..", false },
		{ "-rf", false },
		{ "a/b", false },
		{ "a b", false },
		{ "a\nb", false },
		{ "g\xc3\xa4st", false },
		{ "012345678901234567890123456789012345678901234567890123456789012", true },
		{ "0123456789012345678901234567890123456789012345678901234567890123", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (name_is_valid(cases[i].name) != cases[i].valid)
			fail_msg("name \"%s\"", cases[i].name);
}

static void test_tidy(void **state)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "a\tb\nc\033[2J\x7f", "a b c [2J " },
		{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7",
		  "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7" },
		{ "gr\xfc\xdf", "gr?" }, /* latin 1; at the end it looks cut off */
		{ "x\xc2\x9b"
		  "2J",
		  "x  2J" },                         /* a control character of the upper half */
		{ "\xc0\xaf\xe0\x80\x80", "?????" }, /* longer than needed */
		{ "\xed\xa0\x80", "???" },           /* a surrogate */
		{ "\xf4\x90\x80\x80\xff", "?????" }, /* above U+10FFFF */
		{ "\x80\xbf", "??" },
		{ "\xe2\x82", "" }, /* cut off */
		{ "ab\xf0\x9f\x90", "ab" },
		{ "ab\xc3", "ab" },
		{ "\xe2x\x82", "?x?" },
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char s[64];

		strcpy(s, t[i].in);
		text_tidy(s);
		assert_string_equal(s, t[i].out);
		text_tidy(s);
		assert_string_equal(s, t[i].out);
	}
	/* whatever it is, JSON takes it afterwards */
	for (unsigned x = 1; x < 1u << 24; x += 251) {
		char s[5] = { (char)x, (char)(x >> 8), (char)(x >> 16), (char)(x >> 3), 0 };

		text_tidy(s);
		json_t *j = json_string(s);
		assert_non_null(j);
		json_decref(j);
	}
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0, 0 },
		{ "64", 0, 64 },
		{ "64B", 0, 64 },
		{ "64KiB", 0, 65536 },
		{ "64k", 0, 65536 },
		{ "1.5GiB", 0, 1610612736 },
		{ "1.5 GiB", 0, 1610612736 },
		{ "2G", 0, 2147483648u },
		{ "2GB", 0, 2147483648u },
		{ "0.5K", 0, 512 },
		{ "15E", 0, 15ull << 60 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "16E", -ERANGE, 0 },
		{ "99999999999999999999999999999999999999999", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1.5", -EINVAL, 0 },
		{ "1.", -EINVAL, 0 },
		{ ".5K", -EINVAL, 0 },
		{ "12x", -EINVAL, 0 },
		{ "1KiBs", -EINVAL, 0 },
		{ "MiB", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 0;
		int r = size_parse(cases[i].text, &bytes);

		if (r != cases[i].r || bytes != cases[i].bytes)
			fail_msg("\"%s\": %d, %llu", cases[i].text, r, (unsigned long long)bytes);
	}
}

static void test_size_format(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *want;
	} cases[] = {
		{ 0, "0 B" },
		{ 1023, "1023 B" },
		{ 1024, "1 KiB" },
		{ 1536, "1.5 KiB" },
		{ 256ull << 20, "256 MiB" },
		{ 1610612736, "1.5 GiB" },
		{ UINT64_MAX, "16.0 EiB" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(size_format(cases[i].bytes, buf, sizeof(buf)), cases[i].want);
}

static size_t count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void test_files(void **state)
{
	char *dir = test_dir_new();
	_cleanup_free_ char *path = xasprintf("%s/x/y/z", dir), *file = xasprintf("%s/f", path);
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	struct stat st;
	int r;

	(void)state;
	assert_int_equal(mkdir_p(path, 0755), 0);
	assert_int_equal(mkdir_p(path, 0755), 0);
	assert_int_equal(file_write_atomic(file, "hello", 5, 0640), 0);
	assert_int_equal(file_write_atomic(file, "world!", 6, 0600), 0);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_read(file, 5, &text, &len), -EFBIG);
	assert_null(text);
	assert_int_equal(file_read(file, 6, &text, &len), 0);
	assert_string_equal(text, "world!");
	assert_int_equal(len, 6);
	assert_int_equal(count_entries(path), 1); /* no temporary file stays */
	assert_int_equal(mkdir_p(file, 0755), -ENOTDIR);
	assert_int_equal(file_read("/nonexistent/file", 10, &text, &len), -ENOENT);
	assert_int_equal(file_write_atomic("/nonexistent/file", "x", 1, 0600), -ENOENT);
	/* the target is a directory: the rename fails, and nothing is left over */
	assert_int_equal(file_write_atomic(path, "x", 1, 0600), -EISDIR);
	FOR_EACH_ALLOC_FAILURE(r = file_write_atomic(file, "x", 1, 0600))
	{
		assert_int_equal(r, alloc_failed ? -ENOMEM : 0);
	}
	assert_int_equal(count_entries(path), 1);
	test_dir_remove(dir);
}

static void test_whole_reads(void **state)
{
	char buf[4];
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write_full(p[1], "abc", 3), 0);
	close(p[1]);
	assert_int_equal(read_full(p[0], buf, 4), -ENODATA);
	close(p[0]);
	assert_int_equal(read_full(-1, buf, 1), -EBADF);
}

static size_t open_fds(void)
{
	return count_entries("/proc/self/fd");
}

static void test_descriptor_passing(void **state)
{
	int sv[2], fds[16], got[16];
	size_t before, n;
	char buf[8];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	for (size_t i = 0; i < 16; i++)
		fds[i] = sv[0];
	before = open_fds();
	assert_int_equal(sock_send_fds(sv[0], "hi", 2, fds, 16), 0);
	n = 16;
	assert_int_equal(sock_recv_fds(sv[1], buf, sizeof(buf), got, &n), 2);
	assert_int_equal(n, 16);
	for (size_t i = 0; i < n; i++) {
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
		close(got[i]);
	}
	/* more than there is room for: all closed */
	assert_int_equal(sock_send_fds(sv[0], "hi", 2, fds, 3), 0);
	n = 2;
	assert_int_equal(sock_recv_fds(sv[1], buf, sizeof(buf), got, &n), -EMSGSIZE);
	assert_int_equal(n, 0);
	/* the message is longer than the room: the descriptors go too */
	assert_int_equal(sock_send_fds(sv[0], "123456789", 9, fds, 3), 0);
	n = 16;
	assert_int_equal(sock_recv_fds(sv[1], buf, sizeof(buf), got, &n), -EMSGSIZE);
	assert_int_equal(n, 0);
	/* without room */
	assert_int_equal(sock_send_fds(sv[0], "hi", 2, fds, 1), 0);
	assert_int_equal(sock_recv_fds(sv[1], buf, sizeof(buf), NULL, NULL), -EMSGSIZE);
	assert_int_equal(open_fds(), before);
	assert_int_equal(sock_send_fds(sv[0], "hi", 2, fds, 17), -EINVAL);
	close(sv[0]);
	n = 16;
	assert_int_equal(sock_recv_fds(sv[1], buf, sizeof(buf), got, &n), 0);
	assert_int_equal(sock_send_fds(sv[1], "hi", 2, NULL, 0), -EPIPE);
	close(sv[1]);
}

static void test_listening(void **state)
{
	char *dir = test_dir_new();
	_cleanup_free_ char *path = xasprintf("%s/s", dir), *far = xasprintf("%s/%0120d", dir, 0),
			    *nowhere = xasprintf("%s/none/s", dir);
	struct err err = { 0 };
	struct stat st;
	(void)state;

	int fd = sock_listen(path, SOCK_SEQPACKET, 4, "tested", &err);
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);
	assert_int_equal(sock_listen(path, SOCK_SEQPACKET, 4, "tested", &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another tested serves"));
	close(fd); /* the socket stays, and nobody serves it */
	fd = sock_listen(path, SOCK_STREAM, 4, "tested", &err);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sock_listen(far, SOCK_STREAM, 4, "tested", &err), -ENAMETOOLONG);
	assert_int_equal(sock_listen(nowhere, SOCK_STREAM, 4, "tested", &err), -ENOENT);
	test_dir_remove(dir);
}

static void test_paths(void **state)
{
	(void)state;
	unsetenv("HOSPES_RUNDIR");
	assert_string_equal(path_run(), "/run/hospes");
	setenv("HOSPES_RUNDIR", "/tmp/elsewhere", 1);
	assert_string_equal(path_run(), "/tmp/elsewhere");
	setenv("HOSPES_RUNDIR", "", 1);
	assert_string_equal(path_run(), "/run/hospes");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_tidy),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_size_format),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_whole_reads),
		cmocka_unit_test(test_descriptor_passing),
		cmocka_unit_test(test_listening),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
