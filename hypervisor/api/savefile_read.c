/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads save files: see savefile.h. The file may be anybody's: each number is checked before it is used. */
#include "config.h"
#include "hypervisor/api/savefile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <lz4.h>
#include <xxhash.h>
#include "common/util.h"

#define RUN_BYTES  (SAVEFILE_RUN_PAGES * PAGE_BYTES)
#define IN_BYTES   (1u << 20)
#define REGION_MAX (1ull << 46)

struct savefile_in {
	char *path;
	int fd;
	uint64_t file_bytes;
	uint64_t body_at; /* offset of the first run */
	struct savefile_meta meta;
	XXH3_state_t *hash; /* of what was taken since the beginning */
	uint64_t taken;     /* octets taken: position for messages and progress */
	size_t at, have;    /* of buf */
	uint8_t buf[IN_BYTES];
	uint8_t packed[RUN_BYTES];
	uint8_t pages[RUN_BYTES];
};

/* Where the contents of a pass go; descriptors -1: nowhere. */
struct sink {
	const int *region_fds; /* NULL: only check */
	int state_fd;
};

static int damaged(struct savefile_in *in, struct err *err, const char *what)
{
	return err_set(err, EBADMSG, "%s: damaged or no save file: %s near octet %" PRIu64, in->path, what, in->taken);
}

/* Take @len octets; they are hashed unless @raw. */
static int take(struct savefile_in *in, void *p, size_t len, bool raw, struct err *err)
{
	uint8_t *to = p;

	while (len) {
		size_t n = in->have - in->at;

		if (!n) {
			ssize_t got;

			do
				got = read(in->fd, in->buf, sizeof(in->buf));
			while (got < 0 && errno == EINTR);
			if (got < 0)
				return err_sys(err, errno, "read %s", in->path);
			if (!got)
				return damaged(in, err, "it ends too early");
			in->at = 0;
			in->have = (size_t)got;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(to, in->buf + in->at, n);
		if (!raw)
			XXH3_64bits_update(in->hash, to, n);
		in->at += n;
		in->taken += n;
		to += n;
		len -= n;
	}
	return 0;
}

static int check_header(struct savefile_in *in, const struct savefile_header *h, struct err *err)
{
	if (memcmp(h->magic, "HOSPSAVE", 8))
		return err_set(err, EBADMSG, "%s: is no file of vmctl save", in->path);
	if (h->version != SAVEFILE_VERSION || h->header_bytes != sizeof(*h))
		return err_set(err, EPROTONOSUPPORT, "%s: has format version %u, this program reads %u", in->path,
		               h->version, SAVEFILE_VERSION);
	if (!h->xml_bytes || h->xml_bytes > SAVEFILE_XML_MAX)
		return damaged(in, err, "size of the XML");
	if (!h->n_regions || h->n_regions > HV_REGIONS_MAX)
		return damaged(in, err, "number of memory regions");
	if (h->state_bytes > SAVEFILE_STATE_MAX || h->state_bytes > in->file_bytes)
		return damaged(in, err, "size of the state");
	return 0;
}

static int read_head(struct savefile_in *in, struct err *err)
{
	struct savefile_meta *m = &in->meta;
	struct savefile_header h;
	int r = take(in, &h, sizeof(h), false, err);

	if (!r)
		r = check_header(in, &h, err);
	if (r < 0)
		return r;
	memcpy(m->engine, h.engine, sizeof(h.engine));
	memcpy(m->kernel_id, h.kernel_id, sizeof(h.kernel_id));
	m->created_s = h.created_s;
	m->generation = h.generation;
	m->state_bytes = h.state_bytes;
	m->n_regions = h.n_regions;
	m->xml_len = h.xml_bytes;
	m->xml = calloc(1, m->xml_len + 1);
	if (!m->xml)
		return err_sys(err, ENOMEM, "read %s", in->path);
	r = take(in, m->xml, m->xml_len, false, err);
	if (!r)
		r = take(in, m->region, m->n_regions * sizeof(m->region[0]), false, err);
	for (uint32_t i = 0; !r && i < m->n_regions; i++) {
		uint64_t size = m->region[i].size_bytes;

		m->region[i].name[sizeof(m->region[i].name) - 1] = 0;
		if (!size || size % PAGE_BYTES || size > REGION_MAX)
			r = damaged(in, err, "size of a memory region");
	}
	return r;
}

/* To the first octet, with nothing hashed. */
static int start_over(struct savefile_in *in, struct err *err)
{
	if (lseek(in->fd, 0, SEEK_SET) < 0)
		return err_sys(err, errno, "read %s", in->path);
	in->at = in->have = 0;
	in->taken = 0;
	XXH3_64bits_reset(in->hash);
	return 0;
}

int savefile_open_fd(int fd, const char *path, struct savefile_in **ret, struct err *err)
{
	_cleanup_savefile_in_ struct savefile_in *in = calloc(1, sizeof(*in));
	struct stat st;
	int r;

	if (!in) {
		close(fd);
		return err_sys(err, ENOMEM, "read %s", path);
	}
	in->fd = fd;
	in->path = strdup(path);
	in->hash = XXH3_createState();
	if (!in->path || !in->hash)
		return err_sys(err, ENOMEM, "read %s", path);
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "read %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s: is no regular file", path);
	in->file_bytes = (uint64_t)st.st_size;
	r = start_over(in, err);
	if (!r)
		r = read_head(in, err);
	if (r < 0)
		return r;
	in->body_at = in->taken;
	*ret = steal_ptr(&in);
	return 0;
}

int savefile_open(const char *path, struct savefile_in **ret, struct err *err)
{
	/* not blocked by a pipe of that name */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_sys(err, errno, "open %s", path);
	return savefile_open_fd(fd, path, ret, err);
}

const struct savefile_meta *savefile_meta(const struct savefile_in *in)
{
	return &in->meta;
}

static int pwrite_full(int fd, const void *p, size_t len, off_t at)
{
	const uint8_t *from = p;

	while (len) {
		ssize_t n = pwrite(fd, from, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The pages of @run, checked against @last (region and page after the run before). */
static int take_run(struct savefile_in *in, const struct savefile_run *run, struct savefile_run *last,
                    const struct sink *sink, struct err *err)
{
	uint32_t raw = run->n_pages * PAGE_BYTES;
	uint64_t pages;
	int r;

	if (run->region >= in->meta.n_regions || run->n_pages > SAVEFILE_RUN_PAGES)
		return damaged(in, err, "a run of pages");
	pages = in->meta.region[run->region].size_bytes / PAGE_BYTES;
	if (run->first_page >= pages || run->n_pages > pages - run->first_page)
		return damaged(in, err, "pages outside the memory");
	if (run->region < last->region || (run->region == last->region && run->first_page < last->first_page))
		return damaged(in, err, "pages out of order");
	if (run->coding > 1 || (run->coding ? run->data_bytes >= raw || !run->data_bytes : run->data_bytes != raw))
		return damaged(in, err, "coding of pages");
	r = take(in, run->coding ? in->packed : in->pages, run->data_bytes, false, err);
	if (r < 0)
		return r;
	if (run->coding && LZ4_decompress_safe((const char *)in->packed, (char *)in->pages, (int)run->data_bytes,
	                                       (int)raw) != (int)raw)
		return damaged(in, err, "compressed pages");
	last->region = run->region;
	last->first_page = run->first_page + run->n_pages;
	if (!sink->region_fds)
		return 0;
	r = pwrite_full(sink->region_fds[run->region], in->pages, raw, (off_t)(run->first_page * PAGE_BYTES));
	return r < 0 ? err_sys(err, r, "fill memory of the domain") : 0;
}

static int take_runs(struct savefile_in *in, const struct sink *sink, const struct savefile_progress *progress,
                     struct err *err)
{
	struct savefile_run run, last = { 0 };
	uint64_t told = 0;

	for (;;) {
		int r = take(in, &run, sizeof(run), false, err);

		if (r < 0)
			return r;
		if (!run.n_pages) {
			static const struct savefile_run end;

			return memcmp(&run, &end, sizeof(end)) ? damaged(in, err, "the end of the pages") : 0;
		}
		r = take_run(in, &run, &last, sink, err);
		if (r < 0)
			return r;
		if (progress && progress->fn && in->taken - told >= IN_BYTES) {
			told = in->taken;
			if (!progress->fn(progress->arg, in->taken, in->file_bytes))
				return err_set(err, ECANCELED, "read %s: cancelled", in->path);
		}
	}
}

static int take_state(struct savefile_in *in, const struct sink *sink, struct err *err)
{
	for (uint64_t at = 0; at < in->meta.state_bytes;) {
		uint64_t left = in->meta.state_bytes - at;
		size_t len = left < RUN_BYTES ? (size_t)left : RUN_BYTES;
		int r = take(in, in->pages, len, false, err);

		if (!r && sink->state_fd >= 0) {
			r = pwrite_full(sink->state_fd, in->pages, len, (off_t)at);
			if (r < 0)
				return err_sys(err, r, "state of the domain");
		}
		if (r < 0)
			return r;
		at += len;
	}
	return 0;
}

static int take_trailer(struct savefile_in *in, struct err *err)
{
	uint64_t want = XXH3_64bits_digest(in->hash);
	struct savefile_trailer t;
	uint8_t more;
	int r = take(in, &t, sizeof(t), true, err);

	if (r < 0)
		return r;
	if (memcmp(t.end_magic, "HOSPEND", 8))
		return damaged(in, err, "its end");
	if (t.hash != want)
		return err_set(err, EBADMSG, "%s: damaged: the checksum is wrong; restore it from a backup", in->path);
	if (in->at != in->have || read(in->fd, &more, 1) != 0)
		return damaged(in, err, "something follows its end");
	return 0;
}

static int go_through(struct savefile_in *in, const struct sink *sink, const struct savefile_progress *progress,
                      struct err *err)
{
	uint64_t head = in->body_at;
	int r = start_over(in, err);

	/* the head again, for the hash: a file that changed since fails there */
	while (!r && head) {
		size_t len = head < RUN_BYTES ? (size_t)head : RUN_BYTES;

		r = take(in, in->pages, len, false, err);
		head -= len;
	}
	if (!r)
		r = take_runs(in, sink, progress, err);
	if (!r)
		r = take_state(in, sink, err);
	if (!r)
		r = take_trailer(in, err);
	return r;
}

int savefile_verify(struct savefile_in *in, const struct savefile_progress *progress, struct err *err)
{
	const struct sink none = { .state_fd = -1 };

	return go_through(in, &none, progress, err);
}

int savefile_load(struct savefile_in *in, const int *region_fds, int state_fd, const struct savefile_progress *progress,
                  struct err *err)
{
	const struct sink sink = { .region_fds = region_fds, .state_fd = state_fd };

	return go_through(in, &sink, progress, err);
}

void savefile_in_free(struct savefile_in *in)
{
	if (!in)
		return;
	close(in->fd);
	XXH3_freeState(in->hash);
	free(in->meta.xml);
	free(in->path);
	free(in);
}
