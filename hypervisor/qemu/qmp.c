/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QEMU's monitor: see qmp.h. */
#include "config.h"
#include "hypervisor/qemu/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "common/buf.h"
#include "common/loop.h"
#include "common/util.h"

struct qmp {
	int fd; /* owned */
	struct buf in;
	bool greeted;
	char version[16];
	json_t *events; /* array, oldest first */
	json_int_t id;  /* of the last command */
	json_t *answer; /* to that, once it is there */
};

struct qmp *qmp_new(int fd)
{
	struct qmp *q = calloc(1, sizeof(*q));

	if (q)
		*q = (struct qmp){ .fd = fd, .events = json_array() };
	if (q && q->events)
		return q;
	free(q);
	close(fd);
	return NULL;
}

void qmp_free(struct qmp *q)
{
	if (!q)
		return;
	close(q->fd);
	buf_done(&q->in);
	json_decref(q->events);
	json_decref(q->answer);
	free(q);
}

int qmp_fd(const struct qmp *q)
{
	return q->fd;
}

bool qmp_greeted(const struct qmp *q)
{
	return q->greeted;
}

const char *qmp_version(const struct qmp *q)
{
	return q->version;
}

static void take_greeting(struct qmp *q, json_t *hello)
{
	json_int_t major, minor, micro;

	q->greeted = true;
	if (json_unpack(hello, "{s:{s:{s:I, s:I, s:I}}}", "version", "qemu", "major", &major, "minor", &minor, "micro",
	                &micro) == 0 &&
	    major >= 0 && major < 1000 && minor >= 0 && minor < 1000 && micro >= 0 && micro < 1000)
		snprintf(q->version, sizeof(q->version), "%d.%d.%d", (int)major, (int)minor, (int)micro);
}

static int nonsense(struct err *err, const char *what)
{
	return err_set(err, EPROTO, "QEMU's monitor sends %s", what);
}

/* QEMU's numbers have 64 bits and no sign where jansson has one: those of such a message are all real. */
static json_t *parse(const char *p, size_t len)
{
	json_error_t why;
	json_t *o = json_loadb(p, len, JSON_DECODE_ANY, &why);

	return o || json_error_code(&why) != json_error_numeric_overflow
	               ? o
	               : json_loadb(p, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
}

uint64_t qmp_uint(const json_t *number)
{
	double real = json_is_number(number) ? json_number_value(number) : -1;

	if (real < 0 || real >= 0x1p64)
		return UINT64_MAX;
	return json_is_integer(number) ? (uint64_t)json_integer_value(number) : (uint64_t)real;
}

static json_int_t id_of(const json_t *id)
{
	uint64_t n = json_is_real(id) ? qmp_uint(id) : (uint64_t)json_integer_value(id);

	return n < 1ull << 53 ? (json_int_t)n : INT64_MAX;
}

/* One message; takes @o. */
static int take(struct qmp *q, json_t *o, struct err *err)
{
	int r = 0;

	if (!json_is_object(o)) {
		r = nonsense(err, "what is no QMP");
	} else if (json_object_get(o, "QMP")) {
		take_greeting(q, json_object_get(o, "QMP"));
	} else if (json_is_string(json_object_get(o, "event"))) {
		if (json_array_size(q->events) >= QMP_EVENTS_MAX)
			r = nonsense(err, "events without end");
		else if (json_array_append(q->events, o) < 0)
			r = err_set(err, ENOMEM, "out of memory");
	} else if (json_object_get(o, "return") || json_object_get(o, "error")) {
		json_int_t id = id_of(json_object_get(o, "id"));
		if (id > q->id)
			r = nonsense(err, "an answer that nobody asked for");
		if (id == q->id && !q->answer) /* others are late */
			q->answer = json_incref(o);
	} else {
		r = nonsense(err, "what is no QMP");
	}
	json_decref(o);
	return r;
}

static int take_lines(struct qmp *q, struct err *err)
{
	char *nl;
	size_t done = 0;
	int r = 0;

	while (!r && (nl = memchr(q->in.data + done, '\n', q->in.len - done))) {
		size_t len = (size_t)(nl - (char *)q->in.data) - done;
		json_t *o = len < 2 ? NULL : parse((char *)q->in.data + done, len);
		if (o)
			r = take(q, o, err);
		else if (len >= 2)
			r = nonsense(err, "what is no JSON");
		done += len + 1;
	}
	memmove(q->in.data, q->in.data + done, q->in.len - done);
	q->in.len -= done;
	return r ? r : q->in.len > QMP_LINE_MAX ? nonsense(err, "a line without end") : 0;
}

int qmp_read(struct qmp *q, struct err *err)
{
	for (;;) {
		void *p = buf_reserve(&q->in, 65536);
		if (!p)
			return err_set(err, ENOMEM, "out of memory");
		ssize_t n = recv(q->fd, p, 65536, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n <= 0)
			return err_set(err, EPIPE, "QEMU ended");
		q->in.len += (size_t)n;
		int r = take_lines(q, err);
		if (r < 0)
			return r;
	}
}

int qmp_wait(struct qmp *q, uint64_t until_ns, struct err *err)
{
	uint64_t now = now_ns();
	struct pollfd p = { .fd = q->fd, .events = POLLIN };

	if (now >= until_ns || poll(&p, 1, (int)((until_ns - now) / NS_PER_MS) + 1) == 0)
		return err_set(err, ETIMEDOUT, "QEMU does not answer");
	return qmp_read(q, err);
}

json_t *qmp_event(struct qmp *q)
{
	json_t *e = json_incref(json_array_get(q->events, 0));

	if (e)
		json_array_remove(q->events, 0);
	return e;
}

int qmp_send(struct qmp *q, const char *cmd, json_t *args, int fd, struct err *err)
{
	json_t *o = json_pack("{s:s, s:I, s:o*}", "execute", cmd, "id", ++q->id, "arguments", args);
	_cleanup_free_ char *line = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	json_decref(q->answer);
	q->answer = NULL;
	if (!line)
		return err_set(err, ENOMEM, "out of memory");
	int r = sock_send_fds(q->fd, line, strlen(line), &fd, fd >= 0);
	return r < 0 ? err_sys(err, -r, "cannot reach QEMU's monitor") : 0;
}

int qmp_answer(const struct qmp *q, struct err *err)
{
	const json_t *e = json_object_get(q->answer, "error");
	const char *why = json_string_value(json_object_get(e, "desc"));

	if (!q->answer)
		return -EAGAIN;
	return e ? err_set(err, EREMOTEIO, "QEMU refuses: %.300s", why ? why : "for no reason that it gives") : 0;
}

int64_t qmp_number(const struct qmp *q)
{
	return q->id;
}

const json_t *qmp_returned(const struct qmp *q)
{
	return json_object_get(q->answer, "return");
}

int qmp_call(struct qmp *q, const char *cmd, json_t *args, int fd, uint64_t limit_ns, struct err *err)
{
	uint64_t until = now_ns() + limit_ns;
	int r = qmp_send(q, cmd, args, fd, err);

	while (!r && !q->answer)
		r = qmp_wait(q, until, err);
	if (!r)
		r = qmp_answer(q, err);
	return r < 0 && err ? err_prefix(err, "%s", cmd) : r;
}

int qmp_ask(struct qmp *q, const char *cmd, json_t *args, uint64_t limit_ns, json_t **ret, struct err *err)
{
	int r = qmp_call(q, cmd, args, -1, limit_ns, err);

	if (!r)
		*ret = json_incref(json_object_get(q->answer, "return"));
	return r;
}
