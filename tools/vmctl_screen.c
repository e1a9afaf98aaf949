/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vmctl vncdisplay, domdisplay, screenshot: a guest's screen. */
#include "config.h"
#include "tools/vmctl_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "common/util.h"
#include "hypervisor/api/memcheck.h"

#define COPY_BYTES 65536

static int where(const char *name, struct hv_display *ret, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	int r = vmhost_connect(&c, name, err);

	if (!r)
		r = hvcall_simple(&c, HV_OP_DISPLAY, NULL, 0, ret, sizeof(*ret), err);
	if (r < 0)
		return r;
	ret->place[sizeof(ret->place) - 1] = 0;
	return ret->kind == HV_DISPLAY_NONE
	               ? err_set(err, ENOENT, "domain '%s' has no <graphics type='vnc'>: nobody can see its screen",
	                         name)
	               : 0;
}

int vmctl_vncdisplay(struct cli *v, struct err *err)
{
	struct hv_display d;
	int r = where(v->arg[0], &d, err);

	if (r < 0)
		return r;
	if (d.kind == HV_DISPLAY_PORT)
		printf("%s:%u\n", d.place, d.port - DOM_VNC_PORT_FIRST);
	else
		printf("%s\n", d.place);
	return 0;
}

int vmctl_domdisplay(struct cli *v, struct err *err)
{
	struct hv_display d;
	int r = where(v->arg[0], &d, err);

	if (r < 0)
		return r;
	if (d.kind == HV_DISPLAY_PORT)
		printf("vnc://%s:%u\n", d.place, d.port - DOM_VNC_PORT_FIRST);
	else
		printf("vnc+unix://%s\n", d.place);
	return 0;
}

static int copy(int from, uint64_t bytes, int to)
{
	_cleanup_free_ char *buf = malloc(COPY_BYTES);
	uint64_t at = 0;

	while (buf && at < bytes) {
		ssize_t n = pread(from, buf, COPY_BYTES, (off_t)at);
		int r = n < 0 ? -errno : n == 0 ? -EIO : write_full(to, buf, (size_t)n);
		if (r < 0)
			return r;
		at += (uint64_t)n;
	}
	return buf ? 0 : -ENOMEM;
}

/* With this user's rights; a file that could not be written whole does not stay. */
static int write_file(const char *path, int picture, uint64_t bytes, struct err *err)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		return err_sys(err, errno, "cannot write %s", path);
	int r = copy(picture, bytes, fd);
	if (!r && close(steal_fd(&fd)) < 0)
		r = -errno;
	if (r < 0)
		unlink(path);
	return r < 0 ? err_sys(err, -r, "cannot write %s", path) : 0;
}

static int picture_of(const char *name, uint32_t screen, int *ret_fd, uint64_t *ret_bytes, struct err *err)
{
	_cleanup_hvcall_ struct hvcall c = { .fd = -1 };
	struct hv_screenshot_req q = { .screen = screen };
	struct hv_screenshot_rep rep;
	size_t n = 1, len;
	int fd = -1, r = vmhost_connect(&c, name, err);

	if (!r)
		r = hvcall(&c, HV_OP_SCREENSHOT, &q, sizeof(q), NULL, 0, &rep, sizeof(rep), &len, &fd, &n, err);
	if (r < 0)
		return r;
	if (n != 1 || rep.size_bytes > HV_SCREENSHOT_MAX)
		return err_set(err, EPROTO, "hvdom sent no picture");
	*ret_fd = fd;
	*ret_bytes = rep.size_bytes;
	return memcheck_read(fd, rep.size_bytes, "the picture", err);
}

int vmctl_screenshot(struct cli *v, struct err *err)
{
	const char *name = v->arg[0], *path = v->n_args > 1 ? v->arg[1] : NULL;
	_cleanup_free_ char *made = NULL;
	_cleanup_close_ int fd = -1;
	double screen = 0;
	uint64_t bytes = 0;
	char when[40];
	time_t now = time(NULL);
	struct tm tm;
	int r = cli_opt_number(v, 0, 0, 15, &screen, err);

	if (!r)
		r = picture_of(name, (uint32_t)screen, &fd, &bytes, err);
	if (r < 0)
		return r;
	if (!path) { /* as virsh does it */
		strftime(when, sizeof(when), "%Y-%m-%d-%H:%M:%S", localtime_r(&now, &tm) ? &tm : gmtime_r(&now, &tm));
		path = made = xasprintf("%s-%s.png", name, when);
	}
	r = write_file(path, fd, bytes, err);
	if (!r)
		printf("Screenshot saved to %s, with type of image/png\n", path);
	return r;
}
