/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Images are made from packages, downloaded or imported, see vmctl_image.h. What a file is, is vmctl_imagetake.c's business. */
#include "config.h"
#include "tools/vmctl_image.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/loop.h"
#include "common/util.h"
#include "tools/vmctl_int.h"
#include "tools/vmctl_tool.h"
#include "tools/vmimage.h"

/* Begin the image @name in the library. */
static int begin(const char *name, struct made *ret, struct err *err)
{
	_cleanup_free_ char *lib = vmimage_dir();
	int r = made_begin(lib, name, "", ret, err);

	if (r == -EEXIST)
		return err_set(err, EEXIST, "there is an image '%s' already: vmctl image remove %s, or another --name",
		               name, name);
	if (r == -EBUSY)
		return err_set(err, EBUSY, "another vmctl is making the image '%s' just now", name);
	return r;
}

/*
 * --name, or the last part of a path or URL without what a name may not have, and without its kind: "x/Debian 12.qcow2"
 * is "Debian-12".
 */
static int name_of(const struct image_add *a, char ret[64], struct err *err)
{
	static const char *const kinds[] = { ".qcow2", ".img", ".raw", ".ova", ".iso" };
	const char *slash = strrchr(a->what, '/'), *base = slash ? slash + 1 : a->what;
	size_t len = strcspn(base, "?#");

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t k = strlen(kinds[i]);

		if (len > k && !strncasecmp(base + len - k, kinds[i], k)) {
			len -= k;
			break;
		}
	}
	if (a->name)
		snprintf(ret, 64, "%s", a->name);
	else
		snprintf(ret, 64, "%.*s", (int)len, base);
	for (char *p = ret; *p; p++)
		if (!isascii(*p) || !(isalnum(*p) || strchr("._+-", *p)))
			*p = '-';
	if (!name_is_valid(ret))
		return err_set(err, EINVAL, "what shall the image be called? Add --name NAME");
	return 0;
}

static int done(struct made *m, const struct image_add *a, const char *name, const char *engine, struct err *err)
{
	_cleanup_vmimage_ struct vmimage img = { .from = strdup(a->what) };
	char size[32];

	snprintf(img.name, sizeof(img.name), "%s", name);
	snprintf(img.engine, sizeof(img.engine), "%s", engine);
	int r = img.from ? vmimage_finish(m, &img, &vmctl_while, err) : err_sys(err, ENOMEM, "describe the image");
	if (!r && a->cli->json)
		return vmctl_print_json(a->cli, vmimage_json(&img), err);
	if (!r)
		printf("Image '%s' is there: engine %s, %s, SHA-256 %s\n", name, engine,
		       size_format(img.disk_bytes, size, sizeof(size)), img.sha256);
	return r;
}

/* --- from packages */

struct progress {
	uint64_t start_ns, shown_ns;
	char step[128];
	const char *file; /* its size is the progress; NULL: time is */
};

static void show(struct progress *p)
{
	uint64_t now = now_ns();

	if (!isatty(STDERR_FILENO) || now - p->shown_ns < NS_PER_S / 2)
		return;
	p->shown_ns = now;
	fprintf(stderr, "\r%s ... %u s (Ctrl-C ends it)\033[K", p->step, (unsigned)((now - p->start_ns) / NS_PER_S));
}

static void on_step(void *arg, const char *line)
{
	struct progress *p = arg;

	snprintf(p->step, sizeof(p->step), "%s", line);
	if (!isatty(STDERR_FILENO))
		fprintf(stderr, "vmctl: %s (%u s)\n", line, (unsigned)((now_ns() - p->start_ns) / NS_PER_S));
	p->shown_ns = 0;
	show(p);
}

static void on_tick(void *arg)
{
	show(arg);
}

static void clear_line(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

/* <HOSPES_LIBEXEC>, else beside this program (the build tree), else where it is installed. Owned. */
static char *helper_path(const char *name)
{
	const char *env = getenv("HOSPES_LIBEXEC");
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (env && *env) {
		char *path = xasprintf("%s/%s", env, name);
		if (!access(path, X_OK))
			return path;
		free(path);
	}
	self[n > 0 ? n : 0] = 0;
	char *path = xasprintf("%s/%s", dirname(self), name);
	if (!access(path, X_OK))
		return path;
	free(path);
	return xasprintf("%s/%s", HOSPES_PKGLIBDIR, name);
}

static int is_recipe(const char *what, struct err *err)
{
	_cleanup_free_ char *text = NULL;

	if (strcmp(what, IMAGE_RECIPE) != 0)
		return err_set(err, ENOENT,
		               "there is no recipe \"%s\": vmctl image make " IMAGE_RECIPE
		               "; others come by vmctl image pull URL or import FILE",
		               what);
	if (file_read("/etc/os-release", 65536, &text, NULL) < 0 || !strstr(text, "VERSION_CODENAME=bookworm"))
		return err_set(err, ENOTSUP,
		               "an image is made from this host's own package sources, which are not Debian 12's: "
		               "vmctl image pull URL or import FILE");
	return 0;
}

int image_make(const struct image_add *a, struct err *err)
{
	const char *engine = a->engine ?: "pv", *name = a->name
	                                                        ?: strcmp(engine, "pv") ? IMAGE_RECIPE "-qemu"
	                                                                                : IMAGE_RECIPE;
	_cleanup_free_ char *helper = helper_path("hospes-mkimage");
	_cleanup_made_ struct made m = { 0 };
	struct progress p = { .start_ns = now_ns() };
	int r = is_recipe(a->what, err);

	if (a->sha256 || a->insecure)
		return err_set(err, CLI_EUSAGE, "--sha256 and --insecure are for image pull and import");
	if (!r)
		r = begin(name, &m, err);
	if (r < 0)
		return r;
	/* whatever ends us takes all of it along: packages' scripts, and what they started */
	const char *argv[] = { "unshare", "--pid", "--fork",   "--kill-child", "--mount-proc", "--propagation",
		               "private", helper,  "--engine", engine,         m.dir,          NULL };
	struct tool t = { .argv = (char **)(uintptr_t)argv,
		          .package = "util-linux",
		          .doing = "make the image",
		          .line = on_step,
		          .tick = on_tick,
		          .arg = &p };
	if (geteuid() != 0)
		return err_set(err, EPERM, "image make needs root: packages set owners");
	r = vmctl_tool(&t, err);
	clear_line();
	return r < 0 ? r : done(&m, a, name, engine, err);
}

/* --- from elsewhere */

static int check_sum(const struct image_add *a, const char *file, struct err *err)
{
	char is[SHA256_TEXT];
	int r = a->sha256 ? file_sha256(file, "checksum", &vmctl_while, is, err) : 0;

	if (!r && a->sha256 && strcasecmp(is, a->sha256) != 0)
		r = err_set(err, EBADMSG, "%s has the SHA-256 %s, not the one that it should have", a->what, is);
	return r;
}

static int engine_of(const struct image_add *a, struct err *err)
{
	if (a->engine && strcmp(a->engine, "qemu") != 0)
		return err_set(
			err, ENOTSUP,
			"what is taken from elsewhere boots its own kernel: engine qemu. vmctl image make " IMAGE_RECIPE
			" makes one for engine pv");
	return 0;
}

int image_import(const struct image_add *a, struct err *err)
{
	_cleanup_made_ struct made m = { 0 };
	char name[64];
	int r = name_of(a, name, err);

	if (!r)
		r = engine_of(a, err);
	if (!r && access(a->what, R_OK) < 0)
		r = err_sys(err, errno, "read %s", a->what);
	if (!r)
		r = begin(name, &m, err);
	if (!r)
		r = check_sum(a, a->what, err);
	if (!r)
		r = image_take(a->what, m.dir, err);
	return r < 0 ? r : done(&m, a, name, "qemu", err);
}

static void on_download(void *arg)
{
	struct progress *p = arg;
	struct stat st;

	if (!stat(p->file, &st))
		vmctl_while.step(NULL, "downloading", (uint64_t)st.st_size, 0);
}

static bool have(const char *program)
{
	const char *path = getenv("PATH") ?: "/usr/bin:/bin";

	while (*path) {
		size_t len = strcspn(path, ":");
		_cleanup_free_ char *p = xasprintf("%.*s/%s", (int)len, path, program);

		if (!access(p, X_OK))
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

static int download(const struct image_add *a, const char *file, struct err *err)
{
	const char *kinds = a->insecure ? "=https,http" : "=https";
	/* wget follows a redirection to http even from https: none, then */
	const char *curl[] = {
		"curl",          "--fail", "--silent",          "--show-error", "--location", "--proto", kinds,
		"--proto-redir", kinds,    "--connect-timeout", "30",           "--output",   file,      "--",
		a->what,         NULL
	};
	const char *wget[] = { "wget",
		               "--no-verbose",
		               "--tries=2",
		               "--timeout=60",
		               a->insecure ? "--max-redirect=20" : "--max-redirect=0",
		               "--output-document",
		               file,
		               "--",
		               a->what,
		               NULL };
	struct progress p = { .file = file };
	struct tool t = { .argv = (char **)(uintptr_t)(have("curl") || !have("wget") ? curl : wget),
		          .package = "curl",
		          .doing = "download the image",
		          .tick = on_download,
		          .arg = &p };
	int r = vmctl_tool(&t, err);

	vmctl_while.stepped(NULL);
	return r;
}

int image_pull(const struct image_add *a, struct err *err)
{
	bool https = !strncasecmp(a->what, "https://", 8), http = !strncasecmp(a->what, "http://", 7);
	_cleanup_made_ struct made m = { 0 };
	_cleanup_free_ char *file = NULL;
	char name[64];
	int r = name_of(a, name, err);

	if (!https && !http)
		return err_set(err, CLI_EUSAGE, "image pull wants an https:// URL; a file: vmctl image import FILE");
	if (http && !a->insecure)
		return err_set(err, EPERM,
		               "%s is not https: anybody on the way could change the image. --insecure allows it, "
		               "with --sha256 it does no harm",
		               a->what);
	if (!r)
		r = engine_of(a, err);
	if (!r)
		r = begin(name, &m, err);
	if (r < 0)
		return r;
	file = xasprintf("%s/download", m.dir);
	r = download(a, file, err);
	if (!r)
		r = check_sum(a, file, err);
	if (!r)
		r = image_take(file, m.dir, err);
	return r < 0 ? r : done(&m, a, name, "qemu", err);
}
