/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library of images, see vmimage.h. */
#include "config.h"
#include "tools/vmimage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/imgchain.h"

#define SIDE_BYTES_MAX 65536u
#define SECTOR         512u

static const char *const format_name[] = { [DOM_FORMAT_RAW] = "raw", [DOM_FORMAT_QCOW2] = "qcow2" };

char *vmimage_dir(void)
{
	return xasprintf("%s/library", path_state());
}

void vmimage_done(struct vmimage *m)
{
	free(m->from);
	free(m->disk_path);
	free(m->initrd_path);
	*m = (struct vmimage){ 0 };
}

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static int from_json(const json_t *o, const char *dir, struct vmimage *m)
{
	const char *format = text_of(o, "format"), *engine = text_of(o, "engine"), *sum = text_of(o, "sha256"),
		   *initrd = text_of(o, "initrd_sha256");
	json_int_t disk = json_integer_value(json_object_get(o, "disk_bytes"));
	json_int_t file = json_integer_value(json_object_get(o, "file_bytes"));

	if (!strcmp(format, format_name[DOM_FORMAT_QCOW2]))
		m->format = DOM_FORMAT_QCOW2;
	else if (strcmp(format, format_name[DOM_FORMAT_RAW]) != 0)
		return -EINVAL;
	if ((strcmp(engine, "pv") != 0 && strcmp(engine, "qemu") != 0) || disk <= 0 || file <= 0 ||
	    !sha256_is_valid(sum) || (*initrd && !sha256_is_valid(initrd)))
		return -EINVAL;
	snprintf(m->engine, sizeof(m->engine), "%s", engine);
	snprintf(m->sha256, sizeof(m->sha256), "%s", sum);
	snprintf(m->initrd, sizeof(m->initrd), "%s", initrd);
	snprintf(m->made, sizeof(m->made), "%s", text_of(o, "made"));
	m->disk_bytes = (uint64_t)disk;
	m->file_bytes = (uint64_t)file;
	m->from = strdup(text_of(o, "from"));
	m->disk_path = xasprintf("%s/disk.%s", dir, format);
	m->initrd_path = *initrd ? xasprintf("%s/initrd.img", dir) : NULL;
	return m->from ? 0 : -ENOMEM;
}

int vmimage_load(const char *name, struct vmimage *ret, struct err *err)
{
	_cleanup_free_ char *lib = vmimage_dir(), *dir = xasprintf("%s/%s", lib, name),
			    *path = xasprintf("%s/image.json", dir), *text = NULL;
	_cleanup_vmimage_ struct vmimage m = { 0 };

	if (!name_is_valid(name))
		return err_set(err, EINVAL, "\"%s\" is no name of an image: 1 to 63 letters, digits, . _ + -", name);
	int r = made_is_whole(lib, name) ? file_read(path, SIDE_BYTES_MAX, &text, NULL) : -ENOENT;
	if (r == -ENOENT)
		return err_set(err, ENOENT,
		               "there is no image '%s': vmctl image list shows those that there are; "
		               "vmctl image make debian12 makes one, pull and import take one from elsewhere",
		               name);
	if (r < 0)
		return err_sys(err, r, "read %s", path);
	json_t *o = json_loads(text, 0, NULL);
	r = from_json(o, dir, &m);
	json_decref(o);
	if (r < 0)
		return err_set(err, -r, "%s does not describe an image: vmctl image remove %s", path, name);
	snprintf(m.name, sizeof(m.name), "%s", name);
	*ret = m;
	m = (struct vmimage){ 0 };
	return 0;
}

json_t *vmimage_json(const struct vmimage *m)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s}", "name", m->name, "engine", m->engine,
	                      "format", format_name[m->format], "disk_bytes", (json_int_t)m->disk_bytes, "file_bytes",
	                      (json_int_t)m->file_bytes, "sha256", m->sha256, "made", m->made, "from", m->from);

	if (o && *m->initrd)
		(void)json_object_set_new(o, "initrd_sha256", json_string(m->initrd));
	return o;
}

/* Is @dir/disk.FORMAT there, and what is in it? */
static int look(const char *dir, struct vmimage *m, struct err *err)
{
	_cleanup_free_ char *raw = xasprintf("%s/disk.raw", dir), *qcow2 = xasprintf("%s/disk.qcow2", dir);
	bool is_raw = !access(raw, F_OK);
	struct dom_disk k = { .type = DOM_DISK_FILE,
		              .readonly = true,
		              .format = is_raw ? DOM_FORMAT_RAW : DOM_FORMAT_QCOW2,
		              .source = is_raw ? raw : qcow2 };
	struct imgchain c;
	int r = imgchain_open(NULL, &k, "the image", &c, err);

	if (r < 0)
		return r;
	m->format = k.format;
	m->disk_bytes = c.m[0].size;
	m->file_bytes = c.m[0].file_bytes;
	m->disk_path = strdup(k.source);
	if (c.n > 1)
		r = err_set(err, ENOTSUP,
		            "it stands on another image, %s: make one of both (qemu-img convert -O qcow2)",
		            c.m[1].path);
	else if (is_raw && (!m->file_bytes || m->file_bytes % SECTOR))
		r = err_set(err, EINVAL, "it has %llu octets, which is no disk of sectors of %u",
		            (unsigned long long)m->file_bytes, SECTOR);
	imgchain_done(&c);
	return r;
}

static int sync_file(const char *path, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_sys(err, errno, "write %s", path) : 0;
}

int vmimage_finish(struct made *made, struct vmimage *m, const struct vmhost_while *w, struct err *err)
{
	_cleanup_free_ char *side = xasprintf("%s/image.json", made->dir),
			    *initrd = xasprintf("%s/initrd.img", made->dir), *text = NULL;
	time_t now = time(NULL);
	struct tm tm;
	int r = look(made->dir, m, err);

	if (!r)
		r = file_sha256(m->disk_path, "checksum", w, m->sha256, err);
	if (!r)
		r = sync_file(m->disk_path, err);
	if (!r && !access(initrd, F_OK)) {
		r = file_sha256(initrd, "checksum", w, m->initrd, err);
		if (!r)
			r = sync_file(initrd, err);
	}
	if (r < 0)
		return r;
	strftime(m->made, sizeof(m->made), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	json_t *o = vmimage_json(m);
	text = o ? json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
	json_decref(o);
	r = text ? file_write_atomic(side, text, strlen(text), 0644) : -EINVAL; /* a path that is not UTF-8 */
	if (r < 0)
		return err_sys(err, r, "write %s", side);
	return made_finish(made, err);
}

static int verify_file(const char *path, const char *sum, const struct vmhost_while *w, struct err *err)
{
	char is[SHA256_TEXT];
	int r = file_sha256(path, "checksum", w, is, err);

	if (!r && strcasecmp(is, sum) != 0)
		r = err_set(err, EBADMSG, "%s is not what it was: its SHA-256 is %s, not %s", path, is, sum);
	return r;
}

int vmimage_verify(const struct vmimage *m, const struct vmhost_while *w, struct err *err)
{
	int r = verify_file(m->disk_path, m->sha256, w, err);

	return !r && m->initrd_path ? verify_file(m->initrd_path, m->initrd, w, err) : r;
}
