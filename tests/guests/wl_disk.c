/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disk worker of the test guest: writes files with known content to the file system on the virtio disk, syncs them, drops them
 * from the page cache, reads them back and checks every octet. On a disk without a file system it does the same with raw blocks.
 * `/data/PROGRESS` (or block 0) says what was stable before a crash or move: it is checked at the next start.
 */
#include "tests/guests/wl_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES     16
#define RAW_SLOTS 16
#define CHUNK     (256u * 1024)

struct disk_mode {
	const char *name;
	bool raw;
	int fd;         /* raw: the device */
	uint64_t slots; /* pieces written in turn */
	uint8_t *io;    /* CHUNK octets, page aligned */
};

static uint64_t piece_seed(uint64_t n)
{
	return 0x6469736bu ^ (n << 8);
}

static int piece_open(const struct disk_mode *d, uint64_t n, int flags)
{
	char path[64];

	if (d->raw)
		return d->fd;
	snprintf(path, sizeof(path), "/data/f%llu", (unsigned long long)(n % d->slots));
	return open(path, flags | O_CLOEXEC, 0600);
}

static void piece_close(const struct disk_mode *d, int fd)
{
	if (!d->raw)
		close(fd);
}

/* Piece 0 of the file or device starts with its number, so that a later boot knows what it should find. */
static bool piece_write(struct wl_slot *s, const struct disk_mode *d, uint64_t n)
{
	off_t at = d->raw ? (off_t)((n % d->slots) * CHUNK) : 0;
	int fd = piece_open(d, n, O_RDWR | O_CREAT);
	bool ok;

	if (fd < 0) {
		wl_error(s, "piece %llu: open: %s", (unsigned long long)n, strerror(errno));
		return false;
	}
	wl_pattern(d->io, CHUNK, piece_seed(n));
	memcpy(d->io, &n, sizeof(n));
	ok = pwrite(fd, d->io, CHUNK, at) == (ssize_t)CHUNK && fdatasync(fd) == 0;
	if (!ok)
		wl_error(s, "piece %llu: write: %s", (unsigned long long)n, strerror(errno));
	posix_fadvise(fd, at, CHUNK, POSIX_FADV_DONTNEED);
	piece_close(d, fd);
	return ok;
}

/* Check what stands in the place of piece @n. Returns its number, or UINT64_MAX. @blank_ok: a place never written is fine. */
static uint64_t piece_read(struct wl_slot *s, const struct disk_mode *d, uint64_t n, bool blank_ok)
{
	off_t at = d->raw ? (off_t)((n % d->slots) * CHUNK) : 0;
	int fd = piece_open(d, n, O_RDWR);
	uint64_t found;
	ssize_t r;
	long bad;

	if (fd < 0) {
		if (!blank_ok)
			wl_error(s, "piece %llu: open: %s", (unsigned long long)n, strerror(errno));
		return UINT64_MAX;
	}
	r = pread(fd, d->io, CHUNK, at);
	posix_fadvise(fd, at, CHUNK, POSIX_FADV_DONTNEED);
	piece_close(d, fd);
	if (r != (ssize_t)CHUNK) {
		if (!(blank_ok && r == 0))
			wl_error(s, "piece %llu: read %zd octets: %s", (unsigned long long)n, r, strerror(errno));
		return UINT64_MAX;
	}
	memcpy(&found, d->io, sizeof(found));
	if (blank_ok && found == 0)
		return UINT64_MAX;
	bad = wl_check(d->io, CHUNK, piece_seed(found));
	/* the first word holds the number in place of pattern */
	if (bad == 0) {
		uint64_t first;

		wl_pattern(&first, sizeof(first), piece_seed(found));
		memcpy(d->io, &first, sizeof(first));
		bad = wl_check(d->io, CHUNK, piece_seed(found));
	}
	if (bad >= 0 && !blank_ok)
		wl_error(s, "piece %llu (found %llu): wrong at octet %ld", (unsigned long long)n,
		         (unsigned long long)found, bad);
	/* at start a torn last piece is what a power loss leaves; older pieces were synced and must be whole */
	return bad >= 0 ? UINT64_MAX : found;
}

static bool disk_open(struct wl_slot *s, struct disk_mode *d)
{
	void *p = NULL;

	if (posix_memalign(&p, WL_PAGE_BYTES, CHUNK)) {
		wl_error(s, "no memory");
		return false;
	}
	d->io = p;
	mkdir("/data", 0700);
	d->fd = -1;
	if (mount(wl->disk, "/data", "ext4", MS_NOATIME, NULL) == 0 || errno == EBUSY) {
		d->name = "files on ext4";
		d->slots = FILES;
		return true;
	}
	d->raw = true;
	d->name = "raw blocks";
	d->slots = RAW_SLOTS;
	d->fd = open(wl->disk, O_RDWR | O_CLOEXEC);
	if (d->fd < 0)
		wl_error(s, "%s: %s", wl->disk, strerror(errno));
	return d->fd >= 0;
}

/* What an earlier boot left: each place holds a whole piece or none; numbers lie within one turn of each other, one torn at most. */
static uint64_t disk_resume(struct wl_slot *s, const struct disk_mode *d)
{
	uint64_t highest = 0, torn = 0;
	uint64_t found[RAW_SLOTS > FILES ? RAW_SLOTS : FILES];

	for (uint64_t i = 0; i < d->slots; i++) {
		found[i] = piece_read(s, d, i, true);
		if (found[i] != UINT64_MAX && found[i] > highest)
			highest = found[i];
	}
	for (uint64_t i = 0; i < d->slots; i++) {
		if (found[i] == UINT64_MAX && highest >= d->slots)
			torn++;
		else if (found[i] != UINT64_MAX && (found[i] % d->slots != i || found[i] + d->slots <= highest))
			wl_error(s, "place %llu holds piece %llu after %llu", (unsigned long long)i,
			         (unsigned long long)found[i], (unsigned long long)highest);
	}
	if (torn > 1)
		wl_error(s, "%llu synced pieces are lost", (unsigned long long)torn);
	return highest + 1;
}

void wl_disk(struct wl_slot *s)
{
	struct disk_mode d = { 0 };
	uint64_t n;

	if (!disk_open(s, &d))
		return;
	n = disk_resume(s, &d);
	printf("workload: disk %s: %s, first piece %llu\n", wl->disk, d.name, (unsigned long long)n);
	fflush(stdout);
	for (;; n++) {
		uint64_t old = n > d.slots ? n - d.slots + 1 : 1;
		uint64_t got;

		if (!piece_write(s, &d, n)) {
			wl_sleep_ns(1000000000);
			continue;
		}
		got = piece_read(s, &d, n, false);
		if (got != UINT64_MAX && got != n)
			wl_error(s, "read piece %llu back, wrote %llu", (unsigned long long)got, (unsigned long long)n);
		/* and the oldest one that must still be there, if this run wrote it */
		if (s->count >= d.slots) {
			got = piece_read(s, &d, old, false);
			if (got != UINT64_MAX && got != old)
				wl_error(s, "read piece %llu in place of %llu", (unsigned long long)got,
				         (unsigned long long)old);
		}
		atomic_fetch_add(&s->count, 1);
		wl_sleep_ns(100000000);
	}
}
