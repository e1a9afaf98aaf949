/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes save files: see savefile.h. Reading is in savefile_read.c. */
#include "config.h"
#include "hypervisor/api/savefile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <lz4.h>
#include <xxhash.h>
#include "common/util.h"

#define RUN_BYTES (SAVEFILE_RUN_PAGES * PAGE_BYTES)
#define OUT_BYTES (1u << 20)

struct savefile_out {
	char *path; /* final name */
	char *tmp;  /* name while it is written; NULL: it has none (O_TMPFILE) */
	int fd;
	uint64_t size; /* octets written or buffered */
	uint64_t state_bytes;
	uint32_t n_regions, next_region;
	struct savefile_region region[HV_REGIONS_MAX];
	XXH3_state_t *hash;
	size_t used; /* of buf */
	uint8_t buf[OUT_BYTES];
	uint8_t pages[RUN_BYTES];
	uint8_t packed[LZ4_COMPRESSBOUND(RUN_BYTES)];
};

static int flush_out(struct savefile_out *o, struct err *err)
{
	int r = write_full(o->fd, o->buf, o->used);

	if (r == -ENOSPC || r == -EDQUOT)
		return err_set(err, r, "write %s: no space left; make room or choose another file system", o->path);
	if (r < 0)
		return err_sys(err, r, "write %s", o->path);
	XXH3_64bits_update(o->hash, o->buf, o->used);
	o->used = 0;
	return 0;
}

static int put(struct savefile_out *o, const void *p, size_t len, struct err *err)
{
	const uint8_t *from = p;

	o->size += len;
	while (len) {
		size_t n = sizeof(o->buf) - o->used;
		int r;

		if (n > len)
			n = len;
		memcpy(o->buf + o->used, from, n);
		o->used += n;
		from += n;
		len -= n;
		if (o->used == sizeof(o->buf) && (r = flush_out(o, err)) < 0)
			return r;
	}
	return 0;
}

static int open_unnamed(struct savefile_out *o, struct err *err)
{
	_cleanup_free_ char *copy = strdup(o->path);

	if (!copy)
		return err_sys(err, ENOMEM, "save to %s", o->path);
	o->fd = open(dirname(copy), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (o->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return err_sys(err, errno, "save to %s", o->path);
	/* this file system has no unnamed files */
	o->tmp = xasprintf("%s.XXXXXX", o->path);
	o->fd = mkostemp(o->tmp, O_CLOEXEC);
	if (o->fd < 0) {
		int r = errno;

		free(steal_ptr(&o->tmp));
		return err_sys(err, r, "save to %s", o->path);
	}
	return 0;
}

static int put_head(struct savefile_out *o, const struct savefile_meta *meta, struct err *err)
{
	struct savefile_header h = {
		.magic = { 'H', 'O', 'S', 'P', 'S', 'A', 'V', 'E' },
		.version = SAVEFILE_VERSION,
		.header_bytes = sizeof(h),
		.xml_bytes = (uint32_t)meta->xml_len,
		.n_regions = meta->n_regions,
		.state_bytes = meta->state_bytes,
		.created_s = meta->created_s,
		.generation = meta->generation,
	};
	int r;

	memcpy(h.engine, meta->engine, strnlen(meta->engine, sizeof(h.engine)));
	memcpy(h.kernel_id, meta->kernel_id, strnlen(meta->kernel_id, sizeof(h.kernel_id)));
	r = put(o, &h, sizeof(h), err);
	if (!r)
		r = put(o, meta->xml, meta->xml_len, err);
	if (!r)
		r = put(o, meta->region, meta->n_regions * sizeof(meta->region[0]), err);
	return r;
}

int savefile_create(const char *path, const struct savefile_meta *meta, struct savefile_out **ret, struct err *err)
{
	_cleanup_savefile_out_ struct savefile_out *o = NULL;
	struct stat st;
	int r;

	if (!meta->n_regions || meta->n_regions > HV_REGIONS_MAX || !meta->xml_len ||
	    meta->xml_len > SAVEFILE_XML_MAX || meta->state_bytes > SAVEFILE_STATE_MAX)
		return err_set(err, EINVAL, "save to %s: the domain does not fit the file format", path);
	if (!stat(path, &st) && !S_ISREG(st.st_mode))
		return err_set(err, EEXIST, "save to %s: is there and no regular file", path);
	o = calloc(1, sizeof(*o));
	if (!o)
		return err_sys(err, ENOMEM, "save to %s", path);
	o->fd = -1;
	o->state_bytes = meta->state_bytes;
	o->n_regions = meta->n_regions;
	memcpy(o->region, meta->region, sizeof(o->region));
	o->path = strdup(path);
	o->hash = XXH3_createState();
	if (!o->path || !o->hash || XXH3_64bits_reset(o->hash) == XXH_ERROR)
		return err_sys(err, ENOMEM, "save to %s", path);
	r = open_unnamed(o, err);
	if (!r)
		r = put_head(o, meta, err);
	if (r < 0)
		return r;
	*ret = steal_ptr(&o);
	return 0;
}

static bool is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE_BYTES - 1);
}

static int put_run(struct savefile_out *o, uint32_t region, uint64_t first, const uint8_t *pages, uint32_t n,
                   struct err *err)
{
	uint32_t raw = n * PAGE_BYTES;
	int packed = LZ4_compress_default((const char *)pages, (char *)o->packed, (int)raw, (int)sizeof(o->packed));
	bool pays = packed > 0 && (uint32_t)packed < raw;
	struct savefile_run run = {
		.region = region,
		.n_pages = n,
		.first_page = first,
		.coding = pays,
		.data_bytes = pays ? (uint32_t)packed : raw,
	};
	int r = put(o, &run, sizeof(run), err);

	return r < 0 ? r : put(o, pays ? o->packed : pages, run.data_bytes, err);
}

/* @n pages from page @first are in o->pages: write what is not zero. */
static int put_pages(struct savefile_out *o, uint32_t region, uint64_t first, uint32_t n, struct err *err)
{
	uint32_t i = 0;

	while (i < n) {
		uint32_t start;
		int r;

		while (i < n && is_zero(o->pages + (size_t)i * PAGE_BYTES))
			i++;
		start = i;
		while (i < n && !is_zero(o->pages + (size_t)i * PAGE_BYTES))
			i++;
		if (i == start)
			break;
		r = put_run(o, region, first + start, o->pages + (size_t)start * PAGE_BYTES, i - start, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int pread_full(int fd, void *p, size_t len, off_t at)
{
	uint8_t *to = p;

	while (len) {
		ssize_t n = pread(fd, to, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		to += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int savefile_put_region(struct savefile_out *o, uint32_t region, int fd, const struct savefile_progress *progress,
                        struct err *err)
{
	uint64_t size, at = 0;

	if (region != o->next_region || region >= o->n_regions)
		return err_set(err, EINVAL, "save to %s: region %u out of order", o->path, region);
	size = o->region[region].size_bytes;
	while (at < size) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		size_t len;
		int r;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			return err_sys(err, errno, "read memory of the domain");
		at = (uint64_t)data & ~(uint64_t)(PAGE_BYTES - 1);
		if (at >= size)
			break;
		len = size - at < RUN_BYTES ? (size_t)(size - at) : RUN_BYTES;
		r = pread_full(fd, o->pages, len, (off_t)at);
		if (r < 0)
			return err_sys(err, r, "read memory of the domain");
		r = put_pages(o, region, at / PAGE_BYTES, (uint32_t)(len / PAGE_BYTES), err);
		if (r < 0)
			return r;
		at += len;
		if (progress && progress->fn && !progress->fn(progress->arg, at, size))
			return err_set(err, ECANCELED, "save to %s: cancelled", o->path);
	}
	o->next_region++;
	return 0;
}

int savefile_put_state(struct savefile_out *o, int fd, struct err *err)
{
	struct savefile_run end = { 0 };
	int r;

	if (o->next_region != o->n_regions)
		return err_set(err, EINVAL, "save to %s: regions are missing", o->path);
	r = put(o, &end, sizeof(end), err);
	for (uint64_t at = 0; !r && at < o->state_bytes;) {
		uint64_t left = o->state_bytes - at;
		size_t len = left < RUN_BYTES ? (size_t)left : RUN_BYTES;

		r = pread_full(fd, o->pages, len, (off_t)at);
		if (r < 0)
			return err_sys(err, r, "read state of the domain");
		r = put(o, o->pages, len, err);
		at += len;
	}
	return r;
}

/* Give an unnamed file a temporary name, so that rename() can replace what is there. */
static int name_it(struct savefile_out *o, struct err *err)
{
	_cleanup_free_ char *link = NULL;

	if (o->tmp)
		return 0;
	link = xasprintf("/proc/self/fd/%d", o->fd);
	o->tmp = xasprintf("%s.%d.tmp", o->path, (int)getpid());
	if (linkat(AT_FDCWD, link, AT_FDCWD, o->tmp, AT_SYMLINK_FOLLOW) < 0) {
		int r = errno;

		free(steal_ptr(&o->tmp));
		return err_sys(err, r, "save to %s", o->path);
	}
	return 0;
}

int savefile_commit(struct savefile_out *o, uint64_t *ret_bytes, struct err *err)
{
	struct savefile_trailer t = { .end_magic = "HOSPEND" };
	_cleanup_free_ char *copy = NULL;
	_cleanup_close_ int dir = -1;
	int r = flush_out(o, err);

	if (r < 0)
		return r;
	t.hash = XXH3_64bits_digest(o->hash);
	r = put(o, &t, sizeof(t), err);
	if (!r)
		r = flush_out(o, err);
	if (r < 0)
		return r;
	if (fsync(o->fd) < 0)
		return err_sys(err, errno, "write %s", o->path);
	r = name_it(o, err);
	if (r < 0)
		return r;
	if (rename(o->tmp, o->path) < 0)
		return err_sys(err, errno, "save to %s", o->path);
	free(steal_ptr(&o->tmp));
	copy = strdup(o->path);
	dir = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (dir < 0 || fsync(dir) < 0) {
		r = copy ? errno : ENOMEM;
		unlink(o->path); /* a caller that is told of a failure lets the domain run on */
		return err_sys(err, r, "save to %s", o->path);
	}
	if (ret_bytes)
		*ret_bytes = o->size;
	return 0;
}

void savefile_out_free(struct savefile_out *o)
{
	if (!o)
		return;
	if (o->tmp)
		unlink(o->tmp);
	if (o->fd >= 0)
		close(o->fd);
	XXH3_freeState(o->hash);
	free(o->tmp);
	free(o->path);
	free(o);
}
