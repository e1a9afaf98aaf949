/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See imgchain.h. */
#include "config.h"
#include "hypervisor/api/imgchain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include "common/util.h"

int img_file_bytes(int fd, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISBLK(st.st_mode))
		return ioctl(fd, BLKGETSIZE64, ret) < 0 ? -errno : 0;
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* As much as there is, into a buffer that O_DIRECT takes as well. */
static ssize_t read_start(int fd, void *buf, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t k = pread(fd, (uint8_t *)buf + at, len - at, (off_t)at);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (!k || k % 512)
			return (ssize_t)at + k;
		at += (size_t)k;
	}
	return (ssize_t)at;
}

int img_read_head(int fd, const char *path, const char *what, uint64_t *ret_file_bytes, struct qcow2_head *ret,
                  struct err *err)
{
	_cleanup_free_ void *buf = NULL;
	struct err why = { 0 };
	ssize_t n = posix_memalign(&buf, PAGE_BYTES, QCOW2_HEAD_MAX) ? -ENOMEM : read_start(fd, buf, QCOW2_HEAD_MAX);
	/* in this order: another host may be running it, and the file only grows */
	int r = n < 0 ? 0 : img_file_bytes(fd, ret_file_bytes);

	if (r < 0)
		n = r;
	if (n < 0)
		return err_sys(err, (int)-n, "%s: cannot read %s", what, path);
	r = qcow2_head_parse(buf, (size_t)n, *ret_file_bytes, ret, &why);
	return r < 0 ? err_set(err, r, "%s: cannot use the qcow2 image %s: %s", what, path, why.text) : 0;
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Take "." and ".." out of @path, which is absolute, in place. */
static void normalise(char *path)
{
	char *out = path;

	for (const char *s = path; *s;) {
		size_t n = strcspn(++s, "/");

		if (n == 2 && !strncmp(s, "..", 2)) {
			while (out > path && *--out != '/')
				;
		} else if (n && !(n == 1 && *s == '.')) {
			*out++ = '/';
			memmove(out, s, n);
			out += n;
		}
		s += n;
	}
	*out = 0;
}

/* The path of the backing file of @m; a relative one is beside @m. */
static int backing_path(const struct img_member *m, const char *what, char **ret, struct err *err)
{
	const char *name = m->head.backing, *colon = strchr(name, ':'), *slash = strchr(name, '/');

	if (colon && (!slash || colon < slash))
		return err_set(err, ENOTSUP,
		               "%s: the backing file of %s is '%.200s', and only plain paths are supported", what,
		               m->path, name);
	if (!*m->head.backing_format)
		return err_set(
			err, EINVAL,
			"%s: %s does not say which format its backing file %.200s has, and guessing would be unsafe: "
			"qemu-img rebase -u -b FILE -F raw|qcow2 %s",
			what, m->path, name, m->path);
	*ret = *name == '/' ? xasprintf("%s", name)
	                    : xasprintf("%.*s/%s", (int)(strrchr(m->path, '/') - m->path), m->path, name);
	normalise(*ret);
	return 0;
}

static int format_of(const struct img_member *m, const char *what, enum dom_disk_format *ret, struct err *err)
{
	const char *f = m->head.backing_format;

	if (strcmp(f, "raw") && strcmp(f, "qcow2") && strcmp(f, "host_device"))
		return err_set(err, ENOTSUP, "%s: the backing file of %s has format '%s' (raw and qcow2 are supported)",
		               what, m->path, f);
	*ret = strcmp(f, "qcow2") ? DOM_FORMAT_RAW : DOM_FORMAT_QCOW2;
	return 0;
}

/* Where descriptors come from: by path, or from somebody else. */
struct source {
	const struct path_rules *rules;
	int *fd; /* NULL: by path; else those that are left */
	size_t n;
};

static int get_fd(struct source *s, enum path_kind kind, const char *path, bool write, const char *what,
                  struct err *err)
{
	if (!s->fd)
		return path_open(s->rules, kind, path, write ? O_RDWR : O_RDONLY, what, err);
	if (!s->n || (write && (fcntl(*s->fd, F_GETFL) & O_ACCMODE) != O_RDWR))
		return err_set(err, EINVAL, "%s: no descriptor came for %s", what, path);
	s->n--;
	return steal_fd(s->fd++);
}

/* Open one image; @ret->path and ->format are set. */
static int open_member(struct source *from, enum path_kind kind, bool write, const char *what, struct img_member *ret,
                       struct err *err)
{
	ret->fd = get_fd(from, kind, ret->path, write, what, err);
	if (ret->fd < 0)
		return ret->fd;
	if (ret->format == DOM_FORMAT_QCOW2) {
		int r = img_read_head(ret->fd, ret->path, what, &ret->file_bytes, &ret->head, err);
		ret->size = ret->head.size;
		return r;
	}
	int r = img_file_bytes(ret->fd, &ret->file_bytes);
	ret->size = ret->file_bytes;
	return r < 0 ? err_sys(err, -r, "%s: cannot examine %s", what, ret->path) : 0;
}

static int open_below(struct source *from, const char *what, struct imgchain *c, struct err *err)
{
	struct img_member *above = &c->m[c->n - 1], *m = &c->m[c->n];
	char *path = NULL;
	int r = backing_path(above, what, &path, err);

	if (r < 0)
		return r;
	if (c->n == IMGCHAIN_MAX) {
		free(path);
		return err_set(err, ELOOP, "%s: %s stands on more than %u images: join some (qemu-img commit, rebase)",
		               what, c->m[0].path, IMGCHAIN_MAX - 1);
	}
	*m = (struct img_member){ .path = path, .fd = -1 };
	c->n++;
	r = format_of(above, what, &m->format, err);
	if (!r)
		r = open_member(from, !strncmp(path, "/dev/", 5) ? PATH_DEVICE : PATH_IMAGE, false, what, m, err);
	if (r < 0)
		return err_prefix(err, "backing file of %s", above->path);
	for (unsigned i = 0; i < c->n - 1; i++)
		if (same_file(c->m[i].fd, m->fd))
			return err_set(err, ELOOP,
			               "%s: %s stands on itself: it is a backing file of its own backing file", what,
			               c->m[i].path);
	return 0;
}

static int open_chain(struct source *from, const struct dom_disk *k, const char *what, struct imgchain *ret,
                      struct err *err)
{
	struct img_member *top = &ret->m[0];

	*ret = (struct imgchain){ .n = 1 };
	*top = (struct img_member){ .path = xasprintf("%s", k->source), .fd = -1, .format = k->format };
	int r = open_member(from, k->type == DOM_DISK_BLOCK ? PATH_DEVICE : PATH_IMAGE, !k->readonly, what, top, err);
	while (!r && ret->m[ret->n - 1].format == DOM_FORMAT_QCOW2 && *ret->m[ret->n - 1].head.backing)
		r = open_below(from, what, ret, err);
	if (!r && from->n)
		r = err_set(err, EINVAL, "%s: more descriptors came than it has images", what);
	if (r < 0)
		imgchain_done(ret);
	return r;
}

int imgchain_open(const struct path_rules *rules, const struct dom_disk *k, const char *what, struct imgchain *ret,
                  struct err *err)
{
	return open_chain(&(struct source){ .rules = rules }, k, what, ret, err);
}

int imgchain_take(int *fd, size_t n, const struct dom_disk *k, const char *what, struct imgchain *ret, struct err *err)
{
	return open_chain(&(struct source){ .fd = fd, .n = n }, k, what, ret, err);
}

void imgchain_done(struct imgchain *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		if (c->m[i].fd >= 0)
			close(c->m[i].fd);
		free(c->m[i].path);
	}
	c->n = 0;
}
