/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Durable migration records: see journal.h. */
#include "config.h"
#include "migrated/io/journal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "common/util.h"

#define FILE_MAX_BYTES  65536u
#define FILE_ROOM_BYTES 8192

static const char *const rec_names[] = {
	[MIG_REC_RELINQUISHING] = "relinquishing",
	[MIG_REC_READY] = "ready",
	[MIG_REC_TAKEN] = "taken",
	[MIG_REC_GONE] = "gone",
	[MIG_REC_CALLED_OFF] = "called-off",
};

const char *journal_rec_name(enum mig_record rec)
{
	return rec_names[rec];
}

static char *file_of(const char *dir, uint64_t session)
{
	return xasprintf("%s/%016" PRIx64 ".journal", dir, session);
}

static int sync_dir(const char *dir)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/*
 * A record begins with the end of the line before it: what a power loss or a full disk left of an earlier record never becomes the
 * head of this one. NULL: names that are none, or out of memory.
 */
static char *line_of(const struct journal_rec *rec)
{
	char session[17];

	if (!name_is_valid(rec->name) || !name_is_valid(rec->peer) || !uuid_is_valid(rec->uuid))
		return NULL; /* it could not be read back */
	snprintf(session, sizeof(session), "%016" PRIx64, rec->session);
	json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:b, s:I}", "rec", rec_names[rec->rec], "session",
	                      session, "generation", (json_int_t)rec->generation, "name", rec->name, "uuid", rec->uuid,
	                      "peer", rec->peer, "stay_paused", rec->stay_paused, "wall_s", (json_int_t)time(NULL));
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL, *line = text ? xasprintf("\n%s\n", text) : NULL;

	free(text);
	json_decref(o);
	return line;
}

int journal_append(const char *dir, const struct journal_rec *rec, struct err *err)
{
	_cleanup_free_ char *path = file_of(dir, rec->session);
	_cleanup_free_ char *line = line_of(rec);
	bool fresh = access(path, F_OK) < 0;

	if (!line)
		return err_set(err, EINVAL, "journal %s: not the name of a domain, its uuid and its peer", path);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sys(err, errno, "journal %s", path);
	if (fresh && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, FILE_ROOM_BYTES) < 0 && errno != EOPNOTSUPP) {
		int r = err_sys(err, errno, "journal %s", path);
		unlink(path);
		return r;
	}
	int r = write_full(fd, line, strlen(line));
	if (r == 0 && fdatasync(fd) < 0)
		r = -errno;
	if (r == 0 && fresh)
		r = sync_dir(dir);
	return r < 0 ? err_sys(err, r, "journal %s", path) : 0;
}

/* A text field of at most @cap - 1 octets without quotes or controls. */
static int text_of(json_t *o, const char *key, char *dst, size_t cap)
{
	json_t *v = json_object_get(o, key);
	const char *s = json_string_value(v);

	if (!s || json_string_length(v) >= cap || strlen(s) != json_string_length(v))
		return -EINVAL;
	strcpy(dst, s);
	return 0;
}

int journal_parse(const char *line, size_t len, struct journal_rec *ret)
{
	struct journal_rec rec = { 0 };
	char name[16], session[17];
	int r = -EINVAL;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (!o || text_of(o, "rec", name, sizeof(name)) < 0 || text_of(o, "session", session, sizeof(session)) < 0 ||
	    text_of(o, "name", rec.name, sizeof(rec.name)) < 0 || text_of(o, "uuid", rec.uuid, sizeof(rec.uuid)) < 0 ||
	    text_of(o, "peer", rec.peer, sizeof(rec.peer)) < 0 || !name_is_valid(rec.name) ||
	    !name_is_valid(rec.peer) || !uuid_is_valid(rec.uuid))
		goto out;
	json_t *g = json_object_get(o, "generation");
	char *end;
	rec.session = strtoull(session, &end, 16);
	if (*end || !rec.session || !json_is_integer(g) || json_integer_value(g) < 0)
		goto out;
	rec.generation = (uint64_t)json_integer_value(g);
	rec.stay_paused = json_is_true(json_object_get(o, "stay_paused"));
	rec.wall_s = (uint64_t)json_integer_value(json_object_get(o, "wall_s"));
	for (size_t i = 1; i < ARRAY_SIZE(rec_names); i++)
		if (!strcmp(rec_names[i], name))
			rec.rec = (enum mig_record)i;
	if (!rec.rec)
		goto out;
	*ret = rec;
	r = 0;
out:
	json_decref(o);
	return r;
}

static int load_file(const char *path, struct journal_rec *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = file_read(path, FILE_MAX_BYTES, &text, &len), got = -EINVAL;

	if (r < 0)
		return r;
	for (char *p = text, *nl; (nl = memchr(p, '\n', len - (size_t)(p - text))); p = nl + 1)
		if (journal_parse(p, (size_t)(nl - p), ret) == 0)
			got = 0;
	return got;
}

int journal_load(const char *dir, uint64_t session, struct journal_rec *ret)
{
	_cleanup_free_ char *path = file_of(dir, session);

	return load_file(path, ret);
}

void journal_forget(const char *dir, uint64_t session)
{
	_cleanup_free_ char *path = file_of(dir, session);

	unlink(path);
}

int journal_scan(const char *dir, void (*fn)(void *arg, const struct journal_rec *rec), void *arg, struct err *err)
{
	DIR *d = opendir(dir);

	if (!d)
		return err_sys(err, errno, "journal %s", dir);
	for (struct dirent *e; (e = readdir(d));) {
		size_t n = strlen(e->d_name);
		if (n != 16 + 8 || strcmp(e->d_name + 16, ".journal"))
			continue;
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, e->d_name);
		struct journal_rec rec;
		uint64_t session = strtoull(e->d_name, NULL, 16);
		int r = load_file(path, &rec);
		if (r == 0 && rec.session == session)
			fn(arg, &rec);
		else if (r == -EINVAL)
			unlink(path); /* torn before its first record was durable: nothing was said on it */
		else if (r != -ENOENT)
			fn(arg, &(struct journal_rec){ .session = session });
	}
	closedir(d);
	return 0;
}
