/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See lease.h. Main thread. */
#include "config.h"
#include "hypervisor/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/util.h"
#include "common/pathopen.h"

/* @path is taken over. */
static int open_one(struct leases *l, const struct path_rules *paths, char *path, uid_t uid, struct err *err)
{
	int fd = path_open(paths, PATH_IMAGE, path, O_RDWR | O_CREAT | O_NOFOLLOW, "lease", err);

	if (fd < 0) {
		free(path);
		return fd;
	}
	if (geteuid() == 0 && fchown(fd, uid, (gid_t)-1) < 0) {
		/* some network file systems refuse; the open descriptor is what counts */
		(void)errno;
	}
	l->fd[l->n] = fd;
	l->path[l->n++] = path;
	return 0;
}

int leases_open(struct leases *l, const struct dom_config *cfg, uid_t uid, struct err *err)
{
	int r = 0;

	*l = (struct leases){ 0 };
	snprintf(l->uuid, sizeof(l->uuid), "%s", cfg->uuid);
	for (size_t i = 0; i < cfg->n_disks && !r; i++) {
		char *path = leaserec_path_beside(&cfg->disk[i]);

		if (!path)
			continue;
		l->shared = true;
		r = open_one(l, cfg->paths, path, uid, err);
	}
	_cleanup_free_ char *dir = leaserec_path_local("");
	if (!r) {
		int e = mkdir_p(dir, 0711);
		if (e < 0)
			r = err_sys(err, -e, "cannot make the directory %s", dir);
	}
	if (!r)
		r = open_one(l, NULL, leaserec_path_local(cfg->uuid), uid, err);
	if (r < 0)
		leases_done(l);
	return r;
}

void leases_done(struct leases *l)
{
	for (size_t i = 0; i < l->n; i++) {
		close(l->fd[i]);
		free(l->path[i]);
	}
	*l = (struct leases){ 0 };
}

static int read_one(struct leases *l, size_t i, struct lease_record *ret, struct err *err)
{
	struct leaserec rec[2] = { 0 };
	int n = leaserec_read(l->fd[i], l->uuid, rec);

	if (n == -EXDEV)
		return err_set(err, EINVAL,
		               "the lease %s belongs to another domain: the same disk image is in two domains",
		               l->path[i]);
	if (n == -EINVAL)
		return err_set(err, EINVAL, "the lease %s is damaged; if no host runs the domain, remove that file",
		               l->path[i]);
	if (n < 0)
		return err_sys(err, -n, "cannot read the lease %s", l->path[i]);
	if (n)
		l->seq[i] = rec[0].seq;
	*ret = rec[0].rec;
	return 0;
}

int leases_read(struct leases *l, struct lease_record *ret, struct err *err)
{
	return read_one(l, 0, ret, err);
}

int leases_check(struct leases *l, const struct lease_record *rec, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		struct lease_record now;
		int r;

		posix_fadvise(l->fd[i], 0, 0, POSIX_FADV_DONTNEED); /* NFS: what the server has now */
		r = read_one(l, i, &now, err);
		if (r == -EINVAL) /* damaged, or another domain's: not as it was left */
			return -ESTALE;
		if (r < 0)
			return r;
		if (now.generation != rec->generation || now.state != rec->state || strcmp(now.owner, rec->owner) != 0)
			return err_set(err, ESTALE,
			               "the lease %s says generation %lu, %s, host '%s', not what was left there",
			               l->path[i], (unsigned long)now.generation, lease_state_name(now.state),
			               now.owner);
	}
	return 0;
}

int leases_write(struct leases *l, const struct lease_record *rec, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		struct lease_record old;
		struct leaserec new = { .rec = *rec };
		char slot[LEASEREC_SLOT];
		int r = read_one(l, i, &old, err);
		if (r < 0)
			return r;
		new.seq = l->seq[i] + 1;
		memcpy(new.uuid, l->uuid, sizeof(new.uuid));
		leaserec_format(&new, slot);
		if (deadline_page_over(l->deadline))
			return err_set(err, ETIME,
			               "cannot write the lease %s: this host's lease in the cluster is over",
			               l->path[i]);
		if (pwrite(l->fd[i], slot, sizeof(slot), (off_t)(new.seq & 1) * LEASEREC_SLOT) != sizeof(slot) ||
		    fdatasync(l->fd[i]) < 0)
			return err_sys(err, errno, "cannot write the lease %s", l->path[i]);
		l->seq[i] = new.seq;
	}
	return 0;
}

/* Disks that come and go ---------------------------------------------------------------------------------------------- */

int leases_of_one(struct leases *ret, const struct leases *of, const char *path, int fd, struct err *err)
{
	*ret = (struct leases){ .n = 1, .shared = true, .deadline = of->deadline };
	memcpy(ret->uuid, of->uuid, sizeof(ret->uuid));
	ret->fd[0] = fd;
	ret->path[0] = strdup(path);
	if (ret->path[0])
		return 0;
	leases_done(ret);
	return err_set(err, ENOMEM, "out of memory");
}

static void move_one(struct leases *to, size_t at, const struct leases *from, size_t i)
{
	to->fd[at] = from->fd[i];
	to->path[at] = from->path[i];
	to->seq[at] = from->seq[i];
}

void leases_put_in(struct leases *l, size_t at, struct leases *one)
{
	for (size_t i = l->n++; i > at; i--)
		move_one(l, i, l, i - 1);
	move_one(l, at, one, 0);
	l->shared = true;
	*one = (struct leases){ 0 };
}

bool leases_take_out(struct leases *l, const char *path, struct leases *ret_one)
{
	size_t at = 0;

	while (at < l->n && strcmp(l->path[at], path))
		at++;
	/* the last one is the local one */
	if (at + 1 >= l->n || (!at && l->n > 2))
		return false;
	*ret_one = (struct leases){ .n = 1, .shared = true, .deadline = l->deadline };
	memcpy(ret_one->uuid, l->uuid, sizeof(ret_one->uuid));
	move_one(ret_one, 0, l, at);
	for (l->n--; at < l->n; at++)
		move_one(l, at, l, at + 1);
	l->shared = l->n > 1;
	return true;
}

int leases_clear(struct leases *l, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		if (deadline_page_over(l->deadline))
			return err_set(err, ETIME,
			               "cannot clear the lease %s: this host's lease in the cluster is over",
			               l->path[i]);
		if (ftruncate(l->fd[i], 0) < 0 || fdatasync(l->fd[i]) < 0)
			return err_sys(err, errno, "cannot clear the lease %s", l->path[i]);
	}
	return 0;
}
