/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking into a guest kernel's file: a made-up one that is right, then hostile headers; and files that are no kernel at all. */
#include "config.h"
#include "tests/unit/testutil.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "common/util.h"
#include "hypervisor/pv/kernelfile.h"

/* header, the stub page's octets, section names, section table */
struct kernel {
	Elf64_Ehdr h;
	uint8_t stub[512];
	char names[64];
	Elf64_Shdr s[3];
};
#define HANDLER_AT 0x4d

static void make(struct kernel *k)
{
	static const uint8_t clone_handler[] = {
		0x48, 0x89, 0xe0, 0x48, 0x25, 0, 0xf0, 0xff, 0xff, 0x48, 0x8b, 0x48, 8
	};
	static const uint8_t segv_handler[] = { 0x48, 0x89, 0xe0, 0x48, 0x25, 0, 0xf0, 0xff,
		                                0xff, 0x48, 0x8b, 0x8a, 0xb0, 0, 0,    0 };

	memset(k, 0, sizeof(*k));
	memcpy(k->h.e_ident, ELFMAG, SELFMAG);
	k->h.e_type = ET_EXEC;
	k->h.e_machine = EM_X86_64;
	k->h.e_shoff = offsetof(struct kernel, s);
	k->h.e_shentsize = sizeof(Elf64_Shdr);
	k->h.e_shnum = 3;
	k->h.e_shstrndx = 1;
	memcpy(k->stub + 5, clone_handler, sizeof(clone_handler));
	memcpy(k->stub + HANDLER_AT, segv_handler, sizeof(segv_handler));
	memcpy(k->names, "\0.shstrtab\0.syscall_stub", 25);
	k->s[1] =
		(Elf64_Shdr){ .sh_name = 1, .sh_offset = offsetof(struct kernel, names), .sh_size = sizeof(k->names) };
	k->s[2] = (Elf64_Shdr){ .sh_name = 11, .sh_offset = offsetof(struct kernel, stub), .sh_size = sizeof(k->stub) };
}

/* from a copy of that size, aligned as a mapping is */
static int look(const void *p, size_t len, uint64_t *ret)
{
	void *copy = aligned_alloc(16, (len + 16) & ~15ul);

	assert_non_null(copy);
	memset(copy, 0x48, (len + 16) & ~15ul);
	memcpy(copy, p, len);
	int r = pv_kernel_look(copy, len, ret);
	free(copy);
	return r;
}

static void good(void **state)
{
	struct kernel k;
	uint64_t at = 0;
	(void)state;

	make(&k);
	assert_int_equal(look(&k, sizeof(k), &at), 0);
	assert_int_equal(at, PV_STUB_CODE + HANDLER_AT);
}

static void truncated(void **state)
{
	struct kernel k;
	uint64_t at = 1;
	(void)state;

	make(&k);
	for (size_t n = 0; n < sizeof(k); n++)
		assert_int_equal(look(&k, n, &at), -ENOEXEC);
	assert_int_equal(at, 1);
}

#define HOSTILE(name, ...)                                                                                             \
	static void name(struct kernel *k)                                                                             \
	{                                                                                                              \
		__VA_ARGS__;                                                                                           \
	}
HOSTILE(no_magic, k->h.e_ident[0] = 0)
HOSTILE(arm, k->h.e_machine = EM_AARCH64)
HOSTILE(pie, k->h.e_type = ET_DYN)
HOSTILE(small_entries, k->h.e_shentsize = 8)
HOSTILE(no_sections, k->h.e_shnum = 0)
HOSTILE(many_sections, k->h.e_shnum = 65535)
HOSTILE(one_more, k->h.e_shnum = 4)
HOSTILE(table_outside, k->h.e_shoff = sizeof(*k) + 8)
HOSTILE(table_far, k->h.e_shoff = ~7ull)
HOSTILE(table_unaligned, k->h.e_shoff -= 4)
HOSTILE(table_at_end, k->h.e_shoff = sizeof(*k) & ~7ull)
HOSTILE(names_index, k->h.e_shstrndx = 3)
HOSTILE(names_far_index, k->h.e_shstrndx = 65535)
HOSTILE(names_outside, k->s[1].sh_offset = sizeof(*k) + 1)
HOSTILE(names_far, k->s[1].sh_offset = UINT64_MAX)
HOSTILE(names_wrap, k->s[1].sh_offset = UINT64_MAX - 5; k->s[2].sh_name = offsetof(struct kernel, names) + 17)
HOSTILE(name_far, k->s[2].sh_name = UINT32_MAX)
HOSTILE(name_at_end, k->s[2].sh_name = sizeof(*k) - offsetof(struct kernel, names) - 3)
HOSTILE(other_name, k->names[12] = 'X')
HOSTILE(longer_name, k->names[24] = 'X')
HOSTILE(stub_outside, k->s[2].sh_offset = sizeof(*k) + 1)
HOSTILE(stub_far, k->s[2].sh_offset = UINT64_MAX)
HOSTILE(stub_over_end, k->s[2].sh_size = sizeof(*k) - k->s[2].sh_offset + 1)
HOSTILE(stub_endless, k->s[2].sh_size = UINT64_MAX)
HOSTILE(stub_wrap, k->s[2].sh_offset = sizeof(*k); k->s[2].sh_size = UINT64_MAX - sizeof(*k) + 200)
HOSTILE(stub_empty, k->s[2].sh_size = 0)
HOSTILE(stub_cut, k->s[2].sh_size = HANDLER_AT + 11)
HOSTILE(no_handler, k->stub[HANDLER_AT] = 0x90)
HOSTILE(two_pages, k->s[2].sh_size = 4097)

static void hostile(void **state)
{
	static const struct {
		const char *name;
		void (*fn)(struct kernel *k);
	} table[] = {
#define H(f) { #f, f }
		H(no_magic),        H(arm),           H(pie),
		H(small_entries),   H(no_sections),   H(many_sections),
		H(one_more),        H(table_outside), H(table_far),
		H(table_unaligned), H(table_at_end),  H(names_index),
		H(names_far_index), H(names_outside), H(names_far),
		H(names_wrap),      H(name_far),      H(name_at_end),
		H(other_name),      H(longer_name),   H(stub_outside),
		H(stub_far),        H(stub_over_end), H(stub_endless),
		H(stub_wrap),       H(stub_empty),    H(stub_cut),
		H(no_handler),      H(two_pages),
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct kernel k;
		uint64_t at = 1;
		make(&k);
		table[i].fn(&k);
		if (look(&k, sizeof(k), &at) != -ENOEXEC || at != 1)
			fail_msg("%s was accepted", table[i].name);
	}
}

static void flipped_bits(void **state)
{
	struct kernel k;
	(void)state;

	make(&k);
	for (size_t i = 0; i < sizeof(k) * 8; i++) {
		uint64_t at = PV_STUB_CODE;
		((uint8_t *)&k)[i / 8] ^= (uint8_t)(1u << i % 8);
		int r = look(&k, sizeof(k), &at);
		assert_true(r == 0 || r == -ENOEXEC);
		assert_true(at >= PV_STUB_CODE && at < PV_STUB_DATA);
		((uint8_t *)&k)[i / 8] ^= (uint8_t)(1u << i % 8);
	}
}

static void no_such_file(const char *path, int code)
{
	struct pv_files f;
	struct err err = { 0 };

	int r = pv_files_open(&f, path, &err);
	if (r != -code || !strstr(err.text, path))
		fail_msg("%s: %d %s", path, r, err.text);
	assert_int_equal(f.n, 0);
}

static void files(void **state)
{
	char *dir = test_dir_new();
	_cleanup_free_ char *path = xasprintf("%s/kernel", dir), *pipe = xasprintf("%s/pipe", dir),
			    *empty = xasprintf("%s/empty", dir);
	struct pv_image im = { 0 };
	struct pv_files f;
	struct kernel k;
	struct err err;
	char id[40], other[40];
	(void)state;

	make(&k);
	assert_int_equal(file_write_atomic(path, &k, sizeof(k), 0755), 0);
	if (pv_files_open(&f, path, &err))
		fail_msg("%s", err.text);
	assert_int_equal(f.n, 3);
	assert_int_equal(f.segv_handler, PV_STUB_CODE + HANDLER_AT);
	pv_files_id(&f, id);
	assert_int_equal(strlen(id), 32);
	memcpy(im.file, f.file, sizeof(im.file));
	im.n_files = f.n;
	assert_int_equal(pv_files_match(&f, &im, &err), 0);
	im.file[2].id[1] ^= 1;
	assert_int_equal(pv_files_match(&f, &im, &err), -EXDEV);
	assert_non_null(strstr(err.text, "libc"));
	im.n_files = 2;
	assert_int_equal(pv_files_match(&f, &im, &err), -EXDEV);
	pv_files_done(&f);
	/* one octet that nobody looks at is another kernel all the same */
	k.stub[511] = 1;
	assert_int_equal(file_write_atomic(path, &k, sizeof(k), 0755), 0);
	assert_int_equal(pv_files_open(&f, path, &err), 0);
	pv_files_id(&f, other);
	assert_string_not_equal(id, other);
	pv_files_done(&f);

	assert_int_equal(file_write_atomic(empty, "", 0, 0755), 0);
	no_such_file(empty, ENOEXEC);
	no_such_file("/nowhere/linux.uml", ENOENT);
	no_such_file(dir, ENOEXEC);
	no_such_file("/dev/null", ENOEXEC);
	/* must not wait for a writer */
	assert_int_equal(mkfifo(pipe, 0755), 0);
	no_such_file(pipe, ENOEXEC);
	test_dir_remove(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),         cmocka_unit_test(truncated), cmocka_unit_test(hostile),
		cmocka_unit_test(flipped_bits), cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
