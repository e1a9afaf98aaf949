/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See kernelfile.h. */
#include "config.h"
#include "hypervisor/pv/kernelfile.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "common/util.h"

/*
 * stub_segv_handler begins "mov %rsp,%rax; and $-4096,%rax; mov off(%rdx),%rcx": it finds its page by the stack pointer and
 * reads the fault from the context in rdx. The clone handler has the same beginning but no (%rdx).
 */
static int find_segv_handler(const uint8_t *p, size_t len, uint64_t *ret)
{
	static const uint8_t prologue[] = { 0x48, 0x89, 0xe0, 0x48, 0x25, 0x00, 0xf0, 0xff, 0xff, 0x48, 0x8b };

	for (size_t i = 0; i + sizeof(prologue) + 1 < len; i++) {
		uint8_t modrm = p[i + sizeof(prologue)];
		if (!memcmp(p + i, prologue, sizeof(prologue)) && (modrm & 0xc7) == 0x82) {
			*ret = PV_STUB_CODE + i;
			return 0;
		}
	}
	return -ENOEXEC;
}

int pv_kernel_look(const uint8_t *p, size_t len, uint64_t *ret_handler)
{
	const Elf64_Ehdr *h = (const void *)p;

	if (len < sizeof(*h) || memcmp(p, ELFMAG, SELFMAG) || h->e_machine != EM_X86_64 || h->e_type != ET_EXEC ||
	    h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shoff > len || h->e_shoff % _Alignof(Elf64_Shdr) ||
	    (len - h->e_shoff) / sizeof(Elf64_Shdr) < h->e_shnum || h->e_shstrndx >= h->e_shnum)
		return -ENOEXEC;
	const Elf64_Shdr *s = (const void *)(p + h->e_shoff), *names = &s[h->e_shstrndx];
	for (unsigned i = 0; i < h->e_shnum; i++) {
		static const char want[] = ".syscall_stub";
		uint64_t at = names->sh_offset + s[i].sh_name;
		if (names->sh_offset > len || at > len || len - at < sizeof(want) || memcmp(p + at, want, sizeof(want)))
			continue;
		if (s[i].sh_offset > len || s[i].sh_size > len - s[i].sh_offset || s[i].sh_size > PAGE_BYTES)
			return -ENOEXEC;
		return find_segv_handler(p + s[i].sh_offset, s[i].sh_size, ret_handler);
	}
	return -ENOEXEC;
}

static int open_one(struct pv_files *f, const char *path, struct err *err)
{
	char *real = realpath(path, NULL);
	int fd = real ? open(real, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
	              : -1; /* a pipe in its place must not block us */
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int e = errno;
		if (fd >= 0)
			close(fd);
		free(real);
		return err_sys(
			err, e,
			"cannot open the guest kernel's file %s (package user-mode-linux brings /usr/bin/linux.uml)",
			path);
	}
	f->file[f->n].path = real;
	f->file[f->n].size = (uint64_t)st.st_size;
	f->fd[f->n] = fd;
	f->n++;
	void *p = st.st_size > 0 && S_ISREG(st.st_mode) ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
	                                                : MAP_FAILED;
	if (p == MAP_FAILED)
		return err_set(err, ENOEXEC, "%s is not a program", real);
	XXH128_hash_t h = XXH3_128bits(p, (size_t)st.st_size);
	f->file[f->n - 1].id[0] = h.low64;
	f->file[f->n - 1].id[1] = h.high64;
	int r = f->n == 1 ? pv_kernel_look(p, (size_t)st.st_size, &f->segv_handler) : 0;
	munmap(p, (size_t)st.st_size);
	if (r < 0)
		return err_set(
			err, ENOEXEC,
			"%s is not a user-mode Linux kernel that Hospes knows (x86-64, at a fixed address, with a stub page)",
			real);
	return 0;
}

int pv_files_open(struct pv_files *f, const char *kernel, struct err *err)
{
	const char *const want[] = { kernel, "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6" };
	int r = 0;

	*f = (struct pv_files){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(want) && !r; i++)
		r = open_one(f, want[i], err);
	if (r < 0)
		pv_files_done(f);
	return r;
}

void pv_files_done(struct pv_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->file[i].path);
		close(f->fd[i]);
	}
	*f = (struct pv_files){ 0 };
}

int pv_files_match(const struct pv_files *f, const struct pv_image *im, struct err *err)
{
	if (im->n_files != f->n)
		return err_set(err, EXDEV, "the guest's kernel is made of %zu files, here it is %zu", im->n_files,
		               f->n);
	for (size_t i = 0; i < f->n; i++)
		if (im->file[i].size != f->file[i].size || memcmp(im->file[i].id, f->file[i].id, sizeof(f->file[i].id)))
			return err_set(err, EXDEV,
			               "%s differs from the guest's %s: install the same version on both hosts",
			               f->file[i].path, im->file[i].path);
	return 0;
}

void pv_files_id(const struct pv_files *f, char out[40])
{
	uint64_t all[PV_FILES_MAX * 2] = { 0 };

	for (size_t i = 0; i < f->n; i++) {
		all[2 * i] = f->file[i].id[0];
		all[2 * i + 1] = f->file[i].id[1];
	}
	XXH128_hash_t h = XXH3_128bits(all, sizeof(all));
	snprintf(out, 40, "%016" PRIx64 "%016" PRIx64, h.high64, h.low64);
}
