/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See leasefile.h. Loop thread, when the daemon starts. */
#include <config.h>
#include "migrated/io/leasefile.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "common/cleanup.h"
#include "common/util.h"

#define SLOT_BYTES 512u
#define SLOTS      2u

static bool slot_owned(const char *octets, const char *uuid, const char *host, uint64_t generation)
{
	char line[SLOT_BYTES + 1], id[40], state[16], owner[64], sum[17];
	uint64_t seq, g;
	int at = 0;

	memcpy(line, octets, SLOT_BYTES);
	line[SLOT_BYTES] = 0;
	if (sscanf(line, "hospes-lease 1 %" SCNu64 " %39s %" SCNu64 " %15s %63s %n%16s", &seq, id, &g, state, owner,
	           &at, sum) != 6 ||
	    (uint64_t)XXH3_64bits(line, (size_t)at) != strtoull(sum, NULL, 16))
		return false; /* empty, torn or of a later version */
	return !strcasecmp(id, uuid) && !strcmp(owner, host) && g >= generation;
}

bool leasefile_taken(const char *state_dir, const char *uuid, const char *host, uint64_t generation, uint64_t since_s)
{
	_cleanup_free_ char *path = xasprintf("%s/leases/%s", state_dir, uuid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char octets[SLOTS * SLOT_BYTES] = { 0 };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_mtime < since_s || read(fd, octets, sizeof(octets)) < 0)
		return false;
	for (unsigned i = 0; i < SLOTS; i++)
		if (slot_owned(octets + i * SLOT_BYTES, uuid, host, generation))
			return true;
	return false;
}
