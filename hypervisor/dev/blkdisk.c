/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What all disks have in common, whoever asks for the data: see blkdisk.h. */
#include "config.h"
#include "hypervisor/dev/blkdisk_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/pathopen.h"
#include "common/util.h"
#include "hypervisor/api/imgchain.h"
#include "hypervisor/dev/qcow2.h"

#define DIO_ALIGN 512u

/* Requests ------------------------------------------------------------------------------------------------------------ */

bool blkdisk_aligned(const struct iovec *iov, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) % DIO_ALIGN)
			return false;
	return true;
}

void blkdisk_submit(struct blkdisk *b, struct blkio_req *io, unsigned slot)
{
	io->fd = b->fd;
	io->dsync |= b->write_through;
	io->bounce = b->direct && io->n_iov && !blkdisk_aligned(io->iov, io->n_iov);
	b->in_flight++;
	atomic_store(&b->since[slot], now_ns());
	if (b->q)
		qcow2_submit(b->q, io);
	else
		blkio_submit(b->v.devs->blkio, io);
}

int blkdisk_ended(struct blkdisk *b, const struct blkio_req *io, unsigned slot, int res)
{
	b->in_flight--;
	atomic_store(&b->since[slot], 0);
	return io->op == BLKIO_FLUSH && !res ? -atomic_exchange(&b->sync_err, 0) : res;
}

void blkdisk_settled(struct blkdisk *b)
{
	if (!b->in_flight && b->v.devs->quiesced)
		devs_drained(b->v.devs);
}

bool blkdisk_in_range(const struct blkdisk *b, uint64_t sector, uint64_t sectors)
{
	return sector <= b->sectors && sectors <= b->sectors - sector;
}

uint64_t blkdisk_cluster(const struct blkdisk *b)
{
	return b->q ? qcow2_cluster(b->q) : 0;
}

unsigned blkdisk_in_flight(const struct vdev *v)
{
	return ((const struct blkdisk *)v)->in_flight;
}

uint64_t blkdisk_age_ns(const struct vdev *v, uint64_t now)
{
	const struct blkdisk *b = (const struct blkdisk *)v;
	uint64_t oldest = now;

	for (unsigned i = 0; i <= BLKDISK_REQS; i++) {
		uint64_t t = atomic_load_explicit(&b->since[i], memory_order_relaxed);
		if (t && t < oldest)
			oldest = t;
	}
	return now - oldest;
}

void blkdisk_stop(struct vdev *v)
{
	struct blkdisk *b = (struct blkdisk *)v;

	while (b->in_flight && blkio_wait(v->devs->blkio))
		;
}

/* Locks, and what two hosts must agree on ------------------------------------------------------------------------------- */

int blkdisk_lock(struct vdev *v, struct err *err)
{
	struct blkdisk *b = (struct blkdisk *)v;
	bool shared = b->cfg->readonly || b->cfg->shareable;
	struct flock fl = { .l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(b->fd, F_OFD_SETLK, &fl) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			return err_set(err, EAGAIN, "disk %s: the image %s is locked by another domain or host",
			               v->name, b->cfg->source);
		return err_sys(err, errno, "disk %s: cannot lock %s", v->name, b->cfg->source);
	}
	if (b->network_fs)
		posix_fadvise(b->fd, 0, 0, POSIX_FADV_DONTNEED);
	int r = b->q ? qcow2_own(b->q, err) : 0;
	if (r < 0) {
		fl.l_type = F_UNLCK;
		fcntl(b->fd, F_OFD_SETLK, &fl);
	}
	return r;
}

void blkdisk_unlock(struct vdev *v)
{
	struct blkdisk *b = (struct blkdisk *)v;
	struct flock fl = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (b->q)
		qcow2_disown(b->q);
	fcntl(b->fd, F_OFD_SETLK, &fl);
}

void blkdisk_writeback(struct vdev *v)
{
	struct blkdisk *b = (struct blkdisk *)v;

	if (!b->cfg->readonly)
		sync_file_range(b->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int blkdisk_sync(struct vdev *v, struct err *err)
{
	struct blkdisk *b = (struct blkdisk *)v;

	if (!b->cfg->readonly && deadline_page_over(v->devs->ev.deadline))
		return err_set(err, ETIME, "disk %s: this host's lease is over", v->name);
	if (b->cfg->readonly)
		return 0;
	atomic_store(&b->since[BLKDISK_REQS], now_ns());
	int e = b->q ? -qcow2_sync(b->q) : fsync(b->fd) < 0 ? errno : 0;
	atomic_store(&b->since[BLKDISK_REQS], 0);
	if (!e)
		return 0;
	/* the kernel tells each failure once: the guest's next flush must not succeed for that */
	atomic_store(&b->sync_err, e);
	return err_sys(err, e, "disk %s: cannot write %s to stable storage", v->name, b->cfg->source);
}

bool blkdisk_dirty(const struct vdev *v)
{
	const struct blkdisk *b = (const struct blkdisk *)v;

	return b->q && qcow2_dirty(b->q);
}

/* Growing --------------------------------------------------------------------------------------------------------------- */

/* A block device was made larger by others, or not. */
static int grow_device(const struct blkdisk *b, uint64_t bytes, struct err *err)
{
	uint64_t has = 0;
	int r = img_file_bytes(b->fd, &has);

	if (r < 0)
		return err_sys(err, -r, "%s: cannot get the size of %s", b->what, b->cfg->source);
	return has == bytes
	               ? 0
	               : err_set(err, EINVAL,
	                         "%s: the block device %s has %llu octets: enlarge it first (lvextend), then give that size",
	                         b->what, b->cfg->source, (unsigned long long)has);
}

static int grow_file(const struct blkdisk *b, uint64_t bytes, struct err *err)
{
	uint64_t has = 0;
	int r = img_file_bytes(b->fd, &has);

	if (!r && has > bytes)
		return err_set(err, EINVAL,
		               "%s: the image %s was made larger by others and has %llu octets: give that size",
		               b->what, b->cfg->source, (unsigned long long)has);
	if (!r)
		r = blkio_may_write(b->v.devs->blkio, false);
	if (!r && (ftruncate(b->fd, (off_t)bytes) < 0 || fsync(b->fd) < 0))
		r = -errno;
	return r < 0 ? err_sys(err, -r, "%s: cannot make %s larger", b->what, b->cfg->source) : 0;
}

static int grow_qcow2(const struct blkdisk *b, uint64_t bytes, struct err *err)
{
	int r = qcow2_grow(b->q, bytes);

	if (r == -EOPNOTSUPP)
		return err_set(err, EOPNOTSUPP, "%s: the image %s has internal snapshots, which have the old size",
		               b->what, b->cfg->source);
	return r < 0 ? err_sys(err, -r, "%s: cannot make %s larger", b->what, b->cfg->source) : 0;
}

int blkdisk_grow(struct vdev *v, uint64_t bytes, struct err *err)
{
	struct blkdisk *b = (struct blkdisk *)v;
	int r;

	if (b->cfg->readonly)
		return err_set(err, EROFS, "%s is only read", b->what);
	if (b->cfg->shareable)
		return err_set(err, EOPNOTSUPP, "%s is shared with other domains, which would know the old size",
		               b->what);
	if (!bytes || bytes % BLKDISK_SECTOR || bytes > INT64_MAX)
		return err_set(err, EINVAL, "%s: %llu octets are no whole number of sectors of %u", b->what,
		               (unsigned long long)bytes, BLKDISK_SECTOR);
	if (bytes / BLKDISK_SECTOR < b->sectors)
		return err_set(
			err, EINVAL,
			"%s has %llu octets already; it is not made smaller, since what the guest has there would be lost",
			b->what, (unsigned long long)b->sectors * BLKDISK_SECTOR);
	if (b->q)
		r = grow_qcow2(b, bytes, err);
	else
		r = b->cfg->type == DOM_DISK_BLOCK ? grow_device(b, bytes, err) : grow_file(b, bytes, err);
	if (!r)
		b->grown = bytes / BLKDISK_SECTOR;
	return r;
}

bool blkdisk_grown(struct blkdisk *b)
{
	if (b->grown <= b->sectors)
		return false;
	b->sectors = b->grown;
	return true;
}

/* Images -------------------------------------------------------------------------------------------------------------- */

/* Does O_DIRECT take transfers of one sector? Else the page cache serves better than a bounce of every request. */
static bool direct_works(int fd)
{
	void *p = NULL;

	if (posix_memalign(&p, 4096, 4096))
		return false;
	/* the buffer starts one sector into the page, like a guest's may */
	ssize_t r = pread(fd, (uint8_t *)p + DIO_ALIGN, DIO_ALIGN, 0);
	free(p);
	return r == (ssize_t)DIO_ALIGN;
}

/* Through the page cache if the file system cannot do without. */
static int go_direct(struct blkdisk *b, int fd, const char *what, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT) < 0)
		return 0;
	b->direct = direct_works(fd);
	return !b->direct && fcntl(fd, F_SETFL, flags) < 0
	               ? err_sys(err, errno, "%s: cannot use %s", what, b->cfg->source)
	               : 0;
}

static int know_size(struct blkdisk *b, const char *what, struct err *err)
{
	uint64_t bytes;
	int r = img_file_bytes(b->fd, &bytes);

	if (r < 0)
		return err_sys(err, -r, "%s: cannot get the size of %s", what, b->cfg->source);
	b->sectors = bytes / BLKDISK_SECTOR;
	return 0;
}

static int take_raw(struct blkdisk *b, struct devs_files *files, bool want_direct, const char *what, struct err *err)
{
	if (files->n != 1)
		return err_set(err, EINVAL, "%s: a raw image comes as one descriptor", what);
	b->fd = steal_fd(files->fd);
	if (!b->cfg->readonly && (fcntl(b->fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return err_set(err, EINVAL, "%s: the descriptor of %s cannot be written", what, b->cfg->source);
	int r = want_direct ? go_direct(b, b->fd, what, err) : 0;
	return r < 0 ? r : know_size(b, what, err);
}

static int open_raw(struct blkdisk *b, const struct path_rules *paths, bool want_direct, const char *what,
                    struct err *err)
{
	int flags = b->cfg->readonly ? O_RDONLY : O_RDWR;
	enum path_kind kind = b->cfg->type == DOM_DISK_BLOCK ? PATH_DEVICE : PATH_IMAGE;

	if (want_direct) {
		b->fd = path_open(paths, kind, b->cfg->source, flags | O_DIRECT, what, err);
		b->direct = b->fd >= 0 && direct_works(b->fd);
		if (b->fd >= 0 && !b->direct) {
			close(b->fd);
			b->fd = -1;
		}
	}
	if (b->fd < 0)
		b->fd = path_open(paths, kind, b->cfg->source, flags, what, err);
	return b->fd < 0 ? b->fd : know_size(b, what, err);
}

static int open_qcow2(struct blkdisk *b, const struct path_rules *paths, struct devs_files *files, bool want_direct,
                      const char *what, struct imgchain *chain, struct err *err)
{
	int r = files ? imgchain_take(files->fd, files->n, b->cfg, what, chain, err)
	              : imgchain_open(paths, b->cfg, what, chain, err);

	/* not those below: many disks stand on one image, and nobody writes it */
	if (!r && want_direct)
		r = go_direct(b, chain->m[0].fd, what, err);
	if (r < 0)
		return r;
	b->fd = chain->m[0].fd;
	b->sectors = chain->m[0].size / BLKDISK_SECTOR;
	return 0;
}

static int open_image(struct blkdisk *b, const struct path_rules *paths, struct devs_files *files, struct err *err)
{
	bool qcow2 = b->cfg->format == DOM_FORMAT_QCOW2, leased = b->v.devs->ev.deadline != NULL;
	/*
	 * With a lease, what is written must not wait in this host's page cache, from where the kernel would write it on when the domain is long
	 * gone and runs elsewhere.
	 */
	bool want_direct = b->cfg->cache == DOM_CACHE_NONE || (leased && b->cfg->cache == DOM_CACHE_DEFAULT);
	const char *what = b->what;
	struct imgchain chain = { 0 };
	struct stat st;
	int r = qcow2   ? open_qcow2(b, paths, files, want_direct, what, &chain, err)
	        : files ? take_raw(b, files, want_direct, what, err)
	                : open_raw(b, paths, want_direct, what, err);

	if (!r && !b->sectors)
		r = err_set(err, EINVAL, "%s: %s is empty; give it a size first (truncate -s 1G)", what,
		            b->cfg->source);
	if (!r && fstat(b->fd, &st) < 0)
		r = err_sys(err, errno, "%s: cannot examine %s", what, b->cfg->source);
	b->write_through = b->cfg->cache == DOM_CACHE_WRITETHROUGH || (leased && !b->direct);
	struct statfs fs;
	if (!r && S_ISREG(st.st_mode) && !fstatfs(b->fd, &fs))
		b->network_fs = fs.f_type == 0x6969 /* nfs */ || (uint32_t)fs.f_type == 0xff534d42u /* cifs */ ||
		                (uint32_t)fs.f_type == 0xfe534d42u /* smb2 */ || fs.f_type == 0x00c36400 /* ceph */ ||
		                fs.f_type == 0x65735546 /* fuse */;
	const struct qcow2_opts o = { .what = b->what,
		                      .blkio = b->v.devs->blkio,
		                      .writable = !b->cfg->readonly,
		                      .direct = b->direct,
		                      .dsync = b->write_through,
		                      .punch = b->cfg->discard };
	if (!r && qcow2)
		r = qcow2_new(&chain, &o, &b->q, err);
	if (r < 0 && qcow2)
		b->fd = -1;
	imgchain_done(&chain);
	return r;
}

int blkdisk_open(struct blkdisk *b, struct devs *d, const struct dom_disk *cfg, struct devs_files *files,
                 struct err *err)
{
	b->v.devs = d;
	b->own = *cfg;
	b->own.source = strdup(cfg->source);
	b->own.serial = cfg->serial ? strdup(cfg->serial) : NULL;
	b->cfg = &b->own;
	b->fd = -1;
	snprintf(b->what, sizeof(b->what), "disk %s", cfg->target);
	if (!b->own.source || (!b->own.serial && cfg->serial))
		return err_sys(err, ENOMEM, "%s", b->what);
	return open_image(b, d->cfg->paths, files, err);
}

void blkdisk_close(struct blkdisk *b)
{
	if (b->q)
		qcow2_free(b->q);
	else if (b->fd >= 0)
		close(b->fd);
	free(b->own.source);
	free(b->own.serial);
}

/* State --------------------------------------------------------------------------------------------------------------- */

void blkdisk_save(const struct blkdisk *b, struct buf *out)
{
	buf_put_u64(out, b->sectors);
}

int blkdisk_load(const struct blkdisk *b, struct rd *in, struct err *err)
{
	uint64_t sectors = rd_u64(in);

	if (in->bad)
		return err_set(err, EINVAL, "saved state of device %s: it ends early", b->v.name);
	if (sectors != b->sectors)
		return err_set(err, EINVAL,
		               "%s: the image %s has %llu sectors here, the guest knows %llu: not the same disk",
		               b->v.name, b->cfg->source, (unsigned long long)b->sectors, (unsigned long long)sectors);
	return 0;
}
