/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hypercalls about the guest's screen: where it can be seen, and a picture of it. Main thread. */
#include "config.h"
#include "hypervisor/domcall_int.h"

#include <errno.h>
#include <sys/stat.h>

int call_display(struct call *c, struct err *err)
{
	(void)err;
	display_where(c->d->display, REP(c, struct hv_display));
	return 0;
}

int call_screenshot(struct call *c, struct err *err)
{
	const struct hv_screenshot_req *q = c->req;
	struct stat st;
	int fd = c->d->ops->screenshot(c->d->vm, q->screen, err);

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0) {
		close(fd);
		return err_sys(err, errno, "cannot read the picture");
	}
	REP(c, struct hv_screenshot_rep)->size_bytes = (uint64_t)st.st_size;
	c->rep_fds[0] = fd;
	c->n_rep_fds = 1;
	c->close_rep_fd = true;
	return 0;
}

/* For display_start(). */
int domain_screen_client(void *arg, int fd, struct err *err)
{
	struct domain *d = arg;

	return d->ops->screen_client(d->vm, fd, err);
}
