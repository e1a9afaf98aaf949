/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See memcheck.h. Sources: memfd_create(2), F_GET_SEALS in fcntl(2): only memory files have seals, even those that may have none. */
#include "config.h"
#include "hypervisor/api/memcheck.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static int look(int fd, const char *what, struct stat *st, int *ret_seals, struct err *err)
{
	struct statfs fs;

	*ret_seals = fcntl(fd, F_GET_SEALS);
	if (*ret_seals < 0 || fstat(fd, st) < 0 || !S_ISREG(st->st_mode) || fstatfs(fd, &fs) < 0 ||
	    fs.f_type != TMPFS_MAGIC)
		return err_set(err, EPROTO, "hvdom sent something else than memory as %s", what);
	return 0;
}

int memcheck_read(int fd, uint64_t bytes, const char *what, struct err *err)
{
	struct stat st;
	int seals, r = look(fd, what, &st, &seals, err);

	if (!r && (uint64_t)st.st_size < bytes)
		r = err_set(err, EPROTO, "hvdom sent %llu octets as %s, %llu were announced",
		            (unsigned long long)st.st_size, what, (unsigned long long)bytes);
	return r;
}

int memcheck_map(int fd, uint64_t bytes, const char *what, struct err *err)
{
	struct stat st;
	int seals, r = look(fd, what, &st, &seals, err);

	/* the seal first: what has it keeps its size */
	if (!r && !(seals & F_SEAL_SHRINK))
		return err_set(err, EPROTO, "hvdom sent memory that could shrink as %s", what);
	if (!r && (!bytes || (uint64_t)st.st_size != bytes))
		r = err_set(err, EPROTO, "hvdom sent %llu octets as %s, %llu were announced",
		            (unsigned long long)st.st_size, what, (unsigned long long)bytes);
	return r;
}
