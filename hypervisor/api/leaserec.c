/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See leaserec.h. */
#include "config.h"
#include "hypervisor/api/leaserec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "common/util.h"

static const char *const state_name[] = { "none", "stopped", "running", "saved" };

const char *lease_state_name(enum lease_state state)
{
	return state_name[state];
}

void leaserec_format(const struct leaserec *l, char ret_slot[LEASEREC_SLOT])
{
	const char *owner = l->rec.owner[0] ? l->rec.owner : "-";

	memset(ret_slot, 0, LEASEREC_SLOT);
	int len = snprintf(ret_slot, LEASEREC_SLOT, "hospes-lease 1 %" PRIu64 " %s %" PRIu64 " %s %s ", l->seq, l->uuid,
	                   l->rec.generation, state_name[l->rec.state], owner);
	snprintf(ret_slot + len, LEASEREC_SLOT - (size_t)len, "%016" PRIx64 "\n",
	         (uint64_t)XXH3_64bits(ret_slot, (size_t)len));
}

bool leaserec_parse(const char slot[LEASEREC_SLOT], struct leaserec *ret)
{
	struct leaserec l = { 0 };
	char text[LEASEREC_SLOT + 1] = "", state[16];
	size_t s = 0;

	memcpy(text, slot, LEASEREC_SLOT);
	if (sscanf(text, "hospes-lease 1 %" SCNu64 " %39s %" SCNu64 " %15s %63s", &l.seq, l.uuid, &l.rec.generation,
	           state, l.rec.owner) != 5)
		return false;
	if (!strcmp(l.rec.owner, "-"))
		l.rec.owner[0] = 0;
	while (s < ARRAY_SIZE(state_name) && strcmp(state, state_name[s]) != 0)
		s++;
	if (s == ARRAY_SIZE(state_name))
		return false;
	l.rec.state = (enum lease_state)s;
	/* only what would be written again in the very same octets, the sum among them; what follows the line is padding */
	leaserec_format(&l, text);
	if (memcmp(slot, text, strlen(text)) != 0)
		return false;
	*ret = l;
	return true;
}

int leaserec_pick(const char octets[LEASEREC_BYTES], const char *uuid, struct leaserec ret[2])
{
	struct leaserec l;
	int n = 0;

	for (unsigned i = 0; i < 2; i++) {
		if (!leaserec_parse(octets + i * LEASEREC_SLOT, &l))
			continue;
		if (strcasecmp(l.uuid, uuid) != 0) {
			ret[0] = l;
			return -EXDEV;
		}
		if (n && l.seq > ret[0].seq) {
			ret[1] = ret[0];
			ret[0] = l;
		} else {
			ret[n] = l;
		}
		n++;
	}
	for (size_t i = 0; i < LEASEREC_BYTES && !n; i++)
		if (octets[i])
			return -EINVAL;
	return n;
}

int leaserec_read(int fd, const char *uuid, struct leaserec ret[2])
{
	char octets[LEASEREC_BYTES] = { 0 };

	return pread(fd, octets, sizeof(octets), 0) < 0 ? -errno : leaserec_pick(octets, uuid, ret);
}

char *leaserec_path_beside(const struct dom_disk *k)
{
	return k->readonly || k->shareable || k->type != DOM_DISK_FILE ? NULL : xasprintf("%s.lease", k->source);
}

char *leaserec_path_local(const char *uuid)
{
	return xasprintf("%s/leases/%s", path_state(), uuid);
}
