/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See leasefile.h. Loop thread, when the daemon starts. */
#include "config.h"
#include "migrated/io/leasefile.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "common/cleanup.h"
#include "hypervisor/api/leaserec.h"

bool leasefile_taken(const char *uuid, const char *host, uint64_t generation, uint64_t since_s)
{
	_cleanup_free_ char *path = leaserec_path_local(uuid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct leaserec l[2];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_mtime < since_s)
		return false;
	for (int i = leaserec_read(fd, uuid, l); i-- > 0;)
		if (!strcmp(l[i].rec.owner, host) && l[i].rec.generation >= generation)
			return true;
	return false;
}
