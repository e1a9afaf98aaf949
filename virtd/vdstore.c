/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vdstore.h. */
#include "config.h"
#include "virtd/vdstore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>
#include "common/util.h"
#include "hypervisor/api/imgchain.h"
#include "hypervisor/api/pathconf.h"

#define MADE_PREFIX ".hospes-new-" /* of an image that is not whole yet */
#define LEASE       ".lease"       /* beside a domain's first image */
#define ISO_AT      0x8001         /* "CD001": ISO 9660 */

static void uuid_of(const char *name, uint8_t ret[XDR_UUID])
{
	XXH128_hash_t h = XXH3_128bits_withSeed(name, strlen(name), 0x706f6f6c);

	memcpy(ret, &h, XDR_UUID);
	ret[6] = (uint8_t)((ret[6] & 0x0f) | 0x80); /* version 8, of our own making (RFC 9562) */
	ret[8] = (uint8_t)((ret[8] & 0x3f) | 0x80);
}

static int add(struct vd_store *s, const char *name, const char *dir, struct err *err)
{
	struct store_pool *p = &s->pool[s->n];

	if (s->n == STORE_POOLS_MAX)
		return err_set(err, EINVAL, "there are %u storage pools already", STORE_POOLS_MAX);
	if (!name_is_valid(name) || strlen(name) >= STORE_NAME_MAX)
		return err_set(err, EINVAL, "\"%.80s\" is no name for a storage pool", name);
	if (!dir || *dir != '/' || strlen(dir) > 1024 || strstr(dir, "/../"))
		return err_set(err, EINVAL, "the directory of storage pool \"%s\" has to be an absolute path", name);
	snprintf(p->name, sizeof(p->name), "%s", name);
	uuid_of(name, p->uuid);
	p->dir = xasprintf("%s", dir);
	for (size_t len = strlen(p->dir); len > 1 && p->dir[len - 1] == '/';)
		p->dir[--len] = 0;
	s->n++;
	return 0;
}

int store_load(const json_t *o, struct vd_store *ret, struct err *err)
{
	_cleanup_free_ char *images = xasprintf("%s/images", path_state());
	const char *name;
	json_t *v;
	int r = 0;

	*ret = (struct vd_store){ 0 };
	if (!o)
		return add(ret, "default", images, err);
	if (!json_is_object(o))
		return err_set(err, EINVAL, "\"pools\" has to be an object");
	json_object_foreach((json_t *)o, name, v) if (!r) r = add(ret, name, json_string_value(v), err);
	if (r < 0)
		store_done(ret);
	return r;
}

void store_done(struct vd_store *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->pool[i].dir);
	s->n = 0;
}

int store_add(struct vd_store *s, const char *name, const char *dir, const struct store_pool **ret, struct err *err)
{
	struct path_rules rules = { 0 };
	size_t n = s->n;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		if (!strcmp(s->pool[i].name, name))
			r = err_set(err, EEXIST, "storage pool '%s' is %s", name, s->pool[i].dir);
	if (!r)
		r = path_rules_load(&rules, err);
	if (!r) { /* any image in it would do */
		_cleanup_free_ char *image = xasprintf("%s/image", dir);

		r = path_check(&rules, PATH_IMAGE, image, "storage pool", err);
		r = r == -ENOENT ? 0 : r;
	}
	path_rules_done(&rules);
	if (!r)
		r = add(s, name, dir, err);
	*ret = r ? NULL : &s->pool[n];
	return r;
}

void store_room(const struct store_pool *p, struct store_room *ret)
{
	struct statvfs st;

	*ret = (struct store_room){ 0 };
	if (statvfs(p->dir, &st) < 0)
		return;
	ret->there = true;
	ret->capacity = (uint64_t)st.f_blocks * st.f_frsize;
	ret->available = (uint64_t)st.f_bavail * st.f_frsize;
	ret->used = ret->capacity - (uint64_t)st.f_bfree * st.f_frsize;
}

int store_build(const struct store_pool *p, struct err *err)
{
	int r = mkdir_p(p->dir, 0711);

	return r < 0 ? err_sys(err, r, "make %s", p->dir) : 0;
}

char *store_path(const struct store_pool *p, const char *name)
{
	return xasprintf("%s/%s", p->dir, name);
}

/* What a file may be called here. Hidden ones and leases are no images. */
static bool vol_name(const char *s)
{
	size_t len = strlen(s);

	if (!len || len >= VOL_NAME_MAX - sizeof(MADE_PREFIX) || *s == '.' ||
	    (len > sizeof(LEASE) && !strcmp(s + len - sizeof(LEASE) + 1, LEASE)))
		return false;
	for (; *s; s++)
		if (*s == '/' || (unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int no_such(const char *name, struct err *err)
{
	return err_set(err, ENOENT, "Storage volume not found: no storage vol with matching name '%.100s'", name);
}

static int open_dir(const struct store_pool *p, struct err *err)
{
	int fd = open(p->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_sys(err, errno, "%s", p->dir) : fd;
}

/* A regular file in the pool, nothing else: a FIFO or device of that name is not even waited for. */
static int open_vol(const struct store_pool *p, const char *name, int flags, struct stat *st, struct err *err)
{
	_cleanup_close_ int dir = vol_name(name) ? open_dir(p, err) : no_such(name, err);
	int fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	if (fd < 0 && errno != ENOENT && errno != ELOOP)
		return err_sys(err, errno, "%s/%s", p->dir, name);
	if (fd >= 0)
		close(fd);
	return no_such(name, err);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_names(const struct store_pool *p, char ***ret, size_t *ret_n, struct err *err)
{
	char **names = calloc(STORE_VOLS_MAX, sizeof(*names));
	struct dirent *e;
	size_t n = 0;
	DIR *d = names ? opendir(p->dir) : NULL;

	if (!d && (!names || errno != ENOENT)) {
		int r = err_sys(err, names ? errno : ENOMEM, "%s", p->dir);

		free(names);
		return r;
	}
	while (d && n < STORE_VOLS_MAX && (e = readdir(d))) {
		struct stat st;
		bool file = e->d_type == DT_REG ||
		            (e->d_type == DT_UNKNOWN && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		             S_ISREG(st.st_mode));

		if (file && vol_name(e->d_name))
			names[n++] = xasprintf("%s", e->d_name);
	}
	if (d)
		closedir(d);
	qsort(names, n, sizeof(*names), by_text);
	*ret = names;
	*ret_n = n;
	return 0;
}

void store_names_done(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

void store_vol_done(struct store_vol *v)
{
	free(v->backing);
	v->backing = NULL;
}

/* An image that hvdom would refuse is told of as what it is, with what its header says. */
int store_look(const struct store_pool *p, const char *name, struct store_vol *ret, struct err *err)
{
	struct stat st;
	_cleanup_close_ int fd = open_vol(p, name, O_RDONLY, &st, err);
	struct qcow2_head h;
	uint64_t bytes;
	char magic[5];

	if (fd < 0)
		return fd;
	*ret = (struct store_vol){ .format = DOM_FORMAT_RAW,
		                   .capacity = (uint64_t)st.st_size,
		                   .allocation = (uint64_t)st.st_blocks * 512,
		                   .physical = (uint64_t)st.st_size };
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	if (pread(fd, magic, 4, 0) == 4 && !memcmp(magic, "QFI\xfb", 4)) {
		ret->format = DOM_FORMAT_QCOW2;
		if (img_read_head(fd, name, "image", &bytes, &h, NULL) == 0) {
			ret->capacity = h.size;
			ret->backing = *h.backing ? xasprintf("%s", h.backing) : NULL;
			ret->backing_format = strcmp(h.backing_format, "qcow2") ? DOM_FORMAT_RAW : DOM_FORMAT_QCOW2;
		}
	} else if (pread(fd, magic, 5, ISO_AT) == 5 && !memcmp(magic, "CD001", 5)) {
		ret->iso = true;
	}
	return 0;
}

/* Its backing image has to be one that hvdom would open for this domain's disk. */
static int check_backing(const struct store_vol *v, struct err *err)
{
	struct dom_disk k = { .source = v->backing, .format = v->backing_format, .readonly = true };
	struct path_rules rules = { 0 };
	struct imgchain chain;
	int r = path_rules_load(&rules, err);

	if (!r)
		r = imgchain_open(&rules, &k, "backing image", &chain, err);
	if (!r)
		imgchain_done(&chain);
	path_rules_done(&rules);
	return r;
}

static int fill(int fd, const struct store_vol *v)
{
	void *head = NULL;
	size_t len;
	int r;

	if (v->format == DOM_FORMAT_RAW) {
		if (ftruncate(fd, (off_t)v->capacity) < 0)
			return -errno;
		if (v->allocation && fallocate(fd, 0, 0, (off_t)v->capacity) < 0 && errno != EOPNOTSUPP)
			return -errno;
		return 0;
	}
	r = qcow2_head_make(v->capacity, v->backing, v->backing_format == DOM_FORMAT_QCOW2 ? "qcow2" : "raw", &head,
	                    &len);
	if (!r)
		r = write_full(fd, head, len);
	free(head);
	return r;
}

int store_create(const struct store_pool *p, const struct store_vol *v, struct err *err)
{
	char made[VOL_NAME_MAX + sizeof(MADE_PREFIX)];
	int r;

	if (!vol_name(v->name))
		return err_set(err, EINVAL, "\"%.80s\" is no name for an image: no / in it, no . before it", v->name);
	if (!v->capacity || v->capacity % 512 || v->capacity > 1ull << 50)
		return err_set(err, EINVAL, "a disk has a multiple of 512 octets, at most 1 PiB");
	if (v->backing && v->format != DOM_FORMAT_QCOW2)
		return err_set(err, EINVAL, "only a qcow2 image stands on another");
	r = v->backing ? check_backing(v, err) : 0;
	if (!r)
		r = store_build(p, err);
	if (r < 0)
		return r;
	_cleanup_close_ int dir = open_dir(p, err);
	if (dir < 0)
		return dir;
	if (faccessat(dir, v->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return err_set(err, EEXIST, "storage volume '%s' exists already", v->name);
	snprintf(made, sizeof(made), MADE_PREFIX "%s", v->name);
	(void)unlinkat(dir, made, 0); /* of one that died */
	_cleanup_close_ int fd = openat(dir, made, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 ? -errno : fill(fd, v);
	if (!r && fsync(fd) < 0)
		r = -errno;
	if (!r && linkat(dir, made, dir, v->name, 0) < 0) /* never over another one */
		r = -errno;
	(void)unlinkat(dir, made, 0);
	return r < 0 ? err_sys(err, r, "make %s/%s", p->dir, v->name) : 0;
}

/* hvdom locks what it uses, for as long as that is so; so does this until @fd is closed. */
static int lock_as(int fd, short type, const char *name, struct err *err)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return err_set(err, EBUSY, "storage volume '%s' is in use by a domain", name);
	return err_sys(err, errno, "lock %s", name);
}

static int lock_unused(int fd, const char *name, struct err *err)
{
	return lock_as(fd, F_WRLCK, name, err);
}

int store_open(const struct store_pool *p, const char *name, bool written, struct err *err)
{
	struct stat st;
	_cleanup_close_ int fd = open_vol(p, name, written ? O_RDWR : O_RDONLY, &st, err);
	int r = fd < 0 ? fd : lock_as(fd, written ? F_WRLCK : F_RDLCK, name, err);

	return r < 0 ? r : steal_fd(&fd);
}

int store_delete(const struct store_pool *p, const char *name, struct err *err)
{
	struct stat st;
	_cleanup_close_ int fd = open_vol(p, name, O_RDWR, &st, err);
	_cleanup_close_ int dir = fd < 0 ? -1 : open_dir(p, err);
	int r = fd < 0 ? fd : dir < 0 ? dir : lock_unused(fd, name, err);

	if (!r && unlinkat(dir, name, 0) < 0)
		r = err_sys(err, errno, "remove %s/%s", p->dir, name);
	return r;
}

int store_resize(const struct store_pool *p, const char *name, uint64_t bytes, struct err *err)
{
	struct store_vol v;
	struct stat st;
	int r = store_look(p, name, &v, err);

	if (r < 0)
		return r;
	store_vol_done(&v);
	if (v.format != DOM_FORMAT_RAW)
		return err_set(err, ENOTSUP, "only raw images are resized here (qemu-img resize does others)");
	if (bytes % 512 || bytes > 1ull << 50 || bytes < v.capacity)
		return err_set(err, EINVAL,
		               "an image grows to a multiple of 512 octets, and does not shrink: it has %llu",
		               (unsigned long long)v.capacity);
	_cleanup_close_ int fd = open_vol(p, name, O_RDWR, &st, err);
	r = fd < 0 ? fd : lock_unused(fd, name, err);
	if (!r && ftruncate(fd, (off_t)bytes) < 0)
		r = err_sys(err, errno, "resize %s/%s", p->dir, name);
	return r;
}
