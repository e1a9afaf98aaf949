/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a file of a stranger's is, by its octets, and a disk image of it: raw and qcow2 are taken as they are, the one disk of an OVA (a
 * tar with an OVF and VMDKs) is converted by qemu-img. A VMDK may name other files as its parts; such a one is refused.
 */
#include "config.h"
#include "tools/vmctl_image.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"
#include "tools/vmctl_int.h"
#include "tools/vmctl_tool.h"
#include "tools/filehash.h"

#define TAR_BLOCK       512u
#define TAR_MEMBERS_MAX 1000u
#define SECTOR          512u

/* POSIX.1-1988 "ustar" */
struct tar_head {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[6], rest[249];
};
_Static_assert(sizeof(struct tar_head) == TAR_BLOCK, "a block");

/* Octal, or base-256 as GNU tar has it for large ones. False: neither. */
static bool tar_size(const struct tar_head *h, uint64_t *ret)
{
	const unsigned char *p = (const unsigned char *)h->size;
	uint64_t v = 0;

	if (p[0] & 0x80) {
		for (int i = 4; i < 12; i++)
			v = v << 8 | p[i];
		*ret = v;
		return v <= INT64_MAX;
	}
	for (int i = 0; i < 12 && p[i] && p[i] != ' '; i++) {
		if (p[i] < '0' || p[i] > '7')
			return false;
		v = v << 3 | (uint64_t)(p[i] - '0');
	}
	*ret = v;
	return true;
}

static int copy_part(int fd, uint64_t at, uint64_t len, const char *to, struct err *err)
{
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	_cleanup_free_ char *piece = malloc(1u << 20);
	uint64_t done = 0;
	int r = out < 0 ? -errno : piece ? 0 : -ENOMEM;

	while (!r && done < len) {
		size_t want = len - done < (1u << 20) ? (size_t)(len - done) : 1u << 20;
		ssize_t n = pread(fd, piece, want, (off_t)(at + done));

		r = n < 0 ? -errno : n == 0 ? -ENODATA : write_full(out, piece, (size_t)n);
		done += n > 0 ? (uint64_t)n : 0;
		vmctl_while.step(NULL, "unpacking", done, len);
		if (vmctl_stopped)
			r = -EINTR;
	}
	vmctl_while.stepped(NULL);
	return r < 0 ? err_sys(err, r, "unpack to %s", to) : 0;
}

/* The one VMDK in the tar @file, to @to. */
static int unpack_vmdk(const char *file, const char *to, struct err *err)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	uint64_t at = 0, found_at = 0, found = 0, size;
	struct tar_head h;
	unsigned n = 0, disks = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "open %s", file);
	while (at + TAR_BLOCK <= (uint64_t)st.st_size && pread(fd, &h, sizeof(h), (off_t)at) == (ssize_t)sizeof(h) &&
	       h.name[0]) {
		size_t len = strnlen(h.name, sizeof(h.name));

		at += TAR_BLOCK;
		if (memcmp(h.magic, "ustar", 5) != 0 || !tar_size(&h, &size) || size > (uint64_t)st.st_size - at)
			return err_set(err, EINVAL, "%s is damaged: it is no whole tar file", file);
		if (++n > TAR_MEMBERS_MAX)
			return err_set(err, E2BIG, "%s has more than %u files", file, TAR_MEMBERS_MAX);
		if ((h.type == '0' || !h.type) && len > 5 && !strncasecmp(h.name + len - 5, ".vmdk", 5)) {
			disks++;
			found_at = at;
			found = size;
		}
		at += (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	}
	if (disks != 1)
		return err_set(err, ENOTSUP,
		               "%s has %u disks, and an image is of one: unpack it (tar xf), and import what "
		               "qemu-img convert -O qcow2 makes of each",
		               file, disks);
	return copy_part(fd, found_at, found, to, err);
}

/*
 * Only a VMDK that is one file: magic, and a capacity. Without one its octets are a text that names other files, any
 * of this host's.
 */
static int check_vmdk(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct {
		char magic[4];
		uint32_t version, flags;
		uint64_t capacity;
	} __attribute__((packed)) h;

	if (fd < 0 || pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || memcmp(h.magic, "KDMV", 4) != 0 ||
	    !le64toh(h.capacity))
		return err_set(err, ENOTSUP,
		               "its disk is not a VMDK in one file (sparse or streamOptimized), as OVAs have it");
	return 0;
}

static int take_ova(const char *file, const char *dir, struct err *err)
{
	_cleanup_free_ char *vmdk = xasprintf("%s/disk.vmdk", dir), *raw = xasprintf("%s/disk.raw", dir);
	const char *argv[] = { "qemu-img", "convert", "-f", "vmdk", "-O", "raw", vmdk, raw, NULL };
	struct tool t = { .argv = (char **)(uintptr_t)argv,
		          .package = "qemu-utils",
		          .doing = "convert the disk of an OVA" };
	int r = unpack_vmdk(file, vmdk, err);

	if (!r)
		r = check_vmdk(vmdk, err);
	if (!r)
		r = vmctl_tool(&t, err);
	unlink(vmdk);
	return r;
}

/* Has it the octets @p at @at? */
static bool has(const unsigned char *head, size_t len, size_t at, const char *p, size_t n)
{
	return at + n <= len && !memcmp(head + at, p, n);
}

int image_take(const char *file, const char *dir, struct err *err)
{
	static const struct {
		const char *octets, *is;
		size_t at, n;
	} not_taken[] = {
		{ "\x1f\x8b", "compressed (gzip): gunzip it first", 0, 2 },
		{ "\xfd"
		  "7zXZ",
		  "compressed (xz): unxz it first", 0, 5 },
		{ "\x28\xb5\x2f\xfd", "compressed (zstd): unzstd it first", 0, 4 },
		{ "PK\x03\x04", "a ZIP archive: unzip it first", 0, 4 },
		{ "KDMV", "a VMDK: qemu-img convert -f vmdk -O qcow2 makes one that is taken", 0, 4 },
		{ "# Disk DescriptorFile", "a VMDK: qemu-img convert -f vmdk -O qcow2 makes one that is taken", 0, 21 },
		{ "vhdxfile", "a VHDX: qemu-img convert -O qcow2 makes one that is taken", 0, 8 },
		{ "<!DOCTYPE", "a page of the web, not an image", 0, 9 },
		{ "<html", "a page of the web, not an image", 0, 5 },
	};
	unsigned char head[TAR_BLOCK] = "";
	char sum[SHA256_TEXT];
	struct stat st;
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, head, sizeof(head));

	if (len < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "read %s", file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s is not a file", file);
	for (size_t i = 0; i < ARRAY_SIZE(not_taken); i++)
		if (has(head, (size_t)len, not_taken[i].at, not_taken[i].octets, not_taken[i].n))
			return err_set(err, ENOTSUP, "%s is %s", file, not_taken[i].is);
	bool here = !strncmp(file, dir, strlen(dir)) && file[strlen(dir)] == '/';
	int r;
	if (has(head, (size_t)len, offsetof(struct tar_head, magic), "ustar", 5)) {
		r = take_ova(file, dir, err);
		if (here)
			unlink(file);
		return r;
	}
	bool qcow2 = has(head, (size_t)len, 0, "QFI\xfb", 4);
	_cleanup_free_ char *to = xasprintf("%s/disk.%s", dir, qcow2 ? "qcow2" : "raw");
	if (here)
		r = rename(file, to) < 0 ? err_sys(err, errno, "rename %s", file) : 0;
	else
		r = file_copy(file, to, 0600, "copying", &vmctl_while, sum, err);
	/* a last sector that is not whole */
	if (!r && !qcow2 && st.st_size % SECTOR && truncate(to, (st.st_size / SECTOR + 1) * SECTOR) < 0)
		r = err_sys(err, errno, "write %s", to);
	return r;
}
