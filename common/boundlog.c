/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See boundlog.h. */
#include "config.h"
#include "common/boundlog.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES 16384u /* the writers' threads have small stacks */

void boundlog_init(struct boundlog *b, int fd, int old, uint64_t piece)
{
	struct stat st;

	*b = (struct boundlog){ .fd = fd, .old = old, .piece = piece };
	if (fd >= 0 && fstat(fd, &st) == 0)
		b->size = (uint64_t)st.st_size;
}

void boundlog_done(struct boundlog *b)
{
	if (b->fd >= 0)
		close(b->fd);
	if (b->old >= 0)
		close(b->old);
	b->fd = b->old = -1;
}

/* The last piece of the file, which may have grown beyond one in other hands, becomes FILE.1. */
static int copy(struct boundlog *b)
{
	uint64_t from = b->size > b->piece ? b->size - b->piece : 0;
	char buf[COPY_BYTES];

	if (b->old < 0)
		return -EBADF;
	if (ftruncate(b->old, 0) < 0)
		return -errno;
	for (off_t to = 0; from < b->size;) {
		ssize_t n = pread(b->fd, buf, sizeof(buf), (off_t)from);
		if (n > 0)
			n = pwrite(b->old, buf, (size_t)n, to);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		from += (uint64_t)n;
		to += n;
	}
	return 0;
}

static int turn(struct boundlog *b)
{
	struct stat st;

	if (fstat(b->fd, &st) < 0)
		return -errno;
	b->size = (uint64_t)st.st_size; /* somebody may have emptied it */
	if (b->size < b->piece)
		return 0;
	int r = copy(b);
	if (ftruncate(b->fd, 0) < 0)
		return -errno;
	b->size = 0;
	return r;
}

int boundlog_put(struct boundlog *b, const void *p, size_t len)
{
	const char *s = p;
	int r = 0;

	while (b->fd >= 0 && len) {
		if (b->size >= b->piece) {
			int e = turn(b);
			r = r < 0 ? r : e;
			if (b->size >= b->piece)
				return r < 0 ? r : -EFBIG;
		}
		size_t k = len < b->piece - b->size ? len : (size_t)(b->piece - b->size);
		ssize_t n = write(b->fd, s, k);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		b->size += (uint64_t)n;
		s += n;
		len -= (size_t)n;
	}
	return r;
}
