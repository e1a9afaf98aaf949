/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hashes and copies of large files, see filehash.h. */
#include "config.h"
#include "tools/filehash.h"

#include <errno.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (1u << 20)

struct work {
	const char *what;
	const struct vmhost_while *w;
	gcry_md_hd_t md;
	uint64_t total;
	int from, to;       /* to: -1, only the hash is wanted */
	unsigned char *buf; /* PIECE octets */
};

static const unsigned char zeros[65536];

static void hash_zeros(struct work *k, uint64_t len)
{
	for (size_t n; len; len -= n) {
		n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
		gcry_md_write(k->md, zeros, n);
	}
}

static int stopped(const struct work *k, uint64_t done)
{
	if (k->w->step)
		k->w->step(k->w->arg, k->what, done, k->total);
	return k->w->stop && *k->w->stop ? -EINTR : 0;
}

/* What stands between @at and @end. */
static int data(struct work *k, uint64_t at, uint64_t end)
{
	while (at < end) {
		size_t want = end - at < PIECE ? (size_t)(end - at) : PIECE;
		ssize_t n = pread(k->from, k->buf, want, (off_t)at);
		int r = stopped(k, at);

		if (r < 0)
			return r;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA; /* it became shorter */
		gcry_md_write(k->md, k->buf, (size_t)n);
		for (size_t i = 0; k->to >= 0 && i < (size_t)n;) {
			ssize_t put = pwrite(k->to, k->buf + i, (size_t)n - i, (off_t)(at + i));

			if (put < 0 && errno != EINTR)
				return -errno;
			i += put > 0 ? (size_t)put : 0;
		}
		at += (uint64_t)n;
	}
	return 0;
}

static int all(struct work *k)
{
	uint64_t at = 0;
	int r = 0;

	while (!r && at < k->total) {
		off_t begin = lseek(k->from, (off_t)at, SEEK_DATA), end;

		if (begin < 0 && errno != ENXIO) /* the file system does not know */
			return data(k, at, k->total);
		if (begin < 0 || (uint64_t)begin > k->total)
			begin = (off_t)k->total;
		for (uint64_t n; !r && at < (uint64_t)begin; at += n) { /* a hole can be large */
			n = (uint64_t)begin - at < (64u << 20) ? (uint64_t)begin - at : 64u << 20;
			hash_zeros(k, n);
			r = stopped(k, at);
		}
		if (r < 0 || at >= k->total)
			break;
		end = lseek(k->from, begin, SEEK_HOLE);
		if (end < 0 || (uint64_t)end > k->total)
			end = (off_t)k->total;
		r = data(k, at, (uint64_t)end);
		at = (uint64_t)end;
	}
	return r;
}

static int run(int from, int to, const char *what, const struct vmhost_while *w, char ret[SHA256_TEXT])
{
	struct work k = { .what = what, .w = w, .from = from, .to = to, .buf = malloc(PIECE) };
	struct stat st;
	int r = 0;

	if (!gcry_check_version(NULL) || gcry_md_open(&k.md, GCRY_MD_SHA256, 0))
		k.md = NULL;
	if (!k.buf || !k.md)
		r = -ENOMEM;
	else if (fstat(from, &st) < 0)
		r = -errno;
	if (!r) {
		k.total = (uint64_t)st.st_size;
		r = all(&k);
	}
	if (w->stepped)
		w->stepped(w->arg);
	if (!r) {
		const unsigned char *sum = gcry_md_read(k.md, GCRY_MD_SHA256);

		for (int i = 0; i < 32; i++)
			snprintf(ret + 2 * i, 3, "%02x", sum[i]);
	}
	if (k.md)
		gcry_md_close(k.md);
	free(k.buf);
	return r;
}

static int open_source(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "open %s", path) : fd;
}

int file_sha256(const char *path, const char *what, const struct vmhost_while *w, char ret[SHA256_TEXT],
                struct err *err)
{
	_cleanup_close_ int fd = open_source(path, err);
	int r = fd < 0 ? fd : run(fd, -1, what, w, ret);

	if (r == -EINTR)
		return err_set(err, EINTR, "interrupted");
	return r < 0 && fd >= 0 ? err_sys(err, r, "read %s", path) : r;
}

int file_copy(const char *from, const char *to, mode_t mode, const char *what, const struct vmhost_while *w,
              char ret[SHA256_TEXT], struct err *err)
{
	_cleanup_close_ int in = open_source(from, err);
	_cleanup_close_ int out = in < 0 ? -1 : open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	struct stat st;
	int r = 0;

	if (in < 0)
		return in;
	if (out < 0)
		return err_sys(err, errno, "make %s", to);
	if (!ioctl(out, FICLONE, in)) /* the hash is then of what the copy has */
		r = run(out, -1, what, w, ret);
	else if (fstat(in, &st) < 0 || ftruncate(out, st.st_size) < 0)
		r = -errno;
	else
		r = run(in, out, what, w, ret);
	if (!r && fsync(out) < 0)
		r = -errno;
	if (r == -EINTR)
		return err_set(err, EINTR, "interrupted");
	return r < 0 ? err_sys(err, r, "copy %s to %s", from, to) : 0;
}

bool sha256_is_valid(const char *text)
{
	return strlen(text) == SHA256_TEXT - 1 && strspn(text, "0123456789abcdefABCDEF") == SHA256_TEXT - 1;
}
