/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams: consoles, and volumes on their way (vdcopy.c). Octets of a socket go to the client as messages of type stream with its call's procedure and
 * serial, and back. It is read only while the client reads, and what the client sends waits in a bounded buffer. Loop
 * thread.
 */
#include "config.h"
#include "virtd/virtd_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "virtd/vdcopy.h"

#define CHUNK_BYTES 65536u
#define IN_MAX      (1u << 20) /* sent by the client, not taken by the console */

struct vd_stream {
	struct vd_stream *next;
	struct vd_conn *c;
	struct vd_header h; /* of its messages */
	int fd;             /* owned */
	struct loop_fd *src;
	struct buf in;
	size_t in_at;
	struct vd_copy *copy; /* a reference; NULL: a console */
	bool finishing;       /* a volume: the client has sent all, and awaits that it is written */
	bool ended;           /* the socket said so; the client was told */
};

static void stream_free(struct vd_stream *s)
{
	loop_del_fd(s->src);
	if (s->fd >= 0)
		close(s->fd);
	buf_done(&s->in);
	vd_copy_unref(s->copy);
	free(s);
}

static void stream_remove(struct vd_stream *s)
{
	struct vd_conn *c = s->c;

	for (struct vd_stream **at = &c->streams; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			c->n_streams--;
			break;
		}
	stream_free(s);
}

void vd_streams_free(struct vd_conn *c)
{
	while (c->streams)
		stream_remove(c->streams);
}

static void tell(struct vd_stream *s, uint32_t status, const void *p, size_t len)
{
	struct vd_header h = s->h;

	h.status = status;
	vd_send(s->c, &h, p, len);
}

static void stream_watch(struct vd_stream *s)
{
	bool more_in = !s->ended && vd_unsent(s->c) <= VD_OUT_CALM, more_out = s->in.len > s->in_at;

	if (s->src)
		(void)loop_mod_fd(s->src, (more_in ? (uint32_t)EPOLLIN : 0u) | (more_out ? (uint32_t)EPOLLOUT : 0u));
}

static void fail(struct vd_stream *s, const char *why)
{
	struct vd_conn *c = s->c;

	vd_send_error(c, &s->h, VD_STREAM_DATA, VD_E_FAILED, VD_FROM_RPC, why);
	if (c->dead) /* then the stream is no more */
		return;
	stream_remove(s);
	vd_conn_watch(c);
}

/* The thread has ended the copy. */
static void copy_ended(struct vd_stream *s)
{
	struct vd_conn *c = s->c;

	if (!s->copy->over || s->copy->failed)
		fail(s, s->copy->over ? s->copy->text : "the volume's copy has ended early");
	else if (s->finishing) {
		tell(s, VD_OK, NULL, 0);
		if (!c->dead)
			stream_remove(s);
	} else {
		tell(s, VD_CONTINUE, NULL, 0);
	}
}

/* Its end is a message without octets. The client answers with its own end. */
static void stream_ended(struct vd_stream *s)
{
	s->ended = true;
	loop_del_fd(s->src);
	s->src = NULL;
	if (s->copy)
		copy_ended(s);
	else
		tell(s, VD_CONTINUE, NULL, 0);
}

/* All is on its way to the thread: it is told that no more comes. */
static void finish_upload(struct vd_stream *s)
{
	if (s->finishing && s->in.len == s->in_at)
		(void)shutdown(s->fd, SHUT_WR);
}

static bool push_in(struct vd_stream *s)
{
	while (s->in.len > s->in_at) {
		ssize_t n = write(s->fd, s->in.data + s->in_at, s->in.len - s->in_at);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		s->in_at += (size_t)n;
	}
	buf_reset(&s->in);
	s->in_at = 0;
	return true;
}

static void on_socket(void *arg, int fd, uint32_t revents)
{
	struct vd_stream *s = arg;
	struct vd_conn *c = s->c;
	char data[CHUNK_BYTES];

	if ((revents & EPOLLOUT) && !push_in(s)) {
		stream_ended(s);
		return;
	}
	if (revents & EPOLLOUT) {
		finish_upload(s);
		vd_conn_watch(c);
	}
	if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t n = read(fd, data, sizeof(data));

		if (n > 0)
			tell(s, VD_CONTINUE, data, (size_t)n);
		else if (!n || (errno != EAGAIN && errno != EINTR)) {
			stream_ended(s);
			return; /* it may be no more */
		}
	}
	if (!c->dead) /* else the stream is no more */
		stream_watch(s);
}

void vd_stream_new(struct vd_conn *c, const struct vd_header *h, int fd, struct vd_copy *copy)
{
	struct vd_stream *s = c->dead ? NULL : calloc(1, sizeof(*s));

	if (!s) {
		vd_copy_unref(copy);
		close(fd);
		return;
	}
	s->copy = copy;
	s->c = c;
	s->h = *h;
	s->h.type = VD_STREAM_DATA;
	s->fd = fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		s->src = loop_add_fd(c->srv->loop, fd, EPOLLIN, on_socket, s);
	if (!s->src || c->n_streams >= VD_STREAMS_MAX) {
		vd_send_error(c, &s->h, VD_STREAM_DATA, VD_E_FAILED, VD_FROM_RPC, "too many streams");
		stream_free(s);
		return;
	}
	s->next = c->streams;
	c->streams = s;
	c->n_streams++;
}

void vd_stream_message(struct vd_conn *c, const struct vd_header *h, const void *p, size_t len)
{
	struct vd_stream *s = c->streams;

	while (s && (s->h.serial != h->serial || s->h.procedure != h->procedure))
		s = s->next;
	if (!s)
		return;                                                      /* it ended while this was under way */
	if (h->status == VD_OK && s->copy && s->copy->upload && !s->ended) { /* answered when it is on storage */
		s->finishing = true;
		s->copy->finished = true;
		if (!push_in(s)) {
			stream_ended(s);
			return;
		}
		finish_upload(s);
		stream_watch(s);
		return;
	}
	if (h->status != VD_CONTINUE) { /* finished (OK) or aborted (ERROR): it ends, and either is acknowledged */
		(void)push_in(s);
		tell(s, VD_OK, NULL, 0);
		if (!c->dead)
			stream_remove(s);
		return;
	}
	if (s->ended || s->finishing)
		return;
	if (s->copy && !s->copy->upload) {
		fail(s, "a volume that is downloaded takes nothing");
		return;
	}
	if (s->copy) /* vd_streams_full() sees to that it is not much */
		buf_put(&s->in, p, len);
	else if (s->in.len - s->in_at + len <= IN_MAX)
		buf_put(&s->in, p, len);
	else
		s->in.failed = true;
	if (s->in.failed) {
		fail(s, s->copy ? "out of memory" : "the console does not take that much");
		return;
	}
	if (!push_in(s)) {
		stream_ended(s);
		return;
	}
	stream_watch(s);
}

bool vd_streams_full(const struct vd_conn *c)
{
	for (const struct vd_stream *s = c->streams; s; s = s->next)
		if (s->copy && s->in.len - s->in_at > IN_MAX)
			return true;
	return false;
}

void vd_streams_calm(struct vd_conn *c)
{
	for (struct vd_stream *s = c->streams; s; s = s->next)
		stream_watch(s);
}
