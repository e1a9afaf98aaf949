/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Markers of the cluster's domains, and the end of those that have one: see managed.h. */
#include "config.h"
#include "clusterd/guard/managed.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "clusterd/guard/leaving.h"
#include "clusterd/guard/deadline.h"
#include "common/util.h"
#include "hypervisor/api/hvproc.h"

static char *marker_dir(void)
{
	return xasprintf("%s/cluster/managed", path_run());
}

int managed_add(const char *name, const char *uuid, struct err *err)
{
	_cleanup_free_ char *dir = marker_dir(), *path = xasprintf("%s/%s", dir, name);
	char text[MANAGED_UUID + 1], have[MANAGED_UUID];
	int r;

	if (managed_uuid(name, have) == 0 && !strcmp(have, uuid))
		return 0;
	r = mkdir_p(dir, 0700);
	snprintf(text, sizeof(text), "%s\n", uuid);
	if (r == 0)
		r = file_write_atomic(path, text, strlen(text), 0600);
	return r < 0 ? err_sys(err, r, "write %s", path) : 0;
}

void managed_remove(const char *name)
{
	_cleanup_free_ char *dir = marker_dir(), *path = xasprintf("%s/%s", dir, name);

	unlink(path);
}

int managed_uuid(const char *name, char ret[MANAGED_UUID])
{
	_cleanup_free_ char *dir = marker_dir(), *path = xasprintf("%s/%s", dir, name), *text = NULL;
	size_t len;
	int r = file_read(path, 128, &text, &len);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = 0;
	snprintf(ret, MANAGED_UUID, "%s", text);
	return 0;
}

bool managed_may_run(const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/cluster/guard.deadline", path_run()), *text = NULL;
	char uuid[MANAGED_UUID], id[DEADLINE_BOOT_ID] = "", boot[DEADLINE_BOOT_ID];
	struct moment deadline = { 0 }, now = moment_now();
	unsigned park_ms;

	if (managed_uuid(name, uuid) == -ENOENT)
		return true;
	if (leaving_closed())
		return false;
	if (file_read(path, 256, &text, NULL) < 0 || !deadline_boot_id(boot))
		return false;
	return sscanf(text, "%" SCNu64 " %39s %u %" SCNu64, &deadline.boot_ns, id, &park_ms, &deadline.tsc) >= 2 &&
	       !strcmp(id, boot) && !moment_over(&deadline, &now);
}

int managed_each(void (*fn)(void *arg, const char *name, const char *uuid), void *arg)
{
	_cleanup_free_ char *dir = marker_dir();
	DIR *d = opendir(dir);
	int n = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	for (struct dirent *e; (e = readdir(d));) {
		char uuid[MANAGED_UUID] = "";

		/* a file that is just being written has a suffix, which no name has: mkostemp's letters are legal, so look inside */
		if (!name_is_valid(e->d_name) || managed_uuid(e->d_name, uuid) < 0 || strlen(uuid) != MANAGED_UUID - 1)
			continue;
		fn(arg, e->d_name, uuid);
		n++;
	}
	closedir(d);
	return n;
}

bool managed_listed(const char *name, const char *uuid)
{
	_cleanup_free_ char *path = xasprintf("%s/cluster/domains", path_run()), *text = NULL;
	char *at, *line;

	if (file_read(path, 4u << 20, &text, NULL) < 0)
		return false;
	at = text;
	while ((line = strsep(&at, "\n"))) {
		char *space = strchr(line, ' ');

		if (!space)
			continue;
		*space = 0;
		if (uuid ? !strcasecmp(line, uuid) : !strcmp(space + 1, name))
			return true;
	}
	return false;
}

static void count_one(void *arg, const char *name, const char *uuid)
{
	int *n = arg;

	(void)uuid;
	*n += hvproc_alive(name);
}

int managed_count_alive(void)
{
	int alive = 0, n = managed_each(count_one, &alive);

	return n < 0 ? n : alive;
}

struct sweep {
	int alive;
	bool (*spare)(void *arg, const char *name);
	void *spare_arg;
	void (*on_kill)(void *arg, const char *name);
	void *arg;
};

static void kill_one(void *arg, const char *name, const char *uuid)
{
	struct sweep *s = arg;

	(void)uuid;
	if (!hvproc_alive(name) || (s->spare && s->spare(s->spare_arg, name)))
		return;
	if (s->on_kill)
		s->on_kill(s->arg, name);
	s->alive++;
	(void)!hvproc_kill(name);
}

int managed_kill_all(bool (*spare)(void *arg, const char *name), void *spare_arg,
                     void (*on_kill)(void *arg, const char *name), void *arg)
{
	struct sweep s = { .spare = spare, .spare_arg = spare_arg, .on_kill = on_kill, .arg = arg };
	int n = managed_each(kill_one, &s);

	return n < 0 ? n : s.alive;
}
