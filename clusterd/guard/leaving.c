/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file that says that this host leaves: see leaving.h. */
#include "config.h"
#include "clusterd/guard/leaving.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "clusterd/guard/deadline.h"
#include "common/util.h"

static const char *const stages[] = { "", "drain", "ending", "left" };

static char *file_name(void)
{
	return xasprintf("%s/cluster/leaving", path_run());
}

void leaving_load(struct leaving *ret)
{
	_cleanup_free_ char *path = file_name(), *text = NULL;
	struct leaving l = { 0 };
	char stage[8], id[DEADLINE_BOOT_ID] = "", boot[DEADLINE_BOOT_ID];
	int r = file_read(path, 200, &text, NULL);

	*ret = l;
	if (r == -ENOENT)
		return;
	l.stage = LEAVING_ENDING;
	if (r < 0 || sscanf(text, "%7s %u %" SCNu64 " %" SCNu64 " %39s", stage, &l.mode, &l.drain_until_ns, &l.until_ns,
	                    id) != 5) {
		*ret = (struct leaving){ .stage = LEAVING_ENDING };
		return;
	}
	if (deadline_boot_id(boot) && strcmp(boot, id) != 0)
		return;
	for (unsigned i = LEAVING_DRAIN; i < ARRAY_SIZE(stages); i++)
		if (!strcmp(stage, stages[i]))
			l.stage = (enum leaving_stage)i;
	*ret = l;
}

int leaving_save(const struct leaving *l, struct err *err)
{
	_cleanup_free_ char *path = file_name(), *dir = xasprintf("%s/cluster", path_run()), *text = NULL;
	char boot[DEADLINE_BOOT_ID];
	int r;

	if (l->stage == LEAVING_NOT) {
		r = unlink(path) < 0 && errno != ENOENT ? -errno : 0;
		return r < 0 ? err_sys(err, r, "remove %s", path) : 0;
	}
	text = xasprintf("%s %u %" PRIu64 " %" PRIu64 " %s\n", stages[l->stage], l->mode, l->drain_until_ns,
	                 l->until_ns, deadline_boot_id(boot) ? boot : "?");
	r = mkdir_p(dir, 0700);
	if (r == 0)
		r = file_write_atomic(path, text, strlen(text), 0600);
	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

bool leaving_closed(void)
{
	struct leaving l;

	leaving_load(&l);
	return l.stage >= LEAVING_ENDING;
}
