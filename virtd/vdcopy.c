/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vdcopy.h. */
#include "config.h"
#include "virtd/vdcopy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "common/util.h"
#include "virtd/virtd_int.h"

#define CHUNK_BYTES 262144u
#define POLL_MS     500
#define STILL_S     120u /* neither read nor sent: the thread is for others */

int vd_copy_new(int file, bool upload, uint64_t at, uint64_t len, struct vd_copy **ret, int *ret_fd, struct err *err)
{
	struct vd_copy *k = calloc(1, sizeof(*k));
	int sv[2], r = k ? 0 : -ENOMEM;

	if (!r && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		r = -errno;
	if (r < 0) {
		close(file);
		free(k);
		return err_sys(err, r, "stream");
	}
	*k = (struct vd_copy){
		.refs = 1, .upload = upload, .file = file, .sock = sv[1], .at = at, .left = len ? len : UINT64_MAX
	};
	*ret = k;
	*ret_fd = sv[0];
	return 0;
}

void vd_copy_unref(struct vd_copy *k)
{
	if (!k || atomic_fetch_sub(&k->refs, 1) != 1)
		return;
	if (k->sock >= 0)
		close(k->sock);
	if (k->file >= 0)
		close(k->file);
	free(k);
}

/* Until the stream can take or give octets. */
static int wait_for(const struct vd_copy *k, const struct vd_server *s, short events, struct err *err)
{
	struct pollfd p = { .fd = k->sock, .events = events };
	uint64_t until = now_ns() + STILL_S * NS_PER_S;

	for (;;) {
		int n = poll(&p, 1, POLL_MS);

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "stream");
		if (s->stop)
			return err_set(err, EINTR, "hospes-virtd ends");
		if (now_ns() > until)
			return err_set(err, ETIMEDOUT, "the client has done nothing for %u s", STILL_S);
	}
}

static int send_all(const struct vd_copy *k, const struct vd_server *s, const uint8_t *p, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = send(k->sock, p, len, MSG_NOSIGNAL);
		int r = n >= 0 || errno == EINTR ? 0
		        : errno == EAGAIN        ? wait_for(k, s, POLLOUT, err)
		                                 : err_sys(err, errno, "stream");

		if (r < 0)
			return r;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int download(struct vd_copy *k, const struct vd_server *s, uint8_t *data, struct err *err)
{
	int r = 0;

	while (!r && k->left) {
		ssize_t n = pread(k->file, data, k->left < CHUNK_BYTES ? k->left : CHUNK_BYTES, (off_t)k->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "read the volume");
		if (!n) /* the file ends before what was asked for */
			return 0;
		k->at += (uint64_t)n;
		k->left -= k->left == UINT64_MAX ? 0 : (uint64_t)n;
		r = send_all(k, s, data, (size_t)n, err);
	}
	return r;
}

/* What is all zero becomes a hole, if it can. */
static int put(const struct vd_copy *k, const uint8_t *p, size_t len, struct err *err)
{
	uint64_t at = k->at;
	bool zero = !*p && !memcmp(p, p + 1, len - 1);

	if (zero && fallocate(k->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len) == 0) {
		off_t end = lseek(k->file, 0, SEEK_END);

		if (end < 0 || ((uint64_t)end < at + len && ftruncate(k->file, (off_t)(at + len)) < 0))
			return err_sys(err, errno, "write the volume");
		return 0;
	}
	while (len) {
		ssize_t n = pwrite(k->file, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, n ? errno : ENOSPC, "write the volume");
		p += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Fill @data, so that a client that sends little at a time costs no more writes. *@ret 0: the client is done. */
static int gather(const struct vd_copy *k, const struct vd_server *s, uint8_t *data, size_t *ret, struct err *err)
{
	*ret = 0;
	while (*ret < CHUNK_BYTES) {
		ssize_t n = recv(k->sock, data + *ret, CHUNK_BYTES - *ret, 0);
		int r = n >= 0 || errno == EINTR ? 0
		        : errno == EAGAIN        ? wait_for(k, s, POLLIN, err)
		                                 : err_sys(err, errno, "stream");

		if (r < 0 || !n)
			return r;
		*ret += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int upload(struct vd_copy *k, const struct vd_server *s, uint8_t *data, struct err *err)
{
	for (;;) {
		size_t n;
		int r = gather(k, s, data, &n, err);

		if (!r && n > k->left)
			r = err_set(err, ENOSPC, "the client sends more than the octets that it named");
		if (!r && n)
			r = put(k, data, n, err);
		if (r < 0)
			return r;
		if (!n)
			break;
		k->at += n;
		k->left -= k->left == UINT64_MAX ? 0 : n;
	}
	if (!k->finished)
		return err_set(err, ECANCELED, "the client has gone, or sends no more");
	return fsync(k->file) < 0 ? err_sys(err, errno, "write the volume") : 0;
}

static int run(struct vd_call *c)
{
	_cleanup_free_ uint8_t *data = malloc(CHUNK_BYTES);
	struct vd_copy *k = c->copy;
	struct err err = { 0 };
	int r = data ? 0 : err_sys(&err, ENOMEM, "copy");

	if (!r)
		r = (k->upload ? upload : download)(k, c->srv, data, &err);
	k->failed = r < 0;
	snprintf(k->text, sizeof(k->text), "%s", err.text);
	k->over = true;
	close(k->file); /* with its lock: who hears of the end may use the volume */
	k->file = -1;
	close(k->sock);
	k->sock = -1;
	return 0;
}

bool vd_copy_begin(struct vd_call *of)
{
	static const struct vd_proc copy = { .name = "a volume's copy", .flags = VD_LONG | VD_RO };
	struct vd_call *c = calloc(1, sizeof(*c));

	if (!c)
		return false;
	*c = (struct vd_call){ .srv = of->srv, .proc = &copy, .fn = run, .fd = -1, .copy = of->copy };
	c->copy->refs++;
	c->srv->n_copies++;
	vd_pool_run(c->srv->pool, c);
	return true;
}
