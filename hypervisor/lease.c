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
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "common/util.h"

#define SLOT_BYTES 512u

static const char *const state_name[] = { "none", "stopped", "running", "saved" };

static int open_one(struct leases *l, char *path, uid_t uid, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		int r = err_sys(err, errno, "cannot open the lease %s", path);
		free(path);
		return r;
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
		const struct dom_disk *d = &cfg->disk[i];
		if (d->readonly || d->shareable || d->type != DOM_DISK_FILE)
			continue;
		l->shared = true;
		r = open_one(l, xasprintf("%s.lease", d->source), uid, err);
	}
	_cleanup_free_ char *dir = xasprintf("%s/leases", path_state());
	if (!r) {
		int e = mkdir_p(dir, 0711);
		if (e)
			r = err_sys(err, -e, "cannot make the directory %s", dir);
	}
	if (!r)
		r = open_one(l, xasprintf("%s/%s", dir, cfg->uuid), uid, err);
	if (r)
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

/* "hospes-lease 1 SEQ UUID GENERATION STATE OWNER SUM\n", padded with NUL. SUM covers what stands before it. */
static bool parse_slot(const char *slot, const char *uuid, uint64_t *ret_seq, struct lease_record *ret,
                       bool *ret_foreign)
{
	char text[SLOT_BYTES + 1], id[40], state[16], owner[HV_NAME_MAX];
	unsigned long seq, gen, sum;
	int pos = 0;

	memcpy(text, slot, SLOT_BYTES);
	text[SLOT_BYTES] = 0;
	if (sscanf(text, "hospes-lease 1 %lu %39s %lu %15s %63s %n%16lx", &seq, id, &gen, state, owner, &pos, &sum) !=
	    6)
		return false;
	if (XXH3_64bits(text, (size_t)pos) != sum)
		return false;
	*ret_foreign = strcmp(id, uuid) != 0;
	*ret_seq = seq;
	*ret = (struct lease_record){ .generation = gen };
	snprintf(ret->owner, sizeof(ret->owner), "%s", strcmp(owner, "-") ? owner : "");
	for (size_t i = 0; i < ARRAY_SIZE(state_name); i++) {
		if (!strcmp(state, state_name[i])) {
			ret->state = (enum lease_state)i;
			return true;
		}
	}
	return false;
}

static int read_one(struct leases *l, size_t i, struct lease_record *ret, struct err *err)
{
	char slots[2 * SLOT_BYTES] = { 0 };
	ssize_t n = pread(l->fd[i], slots, sizeof(slots), 0);
	struct lease_record rec[2];
	uint64_t seq[2] = { 0 };
	bool ok[2], foreign = false, empty = true;

	if (n < 0)
		return err_sys(err, errno, "cannot read the lease %s", l->path[i]);
	for (int s = 0; s < 2; s++) {
		bool f = false;
		ok[s] = parse_slot(slots + s * SLOT_BYTES, l->uuid, &seq[s], &rec[s], &f);
		foreign |= ok[s] && f;
		empty &= slots[s * SLOT_BYTES] == 0;
	}
	if (foreign)
		return err_set(err, EINVAL,
		               "the lease %s belongs to another domain: the same disk image is in two domains",
		               l->path[i]);
	if (!ok[0] && !ok[1]) {
		if (!empty)
			return err_set(err, EINVAL,
			               "the lease %s is damaged; if no host runs the domain, remove that file",
			               l->path[i]);
		*ret = (struct lease_record){ 0 };
		return 0;
	}
	int best = ok[1] && (!ok[0] || seq[1] > seq[0]);
	l->seq[i] = seq[best];
	*ret = rec[best];
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

		(void)posix_fadvise(l->fd[i], 0, 0, POSIX_FADV_DONTNEED); /* NFS: what the server has now */
		r = read_one(l, i, &now, err);
		if (r == -EINVAL) /* damaged, or another domain's: not as it was left */
			return -ESTALE;
		if (r)
			return r;
		if (now.generation != rec->generation || now.state != rec->state || strcmp(now.owner, rec->owner) != 0)
			return err_set(err, ESTALE,
			               "the lease %s says generation %lu, %s, host '%s', not what was left there",
			               l->path[i], (unsigned long)now.generation, state_name[now.state], now.owner);
	}
	return 0;
}

int leases_write(struct leases *l, const struct lease_record *rec, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		struct lease_record old;
		char slot[SLOT_BYTES] = { 0 };
		int r = read_one(l, i, &old, err);
		if (r)
			return r;
		uint64_t seq = l->seq[i] + 1;
		int len = snprintf(slot, sizeof(slot), "hospes-lease 1 %lu %s %lu %s %s ", (unsigned long)seq, l->uuid,
		                   (unsigned long)rec->generation, state_name[rec->state],
		                   rec->owner[0] ? rec->owner : "-");
		snprintf(slot + len, sizeof(slot) - (size_t)len, "%016lx\n",
		         (unsigned long)XXH3_64bits(slot, (size_t)len));
		if (pwrite(l->fd[i], slot, sizeof(slot), (off_t)(seq & 1) * SLOT_BYTES) != sizeof(slot) ||
		    fdatasync(l->fd[i]) < 0)
			return err_sys(err, errno, "cannot write the lease %s", l->path[i]);
		l->seq[i] = seq;
	}
	return 0;
}
