/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See qscreen.h. */
#include "config.h"
#include "hypervisor/qemu/qscreen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/util.h"

#define CLIENT_NS  (2 * NS_PER_S)
#define SHOT_NS    (5 * NS_PER_S)
#define SHOT_FDSET 7 /* QEMU's name of the file for a picture */
#define SHOT_FILE  "/dev/fdset/7"
#define SCREENS    16u

int qscreen_set_up(struct qvm *v, struct err *err)
{
	const struct dom_display *d = &v->env->cfg->hvm.display;
	char when[24];

	if (!d->on || !*d->password)
		return 0;
	int r = qmp_call(v->qmp, "set_password", json_pack("{s:s, s:s}", "protocol", "vnc", "password", d->password),
	                 -1, QVM_CALL_NS, err);
	if (r < 0 || !d->valid_until_s)
		return r;
	snprintf(when, sizeof(when), "%lld", (long long)d->valid_until_s);
	return qmp_call(v->qmp, "expire_password", json_pack("{s:s, s:s}", "protocol", "vnc", "time", when), -1,
	                QVM_CALL_NS, err);
}

int qscreen_client(struct qvm *v, int fd, struct err *err)
{
	bool open = !*v->env->cfg->hvm.display.password; /* who may open the socket may see the screen */
	int r = qvm_call(v, "getfd", json_pack("{s:s}", "fdname", "viewer"), fd, CLIENT_NS, err);

	close(fd);
	if (!r)
		r = qvm_call(v, "add_client",
		             json_pack("{s:s, s:s, s:b}", "protocol", "vnc", "fdname", "viewer", "skipauth", open), -1,
		             CLIENT_NS, err);
	return r;
}

/*
 * A file without a limit of ours: QEMU 7.2 ends, and its guest with it, when a picture cannot be written. Its control group has one. *@ret_w:
 * a second descriptor, for writing only, as QEMU wants it.
 */
static int picture_file(int *ret_w, struct err *err)
{
	_cleanup_close_ int fd = memfd_create("screen", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char self[40];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	int w = fd < 0 ? -1 : open(self, O_WRONLY | O_CLOEXEC);
	if (w < 0)
		return err_sys(err, errno, "cannot hold a picture");
	*ret_w = w;
	return steal_fd(&fd);
}

/* Cut it to @size and let nobody change it any more; QEMU may have been taken over. */
static int seal(int fd, off_t size, struct err *err)
{
	static const uint8_t begin[] = "\x89PNG\r\n\x1a\n", end[] = "IEND\xae\x42\x60\x82";
	uint8_t got[sizeof(begin) - 1];

	if (size < 64)
		return err_set(err, EPROTO, "QEMU wrote no picture");
	if (size > HV_SCREENSHOT_MAX)
		return err_set(err, EFBIG, "the picture has more than %u MiB", HV_SCREENSHOT_MAX >> 20);
	if (ftruncate(fd, size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return err_sys(err, errno, "cannot hold a picture");
	if (pread(fd, got, sizeof(got), 0) != (ssize_t)sizeof(got) || memcmp(got, begin, sizeof(got)) != 0 ||
	    pread(fd, got, sizeof(got), size - (off_t)sizeof(got)) != (ssize_t)sizeof(got) ||
	    memcmp(got, end, sizeof(got)) != 0)
		return err_set(err, EPROTO, "QEMU wrote no picture");
	return 0;
}

int qscreen_shot(struct qvm *v, unsigned screen, struct err *err)
{
	_cleanup_close_ int w = -1;

	if (v->env->cfg->hvm.video == DOM_VIDEO_NONE)
		return err_set(err, ENOENT, "domain '%s' has no screen: its definition has no <video>",
		               v->env->cfg->name);
	if (screen >= SCREENS)
		return err_set(err, ENOENT, "domain '%s' has no screen %u", v->env->cfg->name, screen);
	_cleanup_close_ int fd = picture_file(&w, err);
	if (fd < 0)
		return fd;
	int r = qvm_call(v, "add-fd", json_pack("{s:i}", "fdset-id", SHOT_FDSET), w, QVM_CALL_NS, err);
	if (r < 0)
		return r;
	r = qvm_call(v, "screendump",
	             json_pack("{s:s, s:s, s:s, s:i}", "filename", SHOT_FILE, "format", "png", "device",
	                       QDISPLAY_DEVICE, "head", (int)screen),
	             -1, SHOT_NS, err);
	(void)!qvm_call(v, "remove-fd", json_pack("{s:i}", "fdset-id", SHOT_FDSET), -1, QVM_CALL_NS, NULL);
	if (!r)
		r = seal(fd, lseek(w, 0, SEEK_CUR), err);
	return r < 0 ? r : steal_fd(&fd);
}
