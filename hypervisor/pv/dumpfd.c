/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What K's descriptors are. The set is fixed once the guest has booted (its filter allows no call that makes one), so it is
 * learned once, by probing while everything stands still, and only compared later. Main thread only.
 */
#include "config.h"
#include "hypervisor/pv/dumpfd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <linux/sockios.h>
#include "common/util.h"
#include "hypervisor/dev/devs.h"
#include "hypervisor/dev/vudev.h"

static int get_fd(int k_pidfd, int fd)
{
	int r = (int)syscall(SYS_pidfd_getfd, k_pidfd, fd, 0);

	return r < 0 ? -errno : r;
}

/* Numbers of K's open descriptors, ascending. Returns the count or -errno. */
static int list_fds(pid_t k, int32_t *out, size_t max)
{
	char path[64];
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", k);
	DIR *d = opendir(path);
	if (!d)
		return -errno;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		if (n == max) {
			closedir(d);
			return -E2BIG;
		}
		int32_t v = atoi(e->d_name);
		size_t i = n++;
		for (; i && out[i - 1] > v; i--)
			out[i] = out[i - 1];
		out[i] = v;
	}
	closedir(d);
	return (int)n;
}

static int fd_link(pid_t k, int fd, char *out, size_t len)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", k, fd);
	ssize_t n = readlink(path, out, len - 1);
	if (n < 0)
		return -errno;
	out[n] = 0;
	return 0;
}

static int fdinfo_read(pid_t k, int fd, char **ret)
{
	char path[64];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", k, fd);
	return file_read(path, 65536, ret, &len);
}

static int fdinfo_flags(pid_t k, int fd, uint32_t *ret)
{
	_cleanup_free_ char *text = NULL;
	int r = fdinfo_read(k, fd, &text);
	char *p = r ? NULL : strstr(text, "flags:");

	if (!p)
		return r ? r : -EPROTO;
	*ret = (uint32_t)strtoul(p + 6, NULL, 8);
	return 0;
}

static uint32_t queued_len(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCINQ, &n) < 0 || n < 0 ? 0 : (uint32_t)n;
}

static struct pv_fd *find_fd(struct pv_fds *fds, int32_t fd)
{
	for (size_t i = 0; i < fds->n; i++)
		if (fds->fd[i].fd == fd)
			return &fds->fd[i];
	return NULL;
}

static void classify_socket(struct pv_fd *e, int dup, uint64_t con_inode, uint64_t err_inode)
{
	struct sockaddr_un sa = { 0 };
	socklen_t len = sizeof(sa);
	int type = 0;
	socklen_t tl = sizeof(type);
	unsigned dev;

	getsockopt(dup, SOL_SOCKET, SO_TYPE, &type, &tl);
	if (e->inode == con_inode)
		e->kind = PV_FD_CON;
	else if (e->inode == err_inode)
		e->kind = PV_FD_ERR;
	else if (type == SOCK_DGRAM)
		e->kind = PV_FD_DGRAM;
	else if (type == SOCK_STREAM && getpeername(dup, (struct sockaddr *)&sa, &len) == 0 &&
	         sa.sun_family == AF_UNIX) {
		if (len > sizeof(sa_family_t) && sscanf(sa.sun_path, "/v/%u", &dev) == 1) {
			e->kind = PV_FD_VHOST;
			e->arg = dev;
		} else {
			e->kind = PV_FD_PAIR; /* or PV_FD_VREQ: decided by probing */
			e->arg = UINT32_MAX;
		}
	}
}

static bool is_open_question(const struct pv_fd *e)
{
	return e->kind == PV_FD_PAIR && e->arg == UINT32_MAX && e->dup_of < 0;
}

/*
 * Which of K's undecided sockets is the other end of @from? One octet is written and taken out where it arrives; everything
 * is frozen, so nobody else reads. -1: none of them, or it did not arrive at an empty queue.
 */
static int find_peer(const struct pv_fds *fds, const int *dup, int from)
{
	uint32_t before[PV_FDS_MAX] = { 0 };
	char c = 0;

	for (size_t i = 0; i < fds->n; i++)
		if (is_open_question(&fds->fd[i]))
			before[i] = queued_len(dup[i]);
	if (send(from, &c, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
		return -1;
	for (size_t i = 0; i < fds->n; i++) {
		if (!is_open_question(&fds->fd[i]) || queued_len(dup[i]) != before[i] + 1)
			continue;
		return !before[i] && recv(dup[i], &c, 1, MSG_DONTWAIT) == 1 ? (int)i : -1;
	}
	return -1;
}

/* The devices' request channels first: what remains are pairs with both ends in K. */
static int pair_sockets(struct pv_fds *fds, int *dup, struct devs *devs, struct err *err)
{
	for (size_t d = 0; devs && d < devs_count(devs); d++) {
		int sock, req;
		vudev_socks(devs, d, &sock, &req);
		if (req < 0)
			return err_set(err, ENOTSUP,
			               "the guest kernel did not connect device %s (has it a virtio_uml driver?)",
			               devs_name(devs, d));
		int i = find_peer(fds, dup, req);
		if (i < 0)
			return err_set(err, ENOTSUP,
			               "the request channel of device %s ends in no socket of the guest kernel",
			               devs_name(devs, d));
		fds->fd[i].kind = PV_FD_VREQ;
		fds->fd[i].arg = (uint32_t)d;
	}
	for (size_t i = 0; i < fds->n; i++) {
		struct pv_fd *a = &fds->fd[i];
		if (!is_open_question(a))
			continue;
		int j = find_peer(fds, dup, dup[i]);
		if (j < 0)
			return err_set(err, ENOTSUP,
			               "the guest kernel's descriptor %d is a socket that Hospes does not know", a->fd);
		a->arg = (uint32_t)fds->fd[j].fd;
		fds->fd[j].arg = (uint32_t)a->fd;
	}
	return 0;
}

static int learn_one(struct pv_fd *e, pid_t k, int dup, uint64_t con_inode, uint64_t err_inode, struct err *err)
{
	char link[256];
	struct stat st;
	int r = fd_link(k, e->fd, link, sizeof(link));

	if (r < 0 || fstat(dup, &st) < 0)
		return err_sys(err, r ? -r : errno, "cannot look at the guest kernel's descriptor %d", e->fd);
	e->inode = st.st_ino;
	if (S_ISSOCK(st.st_mode))
		classify_socket(e, dup, con_inode, err_inode);
	else if (!strcmp(link, "anon_inode:[eventpoll]"))
		e->kind = PV_FD_EPOLL;
	else if (S_ISREG(st.st_mode) && strstr(link, "(deleted)"))
		e->kind = PV_FD_MEM;
	else if (S_ISCHR(st.st_mode) && st.st_rdev == 0x108) /* 1:8 /dev/random */
		e->kind = PV_FD_PATH;
	else if (S_ISCHR(st.st_mode) && st.st_rdev == 0x103) { /* 1:3 /dev/null */
		e->kind = PV_FD_PATH;
		e->arg = 1;
	}
	if (!e->kind)
		return err_set(err, ENOTSUP,
		               "the guest kernel's descriptor %d (%s) is of a kind that Hospes does not know", e->fd,
		               link);
	return 0;
}

int pv_fds_learn(struct pv_fds *fds, const struct pv_frozen *f, int k_pidfd, uint64_t con_inode, uint64_t err_inode,
                 uint64_t *ret_mem_inode, int *ret_mem_fd, struct devs *devs, struct err *err)
{
	int32_t nr[PV_FDS_MAX];
	int dup[PV_FDS_MAX];
	int n = list_fds(f->k.pid, nr, PV_FDS_MAX), r = 0;

	if (n < 0)
		return err_sys(err, -n, "cannot list the guest kernel's descriptors");
	*fds = (struct pv_fds){ .ep_fd = -1 };
	int got = 0;
	for (; got < n && !r; got++) {
		struct pv_fd *e = &fds->fd[got];
		*e = (struct pv_fd){ .fd = nr[got], .dup_of = -1 };
		dup[got] = get_fd(k_pidfd, nr[got]);
		if (dup[got] < 0) {
			r = err_sys(err, -dup[got], "cannot take the guest kernel's descriptor %d", nr[got]);
			break;
		}
		fds->n = (size_t)got + 1;
		r = learn_one(e, f->k.pid, dup[got], con_inode, err_inode, err);
		for (int i = 0; i < got && !r; i++)
			if (fds->fd[i].inode == e->inode && fds->fd[i].kind == e->kind && e->kind != PV_FD_PATH &&
			    e->kind != PV_FD_EPOLL)
				e->dup_of = e->dup_of >= 0 ? e->dup_of : fds->fd[i].fd;
		if (!r && e->kind == PV_FD_MEM) {
			*ret_mem_inode = e->inode;
			*ret_mem_fd = fcntl(dup[got], F_DUPFD_CLOEXEC, 0);
		}
		if (e->kind == PV_FD_EPOLL)
			fds->ep_fd = e->fd;
	}
	if (!r)
		r = pair_sockets(fds, dup, devs, err);
	if (!r && fds->ep_fd < 0)
		r = err_set(err, ENOTSUP, "the guest kernel has no epoll descriptor: not a kernel that Hospes knows");
	for (int i = 0; i < got; i++)
		if (dup[i] >= 0)
			close(dup[i]);
	return r;
}

static int dump_epoll(pid_t k, struct pv_image *im, struct err *err)
{
	_cleanup_free_ char *text = NULL;
	int r = fdinfo_read(k, im->ep_fd, &text);

	if (r < 0)
		return err_sys(err, -r, "cannot read the guest kernel's epoll set");
	im->ep = calloc(PV_EPOLL_MAX, sizeof(*im->ep));
	if (!im->ep)
		return err_set(err, ENOMEM, "out of memory");
	for (char *p = text; (p = strstr(p, "tfd:")); p += 4) {
		unsigned long data;
		unsigned events;
		int fd;
		if (im->n_ep == PV_EPOLL_MAX || sscanf(p, "tfd: %d events: %x data: %lx", &fd, &events, &data) != 3)
			return err_set(err, ENOTSUP, "cannot understand the guest kernel's epoll set");
		im->ep[im->n_ep++] = (struct pv_epoll){ .fd = fd, .events = events, .data = data };
	}
	return 0;
}

/* Octets that wait in a socket of K. What hvdom itself would read (the other end) is drained by its owner. */
static int dump_queue(const struct pv_dump_ctx *c, struct pv_fd *e, struct err *err)
{
	_cleanup_close_ int fd = get_fd(c->k_pidfd, e->fd);

	if (fd < 0)
		return err_sys(err, -fd, "cannot take the guest kernel's descriptor %d", e->fd);
	e->owned = e->flags & O_ASYNC ? 1 : 0;
	if (e->kind == PV_FD_DGRAM || e->kind == PV_FD_EPOLL || e->kind == PV_FD_MEM || e->kind == PV_FD_PATH)
		return 0;
	uint32_t n = queued_len(fd);
	if (!n)
		return 0;
	if (n > PV_QUEUE_MAX)
		return err_set(err, EAGAIN, "%u octets wait in the guest kernel's descriptor %d", n, e->fd);
	e->queued = malloc(n);
	if (!e->queued)
		return err_set(err, ENOMEM, "out of memory");
	ssize_t got = recv(fd, e->queued, n, MSG_PEEK | MSG_DONTWAIT);
	if (got < 0)
		return err_sys(err, errno, "cannot read what waits in the guest kernel's descriptor %d", e->fd);
	e->queued_len = (uint32_t)got;
	return 0;
}

int pv_dump_fds(const struct pv_dump_ctx *c, pid_t k, struct pv_image *im, struct err *err)
{
	int32_t nr[PV_FDS_MAX];
	int n = list_fds(k, nr, PV_FDS_MAX);

	if (n < 0)
		return err_sys(err, -n, "cannot list the guest kernel's descriptors");
	if ((size_t)n != c->fds->n)
		return err_set(err, ENOTSUP, "the guest kernel has %d descriptors, not %zu as after its boot", n,
		               c->fds->n);
	im->fd = calloc((size_t)n, sizeof(*im->fd));
	if (!im->fd)
		return err_set(err, ENOMEM, "out of memory");
	im->ep_fd = c->fds->ep_fd;
	for (int i = 0; i < n; i++) {
		struct pv_fd *e = &im->fd[i];
		const struct pv_fd *known = find_fd((struct pv_fds *)c->fds, nr[i]);
		if (!known)
			return err_set(err, ENOTSUP, "the guest kernel opened descriptor %d after its boot", nr[i]);
		*e = *known;
		e->queued = NULL;
		e->queued_len = 0;
		im->n_fds = (size_t)i + 1;
		int r = fdinfo_flags(k, e->fd, &e->flags);
		if (r < 0)
			return err_sys(err, -r, "cannot look at the guest kernel's descriptor %d", e->fd);
		e->cloexec = e->flags & O_CLOEXEC ? 1 : 0;
		e->flags &= O_ACCMODE | O_NONBLOCK | O_ASYNC | O_APPEND;
		if (e->dup_of < 0) {
			r = dump_queue(c, e, err);
			if (r < 0)
				return r;
		}
	}
	return dump_epoll(k, im, err);
}
