/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client's connection: messages in and out, which calls begin when, errors. What a client may cost is bounded here
 * (virtd_int.h). One that breaks the protocol loses its connection, and nobody else notices. Loop thread.
 */
#include "config.h"
#include "virtd/virtd_int.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "common/log.h"
#include "common/util.h"
#include "virtd/vdcopy.h"

#define READ_BYTES 65536u

size_t vd_unsent(const struct vd_conn *c)
{
	return c->out.len - c->out_at;
}

void vd_conns_reap(void *arg)
{
	struct vd_server *s = arg;

	for (struct vd_conn **at = &s->conns, *c; (c = *at);) {
		if (!c->dead || c->running) { /* its calls name it */
			at = &c->next;
			continue;
		}
		*at = c->next;
		s->n_conns--;
		vd_conn_free(c);
	}
}

void vd_conn_drop(struct vd_conn *c, const char *why)
{
	if (c->dead)
		return;
	c->dead = true;
	if (why)
		log_warn("client %s: %s", c->who, why);
	loop_del_fd(c->src);
	c->src = NULL;
	vd_streams_free(c);
	loop_timer_in(c->srv->reap, 0);
}

void vd_call_free(struct vd_call *call)
{
	vd_args_done(&call->args);
	buf_done(&call->msg);
	buf_done(&call->out);
	vd_snapshot_free(call->snapshot);
	if (call->fd >= 0)
		close(call->fd);
	vd_copy_unref(call->copy);
	free(call);
}

void vd_conn_free(struct vd_conn *c)
{
	while (c->waiting) {
		struct vd_call *call = c->waiting;

		c->waiting = call->next;
		vd_call_free(call);
	}
	while (c->callbacks) {
		struct vd_callback *cb = c->callbacks;

		c->callbacks = cb->next;
		free(cb);
	}
	vd_streams_free(c);
	loop_del_fd(c->src);
	close(c->fd);
	buf_done(&c->in);
	buf_done(&c->out);
	free(c->who);
	free(c);
}

void vd_conn_watch(struct vd_conn *c)
{
	c->full = c->n_waiting >= VD_WAITING_MAX || c->waiting_bytes > VD_MSG_MAX || vd_unsent(c) > 2 * VD_OUT_CALM ||
	          vd_streams_full(c);
	if (!c->dead)
		(void)loop_mod_fd(c->src,
		                  (c->full ? 0u : (uint32_t)EPOLLIN) | (vd_unsent(c) ? (uint32_t)EPOLLOUT : 0u));
}

static void flush(struct vd_conn *c)
{
	while (vd_unsent(c)) {
		ssize_t n = send(c->fd, c->out.data + c->out_at, vd_unsent(c), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			vd_conn_drop(c, NULL);
			return;
		}
		if (n < 0)
			break;
		c->out_at += (size_t)n;
	}
	if (!vd_unsent(c)) {
		c->out_at = 0;
		if (c->out.cap > VD_OUT_CALM)
			buf_done(&c->out);
		buf_reset(&c->out);
	} else if (c->out_at > VD_OUT_CALM) {
		memmove(c->out.data, c->out.data + c->out_at, vd_unsent(c));
		c->out.len -= c->out_at;
		c->out_at = 0;
	}
}

void vd_send(struct vd_conn *c, const struct vd_header *h, const void *payload, size_t len)
{
	if (c->dead)
		return;
	xdr_put_u32(&c->out, (uint32_t)(VD_HEADER + len));
	xdr_put_u32(&c->out, h->program);
	xdr_put_u32(&c->out, h->version);
	xdr_put_u32(&c->out, h->procedure);
	xdr_put_u32(&c->out, h->type);
	xdr_put_u32(&c->out, h->serial);
	xdr_put_u32(&c->out, h->status);
	buf_put(&c->out, payload, len);
	if (c->out.failed) {
		vd_conn_drop(c, "out of memory");
		return;
	}
	flush(c);
	vd_conn_watch(c);
}

void vd_send_error(struct vd_conn *c, const struct vd_header *of, enum vd_type type, int code, int from,
                   const char *text)
{
	struct vd_header h = *of;
	_cleanup_buf_ struct buf b = { 0 };

	h.type = type;
	h.status = VD_ERROR;
	xdr_put_u32(&b, (uint32_t)code);
	xdr_put_u32(&b, (uint32_t)from);
	xdr_put_opt_string(&b, text);
	xdr_put_u32(&b, 2); /* an error, not a warning */
	xdr_put_u32(&b, 0); /* no domain */
	xdr_put_opt_string(&b, NULL);
	xdr_put_opt_string(&b, NULL);
	xdr_put_opt_string(&b, NULL);
	xdr_put_u32(&b, 0);
	xdr_put_u32(&b, 0);
	xdr_put_u32(&b, 0); /* no network */
	vd_send(c, &h, b.data, b.len);
}

int vd_fail(struct vd_call *c, enum vd_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
	text_tidy(c->text);
	c->code = (int)code;
	c->from = code == VD_E_RPC ? VD_FROM_RPC : VD_FROM_DOM;
	return -1;
}

int vd_fail_err(struct vd_call *c, int r, const struct err *err)
{
	enum vd_code code = VD_E_FAILED;

	switch (-r) {
	case ENOENT:
		code = VD_E_NO_DOMAIN;
		break;
	case EPERM:
	case EEXIST:
	case ECONNREFUSED:
	case ESTALE:
		code = VD_E_INVALID;
		break;
	case ENOTSUP:
		code = VD_E_UNSUPPORTED;
		break;
	case ETIMEDOUT:
		code = VD_E_TIMEOUT;
		break;
	case ECANCELED:
		code = VD_E_ABORTED;
		break;
	case ENOMEM:
		code = VD_E_MEMORY;
		break;
	}
	return vd_fail(c, code, "%s", err->text);
}

/* The answer of a call that ran. */
static void answer(struct vd_conn *c, struct vd_call *call)
{
	struct vd_header h = call->h;

	h.type = VD_REPLY;
	if (!call->code && call->out.failed)
		(void)vd_fail(call, VD_E_MEMORY, "out of memory");
	if (call->code) {
		vd_send_error(c, &call->h, VD_REPLY, call->code, call->from, call->text);
		return;
	}
	if (call->proc->done)
		call->proc->done(c, call);
	if (call->code) {
		vd_send_error(c, &call->h, VD_REPLY, call->code, call->from, call->text);
		return;
	}
	h.status = VD_OK;
	vd_send(c, &h, call->out.data, call->out.len);
	if (call->fd >= 0)
		vd_stream_new(c, &call->h, steal_fd(&call->fd), steal_ptr(&call->copy));
}

static void begin(struct vd_conn *c)
{
	while (!c->dead && c->waiting && c->running < VD_RUNNING_MAX && vd_unsent(c) <= VD_OUT_CALM) {
		struct vd_call *call = c->waiting;

		c->waiting = call->next;
		if (!c->waiting)
			c->waiting_end = &c->waiting;
		c->n_waiting--;
		c->waiting_bytes -= call->msg.len;
		c->running++;
		if (call->proc->flags & VD_LOOP) {
			if (call->fn(call) < 0 && !call->code)
				(void)vd_fail(call, VD_E_INTERNAL, "%s failed", call->proc->name);
			vd_conn_finished(call);
		} else {
			vd_pool_run(c->srv->pool, call);
		}
	}
	vd_conn_watch(c);
}

void vd_conn_finished(struct vd_call *call)
{
	struct vd_conn *c = call->conn;

	if (!c && call->copy) {
		call->srv->n_copies--;
		vd_call_free(call);
		return;
	}
	if (!c) { /* a look at all domains, for events */
		vd_events_seen(call->srv, call->scope, steal_ptr(&call->snapshot));
		vd_call_free(call);
		return;
	}
	if (!(call->proc->flags & VD_RO)) /* what it changed is told at once */
		vd_events_look(call->srv, call->scope);
	c->running--;
	if (c->dead)
		loop_timer_in(call->srv->reap, 0);
	else
		answer(c, call);
	if (!c->dead && !(call->proc->flags & VD_LOOP))
		begin(c);
	vd_call_free(call);
}

static void refuse(struct vd_conn *c, const struct vd_header *h, int code, int from, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
static void refuse(struct vd_conn *c, const struct vd_header *h, int code, int from, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vd_send_error(c, h, VD_REPLY, code, from, text);
}

/* Who changes what. */
static void log_order(const struct vd_conn *c, const struct vd_call *call)
{
	const struct vd_arg *a = &call->args.arg[0];
	const char *name = call->args.n && a->kind == 'D' && name_is_valid(a->dom->name) ? a->dom->name : "";

	log_info("client %s: %s%s%s", c->who, call->proc->name, *name ? " " : "", name);
}

static void on_call(struct vd_conn *c, const struct vd_header *h, const uint8_t *p, size_t len)
{
	const struct vd_proc *proc = h->program == VD_PROG_QEMU     ? vd_proc_find_qemu(h->procedure)
	                             : h->program == VD_PROG_REMOTE ? vd_proc_find(h->procedure)
	                                                            : NULL;
	int (*fn)(struct vd_call * call);
	struct vd_call *call;
	struct err err;

	if (h->program != VD_PROG_REMOTE && h->program != VD_PROG_QEMU && h->program != VD_PROG_LXC) {
		refuse(c, h, VD_E_RPC, VD_FROM_RPC, "Cannot find program %u version %u", h->program, h->version);
		return;
	}
	if (h->version != 1 || !proc) {
		refuse(c, h, VD_E_RPC, VD_FROM_RPC, "unknown procedure: %u", h->procedure);
		return;
	}
	if (!c->opened && !(proc->flags & VD_EARLY)) {
		refuse(c, h, VD_E_INTERNAL, VD_FROM_RPC, "connection not open");
		return;
	}
	if (c->readonly && !(proc->flags & VD_RO)) {
		refuse(c, h, VD_E_DENIED, VD_FROM_DOM, "operation forbidden: read only access prevents %s", proc->name);
		return;
	}
	fn = c->scope == VD_SYSTEM ? proc->fn : h->program == VD_PROG_REMOTE ? vd_cluster_fn(proc) : NULL;
	if (!fn) {
		refuse(c, h, VD_E_NO_SUPPORT, VD_FROM_DOM,
		       "this function is not supported by the connection driver: %s, by way of the cluster; on the "
		       "domain's host it is: hospes:///system",
		       proc->name);
		return;
	}
	call = calloc(1, sizeof(*call));
	if (!call) {
		vd_conn_drop(c, "out of memory");
		return;
	}
	*call = (struct vd_call){ .srv = c->srv,
		                  .conn = c,
		                  .proc = proc,
		                  .fn = fn,
		                  .h = *h,
		                  .readonly = c->readonly,
		                  .scope = c->scope,
		                  .fd = -1 };
	buf_put(&call->msg, p, len);
	if (call->msg.failed || vd_args_read(proc->sig, call->msg.data, len, &call->args, &err) < 0) {
		refuse(c, h, VD_E_RPC, VD_FROM_RPC, "%s", call->msg.failed ? "out of memory" : err.text);
		vd_call_free(call);
		return;
	}
	if (!(proc->flags & VD_RO))
		log_order(c, call);
	*c->waiting_end = call;
	c->waiting_end = &call->next;
	c->n_waiting++;
	c->waiting_bytes += len;
}

static void on_alive(struct vd_conn *c, const struct vd_header *h)
{
	struct vd_header pong = *h;

	c->unanswered = 0;
	if (h->procedure != 1)
		return;
	pong.procedure = 2;
	vd_send(c, &pong, NULL, 0);
}

void vd_conn_ping(struct vd_conn *c)
{
	const struct vd_header h = { .program = VD_PROG_ALIVE, .version = 1, .procedure = 1, .type = VD_MESSAGE };

	if (!c->keepalive || c->dead || c->full) /* its answer would not be read */
		return;
	if (c->unanswered++ >= VD_KEEPALIVE_N)
		vd_conn_drop(c, "it does not answer any more");
	else
		vd_send(c, &h, NULL, 0);
}

static void on_message(struct vd_conn *c, const uint8_t *p, size_t len)
{
	struct xdr x = xdr_of(p, VD_HEADER);
	struct vd_header h;

	(void)xdr_u32(&x);
	h.program = xdr_u32(&x);
	h.version = xdr_u32(&x);
	h.procedure = xdr_u32(&x);
	h.type = xdr_u32(&x);
	h.serial = xdr_u32(&x);
	h.status = xdr_u32(&x);
	p += VD_HEADER;
	len -= VD_HEADER;
	c->unanswered = 0;
	if (h.program == VD_PROG_ALIVE && h.type == VD_MESSAGE && !len)
		on_alive(c, &h);
	else if (h.type == VD_CALL && h.status == VD_OK)
		on_call(c, &h, p, len);
	else if (h.type == VD_STREAM_DATA && h.program == VD_PROG_REMOTE)
		vd_stream_message(c, &h, p, len);
	else
		vd_conn_drop(c, "a message of a kind that no client sends");
}

/* All whole messages in c->in. */
static void take_messages(struct vd_conn *c)
{
	size_t at = 0;

	while (!c->dead && c->in.len - at >= VD_HEADER) {
		struct xdr x = xdr_of(c->in.data + at, 4);
		uint32_t len = xdr_u32(&x);

		if (len < VD_HEADER || len > VD_MSG_MAX) {
			vd_conn_drop(c, "a message with an impossible length");
			break;
		}
		if (c->in.len - at < len)
			break;
		on_message(c, c->in.data + at, len);
		at += len;
	}
	if (at) {
		memmove(c->in.data, c->in.data + at, c->in.len - at);
		c->in.len -= at;
		if (!c->in.len && c->in.cap > READ_BYTES * 4)
			buf_done(&c->in);
	}
}

static void on_ready(void *arg, int fd, uint32_t revents)
{
	struct vd_conn *c = arg;

	if (revents & EPOLLOUT) {
		flush(c);
		if (!c->dead) {
			vd_streams_calm(c);
			begin(c);
		}
	}
	if (c->dead || !(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	void *to = buf_reserve(&c->in, READ_BYTES);
	ssize_t n = to ? recv(fd, to, READ_BYTES, MSG_DONTWAIT) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		vd_conn_drop(c, to ? NULL : "out of memory");
		return;
	}
	c->in.len += (size_t)n;
	take_messages(c);
	if (!c->dead)
		begin(c);
}

struct vd_conn *vd_conn_new(struct vd_server *s, int fd, bool readonly, const char *who)
{
	struct vd_conn *c = calloc(1, sizeof(*c));
	struct ucred cred = { .pid = 0, .uid = (uid_t)-1 };
	socklen_t len = sizeof(cred);

	if (c)
		c->src = loop_add_fd(s->loop, fd, EPOLLIN, on_ready, c);
	if (!c || !c->src) {
		free(c);
		close(fd);
		return NULL;
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	c->srv = s;
	c->fd = fd;
	c->readonly = readonly;
	c->who = who ? xasprintf("%s", who) : xasprintf("with pid %d, uid %u", (int)cred.pid, (unsigned)cred.uid);
	c->waiting_end = &c->waiting;
	c->next_callback = 1;
	c->next = s->conns;
	s->conns = c;
	s->n_conns++;
	log_write(who ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "client %s%s", c->who, readonly ? ", read-only" : "");
	return c;
}
